"""A real Airflow runs the example DAGs and the test DAGs against the sandbox."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

import airflow_provider_whatsapp.notifications

pytestmark = pytest.mark.airflow

STOCK = Path(airflow_provider_whatsapp.notifications.__file__).parent
BODY = [{"type": "BODY", "text": "No variables here."}]


@pytest.fixture
def awaited(sandbox):
    """Submit the template that the sensors wait for."""
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

    return MatonWhatsAppHook().create_template("awaited", "en_US", "UTILITY", BODY)


def polls(sandbox):
    return len(
        [request for request in sandbox.requests_to("message_templates") if request["method"] == "GET"]
    )


@pytest.fixture
def review(sandbox):
    """Give a template its status once it has been polled so often, as somebody at Meta would: from outside."""
    over = threading.Event()
    reviewers = []

    def start(name="awaited", *, after, status="APPROVED", **fields):
        def wait_and_decide():
            while not over.wait(0.05):
                if polls(sandbox) >= after:
                    sandbox.control("POST", "templates", name=name, language="en_US", status=status, **fields)
                    return

        reviewers.append(threading.Thread(target=wait_and_decide))
        reviewers[-1].start()

    yield start
    over.set()
    for reviewer in reviewers:
        reviewer.join()


@pytest.fixture
def stock(sandbox):
    """Create the stock template as the guide says, and let WhatsApp approve it."""
    from airflow_provider_whatsapp.cli import main

    assert main(["templates", "apply", str(STOCK / "airflow_alert.yaml")]) == 0
    sandbox.control("POST", "templates", name="airflow_alert", language="en_US", status="APPROVED")


@pytest.mark.parametrize("mode", ["poke", "reschedule", "deferrable"])
def test_the_sensor_waits_for_approval(run_dag, sandbox, awaited, review, mode):
    review(after=2)

    state, tasks = run_dag(f"approval_{mode}")

    assert (state, tasks) == ("success", {"wait": "success"})
    assert polls(sandbox) > 2


@pytest.mark.parametrize("mode", ["poke", "deferrable"])
def test_the_sensor_waits_out_a_gateway_that_does_not_answer(run_dag, sandbox, awaited, mode):
    sandbox.control("POST", "templates", name="awaited", language="en_US", status="APPROVED")
    sandbox.fail_next("status", status=503, times=7, method="GET", path="message_templates")

    assert run_dag(f"approval_{mode}")[0] == "success"


@pytest.mark.parametrize("mode", ["poke", "deferrable", "retries"])
@pytest.mark.parametrize("status", ["REJECTED", "DISABLED"])
def test_a_refused_template_fails_at_once(run_dag, sandbox, awaited, mode, status):
    sandbox.control(
        "POST", "templates", name="awaited", language="en_US", status=status, rejected_reason="SCAM"
    )

    state, tasks = run_dag(f"approval_{mode}")

    assert (state, tasks) == ("failed", {"wait": "failed"})
    assert polls(sandbox) == 1


def test_a_template_rejected_while_the_triggerer_waits(run_dag, sandbox, awaited, review):
    review(after=2, status="REJECTED", rejected_reason="SCAM")

    assert run_dag("approval_deferrable")[1] == {"wait": "failed"}


@pytest.mark.parametrize("mode", ["soft_fail", "soft_fail_deferrable"])
def test_soft_fail_skips(run_dag, sandbox, awaited, mode):
    sandbox.control("POST", "templates", name="awaited", language="en_US", status="REJECTED")

    assert run_dag(f"approval_{mode}")[1] == {"wait": "skipped"}


@pytest.mark.parametrize("mode", ["poke", "deferrable"])
def test_a_template_that_nobody_made_fails(run_dag, sandbox, mode):
    assert run_dag(f"approval_{mode}")[1] == {"wait": "failed"}


def test_several_recipients_get_one_message_each(run_dag, sandbox):
    assert run_dag("send_to_several")[0] == "success"

    assert [message["to"] for message in sandbox.messages] == ["15550001111", "15550002222", "15550003333"]


def test_a_partial_failure_is_not_retried(run_dag, sandbox):
    """The first one's answer is lost and the others are sent: a retry would reach somebody twice."""
    sandbox.fail_next("drop_after", times=1, path="/messages")

    assert run_dag("send_to_several")[1] == {"send": "failed"}
    assert [message["to"] for message in sandbox.messages] == ["15550001111", "15550002222", "15550003333"]


