"""
A results file brought up to date: how far each message got, by the event store's receipts or by the message history.

The file is read and written line by line, so 100,000 recipients take the memory of a few hundred. A line never says
less than before: receipts come in any order, and old ones are deleted some day.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_whatsapp.client.errors import NotFoundError, PayloadError
from airflow_provider_whatsapp.delivery.callback_data import parse_callback_data
from airflow_provider_whatsapp.delivery.evidence import error_of, proof
from airflow_provider_whatsapp.delivery.result_lines import (
    dump,
    is_marked,
    marked,
    refuse_unmarked,
)
from airflow_provider_whatsapp.events.kinds import RANKS
from airflow_provider_whatsapp.events.receipts import Receipt, receipts_at, receipts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from airflow_provider_whatsapp.events.store import EventStore

Line = dict[str, Any]

BATCH = 500
"""Lines that are looked up together."""
LONGEST = 1 << 20
"""Bytes of one line; a recipient's row is far smaller, and a file without line breaks must not fill the memory."""
STEPS = ("accepted", "sent", "delivered", "read")
"""How far a message gets; one that got to one has got to all before it."""
_LEFT = ("sent", "delivered", "read")
_TIMES = ("sent_at", "delivered_at", "read_at", "failed_at")


class Source(Protocol):
    """What knows how far messages got."""

    def look_up(self, lines: Sequence[Line]) -> list[Receipt | None]:
        """Return for each line what is known of its message; None: nothing."""


class StoreSource:
    """
    The event store.

    :param store: Open.
    """

    def __init__(self, store: EventStore) -> None:
        self._store = store

    def look_up(self, lines: Sequence[Line]) -> list[Receipt | None]:
        """
        Return for each line what the receipts say.

        :param lines: Those of messages that left, or may have.
        :raises StoreError: The store cannot be reached, or refuses.
        """
        by_id = receipts_of(self._store, [name for line in lines if (name := id_of(line))])
        places: dict[str, list[int]] = {}
        for line in lines:
            if id_of(line) is None and (sent := send_of(line)) is not None:
                places.setdefault(sent[0], []).append(line["n"])
        at = {send_hash: receipts_at(self._store, send_hash, own) for send_hash, own in places.items()}
        return [self._of(line, by_id, at) for line in lines]

    def _of(
        self, line: Line, by_id: Mapping[str, Receipt], at: Mapping[str, Mapping[int, list[Receipt]]]
    ) -> Receipt | None:
        if (message_id := id_of(line)) is not None:
            # Nobody but WhatsApp, the task and this file know the ID, so an unsigned receipt counts here as well.
            return by_id.get(message_id)
        sent = send_of(line)
        if sent is None:
            return None
        return proof(at[sent[0]].get(line["n"], ()), epoch=sent[1], to=line["to"])


class HistorySource:
    """
    WhatsApp's message history, which is asked for each message by its ID.

    :param status_of: Asks for one message.
    """

    def __init__(self, status_of: Callable[[str], Mapping[str, Any]]) -> None:
        self._status_of = status_of

    def look_up(self, lines: Sequence[Line]) -> list[Receipt | None]:
        """
        Return for each line what the history says; of a message without an ID it says nothing.

        :param lines: Those of messages that left, or may have.
        :raises WhatsAppError: The history did not answer, or is closed to this connection.
        """
        return [self._ask(name) if (name := id_of(line)) is not None else None for line in lines]

    def _ask(self, message_id: str) -> Receipt | None:
        try:
            fact = self._status_of(message_id)
        except NotFoundError as error:
            if error.http_status is not None:  # the endpoint itself, not the message
                raise
            return None
        status = {"deleted": "failed"}.get(str(fact.get("status")), str(fact.get("status")))
        known: Any = status if status in (*STEPS, "failed") else "accepted"
        said = str(fact.get("error") or "") or None
        code = _code_in(said) if known == "failed" and said else None
        facts: dict[str, Any] = dict.fromkeys(("send_hash", "epoch", "position", "recipient"))
        if known != "accepted":
            facts[f"{known}_at"] = _moment(fact.get("timestamp"))
        return Receipt(
            **facts, message_id=message_id, status=known, verified=True, error_code=code, error_title=said
        )


