"""Recipients who have opted out, looked up while the list is read: neither the list nor the opt-outs fill memory."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.client.phone import canonical
from airflow_provider_whatsapp.delivery.compact_sets import Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from airflow_provider_whatsapp.delivery.recipients import Row

logger = logging.getLogger(__name__)

AT_ONCE = 500
"""Recipients that are looked up together."""
FREE_FORM = ("all",)
"""The opt-outs that apply to a message without a template."""


def scopes_of(category: str | None) -> tuple[str, ...]:
    """Return the opt-outs that apply to a template of a category; None: not known, so it may be marketing."""
    return ("all",) if category in ("UTILITY", "AUTHENTICATION") else ("all", "marketing")


class OptOuts:
    """Marks recipients who have opted out; each reading looks everybody up again, so new opt-outs count at once."""

    def __init__(self, look_up: Callable[[Sequence[str]], Mapping[str, set[str]]]) -> None:
        self._look_up = look_up  # returns, for canonical names, the opt-outs of those who have any
        self._known = {"all": Seen(), "marketing": Seen()}
        self._complete = False
        self._away = False
        self.scopes: tuple[str, ...] = FREE_FORM
        self.left_out = 0

    def mark(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows; those of people who have opted out with ``skip="suppressed"``."""
        self.left_out, source = 0, iter(rows)
        while some := list(islice(source, AT_ONCE)):
            names = {
                row.position: canonical(row.to) for row in some if row.error is None and row.skip is None
            }
            out = self._opted_out(list(names.values()))
            for row in some:
                if names.get(row.position) in out:
                    self.left_out += 1
                    yield replace(row, skip="suppressed")
                else:
                    yield row
        self._complete = True

    def _opted_out(self, names: Sequence[str]) -> set[str]:
        try:
            found = self._look_up(names) if names else {}
        except WhatsAppError as error:
            # Once a list has been read to its end, a failing store does not end the task: opt-outs known by then count.
            if not self._complete:
                raise
            if not self._away:
                logger.warning("This task no longer sees new opt-outs: %s", error)
            self._away = True
        else:
            for name, scopes in found.items():
                for scope in scopes & self._known.keys():
                    self._known[scope].add(name)
        return {name for name in names if any(name in self._known[scope] for scope in self.scopes)}
