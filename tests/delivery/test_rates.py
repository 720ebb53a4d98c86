"""Rate cards in the layouts that are known, and the cost that follows from one: exact, and never less than it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.delivery import countries, markets, rates
from airflow_provider_whatsapp.delivery.cost import Estimate, Share, estimate, plain
from airflow_provider_whatsapp.delivery.rates import Card, read_card

# All prices are invented.
META = """"Cost per message in USD, effective October 1, 2026",,,,,,
"Rates before taxes",,,,,,
Market,Currency,Marketing,Utility,Authentication,"Authentication-
International",Service
Argentina,$US,0.0711,0.0222,0.0222,n/a,n/a
Germany,$US,0.1365,0.0550,0.0550,n/a,0.0550
India,$US,0.0118,0.0014,0.0014,0.0280,0.0014
North America,$US,n/a,0.0034,0.0034,n/a,0.0034
Rest of Africa,$US,0.0225,0.0040,0.0040,n/a,n/a
Rest of Central and Eastern Europe,$US,0.0860,0.0212,0.0212,n/a,n/a
Bangladesh,$US,0.0900,0.0300,0.0300,,n/a
Rest of Asia Pacific,$US,0.0732,0.0113,0.0113,n/a,n/a
Other,$US,0.0604,0.0077,0.0077,n/a,n/a
,,,,,,
"*Rates may change",,,,,,
"""
TIDY = """effective_date,currency,market,category,rate
2025-07-01,EUR,Germany,marketing,0.1131
2026-10-01,EUR,Germany,marketing,0.1200
2099-01-01,EUR,Germany,marketing,9.9999
2026-10-01,EUR,Germany,authentication_international,n/a
2026-10-01,EUR,Other,utility,0.0070
2099-01-01,USD,Other,utility,0.0080
"""


def card(tmp_path, text, name="card.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return read_card(path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_meta_s_own_file_is_read_as_it_is(tmp_path, delimiter, encoding):
    text = META.replace('"Cost per message in USD, effective October 1, 2026"', '"Cost per message in USD"')
    found = card(tmp_path, text.replace(",", delimiter), encoding=encoding)

    assert (found.currency, found.unknown) == ("USD", [])
    assert found.rate("DE", "MARKETING") == ("Germany", Decimal("0.1365"))
    assert found.rate("US", "UTILITY") == ("North America", Decimal("0.0034"))


@pytest.mark.parametrize(
    ("country", "category", "market", "rate"),
    [
        ("AR", "MARKETING", "Argentina", "0.0711"),
        ("CA", "UTILITY", "North America", "0.0034"),
        ("KE", "MARKETING", "Rest of Africa", "0.0225"),
        ("PL", "UTILITY", "Rest of Central and Eastern Europe", "0.0212"),  # Meta writes & elsewhere
        ("BD", "UTILITY", "Bangladesh", "0.0300"),  # a row of its own since October 2026
        ("NP", "UTILITY", "Rest of Asia Pacific", "0.0113"),  # not in this card
        ("KZ", "UTILITY", "Other", "0.0077"),
        ("PT", "UTILITY", "Other", "0.0077"),  # its market has no row in this card
        ("TV", "UTILITY", "Other", "0.0077"),  # Meta lists no such country
        ("IN", "AUTHENTICATION", "India", "0.0280"),  # of two rates the higher
        ("DE", "AUTHENTICATION", "Germany", "0.0550"),
    ],
)
def test_a_country_is_charged_by_its_own_row_or_its_market_s(tmp_path, country, category, market, rate):
    assert card(tmp_path, META).rate(country, category) == (market, Decimal(rate))


@pytest.mark.parametrize(
    ("country", "category", "why"),
    [
        ("US", "MARKETING", "n/a is no price of nothing"),
        ("FR", "MARKETING", "France has a row of its own in every card, and this one lacks it"),
        ("GG", "UTILITY", "Guernsey has the United Kingdom's calling code"),
    ],
)
def test_a_country_without_a_rate_has_none(tmp_path, country, category, why):
    assert card(tmp_path, META).rate(country, category) is None, why


def test_names_of_countries_vary(tmp_path):
    text = "Market,Currency,Marketing\nTürkiye,€,0.01\nCôte d\u2019Ivoire,€,0.02\nGB,€,0.03\nRest of Oceania,€,1\n"
    found = card(tmp_path, text)
    assert [found.rate(name, "MARKETING")[1] for name in ("TR", "CI", "GB", "JE")] == [
        Decimal(rate) for rate in ("0.01", "0.02", "0.03", "0.03")
    ]
    assert (found.currency, found.unknown) == ("EUR", ["Rest of Oceania"])


def test_of_several_dates_the_latest_that_has_come_counts(tmp_path):
    found = card(tmp_path, TIDY)
    assert found.currency == "EUR"
    assert found.rate("DE", "MARKETING") == ("Germany", Decimal("0.1200"))
    assert found.rate("DE", "AUTHENTICATION") is None
    assert found.rate("KZ", "UTILITY") == ("Other", Decimal("0.0070"))
    backwards = "\n".join([TIDY.splitlines()[0], *reversed(TIDY.splitlines()[1:])])
    assert card(tmp_path, backwards).rate("DE", "MARKETING") == ("Germany", Decimal("0.1200"))


HEAD = "Market,Currency,Marketing\n"
REFUSED = {
    "no card": ("name,phone\nAna,1\n", "contains no line that names the columns of a rate card"),
    "empty": ("", "contains no line"),
    "no rates": (HEAD + "Germany,$US,n/a\n", "contains no rate"),
    "no categories": ("Market,Currency,Price\nGermany,$US,1\n", ":1 names no category"),
    "a comma": (HEAD + 'Germany,$US,"0,0111"\n', "card.csv:2 contains '0,0111', which is not a rate"),
    "negative": (HEAD + "Germany,$US,-0.1\n", "card.csv:2 contains '-0.1'"),
    "a minus sign": (
        HEAD + "Germany,$US,\N{MINUS SIGN}0.1\n",
        "card.csv:2 contains '.0.1', which is not a rate",
    ),
    "negative as in a ledger": (HEAD + "Germany,$US,(0.1)\n", "card.csv:2 contains"),
    "a number that is none": (HEAD + "Germany,$US,NaN\n", "card.csv:2 contains 'NaN'"),
    "huge": (HEAD + "Germany,$US,1e9\n", "card.csv:2 contains '1e9'"),
    "a cell of another currency": (
        HEAD + "Germany,USD,€0.1\n",
        "card.csv:2 contains '€0.1', and the card is in USD",
    ),
    "a later line of another currency": (TIDY + "2026-10-01,EUR,Other,utility,₹1\n", "the card is in EUR"),
    "words": (HEAD + "Germany,$US,free\n", "card.csv:2 contains 'free'"),
    "two currencies": (
        HEAD + "Germany,EUR,1\nIndia,USD,1\n",
        "card.csv:3 has the currency USD.*before it EUR",
    ),
    "a heading of another currency": (
        f"Rates in USD\n{HEAD}Germany,EUR,1\n",
        "card.csv:3 has the currency EUR.*before it USD",
    ),
    "no currency": ("Market,Marketing\nGermany,1\n", "does not say its currency"),
    "twice on one day": (
        TIDY + "2026-10-01,EUR,Other,utility,0.0071\n",
        "card.csv:8 gives Other a second rate",
    ),
    "a currency that is a story": (
        HEAD + "Germany,abcdefghij,1\nIndia,USD,1\n",
        r"card.csv:3 has the currency USD, and lines before it ABCDEFGH\.",
    ),
    "a second one that is longer": (
        HEAD + "Germany,$,1\nIndia,abcdefghij,1\n",
        "has the currency ABCDEFGH, and",
    ),
    "twice": (HEAD + "Germany,EUR,1\nGermany,EUR,2\n", "card.csv:3 gives Germany a second rate"),
    "no market": (HEAD + ",EUR,1\n", "card.csv:2 names no market"),
    "a category": (TIDY + "2026-10-01,EUR,Other,voice,1\n", "card.csv:8 contains the category 'voice'"),
    "a date": (TIDY + "soon,EUR,Other,utility,1\n", "card.csv:8 contains 'soon', which is not a date"),
    "a workbook": (b"PK\x03\x04rest", "is an Excel workbook"),
}


@pytest.mark.parametrize(("text", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_card_is_refused_with_its_line(tmp_path, text, words):
    with pytest.raises(PayloadError, match=rf"rates: .*{words}"):
        card(tmp_path, text)


def test_a_card_that_is_not_there(tmp_path):
    with pytest.raises(PayloadError, match=r"^rates: none.csv does not exist"):
        read_card(tmp_path / "none.csv")


def test_a_card_of_any_size_is_bounded(tmp_path, monkeypatch):
    assert rates.MAX_CHARACTERS == 4 * 2**20
    monkeypatch.setattr(rates, "MAX_CHARACTERS", len(TIDY))
    assert card(tmp_path, TIDY).currency == "EUR"
    with pytest.raises(PayloadError, match="larger than 4 MiB"):
        card(tmp_path, TIDY + "\n")


@pytest.mark.parametrize(("before", "found"), [(49, True), (50, False)])
def test_the_line_of_names_is_one_of_the_first_fifty(tmp_path, before, found):
    text = "a note\n" * before + HEAD + "Germany,USD,1\n"
    if found:
        assert card(tmp_path, text).currency == "USD"
    else:
        with pytest.raises(PayloadError, match="contains no line that names the columns"):
            card(tmp_path, text)


def test_rows_behind_the_last_that_a_card_may_have_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(rates, "MAX_ROWS", 2)
    found = card(tmp_path, HEAD + "Germany,USD,1\nIndia,USD,2\nSpain,USD,3\nItaly,USD,4\n")
    assert found.rates == {
        ("germany", "MARKETING"): Decimal(1),
        ("india", "MARKETING"): Decimal(2),
    }


def test_of_two_rows_of_one_country_the_higher_rate_counts(tmp_path):
    for text in (
        HEAD + "Germany,USD,0.1\nDE,usd,$US0.9\n",
        HEAD + "DE,USD,0.9\nGermany,USD,0.1\nOther,USD,2\n",
    ):
        assert card(tmp_path, text).rate("DE", "MARKETING") == ("DE", Decimal("0.9"))


def test_a_symbol_of_many_currencies_is_named_by_the_heading(tmp_path):
    assert card(tmp_path, f"Rates in MXN\n{HEAD}Mexico,$,1\n").currency == "MXN"
    assert card(tmp_path, f"{HEAD}Mexico,$,1\n").currency == "$"


def test_the_cost_is_exact_and_what_is_missing_is_named_and_counted(tmp_path):
    found = estimate(card(tmp_path, META), {"DE": 3, "US": 2, "FR": 5, "IN": 100_000}, "MARKETING")

    assert found.to_dict() == {
        "currency": "USD",
        "category": "MARKETING",
        "total": "1180.4095",
        "countries": {
            "IN": {"messages": 100_000, "market": "India", "rate": "0.0118", "cost": "1180"},
            "DE": {"messages": 3, "market": "Germany", "rate": "0.1365", "cost": "0.4095"},
        },
        "missing": {"US": 2, "FR": 5},
    }
    assert found.missing_text() == "2 countries (FR 5, US 2)"
    many = Estimate("USD", "UTILITY", missing={f"A{number}": 1 for number in range(12)})
    assert many.missing_text().endswith(", A7 1 and 2 more)")


@given(st.lists(st.tuples(st.integers(0, 10**6), st.decimals(0, 10, places=6)), max_size=20))
def test_the_total_is_the_sum_of_the_countries(parts):
    shares = {str(place): Share(messages, "Other", rate) for place, (messages, rate) in enumerate(parts)}
    found = Estimate("USD", "UTILITY", shares)
    assert found.total == sum((Decimal(messages) * rate for messages, rate in parts), Decimal(0))
    assert Decimal(plain(found.total)) == found.total
    assert "E" not in plain(found.total)


def test_every_country_of_the_table_is_one_and_stands_in_one_market():
    known = {country for country, _ in countries._codes().values()}
    assert set(markets._table()) - {"XK"} <= known | set(markets._SAME_CODE)
    names = [name for each in markets._table().values() for name in each[0]]
    assert len(names) == len(set(names))
    codes = [
        code for text in (markets._ALONE, *markets._REGIONS.values()) for code in markets._countries(text)
    ]
    assert len(codes) == len(set(codes))


def test_a_card_says_nothing_of_a_country_that_it_does_not_know():
    assert Card("card.csv").rate("DE", "MARKETING") is None
    assert markets.rows_for("??") == ["", "other"]


def test_a_rate_counts_from_its_own_day_on(tmp_path):
    today = datetime.now(UTC).date()
    text = f"{TIDY}{today},EUR,Germany,marketing,0.5\n{today + timedelta(days=2)},EUR,Germany,marketing,0.6\n"
    assert card(tmp_path, text).rate("DE", "MARKETING") == ("Germany", Decimal("0.5"))


def test_a_moment_counts_by_its_day(tmp_path):
    text = TIDY.replace("2026-10-01,", "2026-10-01T00:00:00,").replace("2025-07-01,", "2025-07-01 00:00,")
    assert card(tmp_path, text).rate("DE", "MARKETING") == ("Germany", Decimal("0.1200"))


def test_lines_without_a_date_are_older_than_any_other(tmp_path):
    text = TIDY.splitlines()[0] + "\n,EUR,Germany,utility,0.1\n2020-01-01,EUR,Germany,utility,0.2\n"
    found = card(tmp_path, text + ",EUR,Germany,utility,0.3\n,EUR,India,utility,0.4\n")
    assert found.rate("DE", "UTILITY") == ("Germany", Decimal("0.2"))
    assert found.rate("IN", "UTILITY") == ("India", Decimal("0.4"))


def test_a_market_is_called_as_the_card_calls_it_as_far_as_a_report_can_show_it(tmp_path):
    text = f'{HEAD}"Rest of\nAfrica",USD,1\n{"x" * 81},USD,2\n{"y" * 80},USD,3\n'
    assert list(card(tmp_path, text).markets.values()) == ["Rest of Africa", "x" * 80, "y" * 80]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("in EUR\nMarket,Marketing\nGermany,1\n", {"MARKETING": Decimal(1)}),
        ("in EUR\nMarket,Marketing,Currency\nGermany,1\n", {"MARKETING": Decimal(1)}),
        ("in EUR\nMarket,Marketing,Utility\nGermany,1\n", {"MARKETING": Decimal(1)}),
        ("in EUR\nMarket,Marketing,Utility\nGermany,,2\n", {"UTILITY": Decimal(2)}),
    ],
    ids=["one rate", "no cell for the currency", "no cell for a rate", "an empty cell"],
)
def test_a_line_may_end_before_the_last_column(tmp_path, text, found):
    read = card(tmp_path, text)
    assert read.currency == "EUR"
    assert read.rates == {("germany", category): rate for category, rate in found.items()}
