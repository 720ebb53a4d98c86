"""Hours of sending: in one zone, in each recipient's own, over midnight and over the change of clocks."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.delivery import countries
from airflow_provider_whatsapp.delivery.engine import Delivery, Rules
from airflow_provider_whatsapp.delivery.ledger import Job, Ledger, Try
from airflow_provider_whatsapp.delivery.recipients import Row
from airflow_provider_whatsapp.delivery.report import Report
from airflow_provider_whatsapp.delivery.windows import window
from tests.examples import examples
from tests.time_limits import ends

DAY = ("09:00", "20:00")
MOMENTS = st.integers(0, 2 * 366 * 86_400).map(
    lambda second: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
)


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "now", "opens"),
    [
        ("Europe/Berlin", "2026-07-01T06:59", "2026-07-01T07:00"),
        ("Europe/Berlin", "2026-07-01T07:00", "2026-07-01T07:00"),
        ("Europe/Berlin", "2026-07-01T18:00", "2026-07-02T07:00"),
        ("Europe/Berlin", "2026-10-24T19:00", "2026-10-25T08:00"),  # clocks go back in the night
        ("Asia/Tokyo", "2026-07-01T23:00", "2026-07-02T00:00"),
    ],
)
def test_when_a_window_opens(zone, now, opens):
    assert window(DAY, zone).opens(zone, at(now)) == at(opens)


def test_a_window_over_midnight():
    night = window(("22:00", "02:00"), "UTC")

    assert night.is_open("UTC", at("2026-01-01T23:00"))
    assert night.is_open("UTC", at("2026-01-02T01:00"))
    assert not night.is_open("UTC", at("2026-01-02T02:00"))


def test_each_recipient_has_a_zone_of_their_own():
    own = window(DAY, "recipient", fallback="UTC")

    assert own.group("4915550000001") == "Europe/Berlin"
    assert own.group("12045550001") == "America/Winnipeg"
    assert own.group("15550000001") == "America/New_York|America/Los_Angeles"
    assert own.group("79991234567") == "Asia/Vladivostok|Europe/Moscow"
    assert own.group("77011234567") == "Asia/Almaty"
    assert own.group("9990000000") == "UTC"
    both = own.group("15550000001")
    assert not own.is_open(both, at("2026-01-15T15:00")), "it is 7 in Los Angeles"
    assert own.is_open(both, at("2026-01-15T17:00"))


@given(
    MOMENTS,
    st.sampled_from(["15550000001", "4915550000001", "6281234567890", "79991234567", "5511987654321"]),
)
@settings(max_examples=examples(150), deadline=None)
def test_it_opens_within_the_hours_of_every_zone(now, to):
    own = window(DAY, "recipient")
    group = own.group(to)
    opens = own.opens(group, now)

    assert now <= opens <= now + timedelta(days=2)
    assert own.is_open(group, opens)
    for name in group.split("|"):
        assert 9 <= opens.astimezone(ZoneInfo(name)).hour < 20


MINUTES = st.integers(0, 24 * 60 - 1).map(lambda minute: time(minute // 60, minute % 60))
WIDE = ["15550000001", "79991234567", "6281234567890", "5511987654321"]


@given(MOMENTS, st.tuples(MINUTES, MINUTES).filter(lambda hours: hours[0] != hours[1]), st.sampled_from(WIDE))
@settings(max_examples=examples(300), deadline=None)
def test_it_is_open_whenever_every_zone_s_clock_is_within_the_hours(now, hours, to):
    """Also where it is tomorrow in the east and today in the west, and where the hours span midnight."""
    start, end = hours
    own = window((start.isoformat(), end.isoformat()), "recipient")
    group = own.group(to)

    def within(clock):
        return start <= clock < end if start < end else clock >= start or clock < end

    clocks = [now.astimezone(ZoneInfo(name)) for name in group.split("|")]
    night = timedelta(hours=12)
    # On the day of a change of clocks an hour is missing or comes twice.
    assume(all((clock - night).utcoffset() == (clock + night).utcoffset() for clock in clocks))
    if all(within(clock.time()) for clock in clocks):
        assert own.opens(group, now) == now


@pytest.mark.parametrize("hour", range(24))
def test_a_window_of_all_day_is_open_all_day(hour):
    """In each hour: Moscow and Vladivostok, or New York and Los Angeles, have different dates in some of them."""
    own = window(("00:00", "23:59"), "recipient")
    for to in WIDE:
        assert own.is_open(own.group(to), at(f"2026-11-29T{hour:02}:30"))


@pytest.mark.parametrize(
    ("to", "now", "opens"),
    [
        ("15550000001", "2026-01-15T13:59", "2026-01-15T14:00"),
        ("15550000001", "2026-01-15T15:59", "2026-01-15T15:59"),
        ("15550000001", "2026-01-15T16:00", "2026-01-16T14:00"),
        ("79991234567", "2026-01-15T00:30", "2026-01-15T00:30"),
    ],
    ids=["before", "the last minute", "after", "Vladivostok at half past ten"],
)
def test_where_a_country_is_too_wide_for_the_hours_its_east_decides(to, now, opens):
    """Between 9 and 11 no moment suits both New York and Los Angeles, or Moscow and Vladivostok."""
    own = window(("09:00", "11:00"), "recipient")

    assert own.opens(own.group(to), at(now)) == at(opens)


def test_hours_that_began_two_days_ago_as_utc_counts():
    """Honolulu's 22:00 of the 30th until its 16:00 of the 31st."""
    late = window(("22:00", "16:00"), "Pacific/Honolulu")

    assert late.is_open("Pacific/Honolulu", at("2026-02-01T01:59"))
    assert not late.is_open("Pacific/Honolulu", at("2026-02-01T02:00"))


def test_every_country_has_zones_that_exist():
    for iso, names in countries._codes().values():
        assert len(iso) == 2
        assert names
        for name in names:
            ZoneInfo(name)


@pytest.mark.parametrize(
    ("hours", "zone"),
    [(("9", "x"), "UTC"), ("09:00", "UTC"), (DAY, "Mars/Base"), (("09:00", "09:00"), "UTC")],
)
def test_what_is_no_window_is_refused(hours, zone):
    with pytest.raises(ConfigurationError, match="send_window"):
        window(hours, zone)


def test_nobody_is_lost_who_waits_for_another_pass(store):
    """East waits in the first pass and West in the second; skipped rows in between must not move a mark past them."""
    groups = ["east", "west"]
    rows = [Row(place, str(place), group=groups[place % 2]) for place in range(40)]
    rows[7] = Row(7, "7", group="west", skip="suppressed")
    rows[8] = Row(8, "8", group="east", skip="suppressed")
    rows[9] = Row(9, "9", group="west", skip="duplicate")
    sent = []

    def one_pass(closed):
        ledger = Ledger(store, pauses=())
        ledger.begin(Job("s", "m", 40), Try())
        delivery = Delivery(
            ledger,
            lambda row: row,
            lambda to, message: sent.append(to),
            rules=Rules(threads=2),
            later=lambda group: group == closed,
        )
        with ends(delivery):
            return delivery.run(rows, Report())

    one_pass("east")
    one_pass("west")
    report = one_pass(None)

    assert sorted(sent, key=int) == [str(place) for place in range(40) if place not in {7, 8, 9}]
    assert report.total == 40
    assert report.reasons == {"suppressed": 2, "duplicate": 1}
