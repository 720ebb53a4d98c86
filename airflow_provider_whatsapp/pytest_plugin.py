"""
Pytest plugin: the fixture ``whatsapp_sandbox``, for tests of DAGs.

Pytest loads this in every run of everyone who has the package installed: it imports nothing but pytest and what
Python has in memory anyway, and starts nothing before a test asks for the fixture.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

OPTIONS = "whatsapp_sandbox_options"
"""Name of the setting in pytest's configuration that adds options to the sandbox's command line."""

USUAL = ("--rate-limit", "0", "--approve-after", "3600")
"""Options that the sandbox starts with: no waiting, and templates are reviewed when the test says so."""

DEFAULT_CONN_ID = "maton_whatsapp_default"


class SandboxError(Exception):
    """The sandbox did not start, or refused a request to its controls."""


class Process:
    """
    A sandbox on a free port, as a process that ends with this one.

    :param options: Options of ``python -m airflow_provider_whatsapp.sandbox``.
    :raises SandboxError: It did not start.
    """

    def __init__(self, options: Sequence[str] = USUAL) -> None:
        import subprocess
        import sys

        module = "airflow_provider_whatsapp.sandbox"
        command = [sys.executable, "-m", module, "--port", "0", "--stop-with-stdin", *options]
        self._process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.connection = self._read_connection()
        self.url: str = self.connection["host"]
        self._address = self.url.partition("://")[2]

    def _read_connection(self) -> dict[str, Any]:
        for line in self._process.stdout or ():
            name, _, value = line.partition("=")
            if name.startswith("export AIRFLOW_CONN_"):
                found: dict[str, Any] = json.loads(value.strip()[1:-1])
                return found
        raise SandboxError(
            f"The WhatsApp sandbox ended with status {self._process.wait()}; its reason is above"
        )

    def ask(self, method: str, control: str, **fields: Any) -> Any:
        """
        Use one of the sandbox's controls.

        :param method: HTTP method.
        :param control: Path below ``/_sandbox/``.
        :param fields: JSON fields of the request; those that are None stay out.
        :raises SandboxError: The sandbox refuses it, or has ended.
        """
        from http.client import HTTPConnection, HTTPException

        body = json.dumps({name: value for name, value in fields.items() if value is not None})
        connection = HTTPConnection(self._address, timeout=30)
        try:
            connection.request(method, f"/_sandbox/{control}", None if method == "GET" else body)
            answer = connection.getresponse()
            said = json.loads(answer.read())
        except (OSError, HTTPException) as error:
            raise SandboxError(f"The WhatsApp sandbox does not answer: {error}") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise SandboxError(said["message"])
        return said

    def stop(self) -> int:
        """End the process, and return its exit status."""
        self._process.terminate()
        status = self._process.wait(10)
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()
        return status


class Templates:
    """
    Templates of the sandbox, with what reviewers do to them.

    :param process: The sandbox.
    """

    def __init__(self, process: Process) -> None:
        self._process = process

    def create(
        self,
        name: str,
        body: str | None = None,
        *,
        language: str = "en_US",
        category: str = "UTILITY",
        components: list[dict[str, Any]] | None = None,
        named: bool = False,
        status: str = "APPROVED",
    ) -> dict[str, Any]:
        """
        Put a template there, approved unless told otherwise, and return it; samples may be left out.

        :param name: Its name.
        :param body: Text of a template that has nothing but a body, with ``{{1}}`` or ``{{name}}`` in it.
        :param language: Its language.
        :param category: ``UTILITY``, ``MARKETING`` or ``AUTHENTICATION``.
        :param components: Graph's own JSON, instead of ``body``.
        :param named: Whether its variables have names.
        :param status: Its status.
        :raises SandboxError: WhatsApp would refuse such a template.
        """
        made: dict[str, Any] = self._process.ask(
            "PUT",
            "templates",
            name=name,
            language=language,
            category=category,
            components=components if body is None else [{"type": "BODY", "text": body}],
            parameter_format="NAMED" if named else "POSITIONAL",
            status=status,
        )
        return made

    def load(self, path: str | Path, *, status: str = "APPROVED") -> list[tuple[str, str]]:
        """
        Put the templates of files there, every language of them, approved unless told otherwise.

        Samples of pictures, videos and documents have to exist, and are not uploaded.

        :param path: A template file, or a folder of them, as ``templates plan`` takes it.
        :param status: Their status.
        :return: Name and language of each.
        :raises ValueError: A file is wrong; the error says file and line.
        :raises SandboxError: WhatsApp would refuse one of them.
        """
        from airflow_provider_whatsapp.message_templates.yamlfile import load

        definitions = load(path).definitions.values()
        for each in definitions:
            self._process.ask(
                "PUT",
                "templates",
                name=each.name,
                language=each.language,
                category=each.category,
                components=[_without_sample_file(part) for part in each.payload_components()],
                parameter_format=each.parameter_format,
                status=status,
            )
        return [each.key for each in definitions]

    def approve(self, name: str, language: str = "en_US") -> None:
        """
        Approve a template.

        :param name: Its name.
        :param language: Its language.
        :raises SandboxError: There is no such template.
        """
        self._process.ask("POST", "templates", name=name, language=language, status="APPROVED")

    def reject(self, name: str, language: str = "en_US", *, reason: str = "INVALID_FORMAT") -> None:
        """
        Reject a template.

        :param name: Its name.
        :param language: Its language.
        :param reason: One of Meta's reasons.
        :raises SandboxError: There is no such template or reason.
        """
        self._process.ask(
            "POST", "templates", name=name, language=language, status="REJECTED", rejected_reason=reason
        )

    def pause(self, name: str, language: str = "en_US") -> None:
        """
        Pause a template for its quality: three hours, then six, then for good.

        :param name: Its name.
        :param language: Its language.
        :raises SandboxError: There is no such template.
        """
        self._process.ask("POST", "templates", name=name, language=language, status="PAUSED")

    def review_next(
        self,
        name: str = "*",
        *,
        status: str = "APPROVED",
        reason: str | None = None,
        category: str | None = None,
        times: int = 1,
    ) -> None:
        """
        Decide the reviews of templates that are still to be created.

        :param name: Which names; ``*`` stands for any characters.
        :param status: ``APPROVED`` or ``REJECTED``.
        :param reason: Why they are rejected.
        :param category: What they are taken for, whatever was asked for.
        :param times: How many reviews; 0 for all.
        """
        fields = {
            "name": name,
            "status": status,
            "rejected_reason": reason,
            "category": category,
            "times": times,
        }
        self._process.ask("POST", "reviews", **fields)


def _without_sample_file(part: Any) -> Any:
    """A component without the path of a sample, in cards as well: the sandbox makes a sample of its own."""
    if isinstance(part.get("cards"), list):
        cards = [
            {**card, "components": [_without_sample_file(each) for each in card["components"]]}
            for card in part["cards"]
        ]
        return {**part, "cards": cards}
    if "header_handle" in (part.get("example") or ()):
        return {name: value for name, value in part.items() if name != "example"}
    return part


class Clock:
    """
    The sandbox's time, which tests move instead of waiting.

    :param process: The sandbox.
    """

    def __init__(self, process: Process) -> None:
        self._process = process

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return float(self._process.ask("GET", "clock")["now"])

    def advance(self, seconds: float) -> None:
        """
        Move the time ahead.

        :param seconds: How far.
        """
        self._process.ask("POST", "clock", advance=seconds)

    def stop(self) -> None:
        """Let the time stand still but for :meth:`advance`, so that a slow machine changes nothing."""
        self._process.ask("POST", "clock", stopped=True)

    def go(self) -> None:
        """Let the time run again from where it stands."""
        self._process.ask("POST", "clock", stopped=False)


class WhatsAppSandbox:
    """
    WhatsApp for one test: empty at its start, and the default connection of Airflow points to it.

    :param process: The sandbox.
    :param patch: Undoes the connections when the test ends.
    """

    def __init__(self, process: Process, patch: pytest.MonkeyPatch) -> None:
        self._process, self._patch = process, patch
        self.url = process.url
        self.connection = process.connection
        self.templates = Templates(process)
        self.clock = Clock(process)
        self.connect()

    def connect(self, conn_id: str = DEFAULT_CONN_ID, **extra: Any) -> None:
        """
        Let an Airflow connection point to the sandbox until the test ends; the default one does already.

        :param conn_id: The connection.
        :param extra: Extra fields that differ from those in ``connection``.
        """
        made = {**self.connection, "extra": {**self.connection["extra"], **extra}}
        self._patch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(made))

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Every message that WhatsApp accepted, in order: ``id``, ``to`` (digits), ``type``, ``payload`` and more."""
        found: list[dict[str, Any]] = self._process.ask("GET", "messages")
        return found

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Every request that arrived, refused ones included: ``method``, ``path``, ``query``, ``status``, ``fault``."""
        found: list[dict[str, Any]] = self._process.ask("GET", "requests")
        return found

    @property
    def faults(self) -> list[dict[str, Any]]:
        """Every rule of :meth:`fail_next` with its counts: ``matched`` and ``struck``."""
        found: list[dict[str, Any]] = self._process.ask("GET", "faults")
        return found

    def fail_next(self, kind: str = "drop_after", times: int = 1, **rule: Any) -> None:
        """
        Let the next requests fail.

        :param kind: ``drop_after`` (accepted, but the answer is lost), ``drop_before``, ``half``, ``status``, ``slow``
            or ``slow_headers``.
        :param times: How many; 0 for all.
        :param rule: Which ones and how: ``method``, ``path``, ``to``, ``skip``, ``every``, ``share``, ``status``,
            ``seconds``, ``body``, ``headers``.
        :raises SandboxError: The rule makes no sense.
        """
        self._process.ask("POST", "faults", kind=kind, times=times, **rule)

    def reply(self, to: str, text: str, *, pressed: str | None = None) -> None:
        """
        Let a recipient write back, which opens the 24-hour window for free text.

        :param to: The recipient's number.
        :param text: What is written, or the text of the button that is pressed.
        :param pressed: The button's id or payload.
        """
        self._process.ask("POST", "replies", **{"from": to, "text": text, "pressed": pressed})

    def recipient(self, to: str, **change: Any) -> None:
        """
        Change how a recipient behaves.

        :param to: The recipient's WhatsApp id (digits).
        :param change: ``on_whatsapp`` or ``marketing`` (bool), ``error`` (a code that messages fail with, 0 for none),
            ``reaches`` (``sent``, ``delivered`` or ``read``).
        """
        self._process.ask("POST", "recipients", wa_id=to, **change)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Make the setting known."""
    text = "options of the WhatsApp sandbox that the fixture whatsapp_sandbox starts"
    parser.addini(OPTIONS, text, type="args", default=[])


@pytest.fixture(scope="session")
def whatsapp_sandbox_process(pytestconfig: pytest.Config) -> Iterator[Process]:
    """Start one sandbox for the whole session."""
    process = Process([*USUAL, *pytestconfig.getini(OPTIONS)])
    yield process
    process.stop()


@pytest.fixture
def whatsapp_sandbox(whatsapp_sandbox_process: Process, monkeypatch: pytest.MonkeyPatch) -> WhatsAppSandbox:
    """Give an empty WhatsApp, which Airflow's connection ``maton_whatsapp_default`` points to."""
    whatsapp_sandbox_process.ask("POST", "reset")
    monkeypatch.delenv("MATON_API_KEY", raising=False)
    return WhatsAppSandbox(whatsapp_sandbox_process, monkeypatch)
