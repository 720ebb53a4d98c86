"""Questions of the Airflow that test_live.py starts, answered in a browser and by presses on a phone."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from importlib.resources import as_file, files

from tests.airflow.running import end
from tests.chromium import CHROMIUM, OPTIONS

DAG = """
from airflow.sdk import DAG, task
from airflow_provider_whatsapp.operators.approval import WhatsAppApprovalOperator

@task
def go_on():
    pass

with DAG("ask", schedule=None, catchup=False, is_paused_upon_creation=False):
    asked = WhatsAppApprovalOperator.partial(task_id="approve", to="+15550000001", ledger_path="file://{ledger}").expand(
        subject=["Delete May?", "Delete June?"]
    )

    asked >> go_on()

with DAG("tap", schedule=None, catchup=False, is_paused_upon_creation=False):
    WhatsAppApprovalOperator(
        task_id="approve", to="+15550000001", subject="Delete July?", buttons="reply", ledger_path="file://{ledger}"
    ) >> go_on()
"""


def let_it_ask(airflow, sandbox):
    """Give a running Airflow DAGs that ask, and approve their templates."""
    with as_file(files("airflow_provider_whatsapp.approvals")) as folder:
        sandbox.templates.load(folder, base_url=airflow.url)
    (airflow.folder / "dags" / "ask.py").write_text(DAG.replace("{ledger}", str(airflow.folder / "ledger")))
    airflow.wait_for(lambda: airflow.has("ask") and airflow.has("tap"))


def wait_for_the_end_of_its_process(airflow, key):
    """
    Wait until the scheduler knows that a task's process has ended, which asked and now waits.

    A task that is answered before that is queued again when the scheduler hears of the end, and then it takes the
    task for one that was killed, and fails it. People are slower.

    :param key: How Airflow names the try.
    """
    # Airflow 3.4 names the try by its UUID first.
    words = (
        rf"Received executor event with state success for task instance .*TaskInstanceKey\({re.escape(key)}"
    )
    airflow.wait_for(lambda: re.search(words, (airflow.folder / "scheduler.log").read_text()))


def states(airflow, run_id, dag_id="ask"):
    found = airflow.ask("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances").json()["task_instances"]
    return {(each["task_id"], each["map_index"]): each["state"] for each in found}


def questions(sandbox, subject):
    """Return the messages that ask with a subject."""
    return [message for message in sandbox.messages if subject in json.dumps(message["payload"])]


def buttons(sandbox, subject):
    """Return what the buttons of the question with a subject end with."""
    for message in questions(sandbox, subject):
        parts = message["payload"]["template"]["components"]
        return [part["parameters"][0]["text"] for part in parts if part["type"] == "button"]
    return None


@contextlib.contextmanager
def chromium_page():
    """Open a page of a browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        page = browser.new_page()
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def answer_two_by_their_links(airflow, sandbox):
    from playwright.sync_api import expect

    airflow.wait_for(lambda: airflow.begins("ask", dag_run_id="manual+1"))
    approve, _ = airflow.wait_for(lambda: buttons(sandbox, "Delete May?"))
    _, reject = airflow.wait_for(lambda: buttons(sandbox, "Delete June?"))
    run = "manual%2B1"
    for index in (0, 1):
        key = "dag_id='ask', task_id='approve', run_id='manual+1', try_number=1"
        wait_for_the_end_of_its_process(airflow, f"{key}, map_index={index}")
    with chromium_page() as page:
        expect.set_options(timeout=60_000)
        page.goto(f"{airflow.url}/{approve}")  # nobody is logged in: Airflow asks, and leads back
        page.locator("[name=username]").fill("ada")
        page.locator("[name=password]").fill(airflow.password)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("Delete May?").first).to_be_visible()
        state = states(airflow, run)["approve", 0]
        assert state in ("deferred", "awaiting_input"), f"opening it answers nothing, and it is {state}"
        page.get_by_role("button", name="Approve").click()
        airflow.wait_for(lambda: states(airflow, run)["approve", 0] == "success")
        page.goto(f"{airflow.url}/{reject}")
        expect(page.get_by_text("Delete June?").first).to_be_visible()
        page.get_by_role("button", name="Reject").click()
        airflow.wait_for(lambda: states(airflow, run)["approve", 1] == "success")

    airflow.wait_for(lambda: states(airflow, run).get(("go_on", -1)) in ("success", "skipped"))
    found = airflow.ask(
        "GET", f"dags/ask/dagRuns/{run}/taskInstances/approve/xcomEntries/return_value?map_index=1"
    ).json()
    assert "Reject" in str(found["value"]), found
    assert "ada" in str(found["value"]), found
    assert len(questions(sandbox, "Delete ")) == 2


