"""What a running Airflow tells of a delivery: its metrics, and the line in the task's log."""

from __future__ import annotations

import functools
import importlib.metadata
import itertools
import re
import socket
from collections import defaultdict

import pytest

from airflow_provider_whatsapp.delivery import progress
from tests.airflow.running import refusal, state

pytestmark = pytest.mark.airflow

PEOPLE = [f"+1555000{number:04}" for number in range(100)]


@pytest.fixture
def statsd():
    """Listen as a statsd server does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.setblocking(False)
        yield listener


def heard(listener):
    """Return all values of each metric that has arrived, with its type."""
    found = defaultdict(list)
    while True:
        try:
            packet = listener.recv(65_536).decode()
        except BlockingIOError:
            return found
        for line in packet.splitlines():
            name, value, kind = re.fullmatch(r"([^:]+):([^|]+)\|(\w+).*", line).groups()
            found[name].append((float(value), kind))


@pytest.mark.once
@pytest.mark.skipif(
    importlib.metadata.version("apache-airflow").startswith("3.2."),
    reason="dag.test() of Airflow 3.2 starts no metrics, as its workers do",
)
def test_metrics_reach_a_statsd_server(start, sandbox, statsd):
    """Airflow itself sends them, from the process that runs the task, as its configuration says."""
    sandbox.fail_next("status", **refusal(131026, "15550000004"))
    sandbox.fail_next("drop_after", to="15550000007", path="/messages")
    host, port = statsd.getsockname()

    process, log = start(
        "delivery_tolerant",
        {},
        AIRFLOW__METRICS__STATSD_ON="True",
        AIRFLOW__METRICS__STATSD_HOST=host,
        AIRFLOW__METRICS__STATSD_PORT=str(port),
        AIRFLOW__METRICS__METRICS_ALLOW_LIST="whatsapp",
    )
    process.wait(timeout=110)

    found = heard(statsd)
    counts = {name: sum(value for value, kind in values if kind == "c") for name, values in found.items()}
    assert counts.pop("airflow.whatsapp.sent", 0) == 10, log.read_text()[-3000:]
    assert counts.pop("airflow.whatsapp.failed") == 1
    assert counts.pop("airflow.whatsapp.unknown") == 1
    rates = found["airflow.whatsapp.rate"]
    assert all(kind == "g" and value > 0 for value, kind in rates)
    assert rates


def test_the_log_says_at_a_steady_interval_how_far_it_has_got(
    run, sandbox, ledger, monkeypatch, capfd, caplog
):
    """The clock moves one second each time that it is read: at each outcome, at each line, and while nothing comes."""
    caplog.set_level("INFO")
    ticks = itertools.count(0.0)
    monkeypatch.setattr(progress, "Progress", functools.partial(progress.Progress, clock=lambda: next(ticks)))

    dag_run = run("broadcast_window", recipients=PEOPLE, **ledger)

    assert state(dag_run) == "success"
    said = caplog.text + "".join(capfd.readouterr())
    found = re.findall(
        r"WhatsApp: (\d+) of 100 sent, 0 failed, 0 unknown; [\d.]+ per second, \d+ (?:s|min) left", said
    )
    counts = sorted({int(count) for count in found})
    assert 3 <= len(counts) <= 5
    assert {later - earlier for earlier, later in itertools.pairwise(counts)} <= set(range(15, 31))
