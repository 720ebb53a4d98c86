"""Reads Meta's rate card, as the user gives it, in its known layouts. This package contains no prices."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.delivery.markets import known_rows, rows_for, shared_rows, simple
from airflow_provider_whatsapp.delivery.text_files import open_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

CATEGORIES = {
    "marketing": "MARKETING",
    "utility": "UTILITY",
    "authentication": "AUTHENTICATION",
    "authenticationinternational": "AUTHENTICATION_INTERNATIONAL",
    "international": "AUTHENTICATION_INTERNATIONAL",
    "service": "SERVICE",
}
"""A column's name or a cell's word, in the form of :func:`~airflow_provider_whatsapp.delivery.markets.simple`."""
CURRENCIES = {"$us": "USD", "us$": "USD", "€": "EUR", "£": "GBP", "₹": "INR", "r$": "BRL", "a$": "AUD"}
MAX_ROWS = 20_000
MAX_CHARACTERS = 4 * 1024 * 1024
_TIDY = ("effectivedate", "currency", "market", "category", "rate")
_NONE = ("", "n/a", "na", "-")
_RATE = re.compile(r"([^\d.,()\-\u2012-\u2015\u2212\ufe63\uff0d]{0,4})([0-9]{1,9}(?:\.[0-9]{1,12})?)")
_SAID = re.compile(r"\bin ([A-Z]{3})\b")
_LAYOUTS = (
    "Give Meta's file of rates by market as it is (its header begins with Market, Currency, Marketing), or the "
    "columns effective_date, currency, market, category, rate. Volume tiers are not read."
)


@dataclass(slots=True)
class Card:
    """Rates by market and category."""

    name: str  # of the file
    currency: str = ""
    rates: dict[tuple[str, str], Decimal] = field(default_factory=dict)  # by simple name and category
    markets: dict[str, str] = field(default_factory=dict)  # names in the card, by simple name

    @property
    def unknown(self) -> list[str]:
        """Names of markets that this version does not know, so that their rates are never used."""
        return [name for simple_name, name in self.markets.items() if simple_name not in known_rows()]

    def rate(self, country: str, category: str) -> tuple[str, Decimal] | None:
        """Return the market and the list rate of a country's messages; None: the card has none."""
        rows = [name for name in rows_for(country) if name in self.markets]
        rows = [name for name in rows if name not in shared_rows()] or rows[:1]
        # For an authentication template the higher rate counts, because the account decides whether a country's rate
        # is the international one.
        names = (
            ("AUTHENTICATION", "AUTHENTICATION_INTERNATIONAL")
            if category == "AUTHENTICATION"
            else (category,)
        )
        found = [(self.rates[row, name], row) for row in rows for name in names if (row, name) in self.rates]
        if not found:
            return None
        rate, row = max(found)  # a card may also have both "Germany" and "DE"
        return self.markets[row], rate


def read_card(path: Any) -> Card:
    """Read a rate card from a CSV file; raises PayloadError if it is unreadable or in an unknown layout."""
    with open_text(path, field="rates") as text:
        lines = text.read(MAX_CHARACTERS + 1)
    if len(lines) > MAX_CHARACTERS:
        raise _refused(f"{path.name} is larger than 4 MiB")
    for delimiter in ",;\t":
        records = list(_records(lines, delimiter))
        for place, (line, cells) in enumerate(records[:50]):
            names = [simple(cell) for cell in cells]
            if names and names[0] == "market":
                return _wide(path.name, records[:place], (line, names), records[place + 1 :])
            if {*_TIDY[1:]} <= {*names}:
                return _tidy(path.name, (line, names), records[place + 1 :])
    raise _refused(f"{path.name} contains no line that names the columns of a rate card")


def _refused(problem: str, advice: str = _LAYOUTS) -> PayloadError:
    return PayloadError(problem, field="rates", advice=advice)


