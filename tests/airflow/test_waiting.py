"""A real Airflow waits for delivery: the task leaves its worker, and comes back to say what arrived."""

from __future__ import annotations

import pytest

from airflow_provider_whatsapp.triggers.delivery import DeliveryTrigger, StorePoll
from tests.airflow.running import reached, state, xcom

pytestmark = pytest.mark.airflow


def test_a_task_waits_fails_for_those_who_got_nothing_and_reaches_them_after_a_clear(
    run, run_again, dag_bag, sandbox, whatsapp_events, ledger, monkeypatch
):
    ask, asks, made, serialize = StorePoll.ask, [], [], DeliveryTrigger.serialize

    def asked(poll, subscribers):
        asks.append(1)
        if len(asks) > 1:  # it looks once before it leaves
            whatsapp_events.deliver(60)
        return ask(poll, subscribers)

    def serialized(trigger):
        made.append(serialize(trigger)[1])
        return serialize(trigger)

    monkeypatch.setattr(StorePoll, "ask", asked)
    monkeypatch.setattr(DeliveryTrigger, "serialize", serialized)
    sandbox.reply("+15550000002", "hello")

    dag_run = run("delivery_waits", **ledger)

    assert state(dag_run) == "failed"
    assert dag_run.get_task_instance("send").try_number == 1, "a retry could send to nobody"
    assert made, "it left its worker"
    assert {(each["target"], tuple(each["message_ids"])) for each in made} == {(5, ())}
    report = xcom(dag_run, "report")
    counts = {name: report[name] for name in ("accepted", "sent", "delivered", "failed", "pending")}
    assert counts == {"accepted": 5, "sent": 1, "delivered": 1, "failed": 4, "pending": 0}

    for number in range(5):
        sandbox.reply(f"+1555000{number:04}", "hello")
    monkeypatch.setattr(dag_bag.dags["delivery_waits"].task_dict["send"], "deferrable", False)
    run_again(dag_run, "send", clear=True)

    assert state(dag_run) == "success"
    assert reached(sandbox) == {f"1555000{number:04}": 2 - (number == 2) for number in range(5)}
    report = xcom(dag_run)
    counts = {name: report[name] for name in ("accepted", "sent", "delivered", "failed", "pending")}
    assert counts == {"accepted": 5, "sent": 5, "delivered": 5, "failed": 0, "pending": 0}
