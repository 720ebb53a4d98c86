"""The kinds of analytics that Meta offers: their names, how far back they go, and the columns of their rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_whatsapp.client.errors import PayloadError

if TYPE_CHECKING:
    from collections.abc import Mapping

Unit = Literal["half_hour", "day", "month"]
ColumnType = Literal["text", "whole", "decimal", "moment", "json"]

TYPES: Mapping[str, ColumnType] = {
    **dict.fromkeys(("start", "end", "read_at"), "moment"),
    **dict.fromkeys(("sent", "delivered", "read", "volume", "conversation"), "whole"),
    **dict.fromkeys(("quick_reply_clicks", "url_clicks", "unique_url_clicks"), "whole"),
    "cost": "decimal",
    "clicked": "json",
}
"""The type of a column; a column that is not listed contains text."""
CLICKS = {
    "quick_reply_button": "quick_reply_clicks",
    "url_button": "url_clicks",
    "unique_url_button": "unique_url_clicks",
}
"""Meta's types of clicks, with the column of their sum."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of analytics."""

    name: str
    source: str  # Meta's field or edge
    days_back: int  # for which Meta keeps it
    units: Mapping[Unit, str]  # with Meta's name for each here
    dimensions: Mapping[str, str | None]  # columns that identify a row, with Meta's dimension if there is one
    values: tuple[str, ...]  # columns with counts; of two readings the greater one is right
    about: tuple[str, ...] = ()  # columns that describe a row

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that identify a row."""
        return ("waba_id", "granularity", "start", "end", *self.dimensions)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, in the order of files."""
        currency = ("currency",) if "cost" in self.values else ()
        return (*self.key, *self.about, *self.values, *currency, "read_at")


_DAILY: Mapping[Unit, str] = {"half_hour": "HALF_HOUR", "day": "DAILY", "month": "MONTHLY"}

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "pricing",
            "pricing_analytics",
            365,
            _DAILY,
            {
                "phone_number": "PHONE",
                "country": "COUNTRY",
                "pricing_category": "PRICING_CATEGORY",
                "pricing_type": "PRICING_TYPE",
                "tier": "TIER",
            },
            ("volume", "cost"),
        ),
        Kind(
            "messaging",
            "analytics",
            365,
            {"half_hour": "HALF_HOUR", "day": "DAY", "month": "MONTH"},
            {"phone_number": None, "country": None},
            ("sent", "delivered"),
        ),
        Kind(
            "conversation",
            "conversation_analytics",
            365,
            _DAILY,
            {
                "phone_number": "PHONE",
                "country": "COUNTRY",
                "conversation_category": "CONVERSATION_CATEGORY",
                "conversation_type": "CONVERSATION_TYPE",
                "conversation_direction": "CONVERSATION_DIRECTION",
            },
            ("conversation", "cost"),
        ),
        Kind(
            "template",
            "template_analytics",
            90,
            {"day": "DAILY"},
            {"template_id": None, "product_type": None},
            ("sent", "delivered", "read", "clicked", *CLICKS.values(), "cost"),
            ("template_name", "language"),
        ),
    )
}
"""The kinds by their names for users."""


def read_kind(value: Any) -> Kind:
    """Return the kind of analytics with a name."""
    found = KINDS.get(str(value).strip().lower())
    if found is None:
        raise PayloadError(f"{str(value)[:40]!r} is not known", field="kind", limit=", ".join(KINDS))
    return found
