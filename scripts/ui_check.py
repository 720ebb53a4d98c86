"""
Checks the provider in Airflow's interface: a real browser fills in the connection form of ``airflow standalone`` and
opens a task.

Run it as ``make ui-check``. It saves a connection to the sandbox with the form, lets Airflow test it as it is and with
each field wrong in turn, runs a DAG with that connection, and follows the links on the task's page. It writes pictures
for the documentation to docs/images/. It needs Chromium, and takes two minutes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import demo
import requests
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.chromium import CHROMIUM  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

IMAGES = ROOT / "docs" / "images"
CONN_ID = "maton_whatsapp_default"
DAG = "scheduled_notification"
PATIENCE = {"airflow": 180, "run": 120}
"""Seconds after which a part counts as stuck."""

WRONG = {
    "the API key": {"password": "no-key"},
    "connection_id": {"extra": {"connection_id": "no-connection"}},
    "phone_number_id": {"extra": {"phone_number_id": "1"}},
    "waba_id": {"extra": {"waba_id": "1"}},
}
"""What the test's message has to name, for each wrong field."""


def main() -> int:
    """Run all checks and return the exit code."""
    if CHROMIUM is None:
        print("No Chromium: install it (Debian: apt-get install chromium), or set CHROMIUM to its path.")
        return 1
    demo.OUTPUT.mkdir(exist_ok=True)  # for the sandbox's log
    with (
        tempfile.TemporaryDirectory() as home,
        demo.sandbox() as (_, printed),
        airflow(Path(home)) as url,
        sync_playwright() as playwright,
    ):
        connection = json.loads(printed)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1000}, device_scale_factor=1)
        page.set_default_timeout(20_000)
        fill_in_the_form(page, url, connection)
        api = Api(url)
        check_what_was_saved(api, connection)
        check_the_connection_test(api, connection)
        run_id = run_the_dag(api)
        check_the_links(page, api, url, run_id, connection)
        browser.close()
    print("All is well.")
    return 0


