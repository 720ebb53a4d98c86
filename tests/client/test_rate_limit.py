from __future__ import annotations

import itertools
import multiprocessing
import re
import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_whatsapp.client import rate_limit
from airflow_provider_whatsapp.client.pace_board import Board, SharedBoard, open_board
from airflow_provider_whatsapp.client.pace_model import Slowness
from airflow_provider_whatsapp.client.rate_limit import Pacer, SlowPaceLog, board_size, shared_pacer


class Clock:
    def __init__(self, now=100.0):
        self.now = now

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def pacer(rate, clock, board=None):
    return Pacer(rate, board=board, clock=clock, sleep=clock.sleep, wall=clock)


def go(paced, delay=0.0):
    """Let one request leave, so long after its leave; return when it left."""
    departure = paced.acquire()
    paced._clock.sleep(delay)
    departure.left()
    return departure


def test_the_first_request_does_not_wait():
    clock = Clock()
    go(pacer(10, clock))

    assert clock.now == 100


def test_no_limit_never_waits():
    clock = Clock()
    unlimited = pacer(0, clock)
    for _ in range(100):
        go(unlimited)

    assert clock.now == 100


@given(
    rate=st.integers(1, 200),
    steps=st.lists(st.tuples(st.floats(0, 2), st.floats(0, 0.3)), max_size=60),
)
def test_no_second_holds_more_departures_than_the_limit(rate, steps):
    """Whatever the caller does in between, and however late a request leaves after its leave."""
    clock = Clock()
    paced = pacer(rate, clock)
    moments = []
    for pause, delay in steps:
        clock.sleep(pause)
        moments.append(go(paced, delay).at)

    for start in moments:
        assert sum(start <= moment < start + 1 for moment in moments) <= rate


@given(pauses=st.lists(st.floats(0, 2), max_size=60))
def test_requests_are_evenly_spaced(pauses):
    clock = Clock()
    paced = pacer(10, clock)
    moments = []
    for pause in pauses:
        clock.sleep(pause)
        moments.append(go(paced).at)

    assert all(after - before >= 0.1 - 1e-9 for before, after in itertools.pairwise(moments))


def test_the_limit_is_used_up():
    clock = Clock()
    paced = pacer(10, clock)
    for _ in range(1001):
        go(paced, 0.002)

    assert 1000 / (clock.now - 100) >= 9.9