def _code_in(text: str) -> int | None:
    """Return WhatsApp's code of a text that begins with it: ``(#131047) Message failed``."""
    number = text.removeprefix("(#").partition(")")[0] if text.startswith("(#") else ""
    return int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None


def _moment(said: Any) -> datetime | None:
    """Return a time that the history gave in seconds since 1970, or as ISO 8601; None where it is neither."""
    text = str(said)
    try:
        if text.isdecimal():
            return datetime.fromtimestamp(int(text), UTC)
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def id_of(line: Line) -> str | None:
    """
    Return the ID of a line's message; None where it is not known.

    :param line: The result.
    """
    found = line.get("message_id")
    return found if isinstance(found, str) and found else None


def send_of(line: Line) -> tuple[str, int | None] | None:
    """
    Return the send and the epoch in which a line's message left; None where it carried the user's own callback data.

    :param line: The result; one whose message's ID was lost with an earlier try knows no epoch.
    """
    found = parse_callback_data(str(line.get("callback_data", "")))
    if found is not None:
        return found[:2] if found[2] == line["n"] else None
    return (
        (line["send_hash"], None) if line.get("earlier") and isinstance(line.get("send_hash"), str) else None
    )


def has_left(line: Line) -> bool:
    """
    Say whether a message left, or may have, so that receipts may speak of it.

    :param line: The result.
    """
    return line["status"] in (*_LEFT, "unknown") or (line["status"] == "failed" and id_of(line) is not None)


def read_lines(source: Any) -> Iterator[Line]:
    """
    Yield the lines of a results file.

    :param source: A path, or what reads one together with its parts.
    :raises PayloadError: It is no results file, or one of another version.
    :raises OSError: It cannot be read.
    """
    with source.open("rb") as file:
        for number in itertools.count(1):
            raw = file.readline(LONGEST + 1)
            if not raw:
                return
            yield _checked(raw, number, source)


def _checked(raw: bytes, number: int, source: Any) -> Line:
    try:
        line = json.loads(raw) if len(raw) <= LONGEST else None
    except (ValueError, RecursionError):
        line = None
    if isinstance(line, dict) and is_marked(line):
        return line
    if number == 1:
        refuse_unmarked(line, source, field="results_path")
    raise PayloadError(
        f"{source.name}:{number} is no line of a results file",
        field="results_path",
        advice="Nothing was changed. Name the file that a task's results_path has written.",
    )


@dataclass(slots=True)
class Send:
    """
    The messages of one send in a file.

    :param count: How many left, or may have.
    :param since: The first epoch in which one of them did.
    """

    count: int = 0
    since: int = 1 << 30


@dataclass(slots=True)
class Survey:
    """
    What a file holds.

    :param sends: By hash.
    :param known_by_id: Messages that their IDs alone lead to, since they carry the user's own callback data.
    :param with_id: Messages whose IDs are known.
    """

    sends: dict[str, Send] = field(default_factory=dict)
    known_by_id: list[str] = field(default_factory=list)
    with_id: int = 0


MOST_BY_ID = 100
"""Messages that are asked for one by one."""


def survey(lines: Iterable[Line]) -> Survey:
    """
    Count the messages of a file by their sends.

    :param lines: From :func:`read_lines`.
    """
    found = Survey()
    for line in filter(has_left, lines):
        found.with_id += id_of(line) is not None
        sent = send_of(line)
        if sent is not None:
            own = found.sends.setdefault(sent[0], Send())
            own.count += 1
            own.since = min(own.since, sent[1] or 1)
        elif (message_id := id_of(line)) is not None and len(found.known_by_id) <= MOST_BY_ID:
            found.known_by_id.append(message_id)
    return found


def _reached(line: Line) -> str | None:
    """Return how far a message got that has not failed; None: it has, or nobody knows whether it left."""
    if line["status"] == "sent":
        return "sent" if "sent_at" in line else "accepted"
    return line["status"] if line["status"] in _LEFT else None


