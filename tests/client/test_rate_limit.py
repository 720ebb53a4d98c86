from __future__ import annotations

import itertools
import multiprocessing
import re
import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_whatsapp.client import pace_model, pacers, rate_limit
from airflow_provider_whatsapp.client.pace_board import Board, SharedBoard, open_board
from airflow_provider_whatsapp.client.pace_model import Slowness
from airflow_provider_whatsapp.client.pacers import limiter, shared_pacer
from airflow_provider_whatsapp.client.rate_limit import (
    Departure,
    Pacer,
    SlowPaceLog,
    board_size,
)
from airflow_provider_whatsapp.client.redis_pacing import RedisPacer
from airflow_provider_whatsapp.client.redis_server import RedisServer


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
        r"Pacing at \d\.\d of 10 requests per second: at 9\.9 per second the gateway refused \d\d % \(429\)",
        line,
    )


@pytest.mark.parametrize(("after", "lines"), [(-0.001, 1), (0.0, 2)])
def test_a_pace_that_stays_low_is_said_again_after_a_while(caplog, after, lines):
    log = SlowPaceLog(FULL, 10)
    for now in (1000.0, 1000.0 + rate_limit.SAY_EVERY + after):
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


class TestPacer:
    """What the pacer keeps on its board."""

    def test_a_departure_is_noted_where_its_moment_is_kept(self):
        board = Board(20 + 200)
        now = [100.0]
        pacer = Pacer(2, board=board, clock=lambda: now[0], sleep=lambda seconds: None)
        _, departure = pacer.take(100.0)
        now[0] = 100.4
        departure.left()
        now[0] = 100.9
        departure.left()

        with board.locked() as numbers:
            assert numbers[8] == 100.4, "the first byte counts, and nothing after it"
        assert departure.at == 100.4

    def test_the_second_begins_where_the_request_left(self):
        """With two a second, the third waits for a second since the first one left, however late that was."""
        now = [100.0]
        pacer = Pacer(2, clock=lambda: now[0], sleep=lambda seconds: None)
        for late in (0.4, 0.6):
            _, departure = pacer.take(now[0])
            now[0] += late
            departure.left()
        moment, departure = pacer.take(now[0])

        assert moment == pytest.approx(100.4 + 2 / (2 * 0.993))
        assert departure is not None

    def test_a_refusal_is_kept_for_all_who_share_the_board(self):
        now = [100.0]
        one, other = (
            # At 100.0 of the wall's clock all machines try the full rate again.
            Pacer(10, board=board, clock=lambda: now[0], sleep=lambda _: None, wall=lambda: now[0] + 10.0)
            for board in [Board(300)] * 2
        )
        before = other.rate()
        for _ in range(60):
            moment, departure = one.take(now[0])
            now[0] = max(now[0], moment) + 0.01
            if departure is not None:
                departure.left()
                one.refused(departure)

        assert other.rate() < 0.9 * before


def test_the_places_of_the_board_are_those_of_0_1():
    """A process of another version may share the file."""
    clock, board = Clock(), Board(board_size(2))
    paced = pacer(2, clock, board)
    go(paced, 0.1)
    paced.refused(go(paced, 0.1))
    with board.locked() as numbers:
        found = list(numbers)

    first, second = 100.1, found[2]
    assert second == pytest.approx(100 + 1 / (2 * 0.993) + 0.1)
    assert found[:10] == [
        pytest.approx(second - 0.1 + 1 / (2 * 0.993)),
        2,
        second,
        *[0] * 4,
        rate_limit.SLACK,
        first,
        second,
    ]
    assert len(found) == 10 + pace_model.SIZE
    assert found[10 + 17] > 0, "the evidence of the model comes first in what follows"


@pytest.mark.parametrize(("rate", "ring"), [(0.5, 1), (1, 1), (1.9, 1), (2, 2), (10, 10)])
def test_a_board_has_a_place_for_each_request_of_a_second(rate, ring):
    assert board_size(rate) == 8 + ring + pace_model.SIZE
    clock, board = Clock(), Board(board_size(rate))
    paced = pacer(rate, clock, board)
    for _ in range(2 * ring):
        go(paced)
    with board.locked() as numbers:
        assert all(numbers[8 : 8 + ring])
        assert not any(numbers[8 + ring :])


def test_slack_halves_and_has_an_end():
    clock, board = Clock(), Board(board_size(10))
    paced = pacer(10, clock, board)
    found = []
    for pause in (0.0, 0.0, 0.0, rate_limit.SLACK_HALVES):
        clock.sleep(pause)
        departure = Departure(paced, 8)
        departure.left()
        paced.refused(departure)
        found.append(board._numbers[7])

    assert found == [pytest.approx(slack) for slack in (0.005, 0.010, 0.015, 0.0125)]
    for _ in range(9):
        paced.refused(departure)
    assert board._numbers[7] == rate_limit.MOST_SLACK


