"""
Failures that a person does not know of, because a message did not arrive: the next message to them names them.

That message may be about anything: a failure, a success, a missed deadline. It claims the failures that it names, and
removes them when the gateway has accepted it. If it is lost in flight, its claim ends after a while, and a later
message names them.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.notifications.records import LONGEST_SENDING, Held

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

MAX_ENTRIES = 200
"""Entries of one person; beyond that, the oldest are merged."""
MAX_AGE = 7 * 86_400.0
"""Seconds after which a failure is dropped: the user's own template names none, so they would pile up."""
MAX_NAME = 120
"""Characters of one name."""
PORTION = 5
"""Names that are sent, or left to the next message, together."""

_MAPPED = re.compile(r"(.+)\[(\d+)\]", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed(Held):
    """Failures that one alert could not report to a person."""

    token: str = ""  # identifies the entry
    key: str = ""
    at: float = 0.0  # Unix time in seconds at which the alert failed
    until: float = 0.0  # Unix time in seconds until which a message with it may be in flight; 0: none is


def _entry(found: dict[str, object]) -> Missed:
    """Read an entry as a store holds it."""
    known = {item.name for item in fields(Missed)}
    values = {key: value for key, value in found.items() if key in known}
    return Missed(**values | {"names": tuple(values.get("names", ()))})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """What did not reach one person, the oldest first."""

    entries: tuple[Missed, ...] = field(default=(), metadata={"each": _entry})


def entries_of(token: str, key: str, held: Held, *, now: float) -> Iterator[Missed]:
    """Yield an alert's failures in portions that fit a message each; ``now`` is Unix time in seconds."""
    names = [name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…" for name in held.names]
    unnamed = max(0, held.held - len(names))
    portions = [names[start : start + PORTION] for start in range(0, len(names), PORTION)] or [[]]
    for number, portion in enumerate(portions):
        last = number == len(portions) - 1
        count = len(portion) + (unnamed if last else 0)
        if count:
            yield Missed(held=count, names=tuple(portion), token=f"{token}.{number}", key=key, at=now)


def on_leave(undelivered: Undelivered, entries: Iterable[Missed]) -> tuple[Undelivered, bool]:
    """Record what a person has missed; an entry replaces one with the same token."""
    new = {entry.token: replace(entry, until=0.0) for entry in entries}
    kept = [entry for entry in undelivered.entries if entry.token not in new]
    several = [*kept, *new.values()]
    while len(several) > MAX_ENTRIES:
        first, second, *others = several
        both = first.with_more(second.held, second.names, most=PORTION)
        # A message that names one of them may be in flight, and must not remove both.
        token, key = f"{second.token}+", first.key if first.key == second.key else ""
        several = [replace(both, token=token, key=key), *others]
    return Undelivered(entries=tuple(several)), True


def on_take(
    undelivered: Undelivered, *, now: float, lasts: float, room: int
) -> tuple[Undelivered, tuple[Missed, ...]]:
    """Claim what a message will name, the oldest first: at least one entry, and as many as it has room for."""
    # `now` is Unix time in seconds; `lasts` seconds later the message counts as dead. `room` is in characters.
    taken: list[Missed] = []
    recent = [entry for entry in undelivered.entries if now - entry.at < MAX_AGE]
    for entry in recent:
        if 0 < entry.until - now <= LONGEST_SENDING:
            continue
        names = [name for each in (*taken, entry) for name in each.names]
        if taken and len(listed(names)) > room:
            break
        taken.append(entry)
    tokens = {entry.token for entry in taken}
    marked = (replace(entry, until=now + lasts) if entry.token in tokens else entry for entry in recent)
    return Undelivered(entries=tuple(marked)), tuple(taken)


def on_strike(undelivered: Undelivered, tokens: Collection[str]) -> tuple[Undelivered, None]:
    """Remove what a person has been notified of."""
    return Undelivered(
        entries=tuple(entry for entry in undelivered.entries if entry.token not in tokens)
    ), None


def listed(names: Iterable[str]) -> str:
    """List names: each once, with how often it occurs, and the indexes of a mapped task together."""
    plain: Counter[str] = Counter()
    indexes: dict[str, list[int]] = {}
    for name in names:
        found = _MAPPED.fullmatch(name)
        if found:
            indexes.setdefault(found[1], []).append(int(found[2]))
        else:
            plain[name] += 1
    words = [name if count == 1 else f"{name} ({count} times)" for name, count in plain.items()]
    words += [f"{name}[{_ranges(numbers)}]" for name, numbers in indexes.items()]
    return ", ".join(words)


def _ranges(numbers: Iterable[int]) -> str:
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)