def test_threads_get_different_moments():
    clock = Clock()
    paced = pacer(10, clock)
    moments = []
    threads = [threading.Thread(target=lambda: moments.append(go(paced).at)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(moments) == 20
    assert all(after - before >= 0.1 - 1e-9 for before, after in itertools.pairwise(sorted(moments)))


class Sleepers:
    """Stands in for sleep: counts who has gone to sleep, and wakes them all at once, later."""

    def __init__(self, clock):
        self.clock = clock
        self.asleep = threading.Semaphore(0)
        self.morning = threading.Event()

    def sleep(self, seconds):
        if not self.morning.is_set():
            self.asleep.release()
            self.morning.wait(30)
        self.clock.sleep(seconds)


def all_acquire(pacers, sleepers, asleep):
    """Let each pacer's thread go for a moment; return how many were taken once so many are asleep."""
    threads = [threading.Thread(target=paced.acquire) for paced in pacers]
    for thread in threads:
        thread.start()
    found = [sleepers.asleep.acquire(timeout=60) for _ in range(asleep)]
    more = sleepers.asleep.acquire(timeout=0.3)
    with pacers[0]._board.locked() as numbers:
        taken = numbers[rate_limit._COUNT]
    sleepers.morning.set()
    for thread in threads:
        thread.join()
    assert all(found)
    assert not more
    return taken


def test_nobody_takes_a_moment_far_ahead():
    """So a process that dies loses little of the rate, and a rate that falls counts for whoever waits."""
    clock, board = Clock(), Board(board_size(10))
    sleepers = Sleepers(clock)
    pacers = [Pacer(10, board=board, clock=clock, sleep=sleepers.sleep) for _ in range(20)]

    assert all_acquire(pacers, sleepers, 19) <= 1 + 10 * rate_limit.AHEAD


def test_few_threads_of_a_process_wait_with_a_moment():
    """So the threads of a large broadcast leave the other processes their turn."""
    clock = Clock()
    sleepers = Sleepers(clock)
    paced = Pacer(20, clock=clock, sleep=sleepers.sleep)

    assert all_acquire([paced] * 20, sleepers, 2) == 3


def refuse(paced, clock, times, pause=0.5):
    for _ in range(times):
        paced.refused(go(paced))
        clock.sleep(pause)


FULL = 10 * (1 - rate_limit.MARGIN)


def test_a_single_refusal_is_taken_for_the_network_s_doing():
    """The rate stays, and the limit's second is a little longer for a while."""
    clock = Clock()
    paced = pacer(10, clock)
    refuse(paced, clock, 1)
    start = clock.now
    for _ in range(101):
        go(paced)
    longer = clock.now - start

    assert paced.rate() == pytest.approx(FULL)
    assert 10 / (1 - rate_limit.MARGIN) < longer < 10.2
    clock.sleep(3600)
    start = clock.now
    for _ in range(101):
        go(paced)
    assert clock.now - start < longer


def test_two_refusals_in_a_row_may_still_be_a_busy_machine_s_doing():
    clock = Clock()
    paced = pacer(10, clock)
    for _ in range(10):
        refuse(paced, clock, 2)
        clock.sleep(4)

    assert paced.rate() == pytest.approx(FULL)


def test_refusals_far_apart_never_cost_much():
    clock = Clock()
    paced = pacer(10, clock)
    for _ in range(50):
        refuse(paced, clock, 1)
        clock.sleep(4)
    start = clock.now
    for _ in range(101):
        go(paced)

    assert 100 / (clock.now - start) > 9.6


def test_many_refusals_slow_down_and_a_minute_without_any_brings_the_rate_back():
    clock = Clock()
    paced = pacer(10, clock)
    refuse(paced, clock, 20, pause=0)
    assert paced.rate() < FULL * rate_limit.NOTABLE

    clock.sleep(60)
    assert paced.rate() == pytest.approx(FULL)


def test_refusals_of_requests_that_left_before_the_last_one_say_nothing_new():
    clock = Clock()
    paced = pacer(10, clock)
    departures = [go(paced) for _ in range(8)]
    for departure in departures:
        paced.refused(departure)

    assert paced.rate() == pytest.approx(FULL)


def test_refusals_without_end_leave_a_trickle_and_it_too_comes_back():
    clock = Clock()
    paced = pacer(10, clock)
    refuse(paced, clock, 200, pause=0)
    assert 0 < paced.rate() <= FULL * 0.06

    clock.sleep(60)
    assert paced.rate() == pytest.approx(FULL)


def test_the_log_says_once_why_the_pace_is_low(caplog):
    clock = Clock()
    paced = pacer(10, clock)
    refuse(paced, clock, 12, pause=0)
    for _ in range(20):
        go(paced)

    (line,) = (record.getMessage() for record in caplog.records)
    assert re.match(
        r"Pacing at \d\.\d of 10 requests a second: at 9\.9 a second the gateway refused \d\d % \(429\)", line
    )


@pytest.mark.parametrize(("after", "lines"), [(-0.001, 1), (0.0, 2)])
def test_a_pace_that_stays_low_is_said_again_after_a_while(caplog, after, lines):
    log = SlowPaceLog(FULL, 10)
    for now in (1000.0, 1000.0 + rate_limit.TOLD_EVERY + after):
        log.tell(Slowness(0.69 * FULL, 9.9, 0.5), now)

    assert len(caplog.records) == lines


def test_a_pace_that_is_nearly_the_rate_is_no_news(caplog):
    SlowPaceLog(FULL, 10).tell(Slowness(rate_limit.NOTABLE * FULL, 9.9, 0.5), 1000.0)

    assert caplog.records == []


def test_a_process_that_begins_later_says_so_as_well(caplog):
    """It shares the slow pace, and its log is another."""
    clock, board = Clock(), Board(board_size(10))
    refuse(pacer(10, clock, board), clock, 12, pause=0)
    caplog.clear()
    go(pacer(10, clock, board))

    assert len(caplog.records) == 1


def test_whoever_waits_goes_away_without_a_leave_once_it_is_stopped():
    """Also those who wait for their turn to wait; nobody sleeps to the end."""
    paced, stop = Pacer(0.01), threading.Event()
    paced.acquire(stop=stop).left()
    found = []
    waiting = [threading.Thread(target=lambda: found.append(paced.acquire(stop=stop))) for _ in range(4)]
    for thread in waiting:
        thread.start()
    stop.set()
    for thread in waiting:
        thread.join(60)

    assert found == [None] * 4


@pytest.mark.parametrize("rate", [0, 10])
def test_after_a_stop_there_is_no_leave(rate):
    paced, stop = Pacer(rate), threading.Event()
    stop.set()

    assert paced.acquire(stop=stop) is None


def test_clients_of_one_account_share_a_pacer():
    assert shared_pacer("key", "https://a.example", 10) is shared_pacer("key", "https://a.example", 10)
    assert shared_pacer("key", "https://a.example", 10) is not shared_pacer("other", "https://a.example", 10)
    assert shared_pacer("key", "https://a.example", 10) is not shared_pacer("key", "https://b.example", 10)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def _go_often(folder, count, begin, moments):
    """Go as a client does, by a pacer that finds the others of its machine; the clock is this process's own."""
    import tempfile

    tempfile.tempdir = str(folder)
    paced, clock = shared_pacer("key", "https://a.example", 10), Clock(1000.0)
    paced._clock, paced._sleep = clock, clock.sleep
    begin.wait(60)
    moments.put([go(paced).at for _ in range(count)])


def test_processes_share_one_rhythm(folder):
    """Their clocks say the same, so two that did not know of each other would go at the same moments."""
    context = multiprocessing.get_context("spawn")
    begin, moments = context.Barrier(2), context.Queue()
    processes = [context.Process(target=_go_often, args=(folder, 50, begin, moments)) for _ in range(2)]
    for process in processes:
        process.start()
    taken = sorted(moment for _ in processes for moment in moments.get(timeout=60))
    for process in processes:
        process.join()

    assert len(taken) == 100
    assert all(after - before >= 0.1 - 1e-9 for before, after in itertools.pairwise(taken))


def test_other_accounts_and_rates_are_not_held_up(folder):
    clock = Clock()
    go(pacer(10, clock, open_board("one", board_size(10))))
    go(pacer(10, clock, open_board("two", board_size(10))))

    assert clock.now == 100


def test_the_file_is_this_user_s_alone_and_names_no_key(folder):
    shared_pacer("a-secret-key", "https://files.example", 7)
    (own,) = folder.iterdir()
    (file,) = own.iterdir()

    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "a-secret-key" not in file.name
    assert b"a-secret-key" not in file.read_bytes()


def test_a_board_of_an_earlier_start_of_the_machine_is_cleared(folder):
    path = folder / "x.pace"
    board = SharedBoard(path, 3)
    with board.locked() as numbers:
        numbers[0] = 12345.0
    board._floats[0] -= 3600

    with SharedBoard(path, 3).locked() as numbers:
        assert list(numbers) == [0, 0, 0]
