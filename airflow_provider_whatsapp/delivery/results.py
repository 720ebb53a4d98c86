"""
A file of JSON lines with every recipient's outcome, which a later broadcast can use as its recipients.

Each try writes parts beside the file, so that a killed try's message IDs are not lost; at the end they are put
together, with the newest outcome of each recipient.
"""

from __future__ import annotations

import json
import logging
import os
import time
import uuid
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.delivery.local_files import create, make_private_folder
from airflow_provider_whatsapp.delivery.result_lines import (
    FORMAT,
    dump,
    has_shape,
    is_unmarked,
    keeps_row,
    marked,
)
from airflow_provider_whatsapp.delivery.result_parts import (
    ResultsError,
    base_of,
    header,
    left_beside,
    merged,
    part_name,
    parts_in,
    place_of,
    said_of,
    write_whole,
)
from airflow_provider_whatsapp.delivery.stores import PAUSES, local_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_whatsapp.delivery.recipients import Row
    from airflow_provider_whatsapp.delivery.report import Outcome

logger = logging.getLogger(__name__)

PART = 500
"""Outcomes in one upload to an object store, whose message IDs are lost if the worker is killed before the upload."""
KEPT = 2 * PART
"""The most outcomes that wait in memory for a failing store; a later try writes the others again."""


class Results:
    """The file of one task's outcomes."""

    def __init__(
        self,
        path: Any,  # ObjectStoragePath or pathlib.Path
        *,
        key: str,  # distinguishes this task run from others that write to the same path
        number: int,  # of the try
        total: int = 0,  # recipients of the task run
        resumed: bool = False,  # the file at path is from an earlier try of this task run
        send_hash: str | None = None,  # starts the messages' callback data; None: they carry the user's own
        keep_sent: bool = False,  # keep sent recipients' values until a receipt says that the message arrived
        dag_id: str | None = None,  # each line names it: Airflow's tab shows it to people who may see the DAG
    ) -> None:
        local = local_path(path)
        self._local = local is not None
        self.path = path if local is None else local
        self._folder = self.path.parent / f"{self.path.name}.{key}.parts"
        self._number = number
        self._total = total
        self._resumed = resumed
        self._send_hash = send_hash
        self._keep_sent = keep_sent
        self._dag_id = dag_id
        self._token = uuid.uuid4().hex[:12]
        self._run = 0
        self._lines: list[bytes] = []
        self._parts = 0
        self._handle: int | None = None
        self._dropped = False
        self._first: str | None = None
        self.failure: ResultsError | None = None
        """Why outcomes could not be written."""
        self.on_failure: Callable[[], None] | None = None
        """Called once when an outcome cannot be written, to end the delivery."""

    def begin(self, *, start_over: bool) -> None:
        """Create the first part, so that a path that cannot be written is known before anything is sent."""
        try:
            earlier = parts_in(self._folder)
            if start_over:
                self._resumed = False
                for part in earlier:
                    part.unlink()
            places = filter(None, (place_of(str(part.name)) for part in earlier))
            self._run = 1 + max((run for number, run, _ in places if number == self._number), default=0)
            self._write(header(self._total, resumed=self._resumed))
        except Exception as error:
            raise self._failed(error, "Nothing was sent.") from error

    def take(self, row: Row, outcome: Outcome, message: dict[str, Any] | None = None) -> None:
        """Add an outcome. If it cannot be written, ``failure`` says why and ``on_failure`` is called."""
        line = {"n": row.position, **outcome.to_dict(), "given": row.given, "where": row.where}
        if outcome.status == "sent" and outcome.sent is None:
            line["earlier"] = True
            if self._send_hash is not None:
                line["send_hash"] = self._send_hash
        if outcome.callback_data is not None:
            line["callback_data"] = outcome.callback_data
        if keeps_row(line) or (self._keep_sent and line["status"] == "sent"):
            line["row"] = dict(row.values)
        if message is not None:  # a dry run would have sent it
            line["message"] = message
        if self._dag_id is not None:
            line["dag_id"] = self._dag_id
        if len(self._lines) >= KEPT:  # so many wait only if the store has failed
            self._dropped = True
        else:
            self._lines.append(dump(marked(line, keep_sent=self._keep_sent)))
        if self.failure is None and (self._local or len(self._lines) >= PART):
            self.flush()

    def flush(self) -> bool:
        """Write waiting outcomes, and return whether all are written; the others are kept, and ``failure`` says why."""
        try:
            if self._lines:
                self._write(b"".join(self._lines))
                self._lines = []
        except Exception as error:
            first = self.failure is None
            self.failure = self._failed(error, "No further message was sent; the ledger knows who has one.")
            if first and self.on_failure is not None:
                logger.error("%s", self.failure)  # noqa: TRY400
                self.on_failure()
        return self.failure is None

    def _failed(self, error: Exception, what: str) -> ResultsError:
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {str(error)[:200]}"
        return ResultsError(
            f"the results cannot be written to {self.path}: {reason}",
            advice=f"{what} When there is room and the worker may write there, retry or clear the task: "
            "nobody gets a second message.",
        )

    def _write(self, content: bytes) -> None:
        if not self._local:
            self._upload(content)
            return
        if self._handle is None:
            make_private_folder(self._folder)
            self._handle, self._size = create(self._folder / self._next_part()), 0
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(self._handle, rest) :]
            self._size += len(content)  # inside the block, because a time-out may strike right before it
        except BaseException:
            os.ftruncate(self._handle, self._size)  # half a line would spoil the next
            raise

    def _upload(self, content: bytes) -> None:
        part = self._folder / self._next_part()
        for pause in (*PAUSES, None):
            try:
                part.write_bytes(content)
                break
            except Exception:
                if pause is None:
                    raise
            time.sleep(pause)
        self._parts += 1

    def _next_part(self) -> str:
        name = part_name(self._number, self._run, self._parts, self._token)
        self._first = self._first or name
        return name

    def finish(self) -> int:
        """Put the parts together at the path, and return the number of recipients; if that fails, the parts stay."""
        self.flush()
        if self._handle is not None:
            handle, self._handle = self._handle, None
            os.close(handle)
            self._parts += 1
        try:
            parts = parts_in(self._folder)
            self._refuse_stale(parts)
            base = self.path if self._resumed and self.path.exists() else None
            count = write_whole(self.path, merged(parts, base))
        except ResultsError:
            raise
        except Exception as error:
            raise self._failed(error, "The ledger knows who has a message.") from error
        if self.failure is not None and (self._lines or self._dropped):
            raise self.failure
        self.failure = None
        return count

    def _refuse_stale(self, parts: list[Any]) -> None:
        """Refuse to overwrite the file if a later try has put everything together and deleted this try's parts."""
        if self._first is not None and self._first not in {str(part.name) for part in parts}:
            raise ResultsError(
                f"another try of this task has written {self.path}, and deleted the parts of this one",
                permanent=True,
            )

    def clean(self) -> None:
        """Delete the parts, which no later try needs."""
        try:
            for part in parts_in(self._folder):
                part.unlink()
            if self._local and self._folder.exists():
                self._folder.rmdir()
        except Exception as error:  # the file is complete: leftover parts do no harm
            logger.warning("The parts in %s could not be deleted: %s", self._folder, error)


