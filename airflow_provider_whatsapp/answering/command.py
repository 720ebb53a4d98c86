"""``python -m airflow_provider_whatsapp answer``."""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_provider_whatsapp.client.config import ClientConfig

logger = logging.getLogger(__name__)

HELP = (
    "pass presses on reply buttons to Airflow's approvals, and send an alert's other recipients the name of the "
    "person who has it in hand; runs until you stop it"
)
DEFAULT_CONN_ID = "maton_whatsapp_default"
DATABASE = "WHATSAPP_EVENTS_URL"
API_URL, API_TOKEN = "AIRFLOW_API_URL", "AIRFLOW_API_TOKEN"
API_USERNAME, API_PASSWORD = "AIRFLOW_API_USERNAME", "AIRFLOW_API_PASSWORD"
INTERVAL = 2.0
"""Seconds between two polls of the store."""
LONGEST_PAUSE = 60.0
"""The most seconds between two polls, while the store or Airflow cannot be reached."""


def _seconds(raw: str) -> float:
    try:
        found = float(raw)
    except ValueError:
        found = 0.0
    if not 0.1 <= found <= LONGEST_PAUSE:
        raise argparse.ArgumentTypeError(f"must be 0.1 to {LONGEST_PAUSE:g} seconds, not {raw}")
    return found


OPTIONS: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (
        ("--database",),
        {
            "metavar": "URL",
            "help": f"the receiver's database (or {DATABASE}, which other users of the machine cannot read)",
        },
    ),
    (
        ("--airflow-url",),
        {
            "metavar": "URL",
            "help": f"Airflow's address, including its base path (or {API_URL}). Credentials come only from the "
            f"environment: {API_TOKEN}, or {API_USERNAME} and {API_PASSWORD}, with which the command "
            "fetches tokens",
        },
    ),
    (
        ("--allow-http",),
        {"action": "store_true", "help": "send the token over plain http, for example inside a cluster"},
    ),
    (
        ("--interval",),
        {
            "type": _seconds,
            "default": INTERVAL,
            "metavar": "SECONDS",
            "help": f"time between two polls of the database (default {INTERVAL:g})",
        },
    ),
    (
        ("--alerts-only",),
        {
            "action": "store_true",
            "help": "read only presses below alerts, which needs neither Airflow's address nor a token",
        },
    ),
    (
        ("--conn-id",),
        {
            "metavar": "ID",
            "help": "connection that notifies an alert's other recipients, from AIRFLOW_CONN_<ID> (default "
            f"{DEFAULT_CONN_ID}, or only MATON_API_KEY)",
        },
    ),
    (("--once",), {"action": "store_true", "help": "process the stored presses once, and end"}),
]


