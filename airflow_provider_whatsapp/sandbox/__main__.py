"""``python -m airflow_provider_whatsapp.sandbox``."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import ssl
import sys
import threading
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.sandbox.graph_marketing import ONBOARDING
from airflow_provider_whatsapp.sandbox.guard import is_loopback
from airflow_provider_whatsapp.sandbox.server import bind, serve
from airflow_provider_whatsapp.sandbox.settings import Settings, connection_line
from airflow_provider_whatsapp.sandbox.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable


def _number(raw: str) -> float:
    try:
        value = float(raw)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, not {raw}") from None
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more, not {raw}")
    return value


def _integer(raw: str) -> int:
    try:
        return int(raw)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, not {raw}") from None


def _whole(raw: str) -> int:
    value = _integer(raw)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more, not {raw}")
    return value


def _port(raw: str) -> int:
    value = _integer(raw)
    if not 0 <= value <= 65_535:
        raise argparse.ArgumentTypeError(f"must be 0 to 65535, not {raw}")
    return value


def _id(raw: str) -> str:
    if not (raw.isascii() and raw.isdigit()):
        raise argparse.ArgumentTypeError(f"must be digits, not {raw}")
    return raw


def _onboarding(raw: str) -> str:
    if raw.upper() not in ONBOARDING:
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(ONBOARDING)}")
    return raw.upper()


def _account(raw: str) -> tuple[str, tuple[str, ...]]:
    waba_id, _, numbers = raw.partition(":")
    return _id(waba_id), tuple(_id(each) for each in numbers.split(","))


def _delays(raw: str) -> tuple[float, float, float]:
    values = [_number(each) for each in raw.split(",")]
    if len(values) != 3 or sorted(values) != values:
        raise argparse.ArgumentTypeError("must be three rising numbers of seconds, as in 0.5,1.5,5")
    return values[0], values[1], values[2]


OPTIONS: tuple[tuple[str, Callable[[str], object], str], ...] = (
    ("host", str, "address to listen on"),
    ("port", _port, "port; 0 picks a free one"),
    ("api-key", str, "Maton API key that requests have to carry"),
    ("waba-id", _id, "business account"),
    ("app-id", _id, "Meta app, for resumable uploads"),
    (
        "rate-limit",
        _whole,
        "requests per second (Maton documents 10); 0 lifts this limit and every other one that is not given",
    ),
    ("pair-limit", _whole, "messages in a row to one user (Meta documents 45); 0: no limit (default 45)"),
    (
        "throughput",
        _whole,
        "messages per second and sender (Meta documents 80); 0: no limit (default 80)",
    ),
    ("onboarding", _onboarding, "the accounts' onboarding status at the Marketing Messages API"),
    ("approve-after", _number, "seconds until a template is approved"),
    ("latency", _number, "seconds to delay every answer"),
    ("status-delays", _delays, "seconds from acceptance to sent,delivered,read"),
    ("fail-after", _number, "seconds until a message fails"),
    ("state", str, "SQLite file that stores the sandbox's state between starts"),
    ("app-secret", str, "secret to sign webhooks with"),
    (
        "webhook-url",
        str,
        "the app's own address for webhooks; with it, the app is subscribed to every account",
    ),
    ("tls-cert", str, "file with a certificate, to serve https"),
    ("tls-key", str, "file with the certificate's key"),
    ("keep", _whole, "number of messages and requests to keep"),
    ("seed", _integer, "the same seed gives the same ids"),
)
"""Each option that takes one value: its name, which is that of a setting, its parser, and its help."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    usual = Settings()
    made = argparse.ArgumentParser(
        prog="python -m airflow_provider_whatsapp.sandbox",
        usage="%(prog)s [OPTION ...]",  # the list of all options would put twenty lines before an error
        description="WhatsApp on this machine: Maton's gateway and Meta's Cloud API, and a page with the phone.",
    )
    for name, kind, text in OPTIONS:
        default = getattr(usual, name.replace("-", "_"))
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        usually = f" (default {shown})" if shown is not None else ""
        made.add_argument(f"--{name}", type=kind, default=default, help=text + usually)
    text = f"sender; may be given several times (default {usual.phone_number_ids[0]})"
    made.add_argument("--phone-number-id", type=_id, action="append", metavar="ID", help=text)
    text = "a further account, with a Maton connection of its own; may be given several times"
    made.add_argument(
        "--account", type=_account, action="append", metavar="WABA:NUMBER[,NUMBER...]", help=text
    )
    text = "refuse marketing templates at /messages, as Meta is expected to do from October 2027"
    made.add_argument("--refuse-marketing", action="store_true", help=text)
    text = "print each message and each refused request (default: if the output is a terminal)"
    made.add_argument("--log", action=argparse.BooleanOptionalAction, default=sys.stdout.isatty(), help=text)
    text = "stop when standard input closes, as it does when the parent process ends"
    made.add_argument("--stop-with-stdin", action="store_true", help=text)
    return made


def settings_from(arguments: argparse.Namespace) -> Settings:
    """Return the settings that the command line gives; raises ValueError if an id is used twice."""
    given = {name: value for name, value in vars(arguments).items() if name not in ("stop_with_stdin", "log")}
    numbers = tuple(dict.fromkeys(given.pop("phone_number_id") or Settings().phone_number_ids))
    more = tuple(given.pop("account") or ())
    made = Settings(phone_number_ids=numbers, more_accounts=more, **{**given, "keep": max(1, given["keep"])})
    ids = [made.app_id, made.waba_id, *numbers, *(name for each in more for name in (each[0], *each[1]))]
    if len(set(ids)) < len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise ValueError(f"{twice} is used twice: every account, number and app needs an id of its own")
    return made


def check_certificate(settings: Settings) -> None:
    """Load the certificate once, so that a wrong one (OSError) gives one line instead of a traceback."""
    if settings.tls_cert:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key)
    elif settings.tls_key:
        raise OSError("--tls-key needs --tls-cert")


def _stop_with_stdin() -> None:
    # Not through sys.stdin: the interpreter needs its lock when it exits.
    while os.read(0, 4_096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main(argv: list[str] | None = None) -> int:
    """Run the sandbox until a signal stops it; return 1 if it cannot start or cannot store its state, else 0."""
    arguments = parser().parse_args(argv)
    try:
        settings = settings_from(arguments)
    except ValueError as error:
        parser().error(str(error))
    if not is_loopback(settings.host):
        text = (
            f"Warning: {settings.host} lets other machines connect, and the controls and the page do not ask for a "
            "key."
        )
        sys.stderr.write(text + "\n")
    try:
        check_certificate(settings)
    except (OSError, ssl.SSLError) as error:
        return _give_up(f"The certificate cannot be used ({error}): check --tls-cert and --tls-key")
    try:
        listener = bind(settings.host, settings.port)
    except OSError as error:
        advice = "stop the program that uses it, or pick a free port with --port 0"
        return _give_up(f"Cannot listen on {settings.host}:{settings.port} ({error.strerror}): {advice}")
    if arguments.stop_with_stdin:
        threading.Thread(target=_stop_with_stdin, daemon=True).start()
    try:
        serve(settings, listener, lambda url: _greet(settings, url), _say if arguments.log else None)
    except StoreError as error:
        return _give_up(str(error))
    return 0


def _give_up(reason: str) -> int:
    sys.stderr.write(f"{reason}\n")
    return 1


def _greet(settings: Settings, url: str) -> None:
    _say(f"WhatsApp sandbox ready at {url}\n{connection_line(settings, url)}")


def _say(text: str) -> None:
    # A closed terminal or a full disk must not end the sandbox.
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
