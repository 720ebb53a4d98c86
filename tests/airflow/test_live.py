"""A running Airflow: its alerts reach phones, and what people reply, answer and press reaches it."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import re
import shutil
import sqlite3
from pathlib import Path
from urllib.parse import quote

import pytest

from airflow_provider_whatsapp.pytest_events import receiving
from airflow_provider_whatsapp.pytest_plugin import WhatsAppSandbox
from tests.airflow.approval_walk import answer_by_a_press, answer_two_by_their_links, answering, let_it_ask
from tests.airflow.live import DEADLINE, HEARTBEAT_TIMEOUT, start_airflow
from tests.airflow.running import is_there
from tests.chromium import needs_chromium

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
HAS_SYNC_DEADLINES = importlib.metadata.version("apache-airflow-core") >= "3.2"
BODY = [{"type": "BODY", "text": "Something is wrong."}]


@pytest.fixture(scope="module")
def sandbox():
    """Start a sandbox for the running Airflow alone, with the templates that its DAGs name."""
    with WhatsAppSandbox.start("--approve-after", "2") as started:
        started.connect()
        from airflow_provider_whatsapp.cli import main
        from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

        MatonWhatsAppHook().create_template("something_wrong", "en_US", "UTILITY", BODY)
        stock = ROOT / "airflow_provider_whatsapp" / "notifications" / "airflow_alert.yaml"
        assert main(["templates", "apply", str(stock)]) == 0
        for name in ("something_wrong", "airflow_alert"):
            started.templates.approve(name)
        started.fail_next("slow", to="15550007008", seconds=60, times=0, path="/messages")
        yield started


@pytest.fixture(scope="module")
def events(sandbox, home):
    """Run the receiver beside the running Airflow, with a store in its home."""
    with receiving(sandbox, home / "events.db") as received:
        yield received


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Make the home of an Airflow with the DAGs of this test, two examples, and the cluster policy."""
    made = tmp_path_factory.mktemp("airflow")
    (made / "dags").mkdir()
    (made / "config").mkdir()
    (made / "config" / "airflow_local_settings.py").write_text(
        "from airflow_provider_whatsapp.cluster_policy import task_policy\n"
    )
    shutil.copy(HERE / "dags" / "alerts_live.py", made / "dags")
    for example in ("deadline_alert", "answer_replies"):
        shutil.copy(ROOT / "example_dags" / f"{example}.py", made / "dags")
    return made


@pytest.fixture(scope="module")
def running_airflow(sandbox, events, home):
    """Start an Airflow, whose DAGs begin by themselves, except the example of a deadline."""
    with start_airflow(home, {**sandbox.connection, "extra": {**sandbox.extra, "rate_limit": 0}}) as airflow:
        airflow.wait_for(lambda: airflow.has("deadline_alert"))
        airflow.wait_for(lambda: airflow.begins("deadline_alert"))
        yield airflow


def texts_to(sandbox, airflow, *numbers):
    """Wait until each of these numbers has got a message, and return the texts; None where it is a template."""

    def found():
        messages = {each["to"]: each["payload"].get("text", {}).get("body") for each in sandbox.messages}
        return {number: messages[number] for number in numbers} if set(numbers) <= set(messages) else None

    return airflow.wait_for(found)


pytestmark = [pytest.mark.airflow, pytest.mark.timeout(2 * DEADLINE + 60)]


def test_failures_deadlines_and_questions_reach_their_phones(running_airflow, sandbox):
    """Also of the task that has no callback of its own: the cluster policy gave it one."""
    expected = ["15550001111", "15550002222", "15550003333", "15550004444"]
    texts = texts_to(sandbox, running_airflow, *expected)

    assert texts["15550001111"] == "load: no rows"
    assert texts["15550002222"].endswith("of alerts_live is late"), "a deadline knows no tags"
    assert texts["15550003333"] is None, "the policy's template"
    assert texts["15550004444"].startswith("Publish the report? http://127.0.0.1:")


def test_a_reply_starts_a_dag(running_airflow, sandbox):
    """From the phone to the receiver, its store, the watcher in the triggerer, a run, and back to the phone."""
    running_airflow.wait_for(lambda: running_airflow.rows("SELECT 1 FROM whatsapp_cursors", "events"))
    sandbox.reply("+15550009101", "no question")
    sandbox.reply("+15550009102", "Status?")

    texts = texts_to(sandbox, running_airflow, "15550009102")

    assert texts == {"15550009102": "All pipelines are on time."}
    assert "15550009101" not in {each["to"] for each in sandbox.messages}
    (event,) = running_airflow.rows("SELECT extra FROM asset_event")
    assert json.loads(event[0])["payload"]["keyword"] == "STATUS"
    runs = running_airflow.rows("SELECT run_type FROM dag_run WHERE dag_id = 'answer_replies'")
    assert runs == [("asset_triggered",)]


