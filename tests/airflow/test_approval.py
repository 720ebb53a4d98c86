"""Questions of a real Airflow, answered in a browser and by presses on a phone, to the end of the run."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from importlib.resources import as_file, files
from pathlib import Path

import pytest
import requests

from tests.airflow.components import COMPONENTS, Components
from tests.airflow.running import end
from tests.ports import free_port
from tests.sandbox.test_browser import CHROMIUM, OPTIONS

pytestmark = [
    pytest.mark.once,
    pytest.mark.browser,
    pytest.mark.timeout(420),
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium (Debian: apt-get install chromium)"),
]
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


class Site:
    """A running Airflow, below a base path, with users that log in."""

    def __init__(self, url, home, airflow):
        self.url, self.home, self.airflow = url, home, airflow

    def until(self, found, what, seconds=240):
        """Return what is found, as soon as it is something."""
        last = time.monotonic() + seconds
        while not (it := found()):
            if time.monotonic() > last:
                logs = [
                    line for log in self.home.glob("*.log") for line in log.read_text().splitlines()[-100:]
                ]
                said = [line for line in logs if "http.access" not in line]
                raise AssertionError("\n".join([f"not within {seconds} s: {what}", *said]))
            self.airflow.look_after()
            time.sleep(0.5)
        return it

    def answers(self):
        try:
            return requests.get(f"{self.url}/api/v2/version", timeout=5).ok
        except requests.RequestException:
            return False

    @property
    def password(self):
        (file,) = self.home.glob("simple_auth_manager_passwords*")
        return json.loads(file.read_text())["ada"]

    def ask(self, method, path, **fields):
        answer = requests.post(
            f"{self.url}/auth/token", json={"username": "ada", "password": self.password}, timeout=20
        )
        token = answer.json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        return requests.request(
            method, f"{self.url}/api/v2/{path}", headers=headers, json=fields or None, timeout=20
        )

    def until_its_process_ended(self, key):
        """
        Wait until the scheduler knows that a task's process has ended, which asked and now waits.

        A task that is answered before that is queued again when the scheduler hears of the end, and then it takes the
        task for one that was killed, and fails it. People are slower.

        :param key: How Airflow names the try.
        """
        words = f"Received executor event with state success for task instance TaskInstanceKey({key}"
        self.until(lambda: words in (self.home / "scheduler.log").read_text(), f"the end of {key}")

    def has(self, dag_id):
        return self.ask("GET", f"dags/{dag_id}").ok

    def states(self, run_id, dag_id="ask"):
        found = self.ask("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances").json()["task_instances"]
        return {(each["task_id"], each["map_index"]): each["state"] for each in found}


@pytest.fixture
def site(tmp_path, sandbox, whatsapp_events):
    home = tmp_path / "airflow"
    (home / "dags").mkdir(parents=True)
    (home / "dags" / "ask.py").write_text(DAG.replace("{ledger}", str(tmp_path / "ledger")))
    port = free_port()
    url = f"http://127.0.0.1:{port}/airflow"
    with as_file(files("airflow_provider_whatsapp.approvals")) as folder:
        sandbox.templates.load(folder, base_url=url)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW__")}
    env = kept | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": "s" * 64,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "ada:admin",
        # On a busy machine a part may hold the lock for longer than the default, 5 s, and then another one ends.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db?timeout=60",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "AIRFLOW__WHATSAPP__EVENTS_CONN_ID": os.environ["AIRFLOW__WHATSAPP__EVENTS_CONN_ID"],
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    with Components(env, home) as airflow:
        airflow.run("db", "migrate")
        airflow.start("api-server")
        found = Site(url, home, airflow)
        found.until(found.answers, "Airflow answers")
        for name, options in COMPONENTS.items():
            airflow.start(name, *options)
        found.until(lambda: found.has("ask") and found.has("tap"), "the DAGs are there")
        yield found


def buttons(sandbox, subject):
    """Return what the buttons of the question with a subject end with."""
    for message in sandbox.messages:
        parts = message["payload"]["template"]["components"]
        if subject in json.dumps(parts):
            return [part["parameters"][0]["text"] for part in parts if part["type"] == "button"]
    return None


def test_a_person_answers_by_links_in_a_browser_and_by_presses_on_a_phone(site, sandbox, whatsapp_events):
    answer_two_by_their_links(site, sandbox)
    with answering(site, whatsapp_events) as log:
        answer_by_a_press(site, sandbox, whatsapp_events, log)


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


def answer_two_by_their_links(site, sandbox):
    from playwright.sync_api import expect

    body = {"dag_run_id": "manual+1", "logical_date": None}
    assert site.ask("POST", "dags/ask/dagRuns", **body).ok
    approve, _ = site.until(lambda: buttons(sandbox, "Delete May?"), "the first question")
    _, reject = site.until(lambda: buttons(sandbox, "Delete June?"), "the second question")
    run = "manual%2B1"
    for index in (0, 1):
        key = "dag_id='ask', task_id='approve', run_id='manual+1', try_number=1"
        site.until_its_process_ended(f"{key}, map_index={index}")
    with chromium_page() as page:
        expect.set_options(timeout=60_000)
        page.goto(f"{site.url}/{approve}")  # nobody is logged in: Airflow asks, and leads back
        page.locator("[name=username]").fill("ada")
        page.locator("[name=password]").fill(site.password)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("Delete May?").first).to_be_visible()
        assert site.states(run)["approve", 0] in ("deferred", "awaiting_input"), "opening it answers nothing"
        page.get_by_role("button", name="Approve").click()
        site.until(lambda: site.states(run)["approve", 0] == "success", "the approval")
        page.goto(f"{site.url}/{reject}")
        expect(page.get_by_text("Delete June?").first).to_be_visible()
        page.get_by_role("button", name="Reject").click()
        site.until(lambda: site.states(run)["approve", 1] == "success", "the rejection")

    site.until(lambda: site.states(run).get(("go_on", -1)) in ("success", "skipped"), "the run's end")
    found = site.ask(
        "GET", f"dags/ask/dagRuns/{run}/taskInstances/approve/xcomEntries/return_value?map_index=1"
    ).json()
    assert "Reject" in str(found["value"]), found
    assert "ada" in str(found["value"]), found
    assert len(sandbox.messages) == 2


@contextlib.contextmanager
def answering(site, events):
    """Run `answer` beside Airflow; give its log."""
    env = os.environ | {
        "WHATSAPP_EVENTS_URL": events.database,
        "AIRFLOW_API_URL": site.url,
        "AIRFLOW_API_USERNAME": "ada",
        "AIRFLOW_API_PASSWORD": site.password,
    }
    log = site.home / "answer.log"
    command = [sys.executable, "-m", "airflow_provider_whatsapp", "answer", "--interval", "0.5"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=env)
    try:
        yield log
    finally:
        end(process)


def answer_by_a_press(site, sandbox, events, log):
    """Ask, be pressed by the wrong ones, be cleared, ask again, be pressed by the right one."""

    def asked(number):
        found = [message for message in sandbox.messages if "Delete July?" in json.dumps(message["payload"])]
        return found[number - 1 :]

    def press(message, who, text, place):
        parts = message["payload"]["template"]["components"]
        payload = [part["parameters"][0]["payload"] for part in parts if part["type"] == "button"][place]
        events.deliver(60)
        given = {"from": who, "text": text, "pressed": payload, "context": message["id"]}
        sandbox.control("POST", "replies", **given)
        events.deliver(1)

    def logged(words, times=1):
        site.until(lambda: log.read_text().count(words) >= times, words, seconds=60)

    ada, eve = "+15550000001", "+15550000009"
    assert site.ask("POST", "dags/tap/dagRuns", dag_run_id="tap+1", logical_date=None).ok
    (first,) = site.until(lambda: asked(1), "the question")
    press(first, eve, "Approve", 0)
    logged(
        "15•••0009 pressed 'Approve' for tap.approve, run tap+1: ignored, because the message went to another person"
    )

    body = {"dry_run": False, "dag_run_id": "tap+1", "task_ids": ["approve"], "only_failed": False}
    waiting = ("deferred", "awaiting_input")
    site.until(lambda: site.states("tap%2B1", "tap")["approve", -1] in waiting, "the task waits")
    site.until_its_process_ended("dag_id='tap', task_id='approve', run_id='tap+1', try_number=1")
    assert site.ask("POST", "dags/tap/clearTaskInstances", **body).ok
    (second,) = site.until(lambda: asked(2), "the question of the cleared task")
    press(first, ada, "Approve", 0)
    logged("asks with other messages")
    assert site.states("tap%2B1", "tap")["approve", -1] in ("running", *waiting), "nothing was answered"

    site.until_its_process_ended("dag_id='tap', task_id='approve', run_id='tap+1', try_number=2")
    events.deliver(60)
    with chromium_page() as page:
        page.goto(sandbox.url)
        asked_again = page.locator(".msg", has_text="Delete July?").last
        with page.expect_response("**/_sandbox/replies"):
            asked_again.get_by_role("button", name="Approve", exact=True).click()
    events.deliver(1)
    logged("run tap+1: Airflow has the answer")
    site.until(lambda: site.states("tap%2B1", "tap").get(("go_on", -1)) == "success", "the run goes on")
    press(second, ada, "Reject", 1)
    logged("the question already has an answer: 'Approve' from 15•••0001 by WhatsApp")
    path = "dags/tap/dagRuns/tap%2B1/taskInstances/approve"
    found = str(site.ask("GET", f"{path}/xcomEntries/return_value").json()["value"])
    assert "Approve" in found
    assert "15•••0001 by WhatsApp" in found
    shown = site.ask("GET", f"{path}/-1/hitlDetails").json()
    assert shown["params_input"]["answered_by"].startswith("15•••0001 by WhatsApp")
    assert "answered_by" in shown["params"], "Airflow's page shows what is declared"
