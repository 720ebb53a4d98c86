"""
1,000 waiting triggers in one event loop: how many requests they make, and how long the loop is ever held up.

A heartbeat in the same loop notes the longest time between two of its beats, beyond what it slept and what Python's
garbage collector took: a full collection goes through all objects of Airflow, and any thread may begin one. Half of the
triggers wait in one account and half in another, each by two connections; in the end all are approved at once.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
import tempfile
import threading
import time
import urllib.request

from common import sandbox
from rows import Row, add_option, hand_over

HOME = tempfile.TemporaryDirectory(prefix="airflow-home-")
os.environ.setdefault("AIRFLOW_HOME", HOME.name)
os.environ.setdefault("AIRFLOW__CORE__UNIT_TEST_MODE", "True")
SECOND = "202290129340399"
BEAT = 0.005
LIMIT = 0.05


def control(host, path, method="GET", **fields):
    body = json.dumps(fields).encode() if fields else None
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{host}/_sandbox/{path}", body, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


class Collector:
    """How long Python's garbage collector has stopped all threads, in seconds."""

    def __init__(self):
        self.longest = self._total = self._in_loop = 0.0
        self._began = None
        self._loop = threading.get_ident()
        gc.callbacks.append(self._note)

    def _note(self, phase, _):
        now = time.perf_counter()
        if phase == "start":
            self._began = (now, threading.get_ident())
            return
        began, thread = self._began
        self._began = None
        self.longest = max(self.longest, now - began)
        self._total += now - began
        self._in_loop += now - began if thread == self._loop else 0.0

    def spent(self):
        """Return the seconds in all, and those in the loop's own thread."""
        # A thread that waited for a collection may run before the collector says that it has ended.
        began = self._began
        return self._total + (time.perf_counter() - began[0] if began else 0.0), self._in_loop


class Heart:
    """Beats in the loop, and keeps the longest pause: on the clock, and of it the loop's own computing."""

    def __init__(self, collector):
        self.longest = (0.0, 0.0)
        self._collector = collector

    def _now(self):
        collected, collected_here = self._collector.spent()
        return time.perf_counter() - collected, time.thread_time() - collected_here

    async def beat(self):
        last, cpu = self._now()
        while True:
            await asyncio.sleep(BEAT)
            now, used = self._now()
            self.longest = max(self.longest, (now - last - BEAT, used - cpu))
            last, cpu = now, used

    def take(self):
        longest, self.longest = self.longest, (0.0, 0.0)
        return longest


async def wait(host, count, interval, polls):
    from airflow.sdk import BaseHook

    from airflow_provider_whatsapp.triggers.templates import TemplateApprovalTrigger

    # Airflow's own first look-up imports much; a triggerer has done it.
    await BaseHook.aget_connection("bench_0")
    collector = Collector()
    heart = Heart(collector)
    beating = asyncio.create_task(heart.beat())
    await asyncio.sleep(0.1)
    heart.take()
    await asyncio.sleep(interval)
    pauses = {"by the machine alone": heart.take()}
    end = time.time() + 3600

    async def one(number):
        trigger = TemplateApprovalTrigger(
            wanted=[[f"bench_{number:04}", "en_US", "UTILITY"]],
            maton_conn_id=f"bench_{number % 4}",
            waba_id=SECOND if number % 2 else None,
            poke_interval=interval,
            end_time=end,
        )
        return [event.payload["state"] async for event in trigger.run()]

    tasks = []
    for number in range(count):  # as the triggerer does, which lets others in between two
        tasks.append(asyncio.create_task(one(number)))
        await asyncio.sleep(0)
    await asyncio.sleep(interval * 1.5)
    pauses["while starting"] = heart.take()
    await asyncio.sleep(interval * polls)
    pauses["while waiting"] = heart.take()
    await asyncio.to_thread(approve, host, count)
    heart.take()
    states = await asyncio.gather(*tasks)
    pauses["as all are approved"] = heart.take()
    beating.cancel()
    assert states == [["approved"]] * count
    return pauses, collector.longest


def approve(host, count):
    for number in range(count):
        control(host, "templates", "POST", name=f"bench_{number:04}", status="APPROVED")


def main():
    from airflow_provider_whatsapp.hooks import maton_whatsapp

    parser = argparse.ArgumentParser()
    parser.add_argument("--triggers", type=int, default=1000)
    parser.add_argument("--interval", type=float, default=2.0)
    parser.add_argument("--polls", type=int, default=5)
    add_option(parser)
    options = parser.parse_args()
    with sandbox(
        "--rate-limit", "0", "--approve-after", "86400", "--account", f"{SECOND}:206540352242923"
    ) as made:
        host, mine = made["host"], made["extra"]["waba_id"]
        others = control(host, "connections")
        by_account = {each["waba_id"]: each["connection_id"] for each in others}
        for number in range(4):
            waba_id = SECOND if number % 2 else mine
            extra = {**made["extra"], "connection_id": by_account[waba_id], "rate_limit": 0}
            os.environ[f"AIRFLOW_CONN_BENCH_{number}"] = json.dumps({**made, "extra": extra})
        body = [{"type": "BODY", "text": "Hello."}]
        for number in range(options.triggers):
            place = {"waba_id": SECOND if number % 2 else mine, "language": "en_US", "status": "PENDING"}
            control(host, "templates", "PUT", name=f"bench_{number:04}", components=body, **place)
        looked_up = []
        look_up = maton_whatsapp.MatonWhatsAppHook.aclient

        async def counted(hook):
            looked_up.append(hook.maton_conn_id)
            return await look_up(hook)

        maton_whatsapp.MatonWhatsAppHook.aclient = counted
        began = time.monotonic()
        pauses, collected = asyncio.run(wait(host, options.triggers, options.interval, options.polls))
        took = time.monotonic() - began
        asked = [row for row in control(host, "requests") if row["path"].endswith("message_templates")]
    most = {
        account: (sum(account in row["path"] for row in asked), int(took / options.interval) + 1)
        for account in (mine, SECOND)
    }
    shown = ", ".join(f"{count} requests in {limit} intervals" for count, limit in most.values())
    longest = "; ".join(
        f"{name} {1000 * wall:.1f} ms ({1000 * cpu:.1f} computing)" for name, (wall, cpu) in pauses.items()
    )
    text = (
        f"triggers, {options.triggers} waiting in two accounts by four connections: {shown}, "
        f"{len(looked_up)} look-ups; loop held up at most: {longest}; "
        f"longest garbage collection {1e3 * collected:.1f} ms"
    )
    assert len(looked_up) == 4, looked_up
    noise = pauses.pop("by the machine alone")[0]
    noisy = noise > LIMIT / 5
    if noisy:
        text += "\ntriggers: other programs hold up the loop as well, so the clock is not judged"
    waiting = f"{options.triggers:,} waiting triggers"
    requests, intervals = max(most.values())
    rows = [
        Row(
            name=f"{waiting}: polls of an account",
            value=requests,
            unit="requests",
            against="intervals that began",
            reference=intervals,
            at_most=1,
        ),
        Row(
            name=f"{waiting}: loop held up by computing",
            value=1e3 * max(cpu for _, cpu in pauses.values()),
            unit="ms",
            at_most=1e3 * LIMIT,
        ),
        Row(
            name=f"{waiting}: loop held up at all",
            value=1e3 * max(wall for wall, _ in pauses.values()),
            unit="ms",
            at_most=None if noisy else 1e3 * LIMIT,
        ),
    ]
    return hand_over(rows, text, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
