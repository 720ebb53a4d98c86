"""Analytics in Graph's API: three fields of the account with chained filters, and one edge."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox.analytics import (
    PRODUCTS,
    Period,
    Sent,
    received_in,
    sent_in,
    template_points,
)
from airflow_provider_whatsapp.sandbox.errors import GraphError
from airflow_provider_whatsapp.sandbox.model import DAY
from airflow_provider_whatsapp.sandbox.nodes import page

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_whatsapp.sandbox.state import State
    from airflow_provider_whatsapp.sandbox.wire import Call

MAX_TEMPLATES = 10
_FIELD = re.compile(r"\b(analytics|conversation_analytics|pricing_analytics)((?:\.[a-z_]+\([^()]*\))+)")
_FILTER = re.compile(r"\.([a-z_]+)\(([^()]*)\)")
_ITEM = re.compile(r"[^\s,\[\]\"']+")
_UNITS = {
    "analytics": {"HALF_HOUR": "HALF_HOUR", "DAY": "DAY", "MONTH": "MONTH"},
    "conversation_analytics": {"HALF_HOUR": "HALF_HOUR", "DAILY": "DAY", "MONTHLY": "MONTH"},
    "pricing_analytics": {"HALF_HOUR": "HALF_HOUR", "DAILY": "DAY", "MONTHLY": "MONTH"},
}
_DIMENSIONS = {
    "conversation_analytics": (
        *("CONVERSATION_CATEGORY", "CONVERSATION_DIRECTION", "CONVERSATION_TYPE", "COUNTRY", "PHONE"),
    ),
    "pricing_analytics": ("COUNTRY", "PHONE", "PRICING_CATEGORY", "PRICING_TYPE", "TIER"),
}
_FILTERS = {
    "analytics": ("phone_numbers", "product_types", "country_codes"),
    "conversation_analytics": (
        *("metric_types", "phone_numbers", "country_codes", "conversation_categories", "conversation_types"),
        *("conversation_directions", "dimensions"),
    ),
    "pricing_analytics": (
        *(
            "metric_types",
            "phone_numbers",
            "country_codes",
            "pricing_types",
            "pricing_categories",
            "dimensions",
        ),
    ),
}
_METRICS = ("SENT", "DELIVERED", "READ", "CLICKED", "COST")
_YEAR, _QUARTER = 366 * DAY, 91 * DAY  # a day more than documented, because start is rounded down to midnight


def fields(state: State, waba_id: str, asked: str | None) -> dict[str, Any]:
    """Return the analytics among the requested fields of an account; None for a field without filters."""
    found: dict[str, Any] = dict.fromkeys(_UNITS)
    for name, chain in _FIELD.findall(asked or ""):
        filters = dict(_FILTER.findall(chain))
        period = _period(state, name, filters)
        lists = {key: _ITEM.findall(text) for key, text in filters.items()}
        found[name] = _ANSWERS[name](state, waba_id, period, lists)
    return found


def _period(state: State, name: str, filters: dict[str, str]) -> Period:
    unknown = set(filters) - {"start", "end", "granularity", *_FILTERS[name]}
    if unknown:
        raise _refused(f"{name} has no filter {min(unknown)}")
    unit = _UNITS[name].get(filters.get("granularity", ""))
    if unit is None:
        raise _refused(f"granularity must be one of {{{', '.join(_UNITS[name])}}}")
    start, end = (_seconds(filters.get(key), key) for key in ("start", "end"))
    return _within(state, Period(start, end, unit), _YEAR)


def _seconds(text: str | None, name: str) -> float:
    if text is None or not (text.isascii() and text.isdigit() and len(text) < 12):
        raise _refused(f"{name} must be a Unix time")
    return float(text)


def _within(state: State, period: Period, back: float) -> Period:
    if period.end <= period.start:
        raise _refused("end must be later than start")
    if period.start < state.clock.now() - back:
        raise _refused("start is too long ago")
    return period


def _refused(text: str) -> GraphError:
    return GraphError(100, message=f"(#100) {text}")


def _kept(lists: dict[str, list[str]], name: str, value: str) -> bool:
    return not lists.get(name) or value in lists[name]


def _messages(state: State, waba_id: str, period: Period, lists: dict[str, list[str]]) -> dict[str, Any]:
    """Return the field ``analytics``: messages sent and delivered; received ones only for product type 100."""
    points: dict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    kinds = set(lists.get("product_types", ())) or {"0", "2"}
    for sent in sent_in(state, waba_id, period):
        kind = "0" if sent.message.type == "template" else "2"
        if kind in kinds and _is_asked_for(sent, lists):
            counts = points[period.point(sent.message.accepted_at)]
            counts.update({key: 1 for key in ("sent", "delivered") if key in sent.statuses})
    for reply, phone, country in received_in(state, waba_id, period) if "100" in kinds else ():
        if _kept(lists, "phone_numbers", phone) and _kept(lists, "country_codes", country):
            points[period.point(reply.accepted_at)].update({"sent": 1, "delivered": 1})
    names = {unit: name for name, unit in _UNITS["analytics"].items()}
    phones = [
        "".join(filter(str.isdigit, each.display))
        for each in state.numbers.values()
        if each.waba_id == waba_id
    ]
    return {
        "phone_numbers": [phone for phone in phones if _kept(lists, "phone_numbers", phone)],
        "country_codes": lists.get("country_codes", []),
        "granularity": names[period.unit],
        "data_points": [
            {"start": start, "end": end, "sent": counts["sent"], "delivered": counts["delivered"]}
            for (start, end), counts in points.items()
        ],
    }


def _is_asked_for(sent: Sent, lists: dict[str, list[str]]) -> bool:
    return _kept(lists, "phone_numbers", sent.phone_number) and _kept(lists, "country_codes", sent.country)


def _pricing(state: State, waba_id: str, period: Period, lists: dict[str, list[str]]) -> dict[str, Any]:
    """Return the field ``pricing_analytics``: the delivered messages, and their cost."""
    dimensions = _dimensions("pricing_analytics", lists)
    tiers = {"TIER", "PRICING_CATEGORY", "COUNTRY"} <= dimensions
    totals: dict[tuple[tuple[str, Any], ...], Counter[str]] = defaultdict(Counter)
    for sent in sent_in(state, waba_id, period):
        category = sent.message.category.upper()
        filters = ("pricing_categories", category), ("pricing_types", sent.charged_as)
        if "delivered" not in sent.statuses or not _is_asked_for(sent, lists):
            continue
        if not all(_kept(lists, name, value) for name, value in filters):
            continue
        start, end = period.point(sent.message.accepted_at)
        point: dict[str, Any] = {"start": start, "end": end}
        split = {
            "COUNTRY": ("country", sent.country),
            "PHONE": ("phone_number", sent.phone_number),
            "PRICING_CATEGORY": ("pricing_category", category),
            "PRICING_TYPE": ("pricing_type", sent.charged_as),
        }
        point |= dict(pair for name, pair in split.items() if name in dimensions)
        if tiers and sent.charged_as == "REGULAR":
            point["tier"] = "0:MAX"
        totals[tuple(point.items())].update({"volume": 1, "cost": sent.cost})
    return _nested(totals, _metrics(lists, ("VOLUME", "COST")))


def _conversations(state: State, waba_id: str, period: Period, lists: dict[str, list[str]]) -> dict[str, Any]:
    """Return the field ``conversation_analytics``: users who got messages, each once per point and category."""
    dimensions = _dimensions("conversation_analytics", lists)
    seen: set[tuple[Any, ...]] = set()
    totals: dict[tuple[tuple[str, Any], ...], Counter[str]] = defaultdict(Counter)
    for sent in sent_in(state, waba_id, period):
        category = sent.message.category.upper()
        kind = "REGULAR" if sent.charged_as == "REGULAR" else "FREE_TIER"
        filters = ("conversation_categories", category), ("conversation_types", kind)
        if "delivered" not in sent.statuses or not _is_asked_for(sent, lists):
            continue
        if not all(_kept(lists, name, value) for name, value in filters):
            continue
        start, end = period.point(sent.message.accepted_at)
        split = {
            "CONVERSATION_CATEGORY": ("conversation_category", category),
            "CONVERSATION_DIRECTION": ("conversation_direction", "BUSINESS_INITIATED"),
            "CONVERSATION_TYPE": ("conversation_type", kind),
            "COUNTRY": ("country", sent.country),
            "PHONE": ("phone_number", sent.phone_number),
        }
        point: dict[str, Any] = {"start": start, "end": end}
        point |= dict(pair for name, pair in split.items() if name in dimensions)
        key = tuple(point.items())
        once = (key, sent.message.wa_id, sent.message.number_id, category)
        totals[key].update({"conversation": int(once not in seen), "cost": sent.cost})
        seen.add(once)
    return _nested(totals, _metrics(lists, ("CONVERSATION", "COST")))


def _dimensions(name: str, lists: dict[str, list[str]]) -> set[str]:
    given = set(lists.get("dimensions", ()))
    if not given <= set(_DIMENSIONS[name]):
        raise _refused(f"dimensions must be of {{{', '.join(_DIMENSIONS[name])}}}")
    return given


def _metrics(lists: dict[str, list[str]], known: tuple[str, ...]) -> tuple[str, ...]:
    given = tuple(lists.get("metric_types", ())) or known
    if not set(given) <= set(known):
        raise _refused(f"metric_types must be of {{{', '.join(known)}}}")
    return given


def _nested(
    totals: dict[tuple[tuple[str, Any], ...], Counter[str]], metrics: tuple[str, ...]
) -> dict[str, Any]:
    points = []
    for key, counts in totals.items():
        values = {name.lower(): counts[name.lower()] for name in metrics}
        points.append(
            {**dict(key), **values} | ({"cost": values["cost"] / 10_000} if "cost" in values else {})
        )
    return {"data": [{"data_points": points}] if points else []}


_ANSWERS: dict[str, Callable[[State, str, Period, dict[str, list[str]]], dict[str, Any]]] = {
    "analytics": _messages,
    "pricing_analytics": _pricing,
    "conversation_analytics": _conversations,
}


def templates(state: State, waba_id: str, call: Call) -> dict[str, Any]:
    """``GET /{waba_id}/template_analytics``."""
    query, account = call.query, state.accounts[waba_id]
    if account.insights_since is None:
        raise GraphError(200007, message="(#200007) Template Insights is not enabled for this account")
    if query.get("granularity", "").upper() != "DAILY":
        raise _refused("granularity must be one of {DAILY}")
    ids = _listed(query.get("template_ids"))
    if not 0 < len(ids) <= MAX_TEMPLATES:
        raise _refused(f"template_ids must be 1 to {MAX_TEMPLATES} ids")
    for name in ids:
        if name not in state.templates or state.templates[name].waba_id != waba_id:
            raise _refused(f"There is no template {name[:32]}")
    product = query.get("product_type", "CLOUD_API")
    if product not in PRODUCTS.values():
        raise _refused(f"product_type must be one of {{{', '.join(PRODUCTS.values())}}}")
    metrics = [name.upper() for name in _listed(query.get("metric_types"))] or list(_METRICS)
    if not set(metrics) <= set(_METRICS):
        raise _refused(f"metric_types must be of {{{', '.join(_METRICS)}}}")
    start, end = (_day(query, name) for name in ("start", "end"))
    period = _within(state, Period(start, end, "DAY"), _QUARTER)
    points = template_points(state, waba_id, period, ids, product)
    kept = {"template_id", "start", "end", *(name.lower() for name in metrics)}
    shown = [{name: value for name, value in point.items() if name in kept} for point in points]
    found = {"granularity": "DAILY", "product_type": product.lower(), "data_points": shown}
    return page([found], call, lambda _: product, lambda item: item)


def _listed(text: str | None) -> list[str]:
    return _ITEM.findall(text or "")


def _day(query: dict[str, str], name: str) -> float:
    """Return a time, rounded down to midnight in UTC, which is the time zone of the sandbox's accounts."""
    text = query.get(name, "")
    by_zone = query.get("use_waba_timezone", "false").lower() == "true"
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        if by_zone:
            raise _refused(f"{name} must be a date (YYYY-MM-DD) with use_waba_timezone") from None
    return _seconds(text, name) // DAY * DAY


def enable(state: State, waba_id: str, value: Any) -> dict[str, Any]:
    """``POST /{waba_id}?is_enabled_for_insights=true``, which cannot be undone."""
    if value not in (True, "true", "1"):
        raise GraphError(200006, message="(#200006) Template Insights cannot be disabled once enabled")
    account = state.accounts[waba_id]
    if account.insights_since is None:
        account.insights_since = state.clock.now()
        state.changed()
    return {"id": waba_id}
