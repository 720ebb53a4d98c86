"""A time-out strikes at any moment of the reading: everybody has an outcome, and a later try loses nobody."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.delivery.engine import Delivery, Rules
from airflow_provider_whatsapp.delivery.ledger import Job, Ledger, Try
from airflow_provider_whatsapp.delivery.recipients import Recipients
from airflow_provider_whatsapp.delivery.report import Report
from airflow_provider_whatsapp.delivery.results import Results

GOOD, OPTED_OUT = "1555000", "1555999"
PEOPLE = [
    *(f"{GOOD}{place:04}" for place in range(3)),
    *(f"{OPTED_OUT}{place:04}" for place in range(4)),
    f"{GOOD}0003",
    "12",
    f"{GOOD}0003",
    f"{OPTED_OUT}0004",
    *(f"{GOOD}{place:04}" for place in range(4, 8)),
]
SUPPRESSED = {f"{OPTED_OUT}{place:04}" for place in range(5)}


class TaskTimeout(BaseException):
    """Like Airflow's: raised wherever the main thread is."""


class Interrupted:
    """Recipients whose first reading is struck by a time-out at a row."""

    def __init__(self, recipients, place):
        self._recipients, self._place = recipients, place

    def __iter__(self):
        for row in self._recipients:
            if row.position == self._place:
                self._place = None
                raise TaskTimeout
            yield row


@pytest.mark.parametrize("place", range(len(PEOPLE)))
def test_whatever_row_is_being_read(client, sandbox, store, tmp_path, place):
    def one_try(number, struck):
        recipients = Recipients(PEOPLE, suppressed=SUPPRESSED)
        survey = recipients.survey()
        ledger = Ledger(store, pauses=())
        ledger.begin(Job(survey.digest, "message", survey.total), Try(number))
        results = Results(tmp_path / "results.jsonl", key="run", number=number, total=survey.total)
        results.begin(start_over=number == 1)
        delivery = Delivery(
            ledger,
            lambda row: Text("hello"),
            client.messages.send,
            rules=Rules(threads=4),
            take=results.take,
        )
        report = Report()
        if struck:
            with pytest.raises(TaskTimeout):
                delivery.run(Interrupted(recipients, place), report)
        else:
            delivery.run(recipients, report)
        assert results.finish() == len(PEOPLE)
        return report, [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]

    report, lines = one_try(1, struck=True)

    assert report.total == len(PEOPLE)
    assert sorted(line["n"] for line in lines) == list(range(len(PEOPLE)))
    sent = {line["to"] for line in lines if line["status"] == "sent"}
    assert sent == {message["to"] for message in sandbox.messages}
    one_try(2, struck=False)
    assert Counter(message["to"] for message in sandbox.messages) == {
        f"{GOOD}{place:04}": 1 for place in range(8)
    }