@contextlib.contextmanager
def answering(airflow, events):
    """Run `answer` beside Airflow; give its log."""
    env = os.environ | {
        "WHATSAPP_EVENTS_URL": events.database,
        "AIRFLOW_API_URL": airflow.url,
        "AIRFLOW_API_USERNAME": "ada",
        "AIRFLOW_API_PASSWORD": airflow.password,
    }
    log = airflow.folder / "answer.log"
    command = [sys.executable, "-m", "airflow_provider_whatsapp", "answer", "--interval", "0.5"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=env)
    try:
        yield log
    finally:
        end(process)


def answer_by_a_press(airflow, sandbox, events, log):
    """Ask, be pressed by the wrong ones, be cleared, ask again, be pressed by the right one."""

    def asked(number):
        return questions(sandbox, "Delete July?")[number - 1 :]

    def press(message, who, text, place):
        parts = message["payload"]["template"]["components"]
        payload = [part["parameters"][0]["payload"] for part in parts if part["type"] == "button"][place]
        events.deliver(60)
        given = {"from": who, "text": text, "pressed": payload, "context": message["id"]}
        sandbox.control("POST", "replies", **given)
        events.deliver(1)

    def logged(words, times=1):
        airflow.wait_for(lambda: log.read_text().count(words) >= times)

    ada, eve = "+15550000001", "+15550000009"
    airflow.wait_for(lambda: airflow.begins("tap", dag_run_id="tap+1"))
    (first,) = airflow.wait_for(lambda: asked(1))
    press(first, eve, "Approve", 0)
    logged(
        "15•••0009 pressed 'Approve' for tap.approve, run tap+1: ignored, because the message went to another person"
    )

    body = {"dry_run": False, "dag_run_id": "tap+1", "task_ids": ["approve"], "only_failed": False}
    waiting = ("deferred", "awaiting_input")
    airflow.wait_for(lambda: states(airflow, "tap%2B1", "tap")["approve", -1] in waiting)
    wait_for_the_end_of_its_process(airflow, "dag_id='tap', task_id='approve', run_id='tap+1', try_number=1")
    assert airflow.ask("POST", "dags/tap/clearTaskInstances", **body).ok
    (second,) = airflow.wait_for(lambda: asked(2))
    press(first, ada, "Approve", 0)
    logged("asks with other messages")
    state = states(airflow, "tap%2B1", "tap")["approve", -1]
    assert state in ("running", *waiting), f"nothing was answered, and it is {state}: {airflow.log_of('tap')}"

    wait_for_the_end_of_its_process(airflow, "dag_id='tap', task_id='approve', run_id='tap+1', try_number=2")
    events.deliver(60)
    with chromium_page() as page:
        page.goto(f"{sandbox.url}/?with={ada[1:]}")
        asked_again = page.locator(".msg", has_text="Delete July?").last
        with page.expect_response("**/_sandbox/replies"):
            asked_again.get_by_role("button", name="Approve", exact=True).click()
    events.deliver(1)
    logged("run tap+1: Airflow has the answer")
    airflow.wait_for(lambda: states(airflow, "tap%2B1", "tap").get(("go_on", -1)) == "success")
    press(second, ada, "Reject", 1)
    logged("the question already has an answer: 'Approve' from 15•••0001 by WhatsApp")
    path = "dags/tap/dagRuns/tap%2B1/taskInstances/approve"
    found = str(airflow.ask("GET", f"{path}/xcomEntries/return_value").json()["value"])
    assert "Approve" in found
    assert "15•••0001 by WhatsApp" in found
    shown = airflow.ask("GET", f"{path}/-1/hitlDetails").json()
    assert shown["params_input"]["answered_by"].startswith("15•••0001 by WhatsApp")
    assert "answered_by" in shown["params"], "Airflow's page shows what is declared"
