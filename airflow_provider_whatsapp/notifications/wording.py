"""What an alert says: the stock template's values, what does not fit, and how many others failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jinja2 import ChainableUndefined

from airflow_provider_whatsapp.client.media import looks_like_media
from airflow_provider_whatsapp.client.messages._base import Part
from airflow_provider_whatsapp.client.messages.texts import whole_characters
from airflow_provider_whatsapp.notifications.facts import MISSING, cut, fit
from airflow_provider_whatsapp.notifications.missed import PORTION, listed
from airflow_provider_whatsapp.notifications.records import Held
from airflow_provider_whatsapp.notifications.secrets import hidden

if TYPE_CHECKING:
    from airflow_provider_whatsapp.notifications.recipient_gap import Slot
    from airflow_provider_whatsapp.notifications.records import Decision

MAX_VALUE = 300
"""Characters of one value of a template; a body holds 1,024 with all of them."""
MAX_HEADER = 60
"""Characters of a header that is a text."""
MAX_URL = 2000
MAX_TEXT = 4096
"""Characters of a text (Meta, "Text messages")."""
ROOM_OF_TEXT = 3000
ROOM_OF_TEMPLATE = 180
"""Characters for what a recipient has missed; the next message names what does not fit."""

LEAST_OF_AN_ERROR = 40
"""Characters of the error that a message always keeps."""

NOTHING = Held()


class Dash(ChainableUndefined):
    """A name that a callback's context lacks: it renders as a dash, and so do its attributes. No alert fails for it."""

    __slots__ = ()

    def __str__(self) -> str:
        return MISSING

    __html__ = __str__


def others(decision: Decision | None, slot: Slot, own: Held = NOTHING, other: Held = NOTHING) -> str:
    """Say how long a row of failures is and how many were not reported yet; their names are last: they may be cut."""
    # `own` and `other` are what the person has missed about the same key, and about other keys.
    counts, lists = [], []
    if decision is not None and decision.escalated:
        counts.append(f"{decision.record.runs} runs in a row have failed")
    before = (decision.held, decision.names) if decision is not None else (0, ())
    for (count, names), missed, what in (
        (before, own, "more failure"),
        ((slot.held, slot.names), other, "other alert"),
    ):
        if count + missed.held:
            counts.append(_counted(count + missed.held, what))
            lists.append(_listed(count + missed.held, (*missed.names, *names)))
    named = "; ".join(filter(None, lists))
    return "; ".join(counts) + (f": {named}" if named else "")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}"


def _listed(count: int, names: Sequence[str]) -> str:
    """Return the names; failures that only Airflow has counted have none."""
    if len(names) <= PORTION:
        return ", ".join((*names, "...") if names and count > len(names) else names)
    return listed(names) + (", ..." if count > len(names) else "")


def text_body(text: str, facts: Mapping[str, str], more: str, *, summary: bool) -> str:
    """Return the body of a text message; a summary reports only the other failures, ``more``."""
    if summary:
        return cut(hidden(f"DAG {facts['dag']}, run {facts['run']}: {more}"), MAX_TEXT)
    text, more = whole_characters(hidden(text)), cut(whole_characters(hidden(more)), MAX_TEXT - MAX_VALUE)
    # Cut the text first, so that the count survives a long one.
    return f"{cut(text, MAX_TEXT - len(more) - 3)} ({more})" if more else cut(text, MAX_TEXT)


def stock_values(
    facts: Mapping[str, str], more: str, *, summary: bool, recovered: bool = False
) -> dict[str, str]:
    """Return the stock template's values; a summary reports only the other failures, ``more``."""
    found = dict(facts)
    more = hidden(more)
    if recovered:
        found["error"] = "works again"
    if summary:
        found["error"] = more
    elif more:
        # Cut the error first, so that the names survive a long one.
        found["error"] = f"{cut(found['error'], max(LEAST_OF_AN_ERROR, MAX_VALUE - len(more) - 3))} ({more})"
    return found


def fitted(body: Any) -> Any:
    """Fit rendered values, such as an error's text, to WhatsApp's rules, so that it does not refuse the alert."""
    if isinstance(body, Mapping):
        return {name: _value(value) for name, value in body.items()}
    if isinstance(body, Sequence) and not isinstance(body, str | bytes | bytearray):
        return [_value(value) for value in body]
    return body if body is None else [_value(body)]


def without_gaps(given: Any, rendered: Any) -> Any:
    """Return a rendered argument with a dash for each given value that rendering turned into None."""
    if isinstance(given, list) and isinstance(rendered, list):
        return [without_gaps(one, other) for one, other in zip(given, rendered, strict=True)]
    return MISSING if rendered is None and isinstance(given, str) else rendered


def fitted_header(header: Any) -> Any:
    """Fit a template's header, if it is a text."""
    scalar = isinstance(header, str | int | float | list | tuple | set) or hasattr(header, "isoformat")
    return fit(header, MAX_HEADER) if scalar and not looks_like_media(header) else header


def fitted_buttons(buttons: Any) -> Any:
    """Fit the values of a template's buttons; a dash replaces an empty one."""
    if not isinstance(buttons, Sequence) or isinstance(buttons, str):
        return buttons
    return [item if item is None or isinstance(item, Mapping) else _value(item, MAX_URL) for item in buttons]


def _value(value: Any, limit: int = MAX_VALUE) -> Any:
    """Return a value that WhatsApp accepts; a parameter that gives its type stays."""
    typed = (isinstance(value, Mapping) and "type" in value) or isinstance(value, Part)
    return value if typed else fit(MISSING if value is None else value, limit)
