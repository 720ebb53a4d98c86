"""Each message of an alert carries callback data of its own, or the user's."""

from __future__ import annotations

import pytest

from airflow_provider_whatsapp.delivery.callback_data import parse_callback_data
from airflow_provider_whatsapp.notifications.marked import MarkedSend


@pytest.fixture
def sent():
    return []


def marked(sent, given=None):
    return MarkedSend(lambda to, message, *, callback_data: sent.append((to, message, callback_data)), given)


def test_no_two_messages_carry_the_same(sent):
    for send in (marked(sent), marked(sent)):
        for to, message in (("1", "text"), ("2", "text"), ("1", "template"), ("1", "summary")):
            send(to, message)

    parts = [parse_callback_data(carried) for _, _, carried in sent]
    assert len(set(parts)) == len(parts) == 8
    assert [part[1:] for part in parts[:4]] == [(1, 0), (1, 1), (2, 0), (3, 0)]
    assert len({part[0] for part in parts}) == 2, "each alert has a key of its own"


@pytest.mark.parametrize(
    ("given", "carried"),
    [("orders.load", "orders.load"), (7, "7"), ("x" * 600, "x" * 512)],
    ids=["own", "number", "long"],
)
def test_the_user_s_own_wins_and_no_alert_is_lost_for_it(sent, given, carried):
    marked(sent, given)("1", "text")

    assert sent == [("1", "text", carried)]


@pytest.mark.parametrize("given", [None, "", " "], ids=["none", "empty", "blank"])
def test_nothing_is_no_callback_data(sent, given):
    marked(sent, given)("1", "text")

    assert parse_callback_data(sent[0][2])
