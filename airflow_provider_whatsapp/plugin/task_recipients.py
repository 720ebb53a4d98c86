"""The recipients of a task, from its report, its results file and the receipts, each of which may be unavailable."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_whatsapp.plugin import task_receipts
from airflow_provider_whatsapp.plugin.permits import dag_permits
from airflow_provider_whatsapp.plugin.recipients import (
    LEFT,
    OUTCOMES,
    Recipient,
    count,
    from_outcome,
    is_report,
    merged,
)
from airflow_provider_whatsapp.plugin.results_files import results_of
from airflow_provider_whatsapp.plugin.sources import RECEIPTS, TABLES, Answer, in_thread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_whatsapp.plugin.metadata import TaskRun
    from airflow_provider_whatsapp.plugin.results_files import ResultsFile
    from airflow_provider_whatsapp.plugin.task_receipts import TaskReceipts

MOST_IDS = 5_000
"""The most messages whose receipts are looked up by their IDs."""
_HALF = 0.5
"""Share of the page's waiting time: the results file and the receipts are read one after the other."""


@dataclass(frozen=True, slots=True)
class TaskRecipients:
    """The recipients of a task."""

    recipients: list[Recipient]  # those that are known
    total: int
    counts: Mapping[str, int]  # by outcome, including recipients that are not known
    notes: list[str] = field(default_factory=list)  # sentences for the page

    @property
    def refused(self) -> int:
        """The number of messages that failed after WhatsApp had accepted them."""
        return _refused(self.recipients)

    @property
    def untried(self) -> int:
        """The number of recipients to whom a later try may send: WhatsApp accepted nothing, or nothing was tried."""
        return self.counts.get("failed", 0) + self.counts.get("pending", 0) - self.refused

    @property
    def funnel(self) -> list[tuple[str, int]]:
        """The counts of the steps, each including the next; then the recipients who reached none."""
        read, delivered = self.counts.get("read", 0), self.counts.get("delivered", 0)
        way = [("accepted", sum(self.counts.get(name, 0) for name in LEFT)), ("delivered", delivered + read)]
        others = [(name, self.counts.get(name, 0)) for name in OUTCOMES if name not in LEFT]
        return [*way, ("read", read), *((name, number) for name, number in others if number)]


def report_of(run: TaskRun) -> dict[str, Any] | None:
    """Return the report of a task that sent; None: there is none."""
    found = (run.xcoms.get(key) for key in ("return_value", "report"))
    return next((value for value in found if is_report(value)), None)


async def recipients_of_task(run: TaskRun, user: Any) -> Answer | None:
    """Return the recipients of a task as an answer; None: nothing says that it has sent."""
    report = report_of(run)
    if report is None and not task_receipts.store_is_named():
        return None
    # A results file and an event store that do not answer in time are left out, and the answer is marked as late.
    known = await _known(run, report, user)
    ids = [each.message_id for each in known.recipients if each.message_id][:MOST_IDS]
    names = (*run.names, run.ended, known.at, known.note)
    sent = await RECEIPTS.ask(names, task_receipts.receipts_of_task, run, ids, share=_HALF)
    notes = [each for each in (known.note, _note_on(sent)) if each]
    made = await TABLES.ask(
        (*names, sent.at, *notes), _everybody, known.recipients, sent.value, report, notes
    )
    return replace(made, late=made.late or known.late or sent.late)


class _Known(NamedTuple):
    """What the task itself says; ``at`` is the time when its results file was read."""

    recipients: list[Recipient]
    note: str = ""
    at: float = 0.0
    late: bool = False


async def _known(run: TaskRun, report: Mapping[str, Any] | None, user: Any) -> _Known:
    """Return the recipients of a report: those in its results file, otherwise those in the report itself."""
    if report is None:
        return _Known([])
    path = report.get("results_path")
    if not isinstance(path, str):
        return _Known(_named_in(report))
    answer = await results_of(path, share=_HALF)
    if answer.late:
        return _Known(_named_in(report), "The results file has not been read yet.", late=True)
    if not answer.ok:
        return _Known(_named_in(report), answer.problem)
    if not await _may_see(run, answer.value, user):
        note = (
            "The page does not show the results file: it has recipients of a DAG that you may not see, or an earlier "
            "version wrote it without the DAG's name."
        )
        return _Known(_named_in(report), note)
    found = answer.value.recipients
    note = f"The results file has more; these are the first {len(found):,}." if answer.value.more else ""
    return _Known(found, note, answer.at)


async def _may_see(run: TaskRun, file: ResultsFile, user: Any) -> bool:
    """Return whether a user may see a results file, which may be another DAG's because its path comes from XCom."""
    others = file.dags - {run.dag_id}
    # A file that names no DAG requires the permission for all DAGs, unless its messages carry this task's hash.
    unnamed = file.unnamed and task_receipts.send_hash(run) not in file.sends
    if not (others or unnamed):
        return True
    permits = await in_thread(dag_permits, user)
    return all(permits.may("GET", each) for each in others) and (not unnamed or permits.may_all("GET"))


def _note_on(sent: Answer) -> str:
    if sent.late:
        return "The receipts have not been read yet."
    return "" if sent.ok else f"The event store cannot be read: {sent.problem}"


def _named_in(report: Mapping[str, Any]) -> list[Recipient]:
    # A report with all outcomes lists them in order; one of many recipients lists failures without their positions.
    complete = len(report["results"]) == report["total"]
    outcomes = (
        from_outcome(outcome, place if complete else None)
        for place, outcome in enumerate(report["results"])
        if isinstance(outcome, dict)
    )
    return [each for each in outcomes if each is not None]


def _everybody(
    known: list[Recipient], sent: TaskReceipts | None, report: Mapping[str, Any] | None, notes: list[str]
) -> TaskRecipients | None:
    by_position, by_id = sent or ({}, {})
    if report is None and not by_position:
        return None
    recipients = merged(known, by_position, by_id)
    total = len(recipients) if report is None else max(report["total"], len(known))
    return TaskRecipients(recipients, total, _counts(recipients, report, total), notes)


def _refused(recipients: list[Recipient]) -> int:
    return sum(each.outcome == "failed" and each.failed_at is not None for each in recipients)


def _counts(recipients: list[Recipient], report: Mapping[str, Any] | None, total: int) -> dict[str, int]:
    counts = dict(count(recipients))
    if report is None or len(recipients) >= total:
        return counts
    # For unlisted recipients only the report's counts are known; receipts say how far some of them have got.
    stopped = (report.get("skipped_because") or {}).get("stopped", 0)
    stopped = stopped if type(stopped) is int else 0
    further = counts.get("delivered", 0) + counts.get("read", 0)
    refused = _refused(recipients)
    return {
        "accepted": max(0, report["sent"] - further - refused),
        "delivered": counts.get("delivered", 0),
        "read": counts.get("read", 0),
        "failed": report["failed"] + refused,
        "unknown": report["unknown"],
        "skipped": max(0, report["skipped"] - stopped),
        "pending": stopped,
    }
