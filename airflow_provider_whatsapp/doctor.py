"""
``python -m airflow_provider_whatsapp doctor``: what of a connection works, one line per check.

It reads, and sends nothing but the message that ``--to`` asks for.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_provider_whatsapp.client.config import ClientConfig
    from airflow_provider_whatsapp.client.shapes import RecordingTransport
    from airflow_provider_whatsapp.examination import Finding

HELP = "check each part of a connection, from the key to receipts; sends nothing, unless --to names your own phone"
WAIT = 30.0
LONGEST = 600.0


def _seconds(raw: str) -> float:
    try:
        found = float(raw)
    except ValueError:
        found = -1.0
    if not 0 <= found <= LONGEST:
        raise argparse.ArgumentTypeError(f"must be 0 to {LONGEST:g} seconds, not {raw}")
    return found


OPTIONS: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (("--conn-id",), {"help": "connection to check (default maton_whatsapp_default)"}),
    (
        ("--to",),
        {"metavar": "NUMBER", "help": "your own phone: send hello_world there, and wait for its status"},
    ),
    (
        ("--wait",),
        {
            "type": _seconds,
            "default": WAIT,
            "metavar": "SECONDS",
            "help": f"how long to wait for that status (default {WAIT:g})",
        },
    ),
    (
        ("--json",),
        {"metavar": "FILE", "help": "write the outcomes, and the shapes of all answers without their values"},
    ),
    (("--host",), {"help": "base URL of the gateway; wins over the connection's"}),
    (("--phone-number-id",), {"help": "sender; wins over the connection's"}),
    (("--waba-id",), {"help": "WhatsApp Business Account; wins over the connection's"}),
]

STYLES = {"OK": "green", "FAIL": "bold red", "SKIPPED": "yellow"}
LIMIT = 60.0
"""Seconds for all checks together."""


def doctor_command(
    given: argparse.Namespace, find_config: Callable[[argparse.Namespace], ClientConfig] | None = None
) -> int:
    """Run ``doctor``, and return the exit status: 0 where no check failed, else 1."""
    from airflow_provider_whatsapp.command_connection import config_of

    file = Path(given.json) if given.json else None
    if file is not None and not (file.parent.is_dir() and not file.is_dir()):
        sys.stderr.write(f"--json {file}: its folder does not exist, or it is a folder itself.\n")
        return 1
    try:
        findings, transport = _examined(given, find_config or config_of)
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped.\n")
        return 1
    if file is not None:
        try:
            file.write_text(json.dumps(_shapes(findings, transport), indent=2) + "\n", "utf-8")
        except OSError as error:
            sys.stderr.write(f"--json {file}: {error.strerror}\n")
            return 1
    return int(any_failed(findings))


def any_failed(findings: Iterable[Finding]) -> bool:
    """Return whether a check failed; a skipped one did not."""
    return any(finding.outcome == "FAIL" for finding in findings)


def _examined(
    given: argparse.Namespace, find_config: Callable[[argparse.Namespace], ClientConfig]
) -> tuple[list[Finding], RecordingTransport | None]:
    """Make all checks and print each one's line."""
    from airflow_provider_whatsapp.client.errors import WhatsAppError
    from airflow_provider_whatsapp.examination import Finding

    show = Screen()
    try:
        config = find_config(given)
        if given.to:
            from airflow_provider_whatsapp.client.phone import recipient_key

            recipient_key(given.to, default_country=config.default_country)
    except WhatsAppError as error:
        show(finding := Finding("settings", "FAIL", str(error)))
        return [finding], None
    return examine(config, given.to, given.wait, show)


def examine(
    config: ClientConfig, to: str | None, wait: float, show: Screen
) -> tuple[list[Finding], RecordingTransport]:
    """Make all checks of a connection, and print each one's line as soon as it is known."""
    # to: number to send hello_world to; None: nothing is sent. wait: seconds to wait for that message's status.
    from airflow_provider_whatsapp.client.shapes import RecordingTransport
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
    from airflow_provider_whatsapp.examination import Examination

    # It reads what it may read again; once is enough, for its user is waiting.
    config = replace(config, max_retries=min(1, config.max_retries))
    transport = RecordingTransport(config, until=time.monotonic() + LIMIT + wait)
    findings = []
    with WhatsAppClient(config, transport=transport) as client, show.waiting() as started:
        for finding in Examination(client, to, wait, started).run():
            show(finding)
            findings.append(finding)
    return findings, transport


def _shapes(findings: list[Finding], transport: RecordingTransport | None) -> dict[str, Any]:
    return {
        "written_by": f"airflow-provider-whatsapp {__version__}",
        "api_version": transport.config.api_version if transport is not None else None,
        "checks": {finding.name: finding.outcome for finding in findings},
        "answers": transport.answers if transport is not None else [],
    }


class Screen:
    """Lines in colour, and a spinner while a check runs; plain where the output is no terminal."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(file=sys.stdout, highlight=False)

    def __call__(self, finding: Finding) -> None:
        """Print a check's line."""
        from rich.text import Text

        from airflow_provider_whatsapp.client.masking import printable

        said = " ".join(printable(finding.said).split())
        parts = (f"{finding.outcome:8}", STYLES[finding.outcome]), f"{finding.name:18}{said}"
        self._console.print(Text.assemble(*parts), soft_wrap=True)

    def waiting(self) -> Any:
        """Return a context whose value is called with what is checked; it spins where that can be seen."""
        import contextlib

        @contextlib.contextmanager
        def spinning() -> Iterator[Callable[[str], None]]:
            with self._console.status("") as status:
                yield lambda name: status.update(f"checking {name} ...")

        return spinning() if self._console.is_terminal else contextlib.nullcontext()
