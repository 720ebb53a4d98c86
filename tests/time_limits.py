"""Time limits that hold on a machine of any speed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time

NOT_POLLED = "not polled yet"
"""What a trigger's event says whose time was over before its first poll had an answer."""


def timeout_after_a_poll(make):
    """
    Return the event of a trigger whose time runs out, which was long enough for one poll on this machine.

    :param make: Makes the trigger with a time limit in seconds.
    """

    async def event_of(trigger):
        return [event.payload async for event in trigger.run()][-1]

    for seconds in (0.3, 3, 30):
        event = asyncio.run(event_of(make(seconds)))
        assert event["state"] == "timeout"
        if event["message"] != NOT_POLLED:
            return event
    raise AssertionError("no poll had an answer within 30 seconds")


def wait_for(condition):
    """
    Wait until something is so, and return it.

    :param condition: Gives what is waited for, or something empty.
    """
    until = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < until, "it never became so"
        time.sleep(0.005)
    return found


def take_all_time():
    """
    Let this process's alerts wait as long as they must: for locks, for Redis, and for a message in flight.

    Otherwise an alert takes a busy machine for one that has died, and is sent in any case.
    """
    from airflow_provider_whatsapp.client import redis_server
    from airflow_provider_whatsapp.notifications import recipient_gap, redis_state, throttle_state

    os.environ["AIRFLOW__CORE__TASK_SUCCESS_OVERTIME"] = "240"
    throttle_state.LONGEST_LOCK = 240.0
    redis_state.SECONDS = redis_server.TIMEOUT = throttle_state.LONGEST_SWAP = 60.0
    recipient_gap.IN_FLIGHT = 40.0


@contextlib.contextmanager
def ends(delivery):
    """
    Stop a delivery that does not end by itself, so that its test fails instead of waiting for ever.

    :param delivery: Runs in the block.
    """
    late = []
    timer = threading.Timer(30, lambda: late.append(delivery.stop()))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
    assert not late, "it did not end by itself"
