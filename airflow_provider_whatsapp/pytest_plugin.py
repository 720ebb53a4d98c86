"""
Pytest plugin: ``whatsapp_sandbox``, ``start_whatsapp_sandbox`` and ``whatsapp_events``, for tests of DAGs.

Pytest loads this in every run of everyone who has the package installed: it imports nothing but pytest and what
Python has in memory anyway, and starts nothing before a test asks for the fixture.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_whatsapp.pytest_controls import Clock, Templates

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from http.client import HTTPConnection
    from pathlib import Path
    from typing import Self

    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
    from airflow_provider_whatsapp.pytest_events import WhatsAppEvents

OPTIONS = "whatsapp_sandbox_options"
"""Name of the setting in pytest's configuration that adds options to the sandbox's command line."""

USUAL = ("--rate-limit", "0", "--approve-after", "3600")
"""Options that the sandbox starts with: no waiting, and templates are reviewed when the test says so."""

DEFAULT_CONN_ID = "maton_whatsapp_default"
EVENTS_CONN_ID = "whatsapp_events"


class SandboxError(Exception):
    """The sandbox did not start, or refused a request to its controls."""


class WhatsAppSandbox:
    """
    A WhatsApp for tests: a sandbox that already runs, or, by :meth:`start`, one in a process of its own.

    :param connection: The sandbox's Airflow connection as a dict; the sandbox prints it when it starts.
    :param patch: Sets the environment's connections, and undoes them; None: :meth:`stop` undoes them.
    """

    def __init__(self, connection: dict[str, Any], patch: pytest.MonkeyPatch | None = None) -> None:
        self.connection = connection
        self.url: str = connection["host"]
        self.extra: dict[str, Any] = connection["extra"]
        self.templates = Templates(self)
        self.clock = Clock(self)
        self._own_patch = pytest.MonkeyPatch()
        self._patch = patch or self._own_patch
        self._process: subprocess.Popen[str] | None = None

    @classmethod
    def start(cls, *options: str, patch: pytest.MonkeyPatch | None = None) -> Self:
        """
        Start a sandbox on a free port, as a process that ends with this one; a ``with`` statement stops it.

        :param options: Options of ``python -m airflow_provider_whatsapp.sandbox``. Without options there is no rate
            limit, and the sandbox reviews templates only when the test says so.
        :param patch: As above.
        :raises SandboxError: It did not start.
        """
        import subprocess
        import sys

        module = "airflow_provider_whatsapp.sandbox"
        command = [sys.executable, "-m", module, "--port", "0", "--stop-with-stdin", *USUAL, *options]
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for line in process.stdout or ():
            name, _, value = line.partition("=")
            if name.startswith("export AIRFLOW_CONN_"):
                made = cls(json.loads(value.strip()[1:-1]), patch)
                made._process = process
                return made
        status = process.wait()
        _close(process)
        raise SandboxError(f"The WhatsApp sandbox ended with status {status}; its output above says why")

    def stop(self) -> int:
        """Undo the connections; end the process if this object started it, and return its exit status."""
        self._own_patch.undo()
        if self._process is None:
            return 0
        self._process.terminate()
        status = self._process.wait(10)
        _close(self._process)
        return status

    def __enter__(self) -> Self:
        """Give the sandbox itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def reset(self) -> None:
        """Forget messages, templates, faults and everything else that has happened, and return to the real time."""
        self.control("POST", "reset")

    def control(self, method: str, name: str, /, **fields: Any) -> Any:
        """
        Use one of the sandbox's controls; the reference of the sandbox lists them.

        :param method: HTTP method.
        :param name: Path below ``/_sandbox/``.
        :param fields: Fields of the request, in its query for GET and DELETE; None leaves one out.
        :return: The answer's JSON.
        :raises SandboxError: The sandbox refuses the request, or has ended.
        """
        from http.client import HTTPException
        from urllib.parse import urlencode

        given = {field: value for field, value in fields.items() if value is not None}
        plain = method in {"GET", "DELETE"}
        query = f"?{urlencode(given)}" if plain and given else ""
        connection = self._open()
        try:
            connection.request(method, f"/_sandbox/{name}{query}", None if plain else json.dumps(given))
            answer = connection.getresponse()
            said = json.loads(answer.read())
        except (OSError, HTTPException) as error:
            raise SandboxError(f"The WhatsApp sandbox does not answer: {error}") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise SandboxError(said["message"])
        return said

    def _open(self) -> HTTPConnection:
        from http.client import HTTPConnection, HTTPSConnection

        scheme, _, address = self.url.partition("://")
        if scheme == "http":
            return HTTPConnection(address, timeout=30)
        import ssl

        trusted = self.extra.get("verify")
        return HTTPSConnection(address, timeout=30, context=ssl.create_default_context(cafile=trusted))

    def connect(self, conn_id: str = DEFAULT_CONN_ID, **extra: Any) -> None:
        """
        Let an Airflow connection point to the sandbox until the test ends.

        The fixture ``whatsapp_sandbox`` has already done so for the default connection.

        :param conn_id: The connection.
        :param extra: Extra fields that differ from those in ``connection``.
        """
        made = {**self.connection, "extra": {**self.extra, **extra}}
        self._patch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(made))

    def client(self, **settings: Any) -> WhatsAppClient:
        """
        Make a client of the sandbox, for code that uses WhatsApp without Airflow.

        :param settings: Fields of :class:`~airflow_provider_whatsapp.client.config.ClientConfig` that differ from the
            connection's.
        :return: The client; a ``with`` statement closes it.
        """
        from airflow_provider_whatsapp.client.config import ClientConfig
        from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

        given = {"api_key": self.connection["password"], "host": self.url, **self.extra, **settings}
        return WhatsAppClient(ClientConfig(**given))

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Every message that WhatsApp accepted, in order: ``id``, ``to`` (digits), ``type``, ``payload`` and more."""
        found: list[dict[str, Any]] = self.control("GET", "messages")
        return found

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Every request that arrived, refused ones included: ``method``, ``path``, ``query``, ``status``, ``fault``."""
        found: list[dict[str, Any]] = self.control("GET", "requests")
        return found

    def requests_to(self, path: str) -> list[dict[str, Any]]:
        """
        Return the requests whose path contains a text.

        :param path: The text, for example ``"/messages"``.
        """
        return [request for request in self.requests if path in request["path"]]

    @property
    def faults(self) -> list[dict[str, Any]]:
        """Every rule of :meth:`fail_next` with its counts: ``matched`` and ``struck``."""
        found: list[dict[str, Any]] = self.control("GET", "faults")
        return found

    def fail_next(self, kind: str = "drop_after", times: int = 1, **rule: Any) -> None:
        """
        Let the next requests fail.

        :param kind: ``drop_after`` (accepted, but the answer is lost), ``drop_before``, ``half``, ``status``, ``slow``
            or ``slow_headers``.
        :param times: How many; 0 for all.
        :param rule: Which requests, and how they fail: ``method``, ``path``, ``to``, ``skip``, ``every``, ``share``,
            ``status``, ``seconds``, ``body``, ``headers``.
        :raises SandboxError: The rule has an unknown field or a wrong value.
        """
        self.control("POST", "faults", kind=kind, times=times, **rule)

    def clear_faults(self) -> None:
        """Let requests through again."""
        self.control("DELETE", "faults")

    def reply(self, to: str, text: str, *, pressed: str | None = None) -> dict[str, Any]:
        """
        Let a recipient write back, which opens the customer service window: 24 hours for free text.

        :param to: The recipient's number.
        :param text: The text of the reply, or of the button.
        :param pressed: The button's id or payload.
        :return: The reply as it was received: ``id``, ``from`` (digits), ``text`` and ``at``.
        """
        made: dict[str, Any] = self.control(
            "POST", "replies", **{"from": to, "text": text, "pressed": pressed}
        )
        return made

    def recipient(self, to: str, **change: Any) -> None:
        """
        Change how a recipient behaves.

        :param to: The recipient's WhatsApp id (digits).
        :param change: ``on_whatsapp`` or ``marketing`` (bool), ``error`` (a code that messages fail with, 0 for none),
            ``reaches`` (``sent``, ``delivered`` or ``read``).
        """
        self.control("POST", "recipients", wa_id=to, **change)