def answer_command(given: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> int:
    """Run ``answer``; return the exit status: 0 after a stop, 1 after an error that waiting does not cure."""
    from airflow_provider_whatsapp.client.errors import WhatsAppError
    from airflow_provider_whatsapp.client.masking import printable

    try:
        return _answer(given, environment)
    except WhatsAppError as error:
        sys.stderr.write(f"{printable(str(error))}\n")
        return 1


def _answer(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    from airflow_provider_whatsapp.answering.airflow_api import AirflowApi
    from airflow_provider_whatsapp.answering.alert_presses import AlertPresses
    from airflow_provider_whatsapp.answering.answering import Answering
    from airflow_provider_whatsapp.client.errors import ConfigurationError
    from airflow_provider_whatsapp.events.log import log_to_stderr
    from airflow_provider_whatsapp.events.store import EventStore

    url = None if given.alerts_only else _airflow_url(given, environment)
    database = given.database or environment.get(DATABASE)
    if not database:
        raise ConfigurationError(
            "no database with the events is set", advice=f"Set {DATABASE} to the receiver's database."
        )
    api = AirflowApi(url, _credentials(environment)) if url else None
    config = _config(given, environment)
    store = EventStore.open(database, pool_size=1)
    alerts = AlertPresses(store, config)
    log_to_stderr()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    readers = [_Reader([store.check], alerts.look, given.interval)]
    if api is not None and url is not None:
        name = hashlib.sha256(url.encode()).hexdigest()[:16]
        answering = Answering(store, api, name=name)
        readers.insert(0, _Reader([store.check, api.check], answering.look, given.interval))
    try:
        return _run(readers, given, stopped)
    finally:
        alerts.close()
        store.close()
        if api is not None:
            api.close()


class _Reader:
    """A reader of presses, which pauses longer while something that it needs cannot be reached."""

    def __init__(
        self, checks: Sequence[Callable[[], object]], look: Callable[[], int], interval: float
    ) -> None:
        self._checks = checks  # what has to work before the first poll
        self._look = look
        self._interval = self._pause = interval  # seconds
        self._due = 0.0
        self.ready = False

    def turn(self, *, once: bool) -> None:
        """Poll if it is time; pause after an error that waiting cures, unless there is no later poll (``once``)."""
        from airflow_provider_whatsapp.client.errors import WhatsAppError

        if time.monotonic() < self._due:
            return
        try:
            if not self.ready:
                for check in self._checks:
                    check()
                self.ready = True
            self._look()
            self._pause = self._interval
        except WhatsAppError as error:
            if error.permanent or once:
                raise
            self._pause = min(LONGEST_PAUSE, 2 * self._pause)
            self._due = time.monotonic() + self._pause
            logger.warning("%s Trying again in %.3g s; no press is lost.", error, self._pause)


def _run(readers: Sequence[_Reader], given: argparse.Namespace, stopped: threading.Event) -> int:
    """Let each reader poll repeatedly."""
    said = False
    while not stopped.is_set():
        for reader in readers:
            reader.turn(once=given.once)
        if not said and all(reader.ready for reader in readers):
            said = True
            _say("Answering by WhatsApp is ready")
        if given.once:
            break
        stopped.wait(given.interval)
    return 0


def _config(given: argparse.Namespace, environment: Mapping[str, str]) -> ClientConfig | None:
    """Return the connection that notifies an alert's other recipients; None: there is none."""
    from airflow_provider_whatsapp.client.connection import config_or_key
    from airflow_provider_whatsapp.client.errors import ConfigurationError

    found = config_or_key(given.conn_id, environment, default=DEFAULT_CONN_ID)
    if found is None and given.conn_id:
        raise ConfigurationError(
            f"the environment has no AIRFLOW_CONN_{given.conn_id.upper()}",
            advice="Set it to the connection as JSON, or leave out --conn-id.",
        )
    return found


def _airflow_url(given: argparse.Namespace, environment: Mapping[str, str]) -> str:
    from airflow_provider_whatsapp.client.errors import ConfigurationError
    from airflow_provider_whatsapp.client.hosts import is_loopback, parse_base_url

    raw = given.airflow_url or environment.get(API_URL, "")
    if not raw.strip():
        raise ConfigurationError(
            "Airflow's address is missing",
            advice=f"Set {API_URL} to it, for example https://airflow.example.com. The command also needs {DATABASE} "
            f"(the receiver's database), and {API_TOKEN} or {API_USERNAME} and {API_PASSWORD}.",
        )
    found = parse_base_url(raw, field=API_URL)
    if found.startswith("http:") and not is_loopback(found) and not given.allow_http:
        raise ConfigurationError(
            f"plain http to {found} would send the token unencrypted",
            advice="Use https. In a private network, --allow-http allows plain http.",
        )
    return found


def _credentials(environment: Mapping[str, str]) -> Any:
    from airflow_provider_whatsapp.answering.airflow_api import Credentials
    from airflow_provider_whatsapp.client.errors import ConfigurationError

    names = (API_TOKEN, API_USERNAME, API_PASSWORD)
    token, username, password = (environment.get(name, "").strip() or None for name in names)
    if token is None and (username is None or password is None):
        raise ConfigurationError(
            "no Airflow user is set to answer as",
            advice=f"Set {API_TOKEN}, or {API_USERNAME} and {API_PASSWORD}; best those of a user that may only "
            "answer requests.",
        )
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        raise ConfigurationError(
            f"{API_TOKEN} is not a token", advice="A token has only letters, digits, dots and dashes."
        )
    return Credentials(token=token, username=username, password=password if username else None)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