def fill_in_the_form(page: Page, url: str, connection: dict[str, Any]) -> None:
    """Add the connection as a person would, and save a picture of the form."""
    page.goto(f"{url}/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.locator("[name=connection_id]").fill(CONN_ID)
    form.get_by_role("combobox").click()
    page.keyboard.type("WhatsApp")
    page.keyboard.press("Enter")
    for name in ("password", "host"):
        placeholder = form.locator(f"[name={name}]").get_attribute("placeholder") or ""
        expect(placeholder.startswith("empty: "), f"the field {name} says what an empty one means")
        form.locator(f"[name={name}]").fill(connection[name])
    expect(
        form.locator("[name=login], [name=port], [name=schema]").count() == 0,
        "fields without a use are hidden",
    )
    shown = form.bounding_box() or {}
    page.screenshot(path=IMAGES / "connection-form.png", clip=shown)
    form.get_by_text("Extra Fields", exact=True).click()
    for name in ("phone_number_id", "waba_id"):
        form.locator(f"[name=element_{name}]").fill(connection["extra"][name])
    expect(form.locator("[name=element_verify]").is_visible(), "all extra fields are there")
    page.set_viewport_size({"width": 1280, "height": 1900})
    page.wait_for_timeout(500)  # the section unfolds
    page.screenshot(path=IMAGES / "connection-form-extra.png", clip=form.bounding_box() or {})
    form.get_by_role("button", name="Save").click()
    page.get_by_role("row").filter(has_text=CONN_ID).wait_for()
    print("The form: filled in and saved.")


def check_what_was_saved(api: Api, connection: dict[str, Any]) -> None:
    """Check that fields left empty mean their defaults."""
    saved = api.get(f"connections/{CONN_ID}")
    extra = {name: value for name, value in json.loads(saved["extra"]).items() if value not in (None, "")}
    expect(saved["host"] == connection["host"], "the URL is saved")
    expect(
        extra == {name: connection["extra"][name] for name in ("phone_number_id", "waba_id")},
        f"saved: {extra}",
    )


def check_the_connection_test(api: Api, connection: dict[str, Any]) -> None:
    """Check that Airflow's test says what it found, or which field is wrong."""
    verdict = api.test(connection)
    expect(verdict["status"], f"the connection is right: {verdict['message']}")
    for field, change in WRONG.items():
        extra = connection["extra"] | change.get("extra", {})
        verdict = api.test(connection | change | {"extra": extra})
        expect(
            not verdict["status"] and field in verdict["message"], f"{field} is named: {verdict['message']}"
        )
        print(f"The test, {field} wrong: {verdict['message']}")


def run_the_dag(api: Api) -> str:
    """Run the example DAG with the connection that the form has saved."""
    run_id = "ui_check"
    wait("airflow", f"the DAG {DAG} is known", lambda: api.ask("GET", f"dags/{DAG}").status_code == 200)
    api.ask("PATCH", f"dags/{DAG}", is_paused=False).raise_for_status()
    api.ask("POST", f"dags/{DAG}/dagRuns", dag_run_id=run_id, logical_date=None).raise_for_status()

    def state() -> str:
        found: str = api.get(f"dags/{DAG}/dagRuns/{run_id}")["state"]
        return found

    wait("run", "the run has ended", lambda: state() in ("success", "failed"))
    expect(state() == "success", f"the run ended as {state()}")
    return run_id


def check_the_links(page: Page, api: Api, url: str, run_id: str, connection: dict[str, Any]) -> None:
    """Check that the task's page shows both links, and that they lead somewhere."""
    (task,) = api.get(f"dags/{DAG}/dagRuns/{run_id}/taskInstances")["task_instances"]
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{url}/dags/{DAG}/runs/{run_id}/tasks/{task['task_id']}/details")
    manager = page.get_by_role("link", name="WhatsApp Manager")
    expect(
        manager.get_attribute("href") == f"{connection['host']}/",
        "the first link leads to the sandbox's page",
    )
    results = page.get_by_role("link", name="Results")
    page.screenshot(path=IMAGES / "task-links.png")
    page.goto(results.get_attribute("href") or "")
    page.get_by_text("return_value").first.wait_for()
    print("The links: to the sandbox's page, and to the report.")


class Api:
    """
    Airflow's API, as the page uses it.

    :param url: Airflow's URL.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False
        token = self._session.get(f"{url}/auth/token", timeout=30).json()["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, **body: Any) -> requests.Response:
        """Make a request, and return the answer, which may be an error."""
        return self._session.request(method, f"{self._url}/api/v2/{path}", json=body or None, timeout=60)

    def get(self, path: str) -> Any:
        """Return something that has to exist."""
        answer = self.ask("GET", path)
        answer.raise_for_status()
        return answer.json()

    def test(self, connection: dict[str, Any]) -> Any:
        """Let Airflow test a connection, and return the answer."""
        fields = connection | {"connection_id": "ui_check", "extra": json.dumps(connection["extra"])}
        answer = self.ask("POST", "connections/test", **fields)
        answer.raise_for_status()
        return answer.json()


@contextlib.contextmanager
def airflow(home: Path) -> Iterator[str]:
    """Start ``airflow standalone`` in its own home, and yield its URL."""
    (home / "dags").mkdir()
    shutil.copy(ROOT / "example_dags" / f"{DAG}.py", home / "dags")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")} | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    print("Starting airflow standalone ...")
    command = [sys.executable, "-m", "airflow", "standalone"]
    with demo.started(command, home / "standalone.log", env):

        def answers() -> bool:
            with contextlib.suppress(requests.RequestException):
                return requests.get(f"{url}/api/v2/version", timeout=5).ok
            return False

        wait("airflow", "Airflow answers", answers)
        yield url


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait(part: str, what: str, done: Callable[[], bool]) -> None:
    """Wait until a condition is true."""
    deadline = time.monotonic() + PATIENCE[part]
    while not done():
        if time.monotonic() > deadline:
            raise SystemExit(f"Not within {PATIENCE[part]} s: {what}.")
        time.sleep(0.5)


def expect(so: bool, what: str) -> None:
    """End with an error unless a condition is true."""
    if not so:
        raise SystemExit(f"Wrong: {what}.")


if __name__ == "__main__":
    sys.exit(main())
