"""A process that delivers is killed with signal 9 at random moments; the files of its ledger outlive it."""

from __future__ import annotations

import random
import threading
from collections import Counter

import pytest

from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
from airflow_provider_whatsapp.delivery.engine import Delivery, Rules
from airflow_provider_whatsapp.delivery.ledger import Job, Ledger, Try
from airflow_provider_whatsapp.delivery.recipients import Recipients
from airflow_provider_whatsapp.delivery.report import Report
from airflow_provider_whatsapp.delivery.stores import FileStore


def deliver(url, key, number, folder, attempt):
    """Deliver to five hundred people, and print what became of each."""
    recipients = Recipients([f"1555{place:07}" for place in range(500)])
    survey = recipients.survey()
    ledger = Ledger(FileStore(folder))
    ledger.begin(Job(survey.digest, "message", survey.total), Try(attempt))
    config = ClientConfig(api_key=key, host=url, phone_number_id=number, rate_limit=0)
    delivery = Delivery(
        ledger, lambda row: Text("hello"), WhatsAppClient(config).messages.send, rules=Rules()
    )
    report = delivery.run(recipients, Report())
    for outcome in report.outcomes:
        print(outcome.to, outcome.status)


@pytest.mark.parametrize("seed", range(4))
def test_nobody_gets_two_and_nobody_is_lost(sandbox, command_forks, tmp_path, seed):
    chance, never = random.Random(seed), threading.Event()
    sandbox.fail_next("slow", seconds=0.01, times=0, path="/messages")
    work = (
        deliver,
        sandbox.url,
        sandbox.connection["password"],
        sandbox.extra["phone_number_id"],
        str(tmp_path),
    )
    kills = [chance.randrange(1, 240), chance.randrange(240, 480)]
    for attempt, count in enumerate(kills, 1):
        process = command_forks.start(*work, attempt)
        while len(sandbox.messages) < count and process.poll() is None:
            never.wait(0.01)
        process.kill()
        process.wait()

    last = command_forks.run(*work, 3)

    assert last.returncode == 0, last.stderr
    status = dict(line.split() for line in last.stdout.splitlines())
    counts = Counter(message["to"] for message in sandbox.messages)
    unknown = {to for to, what in status.items() if what == "unknown"}
    assert max(counts.values()) == 1
    assert len(status) == 500
    assert {to for to, what in status.items() if what == "sent"} <= set(counts)
    assert len(counts.keys() | unknown) == 500
    assert len(unknown) <= 16 * len(kills)
