"""The connection test: says which of key, connection, number, account and health is wrong, or what it found."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.client.error_codes import look_up
from airflow_provider_whatsapp.client.errors import (
    AuthenticationError,
    ConfigurationError,
    NotFoundError,
    WhatsAppError,
)
from airflow_provider_whatsapp.client.hosts import is_maton_s
from airflow_provider_whatsapp.client.masking import clean_line
from airflow_provider_whatsapp.client.resources.health import number_health

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient


_DISPLAY = re.compile(r"\+?[0-9][0-9 ().-]{5,24}", re.ASCII)
_WORD = re.compile(r"[A-Z][A-Z0-9_]{0,40}", re.ASCII)


def check(make_client: Callable[[], WhatsAppClient]) -> tuple[bool, str]:
    """Test what the connection names, in the order in which a send needs it; the test sends nothing to anybody."""
    try:
        client = make_client()
    except WhatsAppError as error:
        return False, str(error)
    # Airflow shows the text unmasked to people who may edit connections, and they choose the host. So it has only our
    # own words, IDs and values in the form of a number's facts, and it quotes no host except Maton's.
    trusted = is_maton_s(client.config.host) and client.config.verify is not False
    try:
        _check_maton(client)
        found = f"{_check_number(client)} {_check_account(client)}"
        right, health = _check_health(client, words=trusted)
    except WhatsAppError as error:
        return False, str(error if trusted else _in_own_words(error))
    except Exception as error:
        return False, f"The test of the connection failed: {type(error).__name__}."
    return right, f"{found} {health}"


def _check_maton(client: WhatsAppClient) -> None:
    active = client.connections.list(status="ACTIVE")
    wanted = client.config.connection_id
    if not active:
        msg = "the Maton API key is right, but the account has no active WhatsApp connection"
        raise ConfigurationError(msg, advice="Create one at maton.ai and finish its browser step.")
    if wanted and wanted not in {connection.get("connection_id") for connection in active}:
        msg = f"connection_id {wanted} is not among the account's {len(active)} active WhatsApp connections"
        raise ConfigurationError(
            msg, advice="Copy it from maton.ai, or leave it empty for the oldest active one."
        )


def _check_number(client: WhatsAppClient) -> str:
    numbers = client.phone_numbers
    try:
        number = numbers.get(
            fields=f"display_phone_number,verified_name,quality_rating,{numbers.limit_field}"
        )
    except (NotFoundError, AuthenticationError) as error:
        raise _blamed("phone_number_id", error) from error
    display, said = str(number.get("display_phone_number", "")), number.get("verified_name")
    # Any host may answer here, so the text quotes only an answer with the form of a number's node.
    if not _DISPLAY.fullmatch(display):
        raise ConfigurationError(
            "the answer does not describe a WhatsApp phone number", advice="Check host and phone_number_id."
        )
    name = clean_line(said, limit=80) if isinstance(said, str) and said else "without a verified name"
    found = f"Sends as {display} ({name})"
    quality, tier = (_word(number.get(name)) for name in ("quality_rating", numbers.limit_field))
    facts = [f"quality {quality}" if quality else "", f"limit {tier}" if tier else ""]
    return f"{', '.join([found, *filter(None, facts)])}."


def _check_account(client: WhatsAppClient) -> str:
    if not client.config.waba_id:
        return "No waba_id is set: templates cannot be listed or created."
    try:
        numbers = [number.get("id") for number in client.phone_numbers.list(fields="id")]
    except (NotFoundError, AuthenticationError) as error:
        raise _blamed("waba_id", error) from error
    if client.config.phone_number_id not in numbers:
        msg = "waba_id names an account to which phone_number_id does not belong"
        raise ConfigurationError(
            msg, advice="WhatsApp Manager shows both IDs on one page; copy both from there."
        )
    return f"The account has {len(numbers)} number{'s' if len(numbers) != 1 else ''}."


def _check_health(client: WhatsAppClient, *, words: bool) -> tuple[bool, str]:
    """Return whether messages can be sent, and a sentence; health that cannot be read does not fail the test."""
    found = number_health(client)
    said = f"Health: {found.describe(words=words)}."
    if found.state == "BLOCKED":
        return False, f"But WhatsApp blocks sending until you resolve this in WhatsApp Manager. {said}"
    return True, said


def _word(value: object) -> str:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


def _in_own_words(error: WhatsAppError) -> WhatsAppError:
    """Return an error without the other side's words, which our errors quote after a colon."""
    if isinstance(error, ConfigurationError):
        return error
    own = error.message.partition(": ")[0]
    if error.code is not None:
        own = f"{own}: {look_up(error.code, error.subcode).meaning}"
    return type(error)(own, code=error.code, http_status=error.http_status, advice=error.advice)


def _blamed(field: str, error: WhatsAppError) -> WhatsAppError:
    """Return an error that names the wrong field, unless the token behind it is wrong."""
    if isinstance(error, AuthenticationError):
        return error
    msg = f"{field} is wrong, or does not belong to this Maton connection"
    return ConfigurationError(msg, code=error.code, http_status=error.http_status, advice=error.advice)
