"""How many are claimed ahead of their messages, with a clock of the test's own."""

from __future__ import annotations

import pytest

from airflow_provider_whatsapp.delivery.claims import WINDOW, ClaimWindow, threads_for


class Delivered:
    """
    Claims and sends as a delivery does, at a pace that the account and others leave it.

    :param pace: Messages that leave per second.
    :param write: Seconds of a write to the ledger.
    :param answer: Seconds until an answer comes.
    """

    def __init__(self, *, rate, pace, write, threads=8, answer=0.15):
        self.now = 100.0
        self.window = ClaimWindow(threads, rate, clock=lambda: self.now)
        self.pace, self.write, self.answer, self.threads = pace, write, answer, threads
        self.waiting, self.on_wire, self.groups = [], [], []
        self.next_leave = self.waited = 0.0
        self.sent = 0

    def run(self, count):
        limit = 2 * self.threads
        while self.sent < count:
            size = self.window.next(limit - self.out, self.out)
            if size:
                self._pass(self.write)
                self.window.wrote(self.write)
                self.window.claimed(size)
                self.groups.append(size)
                self.waiting += [self.now] * size
            self._pass(0.001)
        return self

    @property
    def out(self):
        return len(self.waiting) + len(self.on_wire)

    def _pass(self, seconds):
        """Let time go by, in which messages leave and answers come."""
        until = self.now + seconds
        while self.now < until - 1e-9:
            self.now += 0.001
            self.on_wire = [at for at in self.on_wire if at > self.now]
            while self.waiting and self.next_leave <= self.now and len(self.on_wire) < self.threads:
                waited = self.now - self.waiting.pop(0)
                self.waited = max(self.waited, waited) if self.sent > 20 else 0.0
                self.window.left()
                self.on_wire.append(self.now + self.answer)
                self.next_leave = self.now + 1 / self.pace if self.pace else 0.0
                self.sent += 1


@pytest.mark.parametrize(
    ("rate", "pace", "write"),
    [
        (10, 10, 0.004),
        (10, 10, 0.02),
        (20, 20, 0.004),
        (20, 20, 0.02),
        (40, 40, 0.02),
        (10, 5, 0.004),
        (10, 1.25, 0.004),
    ],
)
def test_what_is_claimed_leaves_within_the_window_and_no_time_is_lost(rate, pace, write):
    found = Delivered(rate=rate, pace=pace, write=write, threads=threads_for(rate, 200)).run(200)

    assert found.sent / (found.now - 100) > 0.97 * pace
    assert found.waited <= WINDOW + 2 / pace + write
    assert max(found.groups[3:]) <= -(-rate * WINDOW // 1)
    assert len(found.groups) / (found.now - 100) <= 4, "writes per second"


def test_a_slow_store_gets_groups_as_long_as_its_writes():
    found = Delivered(rate=10, pace=10, write=0.6).run(300)

    assert found.sent / (found.now - 100) > 0.9 * 10
    assert max(found.groups) <= 8


def test_where_answers_are_slow_nobody_is_claimed_long_before_a_thread_is_free():
    found = Delivered(rate=0, pace=0, write=0.004, answer=3.0).run(100)

    assert max(found.groups[-20:]) <= 3


def test_without_a_limit_groups_are_as_large_as_the_threads_allow():
    found = Delivered(rate=0, pace=0, write=0.002, answer=0.001).run(1000)

    assert set(found.groups[2:]) <= set(range(8, 17))


def test_the_next_are_asked_for_once_in_each_group_and_when_nobody_is_left():
    """With two writes' worth of messages still to leave, so that the rate has no gap; and when all have left."""
    now = [100.0]
    window = ClaimWindow(4, 10.0, clock=lambda: now[0])
    window.wrote(0.1)
    window.claimed(6)
    asked = []
    for _ in range(6):
        now[0] += 0.1
        asked.append(window.left())

    assert asked == [False, False, False, True, False, True]
    assert window.waiting == 0
