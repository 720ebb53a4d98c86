"""``python -m airflow_provider_whatsapp.sandbox``."""

from __future__ import annotations

import argparse
import json
import sys

from airflow_provider_whatsapp.sandbox.guard import is_loopback
from airflow_provider_whatsapp.sandbox.server import bind, serve
from airflow_provider_whatsapp.sandbox.settings import Settings

VARIABLE = "AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT"


def _number(raw: str) -> float:
    value = float(raw)
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more, not {raw}")
    return value


def _whole(raw: str) -> int:
    value = int(raw)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more, not {raw}")
    return value


def _port(raw: str) -> int:
    value = int(raw)
    if not 0 <= value <= 65_535:
        raise argparse.ArgumentTypeError(f"must be 0 to 65535, not {raw}")
    return value


def _id(raw: str) -> str:
    if not (raw.isascii() and raw.isdigit()):
        raise argparse.ArgumentTypeError(f"must be digits, not {raw}")
    return raw


def _delays(raw: str) -> tuple[float, float, float]:
    values = [_number(each) for each in raw.split(",")]
    if len(values) != 3 or sorted(values) != values:
        raise argparse.ArgumentTypeError("must be three rising numbers of seconds, as in 0.5,1.5,5")
    return values[0], values[1], values[2]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    usual = Settings()
    made = argparse.ArgumentParser(
        prog="python -m airflow_provider_whatsapp.sandbox",
        description="A WhatsApp on this machine: Maton's gateway and Meta's Cloud API, with a phone to look at.",
    )
    add = made.add_argument
    add("--host", default=usual.host, help="address to listen on (default %(default)s)")
    add("--port", type=_port, default=usual.port, help="port; 0 takes a free one (default %(default)s)")
    add("--api-key", default=usual.api_key, help="the Maton key to be sent (default %(default)s)")
    add(
        "--phone-number-id",
        type=_id,
        action="append",
        metavar="ID",
        help="sender; may be given several times",
    )
    add("--waba-id", type=_id, default=usual.waba_id, help="business account (default %(default)s)")
    add("--app-id", type=_id, default=usual.app_id, help="app, for resumable uploads (default %(default)s)")
    add(
        "--rate-limit",
        type=_whole,
        default=usual.rate_limit,
        help="requests per second; 0: no limit (usual: 10)",
    )
    add(
        "--pair-limit",
        type=_whole,
        default=usual.pair_limit,
        help="burst to one user; 0: none (default %(default)s)",
    )
    add(
        "--throughput",
        type=_whole,
        default=usual.throughput,
        help="messages per second and number; 0: no limit",
    )
    add(
        "--approve-after",
        type=_number,
        default=usual.approve_after,
        help="seconds of a review (default %(default)s)",
    )
    add(
        "--latency",
        type=_number,
        default=usual.latency,
        help="seconds that every answer takes (default %(default)s)",
    )
    add("--status-delays", type=_delays, default=usual.status_delays, help="seconds to sent,delivered,read")
    add("--keep", type=_whole, default=usual.keep, help="messages and requests kept (default %(default)s)")
    add("--seed", type=int, default=usual.seed, help="the same seed gives the same ids (default %(default)s)")
    return made


def settings_from(arguments: argparse.Namespace) -> Settings:
    """
    Settings from the command line.

    :param arguments: As parsed.
    """
    given = vars(arguments)
    numbers = tuple(dict.fromkeys(given.pop("phone_number_id") or Settings().phone_number_ids))
    return Settings(phone_number_ids=numbers, **{**given, "keep": max(1, given["keep"])})


def connection(settings: Settings, url: str) -> str:
    """
    The Airflow connection as JSON that stands safely between single quotes.

    :param settings: Hold the key and the ids.
    :param url: The sandbox's.
    """
    extra = {
        "phone_number_id": settings.phone_number_ids[0],
        "waba_id": settings.waba_id,
        "app_id": settings.app_id,
    }
    made = {"conn_type": "maton_whatsapp", "password": settings.api_key, "host": url, "extra": extra}
    return json.dumps(made).replace("'", "\\u0027")


def main(argv: list[str] | None = None) -> int:
    """
    Run the sandbox until it is stopped.

    :param argv: Arguments; the process's own when left out.
    """
    settings = settings_from(parser().parse_args(argv))
    if not is_loopback(settings.host):
        text = (
            f"Warning: {settings.host} lets other machines in, and the controls and the page ask for no key."
        )
        sys.stderr.write(text + "\n")
    try:
        listener = bind(settings.host, settings.port)
    except OSError as error:
        advice = "stop what is using it, or start with --port 0 to take a free one"
        sys.stderr.write(f"Cannot listen on {settings.host}:{settings.port} ({error.strerror}): {advice}\n")
        return 1

    def ready(url: str) -> None:
        sys.stdout.write(
            f"WhatsApp sandbox ready at {url}\nexport {VARIABLE}='{connection(settings, url)}'\n"
        )
        sys.stdout.flush()

    serve(settings, listener, ready)
    return 0


if __name__ == "__main__":
    sys.exit(main())
