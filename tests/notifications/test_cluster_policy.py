"""One switch for all DAGs: what the policy gives a task, by the configuration."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from airflow_provider_whatsapp import get_provider_info

pytestmark = pytest.mark.airflow

NUMBER = "+15550001111"


def configure(monkeypatch, **options):
    for name, value in options.items():
        monkeypatch.setenv(f"AIRFLOW__WHATSAPP__{name.upper()}", value)


def applied(**options):
    from airflow.sdk import DAG
    from airflow.sdk.bases.operator import BaseOperator

    from airflow_provider_whatsapp.cluster_policy import task_policy

    with DAG("orders"):
        task = BaseOperator(task_id="load", **options)
    task_policy(task)
    return list(task.on_failure_callback)


def test_it_is_off_unless_configured():
    assert applied() == []


def test_every_option_reaches_the_notifier(monkeypatch):
    configure(
        monkeypatch,
        alert_to=f"{NUMBER},+15550002222",
        alert_routes="oncall",
        alert_severity="high",
        alert_template="something_wrong",
        alert_language="pt_BR",
        alert_text="{{ ti.task_id }} failed",
        alert_conn_id="other",
        alert_cooldown="60",
        alert_escalate_to="+15550003333",
        alert_escalate_after="5",
    )
    (notifier,) = applied()
    found = {
        name: getattr(notifier, name) for name in ("to", "routes", "severity", "template_name", "language")
    }
    more = ("text", "maton_conn_id", "cooldown", "escalate_to", "escalate_after")

    assert found == {
        "to": f"{NUMBER},+15550002222",
        "routes": "oncall",
        "severity": "high",
        "template_name": "something_wrong",
        "language": "pt_BR",
    }
    assert [getattr(notifier, name) for name in more] == [
        "{{ ti.task_id }} failed",
        "other",
        60,
        "+15550003333",
        5,
    ]


def test_the_documented_defaults_are_the_notifier_s(monkeypatch):
    from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

    configure(monkeypatch, alert_to=NUMBER)
    (notifier,) = applied()
    usual = WhatsAppNotifier(to=NUMBER, template_name="airflow_alert")

    assert {name: vars(notifier)[name] for name in vars(usual) if not name.startswith("_")} == {
        name: value for name, value in vars(usual).items() if not name.startswith("_")
    }


def test_other_callbacks_are_kept_and_a_notifier_of_ours_is_enough(monkeypatch):
    from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

    configure(monkeypatch, alert_to=NUMBER)
    mine = WhatsAppNotifier(to="+15550002222")

    assert applied(on_failure_callback=mine) == [mine]
    (first, second) = applied(on_failure_callback=print)
    assert first is print
    assert isinstance(second, WhatsAppNotifier)


def test_mapped_tasks_too(monkeypatch):
    from airflow.sdk import DAG, task

    from airflow_provider_whatsapp.cluster_policy import task_policy
    from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

    configure(monkeypatch, alert_to=NUMBER)
    with DAG("orders") as dag:

        @task
        def load(part):
            pass

        load.expand(part=[1, 2])
    task_policy(dag.task_dict["load"])

    (notifier,) = dag.task_dict["load"].on_failure_callback
    assert isinstance(notifier, WhatsAppNotifier)


def test_a_mistake_in_the_configuration_is_one_line_and_stops_no_dag(monkeypatch, caplog):
    configure(monkeypatch, alert_to=NUMBER, alert_cooldown="soon")
    with caplog.at_level(logging.ERROR):
        (notifier,) = applied()

    assert notifier.cooldown == 300
    (record,) = caplog.records
    assert "alert_cooldown is not a number" in record.getMessage()


def test_airflow_knows_every_option_that_is_read():
    import airflow_provider_whatsapp as package

    root = Path(package.__file__).parent
    source = "".join(path.read_text() for path in root.rglob("*.py") if path.name != "get_provider_info.py")
    for name in get_provider_info.CONFIG_OPTIONS:
        assert f'"{name}"' in source or f"[whatsapp] {name}" in source, name