def _records(lines: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the records that are not empty, each with the number of its last line."""
    reader = csv.reader(lines.splitlines(keepends=True), delimiter=delimiter)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [" ".join(cell.split()) for cell in cells]
            if reader.line_num > MAX_ROWS:
                return
    except csv.Error:
        return


def _wide(
    name: str,
    before: Iterable[tuple[int, list[str]]],
    header: tuple[int, list[str]],
    records: Sequence[tuple[int, list[str]]],
) -> Card:
    """Read Meta's own layout: a market in each line, a category in each column."""
    card = Card(name)
    columns = {place: CATEGORIES[cell] for place, cell in enumerate(header[1]) if cell in CATEGORIES}
    if not columns:
        raise _refused(f"{name}:{header[0]} names no category")
    said = _SAID.findall(" ".join(cell for _, cells in before for cell in cells))
    card.currency = said[0] if said else ""
    for line, cells in records:
        if not any(cell for cell in cells[1:]):
            continue  # a note below the table
        where = f"{name}:{line}"
        market = _add_market(card, cells[0], where)
        if "currency" in header[1] and len(cells) > header[1].index("currency"):
            _add_currency(card, cells[header[1].index("currency")], where)
        for place, category in columns.items():
            rate = _read_rate(cells[place] if place < len(cells) else "", where, card.currency)
            _add_rate(card, (market, category), rate, where)
    return _checked(card)


def _tidy(name: str, header: tuple[int, list[str]], records: Sequence[tuple[int, list[str]]]) -> Card:
    """Read a layout with a line for each market and category; the latest date that is not in the future counts."""
    card, today = Card(name), datetime.now(UTC).date()
    dates: dict[tuple[str, str], date] = {}
    for line, cells in records:
        where = f"{name}:{line}"
        row = dict(zip(header[1], cells, strict=False))
        category = CATEGORIES.get(simple(row.get("category", "")))
        since = _read_date(row.get("effectivedate", ""), where)
        if category is None:
            raise _refused(
                f"{where} contains the category {row.get('category', '')[:40]!r}, which is not known"
            )
        if since > today:
            continue
        _add_currency(card, row.get("currency", ""), where)
        key = _add_market(card, row.get("market", ""), where), category
        if since < dates.get(key, date.min):
            continue
        if since > dates.get(key, since):
            card.rates.pop(key, None)
        dates[key] = since
        _add_rate(card, key, _read_rate(row.get("rate", ""), where, card.currency), where)
    return _checked(card)


def _checked(card: Card) -> Card:
    if not card.rates:
        raise _refused(f"{card.name} contains no rate")
    if not card.currency:
        raise _refused(f"{card.name} does not say its currency")
    return card


def _add_market(card: Card, name: str, where: str) -> str:
    key = simple(name)
    if not key:
        raise _refused(f"{where} names no market")
    card.markets.setdefault(key, name[:80])
    return key


def _add_currency(card: Card, text: str, where: str) -> None:
    found = CURRENCIES.get(text.lower(), text[:8].upper())
    is_code = len(found) == 3 and found.isalpha()
    if (
        card.currency and found != card.currency and (is_code or not card.currency.isalpha())
    ):  # many currencies have "$"
        raise _refused(
            f"{where} has the currency {found}, and lines before it {card.currency}",
            "Keep only the lines in the account's currency.",
        )
    card.currency = card.currency or found


def _add_rate(card: Card, key: tuple[str, str], rate: Decimal | None, where: str) -> None:
    if rate is None:
        return
    if card.rates.setdefault(key, rate) != rate:
        raise _refused(
            f"{where} gives {card.markets[key[0]]} a second rate", "Keep one line for each market."
        )


def _read_rate(cell: str, where: str, currency: str) -> Decimal | None:
    """Return a rate; None: there is none, which does not mean free."""
    if cell.lower() in _NONE:
        return None
    found = _RATE.fullmatch(cell)
    if found is None:
        raise _refused(
            f"{where} contains {cell[:40]!r}, which is not a rate",
            "Write rates with a decimal point and without separators: 0.0125.",
        )
    said = CURRENCIES.get(found[1].strip().lower(), "")
    if said and currency.isalpha() and said != currency:
        raise _refused(
            f"{where} contains {cell[:40]!r}, and the card is in {currency}",
            "Keep only the lines in the account's currency.",
        )
    return Decimal(found[2])


def _read_date(text: str, where: str) -> date:
    if not text:
        return date.min
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise _refused(
            f"{where} contains {text[:40]!r}, which is not a date", "Write it as 2026-10-01."
        ) from None
