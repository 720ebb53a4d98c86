"""``python -m airflow_provider_whatsapp receiver``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

HELP = "store the receipts and replies that WhatsApp posts, in a database; runs until you stop it"
DATABASE, VERIFY_TOKEN = "WHATSAPP_EVENTS_URL", "WHATSAPP_VERIFY_TOKEN"
APP_SECRET, PATH_SECRET = "WHATSAPP_APP_SECRET", "WHATSAPP_PATH_SECRET"
WORDS = "WHATSAPP_OPT_OUT_WORDS"
PORT = 8426


def _port(raw: str) -> int:
    if not raw.isascii() or not raw.isdigit() or int(raw) > 65_535:
        raise argparse.ArgumentTypeError(f"must be 0 to 65535, not {raw}")
    return int(raw)


def _days(raw: str) -> float:
    try:
        return float(raw)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number of days, not {raw}") from None


OPTIONS: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (
        ("--database",),
        {
            "metavar": "URL",
            "help": "database to store events in: sqlite:////var/lib/whatsapp/events.db or "
            f"postgresql://user@host/database (or {DATABASE}, which other users of the machine cannot read)",
        },
    ),
    (("--host",), {"default": "127.0.0.1", "help": "address to listen on (default 127.0.0.1)"}),
    (("--port",), {"type": _port, "default": PORT, "help": f"port; 0 picks a free one (default {PORT})"}),
    (
        ("--verify-token",),
        {"metavar": "T", "help": f"token that WhatsApp repeats when it checks the URL (or {VERIFY_TOKEN})"},
    ),
    (
        ("--app-secret",),
        {
            "metavar": "S",
            "help": f"secret of your Meta app, to check signatures (or {APP_SECRET})",
        },
    ),
    (
        ("--path-secret",),
        {
            "metavar": "P",
            "help": f"required last part of the URL, 32 characters at least (or {PATH_SECRET}); without an app "
            "secret, events are marked unverified",
        },
    ),
    (
        ("--keep-days",),
        {
            "type": _days,
            "default": 90.0,
            "metavar": "DAYS",
            "help": "delete older events (default 90; 0: never)",
        },
    ),
    (
        ("--opt-out-words",),
        {
            "metavar": "FILE",
            "help": f"JSON with words by which replies opt out, in place of the default ones (or {WORDS})",
        },
    ),
]


def receiver_command(given: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> int:
    """Run ``receiver``; return the exit status."""
    from airflow_provider_whatsapp.client.errors import WhatsAppError

    try:
        return _serve(given, environment)
    except WhatsAppError as error:
        return _give_up(str(error))
    except OSError as error:
        advice = "stop the program that uses it, or pick a free port with --port 0"
        return _give_up(f"Cannot listen on {given.host}:{given.port} ({error.strerror}): {advice}")


def _serve(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    from airflow_provider_whatsapp.client.errors import ConfigurationError
    from airflow_provider_whatsapp.events.log import log_to_stderr
    from airflow_provider_whatsapp.events.opt_out_words import opt_out_words
    from airflow_provider_whatsapp.events.opt_outs import look_through
    from airflow_provider_whatsapp.events.receiver import Settings
    from airflow_provider_whatsapp.events.serve import bind, serve, url_of
    from airflow_provider_whatsapp.events.store import EventStore

    database = given.database or environment.get(DATABASE)
    if not database:
        raise ConfigurationError(
            "no database for the events is set",
            advice=f"Set {DATABASE} (or give --database) to sqlite:////var/lib/whatsapp/events.db for one machine, or "
            "to postgresql://user:password@host/database for several.",
        )
    words = given.opt_out_words or environment.get(WORDS)
    settings = Settings(
        verify_token=given.verify_token or environment.get(VERIFY_TOKEN, ""),
        app_secret=given.app_secret or environment.get(APP_SECRET),
        path_secret=given.path_secret or environment.get(PATH_SECRET),
        keep_days=given.keep_days,
        words=opt_out_words(Path(words) if words else None),
    )
    log_to_stderr()
    store = EventStore.open(database)
    store.create_or_upgrade()
    look_through(store, settings.words)
    listener = bind(given.host, given.port)
    serve(
        store, settings, listener, lambda: _say(f"WhatsApp receiver ready at {url_of(given.host, listener)}")
    )
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _give_up(reason: str) -> int:
    from airflow_provider_whatsapp.client.masking import printable

    sys.stderr.write(f"{printable(reason)}\n")
    return 1
