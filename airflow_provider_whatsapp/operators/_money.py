"""The cost of a broadcast: its estimate in a dry run, and the limit that is checked before the first message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.delivery.cost import CHARGED, Estimate, estimate, plain
from airflow_provider_whatsapp.delivery.rates import Card, read_card
from airflow_provider_whatsapp.operators._lists import opened_list

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from airflow_provider_whatsapp.delivery.approved import Approved

NOTHING_SENT = "This try sent nothing."


@dataclass(frozen=True, slots=True)
class Budget:
    """What a broadcast may cost, and the rates to estimate it by."""

    card: Card
    limit: Decimal | None = None  # in the card's currency; None: there is no limit

    def check(self, counts: Mapping[str, int], approved: Approved | None, log: Any) -> None:
        """Refuse a broadcast that costs more than the limit, or whose cost cannot be estimated."""
        # The counts are all recipients by country, including those of other shards.
        if self.limit is None:
            return
        found = self._estimate(counts, approved)
        problem = self._problem(found)
        if problem is not None:
            raise ConfigurationError(f"max_cost: {problem}", advice=NOTHING_SENT)
        log.info("WhatsApp: the broadcast costs at most %s; max_cost is %s", _shown(found), plain(self.limit))

    def preview(self, found: dict[str, Any], approved: Approved | None, log: Any) -> dict[str, Any]:
        """Return a dry run's report with its cost; ``countries`` in it counts the messages that would be sent."""
        costs = self._estimate(found["countries"], approved)
        problem = self._problem(costs) if self.limit is not None else None
        shown = costs.to_dict() if costs is not None else {"currency": self.card.currency, "total": None}
        if self.limit is not None:
            shown |= {"max_cost": plain(self.limit), "refused": problem}
        log.info("WhatsApp, dry run: the broadcast would cost at most %s", _shown(costs))
        if costs is not None and costs.missing:
            log.warning("WhatsApp, dry run: %s has no rate for %s", self.card.name, costs.missing_text())
        if self.card.unknown:
            log.warning(
                "WhatsApp: %s names markets that this version does not know: %s",
                self.card.name,
                self.card.unknown[:10],
            )
        if problem is not None:
            log.warning("WhatsApp: max_cost would refuse this broadcast: %s", problem)
        return found | {"cost": shown}

    def _estimate(self, counts: Mapping[str, int], approved: Approved | None) -> Estimate | None:
        category = approved.category if approved is not None else ""
        return estimate(self.card, counts, category) if category in CHARGED else None

    def _problem(self, found: Estimate | None) -> str | None:
        """Return why the limit refuses a broadcast; None: it does not."""
        if found is None:
            return (
                "the template was not looked up or not found, so neither its category nor its rate is known"
            )
        if found.missing:
            return f"{self.card.name} has no {found.category.lower()} rate for {found.missing_text()}"
        if self.limit is not None and found.total > self.limit:
            return f"the broadcast may cost {_shown(found)}, more than the limit of {plain(self.limit)}"
        return None


def read_budget(rates: Any, max_cost: Decimal | None) -> Budget | None:
    """Read the rate card of a broadcast; return None if neither argument is given."""
    if rates is None or rates == "":
        if max_cost is None:
            return None
        raise ConfigurationError(
            "max_cost needs rates",
            advice="Give rates=, the CSV file of Meta's rates in your currency.",
        )
    return Budget(read_card(opened_list(rates, "rates")), max_cost)


def _shown(found: Estimate | None) -> str:
    return "an unknown amount" if found is None else f"{plain(found.total)} {found.currency}"
