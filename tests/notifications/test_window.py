"""A text first, then the template; the buttons first, then the alert without them: who is sent what, and when not."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_whatsapp.client.errors import (
    NotSentError,
    OutcomeUnknownError,
    RecipientError,
    TemplateError,
    WhatsAppError,
)
from airflow_provider_whatsapp.client.resources.messages import SentMessage
from airflow_provider_whatsapp.notifications.recipient_gap import Slot
from airflow_provider_whatsapp.notifications.window import ButtonsFirst, Delivery, TextFirst, deliver

ANN, BOB = "15550000001", "15550000002"
CLOSED = 131047


class Gateway:
    """Takes messages; each meets the next of these outcomes."""

    def __init__(self, *outcomes):
        self.outcomes, self.sent = iter(outcomes), []

    def __call__(self, to, message):
        self.sent.append((to, message))
        if error := next(self.outcomes, None):
            raise error
        return SentMessage(message_id=f"wamid.{len(self.sent)}", wa_id=None, to=to)


class Gaps:
    """Gives a slot for each recipient at once, and keeps what it hears."""

    def __init__(self, left=0.0):
        self.heard, self.budget, self.seconds = [], self, left

    def left(self):
        return self.seconds

    def of(self, recipients):
        yield from map(Slot, recipients)

    def __getattr__(self, name):
        return lambda slot: self.heard.append((name, slot.to))


def text_first(gateway, *, text=True, template=True):
    return TextFirst(
        gateway, (lambda slot: "text") if text else None, (lambda slot: "template") if template else None
    )


def ended(steps):
    """Run steps that do not wait, and return what they return."""
    with pytest.raises(StopIteration) as end:
        next(steps)
    return end.value.value


REFUSED = {
    "a closed window": (RecipientError("no", code=CLOSED), True),
    "another cause": (RecipientError("no", code=131026), False),
    "no code": (NotSentError("no"), False),
    "a closed window, perhaps": (RecipientError("no", code=CLOSED, sent="unknown"), False),
    "a lost answer": (OutcomeUnknownError("lost"), False),
}


@pytest.mark.parametrize(("error", "followed"), REFUSED.values(), ids=REFUSED)
def test_a_refused_text_is_followed_by_the_template_where_the_window_is_closed_for_certain(error, followed):
    gateway = Gateway(error)
    both, slot = text_first(gateway), Slot(ANN)

    if followed:
        assert both(slot).message_id == "wamid.2"
    else:
        with pytest.raises(WhatsAppError) as found:
            both(slot)
        assert found.value is error
    assert gateway.sent == [("+" + ANN, "text"), ("+" + ANN, "template")][: 1 + followed]


@pytest.mark.parametrize("text", [True, False], ids=["text", "template"])
def test_what_has_nothing_to_follow_is_sent_once(text):
    error = RecipientError("no", code=CLOSED)
    gateway = Gateway(error)

    with pytest.raises(RecipientError):
        text_first(gateway, text=text, template=not text)(Slot(ANN))

    assert gateway.sent == [("+" + ANN, "text" if text else "template")]


def test_a_template_that_went_at_once_is_not_looked_after():
    gateway = Gateway(RecipientError("no", code=CLOSED))
    both, delivery = text_first(gateway), Delivery(1)
    both(Slot(ANN))

    assert ended(both.follow_up(delivery, Gaps(), lambda message_id: 1 / 0, seconds=5.0)) is delivery


def test_each_text_is_asked_for_by_its_own_id_and_those_that_failed_are_no_more_sent():
    gateway = Gateway()
    both, gaps = text_first(gateway), Gaps()
    both(Slot(ANN))
    both(Slot(BOB))
    answers = {
        "wamid.1": {"status": "failed", "error": "131026 undeliverable"},
        "wamid.2": {"status": "failed", "error": "131047 re-engage"},
    }

    delivery = ended(both.follow_up(Delivery(2, 1, [], ("x",)), gaps, answers.__getitem__, seconds=5.0))

    assert (delivery.sent, delivery.handed_over, delivery.missed) == (1, 1, ("x",))
    (error,) = delivery.errors
    assert (error.code, error.details) == (None, "131026 undeliverable")
    assert gateway.sent[2:] == [("+" + BOB, "template")]
    assert gaps.heard == [("answered", BOB), ("accepted", BOB)]


@pytest.mark.parametrize(
    ("error", "sent", "again"),
    [
        (None, ["buttons"], ["buttons"]),
        (TemplateError("paused"), ["buttons", "text"], ["text"]),
        (TemplateError("paused", sent="unknown"), ["buttons"], ["buttons"]),
        (RecipientError("no"), ["buttons"], ["buttons"]),
    ],
    ids=["accepted", "the template is refused", "it may have left", "the recipient is refused"],
)
def test_the_buttons_are_left_out_from_the_first_refusal_of_their_template_on(error, sent, again, caplog):
    gateway = Gateway(error)
    first = ButtonsFirst(gateway, lambda slot: "buttons", text_first(gateway))

    if error and len(sent) == 1:
        with pytest.raises(WhatsAppError):
            first(Slot(ANN))
    else:
        assert first(Slot(ANN)).message_id == f"wamid.{len(sent)}"
    assert [message for _, message in gateway.sent] == sent
    first(Slot(BOB))

    assert gateway.sent[len(sent) :] == [("+" + BOB, message) for message in again]
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == len(sent) - 1
    assert all("airflow_alert_ack" in line and "paused" in line for line in warnings)


def test_what_went_without_buttons_is_looked_after():
    gateway = Gateway(TemplateError("paused"))
    first = ButtonsFirst(gateway, lambda slot: "buttons", text_first(gateway))
    first(Slot(ANN))

    failed = {"status": "failed", "error": "131047"}
    delivery = ended(first.follow_up(Delivery(1), Gaps(), lambda message_id: failed, seconds=5.0))

    assert delivery == Delivery(1)
    assert [message for _, message in gateway.sent] == ["buttons", "text", "template"]


RECIPIENTS = [f"1555000{number:04}" for number in range(8)]


LINE, LOST = NotSentError("no way"), OutcomeUnknownError("lost")
ENDS = {
    "each is refused for good": ([RecipientError("no", permanent=True)] * 8, 8, 0),
    "each is refused for now": ([RecipientError("no", permanent=False)] * 8, 8, 8),
    "nobody knows of each": ([RecipientError("?", permanent=True, sent="unknown")] * 8, 8, 8),
    "the line, at once": ([LINE] * 8, 1, 8),
    "the template": ([TemplateError("no", permanent=True)] * 8, 1, 8),
    "lost answers": ([LOST] * 8, 5, 8),
    "the line, after an accepted message": ([None, *[LINE] * 7], 6, 7),
    "lost answers with an accepted message between": ([*[LOST] * 4, None, *[LOST] * 3], 8, 7),
    "the template, after accepted ones": ([None, None, TemplateError("no", permanent=True)], 3, 6),
}


@pytest.mark.parametrize(("outcomes", "tries", "missed"), ENDS.values(), ids=ENDS)
def test_failures_that_are_nobody_s_own_end_the_sending(outcomes, tries, missed):
    gateway, gaps = Gateway(*outcomes), Gaps()

    delivery = ended(deliver(gaps, RECIPIENTS, lambda slot: gateway(slot.to, "m")))

    assert [to for to, _ in gateway.sent] == RECIPIENTS[:tries]
    assert delivery.errors == [error for error in outcomes[:tries] if error]
    assert delivery.sent == outcomes[:tries].count(None)
    assert len(delivery.missed) == missed
    heard = [("give_back" if error else "accepted") for error in outcomes[:tries]]
    assert [event for event, _ in gaps.heard] == [each for last in heard for each in ("answered", last)]


def test_those_whose_message_waits_with_another_alert_are_not_sent_to():
    gaps, gateway = Gaps(), Gateway()
    gaps.of = lambda recipients: iter([Slot(ANN, handed_over=True), Slot(BOB)])

    assert ended(deliver(gaps, [ANN, BOB], lambda slot: gateway(slot.to, "m"))) == Delivery(1, 1)
    assert gateway.sent == [(BOB, "m")]


def test_an_error_of_our_own_is_an_unknown_outcome_without_its_words(caplog):
    def send(slot):
        raise ZeroDivisionError("+15550000001")

    gaps = Gaps()
    delivery = ended(deliver(gaps, [ANN], send))

    (error,) = delivery.errors
    assert (type(error), error.message) == (OutcomeUnknownError, "an unexpected ZeroDivisionError")
    assert (delivery.doubtful, delivery.failed, delivery.missed) == (True, True, (ANN,))
    assert gaps.heard == [("answered", ANN), ("give_back", ANN)]
    (line,) = caplog.records
    assert (line.levelno, "15550000001" in line.message) == (logging.ERROR, False)


@pytest.mark.parametrize(
    ("status", "left", "waits"),
    [
        (500, 1.0, [1.0]),
        (500, 0.9, []),
        (502, 3.0, [1.0, 2.0]),
        (502, 2.9, [1.0]),
        (503, 1.5, [1.0]),
        (504, 29.9, []),
        (504, 30.0, [30.0]),
        (None, 29.9, []),
    ],
)
def test_how_long_an_unknown_outcome_is_waited_for(status, left, waits):
    lost = OutcomeUnknownError("lost", http_status=status)
    gateway, gaps = Gateway(*[lost] * 9), Gaps(left)
    steps = deliver(gaps, [ANN], lambda slot: gateway(slot.to, "m"))

    for wait in waits:
        assert next(steps) == wait
        gaps.seconds -= wait
    delivery = ended(steps)

    assert delivery.errors == [lost]
    assert len(gateway.sent) == len(waits) + 1
    assert gaps.heard == [("answered", ANN)] * len(gateway.sent) + [("give_back", ANN)]


@pytest.mark.parametrize(
    ("delivery", "failed", "waits", "doubtful"),
    [
        (Delivery(), False, False, False),
        (Delivery(1), False, False, False),
        (Delivery(0, 1), False, True, False),
        (Delivery(1, 1), False, False, False),
        (Delivery(errors=[NotSentError("x")]), True, False, False),
        (Delivery(1, errors=[NotSentError("x")]), False, False, False),
        (Delivery(0, 1, [NotSentError("x")]), False, True, False),
        (Delivery(errors=[OutcomeUnknownError("x")]), True, False, True),
        (Delivery(1, errors=[NotSentError("x"), OutcomeUnknownError("x")]), False, False, True),
    ],
)
def test_what_a_delivery_says(delivery, failed, waits, doubtful):
    assert (delivery.failed, delivery.waits, delivery.doubtful) == (failed, waits, doubtful)
