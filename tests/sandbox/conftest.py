"""The sandbox of the pytest plugin, and the requests that tests of the sandbox make of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_whatsapp.pytest_plugin import WhatsAppSandbox
from tests.forks import Fork, Forks, run_module

ROOT = Path(__file__).parents[2]
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 50
PDF = b"%PDF-1.7 " + b"0" * 50


class Sandbox(WhatsAppSandbox):
    """The plugin's sandbox, with Graph's requests as a client would make them."""

    def __init__(self, connection: dict[str, Any], patch: pytest.MonkeyPatch | None = None) -> None:
        super().__init__(connection, patch)
        self.number = self.extra["phone_number_id"]
        self.waba = self.extra["waba_id"]
        self.app = self.extra["app_id"]
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {self.connection['password']}"

    def call(self, method: str, path: str, version: str = "v25.0", **options: Any) -> requests.Response:
        """A request to the data plane."""
        url = f"{self.url}/whatsapp-business/{version}/{path}"
        return self.session.request(method, url, timeout=60, **options)

    def send(self, to: str = "+15550001111", version: str = "v25.0", **message: Any) -> requests.Response:
        """Send a message."""
        body = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": to, **message}
        return self.call("POST", f"{self.number}/messages", version, json=body)

    def send_text(self, body: str = "hello", to: str = "+15550001111") -> requests.Response:
        """Send a text."""
        return self.send(to, type="text", text={"body": body})

    def send_template(
        self, name: str, *components: Any, language: str = "en_US", **options: Any
    ) -> requests.Response:
        """Send a template message."""
        template: dict[str, Any] = {"name": name, "language": {"code": language}}
        if components:
            template["components"] = list(components)
        return self.send(type="template", template=template, **options)

    def upload(self, data: bytes = PNG, mime: str = "image/png", name: str = "a.png") -> requests.Response:
        """Upload a file."""
        form = {"messaging_product": "whatsapp", "type": mime}
        return self.call("POST", f"{self.number}/media", data=form, files={"file": (name, data, mime)})

    def handle(self, data: bytes = PDF, mime: str = "application/pdf") -> str:
        """A header handle from the resumable upload."""
        query = {"file_name": "a", "file_length": len(data), "file_type": mime}
        upload = self.call("POST", f"{self.app}/uploads", params=query).json()["id"]
        return self.call("POST", upload, data=data, headers={"file_offset": "0"}).json()["h"]

    def create(self, name: str, *components: Any, **fields: Any) -> requests.Response:
        """Create a template."""
        body = {
            "name": name,
            "language": "en_US",
            "category": "UTILITY",
            "components": list(components),
            **fields,
        }
        return self.call("POST", f"{self.waba}/message_templates", json=body)

    def approved(self, name: str, *components: Any, **fields: Any) -> str:
        """Create a template, let its review pass, and return its id."""
        answer = self.create(name, *components, **fields)
        assert answer.status_code == 200, answer.text
        self.templates.approve(name, fields.get("language", "en_US"))
        return answer.json()["id"]

    def page(self, path: str = "/", **query: str) -> str:
        """HTML of the page."""
        answer = requests.get(self.url + path, params=query, timeout=60)
        assert answer.status_code == 200
        return answer.text


def error(answer: requests.Response) -> dict[str, Any]:
    """The error in a Graph answer."""
    return answer.json()["error"]


def start_afresh(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start a sandbox as a shell does; its output is piped."""
    command = [sys.executable, "-m", "airflow_provider_whatsapp.sandbox", *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def read_connection(process: subprocess.Popen[str] | Fork) -> dict[str, Any]:
    """The connection from the line that is ready to paste."""
    for line in process.stdout:
        match = re.fullmatch(r"export AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT='(.*)'\n", line)
        if match:
            return json.loads(match[1])
    raise AssertionError(f"no connection was printed: {process.stderr.read()}")


@pytest.fixture(scope="session")
def _free() -> Any:
    with Sandbox.start("--approve-after", "60") as started:
        yield started


@pytest.fixture(scope="session")
def _limited() -> Any:
    with Sandbox.start("--rate-limit", "10", "--approve-after", "2") as started:
        yield started


@pytest.fixture
def sandbox(_free: Sandbox) -> Sandbox:
    """A fresh sandbox without rate limit, whose reviews take a minute of its clock."""
    _free.reset()
    return _free


@pytest.fixture
def limited(_limited: Sandbox) -> Sandbox:
    """A fresh sandbox with the limits it has without options, whose time stands still but for the test."""
    _limited.reset()
    _limited.clock.stop()
    return _limited


@pytest.fixture(scope="session")
def tools(command_forks: Forks) -> Any:
    """What tests need beside a sandbox."""

    class Tools:
        pass

    def start(*arguments: str, **options: Any) -> Fork:
        """Start a sandbox by its command in a process that has imported it already; its output is piped."""
        command = (run_module, "airflow_provider_whatsapp.sandbox", *arguments)
        return command_forks.start_piped(*command, cwd=ROOT, **options)

    made = Tools()
    made.start, made.start_afresh, made.read_connection = start, start_afresh, read_connection
    made.error, made.png, made.pdf = error, PNG, PDF
    made.Sandbox, made.root = Sandbox, ROOT
    return made
