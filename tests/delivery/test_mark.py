"""Where no ledger lasts: a mark says that a try has begun to send and did not come to a good end."""

from __future__ import annotations

import json

import pytest

from airflow_provider_whatsapp.delivery.ledger import Job, Ledger, Note, Try
from airflow_provider_whatsapp.delivery.stores import LedgerError, MarkedMemory

TASK = ("dag", "run", "task", "-1")
JOB = Job("source", "message", 3)


class Variables:
    """Like Airflow's: a failure of ``set`` is logged, not raised."""

    def __init__(self):
        self.values, self.calls, self.broken = {}, [], False

    def get(self, key, default=None):
        self.calls.append("get")
        return self.values.get(key, default)

    def set(self, key, value, description=None):
        self.calls.append("set")
        if not self.broken:
            self.values[key] = value

    def delete(self, key):
        self.calls.append("delete")
        self.values.pop(key, None)


@pytest.fixture
def variables():
    return Variables()


def begun(variables, number=1, max_tries=2, *, resend=False):
    store = MarkedMemory(variables, TASK)
    admitted = store.admit(number, max_tries, resend_on_clear=resend)
    ledger = Ledger(store, pauses=())
    assert ledger.begin(JOB, Try(number, max_tries)) == "first"
    return ledger, admitted


def sending(variables, **options):
    ledger, _ = begun(variables, **options)
    ledger.claim([(0, "")])
    ledger.flush()
    return ledger


def test_a_process_that_dies_while_it_sends_stops_the_next_try(variables):
    sending(variables)

    with pytest.raises(LedgerError, match="had begun to send when it ended") as caught:
        begun(variables, 2)
    assert caught.value.permanent
    (key,) = variables.values
    assert key in str(caught.value), "the error names the Variable"
    assert json.loads(variables.values[key])["task_id"] == "task"


@pytest.mark.parametrize(
    ("resend", "advice"),
    [
        (True, "Clear the task to send to everybody again."),
        (False, "Clear the task with resend_on_clear=True to send to everybody again."),
    ],
    ids=["a clear sends again", "a clear does not"],
)
def test_the_advice_names_no_argument_that_is_not_needed(variables, resend, advice):
    """Questions ask again after a clear, and do not take ``resend_on_clear``."""
    sending(variables, resend=resend)

    with pytest.raises(LedgerError) as caught:
        begun(variables, 2, resend=resend)

    assert advice in str(caught.value)


def test_before_anything_is_claimed_there_is_no_mark(variables):
    ledger, _ = begun(variables)
    ledger.keep("media", "1")
    ledger.flush()

    assert variables.calls == []
    begun(variables, 2)


def test_the_mark_is_there_before_a_claim_counts(variables):
    variables.broken = True
    ledger, _ = begun(variables)
    ledger.claim([(0, "")])

    with pytest.raises(LedgerError, match="could not be written"):
        ledger.flush()


@pytest.mark.parametrize(
    ("note", "outcome", "left"),
    [
        (Note("sent"), "success", False),
        (Note("failed", {"code": 131056}, again=True), "failed", False),
        (Note("sent"), "failed", True),
        (Note("unknown"), "failed", True),
    ],
)
def test_it_goes_with_a_good_end_or_when_nobody_was_reached(variables, note, outcome, left):
    ledger = sending(variables)
    ledger.record(0, note)
    ledger.finish(outcome)

    assert bool(variables.values) is left


def test_it_costs_three_requests_for_a_task(variables):
    ledger = sending(variables)
    for position in (1, 2):
        ledger.record(position - 1, Note("sent"))
        ledger.claim([(position, "")])
        ledger.flush()
    ledger.record(2, Note("sent"))
    ledger.finish("success")

    assert variables.calls == ["set", "get", "delete"]


def test_a_clear_goes_on_only_when_the_user_says_so(variables):
    sending(variables)

    with pytest.raises(LedgerError):
        begun(variables, 2, max_tries=3)
    with pytest.raises(LedgerError):
        begun(variables, 2, max_tries=2, resend=True)  # a retry is no clear
    assert begun(variables, 2, max_tries=3, resend=True)[1] is True


def test_a_cleared_task_that_dies_again_stops_its_retry(variables):
    sending(variables)
    sending(variables, number=2, max_tries=3, resend=True)

    with pytest.raises(LedgerError):
        begun(variables, 3, max_tries=3, resend=True)


def test_the_first_try_of_a_run_looks_for_no_mark(variables):
    """A run that was deleted and is made again begins anew, as it does with Airflow's own store."""
    sending(variables)

    assert begun(variables, 1)[1] is False


def test_each_task_has_a_mark_of_its_own(variables):
    keys = {MarkedMemory(variables, (*TASK[:3], str(index))).key for index in range(3)}

    assert len(keys) == 3
    assert all(len(key) < 60 for key in keys)
