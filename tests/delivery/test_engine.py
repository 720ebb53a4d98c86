"""The engine against a real sandbox: each once, with a known end, whatever the network and the store do."""

from __future__ import annotations

import random
import sys
from collections import Counter

import pytest

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.delivery.claims import threads_for
from airflow_provider_whatsapp.delivery.stores import LedgerError


def reached(sandbox):
    """How many messages each number got."""
    return Counter(message["to"] for message in sandbox.messages)


def refusal(code, **fields):
    return {
        "status": 400,
        "body": {"error": {"message": "no", "type": "OAuthException", "code": code}},
        "path": "/messages",
        **fields,
    }


def statuses(report):
    return Counter(outcome.status for outcome in report.outcomes)


def test_each_recipient_gets_one_message_and_the_report_keeps_their_order(deliver, sandbox, people):
    report = deliver(people(60))

    assert reached(sandbox) == dict.fromkeys(people(60), 1)
    assert [outcome.to for outcome in report.outcomes] == people(60)
    assert all(outcome.sent.message_id.startswith("wamid.") for outcome in report.outcomes)


def test_a_second_try_sends_nothing_to_whoever_was_sent_to(deliver, sandbox, people):
    deliver(people(30))
    report = deliver(people(30), number=2)

    assert len(sandbox.messages) == 30
    assert report.count("sent") == 30


def test_one_recipient_s_refusal_is_theirs_alone(deliver, sandbox, people):
    sandbox.fail_next("status", **refusal(131026, to=people(20)[7]))
    report = deliver(people(20))

    assert statuses(report) == {"sent": 19, "failed": 1}
    assert report.outcomes[7].error.code == 131026
    assert not report.again


def test_a_retry_sends_to_those_that_were_refused_for_a_time(deliver, sandbox, people):
    sandbox.fail_next("status", **refusal(131056, to=people(20)[7]))
    first = deliver(people(20))
    second = deliver(people(20), number=2)

    assert (first.count("failed"), first.again) == (1, 1)
    assert second.count("sent") == 20
    assert reached(sandbox) == dict.fromkeys(people(20), 1)


@pytest.mark.parametrize("policy", ["report", "resend"])
def test_a_lost_answer_follows_the_policy(deliver, sandbox, people, policy):
    sandbox.fail_next("drop_after", to=people(10)[4])
    first = deliver(people(10), on_unknown=policy)
    second = deliver(people(10), number=2, on_unknown=policy)

    assert statuses(first) == {"sent": 9, "unknown": 1}
    assert second.outcomes[4].status == ("unknown" if policy == "report" else "sent")
    assert reached(sandbox)[people(10)[4]] == (1 if policy == "report" else 2)


@pytest.mark.parametrize(("code", "most"), [(132001, 1), (131031, 1), (190, 1), (130429, 1), (4, 1)], ids=str)
def test_what_all_would_meet_is_met_once(deliver, sandbox, people, code, most):
    sandbox.fail_next("status", **refusal(code, times=0))
    report = deliver(people(50))

    assert len(sandbox.requests_to("/messages")) <= most
    assert report.stopped.code == code
    assert statuses(report) == {"failed": 1, "skipped": 49}
    assert report.reasons == {"stopped": 49}


def test_a_run_of_the_same_failure_ends_the_delivery_in_the_middle(deliver, sandbox, people):
    sandbox.fail_next("status", **refusal(130429, times=0, skip=100))
    report = deliver(people(1000))

    assert report.count("sent") == 100
    assert len(sandbox.requests_to("/messages")) < 130
    assert report.total == 1000

    sandbox.reset()
    report = deliver(people(1000), number=2)
    assert report.count("sent") == 1000
    assert len(sandbox.messages) == 900


@pytest.mark.parametrize(("faults", "failed"), [({"skip": 5}, 1), ({"every": 2, "times": 0}, 30)])
def test_failures_between_messages_that_are_accepted_end_nothing(deliver, sandbox, people, faults, failed):
    sandbox.fail_next("status", **refusal(130429, **faults))
    report = deliver(people(60), threads=1)

    assert report.stopped is None
    assert statuses(report) == {"sent": 60 - failed, "failed": failed}


def test_a_service_that_is_down_does_not_make_everybody_unknown(deliver, sandbox, people):
    sandbox.fail_next("status", status=503, times=0, path="/messages")
    report = deliver(people(200))

    assert report.count("unknown") <= 16
    assert report.count("skipped") == 200 - report.count("unknown")


def test_refusals_of_single_recipients_never_end_it(deliver, sandbox, people):
    sandbox.fail_next("status", **refusal(131026, times=0))
    report = deliver(people(40))

    assert statuses(report) == {"failed": 40}


