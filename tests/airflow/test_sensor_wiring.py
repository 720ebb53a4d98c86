"""From a sensor over its trigger to the poll and back: what was asked for arrives, and so does the answer."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest
from airflow.sdk import AssetAlias, PokeReturnValue
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_whatsapp._compat import AirflowFailException, AirflowSensorTimeout
from airflow_provider_whatsapp.sensors._deferring import DeferringSensor
from airflow_provider_whatsapp.sensors.health import WhatsAppHealthSensor
from airflow_provider_whatsapp.sensors.messages import MessageStatusSensor
from airflow_provider_whatsapp.sensors.templates import TemplateApprovalSensor

try:
    from airflow.sdk.exceptions import TaskDeferred
except ImportError:
    from airflow.exceptions import TaskDeferred

USUAL = {"task_id": "wait", "poke_interval": 7, "timeout": 70, "maton_conn_id": "another"}
SENSORS = {
    "messages": (
        MessageStatusSensor,
        {"message_ids": ["wamid.A", "wamid.B"], "status": "read", "phone_number_id": "11"},
        {
            "message_ids": ["wamid.A", "wamid.B"],
            "status": "read",
            "phone_number_id": "11",
            "events_conn_id": None,
        },
    ),
    "templates": (
        TemplateApprovalSensor,
        {
            "template_name": "late",
            "language": "de",
            "category": "UTILITY",
            "waba_id": "22",
            "on_drift": "warn",
        },
        {"wanted": [["late", "de", "UTILITY"]], "waba_id": "22", "fail_on_drift": False},
    ),
    "health": (
        WhatsAppHealthSensor,
        {"template_name": "late", "language": "de", "phone_number_id": "11", "waba_id": "22"},
        {"template_name": "late", "language": "de", "phone_number_id": "11", "waba_id": "22"},
    ),
}


@pytest.mark.parametrize("kind", SENSORS)
def test_what_a_sensor_is_asked_for_is_what_its_trigger_waits_for(kind):
    made, given, expected = SENSORS[kind]
    before = time.time()
    with pytest.raises(TaskDeferred) as caught:
        made(**USUAL, **given)._wait_in_triggerer()

    path, arguments = caught.value.trigger.serialize()
    end = arguments.pop("end_time")
    assert arguments == {**expected, "maton_conn_id": "another", "poke_interval": 7.0}
    assert before + 70 <= end <= time.time() + 70
    assert caught.value.method_name == "execute_complete"
    assert caught.value.timeout == timedelta(seconds=130), "Airflow's own limit comes after the trigger's"
    again = type(caught.value.trigger)(**arguments, end_time=end)
    assert again.serialize() == (path, {**arguments, "end_time": end})


EVENTS = {
    "messages": ({"state": "reached", "message": "x", "statuses": {"wamid.A": {}}}, {"wamid.A": {}}),
    "templates": ({"state": "approved", "message": "x", "templates": [], "drift": []}, []),
    "health": ({"state": "ready", "message": "x", "health": {"state": "AVAILABLE"}}, {"state": "AVAILABLE"}),
}


@pytest.mark.parametrize("kind", SENSORS)
@pytest.mark.parametrize(
    ("state", "error"),
    [(None, None), ("timeout", AirflowSensorTimeout), ("error", AirflowFailException)],
    ids=["well", "timeout", "error"],
)
def test_what_a_trigger_found_is_what_the_sensor_ends_with(kind, state, error):
    made, given, _ = SENSORS[kind]
    event, found = EVENTS[kind]
    sensor = made(**USUAL, **given)
    if error is None:
        assert sensor.execute_complete({}, event) == found
    else:
        with pytest.raises(error, match="what it says"):
            sensor.execute_complete({}, {**event, "state": state, "message": "what it says"})


class Asks(DeferringSensor):
    """Finds what it is given, once."""

    found = PokeReturnValue(is_done=False)
    deferrable = True

    def poke(self, context):
        return self.found

    def _wait_in_triggerer(self):
        raise TaskDeferred(trigger=None, method_name="execute_complete")


def test_a_sensor_leaves_its_worker_where_the_first_look_finds_nothing():
    sensor = Asks(task_id="wait")

    with pytest.raises(TaskDeferred):
        sensor.execute({})
    sensor.found = PokeReturnValue(is_done=True, xcom_value="found")
    assert sensor.execute({}) == "found"


@pytest.mark.parametrize("way", ["poke", "event"])
def test_the_health_sensor_s_task_log_says_what_was_found(sandbox, caplog, capfd, way):
    caplog.set_level("INFO")
    sensor = WhatsAppHealthSensor(task_id="wait", maton_conn_id="maton_whatsapp_default")
    if way == "poke":
        assert sensor.poke({}).is_done
        said = "AVAILABLE"
    else:
        said = "what the trigger found"
        sensor.execute_complete({}, {**EVENTS["health"][0], "message": said})

    assert said in caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize("way", ["poke", "event"])
def test_an_approved_template_is_an_event_of_the_sensor_s_outlets(sandbox, way):
    alias, events = AssetAlias("approved"), OutletEventAccessors()
    sensor = TemplateApprovalSensor(task_id="wait", template_name="hello_world", outlets=[alias])
    if way == "poke":
        assert sensor.poke({"outlet_events": events}).is_done
    else:
        row = {"name": "hello_world", "language": "en_US", "status": "APPROVED"}
        event = {**EVENTS["templates"][0], "templates": [row]}
        assert sensor.execute_complete({"outlet_events": events}, event) == [row]

    (event,) = events[alias].asset_alias_events
    assert event.extra["status"] == "APPROVED"


@pytest.mark.parametrize("kind", SENSORS)
def test_a_trigger_polls_the_account_that_it_was_given(sandbox, kind):
    """What is asked for is in the path: a message, an account, a number. None of them exists."""
    made, given, _ = SENSORS[kind]
    usual = {**USUAL, "maton_conn_id": "maton_whatsapp_default", "timeout": 20}
    with pytest.raises(TaskDeferred) as caught:
        made(**usual, **given)._wait_in_triggerer()

    async def event():
        return [each.payload async for each in caught.value.trigger.run()][-1]

    assert asyncio.run(event())["state"] == "error"
    asked = [request["path"] + request["query"] for request in sandbox.requests_to("")]
    assert any({"messages": "wamid", "templates": "/22/", "health": "/11"}[kind] in path for path in asked), (
        asked
    )
