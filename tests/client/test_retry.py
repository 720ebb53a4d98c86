from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_whatsapp.client.errors import (
    AuthenticationError,
    NotSentError,
    OutcomeUnknownError,
    PayloadError,
    RateLimitError,
    ServerError,
    TemplateError,
)
from airflow_provider_whatsapp.client.retry import RequestRetry, parse_retry_after

RETRY = RequestRetry(max_retries=3, max_elapsed=60, base=1, cap=8)


def delay(error, *, attempt=1, elapsed=0.0, jitter=1.0, retry=RETRY):
    return retry.delay(error, attempt=attempt, elapsed=elapsed, jitter=jitter)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(OutcomeUnknownError("lost"), id="unknown outcome"),
        pytest.param(AuthenticationError("key"), id="wrong key"),
        pytest.param(TemplateError("paused"), id="template"),
        pytest.param(PayloadError("too long", field="text.body"), id="payload"),
        pytest.param(RateLimitError("policy", permanent=True), id="permanent"),
    ],
)
def test_what_did_or_may_have_happened_is_not_repeated(error):
    assert delay(error) is None


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(NotSentError("refused"), id="never left"),
        pytest.param(RateLimitError("slow down"), id="rate limit"),
        pytest.param(ServerError("503"), id="read that failed"),
    ],
)
def test_what_certainly_did_nothing_is_repeated(error):
    assert delay(error) == 1.0


def test_back_off_doubles_up_to_its_cap_and_jitter_takes_a_share_of_it():
    retry = RequestRetry(max_retries=9, base=1, cap=8)
    waits = [delay(NotSentError("refused"), attempt=attempt, retry=retry) for attempt in range(1, 6)]

    assert waits == [1, 2, 4, 8, 8]
    assert delay(NotSentError("refused"), jitter=0.25) == 0.25


def test_tries_are_counted():
    assert delay(NotSentError("refused"), attempt=3) is not None
    assert delay(NotSentError("refused"), attempt=4) is None


def test_a_wait_that_would_cross_the_total_time_is_left_to_the_caller():
    assert delay(RateLimitError("slow down", retry_after=50), elapsed=0) is not None
    assert delay(RateLimitError("slow down", retry_after=50), elapsed=20) is None


def test_too_many_messages_to_one_person_waits_by_powers_of_four():
    error = RateLimitError("pair", code=131056, retry_after=1)
    waits = [delay(error, attempt=attempt, jitter=0) for attempt in (1, 2, 3)]

    assert waits == [1, 4, 16]


@given(stated=st.floats(0, 50), jitter=st.floats(0, 1), attempt=st.integers(1, 3))
def test_a_stated_wait_is_never_cut_short(stated, jitter, attempt):
    wait = delay(RateLimitError("slow down", retry_after=stated), attempt=attempt, jitter=jitter)

    assert wait is None or wait >= stated


NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param(None, None, id="missing"),
        pytest.param("", None, id="empty"),
        pytest.param("7", 7.0, id="seconds"),
        pytest.param("0.5", 0.5, id="fraction"),
        pytest.param("Thu, 01 Jan 2026 12:00:30 GMT", 30.0, id="date"),
        pytest.param("Thu, 01 Jan 2026 11:00:00 GMT", 0.0, id="past"),
        pytest.param("soon", None, id="words"),
        pytest.param("-5", None, id="negative"),
        pytest.param("inf", None, id="infinite"),
        pytest.param("1e9", None, id="exponent"),
    ],
)
def test_retry_after(header, seconds):
    assert parse_retry_after(header, now=NOW) == seconds


# All that str.strip() strips; an HTTP parser accepts most of it at a value's end.
@pytest.mark.parametrize("space", [chr(code) for code in range(0x3100) if chr(code).isspace()], ids=ascii)
@pytest.mark.parametrize("form", ["7{}", "{}7", "{}7.0{}"])
def test_white_space_around_seconds_is_ignored(form, space):
    assert parse_retry_after(form.replace("{}", space), now=NOW) == 7.0


WHEN = st.lists(
    st.sampled_from(
        ["Mon,", "1", "31", "Jan", "9999", "99999999999", "23:59:59", "-2359", "+9999999999", "GMT", "("]
    )
).map(" ".join)


@given(st.text() | WHEN | st.integers(0).map(str))
@example("1 Jan 99999999999 00:00:00")
@example("0\x1f")
def test_no_header_breaks_the_reader(header):
    seconds = parse_retry_after(header, now=NOW)

    assert seconds is None or 0 <= seconds <= 86_400


@pytest.mark.parametrize("header", ["999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_nobody_is_kept_waiting_for_years(header):
    assert parse_retry_after(header, now=NOW) == 86_400


@pytest.mark.parametrize(("elapsed", "waits"), [(9.0, True), (10.0, True), (10.1, False)])
def test_a_wait_that_ends_with_the_total_time_is_waited_for(elapsed, waits):
    found = delay(RateLimitError("slow down", retry_after=50), elapsed=elapsed, jitter=0)

    assert found == (50 if waits else None)


STATED = {
    "no jitter": (10.0, 0.0, 1, 10.0),
    "jitter adds a tenth at most": (10.0, 1.0, 1, 11.0),
    "a tenth, where the back-off is longer": (10.0, 1.0, 3, 11.0),
    "or the back-off, where that is less": (100.0, 1.0, 1, 101.0),
    "a share of it": (100.0, 0.5, 2, 101.0),
    "without a code nothing grows": (10.0, 0.0, 3, 10.0),
    "nothing at all": (0.0, 1.0, 1, 0.0),
}


@pytest.mark.parametrize(("stated", "jitter", "attempt", "wait"), STATED.values(), ids=list(STATED))
def test_how_long_a_stated_wait_lasts(stated, jitter, attempt, wait):
    rule = RequestRetry(max_retries=3, max_elapsed=1_000, base=1, cap=8)
    error = RateLimitError("slow down", retry_after=stated)

    assert delay(error, attempt=attempt, jitter=jitter, retry=rule) == pytest.approx(wait)


def test_the_usual_rule():
    usual, error = RequestRetry(), NotSentError("refused")

    assert [delay(error, attempt=attempt, retry=usual) for attempt in range(1, 6)] == [
        0.5,
        1.0,
        2.0,
        4.0,
        None,
    ]
    assert delay(error, attempt=1, elapsed=89.5, retry=usual) == 0.5
    assert delay(error, attempt=1, elapsed=89.6, retry=usual) is None
    assert RequestRetry(max_retries=99).delay(error, attempt=40, elapsed=0, jitter=1) == 20.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (" 7 ", 7.0),
        ("7.", None),
        ("1234567890", None),
        ("86401", 86_400.0),
        ("0", 0.0),
        ("\u0667", None),
        ("Thu, 01 Jan 2026 12:00:30 -0000", 30.0),
        ("Thu, 01 Jan 2026 13:00:30 +0100", 30.0),
    ],
    ids=[
        "spaces",
        "point",
        "ten digits",
        "a day and a second",
        "zero",
        "digits of another script",
        "no zone",
        "zone",
    ],
)
def test_the_forms_of_a_stated_wait(header, seconds):
    assert parse_retry_after(header, now=NOW) == seconds


def test_a_date_is_compared_with_the_machine_s_clock():
    assert parse_retry_after("Thu, 01 Jan 2026 00:00:00 GMT") == 0.0
    assert parse_retry_after("Fri, 31 Dec 2100 00:00:00 GMT") == 86_400.0
