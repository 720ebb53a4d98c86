"""The time for which analytics are requested, read from users' input and checked against the age of Meta's data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_provider_whatsapp.client.errors import PayloadError

if TYPE_CHECKING:
    from airflow_provider_whatsapp.client.analytics_kinds import Kind, Unit

_NAMES: dict[str, Unit] = {
    **dict.fromkeys(("half_hour",), "half_hour"),
    **dict.fromkeys(("day", "daily"), "day"),
    **dict.fromkeys(("month", "monthly"), "month"),
}


@dataclass(frozen=True, slots=True)
class Span:
    """A range of time, in the account's time zone; its end is not part of it."""

    start: datetime
    end: datetime
    unit: Unit

    @property
    def days(self) -> tuple[date, date]:
        """The first day, and the day after the last one."""
        last = self.end.date()
        return self.start.date(), last if self.end.time() == time(0) else last + timedelta(days=1)

    def halves(self) -> tuple[Span, Span] | None:
        """Return two spans that meet at a midnight; None: this one is a day, or its granularity is a month."""
        first, last = self.days
        count = (last - first).days
        if count < 2 or self.unit == "month":
            return None
        middle = _midnight(first + timedelta(days=count // 2), self.start.tzinfo)
        return Span(self.start, middle, self.unit), Span(middle, self.end, self.unit)


def read_unit(kind: Kind, value: Any) -> Unit:
    """Return the granularity with a name, ours or Meta's, after checking that the kind has it."""
    unit = _NAMES.get(str(value).strip().lower())
    if unit is None or unit not in kind.units:
        raise PayloadError(
            f"{str(value)[:40]!r} is not known for {kind.name} analytics",
            field="granularity",
            limit=", ".join(kind.units),
            advice="Meta reports template analytics by day only." if kind.name == "template" else None,
        )
    return unit


def read_zone(value: Any) -> ZoneInfo:
    """Return the time zone with a name, such as ``Europe/Lisbon``."""
    try:
        return ZoneInfo(str(value))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise PayloadError(
            f"{str(value)[:60]!r} is not a time zone",
            field="timezone",
            advice='Give the account\'s time zone by its name, such as "America/Sao_Paulo"; WhatsApp Manager shows '
            "it.",
        ) from None


def read_span(
    kind: Kind, start: Any, end: Any, unit: Unit, zone: ZoneInfo, *, now: datetime | None = None
) -> Span:
    """Return the range of time between two values, after checking that Meta keeps this kind so long."""
    # Start and end are dates, datetimes or the texts of one; the end is the day or moment after the last. The time
    # zone is that of dates, and of times without an offset.
    now = (now or datetime.now(UTC)).astimezone(zone)
    span = Span(_moment(start, "start", zone), _moment(end, "end", zone), unit)
    if span.start >= span.end:
        raise PayloadError(
            f"{_shown(span.start)} is not before the end, {_shown(span.end)}",
            field="start",
            advice="The end is the day or moment after the last one: one day is start='2026-11-01', "
            "end='2026-11-02'.",
        )
    if span.start > now + timedelta(days=1):  # a day of tolerance for clocks and time zones
        raise PayloadError(
            f"{_shown(span.start)} has not come yet", field="start", advice="Give a time that is past."
        )
    first = _midnight((now - timedelta(days=kind.days_back)).date(), zone)
    if span.start < first:
        raise PayloadError(
            f"{_shown(span.start)} is too long ago: Meta keeps {kind.name} analytics for {kind.days_back} days, so "
            f"no data is older than {first:%Y-%m-%d}",
            field="start",
            limit=f"{kind.days_back} days",
            advice=f"Begin at {first:%Y-%m-%d}. Meta has deleted older data, and no setting brings it back.",
        )
    return span


def _moment(value: Any, field: str, zone: ZoneInfo) -> datetime:
    found = value
    if isinstance(found, str):
        try:
            found = datetime.fromisoformat(found.strip())
        except ValueError:
            found = None
    if isinstance(found, datetime):
        # Airflow uses pendulum's datetimes, whose arithmetic differs.
        plain = datetime.fromisoformat(found.isoformat())
        return plain.replace(tzinfo=zone) if plain.tzinfo is None else plain.astimezone(zone)
    if isinstance(found, date):
        return _midnight(found, zone)
    raise PayloadError(
        f"{str(value)[:40]!r} is not a date",
        field=field,
        advice='Give a date such as "2026-11-01", or a moment such as "2026-11-01T06:00:00+00:00".',
    )


def _midnight(day: date, zone: Any) -> datetime:
    return datetime.combine(date(day.year, day.month, day.day), time(0), zone)


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}" if moment.time() == time(0) else moment.isoformat(timespec="minutes")
