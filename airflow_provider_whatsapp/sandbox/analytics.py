"""An account's analytics, counted from the sandbox's messages at each request and not stored."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import phonenumbers

from airflow_provider_whatsapp.sandbox.model import DAY, Message, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_whatsapp.sandbox.state import State

COUNTED_FOR = 7 * DAY
"""Seconds after a send in which reads and clicks count; so long after a day has ended, Graph reports 0 of them."""
FREE_SERVICE = 1_000
"""Delivered service messages per number and month that are free, since October 2026."""
PRICES = {"MARKETING": 1_000, "MARKETING_LITE": 900, "UTILITY": 400, "AUTHENTICATION": 300, "SERVICE": 400}
"""Price of a delivered message, in ten-thousandths of the currency; invented, and the same for every country."""
PRODUCTS = {"messages": "CLOUD_API", "marketing_messages": "MARKETING_MESSAGES_API_FOR_WHATSAPP"}
"""The product that a message counts for, by the endpoint that it was sent to."""


@dataclass(frozen=True, slots=True)
class Period:
    """The time that a request asks about, in points of one length."""

    start: float  # first second, since the epoch
    end: float  # the second after the last
    unit: str  # HALF_HOUR, DAY or MONTH

    def point(self, at: float) -> tuple[int, int]:
        """Return the beginning and the end (Unix time) of the point that a time belongs to, in UTC."""
        if self.unit != "MONTH":
            length = 1_800 if self.unit == "HALF_HOUR" else int(DAY)
            begin = int(at // length) * length
            return begin, begin + length
        day = datetime.fromtimestamp(at, UTC)
        first = datetime(day.year, day.month, 1, tzinfo=UTC)
        following = datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=UTC)
        return int(first.timestamp()), int(following.timestamp())


@dataclass(slots=True)
class Sent:
    """One message of an account, as the analytics count it."""

    message: Message
    phone_number: str
    country: str
    statuses: frozenset[str]
    charged_as: str

    @property
    def cost(self) -> int:
        """Its invented price in ten-thousandths."""
        return PRICES[self.message.category.upper()] if self.charged_as == "REGULAR" else 0


def sent_in(state: State, waba_id: str, period: Period) -> Iterator[Sent]:
    """Yield the messages that an account sent in a period."""
    phones = {
        number.id: "".join(filter(str.isdigit, number.display))
        for number in state.numbers.values()
        if number.waba_id == waba_id
    }
    free: Counter[tuple[str, int]] = Counter()
    for item in state.messages.values():
        if not isinstance(item, Message) or item.number_id not in phones:
            continue
        statuses = frozenset(name for name, _ in state.timeline(item))
        charged_as = "REGULAR"
        if item.category == "service" and "delivered" in statuses:
            month = Period(0, 0, "MONTH").point(item.accepted_at)[0]
            free[item.number_id, month] += 1
            if free[item.number_id, month] <= FREE_SERVICE:
                charged_as = "FREE_CUSTOMER_SERVICE"
        if period.start <= item.accepted_at < period.end:
            yield Sent(item, phones[item.number_id], country_of(item.wa_id), statuses, charged_as)


def received_in(state: State, waba_id: str, period: Period) -> Iterator[tuple[Reply, str, str]]:
    """Yield the messages that an account received in a period, each with the number and the user's country."""
    for item in state.messages.values():
        number = state.numbers.get(item.number_id)
        if number is None or number.waba_id != waba_id or not isinstance(item, Reply):
            continue
        if period.start <= item.accepted_at < period.end:
            yield item, "".join(filter(str.isdigit, number.display)), country_of(item.wa_id)


@lru_cache(maxsize=65_536)
def country_of(wa_id: str) -> str:
    """Return a user's country by the number's calling code or the business-scoped id; an empty text for a group."""
    if wa_id[:2].isalpha():
        return wa_id[:2]
    try:
        number = phonenumbers.parse("+" + wa_id)
    except phonenumbers.NumberParseException:
        return ""
    exact: str | None = phonenumbers.region_code_for_number(number)
    return exact or str(phonenumbers.region_code_for_country_code(number.country_code or 0))


def template_points(
    state: State, waba_id: str, period: Period, template_ids: list[str], product: str
) -> list[dict[str, Any]]:
    """Return the outcomes of templates' messages sent while insights were on, by template and day of the send."""
    since = state.accounts[waba_id].insights_since or 0.0
    names = {(each.name, each.language): each.id for each in state.templates_of(waba_id)}
    counts: dict[tuple[str, int, int], Counter[str]] = defaultdict(Counter)
    clicks: dict[tuple[str, int, int], Counter[str]] = defaultdict(Counter)
    pressed = _pressed(state)
    for sent in sent_in(state, waba_id, period):
        message = sent.message
        if message.type != "template" or message.accepted_at < since or PRODUCTS[message.endpoint] != product:
            continue
        template = message.payload["template"]
        found = names.get((template["name"], template["language"]["code"]))
        if found not in template_ids:
            continue
        key = (str(found), *period.point(message.accepted_at))
        counts[key].update({name: 1 for name in ("sent", "delivered", "read") if name in sent.statuses})
        counts[key]["cost"] += sent.cost if "delivered" in sent.statuses else 0
        clicks[key].update(pressed.get(message.id, ()))
    now = state.clock.now()
    return [
        _template_point(key, counts[key], clicks[key], forgotten=now >= key[2] + COUNTED_FOR)
        for key in sorted(counts)
    ]


def _template_point(
    key: tuple[str, int, int], counts: Counter[str], clicks: Counter[str], *, forgotten: bool
) -> dict[str, Any]:
    template_id, start, end = key
    delivered, spent = counts["delivered"], counts["cost"] / 10_000
    cost = [{"type": "amount_spent", "value": spent}]
    if delivered:
        cost.append({"type": "cost_per_delivered", "value": spent / delivered})
    return {
        "template_id": template_id,
        "start": start,
        "end": end,
        "sent": counts["sent"],
        "delivered": delivered,
        "read": 0 if forgotten else counts["read"],
        "clicked": [
            {"type": "quick_reply_button", "button_content": text, "count": 0 if forgotten else count}
            for text, count in sorted(clicks.items())
        ],
        "cost": cost,
    }


def _pressed(state: State) -> dict[str, list[str]]:
    """Return the texts of buttons that users pressed in time, by the id of the template message above the press."""
    found: dict[str, list[str]] = defaultdict(list)
    for conversation in state.conversations.values():
        above: Message | None = None
        for item in conversation.items:
            if isinstance(item, Message):
                above = item if item.type == "template" else above
                continue
            in_time = above is not None and item.accepted_at < above.accepted_at + COUNTED_FOR
            if above is not None and in_time and item.pressed is not None:
                found[above.id].append(item.text)
    return found