@dataclass(slots=True)
class DeliveryCounts:
    """
    How many recipients of a file have got how far.

    :param wait_for: How far they have to get not to be pending.
    """

    wait_for: str = "delivered"
    statuses: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    categories: Counter[str] = field(default_factory=Counter)
    late: int = 0
    news: int = 0
    pending_of: Counter[str] = field(default_factory=Counter)

    def add(self, line: Line) -> None:
        """
        Count a line as it is now.

        :param line: The result.
        """
        status, reached = line["status"], _reached(line)
        self.statuses["sent" if status in _LEFT else status] += 1
        if reached is not None:
            for step in STEPS[: STEPS.index(reached) + 1]:
                self.steps[step] += 1
        if status == "failed":
            late = id_of(line) is not None
            self.late += late
            self.steps["accepted"] += late
            error = line.get("error")
            self.reasons[str(error.get("code", "none")) if isinstance(error, dict) else "none"] += 1
        if isinstance(category := line.get("price_category"), str):
            self.categories[category] += 1
        if self._is_pending(status, reached):
            sent = send_of(line)
            self.pending_of[sent[0] if sent else ""] += 1

    def _is_pending(self, status: str, reached: str | None) -> bool:
        if self.wait_for == "accepted":
            return False
        return status == "unknown" or (
            reached is not None and STEPS.index(reached) < STEPS.index(self.wait_for)
        )

    @property
    def pending(self) -> int:
        """Of how many it is not known that they have got as far as is waited for, or have failed."""
        return self.pending_of.total()

    def summary(self) -> str:
        """Return the counts in words."""
        far = ", ".join(f"{self.steps[step]} {step}" for step in STEPS[2:])
        why = ", ".join(f"{count} by {code}" for code, count in self.reasons.most_common(5))
        return (
            f"of {self.statuses.total()} recipients {self.steps['accepted']} accepted, {far}, "
            f"{self.statuses['failed']} failed{f' ({why})' if why else ''}, {self.statuses['unknown']} unknown, "
            f"{self.pending} pending"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON primitives, fit for XCom."""
        names = ("sent", "failed", "unknown", "skipped")
        found: dict[str, Any] = {"total": self.statuses.total()}
        found |= {name: self.statuses[name] for name in names}
        found |= {name: self.steps[name] for name in ("accepted", "delivered", "read")}
        found |= {"failed_late": self.late, "pending": self.pending}
        found["failed_because"] = dict(self.reasons)
        found["price_categories"] = dict(self.categories)
        return found


def reported(lines: Iterable[Line], source: Source, counts: DeliveryCounts) -> Iterator[bytes]:
    """
    Yield the lines of a results file with what is known now.

    :param lines: From :func:`read_lines`.
    :param source: Knows how far the messages got.
    :param counts: Counts them.
    :raises StoreError: The store cannot be reached.
    """
    rest = iter(lines)
    while batch := list(itertools.islice(rest, BATCH)):
        asked = [line for line in batch if has_left(line)]
        found = dict(zip(map(id, asked), source.look_up(asked), strict=True))
        for line in batch:
            receipt = found.get(id(line))
            now = line if receipt is None else updated(line, receipt)
            counts.news += now is not line
            counts.add(now)
            yield dump(marked(now, keep_sent=True))


def _rank(line: Line) -> int:
    reached = _reached(line) or line["status"]
    return {"unknown": -1, "accepted": 0}.get(reached, RANKS.get(reached, 0))


def updated(line: Line, receipt: Receipt) -> Line:
    """
    Return a line with what a receipt says of its message, unless it says as much already.

    :param line: The result.
    :param receipt: What is known.
    """
    status = receipt.status
    if status == "failed" and line["status"] == "unknown" and not receipt.verified:
        status = "accepted"  # it certainly left; nobody signed that it failed
    if (RANKS[status] if status != "accepted" else 0) < _rank(line):
        return line
    now = {name: value for name, value in line.items() if name not in ("error", "earlier")}
    now["status"] = "sent" if status in ("accepted", "sent") else status
    now["message_id"] = id_of(line) or receipt.message_id
    if status == "failed":
        now["error"] = error_of(receipt).to_dict()
    for name in _TIMES:
        moment = getattr(receipt, name)
        if moment is not None:
            now[name] = moment.isoformat(timespec="seconds")
    if receipt.price_category is not None:
        now["price_category"] = receipt.price_category
    if receipt.billable is not None:
        now["billable"] = receipt.billable
    now["verified"] = receipt.verified
    return line if now == line else now
