"""A task waits until number, account and template may send: on a worker, rescheduled, and in the triggerer."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp._compat import AirflowFailException, AirflowSensorTimeout, AirflowSkipException
from airflow_provider_whatsapp.client.resources.health import Health
from airflow_provider_whatsapp.sensors.health import WhatsAppHealthSensor
from airflow_provider_whatsapp.triggers.health import HealthTrigger, judge
from tests.time_limits import timeout_after_a_poll

CONN = "maton_whatsapp_default"


def set_health(sandbox, state="BLOCKED", entity="WABA", **more):
    sandbox.control("POST", "health_status", entity_type=entity, can_send_message=state, **more)


def health_requests(sandbox):
    return len([each for each in sandbox.requests if "health_status" in each["query"]])


@pytest.fixture
def settled(sandbox):
    """Let the account send again once somebody has asked so often."""
    over = threading.Event()

    def settle(after):
        while not over.wait(0.02):
            if health_requests(sandbox) >= after:
                set_health(sandbox, "AVAILABLE")
                return

    threads = []

    def start(after):
        threads.append(threading.Thread(target=settle, args=(after,)))
        threads[-1].start()

    yield start
    over.set()
    for thread in threads:
        thread.join()


def test_it_waits_in_the_triggerer_until_the_account_may_send(run_dag, sandbox, settled):
    set_health(sandbox)
    settled(after=4)

    assert run_dag("healthy_deferrable", name="hello_world") == ("success", {"wait": "success"})
    assert health_requests(sandbox) > 4


def test_it_waits_without_a_worker_where_it_is_rescheduled(sandbox):
    set_health(sandbox)
    sensor = WhatsAppHealthSensor(task_id="wait", mode="reschedule", poke_interval=600)
    context = {
        "ti": SimpleNamespace(get_first_reschedule_date=lambda context: None, try_number=1, max_tries=1)
    }

    with pytest.raises(Exception) as caught:  # noqa: PT011  (each Airflow has it elsewhere)
        sensor.execute(context)
    assert type(caught.value).__name__ == "AirflowRescheduleException"

    set_health(sandbox, "AVAILABLE")
    assert sensor.execute(context)["state"] == "AVAILABLE"


def test_it_waits_on_a_worker(sandbox, settled):
    set_health(sandbox)
    settled(after=3)

    found = WhatsAppHealthSensor(task_id="wait", poke_interval=0.05, timeout=60).execute({})

    assert found["state"] == "AVAILABLE"


@pytest.mark.parametrize("entity", ["PHONE_NUMBER", "MESSAGE_TEMPLATE", "WABA", "BUSINESS", "APP"])
def test_whatever_is_blocked_is_waited_for(sandbox, entity):
    more = {"name": "hello_world"} if entity == "MESSAGE_TEMPLATE" else {}
    sensor = WhatsAppHealthSensor(task_id="wait", template_name="hello_world")

    set_health(sandbox, entity=entity, **more)
    assert not sensor.poke({}).is_done
    set_health(sandbox, "LIMITED", entity, **more)

    limited = sensor.poke({})
    assert limited.is_done
    assert limited.xcom_value["state"] == "LIMITED"
    assert health_requests(sandbox) == 2 * 2


@pytest.mark.parametrize(
    ("given", "state"),
    [({"can_send_message": "BLOCKED"}, "AVAILABLE"), ({"refused": True}, "UNKNOWN")],
    ids=["overall", "refused"],
)
@pytest.mark.parametrize("name", [None, "hello_world"])
def test_what_says_nothing_about_messages_keeps_nobody_waiting(sandbox, given, state, name):
    sandbox.control("POST", "health_status", **given)

    found = WhatsAppHealthSensor(task_id="wait", template_name=name).poke({})

    assert (found.is_done, found.xcom_value["state"]) == (True, state)
    assert health_requests(sandbox) == (2 if name else 1)


def test_a_failure_of_the_gateway_is_waited_out(sandbox, change_connection):
    change_connection(extra={"max_retries": 0})
    sandbox.fail_next("status", status=500, times=1, method="GET")
    sensor = WhatsAppHealthSensor(task_id="wait")

    assert not sensor.poke({}).is_done
    assert sensor.poke({}).is_done


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"template_name": "nobody"}, "no template nobody"),
        ({"template_name": "hello_world", "language": "de"}, r"no template hello_world \(de\)"),
        ({"phone_number_id": "123"}, "does not exist"),
        ({"maton_conn_id": "nowhere"}, "nowhere"),
    ],
    ids=["name", "language", "number", "connection"],
)
@pytest.mark.parametrize("deferrable", [False, True])
def test_what_does_not_exist_is_not_waited_for(sandbox, options, words, deferrable):
    sensor = WhatsAppHealthSensor(task_id="wait", deferrable=deferrable, **options)

    with pytest.raises(Exception, match=words) as caught:
        sensor.execute({})
    if "maton_conn_id" not in options:
        assert isinstance(caught.value, AirflowFailException)
        skipped = WhatsAppHealthSensor(task_id="wait", deferrable=True, soft_fail=True, **options)
        with pytest.raises(AirflowSkipException):
            skipped.execute({})


def trigger(name=None, *, seconds=20.0, **options):
    usual = {"language": "en_US", "maton_conn_id": CONN, "phone_number_id": None, "waba_id": None}
    usual |= {"poke_interval": 0.1, "end_time": time.time() + seconds, **options}
    return HealthTrigger(template_name=name, **usual)


async def event_of(waiting):
    return [event.payload async for event in waiting.run()][-1]


def test_many_triggers_share_a_poll(sandbox, settled):
    set_health(sandbox)
    settled(after=4)
    made = [trigger(), trigger("hello_world"), trigger("hello_world"), trigger("nobody")]

    async def run():
        return await asyncio.gather(*map(event_of, made))

    *events, missing = asyncio.run(run())

    assert [event["state"] for event in events] == ["ready"] * 3
    assert missing["state"] == "error"
    assert "no template nobody" in missing["message"]
    # A poll asks for the number once and for each template once, however many wait for it.
    number = sandbox.requests_to(sandbox.extra["phone_number_id"])
    assert len(number) == len(
        [each for each in sandbox.requests_to("message_templates") if "hello" in each["query"]]
    )


def test_a_trigger_s_time_runs_out(sandbox):
    set_health(sandbox)

    event = timeout_after_a_poll(lambda seconds: trigger(seconds=seconds))

    assert "WABA 102290129340398 is BLOCKED" in event["message"]


def test_a_trigger_is_made_again_as_it_was():
    made = trigger("late", waba_id="1", phone_number_id="2")
    path, arguments = made.serialize()

    assert path == "airflow_provider_whatsapp.triggers.health.HealthTrigger"
    assert HealthTrigger(**arguments).serialize() == (path, arguments)


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"state": "timeout", "message": "late", "health": {}}, AirflowSensorTimeout),
        ({"state": "error", "message": "gone", "health": {}}, AirflowFailException),
        ({"nothing": "known"}, AirflowFailException),
        (None, AirflowFailException),
    ],
    ids=["timeout", "error", "unknown", "none"],
)
def test_what_a_trigger_ends_with_decides(event, error):
    with pytest.raises(error):
        WhatsAppHealthSensor(task_id="wait").execute_complete({}, event)


def test_what_a_trigger_found_is_returned():
    event = {"state": "ready", "message": "Messages can be sent", "health": {"state": "AVAILABLE"}}

    assert WhatsAppHealthSensor(task_id="wait").execute_complete({}, event) == {"state": "AVAILABLE"}


@pytest.mark.parametrize(
    ("state", "ready", "said"),
    [
        ("AVAILABLE", True, "Messages can be sent: WABA AVAILABLE"),
        ("LIMITED", True, "Messages can be sent: WABA is LIMITED"),
        ("BLOCKED", False, "Messages cannot be sent yet: WABA is BLOCKED"),
        ("A_NEW_WORD", True, "WhatsApp does not say whether messages can be sent: not known"),
    ],
)
def test_what_is_said_of_each_state_is_what_is_known(state, ready, said):
    entities = [{"entity_type": "WABA", "can_send_message": state}]
    found = judge(Health.parse({"entities": entities, "can_send_message": state}))

    assert (found.ready, found.message) == (ready, said)