def miss_the_lost_worker(airflow):
    """Wait until a task's worker is gone, and let the time pass after which the scheduler misses its heartbeats."""

    def gone():
        found = airflow.rows(
            "SELECT pid FROM task_instance WHERE dag_id = 'worker_lost' AND state = 'running'"
        )
        return found and not is_there(*found[0])

    airflow.wait_for(gone)
    with contextlib.closing(sqlite3.connect(airflow.folder / "airflow.db", timeout=60)) as database, database:
        database.execute(
            "UPDATE task_instance SET last_heartbeat_at = strftime('%Y-%m-%d %H:%M:%f', last_heartbeat_at, ?) "
            "WHERE dag_id = 'worker_lost'",
            (f"-{HEARTBEAT_TIMEOUT} seconds",),
        )


def test_the_worker_of_a_task_is_lost(running_airflow, sandbox):
    miss_the_lost_worker(running_airflow)
    text = texts_to(sandbox, running_airflow, "15550006011")["15550006011"]

    assert re.fullmatch(r"Task worker_lost\.load, try \d, run \S+: its worker was lost", text)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        pytest.param("15550006001", r"Task callback_kinds\.well, try \d, run \S+: running", id="execute"),
        pytest.param("15550006002", r"Task callback_kinds\.well, try \d, run \S+: success", id="success"),
        pytest.param("15550006003", r"Task callback_kinds\.skips, try \d, run \S+: skipped", id="skipped"),
        pytest.param("15550006004", r"Task callback_kinds\.fails, try 1, run \S+: no rows", id="retry"),
        pytest.param("15550006005", r"Task callback_kinds\.fails, try 2, run \S+: no rows", id="failure"),
        pytest.param("15550006006", r"DAG callback_kinds, run \S+: task_failure", id="DAG failure"),
        pytest.param("15550006007", r"DAG callback_kinds_well, run \S+: success", id="DAG success"),
        pytest.param("15550006008", r"DAG callback_kinds, run \S+: deadline missed", id="deadline"),
        pytest.param("15550006010", r"Task alerts_live\.approve, try \d, run \S+: running", id="question"),
    ],
)
def test_the_default_text_survives_every_kind_of_callback(running_airflow, sandbox, number, text):
    """What a scheduler had queued when it ended is tried a second time."""
    assert re.fullmatch(text, texts_to(sandbox, running_airflow, number)[number])


def test_the_example_of_a_deadline(running_airflow, sandbox):
    """As it stands: the run was triggered by hand, takes too long, and the stock template tells of it."""

    def found():
        return [each["payload"]["template"] for each in sandbox.messages if each["to"] == "15550100199"]

    (template,) = running_airflow.wait_for(found)
    body, button = template["components"]
    values = {parameter["parameter_name"]: parameter["text"] for parameter in body["parameters"]}
    assert template["name"] == "airflow_alert"
    assert (values["dag"], values["error"]) == ("deadline_alert", "deadline missed")
    ((run,),) = running_airflow.rows("SELECT run_id FROM dag_run WHERE dag_id = 'deadline_alert'")
    assert values["run"] == run
    assert button["parameters"][0]["text"] == f"dags/deadline_alert/runs/{quote(run)}"


def ended(airflow, dag_id):
    """Wait until a DAG's run is over; return its state."""
    query = f"SELECT state FROM dag_run WHERE dag_id = '{dag_id}' AND state IN ('success', 'failed')"
    ((state,),) = airflow.wait_for(lambda: airflow.rows(query))
    return state


def states(airflow, dag_id):
    """Wait until a DAG's run is over; return its state and those of its tasks."""
    state = ended(airflow, dag_id)
    tasks = airflow.rows(f"SELECT task_id, state FROM task_instance WHERE dag_id = '{dag_id}'")
    return state, dict(tasks)


def lines(airflow, dag_id, task_id, count=1):
    """Wait for so many of our lines in a task's log, and return all of ours that are no mere information."""

    def found():
        logs = (airflow.folder / "logs").glob(f"dag_id={dag_id}/*/task_id={task_id}/attempt=1.log")
        events = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
        ours = [
            event["event"]
            for event in events
            if event["level"] in ("warning", "error") and event["event"].startswith("WhatsApp")
        ]
        return ours if len(ours) >= count else None

    return airflow.wait_for(found)


def test_what_is_wrong_with_an_alert_is_one_line_and_leaves_the_states_alone(running_airflow, sandbox):
    tasks = ("unknown_severity", "misfit", "unreachable", "unanswered")
    assert states(running_airflow, "bad_input") == ("failed", dict.fromkeys(tasks, "failed"))
    assert states(running_airflow, "bad_input_well") == ("success", {"well": "success"})

    (severity,) = lines(running_airflow, "bad_input", "unknown_severity")
    (misfit,) = lines(running_airflow, "bad_input", "misfit")
    (unreachable,) = lines(running_airflow, "bad_input", "unreachable")
    assert severity == "WhatsApp: no alert route for severity 'hihg' (the routes are: high)"
    assert "132000" in misfit
    assert "no connection to the gateway" in unreachable
    (unanswered,) = lines(running_airflow, "bad_input", "unanswered")
    assert "its answer was lost" in unanswered, (
        "before Airflow ends the callback, and then tries the task again"
    )
    assert len(lines(running_airflow, "bad_input_well", "well", count=2)) == 2
    assert "15550007002" in texts_to(sandbox, running_airflow, "15550007002"), "the default is told"


