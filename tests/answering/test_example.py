"""The example of a failed load: a person chooses from its list, and the run goes on with what belongs to the choice."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.answering.conftest import ADA

FILE = Path(__file__).parents[2] / "example_dags" / "failed_load.py"


@pytest.fixture
def example():
    """Load the example again: a test changes its tasks."""
    spec = importlib.util.spec_from_file_location("failed_load_example", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_option_of_the_list_leads_to_its_task(
    sandbox, whatsapp_events, airflow, ti, asks, answering, example
):
    dag = example.failed_load()
    choose = dag.get_task("choose")
    choose.to, choose.subject, choose.ledger_path = ADA, "The load has failed. What now?", ti.ledger
    ti.dag_id, ti.task_id = dag.dag_id, choose.task_id
    sandbox.reply(ADA, "Hello")
    asks(choose)
    rows = sandbox.messages[0]["payload"]["interactive"]["action"]["sections"][0]["rows"]
    assert [row["title"] for row in rows] == ["Load again", "Skip the day", "Stop"]

    sandbox.reply(ADA, "Skip the day", pressed=rows[1]["id"])
    whatsapp_events.deliver(1)

    assert answering.look() == 1
    assert airflow.request(ti)["chosen_options"] == ["Skip the day"]
    decide = dag.get_task("decide")
    assert [decide.python_callable({"chosen_options": [row["title"]]}) for row in rows] == sorted(
        decide.downstream_task_ids, key=["load_again", "skip_the_day", "stop"].index
    )
    assert choose.trigger_rule == "one_failed"
    assert choose.upstream_task_ids == {"load"}
    assert decide.upstream_task_ids == {"choose"}
