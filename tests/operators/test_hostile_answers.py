"""Whatever a gateway answers, nobody gets a message twice, the task ends, and its report tells the truth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_provider_whatsapp._compat import AirflowFailException
from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator
from tests.conftest import CONN_VARIABLE
from tests.hostile import CASES, HostileGateway

pytestmark = pytest.mark.once

TO = "15550001111"
KEY = "a-key-that-must-not-leak"
BOUNDED = 60
"""Seconds for one task. It takes far less than one; an answer without bounds would take for ever."""


class TaskInstance:
    """What an operator asks of Airflow when there is none."""

    dag_id, task_id, run_id, map_index = "dag", "send", "run", -1

    def __init__(self, try_number, max_tries):
        self.try_number, self.max_tries = try_number, max_tries
        self.pushed = {}

    def xcom_push(self, key, value):
        self.pushed[key] = value


@pytest.fixture
def gateway_of(monkeypatch):
    """A gateway to which the default connection points once it has an answer, with little time for a hostile one."""
    made = HostileGateway()

    def answer(case):
        made.answer = case.answer()
        timeout = [30, 30 if case.outcome == "sent" else 0.3]
        extra = {"phone_number_id": "1", "rate_limit": 0, "timeout": timeout, "max_retries": 2}
        connection = {"conn_type": "maton_whatsapp", "password": KEY, "host": made.url, "extra": extra}
        monkeypatch.setenv(CONN_VARIABLE, json.dumps(connection))
        return made

    yield answer
    made.close()


def run(folder, *, tried=1, max_tries=1, **options):
    """Run one try of a broadcast in its time, and return its report or what the task failed with."""
    ti = TaskInstance(tried, max_tries)
    given = {"recipients": [TO], "ledger_path": f"file://{folder}/ledger", "template_name": "hello_world"}
    task = BroadcastTemplateOperator(task_id="send", check_template=False, **given | options)
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(task.execute, {"ti": ti})
        error = done.exception(timeout=BOUNDED)
    if error is None:
        return done.result()
    assert isinstance(error, AirflowFailException), repr(error)
    assert KEY not in str(error)
    assert str(error).isprintable()
    return ti.pushed["report"]


def counted(report):
    return {name: report[name] for name in ("sent", "failed", "unknown") if report[name]}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nobody_is_sent_to_twice_and_the_report_is_true(case, gateway_of, tmp_path, caplog):
    gateway = gateway_of(case)
    results = f"file://{tmp_path}/results.jsonl"

    first = run(tmp_path, results_path=results)
    again = run(tmp_path, tried=2, results_path=results)
    cleared = run(tmp_path, tried=3, max_tries=3, results_path=results)
    failed = run(
        tmp_path, recipients=results, scope="failed", ledger_path=f"file://{tmp_path}/other", max_tries=0
    )

    assert counted(first) == counted(again) == counted(cleared) == {case.outcome: 1}
    assert counted(failed) == {}
    assert gateway.accepted == [TO]
    assert KEY not in caplog.text
    assert "Traceback" not in caplog.text


MEASURE = r"""
import re, sys
from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
for url in sys.argv[1:]:
    config = ClientConfig(api_key="k" * 40, host=url, phone_number_id="1", rate_limit=0, timeout=(2, 0.5))
    with WhatsAppClient(config) as client:
        try:
            client.messages.send("+15550001111", Text("hello"))
        except WhatsAppError:
            pass
print(re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells how much memory a process has had")
def test_no_answer_fills_the_memory():
    gateways = [HostileGateway(case.answer()) for case in CASES if case.large]
    try:
        urls = [gateway.url for gateway in gateways]
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, *urls],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            timeout=BOUNDED,
            check=True,
        )
        assert all(gateway.accepted for gateway in gateways)
    finally:
        for gateway in gateways:
            gateway.close()

    assert int(done.stdout) < 150 * 1024, "kilobytes"