def test_the_second_failed_run_in_a_row_reaches_others_as_well(running_airflow, sandbox):
    """Despite the cooldown, and the first run reaches them not."""
    texts_to(sandbox, running_airflow, "15550006022")
    said = {number: [] for number in ("15550006021", "15550006022")}
    for message in sandbox.messages:
        if message["to"] in said:
            said[message["to"]].append(message["payload"]["text"]["body"])

    second = "load: no rows (2 runs in a row have failed)"
    assert said == {"15550006021": ["load: no rows", second], "15550006022": [second]}


def test_mapped_tasks_that_fail_together_are_one_message_and_one_summary(running_airflow, sandbox):
    """Airflow ends callbacks 20 s after their task, and would try one again that it has to kill."""

    def found():
        templates = [each["payload"]["template"] for each in sandbox.messages if each["to"] == "15550008001"]
        bodies = [template["components"][0]["parameters"] for template in templates]
        return [next(each["text"] for each in body if each["parameter_name"] == "error") for body in bodies]

    told, *summaries = running_airflow.wait_for(lambda: len(said := found()) > 1 and said)
    assert ended(running_airflow, "storm") == "failed"

    tries = running_airflow.rows("SELECT state, try_number FROM task_instance WHERE dag_id = 'storm'")
    assert tries == [("failed", 1)] * len(tries)
    assert re.fullmatch(r"AirflowFailException: no rows in \d+", told)
    counts = [int(re.match(r"(\d+) more failures?: load\[", summary)[1]) for summary in summaries]
    records = [json.loads(value) for (value,) in running_airflow.rows("SELECT val FROM variable")]
    (record,) = (record for record in records if record["key"] == "storm.load")
    # On a slow machine the last failures may come after the summary; they are left to the next message.
    assert 1 + sum(counts) + record["held"] == len(tries)


def test_a_dag_s_callback_says_in_the_dag_processor_s_log_what_went_wrong(running_airflow, sandbox):
    def said():
        logs = (running_airflow.folder / "logs" / "dag_processor").rglob("*.log")
        return [line for log in logs for line in log.read_text().splitlines() if "did not reach" in line]

    # A task that a scheduler leaves behind when it ends has its callback here, which fails for its own reason.
    assert running_airflow.wait_for(
        lambda: [line for line in said() if "no connection to the gateway" in line]
    )
    assert all("15550007004" not in line for line in said())


def test_callbacks_of_every_kind_reach_the_throttle_state(running_airflow, sandbox):
    """Whoever could not would say so: tasks, the DAG processor, the triggerer, and what an executor runs."""
    texts_to(sandbox, running_airflow, "15550006006", "15550006007", "15550006008")
    logs = [*running_airflow.folder.glob("*.log"), *(running_airflow.folder / "logs").rglob("*.log")]

    assert [log for log in logs if "The throttle state of alerts cannot be reached" in log.read_text()] == []
    kept = {json.loads(value)["key"] for (value,) in running_airflow.rows("SELECT val FROM variable")}
    assert kept >= {"callback_kinds", "callback_kinds.fails", "callback_kinds.fails.retry", "15•••6008"}


@pytest.mark.once
@pytest.mark.browser
@needs_chromium
def test_a_person_answers_by_links_in_a_browser_and_by_presses_on_a_phone(running_airflow, sandbox, events):
    let_it_ask(running_airflow, sandbox)
    answer_two_by_their_links(running_airflow, sandbox)
    with answering(running_airflow, events) as log:
        answer_by_a_press(running_airflow, sandbox, events, log)


@pytest.mark.skipif(not HAS_SYNC_DEADLINES, reason="Airflow 3.1 has no synchronous deadlines")
def test_a_synchronous_deadline(running_airflow, sandbox):
    """
    Its routes are read from a Variable, and it writes none: Airflow 3.3 would leave it without an answer.

    The last test, for the scheduler of Airflow 3.2 ends when such a callback on SQLite is done.
    """
    shutil.copy(HERE / "dags" / "alerts_sync.py", running_airflow.folder / "dags")
    texts = texts_to(sandbox, running_airflow, "15550005555")

    assert re.fullmatch(r"DAG alerts_sync, run \S+: deadline missed", texts["15550005555"])
    assert len(texts) == 1
    logs = (running_airflow.folder / "logs" / "executor_callbacks").rglob("*")
    assert not any("throttle state of alerts cannot" in log.read_text() for log in logs if log.is_file())
