from __future__ import annotations

import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_whatsapp.client.rate_limit import Pacer, shared_pacer


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def pacer(rate, clock):
    return Pacer(rate, clock=clock, sleep=clock.sleep)


def test_the_first_request_does_not_wait():
    assert pacer(10, Clock()).acquire() == 0


def test_no_limit_never_waits():
    unlimited = pacer(0, Clock())

    assert [unlimited.acquire() for _ in range(100)] == [0] * 100


@given(rate=st.integers(1, 200), pauses=st.lists(st.floats(0, 2), max_size=60))
def test_no_second_holds_more_requests_than_the_limit(rate, pauses):
    """Whatever the caller does in between, any window of one second stays within the rate."""
    clock = Clock()
    paced = pacer(rate, clock)
    moments = []
    for pause in pauses:
        clock.sleep(pause)
        paced.acquire()
        moments.append(clock.now)

    for start in moments:
        assert sum(start <= moment < start + 1 for moment in moments) <= rate
    for before, after in itertools.pairwise(moments):
        assert after - before >= 1 / rate - 1e-9


def test_the_limit_is_used_up():
    clock = Clock()
    paced = pacer(10, clock)
    for _ in range(1001):
        paced.acquire()

    assert 1000 / (clock.now - 100) >= 9.9


def test_hold_delays_what_comes_next():
    clock = Clock()
    paced = pacer(10, clock)
    paced.hold(5)

    assert paced.acquire() == pytest.approx(5)


def test_threads_get_different_moments():
    clock = Clock()
    paced = Pacer(10, clock=clock, sleep=lambda _: None)
    moments = []
    threads = [threading.Thread(target=lambda: moments.append(paced.reserve(clock.now))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({round(moment, 9) for moment in moments}) == 20


def test_clients_of_one_account_share_a_pacer():
    assert shared_pacer("key", "https://a.example", 10) is shared_pacer("key", "https://a.example", 10)
    assert shared_pacer("key", "https://a.example", 10) is not shared_pacer("other", "https://a.example", 10)
    assert shared_pacer("key", "https://a.example", 10) is not shared_pacer("key", "https://b.example", 10)