def test_an_error_that_all_would_meet_stops_the_rest(run_dag, sandbox):
    sandbox.control("POST", "templates", name="hello_world", language="en_US", status="PAUSED")

    assert run_dag("send_to_several")[1] == {"send": "failed"}
    assert sandbox.requests_to("/messages") == [], "the template is looked up first"


def test_a_lost_answer_is_not_retried_by_airflow(run_dag, sandbox):
    sandbox.fail_next("drop_after", times=1)

    assert run_dag("send_and_retry")[1] == {"send": "failed"}
    assert len(sandbox.messages) == 1


def test_what_was_certainly_not_sent_is_retried_by_airflow(run_dag, sandbox, change_connection):
    change_connection(extra={"max_retries": 0})
    sandbox.fail_next("status", status=429, times=2)

    assert run_dag("send_and_retry")[1] == {"send": "success"}
    assert len(sandbox.messages) == 1


def test_arguments_are_rendered(run_dag, sandbox, tmp_path, monkeypatch, dag_bag):
    path = tmp_path / "report.pdf"
    path.write_bytes(b"%PDF-1.7\n")
    monkeypatch.setattr(dag_bag.dags["send_rendered"].task_dict["file"], "media", f"file://{path}")

    assert run_dag("send_rendered")[0] == "success"
    payloads = {message["type"]: message["payload"] for message in sandbox.messages}
    assert payloads["text"]["text"]["body"].startswith("Run manual__")
    assert payloads["location"]["location"]["name"] == "send_rendered"
    assert payloads["document"]["document"]["filename"] == "report.pdf"
    assert payloads["document"]["document"]["caption"] == "Report"


def test_a_notifier_that_serves_twice_tells_each_time_what_happened(run_dag, sandbox):
    run_dag("notify_twice")

    texts = [message["payload"]["text"]["body"] for message in sandbox.messages]
    assert texts == ["first failed", "second failed"]


def test_the_default_text_survives_every_context(run_dag, sandbox):
    """The task's callback has the exception; the DAG's has none, and under a test run no Jinja of its own."""
    assert run_dag("notify_by_default")[0] == "failed"

    texts = [message["payload"]["text"]["body"] for message in sandbox.messages]
    assert len(texts) == 2
    assert texts[0].startswith("Task notify_by_default.fails, try 1, run manual__")
    assert all("notify_by_default" in text for text in texts)


def test_words_that_whatsapp_would_refuse_are_made_to_fit(run_dag, sandbox):
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

    body = {"type": "BODY", "text": "It says {{1}} and {{2}} there.", "example": {"body_text": [["a", "b"]]}}
    MatonWhatsAppHook().create_template("task_failed", "en_US", "UTILITY", [body])
    sandbox.control("POST", "templates", name="task_failed", language="en_US", status="APPROVED")
    run_dag("notify_with_long_words")

    (message,) = sandbox.messages
    words, nothing = (item["text"] for item in message["payload"]["template"]["components"][0]["parameters"])
    assert words.startswith("line one line two xxx")
    assert len(words) == 300
    assert nothing == "-"


def texts(sandbox):
    return [message["payload"]["text"]["body"] for message in sandbox.messages]


def test_the_same_failure_is_told_once_and_so_is_the_recovery(run_dag, sandbox):
    for well in (False, False, True, True):
        run_dag("notify_once", well=well)

    # The second failure was deduplicated; the recovery says that there was one.
    assert texts(sandbox) == ["load failed", "load is well again"]


def test_the_stock_template_is_filled_in_by_itself(run_dag, sandbox, stock):
    """Three mapped tasks fail one after the other: the first is told, the second sums up itself, the third is held."""
    run_dag("notify_of_many")

    def filled(message):
        body, button = message["payload"]["template"]["components"]
        return {each["parameter_name"]: each["text"] for each in body["parameters"]}, button

    (values, button), (summary, _) = map(filled, sandbox.messages)
    assert re.fullmatch(r"1 more failure: load\[\d\]", summary["error"])
    index = int(values["task"].removeprefix("load[").removesuffix("]"))
    assert (values["dag"], values["try"]) == ("notify_of_many", "1")
    # A test run of Airflow 3.1 and 3.2 hides the exception from callbacks.
    assert values["error"] in (f"ValueError: part {index + 1} has no rows", "failed")
    assert button["parameters"][0]["text"].startswith("dags/notify_of_many/runs/")


