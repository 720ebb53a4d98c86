"""What a receipt proves of a message whose answer was lost, and what the ledger keeps of it."""

from __future__ import annotations

import pytest

from airflow_provider_whatsapp.client.error_codes import look_up
from airflow_provider_whatsapp.client.errors import OutcomeUnknownError, RecipientError
from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.client.resources.messages import SentMessage
from airflow_provider_whatsapp.delivery.callback_data import make_callback_data
from airflow_provider_whatsapp.delivery.engine import Delivery, Rules
from airflow_provider_whatsapp.delivery.evidence import LostAnswers, code_in, error_of, names, proof
from airflow_provider_whatsapp.delivery.ledger import Job, Ledger, Note, Try
from airflow_provider_whatsapp.delivery.recipients import Row
from airflow_provider_whatsapp.delivery.report import Report
from airflow_provider_whatsapp.delivery.stores import MemoryStore
from airflow_provider_whatsapp.events.receipts import Receipt
from tests.time_limits import ends

KEY, TO = "k" * 22, "15550001111"
T0 = "a time"


def receipt(status="delivered", *, epoch=1, recipient=TO, verified=True, message_id="wamid.late", **fields):
    return Receipt(
        send_hash=KEY,
        epoch=epoch,
        position=0,
        message_id=message_id,
        **{"recipient": recipient, "status": status, "verified": verified, **fields},
    )


PROOFS = {
    "accepted": (receipt("accepted"), "sent"),
    "sent": (receipt("sent"), "sent"),
    "delivered": (receipt("delivered"), "sent"),
    "read": (receipt("read"), "sent"),
    "unsigned, but it says sent": (receipt("sent", verified=False), "sent"),
    "names nobody": (receipt("sent", recipient=None), "sent"),
    "failed": (receipt("failed", error_code=131026), "failed"),
    "unsigned failure": (receipt("failed", verified=False), "unknown"),
    "unsigned failure of what was sent on": (receipt("failed", verified=False, sent_at=T0), "sent"),
    "another person": (receipt("delivered", recipient="15550002222"), "unknown"),
    "another person's failure": (receipt("failed", recipient="15550002222"), "unknown"),
    "an earlier message": (receipt("delivered", epoch=0), "unknown"),
    "a later message": (receipt("delivered", epoch=2), "unknown"),
    "none": (None, "unknown"),
}


class Lasting:
    """A ledger's store that outlives the tries of a test."""

    def __init__(self):
        self.store = MemoryStore()
        self.store.durable = True

    def run(self, number, send, *, receipts=(), max_tries=0, **rules):
        ledger = Ledger(self.store, pauses=())
        ledger.begin(Job("source", "message", 1), Try(number, max_tries))
        asked = []

        def find(positions):
            asked.append(list(positions))
            return {0: list(receipts)} if receipts else {}

        delivery = Delivery(
            ledger,
            lambda row: Text("hello"),
            send,
            rules=Rules(**rules),
            callback_data=lambda row, epoch: make_callback_data(KEY, epoch, row.position),
            clear_up=LostAnswers(ledger, find),
        )
        with ends(delivery):
            report = delivery.run([Row(0, TO)], Report(limit=None))
        (outcome,) = report.outcomes
        return outcome, asked


def lose(to, message, **options):
    raise OutcomeUnknownError("the connection broke")


def accept(to, message, **options):
    return SentMessage(message_id="wamid.second", wa_id=None, to=to)


def never(to, message, **options):
    raise AssertionError("nobody is to be sent to")


@pytest.mark.parametrize(("found", "status"), PROOFS.values(), ids=list(PROOFS))
def test_a_retry_clears_up_whose_answer_was_lost_and_sends_to_nobody(found, status):
    task = Lasting()
    assert task.run(1, lose)[0].status == "unknown"
    outcome, asked = task.run(2, never, receipts=[found] if found else ())
    again, _ = task.run(3, never)

    assert (outcome.status, again.status, asked) == (status, status, [[0]])
    assert outcome.callback_data == again.callback_data == make_callback_data(KEY, 1, 0), (
        "of the try that sent it"
    )
    if status == "sent":
        assert outcome.sent.message_id == again.sent.message_id == "wamid.late"
    if status == "failed":
        assert (outcome.error.code, outcome.again, outcome.error.permanent) == (131026, False, True)


