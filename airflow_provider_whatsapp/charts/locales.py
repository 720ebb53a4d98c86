"""Numbers and dates in the form of a language, by Babel."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.tables.files import missing

if TYPE_CHECKING:
    from collections.abc import Sequence

COMPACT_FROM = 100_000
"""Numbers from which on a label says 1.2M instead of 1,234,567."""
SMALLEST, SCIENTIFIC_FROM = 1e-6, 1e15
"""Numbers below and above which labels are powers of ten: 1.2E18."""
DEFAULT_LOCALE = "en_US"
_NO_BREAK = "\N{NO-BREAK SPACE}"


class Formats:
    """How one chart writes its numbers and dates, in a locale such as ``en_US``, ``pt-BR`` or ``ar``."""

    def __init__(self, locale: str, unit: str | None = None) -> None:
        try:
            import babel
            from babel.numbers import list_currencies
        except ImportError as error:
            raise missing("babel", "charts") from error
        try:
            self._locale = babel.Locale.parse(locale.replace("-", "_"))
        except (ValueError, TypeError, babel.UnknownLocaleError) as error:
            raise PayloadError(
                f"{locale[:20]!r} is not a locale that is known",
                field="locale",
                advice="Use a locale such as en_US or pt_BR.",
            ) from error
        self._unit = unit  # an ISO 4217 currency code, %, or a word
        self._currency = unit if unit and unit in list_currencies() else None

    def number(
        self,
        value: float,
        *,
        digits: int | None = None,  # the most decimal places; None: those of three significant digits
        compact: bool = False,  # 1.2M instead of 1,234,567, from COMPACT_FROM on
        unit: bool = True,
        grouped: bool = True,  # separate thousands; False: as in a year
    ) -> str:
        """Return a number as text."""
        from babel.numbers import (
            format_compact_currency,
            format_compact_decimal,
            format_currency,
            format_decimal,
            format_scientific,
        )

        if value and not SMALLEST <= abs(value) < SCIENTIFIC_FROM:
            text = format_scientific(value, format="0.##E0", locale=self._locale)
            return str(self._with_unit(text)) if unit else str(text)
        places = _places(value) if digits is None else digits
        currency = self._currency if unit else None
        if compact and abs(value) >= COMPACT_FROM:
            if currency:
                return str(format_compact_currency(value, currency, locale=self._locale, fraction_digits=1))
            text = format_compact_decimal(value, fraction_digits=1, locale=self._locale)
        elif currency:
            # Amounts of money keep both digits: 49.90, not 49.9.
            decimals = "" if not places else ".00" if places <= 2 else "." + "#" * places
            pattern = self._locale.currency_formats["standard"].pattern.replace(".00", decimals)
            return str(
                format_currency(value, currency, format=pattern, currency_digits=False, locale=self._locale)
            )
        else:
            pattern = ("#,##0" if grouped else "0") + ("." + "#" * places if places else "")
            text = format_decimal(value, format=pattern, locale=self._locale)
        return str(self._with_unit(text)) if unit else str(text)

    def change(self, value: float, compared: float) -> str:
        """Return a number's change from ``compared``: in percent if that is meaningful, otherwise the difference."""
        from babel.numbers import format_percent

        if compared and value * compared >= 0 and abs(value / compared) < 100:
            share = (value - compared) / abs(compared)
            pattern = "#,##0.0%" if abs(share) < 0.1 else "#,##0%"
            text = format_percent(share, format=pattern, locale=self._locale)
        else:
            text = self.number(value - compared, compact=True)
        return ("+" if value > compared else "") + text

    def moments(self, moments: Sequence[datetime], among: Sequence[datetime]) -> list[str]:
        """Return dates as short as the span of all dates (``among``) allows: years, months, days, or hours."""
        from babel.dates import format_date, format_skeleton, format_time

        span = among[-1] - among[0]
        months = all(moment.day == 1 and _is_midnight(moment) for moment in among)
        if span <= timedelta(days=2) and not all(map(_is_midnight, among)):
            return [format_time(moment, "short", locale=self._locale) for moment in moments]
        skeleton = "MMMd"
        if months and all(moment.month == 1 for moment in among) and len(among) > 1:
            skeleton = "y"
        elif months or span > timedelta(days=300):
            skeleton = "yMMM"
        try:
            return [format_skeleton(skeleton, moment, locale=self._locale) for moment in moments]
        except KeyError:
            return [format_date(moment, "short", locale=self._locale) for moment in moments]

    def _with_unit(self, text: str) -> str:
        if not self._unit:
            return text
        return text + ("" if self._unit == "%" else _NO_BREAK) + self._unit


def known_locale(language: str) -> str:
    """Return a template's language as a locale; American English if Babel does not know it."""
    try:
        Formats(language)
    except PayloadError:
        return DEFAULT_LOCALE
    return language


def _places(value: float) -> int:
    """Return the number of decimal places for three significant digits."""
    if not value or value == int(value):
        return 0
    return min(max(0, 2 - math.floor(math.log10(abs(value)))), 6)


def _is_midnight(moment: datetime) -> bool:
    return not (moment.hour or moment.minute or moment.second)
