"""``python -m airflow_provider_whatsapp answer``."""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_whatsapp.answering.airflow_api import AirflowApi
    from airflow_provider_whatsapp.events.store import EventStore

logger = logging.getLogger(__name__)

HELP = "answer Airflow's approvals with the reply buttons that people press; runs until it is stopped"
DATABASE = "WHATSAPP_EVENTS_URL"
API_URL, API_TOKEN = "AIRFLOW_API_URL", "AIRFLOW_API_TOKEN"
API_USERNAME, API_PASSWORD = "AIRFLOW_API_USERNAME", "AIRFLOW_API_PASSWORD"
INTERVAL = 2.0
"""Seconds between two looks at the store."""
LONGEST_PAUSE = 60.0
"""Seconds between two looks at most, while the store or Airflow is away."""


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
            "help": f"Airflow's address, with the path that it is served at (or {API_URL}). The user is given by the "
            f"environment alone: {API_TOKEN}, or {API_USERNAME} and {API_PASSWORD}, with which tokens are fetched",
        },
    ),
    (
        ("--allow-http",),
        {"action": "store_true", "help": "send the token over plain http, inside of a cluster say"},
    ),
    (
        ("--interval",),
        {
            "type": _seconds,
            "default": INTERVAL,
            "metavar": "SECONDS",
            "help": f"time between two looks at the database (default {INTERVAL:g})",
        },
    ),
    (("--once",), {"action": "store_true", "help": "take what is there, and end"}),
]


def answer_command(given: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> int:
    """
    Run ``answer``.

    :param given: The parsed command line.
    :param environment: What is not on it.
    :return: The exit status: 0 when it was stopped, 1 for an error that waiting does not cure.
    """
    from airflow_provider_whatsapp.client.errors import WhatsAppError
    from airflow_provider_whatsapp.client.masking import printable

    try:
        return _answer(given, environment)
    except WhatsAppError as error:
        sys.stderr.write(f"{printable(str(error))}\n")
        return 1


def _answer(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    from airflow_provider_whatsapp.answering.airflow_api import AirflowApi
    from airflow_provider_whatsapp.answering.answering import Answering
    from airflow_provider_whatsapp.client.errors import ConfigurationError
    from airflow_provider_whatsapp.events.log import log_to_stderr
    from airflow_provider_whatsapp.events.store import EventStore

    url = _airflow_url(given, environment)
    database = given.database or environment.get(DATABASE)
    if not database:
        raise ConfigurationError(
            "there is no database with the events", advice=f"Set {DATABASE} to the receiver's."
        )
    api, store = AirflowApi(url, _credentials(environment)), EventStore.open(database, pool_size=1)
    log_to_stderr()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        name = hashlib.sha256(url.encode()).hexdigest()[:16]
        return _run(store, api, Answering(store, api, name=name).look, given, stopped)
    finally:
        store.close()
        api.close()


def _run(
    store: EventStore,
    api: AirflowApi,
    look: Callable[[], int],
    given: argparse.Namespace,
    stopped: threading.Event,
) -> int:
    """Look again and again; what waiting cures is waited for, and everything else is raised."""
    from airflow_provider_whatsapp.client.errors import WhatsAppError

    ready, pause = False, given.interval
    while not stopped.is_set():
        try:
            if not ready:
                store.check()
                api.check()
                ready = True
                _say("Answering by WhatsApp is ready")
            look()
            pause = given.interval
        except WhatsAppError as error:
            if error.permanent or given.once:
                raise
            pause = min(LONGEST_PAUSE, 2 * pause)
            logger.warning("%s Trying again in %.3g s; no press is lost.", error, pause)
        if given.once:
            break
        stopped.wait(pause)
    return 0


def _airflow_url(given: argparse.Namespace, environment: Mapping[str, str]) -> str:
    from airflow_provider_whatsapp.client.errors import ConfigurationError
    from airflow_provider_whatsapp.client.hosts import is_loopback
    from airflow_provider_whatsapp.message_templates.base_url import read_base_url

    raw = given.airflow_url or environment.get(API_URL, "")
    if not raw.strip():
        raise ConfigurationError(
            "Airflow's address is missing", advice=f"Set {API_URL} to it: https://airflow.example.com, say."
        )
    found = read_base_url(raw, field=API_URL)
    if found.startswith("http:") and not is_loopback(found) and not given.allow_http:
        raise ConfigurationError(
            f"plain http to {found} would send the token unencrypted",
            advice="Use https. Inside of a network that is yours alone, --allow-http allows it.",
        )
    return found


def _credentials(environment: Mapping[str, str]) -> Any:
    from airflow_provider_whatsapp.answering.airflow_api import Credentials
    from airflow_provider_whatsapp.client.errors import ConfigurationError

    names = (API_TOKEN, API_USERNAME, API_PASSWORD)
    token, username, password = (environment.get(name, "").strip() or None for name in names)
    if token is None and (username is None or password is None):
        raise ConfigurationError(
            "there is no user of Airflow's to answer as",
            advice=f"Set {API_TOKEN}, or {API_USERNAME} and {API_PASSWORD}; a user of its own, which may answer "
            "requests and nothing more.",
        )
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        raise ConfigurationError(
            f"{API_TOKEN} is no token", advice="It has letters, digits, dots and dashes."
        )
    return Credentials(token=token, username=username, password=password if username else None)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
