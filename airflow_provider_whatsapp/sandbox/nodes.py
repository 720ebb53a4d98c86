"""What all Graph objects have in common: the choice of fields, and lists in pages."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from airflow_provider_whatsapp.sandbox.errors import GraphError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_whatsapp.sandbox.wire import Call

T = TypeVar("T")

_NESTED = re.compile(r"[{(][^{}()]*[)}]")


def choose(node: dict[str, Any], fields: str | None, default: Sequence[str], kind: str) -> dict[str, Any]:
    """Return the requested fields of an object, and always its id; ``kind`` is its type in Graph, for the error."""
    if fields is None:
        return {name: node[name] for name in default if node.get(name) is not None}
    flat = fields
    while _NESTED.search(flat):
        flat = _NESTED.sub("", flat)
    names = [name.split(".")[0].strip() for name in flat.split(",") if name.strip()]
    for name in names:
        if name not in node:
            raise GraphError(
                100, message=f"(#100) Tried accessing nonexisting field ({name}) on node type ({kind})"
            )
    return {name: node[name] for name in dict.fromkeys([*names, "id"]) if node.get(name) is not None}


def page(
    items: list[T],
    call: Call,
    key: Callable[[T], str],  # returns the id that the cursors hold
    show: Callable[[T], dict[str, Any]],
    *,
    most: int = 1_000,  # a higher limit counts as this
) -> dict[str, Any]:
    """Return one page of a list, with cursors; ``next`` only if something follows."""
    limit = _limit(call.query.get("limit"), most)
    start, end = 0, len(items)
    places = {key(item): index for index, item in enumerate(items)} if items else {}
    if "after" in call.query:
        start = _place(call.query["after"], places) + 1
        end = min(end, start + limit)
    elif "before" in call.query:
        end = _place(call.query["before"], places)
        start = max(0, end - limit)
    else:
        end = min(end, limit)
    shown = items[start:end]
    if not shown:
        return {"data": []}
    first, last = _cursor(key(shown[0])), _cursor(key(shown[-1]))
    paging: dict[str, Any] = {"cursors": {"before": first, "after": last}}
    if end < len(items):
        paging["next"] = _address(call, after=last)
    if start > 0:
        paging["previous"] = _address(call, before=first)
    return {"data": [show(item) for item in shown], "paging": paging}


def _limit(raw: str | None, most: int) -> int:
    if raw is None:
        return 25
    if not (raw.isascii() and raw.isdigit() and len(raw) < 8 and int(raw)):
        raise GraphError(100, message="(#100) Param limit must be a whole number of at least 1")
    return min(int(raw), most)


def _cursor(name: str) -> str:
    return base64.urlsafe_b64encode(b"c1:" + name.encode()).decode().rstrip("=")


def _place(cursor: str, places: dict[str, int]) -> int:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        raw = ""
    index = places.get(raw.removeprefix("c1:")) if raw.startswith("c1:") else None
    if index is None:
        raise GraphError(131059, "The cursor is broken or its object is gone: start again without it")
    return index


def _address(call: Call, **cursor: str) -> str:
    # Graph puts its own host and a token here, not the gateway's: a client that follows the address leaves Maton.
    kept = {
        name: value for name, value in call.query.items() if name not in {"after", "before", "access_token"}
    }
    native = call.path.split("/", 2)[2]
    return f"https://graph.facebook.com/{native}?{urlencode({'access_token': 'UPSTREAM', **kept, **cursor})}"
