"""
The parts of a results file: what each try has written, and how they are put together.

Parts are in a folder beside the file, one folder for each task run. A killed try leaves them there; the next reader
puts them together: a later try, the command ``results``, or a broadcast that reads the file.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.delivery.compact_sets import Places
from airflow_provider_whatsapp.delivery.local_files import PRIVATE, open_regular, replacing
from airflow_provider_whatsapp.delivery.result_lines import FORMAT, dump, has_shape, marked
from airflow_provider_whatsapp.delivery.stores import forget_listing, local_path

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

HEADER = "whatsapp-results-part/1"
"""Value of ``format`` in the first line of a try's first part."""
_PART = re.compile(r"(\d+)(?:-(\d+))?(?:-(\d+))?(?:-[0-9a-f]+)?\.jsonl")


class ResultsError(WhatsAppError):
    """The results file or one of its parts cannot be read or written; the ledger still knows who was sent to."""


def part_name(number: int, run: int, part: int, token: str) -> str:
    """Return the name of a part, which no other writer uses, because only this execution has the token."""
    # A try has several executions (run) if it waited for its send hours.
    return f"{number:04}-{run:04}-{part:06}-{token}.jsonl"


def place_of(name: str) -> tuple[int, int, int] | None:
    """Return try, execution and number of a part by its name, also by version 0.1's; None: it is not a part."""
    match = _PART.fullmatch(name)
    if match is None:
        return None
    first, second, third = match.groups()
    if third is None:  # version 0.1: the try, and in object stores the part
        return int(first), 0, int(second or 0)
    return int(first), int(second), int(third)


@dataclass(frozen=True, slots=True)
class Left:
    """A folder of parts."""

    folder: Any
    parts: list[Any] = field(default_factory=list)  # the newest first
    resumed: bool | None = None  # the file beside them is the same task run's; None: version 0.1 did not say
    total: int | None = None  # recipients of the task run; None: version 0.1 did not say


