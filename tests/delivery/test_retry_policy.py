"""What a retry does: every cell of the tables from the outside, and the documentation's tables beside them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_provider_whatsapp.delivery.ledger import Job, Ledger, SourceChangedError, Try
from airflow_provider_whatsapp.delivery.notes import Note
from airflow_provider_whatsapp.delivery.recipients import Recipients
from airflow_provider_whatsapp.delivery.retry_policy import (
    ACTIONS,
    BEGINS,
    STARTS_OVER,
    can_retry_help,
    proven,
    sends_late_failures,
    state_of,
)
from airflow_provider_whatsapp.delivery.stores import LedgerError, MarkedMemory, MemoryStore

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "ledger.md"
CAUSES = {
    "retry": {"max_tries": 0},
    "clear": {"max_tries": 1},
    "resend": {"max_tries": 1, "resend_on_clear": True},
}
TO = "15550000001"


def refuse(code):
    return lambda sandbox: sandbox.fail_next(
        "status",
        status=400,
        path="/messages",
        body={"error": {"message": "no", "type": "OAuthException", "code": code}},
    )


FIRST_TRY = {
    "new": (None, {"stop": lambda delivery: delivery.halt()}),
    "stopped": (None, {"permit": lambda stop: None}),
    "retryable": (refuse(131056), {}),
    "permanent": (refuse(131026), {}),
    "suppressed": (None, {"suppressed": [TO]}),
    "unknown": (lambda sandbox: sandbox.fail_next("drop_after"), {}),
    "sent": (None, {}),
}
"""What the sandbox and the first try do, so that the ledger holds each state."""


@pytest.mark.parametrize("on_unknown", ["report", "resend"])
@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("state", ACTIONS)
def test_whom_a_later_try_sends_to(deliver, sandbox, store, state, cause, on_unknown):
    fault, options = FIRST_TRY[state]
    suppressed = options.get("suppressed", ())
    if fault is not None:
        fault(sandbox)
    first = deliver(
        Recipients([TO], suppressed=suppressed),
        **{name: value for name, value in options.items() if name != "suppressed"},
    )
    known = Ledger(store, pauses=())
    known._load()
    assert state_of(known.look_up(0)) == state
    sandbox.reset()
    second = deliver(Recipients([TO]), number=2, on_unknown=on_unknown, **CAUSES[cause])

    action = "send" if cause == "resend" else ACTIONS[state][cause]
    if action == "on_unknown":
        action = {"resend": "send", "report": "keep"}[on_unknown]
    assert [message["to"] for message in sandbox.messages] == ([TO] if action == "send" else [])
    (before,), (now,) = first.outcomes, second.outcomes
    assert (now.status, now.reason) == (
        ("sent", None) if action == "send" else (before.status, before.reason)
    )


class Variables:
    """Airflow's Variables, as far as a mark needs them."""

    def __init__(self):
        self.values = {}

    def get(self, key, default=None):
        return self.values.get(key, default)

    def set(self, key, value, description=None):
        self.values[key] = value

    def delete(self, key):
        self.values.pop(key, None)


JOB = Job("source", "message", 2)
OTHERS = [Job("another", "message", 2), Job("source", "another", 2)]


def left(found):
    """Return the store as an earlier try has left it, and the jobs with which a later one finds that."""
    variables = Variables()
    store = MarkedMemory(variables, ["dag", "run", "task", "-1"]) if found == "mark" else MemoryStore()
    if found == "nothing":
        return store, [JOB]
    if found == "mark":
        store.admit(1, 0, resend_on_clear=False)
    ledger = Ledger(store, pauses=())
    ledger.begin(JOB, Try(1, 0))
    if found != "changed":
        ledger.claim([(0, "")])
    ledger.flush()
    if found == "mark":
        return MarkedMemory(variables, ["dag", "run", "task", "-1"]), [JOB]
    return store, [JOB] if found == "same" else OTHERS


def begin(store, job, cause):
    this, resend = Try(2, CAUSES[cause]["max_tries"]), cause == "resend"
    try:
        if isinstance(store, MarkedMemory) and store.admit(2, this.max_tries, resend_on_clear=resend):
            return "fresh"
        return Ledger(store, pauses=()).begin(job, this, resend_on_clear=resend)
    except (SourceChangedError, LedgerError):
        return "refuse"


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("found", BEGINS)
def test_how_a_later_try_begins(found, cause):
    for place in range(len(left(found)[1])):
        store, jobs = left(found)
        assert begin(store, jobs[place], cause) == BEGINS[found][cause]


@pytest.mark.parametrize("cause", CAUSES)
def test_who_starts_over_finds_nobody_s_note(cause):
    store, (job,) = left("same")
    ledger = Ledger(store, pauses=())
    how = ledger.begin(job, Try(2, CAUSES[cause]["max_tries"]), resend_on_clear=cause == "resend")

    assert (ledger.look_up(0) is None) is (how in STARTS_OVER)


def table(first_cell):
    """Return the rows of the page's table that begins so, by their first cell."""
    lines = PAGE.read_text("utf-8").splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith(f"| {first_cell} |"))
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in "\n".join(lines[start:]).partition("\n\n")[0].splitlines()
    ]
    assert head[-3:] == ["retry", "clear", "clear with `resend_on_clear=True`"]
    return [(cells[0], dict(zip(CAUSES, cells[-3:], strict=True))) for cells in rows]


def test_the_documentation_says_whom_a_try_sends_to():
    shown = {re.fullmatch("`(.*)`", state)[1]: cells for state, cells in table("state")}

    assert shown == {state: {**row, "resend": "send"} for state, row in ACTIONS.items()}
    assert BEGINS["same"]["resend"] in STARTS_OVER, "which makes everybody new"


def test_the_documentation_says_how_a_try_begins():
    said = {
        "first": "start",
        "again": "continue",
        "cleared": "continue",
        "fresh": "start over",
        "refuse": "refuse",
    }

    assert [cells for _, cells in table("the try finds")] == [
        {cause: said[how] for cause, how in row.items()} for row in BEGINS.values()
    ]


@pytest.mark.parametrize(
    ("status", "signed", "accepted", "state"),
    [
        *[
            (status, signed, True, "sent")
            for status in ("sent", "delivered", "read")
            for signed in (True, False)
        ],
        ("failed", True, True, "permanent"),
        ("failed", True, False, "permanent"),
        ("failed", False, True, "sent"),
        ("failed", False, False, None),
    ],
)
def test_what_a_receipt_proves(status, signed, accepted, state):
    assert proven(status, signed=signed, accepted=accepted) == state


def test_only_a_clear_asks_whose_message_failed_later():
    assert [how for how in ("first", "again", "cleared", "fresh") if sends_late_failures(how)] == ["cleared"]


@pytest.mark.parametrize(
    ("retryable", "unknown", "on_unknown", "has_receipts", "helps"),
    [
        (0, 0, "resend", True, False),
        (1, 0, "report", False, True),
        (0, 1, "report", False, False),
        (0, 1, "resend", False, True),
        (0, 1, "report", True, True),
    ],
)
def test_whether_another_try_could_end_better(retryable, unknown, on_unknown, has_receipts, helps):
    found = can_retry_help(
        retryable=retryable, unknown=unknown, on_unknown=on_unknown, has_receipts=has_receipts
    )
    assert found is helps


def test_a_message_that_was_sent_is_never_open_whatever_its_note_says():
    assert {state_of(Note("sent", again=again)) for again in (True, False)} == {"sent"}
    assert {state_of(Note("unknown", again=again)) for again in (True, False)} == {"unknown"}
