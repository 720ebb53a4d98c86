"""
Results files that the API server opens: only below ``[whatsapp] ui_results_roots``, and only those with this package's
mark.

Their paths come from XCom, which any code in a task can write, and the API server can read files that tasks cannot.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import ConfigurationError, WhatsAppError
from airflow_provider_whatsapp.delivery.callback_data import parse_callback_data
from airflow_provider_whatsapp.delivery.local_files import open_resolved
from airflow_provider_whatsapp.delivery.result_lines import is_marked
from airflow_provider_whatsapp.hooks.file_policy import Place, configured_folders, seeming_place
from airflow_provider_whatsapp.hooks.object_stores import object_path
from airflow_provider_whatsapp.plugin.recipients import Recipient, from_outcome
from airflow_provider_whatsapp.plugin.sources import Answer, Sources

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = "ui_results_roots"
OPTION = f"[whatsapp] {_NAME}"
MOST = 200_000
"""The most recipients that are read from a file; the page says if there are more."""
LONGEST = 262_144
"""The most bytes of a line; a longer line is not this package's."""
SECONDS = 30.0
"""Seconds after which reading a file stops; the page says that there is more."""

THREADS: dict[str, Sources] = {}
"""The threads that read the files of each folder of the option."""
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class ResultsFile:
    """The content of a results file."""

    recipients: list[Recipient] = field(default_factory=list)  # in the file's order
    more: bool = False  # the file has more recipients than were read
    dags: frozenset[str] = frozenset()  # those that the lines name
    sends: frozenset[str] = frozenset()  # hashes, as in callback data
    unnamed: bool = False  # some lines name no DAG, because an earlier version wrote them


class NotOpenedError(WhatsAppError):
    """A results file is not opened, or cannot be opened."""

    default_permanent = True


async def results_of(path: str, *, share: float) -> Answer:  # share: of the page's waiting time
    """Return the result of :func:`read_results` as an answer, which is kept for a while."""
    try:
        with _lock:
            # A store or disk that hangs does not delay the other folders of the option.
            threads = THREADS.setdefault(_name_of_root(path), Sources(threads=2, most=2))
    except WhatsAppError as error:
        return Answer(problem=str(error))
    return await threads.ask(path, read_results, path, share=share)


def _name_of_root(path: str) -> str:
    """Return a key for the folder of the option; it reads neither disk nor store."""
    place = _seeming(path)
    held = (root for root in configured_folders(_NAME, resolve=False) if root.holds(place))
    return repr(next(held, None))


def _seeming(path: str) -> Place:
    try:
        return seeming_place(path)
    except ValueError:
        raise NotOpenedError(
            "The page does not open the results file, because its path contains '..'."
        ) from None


def read_results(path: str) -> ResultsFile:
    """Read a results file by a path that is not trusted; raises NotOpenedError if it cannot or must not be read."""
    recipients: list[Recipient] = []
    dags: set[str] = set()
    sends: set[str] = set()
    unnamed = more = False
    until = time.monotonic() + SECONDS
    with _opened(path) as file:
        for number, line in enumerate(_lines(file)):
            if number == MOST or time.monotonic() > until:
                more = True
                break
            recipient = None if line is None else from_outcome(line, line["n"])
            if line is not None and recipient is not None:
                recipients.append(recipient)
                sends.add(_send_of(line))
                if isinstance(line.get("dag_id"), str):
                    dags.add(line["dag_id"])
                else:
                    unnamed = True
    return ResultsFile(recipients, more, frozenset(dags), frozenset(sends), unnamed)


def _send_of(line: dict[str, Any]) -> str:
    """Return the hash of a line's send; "": it carried no callback data of this package."""
    given, data = line.get("send_hash"), line.get("callback_data")
    if isinstance(given, str):
        return given
    carried = parse_callback_data(data) if isinstance(data, str) else None
    return "" if carried is None else carried[0]


def _opened(path: str) -> Any:
    place = _below_a_root(path)
    try:
        if place.store is None:
            return open_resolved(Path(*place.parts))
        remote: Any = object_path(path)
        return remote.open("rb")
    except FileNotFoundError:
        advice = "Put results_path in an object store, or on a disk that the API server shares."
        local = (
            "The results file is not on the API server's disk, but on that of the machine that ran the task."
        )
        away = "The results file no longer exists."
        raise NotOpenedError(
            local if place.store is None else away, advice=advice if place.store is None else None
        ) from None
    except ConfigurationError:
        raise
    except Exception as error:  # the error of a store's client may quote its credentials
        raise NotOpenedError(f"The results file cannot be read ({type(error).__name__}).") from None


def _below_a_root(path: str) -> Place:
    """Return the place to which a path leads, with links resolved, if one of the folders contains it."""
    seeming = _seeming(path)
    roots = configured_folders(_NAME, resolve=False)
    # Links on another disk, which may hang, are only resolved if the path's own folder does not decide.
    near = sorted(
        (root for root in roots if root.store == seeming.store), key=lambda root: not root.holds(seeming)
    )
    try:
        place = seeming.resolved()
        if any(root.resolved().holds(place) for root in near):
            return place
    except ValueError:
        raise NotOpenedError("The results file's path contains links that do not resolve.") from None
    why = "is empty" if not roots else "does not include its folder"
    raise NotOpenedError(
        f"The page does not open the results file, because {OPTION} {why}.",
        advice="Add its folder to that option of Airflow's configuration, on the API server.",
    )


def _lines(file: Any) -> Iterator[dict[str, Any] | None]:
    """Yield the lines of a file that begins with a marked one; None for damaged lines further down."""
    first = True
    while raw := file.readline(LONGEST):
        try:
            line = json.loads(raw)
        except (ValueError, RecursionError):
            line = None
        if is_marked(line):
            yield line
        elif not first:
            yield None
        else:
            raise NotOpenedError(
                "The page does not show the file, because it is not a results file of this version.",
                advice="If version 0.1 wrote it, mark it with: python -m airflow_provider_whatsapp results PATH.",
            )
        first = False
