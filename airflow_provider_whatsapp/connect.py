"""``python -m airflow_provider_whatsapp connect``: from an API key to a connection that Airflow can use."""

from __future__ import annotations

import getpass
import json
import os
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path
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
from airflow_provider_whatsapp.client.phone import recipient_key
from airflow_provider_whatsapp.client.webhook_address import status
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
from airflow_provider_whatsapp.command_connection import DEFAULT_CONN_ID, loading
from airflow_provider_whatsapp.delivery.local_files import PRIVATE, replacing

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

CONN_TYPE = "maton_whatsapp"
NUMBER_SHOWN = "id,display_phone_number,verified_name,quality_rating"


def connect_command(given: argparse.Namespace) -> int:
    """Run ``connect``, and return the exit status: 0 where a connection is stored or printed and no check failed."""
    # Without a terminal it asks nothing: it takes what the options and MATON_API_KEY give, names what is missing, and
    # sends a message only to the number of --to.
    try:
        _check_that_it_can_ask(given)
        _check_target(given)
        config = _talk(given)
        _say(_stored(given, config))
    except WhatsAppError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except (EOFError, KeyboardInterrupt):
        sys.stderr.write("\nStopped: no connection is stored or printed.\n")
        return 1
    works = True
    try:
        works = _offer_a_message(given, config)
        _say(how_to_check(given.conn_id, saved=given.save, env_file=given.env_file))
    except (EOFError, KeyboardInterrupt):
        sys.stderr.write("\nStopped: the connection is stored or printed above.\n")
    if not works:
        sys.stderr.write("The connection is stored or printed above, but a check of it failed.\n")
    return int(not works)


def _check_target(given: argparse.Namespace) -> None:
    """Refuse, before anything is asked, what could not be stored or sent at the end."""
    if given.to:
        recipient_key(given.to)
    if given.env_file and _variable(given.conn_id) is None:
        raise ConfigurationError(
            f"--env-file: {given.conn_id!r} cannot be part of a variable's name",
            advice="Choose a --conn-id of letters, digits and underscores, or use --save.",
        )
    if given.env_file and not Path(given.env_file).absolute().parent.is_dir():
        raise ConfigurationError(f"--env-file {given.env_file}: its folder does not exist")
    if given.save and not given.force and given.airflow_connections().has(given.conn_id):
        raise ConfigurationError(
            f"Airflow already has a connection {given.conn_id!r}",
            advice="Add --force to replace it, or choose another --conn-id.",
        )


def _can_ask() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _check_that_it_can_ask(given: argparse.Namespace) -> None:
    """Name at once, without a terminal, all that is missing and that nobody can be asked for."""
    missing = []
    if not os.environ.get(API_KEY_VARIABLE, "").strip():
        missing.append(f"the Maton API key (set {API_KEY_VARIABLE})")
    if not given.waba_id:
        missing.append("the WhatsApp Business Account (give --waba-id ID)")
    if missing and not _can_ask():
        raise _cannot_ask_for(" and ".join(missing))


def _cannot_ask_for(missing: str) -> ConfigurationError:
    return ConfigurationError(
        f"connect cannot ask, because its standard input is not a terminal; missing: {missing}",
        advice="Or run it in a terminal (in a container with docker exec -it).",
    )


def _refuse(option: str, problem: str) -> None:
    """Say what is wrong with an answer, for another one is asked for; without a terminal that is the end."""
    if not _can_ask():
        raise ConfigurationError(f"{option}: {problem}")
    _say(f"  {problem}")


def _talk(given: argparse.Namespace) -> ClientConfig:
    config, active = _key(given.host)
    connection_id = given.connection_id
    if not connection_id:
        with WhatsAppClient(config) as client:
            connection_id = _maton_connection(client, active, given.timeout)
    config = replace(config, connection_id=connection_id)
    config, numbers = _account(config, given.waba_id)
    config = replace(config, phone_number_id=_choose_number(numbers, given.phone_number_id))
    _say_where_receipts_go(config)
    return config