def assemble(path: Any) -> str:
    """Put a results file together from a killed task's parts, or mark one of version 0.1; return what was done."""
    path = local_path(path) or path
    left = left_beside(path)
    if left is None:
        if not path.exists():
            raise ResultsError(
                f"{path} does not exist, and there are no parts of it",
                advice="Each shard of a task has its own file: results-1-of-4.jsonl for results.jsonl.",
            )
        count = _mark(path)
        return f"{path}: {count} recipient{'s' * (count != 1)}, marked as a results file."
    if path.exists():
        next(_checked(path), None)
    count = write_whole(path, merged(left.parts, base_of(path, left)))
    return (
        f"{path}: put together from the parts of a task that did not finish. {said_of(count, left.total)} "
        f"The parts stay in {left.folder.name} for a later try; delete them if no try follows."
    )


def _mark(path: Any) -> int:
    """Mark every line of a file of version 0.1, and return the number of lines."""
    count, unmarked = 0, False
    for line in _checked(path):
        count += 1
        unmarked = unmarked or is_unmarked(line)
    if unmarked:
        write_whole(path, (dump(marked(line)) for line in _checked(path)))
    return count


def _checked(path: Any) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for number, raw in enumerate(iter(file.readline, b""), 1):
            try:
                line = json.loads(raw)
            except (ValueError, RecursionError):
                line = None
            if not has_shape(line) or line.get("format", FORMAT) != FORMAT:
                raise PayloadError(
                    f"{path.name}:{number} is not a line of a results file",
                    field="PATH",
                    advice="Nothing was changed. Name a file that a task with results_path wrote.",
                )
            yield line