def test_what_left_before_a_refusal_was_known_is_one_event_with_it():
    clock = Clock()
    paced = pacer(10, clock)
    for _ in range(8):
        departure = Departure(paced, 8)
        departure.left()
        paced.refused(departure)

    assert paced.rate() == pytest.approx(FULL)


@pytest.mark.parametrize("rate", [0, 10])
def test_a_refusal_of_what_never_left_says_nothing(rate):
    paced = pacer(rate, Clock())
    paced.refused(paced.acquire())

    assert paced.rate() == pytest.approx(rate * 0.993)
    with paced._board.locked() as numbers:
        assert (numbers[2], numbers[7]) == (0, 0)


@pytest.mark.parametrize(
    ("ahead", "budget", "given"),
    [
        pytest.param(0.25, 0.125, True, id="a moment that is near is waited for"),
        pytest.param(0.5, 0.125, True, id="at the edge"),
        pytest.param(2.0, 1.5, True, id="another look at the end of the time"),
        pytest.param(2.0, 1.25, False, id="a look that comes too late"),
        pytest.param(2.0, None, True, id="without end"),
    ],
)
def test_who_has_no_time_for_a_moment_gets_none_at_once(ahead, budget, given):
    clock, board = Clock(), Board(board_size(10))
    board.put(rate_limit._NEXT, clock.now + ahead)
    departure = pacer(10, clock, board).acquire(*([] if budget is None else [budget]))

    assert (departure is not None) is given
    assert clock.now == (100 + ahead if given else 100)


def test_whoever_need_not_wait_does_not_sleep():
    slept = []
    assert Pacer(10, clock=Clock(), sleep=slept.append).acquire() is not None
    assert slept == []


class Stopping(threading.Event):
    """A stop that comes during the first wait, or not at all; keeps how long it was waited for."""

    def __init__(self, *, comes):
        super().__init__()
        self.comes, self.waits = comes, []

    def wait(self, timeout=None):
        self.waits.append(timeout)
        if self.comes:
            self.set()
        return self.is_set()


@pytest.mark.parametrize("comes", [True, False])
def test_a_leave_that_is_stopped_while_it_is_waited_for_is_none(comes):
    clock, board, stop = Clock(), Board(board_size(10)), Stopping(comes=comes)
    board.put(rate_limit._NEXT, clock.now + 0.25)
    departure = pacer(10, clock, board).acquire(stop=stop)

    assert stop.waits == [0.25]
    assert (departure is None) is comes
    if departure is not None:
        assert departure.stop is stop
    assert Pacer(0).acquire(stop=Stopping(comes=False)).stop is not None


@pytest.mark.parametrize(("rate", "few"), [(1, 1), (10, 1), (19, 1), (20, 2), (100, 10)])
def test_a_tenth_of_a_second_s_requests_waits_with_a_moment_and_one_at_least(rate, few):
    turn = Pacer(rate)._waiting()

    assert [turn.acquire(blocking=False) for _ in range(few + 1)] == [True] * few + [False]


def test_a_fork_does_not_wait_for_its_parent_s_threads():
    paced = Pacer(10)
    before = paced._waiting()
    assert paced._waiting() is before
    paced._process = -1  # as it is in a fork: another process' number
    after = paced._waiting()

    assert after is not before
    assert paced._waiting() is after


SERVER = RedisServer(nodes=(("127.0.0.1", 9),))


@pytest.mark.parametrize("redis", [None, SERVER], ids=["machine", "redis"])
def test_two_threads_that_begin_at_once_have_one_pacer(folder, redis):
    found = []

    def begin():
        found.append(limiter("key of threads", "https://a.example", 10, redis=redis, share=0.5))

    with pacers._pacers_lock:
        thread = threading.Thread(target=begin)
        thread.start()
        thread.join(0.05)
        assert found == [], "one is made at a time"
        begin()
    thread.join(60)

    assert found[0] is found[1]
    assert isinstance(found[0], Pacer if redis is None else RedisPacer)


def test_the_machine_s_pacer_is_on_a_file_with_room_for_the_model(folder):
    paced = shared_pacer("key", "https://room.example", 3)

    assert isinstance(paced._board, SharedBoard)
    with paced._board.locked() as numbers:
        assert len(numbers) == board_size(3)
    assert type(shared_pacer("key", "https://room.example", 0)._board) is Board, (
        "no file where nothing is paced"
    )


def test_by_redis_a_machine_has_its_share_for_itself(folder):
    asked = {"redis": SERVER, "share": 0.25}
    paced = limiter("key", "https://share.example", 20, **asked)

    assert paced._alone is shared_pacer("key", "https://share.example", 5.0)
    assert limiter("key", "https://share.example", 20, **asked) is paced
    assert limiter("key", "https://share.example", 0, **asked) is shared_pacer(
        "key", "https://share.example", 0
    )
