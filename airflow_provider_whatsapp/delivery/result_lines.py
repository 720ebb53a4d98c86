"""
A line of a results file: the mark that identifies it, and what a later broadcast reads from it.

Every line has the mark, so the file has one line per recipient for anyone who loads it into pandas or BigQuery, and
``cat`` can join shards. The first line decides for the whole file: if a file does not begin with a marked line, a mark
further down is an ordinary column.
"""

from __future__ import annotations

import itertools
import json
import math
import shlex
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.delivery.report import STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_whatsapp.delivery.rows import Raw

Scope = Literal["all", "failed", "unknown"]

FORMAT = "whatsapp-results/1"
"""Value of ``format`` in each line."""
UNTRIED = frozenset({"stopped", "dry_run"})
"""Reasons of skipped recipients who may still be sent to."""
MOST = 1 << 27
"""The highest position in a list, so that a bit for each position needs at most 16 MiB."""
_DEEPEST = 20
"""The most levels of nested lists that are kept of a row which strict JSON cannot represent."""
ARRIVED = ("delivered", "read")
"""Statuses that a receipt gives to a sent message, in addition to those of an outcome."""
_STATUSES = frozenset((*STATUSES, *ARRIVED))
_FAMILY = FORMAT.partition("/")[0]


def is_marked(line: Any) -> bool:
    """Return whether this version wrote a line as a result."""
    return has_shape(line) and line.get("format") == FORMAT


def is_unmarked(line: Any) -> bool:
    """Return whether a line looks like a result of version 0.1, which wrote no mark."""
    return has_shape(line) and "format" not in line


def has_shape(line: Any) -> bool:
    """Return whether a line has the fields of a result, marked or not."""
    return (
        isinstance(line, dict)
        and type(line.get("n")) is int
        and 0 <= line["n"] < MOST
        and isinstance(line.get("status"), str)
        and line["status"] in _STATUSES
        # Checked one by one: this runs for every line of every file, and a generator would cost more than the checks.
        and isinstance(line.get("to"), str)
        and isinstance(line.get("given"), str)
        and isinstance(line.get("where"), str)
        and isinstance(line.get("row", {}), dict)
    )


def keeps_row(line: dict[str, Any]) -> bool:
    """Return whether a result keeps the row's values, because a later broadcast may send to this recipient."""
    return line["status"] in ("failed", "unknown") or line.get("reason") in UNTRIED


def marked(line: dict[str, Any], *, keep_sent: bool = False) -> dict[str, Any]:
    """Return a result with its mark, and without values that are no longer needed."""
    found = {"format": FORMAT, **line}
    # Until a receipt says that it arrived, a sent message may still fail, and then it has to be sent again.
    if not keeps_row(line) and not (keep_sent and line["status"] == "sent"):
        found.pop("row", None)
    return found


_encode = json.JSONEncoder(ensure_ascii=False, default=str, allow_nan=False).encode


def dump(line: dict[str, Any]) -> bytes:
    """Return a result as a line of strict JSON in UTF-8, for any values of its row."""
    try:
        return _encode(line).encode() + b"\n"
    except (ValueError, TypeError, RecursionError):  # a lone surrogate, nan, a key that is not a text
        safe = {name: _plain(value) for name, value in line.items()}
        return json.dumps(safe, default=str).encode() + b"\n"


def _plain(value: Any, depth: int = 0) -> Any:
    """Return a value in a form that JSON can represent; None replaces what it cannot."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict | list | tuple) and depth < _DEEPEST:
        if isinstance(value, dict):
            return {str(name): _plain(each, depth + 1) for name, each in value.items()}
        return [_plain(each, depth + 1) for each in value]
    try:
        json.dumps(value, default=str, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        return None
    return value


def in_scope(rows: Iterator[Raw], source: Any, scope: Scope, to_field: str) -> Iterator[Raw]:
    """Return the requested rows: from a results file those in the scope, as they were in its source."""
    first = next(rows, None)
    if first is None:
        return iter(())
    everything = itertools.chain([first], rows)
    is_file = hasattr(source, "open")
    if is_file and is_marked(first[1]):
        return _taken_apart(everything, scope, to_field)
    if is_file:
        refuse_unmarked(first[1], source)
    if scope != "all":
        raise PayloadError(
            f'scope="{scope}" needs a results file, and {getattr(source, "name", "a list")} is not one',
            field="recipients",
            advice='Give the path that results_path had in the earlier task, or leave scope at "all".',
        )
    return everything


def refuse_unmarked(line: Any, source: Any, *, field: str = "recipients") -> None:
    """Refuse a file whose first line is a result of another version, and say what to do."""
    version = line.get("format", "") if has_shape(line) else None
    if isinstance(version, str) and version.startswith(f"{_FAMILY}/"):
        raise PayloadError(
            f"{source.name} is a results file of another version ({version[:40]!r}, this one reads {FORMAT!r})",
            field=field,
            advice="Read it with the version of the provider that wrote it.",
        )
    if is_unmarked(line):
        raise PayloadError(
            f"{source.name} looks like a results file, but has no mark",
            field=field,
            advice="If version 0.1 of this provider wrote it, mark it with: "
            f"python -m airflow_provider_whatsapp results {shlex.quote(str(source))}",
        )


def _taken_apart(rows: Iterator[Raw], scope: Scope, to_field: str) -> Iterator[Raw]:
    for where, line in rows:
        if isinstance(line, PayloadError):
            yield where, line
        elif not is_marked(line):
            problem = f"{where} is not a line of a results file, although the first one is"
            yield where, PayloadError(problem, field="recipients", advice="Correct this row.")
        elif scope == "all" or _asked_for(line, scope):
            yield where, {**line.get("row", {}), to_field: line["given"] or line["to"]}


def _asked_for(line: dict[str, Any], scope: Scope) -> bool:
    if scope == "unknown":
        return bool(line["status"] == "unknown")
    return line["status"] == "failed" or line.get("reason") in UNTRIED