def test_after_a_clear_those_who_were_refused_are_tried_again(deliver, sandbox, people):
    sandbox.fail_next("status", **refusal(131026, to=people(9)[0]))
    deliver(people(9))
    assert deliver(people(9), number=2).count("failed") == 1
    assert deliver(people(9), number=3, max_tries=2, begin="cleared").count("sent") == 9
    assert reached(sandbox) == dict.fromkeys(people(9), 1)


def test_a_message_that_cannot_be_made_fails_that_row(deliver, sandbox, people):
    def prepare(row):
        if row.position == 3:
            raise PayloadError("is empty", field="body")
        if row.position == 5:
            raise KeyError(row.to)
        return Text("hello")

    report = deliver(people(8), prepare=prepare, varied=True)

    assert statuses(report) == {"sent": 6, "failed": 2}
    assert people(8)[5] not in str(report.outcomes[5].error)


def test_stopping_from_outside_leaves_the_rest_for_the_next_try(deliver, sandbox, people):
    sent = []

    def take(row, outcome):
        sent.append(outcome)
        if len(sent) == 20:
            delivery.stop()

    def remember(made):
        nonlocal delivery
        delivery = made

    delivery = None
    first = deliver(people(100), take=take, stop=remember)
    second = deliver(people(100), number=2)

    assert 20 <= first.count("sent") < 60
    assert first.total == 100
    assert second.count("sent") == 100
    assert reached(sandbox) == dict.fromkeys(people(100), 1)


class Interrupted(BaseException):
    """Like Airflow's time-out: it comes from nowhere, and no `except Exception` sees it."""


@pytest.mark.parametrize("at", [1, 13, 29])
def test_a_time_out_between_the_answer_and_the_commit_repeats_nothing(deliver, sandbox, people, at):
    seen = []

    def take(row, outcome):
        seen.append(outcome)
        if len(seen) == at:
            raise Interrupted

    with pytest.raises(Interrupted):
        deliver(people(60), take=take)
    report = deliver(people(60), number=2)

    counts = reached(sandbox)
    assert max(counts.values()) == 1
    assert report.count("sent") + report.count("unknown") == 60
    assert report.count("unknown") <= 16


class FailingStore:
    """Refuses some writes; with ``late`` it has written before it says so, as a lost answer looks."""

    name, durable, exclusive = "a failing store", True, True

    def __init__(self, inner, seed):
        self.inner, self.random = inner, random.Random(seed)

    def get(self, key):
        return self.inner.get(key)

    def set(self, key, value):
        chance = self.random.random()
        if chance < 0.2:
            raise OSError("refused")
        self.inner.set(key, value)
        if chance < 0.3:
            raise TimeoutError("late")


@pytest.mark.parametrize("seed", range(8))
def test_a_failing_store_never_lets_anything_leave_unclaimed(
    deliver, client, sandbox, people, store, monkeypatch, seed
):
    """Tries go on until one comes to its end; the store fails at random in each of them."""
    fixtures = sys.modules[deliver.__module__]

    failing = FailingStore(store, seed)
    made = fixtures.Ledger
    monkeypatch.setattr(fixtures, "Ledger", lambda _, **options: made(failing, **options))
    report, number, errors, unclaimed = None, 0, [], []

    def send(to, message):
        if people(120).index(to) not in store.get("head")["claimed"]:
            unclaimed.append(to)
        return client.messages.send(to, message)

    while report is None:
        number += 1
        try:
            report = deliver(people(120), number=number, send=send, away=0)
        except LedgerError as error:
            errors.append(str(error))

    assert errors, "the store is to fail at least once"
    assert unclaimed == []
    assert all("could not be written" in error for error in errors)

    counts = reached(sandbox)
    assert max(counts.values()) == 1
    assert report.total == 120
    known = {outcome.to for outcome in report.outcomes if outcome.status == "sent"}
    assert known <= set(counts), "who is called sent has the message"
    missing = set(people(120)) - set(counts)
    assert missing <= {outcome.to for outcome in report.outcomes if outcome.status == "unknown"}
    assert report.count("unknown") <= 16 * number


@pytest.mark.parametrize(
    ("rate", "total", "shards", "threads"),
    [
        pytest.param(10, 1000, 1, 8, id="the whole rate"),
        pytest.param(10, 1000, 2, 8, id="each of two may be alone"),
        pytest.param(20, 1000, 8, 4, id="a quarter of the rate"),
        pytest.param(10, 1000, 100, 2, id="no fewer than two"),
        pytest.param(100, 1000, 1, 32, id="no more than the connections"),
        pytest.param(0, 1000, 8, 8, id="no limit"),
        pytest.param(10, 3, 1, 1, id="a short list keeps its order"),
    ],
)
def test_requests_at_a_time(rate, total, shards, threads):
    assert threads_for(rate, total, shards) == threads
