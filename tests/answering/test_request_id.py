"""The ID behind a reply button: nobody guesses it, and nothing shows it."""

from __future__ import annotations

import pytest

from airflow_provider_whatsapp.answering.request_id import RequestId, parse_payload


def test_a_payload_is_read_back():
    made = RequestId.new()
    for option in range(10):
        assert parse_payload(made.payload(option)) == (made, option)
    assert len(made.payload(9)) <= 200, "what an entry of a list may hold"


def test_each_is_another_one_and_shows_neither_itself_nor_its_secret():
    made = {RequestId.new() for _ in range(100)}
    assert len({each.hash for each in made}) == 100
    for each in made:
        assert each.secret not in repr(each)
        assert each.secret not in each.hash
        assert len(each.hash) == 43


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1],
        lambda text: text + "0",
        lambda text: text[:-1] + "x",
        lambda text: text[:-1] + "٣",
        lambda text: text.replace("awr1", "awr2"),
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text[:5] + text[6:],
        lambda _: "",
        lambda _: "awr1.." + "1",
    ],
    ids=[
        *("no option", "two digits", "a letter", "a foreign digit", "another version"),
        *("a line more", "a space before", "a character less", "nothing", "no secret"),
    ],
)
def test_what_is_no_payload_of_ours_is_none(change):
    assert parse_payload(change(RequestId.new().payload(3))) is None
