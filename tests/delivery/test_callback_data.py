"""What a message carries so that any receipt finds its send: the same hash, a new epoch, its place in the list."""

from __future__ import annotations

import contextlib
import json
import re
import string
import threading
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_whatsapp.client.errors import OutcomeUnknownError, PayloadError
from airflow_provider_whatsapp.client.resources.messages import SentMessage
from airflow_provider_whatsapp.delivery.callback_data import (
    CallbackData,
    key_hash,
    make_callback_data,
    parse_callback_data,
)
from airflow_provider_whatsapp.delivery.ledger import Job, Ledger, LedgerError, Try
from airflow_provider_whatsapp.delivery.recipients import Recipients, Row
from airflow_provider_whatsapp.delivery.report import Outcome
from airflow_provider_whatsapp.delivery.stores import FileStore, MemoryStore

JOB = Job("source", "message", 3)
KEY = key_hash("dag", "run", "task", "-1")
ALPHABET = frozenset(string.ascii_letters + string.digits + "-_")


@given(st.lists(st.text(), max_size=4))
def test_a_hash_has_22_characters_of_a_url_and_says_nothing_of_its_names(names):
    key = key_hash(*names)

    assert len(key) == 22
    assert ALPHABET.issuperset(key)
    assert key == key_hash(*names)
    assert key != key_hash(*names, "")


def test_the_hash_is_that_of_earlier_versions():
    # What a store has kept is joined by it.
    assert key_hash("nightly", "manual__2026-11-28", "send", "-1") == "JJg-i9N6FZB3mWbVN1Bc5g"


@given(st.integers(0, 10**9 - 1), st.integers(0, 10**9 - 1))
def test_what_is_written_is_read(epoch, position):
    text = make_callback_data(KEY, epoch, position)

    assert re.fullmatch(r"awp1\.[A-Za-z0-9_-]{22}\.\d+\.\d+", text)
    assert parse_callback_data(text) == (KEY, epoch, position)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "run-1",
        f"awp1.{KEY}.1",
        f"awp2.{KEY}.1.1",
        f"awp1.{KEY}x.1.1",
        f"awp1.{KEY}.1.1\n",
        f"awp1.{KEY}.-1.1",
    ],
    ids=range(7),
)
def test_what_others_have_written_is_not_ours(text):
    assert parse_callback_data(text) is None


def test_the_user_s_own_wins_and_takes_values_where_it_may():
    row = Row(7, "15550001111", {"id": "A-1"})

    assert CallbackData(KEY)(row, 3) == f"awp1.{KEY}.3.7"
    assert CallbackData(KEY, "order {id}")(row, 3) == "order {id}"
    assert CallbackData(KEY, "order {id}", varies=True)(row, 3) == "order A-1"


@pytest.mark.parametrize("own", ["", " ", "x" * 513], ids=["empty", "blank", "long"])
@pytest.mark.parametrize("varies", [True, False])
def test_an_own_one_that_meta_does_not_take_is_refused_at_once(own, varies):
    with pytest.raises(PayloadError, match="callback_data"):
        CallbackData(KEY, own, varies=varies)


@pytest.mark.parametrize("values", [{}, {"id": "x" * 513}], ids=["missing", "long"])
def test_an_own_one_that_a_row_is_not_good_for_is_the_row_s_failure(deliver, people, sandbox, values):
    rows = [{"to": people(2)[0], "id": "A-1"}, {"to": people(2)[1], **values}]
    carried = CallbackData(KEY, "{id}", varies=True)

    report = deliver(rows, callback_data=carried)

    assert [outcome.status for outcome in report.outcomes] == ["sent", "failed"]
    assert [each["payload"]["biz_opaque_callback_data"] for each in sandbox.messages] == ["A-1"]


# -- epochs


def begin(store, number=1, max_tries=0, **options):
    ledger = Ledger(store, pauses=())
    ledger.begin(JOB, Try(number, max_tries), **options)
    return ledger


@pytest.mark.parametrize("kind", ["exclusive", "files"])
def test_each_beginning_has_an_epoch_of_its_own(kind, tmp_path):
    store = MemoryStore() if kind == "exclusive" else FileStore(tmp_path, "dag", "run", "task", "-1")
    epochs = []
    for number, max_tries, options in (
        (1, 2, {}),
        (2, 2, {}),
        (2, 2, {}),  # deferred, and back
        (3, 5, {}),  # cleared
        (4, 8, {"resend_on_clear": True}),
    ):
        ledger = begin(store, number, max_tries, **options)
        epochs.append(ledger.epoch)
        ledger.flush()

    assert epochs == sorted(set(epochs))
    assert epochs[0] >= 1


def test_a_store_that_forgets_knows_the_number_of_the_try():
    assert begin(MemoryStore(), 3).epoch == 3


def test_a_ledger_of_an_earlier_version_has_no_epoch_and_goes_on():
    store = MemoryStore()
    ledger = begin(store)
    ledger.claim([(0, ""), (1, "")])
    ledger.flush()
    head = store.get("head")
    del head["epoch"]
    store.set("head", head)

    again = begin(store, 2)

    assert again.epoch == 2
    assert again.look_up(0).status == "unknown"
    assert "epoch" not in again.look_up(0).facts


# -- through a delivery


def test_each_message_carries_its_place_and_the_outcome_says_so(deliver, people, sandbox):
    taken = []
    deliver(
        people(3), callback_data=CallbackData(KEY), take=lambda row, outcome: taken.append((row, outcome))
    )

    carried = {each["to"]: each["payload"]["biz_opaque_callback_data"] for each in sandbox.messages}
    assert carried == {to: f"awp1.{KEY}.1.{place}" for place, to in enumerate(people(3))}
    assert {outcome.to: outcome.callback_data for _, outcome in taken} == carried


