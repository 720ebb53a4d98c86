"""Analytics of the account: what was sent, delivered, read and clicked, and what it cost, one row per data point."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.analytics_kinds import Kind, read_kind
from airflow_provider_whatsapp.client.analytics_points import field_points, rows_of, word
from airflow_provider_whatsapp.client.analytics_span import Span, read_span, read_unit, read_zone
from airflow_provider_whatsapp.client.errors import (
    AnswerTooLargeError,
    ConfigurationError,
    InvalidRequestError,
    PayloadError,
)
from airflow_provider_whatsapp.client.masking import clean_line
from airflow_provider_whatsapp.client.resources.base import Resource, objects
from airflow_provider_whatsapp.client.resources.templates import Templates

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    _Filters = Mapping[str, list[str]]

logger = logging.getLogger(__name__)

MAX_TEMPLATES = 10
"""The most templates that one request may name."""
PRODUCTS = ("CLOUD_API", "MARKETING_MESSAGES_API_FOR_WHATSAPP")
"""The two products that send a template; Meta counts them separately, and each needs its own query."""
INVALID_PARAMETER = 100
METRICS = "SENT,DELIVERED,READ,CLICKED,COST"
MAX_FIELD_ANSWER = 3 * 1024 * 1024
"""The largest answer, in bytes, that is turned into rows; the time of a larger one is split into two halves."""
TEMPLATES_PER_PAGE = 1_000
INSIGHTS_OFF = (
    "Someone responsible for the account must confirm them in WhatsApp Manager, or by POST /{waba_id}?is_enabled_for_"
    "insights=true. This cannot be undone and lets Meta use anonymised data of the account, so nothing here does it; "
    "counting begins then."
)
_TEMPLATE_ID = re.compile(r"[0-9]{5,32}", re.ASCII)
_PHONE = re.compile(r"[0-9]{5,20}", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)


class Analytics(Resource):
    """Analytics of the configured WhatsApp Business Account."""

    def rows(
        self,
        kind: str,
        start: Any,
        end: Any,
        *,
        granularity: str = "day",
        timezone: str = "UTC",
        templates: Sequence[str] | str | None = None,
        phone_numbers: Sequence[str] | str | None = None,
        country_codes: Sequence[str] | str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """
        Yield one row per data point, with all its dimensions, in the columns of its kind.

        The method checks the arguments when you call it; requests go out while you read the rows. Pricing, messaging
        and conversation analytics take one request, and more if its answer would be larger than 3 MiB; ``messaging``,
        which Meta does not split, takes one for each given number and country. Template analytics take one for ten
        templates and product, after two that look up the account and the names.

        :param kind: ``pricing``, ``messaging``, ``template`` or ``conversation``.
        :param start: First day or moment: a date, a datetime, or the text of one.
        :param end: The day or moment after the last.
        :param granularity: ``half_hour``, ``day`` or ``month``; only ``day`` for templates.
        :param timezone: The account's time zone, whose midnights are the bounds of Meta's days.
        :param templates: Names or IDs, for ``kind="template"``; None: all of the account's templates.
        :param phone_numbers: Only these of the account's numbers, as digits with the country code; None: all.
        :param country_codes: Only these countries of recipients, as ISO codes; None: all.
        :raises PayloadError: An argument is wrong, or ``start`` is further back than Meta keeps data.
        :raises ConfigurationError: No ``waba_id`` is set, or the account has no template insights.
        :raises APIError: WhatsApp or the gateway refused.
        """
        found = read_kind(kind)
        span = read_span(found, start, end, read_unit(found, granularity), read_zone(timezone))
        self._config.require("waba_id")
        filters = {
            "phone_numbers": _texts(
                phone_numbers, "phone_numbers", _PHONE, "digits with the country code: 15550001111"
            ),
            "country_codes": _texts(country_codes, "country_codes", _COUNTRY, "ISO codes: DE"),
        }
        names = _texts(templates, "templates", None, "names or IDs")
        _check_filters(found, filters, names)
        if found.name == "template":
            return self._template_rows(found, span, names)
        return self._field_rows(found, span, filters)

    def _field_rows(self, kind: Kind, span: Span, filters: _Filters) -> Iterator[dict[str, Any]]:
        """Yield the rows of a field of the account."""
        if any(kind.dimensions.values()):
            yield from self._field(kind, span, filters, {})
            return
        none: list[str | None] = [None]
        for phone in filters["phone_numbers"] or none:
            for country in filters["country_codes"] or none:
                chosen = {"phone_numbers": [phone], "country_codes": [country]}
                asked = {name: [text for text in texts if text] for name, texts in chosen.items()}
                yield from self._field(kind, span, asked, {"phone_number": phone, "country": country})

    def _field(
        self, kind: Kind, span: Span, filters: _Filters, fixed: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        waba_id = self._config.require("waba_id")
        read_at = datetime.now(UTC)
        try:
            query = {"fields": f"currency,{_chain(kind, span, filters)}"}
            answer = self._call("GET", waba_id, query=query, on_size=_bound)
        except AnswerTooLargeError:
            halves = span.halves()
            if halves is None:
                raise
        else:
            points = field_points(answer, kind)
            shared = {
                "waba_id": waba_id,
                **fixed,
                "currency": word(answer.get("currency")),
                "read_at": read_at,
            }
            del answer
            yield from rows_of(points, kind, span, shared)
            return
        for half in halves:
            yield from self._field(kind, half, filters, fixed)

    def _template_rows(self, kind: Kind, span: Span, names: list[str]) -> Iterator[dict[str, Any]]:
        waba_id = self._config.require("waba_id")
        account = self._call("GET", waba_id, query={"fields": "is_enabled_for_insights,currency"})
        if account.get("is_enabled_for_insights") is False:
            raise ConfigurationError(
                "the account's template insights are not switched on", advice=INSIGHTS_OFF
            )
        known = self._templates(names)
        ids = sorted(known)
        first, last = span.days
        query: dict[str, Any] = {
            "start": first.isoformat(),
            "end": last.isoformat(),
            "granularity": kind.units[span.unit],
            "metric_types": METRICS,
            # Without this, dates are days in UTC; it is left out unless it is needed.
            "use_waba_timezone": None if str(span.start.tzinfo) == "UTC" else "true",
        }
        shared = {"waba_id": waba_id, "currency": word(account.get("currency"))}
        products = list(PRODUCTS)
        for place in range(0, len(ids), MAX_TEMPLATES):
            query["template_ids"] = ids[place : place + MAX_TEMPLATES]
            for product in tuple(products):
                about = {**shared, "product_type": product.lower(), "read_at": datetime.now(UTC)}
                try:
                    for item in self._pages(f"{waba_id}/{kind.source}", {**query, "product_type": product}):
                        yield from rows_of(objects(item.get("data_points")), kind, span, about, known)
                except InvalidRequestError as error:
                    # Meta answered the same query for the first product, so it refuses this product.
                    if product == PRODUCTS[0] or error.code != INVALID_PARAMETER:
                        raise
                    logger.warning("%s: left out, because Meta refuses it: %s", product, error)
                    products.remove(product)

    def _templates(self, names: list[str]) -> dict[str, dict[str, Any]]:
        """Return the requested templates by their IDs, with their names if these had to be looked up."""
        if names and all(_TEMPLATE_ID.fullmatch(name) for name in names):
            return {name: {} for name in names}
        listed = Templates(self._transport, self._config).list(
            fields="id,name,language", page_size=TEMPLATES_PER_PAGE
        )
        found, missing = {}, set(names)
        for each in listed:
            about = {"template_name": each.get("name"), "language": each.get("language")}
            template_id = str(each.get("id"))
            if names and not {template_id, about["template_name"]} & set(names):
                continue
            missing -= {template_id, about["template_name"]}
            if _TEMPLATE_ID.fullmatch(template_id):
                found[template_id] = about
        if missing:
            shown = ", ".join(sorted(clean_line(name, masked=False) for name in missing)[:5])
            raise PayloadError(
                f"the account has no template {shown}{' and others' if len(missing) > 5 else ''}",
                field="templates",
                advice="Check the names; Meta drops the history of a template that is deleted.",
            )
        return found


def _check_filters(kind: Kind, filters: _Filters, names: list[str]) -> None:
    """Refuse filters that Meta does not offer for this kind of analytics."""
    given = [name for name, texts in filters.items() if texts]
    if kind.name == "template" and given:
        raise PayloadError(
            "Meta does not split or filter template analytics by this",
            field=given[0],
            advice="Leave it out; pricing analytics have numbers and countries.",
        )
    if kind.name != "template" and names:
        raise PayloadError(
            f"{kind.name} analytics cannot be filtered by template",
            field="templates",
            advice='Give kind="template".',
        )


def _texts(value: Any, field: str, form: re.Pattern[str] | None, wanted: str) -> list[str]:
    """Return a list of texts without duplicates, from a list or from a text separated by commas."""
    given = value.split(",") if isinstance(value, str) else [] if value is None else value
    if not isinstance(given, list | tuple | set | frozenset):
        raise PayloadError(f"is a {type(value).__name__}, not a list", field=field, advice=f"Give {wanted}.")
    texts = dict.fromkeys(str(each).strip().removeprefix("+") for each in given)
    texts.pop("", None)
    if form is not None and not all(form.fullmatch(text) for text in texts):
        raise PayloadError("contains a value of another form", field=field, advice=f"Give {wanted}.")
    if value is not None and not texts and not isinstance(value, str):
        raise PayloadError("is empty", field=field, advice=f"Give {wanted}, or leave it out for all.")
    return list(texts)


def _bound(size: int) -> None:
    if size > MAX_FIELD_ANSWER:
        raise AnswerTooLargeError(
            f"the answer is larger than {MAX_FIELD_ANSWER // 2**20} MiB",
            advice="Ask for a shorter time, or for fewer numbers or countries.",
        )


def _chain(kind: Kind, span: Span, filters: _Filters) -> str:
    """Return a field with its chained filters, as Graph reads them."""
    lists = {**filters, "dimensions": [name for name in kind.dimensions.values() if name]}
    chained = [
        f"start({int(span.start.timestamp())})",
        f"end({int(span.end.timestamp())})",
        f"granularity({kind.units[span.unit]})",
        *(f"{name}({json.dumps(values, separators=(',', ':'))})" for name, values in lists.items() if values),
    ]
    return ".".join([kind.source, *chained])
