"""
Brings a results file up to date: how far each message has got, from the event store's receipts or the message history.

It reads and writes the file line by line, so 100,000 recipients need as much memory as a few hundred. A line never says
less than before: receipts come in any order, and old ones are eventually deleted.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import PayloadError, WhatsAppError
from airflow_provider_whatsapp.delivery.reported_lines import (
    LEFT,
    STEPS,
    has_left,
    id_of,
    reached,
    send_of,
    updated,
)
from airflow_provider_whatsapp.delivery.result_lines import dump, is_marked, marked, refuse_unmarked
from airflow_provider_whatsapp.delivery.result_parts import (
    ResultsError,
    modified,
    open_results,
    with_parts,
    write_whole,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_whatsapp.delivery.report_sources import Source
    from airflow_provider_whatsapp.delivery.reported_lines import Line

BATCH = 500
"""Lines that are looked up together."""
_WORD = re.compile("[a-z_]{1,40}")
LONGEST = 1 << 20
"""The most bytes of one line; a recipient's row is far smaller, and a file without line breaks must not fill memory."""


def read_lines(source: Any) -> Iterator[Line]:
    """Yield the lines of a results file; raises PayloadError if it is not one, or one of another version."""
    with open_results(source) as file:
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
        f"{source.name}:{number} is not a line of a results file",
        field="results_path",
        advice="Nothing was changed. Name a file that a task with results_path wrote.",
    )


@dataclass(slots=True)
class Send:
    """The messages of one send in a file."""

    count: int = 0  # messages that left, or may have left
    since: int = 1 << 30  # the first epoch in which one of them left


@dataclass(slots=True)
class Survey:
    """What a results file contains."""

    sends: dict[str, Send] = field(default_factory=dict)  # by hash
    with_id: int = 0  # messages with a known ID


MOST_BY_ID = 100
"""The most messages whose status is asked for one by one."""


def survey(lines: Iterable[Line]) -> Survey:
    """Count the messages of a file by their sends."""
    found = Survey()
    for line in filter(has_left, lines):
        found.with_id += id_of(line) is not None
        sent = send_of(line)
        if sent is not None:
            own = found.sends.setdefault(sent[0], Send())
            own.count += 1
            own.since = min(own.since, sent[1] or 1)
    return found


@dataclass(slots=True)
class DeliveryCounts:
    """How far the messages of a file's recipients have got, in numbers."""

    wait_for: str = "delivered"  # the status that a message has to reach; until then it is pending
    statuses: Counter[str] = field(default_factory=Counter)  # sent: sent to, and the message has not failed
    steps: Counter[str] = field(default_factory=Counter)  # messages that have reached each step
    reasons: Counter[str] = field(default_factory=Counter)  # failures by WhatsApp's code
    categories: Counter[str] = field(default_factory=Counter)
    late: int = 0  # failures of messages that WhatsApp had accepted
    news: int = 0  # lines that say more than before
    pending: int = 0
    pending_of: Counter[str] = field(default_factory=Counter)  # by the hash of their send
    pending_ids: list[str] = field(default_factory=list)  # up to one more than can be asked for

    def add(self, line: Line) -> None:
        """Count a line as it is now."""
        status, step = line["status"], reached(line)
        self.statuses["sent" if status in LEFT else status] += 1
        if step is not None:
            self.steps.update(STEPS[: STEPS.index(step) + 1])
        if status == "failed":
            late = id_of(line) is not None
            self.late += late
            self.steps["accepted"] += late
            error = line.get("error")
            code = error.get("code") if isinstance(error, dict) else None
            self.reasons[str(code) if isinstance(code, int) else "none"] += 1
        # These go to the log and to XCom, and anyone who can write the file may put anything into it.
        if isinstance(category := line.get("price_category"), str):
            self.categories[category if _WORD.fullmatch(category) else "other"] += 1
        if self._is_pending(status, step):
            self.pending += 1
            message_id, sent = id_of(line), send_of(line)
            if sent is not None:
                self.pending_of[sent[0]] += 1
            if message_id is not None and len(self.pending_ids) <= MOST_BY_ID:
                self.pending_ids.append(message_id)

    def _is_pending(self, status: str, step: str | None) -> bool:
        if self.wait_for == "accepted":
            return False
        return status == "unknown" or (step is not None and STEPS.index(step) < STEPS.index(self.wait_for))

    def summary(self) -> str:
        """Return the counts as a sentence."""
        far = ", ".join(f"{self.steps[step]} {step}" for step in STEPS[2:])
        why = ", ".join(f"{count} by {code}" for code, count in self.reasons.most_common(5))
        return (
            f"of {self.statuses.total()} recipients {self.steps['accepted']} accepted, {far}, "
            f"{self.statuses['failed']} failed{f' ({why})' if why else ''}, {self.statuses['unknown']} unknown, "
            f"{self.pending} pending"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON primitives for XCom."""
        names = ("sent", "failed", "unknown", "skipped")
        found: dict[str, Any] = {"total": self.statuses.total()}
        found |= {name: self.statuses[name] for name in names}
        found |= {name: self.steps[name] for name in ("accepted", "delivered", "read")}
        found |= {"failed_late": self.late, "pending": self.pending}
        found["failed_because"] = dict(self.reasons)
        found["price_categories"] = dict(self.categories)
        return found


def reported(lines: Iterable[Line], source: Source, counts: DeliveryCounts) -> Iterator[bytes]:
    """Yield and count the lines of a results file with what is known now; raises StoreError if the store fails."""
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


def survey_of(path: Any) -> Survey:
    """Count the messages of a results file and of the parts that a killed task left beside it."""
    with _reported(path, "read"):
        return survey(read_lines(with_parts(path)))


def rewrite(path: Any, source: Source, counts: DeliveryCounts) -> None:
    """Rewrite a results file with what is known now, completely or not at all."""
    # If a task has written the file meanwhile, ResultsError is raised, and the file is not changed.
    with _reported(path, "written"):
        before = modified(path)
        lines = reported(read_lines(with_parts(path)), source, counts)
        write_whole(path, _unless_changed(lines, path, before))


def _unless_changed(lines: Iterator[bytes], path: Any, before: float | None) -> Iterator[bytes]:
    """Yield the lines; at the end, just before they replace the file, refuse if the file has changed."""
    yield from lines
    if modified(path) != before:
        raise ResultsError(
            f"a task wrote {path} while this task was reading it",
            advice="Nothing was changed. Let this task run again.",
        )


@contextlib.contextmanager
def _reported(path: Any, done: str) -> Iterator[None]:
    """Turn errors of a disk or an object store into one that names the file."""
    try:
        yield
    except WhatsAppError:
        raise
    except FileNotFoundError as error:
        raise ResultsError(
            f"{path} does not exist",
            permanent=True,
            advice="Give the path that results_path had in the sending task; a shard's file is results-1-of-4.jsonl.",
        ) from error
    except Exception as error:  # an object store's library raises errors of other types
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {str(error)[:200]}"
        raise ResultsError(f"{path} cannot be {done}: {reason}") from error