def test_without_it_nothing_is_carried(deliver, people, sandbox):
    deliver(people(2))

    assert all("biz_opaque_callback_data" not in each["payload"] for each in sandbox.messages)


@pytest.mark.parametrize(
    ("fault", "status", "carried"),
    [
        ({"kind": "drop_after"}, "unknown", f"awp1.{KEY}.1.0"),
        ({"kind": "status", "status": 400, "body": {"error": {"code": 131026}}}, "failed", None),
    ],
    ids=["lost", "refused"],
)
def test_what_may_have_left_is_known_by_it_and_what_has_not_is_not(
    deliver, people, sandbox, fault, status, carried
):
    sandbox.fail_next(**fault)

    report = deliver(people(1), callback_data=CallbackData(KEY))

    assert [(each.status, each.callback_data) for each in report.outcomes] == [(status, carried)]


def test_an_error_of_our_own_making_leaves_the_mark_too(deliver, people):
    def send(to, message, **options):
        raise RuntimeError

    report = deliver(people(1), callback_data=CallbackData(KEY), send=send)

    assert [(each.status, each.callback_data) for each in report.outcomes] == [("unknown", f"awp1.{KEY}.1.0")]


def test_a_retry_names_the_epoch_in_which_a_lost_message_left_and_sends_in_its_own(deliver, people, sandbox):
    people = people(3)
    sandbox.fail_next("drop_after", to=people[0])
    sandbox.fail_next("drop_before", to=people[1])
    first = deliver(people, callback_data=CallbackData(KEY), threads=1)
    assert [each.status for each in first.outcomes] == ["unknown", "unknown", "sent"]

    report = deliver(people, number=2, callback_data=CallbackData(KEY))
    again = deliver(people, number=3, on_unknown="resend", callback_data=CallbackData(KEY))

    assert [each.callback_data for each in report.outcomes][:2] == [f"awp1.{KEY}.1.{n}" for n in (0, 1)]
    assert [each.callback_data for each in again.outcomes][:2] == [f"awp1.{KEY}.3.{n}" for n in (0, 1)]
    assert [each["payload"]["biz_opaque_callback_data"] for each in sandbox.messages] == [
        f"awp1.{KEY}.{end}" for end in ("1.0", "1.2", "3.0", "3.1")
    ]


def test_a_claim_that_a_killed_try_has_left_is_known_by_its_epoch(deliver, people, store):
    rows = [{"to": to} for to in people(2)]
    found = Recipients(rows).survey()
    killed = Ledger(store, pauses=())
    killed.begin(Job(found.digest, "message", found.total), Try(4, 0))
    killed.claim([(0, "")])
    killed.flush()

    report = deliver(rows, number=5, callback_data=CallbackData(KEY))

    assert [(each.status, each.callback_data) for each in report.outcomes] == [
        ("unknown", f"awp1.{KEY}.4.0"),
        ("sent", f"awp1.{KEY}.5.1"),
    ]


def test_who_was_given_up_when_the_task_ended_is_known_by_it(deliver, people, monkeypatch):
    monkeypatch.setattr("airflow_provider_whatsapp.delivery.engine.GRACE", 0.2)
    running, taken, over = [], [], threading.Event()

    def send(to, message, **options):
        running[0].stop()
        over.wait(60)

    with contextlib.suppress(LedgerError):  # there may be no time left for the ledger either
        deliver(
            people(1),
            callback_data=CallbackData(KEY),
            send=send,
            stop=running.append,
            take=lambda _, outcome: taken.append(outcome),
        )
    over.set()

    assert [(each.status, each.callback_data) for each in taken] == [("unknown", f"awp1.{KEY}.1.0")]


def test_what_was_remembered_of_a_sent_message_brings_its_mark_and_its_endpoint():
    store = MemoryStore()
    ledger = Ledger(store, remember_sent=True, pauses=())
    ledger.begin(JOB, Try(1, 0))
    sent = SentMessage(message_id="wamid.1", wa_id="1", to="1", endpoint="marketing_messages")
    ledger.claim([(0, "")])
    ledger.record(0, Outcome("1", "sent", sent=sent).to_note())
    ledger.flush()

    assert store.get("head")["notes"][0][2] == {
        "message_id": "wamid.1",
        "wa_id": "1",
        "endpoint": "marketing_messages",
        "epoch": 1,
    }


def test_a_note_with_an_own_callback_data_keeps_nothing_of_it():
    own = "Ana's order"
    lost = Outcome("1", "unknown", error=OutcomeUnknownError("lost"), callback_data=own)

    assert own not in json.dumps(lost.to_note().facts)
    assert own not in repr(lost)
    assert own not in json.dumps(lost.to_dict()), "the report goes into XCom"


def test_every_outcome_of_the_results_file_that_may_have_left_has_it(tmp_path):
    from airflow_provider_whatsapp.delivery.results import Results

    results = Results(tmp_path / "r.jsonl", key="k", number=1, total=2)
    results.begin(start_over=True)
    row = SimpleNamespace(position=0, given="1", where="list:1", values={})
    results.take(row, Outcome("1", "unknown", error=OutcomeUnknownError("lost"), callback_data="awp1"))
    results.take(
        SimpleNamespace(**{**vars(row), "position": 1}), Outcome("2", "skipped", reason="suppressed")
    )
    results.finish()

    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [line.get("callback_data") for line in lines] == ["awp1", None]