@pytest.mark.parametrize(
    ("found", "sent"),
    [
        (receipt("delivered"), False),
        (receipt("delivered", verified=False), False),
        (receipt("failed"), True),
        (receipt("failed", verified=False), False),
        (None, False),
    ],
    ids=["delivered", "delivered-unsigned", "failed", "failed-unsigned", "none"],
)
def test_a_clear_sends_to_whom_a_signed_failure_names_and_to_nobody_else(found, sent):
    task = Lasting()
    task.run(1, lose)
    outcome, _ = task.run(
        2, accept if sent else never, receipts=[found] if found else (), max_tries=1, begin="cleared"
    )

    assert (outcome.sent is not None and outcome.sent.message_id == "wamid.second") is sent


def test_with_resend_only_those_are_sent_to_whom_no_receipt_names():
    named, unnamed = Lasting(), Lasting()
    for task in (named, unnamed):
        task.run(1, lose)

    assert (
        named.run(2, never, receipts=[receipt("sent")], on_unknown="resend")[0].sent.message_id
        == "wamid.late"
    )
    assert unnamed.run(2, accept, on_unknown="resend")[0].sent.message_id == "wamid.second"


def test_without_anybody_to_ask_about_nothing_is_asked_for():
    task = Lasting()
    assert task.run(1, accept)[1] == [[]]


def test_of_several_messages_what_was_signed_counts_then_what_arrived():
    forged = receipt("read", verified=False, message_id="wamid.forged")
    ours = receipt("failed", message_id="wamid.ours")

    assert proof([forged, ours], epoch=1, to=TO) is ours
    assert proof([forged, receipt("sent", verified=False)], epoch=1, to=TO) is forged


@pytest.mark.parametrize(
    ("recipient", "to", "same"),
    [
        ("15550001111", "15550001111", True),
        ("15550001111", "15550001112", False),
        (None, "15550001111", True),
        ("525512345678", "5215512345678", True),
        ("5491123456789", "541123456789", True),
        ("551187654321", "5511987654321", True),
        ("15550001111", "US.13491208655302741918", True),
    ],
    ids=["same", "another", "unnamed", "mexico", "argentina", "brazil", "id"],
)
def test_a_receipt_names_a_person_by_whichever_spelling(recipient, to, same):
    assert names(receipt(recipient=recipient), to) is same


def test_a_late_failure_is_the_error_that_its_code_is_on_a_refusal():
    known = error_of(
        receipt("failed", error_code=131026, error_title="Undeliverable", error_details="Not there.")
    )
    bare = error_of(receipt("failed"))

    assert isinstance(known, RecipientError)
    assert str(known).startswith(
        "WhatsApp accepted the message and could not deliver it: Undeliverable [code 131026] Not there."
    )
    assert known.advice
    assert known.details == "Not there."
    assert (bare.code, bare.permanent, "no reason was given" in str(bare)) == (None, True, True)
    later = error_of(receipt("failed", error_code=130429))
    assert later.permanent, "no retry repeats a message that was accepted"
    assert f"could not deliver it: {look_up(130429).meaning}" in str(later)


@pytest.mark.parametrize(("epoch", "found"), [(None, 2), (1, 1), (2, 2), (3, None)])
def test_where_the_epoch_is_not_known_any_counts(epoch, found):
    receipts = [receipt("sent", epoch=1), receipt("read", epoch=2)]
    proven = proof(receipts, epoch=epoch, to=TO)
    assert (proven and proven.epoch) == found


def test_those_who_are_cleared_up_are_counted():
    ledger = Ledger(MemoryStore())
    ledger.begin(Job("source", "message", 4), Try(1))
    receipts = {
        0: [receipt("read", epoch=0)],
        1: [receipt("failed", epoch=3, error_code=131026)],
        2: [receipt("sent", epoch=1)],
    }
    answers = LostAnswers(ledger, lambda positions: receipts)
    facts = [{}, {"epoch": 3}, {}, {"epoch": 1}]
    notes = [answers(Row(n, TO), Note("unknown", facts[n])) for n in range(4)]

    assert [note.status for note in notes] == ["sent", "failed", "unknown", "unknown"]
    assert [note.facts.get("epoch") for note in notes] == [0, 3, None, 1]
    assert (answers.accepted, answers.failed) == (1, 1)
    assert (notes[0].facts["wa_id"], notes[0].facts["message_id"]) == (TO, "wamid.late")


CODES = {
    "(#131047) Re-engagement": 131047,
    "(#123456789) the longest": 123456789,
    "(#1234567890) too long": None,
    "131047) no bracket": None,
    "(#x) a word": None,
    "(#\u0661) a digit of another script": None,
    "(#) nothing": None,
    "": None,
}


@pytest.mark.parametrize(("said", "code"), CODES.items(), ids=range(len(CODES)))
def test_the_code_that_a_text_of_the_history_begins_with(said, code):
    assert code_in(said) == code