def _offer_a_message(given: argparse.Namespace, config: ClientConfig) -> bool:
    """Send hello_world to the user's own phone if they want it; return whether no check has failed."""
    from airflow_provider_whatsapp import doctor

    to = given.to
    while to is None and _can_ask():
        try:
            to = input(
                "Your own phone, for a first message (hello_world), with + (Enter: no message): "
            ).strip()
            recipient_key(to or "+15550001111")
        except WhatsAppError as error:
            _say(f"  {error.message}")
            to = None
    if not to:
        return True
    findings, _ = doctor.examine(config, to, doctor.WAIT, doctor.Screen())
    return not doctor.any_failed(findings)


def how_to_check(conn_id: str, *, saved: bool, env_file: str | None) -> str:
    """Say which command checks the connection where it is stored, in a line for each place."""
    option = "" if conn_id == DEFAULT_CONN_ID else f" --conn-id {shlex.quote(conn_id)}"
    doctor = f"`python -m airflow_provider_whatsapp doctor{option}`"
    lines = []
    if saved:
        test = f"AIRFLOW__CORE__TEST_CONNECTION=Enabled airflow connections test {shlex.quote(conn_id)}"
        lines.append(
            f"To check the connection in Airflow: `airflow whatsapp doctor{option}` (on Airflow 3.1: `{test}`)."
        )
    if env_file:
        lines.append(f"To check the connection in the file: `{loading(env_file)}`, then {doctor}.")
    return "\n".join(lines) or f"To check the connection: set its variable in your shell, then {doctor}."


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
    # A host that is wrong is reported before anything is asked.
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
            _say(
                "  That is not a key: a key is one word, without spaces. Enter it again, or stop with Ctrl+C."
            )
        except AuthenticationError:
            _say("  Maton does not know this key. Enter it again, or stop with Ctrl+C.")


def _active(config: ClientConfig) -> list[dict[str, Any]]:
    with WhatsAppClient(config) as client:
        return client.connections.list(status="ACTIVE")


def _maton_connection(client: WhatsAppClient, active: Sequence[dict[str, Any]], timeout: float) -> str:
    """Return the id of an active WhatsApp connection at Maton, made now if there is none."""
    if len(active) > 1:
        _say(f"The key has {len(active)} active WhatsApp connections, the oldest first:")
        oldest = sorted(active, key=lambda row: str(row.get("creation_time", "")))
        return _id_of(_choose(oldest, _connection_line, "Connection", "--connection-id", default=True))
    if active:
        _say(f"WhatsApp connection at Maton: {_id_of(active[0])}, active.")
        return _id_of(active[0])
    pending = client.connections.list(status="PENDING")
    made = pending[0] if pending else client.connections.create()
    _say(
        "The key has no active WhatsApp connection. Open this address in a browser and log in to WhatsApp Business:"
    )
    _say(f"\n  {_line(made.get('url'), 2_000)}\n")
    _say(f"Waiting for the login, {timeout:g} s at most ...")
    client.connections.wait_until_active(_id_of(made), timeout=timeout, interval=1.0)
    _say("Logged in: the connection is active.")
    return _id_of(made)


def _id_of(connection: dict[str, Any]) -> str:
    found = connection.get("connection_id")
    if not isinstance(found, str) or not found:
        raise APIError("Maton's answer does not contain a connection ID", advice="Try again later.")
    return found


def _account(config: ClientConfig, waba_id: str | None) -> tuple[ClientConfig, list[dict[str, Any]]]:
    """Ask for the account until it is one that the connection may see; return it with its numbers."""
    while True:
        answer, waba_id = waba_id, None
        if answer is None:
            answer = input("WhatsApp Business Account ID (WhatsApp Manager shows it under Account): ").strip()
        try:
            config = replace(config, waba_id=answer)
            with WhatsAppClient(config) as client:
                numbers = list(client.phone_numbers.list(fields=NUMBER_SHOWN))
        except ConfigurationError:
            _refuse(
                "--waba-id",
                "That is not an account ID: an ID has only digits, about 15 of them, and is not a phone number.",
            )
            continue
        except NotFoundError as error:
            _refuse(
                "--waba-id",
                f"{error.message.rstrip('.')}. A phone number's ID looks similar: compare with WhatsApp Manager.",
            )
            continue
        if numbers:
            return config, numbers
        _refuse(
            "--waba-id",
            "This account has no phone number yet. Add one in WhatsApp Manager, or enter another account.",
        )


