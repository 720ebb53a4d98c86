"""How many are claimed ahead of their messages, with a clock of the test's own."""

from __future__ import annotations

import threading

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


@pytest.fixture
def clock():
    return [100.0]


@pytest.fixture
def ten(clock):
    """A window for ten messages per second and four threads."""
    return ClaimWindow(4, 10.0, clock=lambda: clock[0])


def leave(window, clock, count, seconds):
    window.claimed(count)
    for _ in range(count):
        clock[0] += seconds
        window.left()


@pytest.mark.parametrize(
    ("room", "out", "wanted"),
    [(8, 0, 3), (2, 0, 2), (3, 0, 3), (8, 1, 3), (3, 1, 3), (2, 1, 0), (0, 1, 0)],
)
def test_a_first_group_is_as_large_as_leaves_within_the_window(ten, room, out, wanted):
    assert ten.next(room, out) == wanted


def test_nobody_is_claimed_while_others_wait_to_leave(ten):
    ten.claimed(1)

    assert ten.next(8, 1) == 0
    assert ten.next(8, 0) == 3, "unless nobody is out"


@pytest.mark.parametrize(
    ("writes", "wanted"), [((0.5,), 5), ((0.5, 1.5), 8), ((0.1,), 3), ((0.4,), 4), ((0.41,), 5)]
)
def test_a_group_lasts_as_long_as_a_write(ten, writes, wanted):
    for seconds in writes:
        ten.wrote(seconds)

    assert ten.next(99, 0) == wanted


@pytest.mark.parametrize(("waiting", "wanted"), [(2, 3), (3, 0)])
def test_the_next_are_claimed_when_two_writes_worth_are_still_to_leave(ten, waiting, wanted):
    ten.wrote(0.1)
    ten.claimed(waiting)

    assert ten.next(8, 8) == wanted


@pytest.mark.parametrize(("waiting", "wanted"), [(4, 4), (5, 0)])
def test_they_are_no_more_than_the_threads(ten, waiting, wanted):
    ten.wrote(9.0)
    ten.claimed(waiting)

    assert ten.next(4, 8) == wanted


@pytest.mark.parametrize(("seconds", "wanted"), [(0.01, 20), (0.1, 20), (0.5, 4), (1.0, 2), (10.0, 1)])
def test_as_few_are_claimed_as_others_leave_of_the_rate(ten, clock, seconds, wanted):
    ten.wrote(2.0)
    leave(ten, clock, 3, seconds)

    assert ten.next(99, 0) == wanted


def test_without_a_limit_the_room_decides(clock):
    window = ClaimWindow(4, clock=lambda: clock[0])

    assert window.next(8, 0) == 8
    assert [window.next(room, 1) for room in (3, 4, 8)] == [0, 4, 8]


def test_what_left_long_ago_counts_no_more(ten, clock):
    ten.wrote(2.0)
    leave(ten, clock, 10, 1.0)
    leave(ten, clock, 3, 0.1)  # six in 3.3 seconds, where all of them would be thirteen in 10.3

    assert ten.next(99, 0) == 4


def test_time_in_which_nobody_waits_is_not_counted(ten, clock):
    ten.wrote(2.0)
    leave(ten, clock, 3, 0.5)
    clock[0] += 60
    leave(ten, clock, 3, 0.5)

    assert ten.next(99, 0) == 4
    assert ten.waiting == 0


@pytest.mark.parametrize(
    "other",
    [lambda it: it.claimed(1), lambda it: it.left(), lambda it: it.wrote(1.0), lambda it: it.next(8, 0)],
    ids=["claimed", "left", "wrote", "next"],
)
@pytest.mark.parametrize("first", [lambda it: it.claimed(1), lambda it: it.left()], ids=["claims", "leaves"])
def test_no_two_threads_are_in_it_at_once(first, other):
    """While one looks at the clock, another comes: it has to wait until the first has gone."""
    came, waited = [], []

    def clock():
        if not came:
            came.append(threading.Thread(target=lambda: other(window)))
            came[0].start()
            came[0].join(0.02)
            waited.append(came[0].is_alive())
        return 100.0

    window = ClaimWindow(4, 10.0, clock=clock)
    first(window)
    came[0].join(60)

    assert waited == [True]
    assert not came[0].is_alive()
