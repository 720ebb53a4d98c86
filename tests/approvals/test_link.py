"""Where the buttons of a question lead."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_whatsapp.approvals.link import MAX_ID, Answer, parse_id
from airflow_provider_whatsapp.client.errors import PayloadError

PLAIN = Answer("orders", "manual__2026-06-01T09:00:00+00:00", "ask", -1, "Approve")
names = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=20).filter(
    lambda text: text not in (".", "..") and text.isprintable()
)


@given(names, names, names, st.integers(-1, 2**31 - 1), names)
def test_an_id_gives_back_what_it_was_made_of(dag_id, run_id, task_id, map_index, option):
    answer = Answer(dag_id, run_id, task_id, map_index, option)
    assert parse_id(answer.to_id()) == answer


@given(st.text(max_size=60))
def test_anybody_s_text_is_an_id_or_none(text):
    found = parse_id(text)
    assert found is None or isinstance(found, Answer)


def packed(*values):
    """Return an ID of any values."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("A" * (MAX_ID + 1), id="too long"),
        pytest.param(PLAIN.to_id() + "\n", id="line break"),
        pytest.param(PLAIN.to_id()[:-3] + "!!!", id="other characters"),
        pytest.param(packed("d", "r", "t", -1), id="one value too few"),
        pytest.param(packed("d", "r", "t", -1, "o", "x"), id="one too many"),
        pytest.param(packed("d", "r", "t", "0", "o"), id="map index is a text"),
        pytest.param(packed("d", "r", "t", True, "o"), id="map index is a flag"),
        pytest.param(packed("d", "r", "t", -2, "o"), id="map index below -1"),
        pytest.param(packed("d", "r", "t", 2**31, "o"), id="map index too high"),
        pytest.param(packed("", "r", "t", 0, "o"), id="no name"),
        pytest.param(packed("..", "r", "t", 0, "o"), id="name of a folder"),
        pytest.param(packed("d", "r\u0000", "t", 0, "o"), id="control character"),
        pytest.param(packed("d" * 251, "r", "t", 0, "o"), id="name too long"),
        pytest.param(packed("d", "r", "t", 0, "o" * 501), id="option too long"),
        pytest.param(packed("d", "r", "t", 0, "\ud800"), id="half a character"),
        pytest.param(packed(1, "r", "t", 0, "o"), id="name is a number"),
        pytest.param(base64.urlsafe_b64encode(b"[" * 1400).decode().rstrip("="), id="deep"),
        pytest.param(base64.urlsafe_b64encode(b'{"a": 1}').decode().rstrip("="), id="a mapping"),
    ],
)
def test_what_is_not_an_id_is_none(text):
    assert parse_id(text) is None


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        (PLAIN, "dags/orders/runs/manual__2026-06-01T09%3A00%3A00%2B00%3A00/tasks/ask/required_actions"),
        (Answer("orders", "r", "ask", 0, "Reject"), "dags/orders/runs/r/tasks/ask/mapped/0/required_actions"),
        (
            Answer("a/b", "r?x#y", "é", 12, "x"),
            "dags/a%2Fb/runs/r%3Fx%23y/tasks/%C3%A9/mapped/12/required_actions",
        ),
    ],
    ids=["plain", "mapped", "names to quote"],
)
def test_the_page_s_path(answer, path):
    assert urlsplit(answer.path()).path == path


@pytest.mark.parametrize(
    ("option", "value"),
    [("Approve", '["Approve"]'), ("für & wider", '["für & wider"]'), ("50% é", "%5B%2250%25%20%C3%A9%22%5D")],
)
def test_the_option_is_the_only_parameter_and_json(option, value):
    query = urlsplit(Answer("d", "r", "t", -1, option).path()).query
    assert parse_qs(query, strict_parsing=True) == {"_options": [value]}
    assert json.loads(unquote(value)) == [option]


def test_an_address_that_is_too_long_is_refused():
    with pytest.raises(PayloadError, match="limit: 1989"):
        Answer("d" * 250, "r" * 250, "t" * 250, -1, "ü" * 500).to_id()
