"""How a broadcast begins its results file, and ends it when a time-out strikes while it is put together."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp.delivery import results as module
from airflow_provider_whatsapp.delivery.recipients import Row
from airflow_provider_whatsapp.delivery.report import Outcome, Report
from airflow_provider_whatsapp.delivery.results import Results, ResultsError
from airflow_provider_whatsapp.delivery.stores import LedgerError
from airflow_provider_whatsapp.operators._results import put_together, report_early_end
from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator


class TaskTimeout(BaseException):
    """Like Airflow's: raised wherever the main thread is."""


class Pushed:
    def __init__(self):
        self.values = {}

    def xcom_push(self, key, value):
        self.values[key] = value


def test_a_results_file_that_cannot_be_written_is_known_before_anything_is_sent(sandbox, tmp_path):
    (tmp_path / "file").write_text("no folder")
    broadcast = BroadcastTemplateOperator(
        task_id="invite",
        recipients=["+15550001111"],
        template_name="hello_world",
        results_path=str(tmp_path / "file" / "results.jsonl"),
        ledger_path=str(tmp_path / "ledger"),
    )

    with pytest.raises(ResultsError, match=r"cannot be written to .*Nothing was sent\."):
        broadcast.execute({})

    assert sandbox.messages == []


@pytest.mark.parametrize("moment", ["at its beginning", "in the middle", "at its end"])
def test_the_file_and_the_report_are_there_all_the_same(tmp_path, monkeypatch, moment):
    results, report, ti = Results(tmp_path / "results.jsonl", key="run", number=1), Report(), Pushed()
    results.begin(start_over=True)
    for place in range(3):
        outcome = Outcome(f"1555000000{place}", "skipped", reason="stopped")
        results.take(Row(place, outcome.to, given=outcome.to), outcome)
        report.add(outcome, place)
    write, strikes = module.write_whole, iter([True])

    def struck(path, lines):
        def until():
            for line in lines:
                yield line
                if moment == "in the middle" and next(strikes, False):
                    raise TaskTimeout

        if moment == "at its beginning" and next(strikes, False):
            raise TaskTimeout
        count = write(path, until())
        if moment == "at its end" and next(strikes, False):
            raise TaskTimeout
        return count

    monkeypatch.setattr(module, "write_whole", struck)

    with pytest.raises(TaskTimeout):
        put_together({"ti": ti}, results, report, logging.getLogger("test"))

    found = [json.loads(line)["n"] for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert found == [0, 1, 2]
    assert ti.values["report"]["skipped"] == 3
    assert [each.name for each in tmp_path.glob("*.new")] == []


@pytest.mark.parametrize("taken_over", [True, False])
def test_a_try_that_another_has_taken_over_keeps_its_outcomes_and_tells_nothing_else(tmp_path, taken_over):
    """The outcomes that wait for an upload are parts that the other try puts together; the report is its own."""
    done, ti = [], Pushed()
    results = SimpleNamespace(
        flush=lambda: done.append("flush"), finish=lambda: done.append("finish") or 0, failure=None, path="x"
    )
    error = LedgerError("another try has taken over" if taken_over else "away", permanent=taken_over)
    report_early_end({"ti": ti}, Report(), results, error, logging.getLogger("task"))

    assert (done, list(ti.values)) == ((["flush"], []) if taken_over else (["finish"], ["report"]))