@pytest.mark.parametrize("method", ["get", "set"])
def test_without_the_throttle_state_the_alert_is_sent(run_dag, sandbox, monkeypatch, method):
    from airflow.sdk import Variable

    def refuse(*args, **kwargs):
        raise ConnectionError("the database is away")

    monkeypatch.setattr(Variable, method, refuse)
    run_dag("notify_once", well=False)

    assert texts(sandbox) == ["load failed"]


def test_a_failing_notification_leaves_the_task_s_state_alone(run_dag, sandbox):
    sandbox.fail_next("status", status=400, times=10)

    assert run_dag("notify_twice")[1] == {"first": "failed", "second": "failed"}
    assert sandbox.messages == []


def test_the_hook_in_a_task(run_dag, sandbox):
    assert run_dag("hook_in_a_task")[0] == "success"
    assert len(sandbox.messages) == 1


def test_report_delivery(run_dag, sandbox, review):
    """The example: the template is created, approved while the sensor waits, and the report reaches the phone."""
    review("weekly_sales_report", after=2)

    assert run_dag("report_delivery")[0] == "success"
    (message,) = sandbox.messages
    header, body = message["payload"]["template"]["components"]
    assert message["payload"]["template"]["name"] == "weekly_sales_report"
    assert header["parameters"][0]["document"]["filename"] == "Weekly sales.pdf"
    assert {parameter["parameter_name"] for parameter in body["parameters"]} >= {"total", "orders", "week"}


def test_scheduled_notification(run_dag, sandbox):
    assert run_dag("scheduled_notification")[0] == "success"
    assert sandbox.messages[0]["payload"]["template"]["name"] == "hello_world"


def test_failure_alert(run_dag, sandbox, stock):
    """The example: a failure, a second one soon after, a recovery, and a success that recovers nothing."""
    for works in (False, False, True, True):
        state = "success" if works else "failed"
        assert run_dag("failure_alert", works=works) == (state, {"load_orders": state})

    failure, recovery = (message["payload"] for message in sandbox.messages)
    body, button = failure["template"]["components"]
    values = {parameter["parameter_name"]: parameter["text"] for parameter in body["parameters"]}
    assert (values["dag"], values["task"]) == ("failure_alert", "load_orders")
    assert button["parameters"][0]["text"].startswith("dags/failure_alert/runs/")
    values = {
        each["parameter_name"]: each["text"] for each in recovery["template"]["components"][0]["parameters"]
    }
    assert (values["dag"], values["task"]) == ("failure_alert", "load_orders")
    assert values["error"] == "works again"


def test_a_press_below_an_alert_mutes_the_next_run_s(run_dag, sandbox, whatsapp_events):
    """A task's process has the event store's connection and the names from Airflow, and the mute is in its Variable."""
    from airflow.models.variable import Variable

    from airflow_provider_whatsapp.notifications.mute import alert_states
    from airflow_provider_whatsapp.plugin.alerts_view import Variables

    sandbox.templates.load(STOCK / "airflow_alert_ack.yaml", base_url="https://airflow.example.com")
    Variable.set("people", '{"Ann": "+15550001111"}')
    assert run_dag("acknowledge")[0] == "failed"
    (message,) = sandbox.messages
    mute = message["payload"]["template"]["components"][2]["parameters"][0]["payload"]
    whatsapp_events.deliver(60)
    sandbox.reply("+15550001111", "Mute 1 h", pressed=mute)
    whatsapp_events.deliver()

    assert run_dag("acknowledge")[0] == "failed"

    assert len(sandbox.messages) == 1
    (state,) = alert_states(Variables())
    assert (state.key, state.record.held, state.record.muted_by) == ("acknowledge.load", 1, "Ann")


def test_nobody_is_asked_about_a_load_that_succeeds(run_dag, sandbox):
    """The example: without a failure nobody is asked, and nothing waits."""
    state, tasks = run_dag("failed_load", fail=False)

    assert (state, tasks.pop("load"), set(tasks.values())) == ("success", "success", {"skipped"})
    assert set(tasks) == {"choose", "decide", "load_again", "skip_the_day", "stop"}
    assert sandbox.messages == []