def _choose_number(numbers: Sequence[dict[str, Any]], phone_number_id: str | None) -> str:
    if any(str(number.get("id")) == phone_number_id for number in numbers):
        return str(phone_number_id)
    if phone_number_id:
        shown = ", ".join(_line(number.get("id")) for number in numbers)
        wrong = clean_line(phone_number_id, limit=40)
        _refuse("--phone-number-id", f"The account has no phone number with the ID {wrong}; it has {shown}.")
    _say(f"Phone number{'s' if len(numbers) > 1 else ''} of the account:")
    return str(_choose(numbers, _number_line, "Sender", "--phone-number-id")["id"])


def _choose(
    items: Sequence[dict[str, Any]],
    line: Callable[[dict[str, Any]], str],
    what: str,
    option: str,
    *,
    default: bool = False,
) -> dict[str, Any]:
    for place, item in enumerate(items, 1):
        _say(f"  {place}. {line(item)}")
    if len(items) > 1 and not _can_ask():
        raise _cannot_ask_for(f"which of the {len(items)} above (give {option} ID)")
    while len(items) > 1:
        answer = input(f"{what} [1-{len(items)}{', Enter: 1' if default else ''}]: ").strip()
        if default and not answer:
            return items[0]
        if answer.isdecimal() and 1 <= int(answer) <= len(items):
            return items[int(answer) - 1]
        _say(f"  Enter a number from 1 to {len(items)}.")
    return items[0]


def _connection_line(connection: dict[str, Any]) -> str:
    made = _line(connection.get("creation_time", ""))[:10] or "at an unknown time"
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


def _stored(given: argparse.Namespace, config: ClientConfig) -> str:
    """Store the connection where the options say, and return what to say of it; else return it to be printed."""
    # Without a terminal the output may be a log. The key came from the environment then, and can stay there.
    text = _connection_json(config, with_key=bool(given.save or given.env_file) or _can_ask())
    variable = _variable(given.conn_id)
    done = []
    if given.save:
        given.airflow_connections().save(given.conn_id, text)
        done.append(f"Airflow now has the connection {given.conn_id}.")
    if given.env_file:
        set_variable(Path(given.env_file), str(variable), text)
        done.append(
            f"{given.env_file} now sets {variable}; the file contains your key, and only you may read it."
        )
    if done:
        return "\n".join(done)
    key = "with your key in it" if _can_ask() else f"without your key, which stays in {API_KEY_VARIABLE}"
    if variable is None:
        return f"\nThe connection {given.conn_id}, {key}, for a file or a secret:\n\n  {text}\n\n{_HINT}"
    return (
        f"\nThe connection, {key}. For Airflow's environment (all components):\n\n"
        f"  export {variable}={shlex.quote(text)}\n\n{_HINT}"
    )


_HINT = "To store it in Airflow instead, use connect --save; in a file, connect --env-file FILE."


def _variable(conn_id: str) -> str | None:
    """Return the variable of a connection's ID; None where a shell takes no such name."""
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    return variable if re.fullmatch(r"\w+", variable, re.ASCII) else None


def _connection_json(config: ClientConfig, *, with_key: bool) -> str:
    connection: dict[str, Any] = {"conn_type": CONN_TYPE}
    if with_key:
        connection["password"] = config.api_key
    if config.host:
        connection["host"] = config.host
    connection["extra"] = {
        "phone_number_id": config.phone_number_id,
        "waba_id": config.waba_id,
        "connection_id": config.connection_id,
    }
    return json.dumps(connection)


def set_variable(path: Path, name: str, value: str) -> None:
    """Set a variable in a file of lines ``NAME='value'``, as shells, Docker Compose, systemd and Astro read them."""
    # In JSON an apostrophe may be written as its code, and then no reader of such files can misunderstand it.
    line = f"{name}='{value.replace(chr(39), chr(92) + 'u0027')}'"
    own = re.compile(rf"\s*(?:export\s+)?{re.escape(name)}\s*=")
    try:
        path = path.resolve()
        before = path.read_text("utf-8").splitlines() if path.exists() else []
        kept = [each for each in before if not own.match(each)]
        # The file is replaced in one step, and is readable by its owner alone.
        with replacing(path, mode=PRIVATE) as file:
            file.write("".join(f"{each}\n" for each in [*kept, line]).encode())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigurationError(f"--env-file {path}: {reason}") from error


def _say(text: str) -> None:
    sys.stdout.write(printable(text) + "\n")
    sys.stdout.flush()