def _close(process: subprocess.Popen[str]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream:
            stream.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Make the setting known."""
    text = "options of the WhatsApp sandbox that the fixture whatsapp_sandbox starts"
    parser.addini(OPTIONS, text, type="args", default=[])


@pytest.fixture(scope="session")
def whatsapp_sandbox_process(pytestconfig: pytest.Config) -> Iterator[WhatsAppSandbox]:
    """Start one sandbox for the whole session."""
    with WhatsAppSandbox.start(*pytestconfig.getini(OPTIONS)) as started:
        yield started


@pytest.fixture
def whatsapp_sandbox(
    whatsapp_sandbox_process: WhatsAppSandbox, monkeypatch: pytest.MonkeyPatch
) -> WhatsAppSandbox:
    """Give an empty WhatsApp, which Airflow's connection ``maton_whatsapp_default`` points to."""
    whatsapp_sandbox_process.reset()
    monkeypatch.delenv("MATON_API_KEY", raising=False)
    made = WhatsAppSandbox(whatsapp_sandbox_process.connection, monkeypatch)
    made.connect()
    return made


@pytest.fixture
def start_whatsapp_sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., WhatsAppSandbox]]:
    """
    Start sandboxes with options of your own; they end with the test.

    A connection points to one only after :meth:`WhatsAppSandbox.connect`.
    """
    started: list[WhatsAppSandbox] = []

    def start(*options: str) -> WhatsAppSandbox:
        started.append(WhatsAppSandbox.start(*options, patch=monkeypatch))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def whatsapp_events(
    whatsapp_sandbox: WhatsAppSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[WhatsAppEvents]:
    """Give what the receiver stores of the sandbox's webhooks; ``[whatsapp] events_conn_id`` names the store."""
    from airflow_provider_whatsapp.pytest_events import receiving

    file = tmp_path / "whatsapp_events.db"
    connection = {"conn_type": "sqlite", "host": str(file)}
    monkeypatch.setenv(f"AIRFLOW_CONN_{EVENTS_CONN_ID.upper()}", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW__WHATSAPP__EVENTS_CONN_ID", EVENTS_CONN_ID)
    with receiving(whatsapp_sandbox, file) as events:
        yield events
