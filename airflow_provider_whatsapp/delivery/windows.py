"""Hours in which people may be sent to: in one time zone, or in each recipient's own."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from time import monotonic
from zoneinfo import ZoneInfo

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.delivery.countries import zones

OWN = "recipient"
"""Value in place of a time zone: each recipient's own, by the calling code."""


def present() -> datetime:
    """Return the present time; all windows use this clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """The hours from ``start`` to ``end`` of each day."""

    start: time  # the first minute in which messages may leave
    end: time  # the first minute in which they may not; before start: the window spans midnight
    zone: str  # name of a time zone, or "recipient"
    fallback: str = "UTC"  # for recipients whose own time zone is not known

    def group(self, to: str) -> str:
        """Return the group of recipients who share their hours: names of time zones, joined."""
        if self.zone != OWN:
            return self.zone
        return "|".join(zones(to) or (self.fallback,))

    def is_open(self, group: str, now: datetime) -> bool:
        """Return whether a group may be sent to; if it spans several time zones, in all of them."""
        return self.opens(group, now) <= now

    def opens(self, group: str, now: datetime) -> datetime:
        """Return when a group's window is next open, in UTC; the present time if it is open now."""
        names = group.split("|")
        moment = now.astimezone(UTC)  # now has a time zone
        # In UTC, the present hours of a western zone may have begun on the day before yesterday.
        first = moment.date() - timedelta(days=2)
        days = [first + timedelta(days=number) for number in range(10)]
        spans = [[self._span(name, day) for day in days] for name in names]
        for opens in sorted({max(begin, moment) for each in spans for begin, _ in each}):
            if all(any(begin <= opens < end for begin, end in each) for each in spans):
                return opens
        # The country is too wide for so short a window, so only its most eastern zone counts.
        return self.opens(names[0], moment)

    def _span(self, name: str, day: date) -> tuple[datetime, datetime]:
        zone = ZoneInfo(name)
        begin = datetime.combine(day, self.start, zone)
        last = day if self.start < self.end else day + timedelta(days=1)
        return begin.astimezone(UTC), datetime.combine(last, self.end, zone).astimezone(UTC)


def window(hours: object, zone: str, *, fallback: str = "UTC") -> Window:
    """Return the window that hours like ``("09:00", "20:00")`` describe, in a time zone or in ``recipient``."""
    try:
        start, end = (time.fromisoformat(str(hour)) for hour in hours)  # type: ignore[attr-defined]
        for name in (fallback, zone if zone != OWN else fallback):
            ZoneInfo(name)
    except (TypeError, ValueError, OSError, KeyError) as error:
        raise ConfigurationError(
            f"send_window {hours!r} in {zone!r} is not a window",
            advice='Write it as ("09:00", "20:00"), and the time zone as "Europe/Berlin" or "recipient".',
        ) from error
    if start == end:
        raise ConfigurationError(
            f"send_window {hours!r} is empty", advice="Leave it out to send at any time."
        )
    return Window(start, end, zone, fallback)


class Gate:
    """Makes recipients wait whose send hours are over; a group that waits once waits until the end of the pass."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._looked: dict[str, float] = {}
        self.closed: Counter[str] = Counter()

    def holds(self, group: str) -> bool:
        """Return whether a group's recipients have to wait."""
        if group not in self.closed:
            now = monotonic()
            if now - self._looked.get(group, float("-inf")) < 1.0:
                return False
            self._looked[group] = now
            if self._window.is_open(group, present()):
                return False
        self.closed[group] += 1
        return True

    def opens(self) -> datetime:
        """Return when the first waiting group can be sent to."""
        now = present()
        return min(self._window.opens(group, now) for group in self.closed)
