"""``python -m airflow_provider_whatsapp connect``: from an API key to a connection that Airflow can use."""

from __future__ import annotations

import getpass
import json
import re
import shlex
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.connection import API_KEY_VARIABLE, environment_key
from airflow_provider_whatsapp.client.errors import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    NotFoundError,
    WhatsAppError,
)
from airflow_provider_whatsapp.client.masking import clean_line, printable
from airflow_provider_whatsapp.client.webhook_address import status
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

CONN_TYPE = "maton_whatsapp"
NUMBER_SHOWN = "id,display_phone_number,verified_name,quality_rating"


def connect_command(given: argparse.Namespace) -> int:
    """
    Ask, try, and print the connection.

    :param given: ``conn_id``, ``host`` and ``timeout`` (seconds to wait for the log-in).
    :return: The exit status: 0 when a connection was printed, 1 when not.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        sys.stderr.write(
            "connect asks questions, and its standard input is not a terminal: run it in one (in a container with "
            "docker exec -it).\n"
        )
        return 1
    try:
        _say(_connection_lines(given.conn_id, _talk(given.host, given.timeout)))
    except WhatsAppError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except (EOFError, KeyboardInterrupt):
        sys.stderr.write("\nStopped: no connection is printed.\n")
        return 1
    return 0


def _talk(host: str | None, timeout: float) -> ClientConfig:
    config, active = _key(host)
    with WhatsAppClient(config) as client:
        connection_id = _maton_connection(client, active, timeout)
    config = replace(config, connection_id=connection_id)
    config, numbers = _account(config)
    config = replace(config, phone_number_id=_choose_number(numbers))
    _say_where_receipts_go(config)
    return config


def _say_where_receipts_go(config: ClientConfig) -> None:
    """Say where receipts and replies go; a connection that may not read it is as good for sending."""
    try:
        with WhatsAppClient(config) as client:
            lines = status(client)
    except WhatsAppError:
        lines = ["where they go could not be read."]
    _say("\n".join(["Receipts and replies:", *(f"  {line}" for line in lines)]))


def _key(host: str | None) -> tuple[ClientConfig, list[dict[str, Any]]]:
    """Ask for the key until it is one that Maton takes; return it with its active connections."""
    # A host that is wrong is told before anything is asked.
    config = ClientConfig(api_key="to-be-asked-for", host=host)
    key = environment_key(host)
    if key:
        # Nobody typed it, so nobody is asked to type it again: a wrong one is an error.
        _say(f"Maton API key: taken from {API_KEY_VARIABLE}.")
        config = replace(config, api_key=key)
        return config, _active(config)
    while True:
        key = getpass.getpass("Maton API key (maton.ai/settings; not shown): ").strip()
        try:
            config = replace(config, api_key=key)
            return config, _active(config)
        except ConfigurationError:
            _say("  That is no key: it is one word, without spaces. Give it again, or stop with Ctrl+C.")
        except AuthenticationError:
            _say("  Maton does not know this key. Give it again, or stop with Ctrl+C.")


def _active(config: ClientConfig) -> list[dict[str, Any]]:
    with WhatsAppClient(config) as client:
        return client.connections.list(status="ACTIVE")


def _maton_connection(client: WhatsAppClient, active: Sequence[dict[str, Any]], timeout: float) -> str:
    """Return the id of an active WhatsApp connection at Maton, made now if there is none."""
    if len(active) > 1:
        _say(f"The key has {len(active)} active WhatsApp connections:")
        return _id_of(_choose(active, _connection_line, "Connection"))
    if active:
        _say(f"WhatsApp connection at Maton: {_id_of(active[0])}, active.")
        return _id_of(active[0])
    pending = client.connections.list(status="PENDING")
    made = pending[0] if pending else client.connections.create()
    _say(
        "The key has no active WhatsApp connection. Open this address in a browser and log in to WhatsApp Business:"
    )
    _say(f"\n  {_line(made.get('url'), 2_000)}\n")
    _say(f"Waiting until you have, {timeout:g} s at most ...")
    client.connections.wait_until_active(_id_of(made), timeout=timeout, interval=1.0)
    _say("Logged in: the connection is active.")
    return _id_of(made)


def _id_of(connection: dict[str, Any]) -> str:
    found = connection.get("connection_id")
    if not isinstance(found, str) or not found:
        raise APIError("Maton's answer carries no connection id", advice="Try again later.")
    return found


def _account(config: ClientConfig) -> tuple[ClientConfig, list[dict[str, Any]]]:
    """Ask for the account until it is one that the connection may see; return it with its numbers."""
    while True:
        answer = input("WhatsApp Business Account ID (WhatsApp Manager shows it under Account): ").strip()
        try:
            config = replace(config, waba_id=answer)
            with WhatsAppClient(config) as client:
                numbers = list(client.phone_numbers.list(fields=NUMBER_SHOWN))
        except ConfigurationError:
            _say("  That is no account ID: it is digits alone, about 15 of them, and not a phone number.")
            continue
        except NotFoundError as error:
            _say(f"  {error.message.rstrip('.')}. A phone number's ID looks alike: see WhatsApp Manager.")
            continue
        if numbers:
            return config, numbers
        _say("  This account has no phone number yet. Add one in WhatsApp Manager, or give another account.")


def _choose_number(numbers: Sequence[dict[str, Any]]) -> str:
    _say(f"Phone number{'s' if len(numbers) > 1 else ''} of the account:")
    return str(_choose(numbers, _number_line, "Sender")["id"])


def _choose(
    items: Sequence[dict[str, Any]], line: Callable[[dict[str, Any]], str], what: str
) -> dict[str, Any]:
    for place, item in enumerate(items, 1):
        _say(f"  {place}. {line(item)}")
    while len(items) > 1:
        answer = input(f"{what} [1-{len(items)}]: ").strip()
        if answer.isdecimal() and 1 <= int(answer) <= len(items):
            return items[int(answer) - 1]
        _say(f"  Give a number from 1 to {len(items)}.")
    return items[0]


def _connection_line(connection: dict[str, Any]) -> str:
    made = _line(connection.get("creation_time", ""))[:10] or "at some time"
    return f"{_line(connection.get('connection_id'))}, made {made}"


def _number_line(number: dict[str, Any]) -> str:
    facts = [
        _line(number.get("display_phone_number") or "a number"),
        _line(number.get("verified_name") or "without a verified name"),
        f"quality {_line(number.get('quality_rating', 'unknown'))}",
        f"ID {_line(number.get('id'))}",
    ]
    return ", ".join(facts)


def _line(said: object, limit: int = 100) -> str:
    """Return what the gateway said as one line; its numbers are what the user has to choose from."""
    return clean_line(said, limit=limit, masked=False)


def _connection_lines(conn_id: str, config: ClientConfig) -> str:
    connection: dict[str, Any] = {"conn_type": CONN_TYPE, "password": config.api_key}
    if config.host:
        connection["host"] = config.host
    connection["extra"] = {
        "phone_number_id": config.phone_number_id,
        "waba_id": config.waba_id,
        "connection_id": config.connection_id,
    }
    text = shlex.quote(json.dumps(connection))
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    if re.fullmatch(r"\w+", variable, re.ASCII):
        environment = "For Airflow's environment (all components):\n\n"
        environment += f"  export {variable}={text}\n\nor for Airflow's database:"
    else:
        environment = f"For Airflow's database (a shell takes no variable named {variable}):"
    return (
        f"\nThe connection, with your key in it. {environment}\n\n"
        f"  airflow connections add {shlex.quote(conn_id)} --conn-json {text}"
    )


def _say(text: str) -> None:
    sys.stdout.write(printable(text) + "\n")
    sys.stdout.flush()
