"""How far messages have got after WhatsApp accepted them, and the report that counts it."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from airflow_provider_whatsapp.client.error_codes import look_up
from airflow_provider_whatsapp.client.masking import clean_line, mask_numbers
from airflow_provider_whatsapp.client.resources.messages import SentMessage
from airflow_provider_whatsapp.delivery.callback_data import parse_callback_data
from airflow_provider_whatsapp.delivery.evidence import code_in, error_of, has_failed, names, proves
from airflow_provider_whatsapp.delivery.report import SHOWN_FAILURES, Outcome, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from airflow_provider_whatsapp.client.errors import WhatsAppError
    from airflow_provider_whatsapp.delivery.ledger import Note
    from airflow_provider_whatsapp.events.receipts import Counts, Receipt
    from airflow_provider_whatsapp.events.store import EventStore

WaitFor = Literal["accepted", "sent", "delivered", "read"]
STEPS: tuple[WaitFor, ...] = ("accepted", "sent", "delivered", "read")
"""The steps of a message; a message that has reached one has reached all before it."""
NAMED = 10
"""The most recipients that one error names; the log and the report name the others."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """How far one message has got."""

    status: str  # accepted, sent, delivered, read or failed
    message_id: str
    error: WhatsAppError | None = None
    clears_up: bool = True  # resolves a message whose answer was lost; an unsigned failure does not
    certain: bool = True  # a signed receipt says so, or WhatsApp's message history does

    def is_settled(self, wait_for: str) -> bool:
        """Return whether the wait for this message to reach a status is over."""
        return self.status == "failed" or STEPS.index(_step(self.status)) >= STEPS.index(_step(wait_for))


def _step(word: str) -> WaitFor:
    return next((step for step in STEPS if step == word), "accepted")


class Arrivals(Protocol):
    """A source that knows how far messages have got."""

    def find(self, outcome: Outcome, position: int) -> Arrival | None:
        """Return what is known of one recipient's message; call it in the order of the recipients."""


def settled(counts: Counts, wait_for: str) -> int:
    """Return the number of messages for which the wait to reach a status is over."""
    far = {"sent": counts.sent, "delivered": counts.delivered, "read": counts.read}
    return counts.failed + sum(far[step] for step in STEPS[max(1, STEPS.index(_step(wait_for))) :])


class StoreArrivals:
    """The event store's receipts for a send whose messages carry this package's callback data."""

    def __init__(self, store: EventStore, send_hash: str, since: int) -> None:
        self._since = since  # the first epoch that counts
        self._positions = _by_position(store, send_hash)
        self._next = next(self._positions, None)

    def find(self, outcome: Outcome, position: int) -> Arrival | None:
        """Return what is known of one recipient's message; call it with rising positions."""
        while self._next is not None and self._next[0] < position:
            self._next = next(self._positions, None)
        if self._next is None or self._next[0] != position:
            return None
        found = _furthest([each for each in self._next[1] if names(each, outcome.to)], self._since)
        carried = parse_callback_data(outcome.callback_data or "")
        if found is None or (carried is not None and _is_older(found, carried[1])):
            return None
        return _of_receipt(found)


def _by_position(store: EventStore, send_hash: str) -> Iterator[tuple[int, list[Receipt]]]:
    from airflow_provider_whatsapp.events.receipts import read_receipts

    receipts = read_receipts(store, send_hash)
    for position, own in itertools.groupby(receipts, key=lambda receipt: receipt.position or 0):
        yield position, list(own)


def _epoch(receipt: Receipt) -> int:
    return receipt.epoch or 0  # a receipt that was found by its send has an epoch


def _furthest(receipts: Sequence[Receipt], since: int) -> Receipt | None:
    """Return the furthest receipt of a position, among the epochs that count."""
    own = (receipt for receipt in receipts if _epoch(receipt) >= since)
    return max(own, key=lambda receipt: receipt.order, default=None)


def _is_older(receipt: Receipt, epoch: int) -> bool:
    """Return whether a receipt is about an earlier message that did not arrive."""
    return _epoch(receipt) < epoch and receipt.status not in ("delivered", "read")


def _of_receipt(receipt: Receipt) -> Arrival:
    error = None
    if receipt.status == "failed":
        error = error_of(receipt)
    return Arrival(receipt.status, receipt.message_id, error, proves(receipt), receipt.verified)


class KnownArrivals:
    """What is known of single messages, by their wamids."""

    def __init__(self, found: Mapping[str, Arrival]) -> None:
        self._found = found

    def find(self, outcome: Outcome, position: int) -> Arrival | None:
        """Return what is known of one recipient's message; the position is not used."""
        return None if outcome.sent is None else self._found.get(outcome.sent.message_id)


def arrivals_in_store(store: EventStore, message_ids: Sequence[str]) -> dict[str, Arrival]:
    """Return how far single messages have got, from the event store; raises StoreError if the store fails."""
    from airflow_provider_whatsapp.events.receipts import receipts_of

    return {name: _of_receipt(found) for name, found in receipts_of(store, message_ids).items()}


def arrivals_in_history(
    status_of: Callable[[str], Mapping[str, Any]], message_ids: Sequence[str]
) -> dict[str, Arrival]:
    """Return how far single messages have got, from WhatsApp's message history; one request for each."""
    from airflow_provider_whatsapp.client.errors import NotFoundError

    found = {}
    for message_id in message_ids:
        try:
            fact = status_of(message_id)
        except NotFoundError as error:
            if error.http_status is not None:  # the endpoint refuses, not only this message
                raise
            continue
        status = "failed" if fact.get("status") == "deleted" else str(fact.get("status"))
        why = _of_history(fact.get("error")) if status == "failed" else None
        found[message_id] = Arrival(status, message_id, why)
    return found


