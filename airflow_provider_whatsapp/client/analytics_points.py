"""Data points of Meta's analytics as rows: checked, cleaned and flat, in the columns of their kind."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.analytics_kinds import CLICKS, TYPES, Kind
from airflow_provider_whatsapp.client.errors import ServerError
from airflow_provider_whatsapp.client.masking import clean_line
from airflow_provider_whatsapp.client.resources.base import objects

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_whatsapp.client.analytics_span import Span

MAX_COUNT = 10**15
NO_ABOUT: Mapping[str, Mapping[str, Any]] = {}


def field_points(answer: dict[str, Any], kind: Kind) -> list[dict[str, Any]]:
    """Return a field's data points, which two kinds nest one list deeper; empty if there is no data."""
    node = answer.get(kind.source, answer)
    if not isinstance(node, dict):
        raise _broken(kind)
    if "data_points" in node:
        return objects(node["data_points"])
    return [point for item in objects(node.get("data")) for point in objects(item.get("data_points"))]


def rows_of(
    points: list[dict[str, Any]],
    kind: Kind,
    span: Span,
    shared: Mapping[str, Any],  # columns that all rows share
    about: Mapping[str, Mapping[str, Any]] = NO_ABOUT,  # columns by a template's ID
) -> Iterator[dict[str, Any]]:
    """Yield the rows of data points, which are consumed: each point is released after it has been read."""
    points.reverse()
    while points:
        point = points.pop()
        start = _moment(point.get("start"), kind)
        if start >= span.end:  # not every kind documents whether the end is included
            continue
        row = dict.fromkeys(kind.columns)
        row.update({name: word(point.get(name)) for name in kind.dimensions if name in point})
        row.update(_values(kind, point))
        row.update(shared)
        row.update(about.get(row.get("template_id") or "", {}))
        row["granularity"], row["start"] = span.unit, start
        row["end"] = _moment(point.get("end"), kind)
        yield {name: row[name] for name in kind.columns}


def _values(kind: Kind, point: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in kind.values:
        value = point.get(name)
        if name == "clicked":
            found |= clicks(_clicked(value, kind))
        elif name == "cost" and isinstance(value, list):
            spent = [each.get("value") for each in objects(value) if each.get("type") == "amount_spent"]
            found[name] = _number(spent[0], name, kind) if spent else None
        elif name not in found:
            found[name] = _number(value, name, kind)
    return found


def _clicked(value: Any, kind: Kind) -> list[dict[str, Any]]:
    return [
        {
            "type": word(each.get("type")),
            "button_content": word(each.get("button_content")),
            "count": _number(each.get("count"), "count", kind) or 0,
        }
        for each in objects(value)
    ]


def clicks(clicked: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the columns that are derived from a row's clicks: the list itself, and sums by type."""
    sums = dict.fromkeys(CLICKS.values(), 0)
    for each in clicked:
        if each["type"] in CLICKS:
            sums[CLICKS[each["type"]]] += each["count"]
    return {"clicked": clicked, **sums}


def _number(value: Any, name: str, kind: Kind) -> Any:
    if value is None:
        return None
    sound = isinstance(value, int | float) and not isinstance(value, bool)
    if not sound or not math.isfinite(value) or not 0 <= value < MAX_COUNT:
        raise _broken(kind)
    if TYPES.get(name) == "decimal":
        return float(value)
    if value != int(value):
        raise _broken(kind)
    return int(value)


def _moment(value: Any, kind: Kind) -> datetime:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 10**11:
        raise _broken(kind)
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=value)


def word(value: Any) -> str | None:
    """Return a word of an answer as a short line; None stays None."""
    return None if value is None else clean_line(value, masked=False)


def _broken(kind: Kind) -> ServerError:
    return ServerError(
        f"the gateway's answer holds {kind.name} analytics in another form than Meta documents",
        advice="Try again later.",
    )
