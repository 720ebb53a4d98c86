"""The highest cost of a broadcast by a rate card, in exact decimals; countries without a rate are listed."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_whatsapp.delivery.rates import Card

CHARGED = ("MARKETING", "UTILITY", "AUTHENTICATION")
"""Categories of templates that have rates."""
MAX_NAMED = 10


@dataclass(frozen=True, slots=True)
class Share:
    """One country's share of the cost."""

    messages: int
    market: str  # row of the card
    rate: Decimal  # of one message

    @property
    def cost(self) -> Decimal:
        """The cost of all messages to the country."""
        return self.messages * self.rate


@dataclass(slots=True)
class Estimate:
    """The cost of messages of one category, as if all were delivered at the list rate."""

    currency: str
    category: str
    shares: dict[str, Share] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)  # messages to each country without a rate

    @property
    def total(self) -> Decimal:
        """The cost for all countries that have a rate."""
        return sum((share.cost for share in self.shares.values()), Decimal(0))

    def missing_text(self) -> str:
        """Return the countries without a rate, with their numbers of messages, as a phrase."""
        most = sorted(self.missing.items(), key=lambda item: (-item[1], item[0]))
        named = ", ".join(f"{country} {count}" for country, count in most[:MAX_NAMED])
        rest = f" and {len(most) - MAX_NAMED} more" if len(most) > MAX_NAMED else ""
        return f"{len(most)} {'country' if len(most) == 1 else 'countries'} ({named}{rest})"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON primitives; amounts are texts, because a float is not exact."""
        return {
            "currency": self.currency,
            "category": self.category,
            "total": plain(self.total),
            "countries": {
                country: {
                    "messages": share.messages,
                    "market": share.market,
                    "rate": plain(share.rate),
                    "cost": plain(share.cost),
                }
                for country, share in sorted(self.shares.items(), key=lambda item: -item[1].cost)
            },
            "missing": self.missing,
        }


def estimate(card: Card, countries: Mapping[str, int], category: str) -> Estimate:
    """Return the highest cost of messages, whose numbers are given by the ISO code of their country."""
    found = Estimate(card.currency, category)
    for country, messages in countries.items():
        rate = card.rate(country, category)
        if rate is None:
            found.missing[country] = messages
        else:
            found.shares[country] = Share(messages, *rate)
    return found


def plain(amount: Decimal) -> str:
    """Return an amount without an exponent and without trailing zeros."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