def parts_in(folder: Any) -> list[Any]:
    """Return the parts in a folder, the newest first."""
    forget_listing(folder)
    try:
        found = [(place_of(str(part.name)), part) for part in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    named = [(place, part) for place, part in found if place is not None]
    return [part for _, part in sorted(named, key=lambda each: each[0], reverse=True)]


def left_beside(path: Any, *, but: str | None = None) -> Left | None:
    """Return the parts beside a results file that are not in it yet; None: there are none."""
    path = local_path(path) or path
    pattern = re.compile(re.escape(str(path.name)) + r"\.[0-9a-z]+\.parts")
    forget_listing(path.parent)
    try:
        named = {str(each.name): each for each in path.parent.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        return None
    own = f"{path.name}.{but}.parts"  # parts of this task run are left out
    folders = [folder for name, folder in named.items() if pattern.fullmatch(name) and name != own]
    left = [Left(folder, parts, *_header(parts)) for folder in folders if (parts := parts_in(folder))]
    written = modified(path)
    news = [each for each in left if written is None or _newest(each) > written]
    if len(news) > 1:
        names = " and ".join(sorted(str(each.folder.name) for each in news))
        raise ResultsError(
            f"{len(news)} task runs that did not finish left parts beside {path.name}: {names}",
            advice="Keep the folder of the run that you want, and move the others away. A results_path with {{ ds }} "
            "or {{ run_id }} in it gives each "
            "run its own file.",
        )
    return news[0] if news else None


def _header(parts: list[Any]) -> tuple[bool | None, int | None]:
    """Return what the newest part with a header says about its task run."""
    for part in parts:
        with open_results(part) as file:
            line = _parsed(file.readline())
        if isinstance(line, dict) and line.get("format") == HEADER:
            total = line.get("total")
            return bool(line.get("resumed")), total if isinstance(total, int) else None
    return None, None


def header(total: int, *, resumed: bool) -> bytes:
    """Return the first line of a try's first part; ``resumed``: an earlier try of the task run wrote the file."""
    return json.dumps({"format": HEADER, "total": total, "resumed": resumed}).encode() + b"\n"


def _newest(left: Left) -> float:
    # If a store does not say when, the parts count as newer, so that no outcome is lost.
    return max(modified(part) or float("inf") for part in left.parts)


def modified(path: Any) -> float | None:
    """Return when a file was written, in Unix time; None: it does not exist, or its store does not say."""
    if local_path(path) is not None:
        try:
            return float(local_path(path).lstat().st_mtime)  # type: ignore[union-attr]
        except FileNotFoundError:
            return None
    try:
        return float(path.fs.modified(path.path).timestamp())
    except (FileNotFoundError, NotImplementedError, AttributeError):
        return None


def merged(parts: list[Any], base: Any = None) -> Iterator[bytes]:
    """Yield the newest line of each recipient; a line with message IDs is preferred to one that only says sent."""
    done, sent = Places(), Places()
    files = [*parts, *([base] if base is not None else [])]  # the newest first; base is an earlier try's file
    any_bare = False
    for file in files:
        for raw, line in _lines(file):
            place = line["n"]
            if line.get("earlier"):
                any_bare = True
                sent.add(place)
            elif place not in done and (
                place not in sent or line["status"] == "sent" or "message_id" in line
            ):
                done.add(place)
                yield raw
    if not any_bare:  # the usual case; a second reading would find nothing
        return
    for file in files:
        for raw, line in _lines(file):
            if line.get("earlier") and line["n"] not in done:
                done.add(line["n"])
                yield raw


def _lines(path: Any) -> Iterator[tuple[bytes, dict[str, Any]]]:
    with open_results(path) as lines:
        for raw in iter(lines.readline, b""):  # Airflow 3.1.0's files in object stores are not iterable
            line = _parsed(raw)
            if not has_shape(line):  # a header, or a line that a kill or a full disk has cut off
                continue
            if "format" not in line:
                yield dump(marked(line)), line
            elif line["format"] == FORMAT:
                yield raw.rstrip() + b"\n", line


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def open_results(path: Any) -> IO[bytes]:
    """Open a results file or a part for reading; on a disk, refuse a link, a pipe or a device in its place."""
    local = local_path(path)
    found: IO[bytes] = path.open("rb") if local is None else open_regular(local)
    return found


def write_whole(path: Any, lines: Iterator[bytes]) -> int:
    """Write a results file completely, and return the number of its recipients."""
    # The lines may come from the old file, which stays if the new one cannot be written.
    count = 0
    with contextlib.ExitStack() as stack:
        local = local_path(path)
        if local is not None:
            local.parent.mkdir(parents=True, exist_ok=True)
            whole = stack.enter_context(replacing(local, mode=PRIVATE))
        else:  # one upload, which begins after everything has been read
            whole = stack.enter_context(tempfile.TemporaryFile())
        for line in lines:
            whole.write(line)
            count += 1
        if local is None:
            whole.seek(0)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                shutil.copyfileobj(whole, file)
    return count


class Unfinished:
    """A results file together with the parts beside it, to be read as one file."""

    def __init__(self, path: Any, left: Left) -> None:
        self._path = path  # it may not exist
        self._left = left
        self.name = str(path.name)

    def __str__(self) -> str:
        return str(self._path)

    def open(self, mode: str) -> IO[bytes]:
        """Open the lines of all files as one file, as bytes in any mode."""
        whole = tempfile.TemporaryFile()  # noqa: SIM115  # the reader closes it
        try:
            whole.writelines(merged(self._left.parts, base_of(self._path, self._left)))
            whole.seek(0)
        except BaseException:
            whole.close()
            raise
        return whole


def with_parts(path: Any, *, but: str | None = None) -> Any:
    """Return a results file as it has to be read: with the parts that a killed task left beside it, if any."""
    # The task run ``but`` writes to the file that it reads, so its parts are left out.
    try:
        left = left_beside(path, but=but)
        if left is None:
            return path
        count = sum(1 for _ in merged(left.parts, base_of(path, left)))
    except WhatsAppError:
        raise
    except Exception as error:  # an object store's library raises errors of other types
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {str(error)[:200]}"
        raise ResultsError(f"the parts of {path} cannot be read: {reason}") from error
    logger.warning(
        "%s: its task has not finished; read with its parts. %s", path.name, said_of(count, left.total)
    )
    return Unfinished(path, left)


def said_of(count: int, total: int | None) -> str:
    """Return in a sentence how complete the parts are."""
    if total is None:
        return f"They name {count} recipients; recipients without an outcome are not among them."
    if count >= total:
        return f"They name all {total} recipients."
    return (
        f"They name {count} of {total} recipients; {total - count} had no outcome when the task stopped. Retry or "
        f"clear that "
        "task: it sends to them, and to nobody twice."
    )


def base_of(path: Any, left: Left) -> Any:
    """Return the file that the parts continue; None: the parts stand alone."""
    path = local_path(path) or path
    if left.resumed is False or not path.exists():
        return None
    if left.resumed:
        return path
    raise ResultsError(
        f"version 0.1 wrote the parts in {left.folder.name}, and nothing says whether {path.name} is of the same "
        f"task",
        advice=f"Move {path.name} away, and run this again to put the parts together.",
    )