def _of_history(said: Any) -> WhatsAppError:
    """Return the error for a text that may begin with WhatsApp's code in brackets."""
    text = str(said or "no reason was given")
    code = code_in(text)
    known = look_up(code)
    return known.error(
        f"WhatsApp accepted the message and could not deliver it: {clean_line(text)}",
        code=code,
        advice=known.advice,
        permanent=True,
    )


def late_failures(store: EventStore, send_hash: str, since: int) -> Iterator[tuple[int, int, Note]]:
    """Yield position, epoch and note of recipients whose message WhatsApp accepted and certainly did not deliver."""
    for position, receipts in _by_position(store, send_hash):
        found = _furthest(receipts, since)
        # Unsigned receipts do not count: anyone who knows the receiver's URL could have a message sent twice.
        if found is not None and has_failed(found):
            yield position, _epoch(found), Outcome("", "failed", error=error_of(found)).to_note()


def late_failures_by_id(
    found: Mapping[str, Arrival], sent: Mapping[str, tuple[int, int]]
) -> Iterator[tuple[int, int, Note]]:
    """Yield the results of :func:`late_failures` for messages that are known by their IDs."""
    for message_id, arrival in found.items():
        if arrival.status == "failed" and arrival.certain:
            position, epoch = sent[message_id]
            error = arrival.error or _of_history(None)
            yield position, epoch, Outcome("", "failed", error=error).to_note()


@dataclass(slots=True)
class ArrivalReport(Report):
    """A report that also counts how far the messages have got."""

    # ``sent`` counts everybody who was sent to and whose message has not failed since; ``delivered`` is a part of them,
    # and ``read`` a part of that.
    arrivals: Arrivals | None = None  # None: nothing is known yet
    wait_for: str = "delivered"  # the status that the messages have to reach
    by_id: bool = False  # messages are looked up by their IDs, so one without an ID cannot be found
    accepted: int = 0
    awaited: int = 0
    unsettled: int = 0
    ids: list[str] = field(default_factory=list)
    steps: Counter[str] = field(default_factory=Counter)
    late: list[tuple[str, WhatsAppError]] = field(default_factory=list)
    late_count: int = 0

    def add(self, outcome: Outcome, position: int) -> None:
        """Count an outcome, with what is known of its message by now."""
        if outcome.status in ("sent", "unknown"):
            found = self.arrivals.find(outcome, position) if self.arrivals is not None else None
            if outcome.status == "unknown" and found is not None and not found.clears_up:
                found = None
            self.accepted += outcome.status == "sent" or found is not None
            if outcome.sent is not None or not self.by_id:
                self.awaited += 1
                self.unsettled += found is None or not found.is_settled(self.wait_for)
            if outcome.sent is not None and len(self.ids) < SHOWN_FAILURES:
                self.ids.append(outcome.sent.message_id)
            if found is not None:
                outcome = self._arrived(outcome, found)
        Report.add(self, outcome, position)

    def _arrived(self, outcome: Outcome, found: Arrival) -> Outcome:
        if found.status == "failed":
            error = found.error or _of_history(None)
            self.late_count += 1
            if len(self.late) < SHOWN_FAILURES:
                self.late.append((outcome.to, error))
            return replace(outcome, status="failed", error=error)
        step = _step(found.status)
        for each in STEPS[1 : STEPS.index(step) + 1]:
            self.steps[each] += 1
        sent = outcome.sent or SentMessage(message_id=found.message_id, wa_id=None, to=outcome.to)
        reached = step if step in ("delivered", "read") else None
        return replace(outcome, status="sent", sent=sent, error=None, reached=reached)

    @property
    def pending(self) -> int:
        """The number of messages that were sent, have not failed, and are not known to have reached the status."""
        return self.count("sent") - self.steps[self.wait_for]

    @property
    def metrics(self) -> dict[str, int]:
        """The counts that the end of a wait adds to the metrics ``whatsapp.<name>``."""
        far = {step: self.steps[step] for step in STEPS[2:]}
        return far | {"pending": self.pending, "failed": self.late_count}

    def summary(self) -> str:
        """Return the counts as a sentence."""
        far = [f"{self.steps[step]} {step}" for step in STEPS[2:]]
        return f"{Report.summary(self)}; of {self.accepted} accepted {', '.join(far)}, {self.pending} pending"

    def named(self, show: Callable[[str], str]) -> str:
        """Return who did not get an accepted message, and why, a sentence for each reason; empty: everybody did."""
        by_reason: dict[str, list[str]] = {}
        for to, error in self.late:
            by_reason.setdefault(mask_numbers(str(error)), []).append(show(to))  # show masks a number
        sentences = []
        for reason, who in by_reason.items():
            more = f" and {len(who) - NAMED} more" if len(who) > NAMED else ""
            sentences.append(f"Not delivered to {', '.join(who[:NAMED])}{more}: {reason}")
        return " ".join(sentences)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON primitives for XCom."""
        row = Report.to_dict(self)
        results = row.pop("results")
        counts = {"delivered": self.steps["delivered"], "read": self.steps["read"], "pending": self.pending}
        return row | {"accepted": self.accepted, **counts, "results": results}
