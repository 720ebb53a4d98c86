"""
``python -m airflow_provider_whatsapp webhook subscribe|status|unsubscribe``: where WhatsApp posts receipts and replies.

:mod:`airflow_provider_whatsapp.client.webhook_address` says what each of them takes care of.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from airflow_provider_whatsapp.client.config import ClientConfig
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

VERIFY_TOKEN = "WHATSAPP_VERIFY_TOKEN"  # noqa: S105  (the name of a variable)
PATH_SECRET = "WHATSAPP_PATH_SECRET"  # noqa: S105
Option = tuple[tuple[str, ...], dict[str, Any]]
_SHARED: list[Option] = [
    (("--conn-id",), {"help": "connection to take from AIRFLOW_CONN_<ID> (default maton_whatsapp_default)"}),
    (("--waba-id",), {"help": "WhatsApp Business Account; wins over the connection's"}),
    (("--phone-number-id",), {"metavar": "ID", "help": "ID of the number; wins over the connection's"}),
    (("--host",), {"help": "base URL of the gateway; wins over the connection's"}),
    (("--app-id",), {"help": "Meta app; wins over the connection's"}),
]
_LEVEL: Option = (
    ("--phone-number",),
    {"action": "store_true", "help": "set the address for this number only, not for the whole account"},
)
COMMANDS: dict[str, tuple[str, list[Option]]] = {
    "subscribe": (
        "let WhatsApp post receipts and replies to an address",
        [
            (
                ("--url",),
                {"required": True, "help": "the receiver's public address (https)"},
            ),
            (
                ("--verify-token",),
                {"metavar": "T", "help": f"the receiver's verify token (or {VERIFY_TOKEN})"},
            ),
            _LEVEL,
            (("--force",), {"action": "store_true", "help": "replace an address that somebody else has set"}),
            *_SHARED,
        ],
    ),
    "status": ("say which apps are subscribed and where events go", _SHARED),
    "unsubscribe": (
        "remove the address",
        [
            (
                ("--url",),
                {
                    "help": "remove the address only if it is this one (default: the one that ends with "
                    f"{PATH_SECRET})"
                },
            ),
            _LEVEL,
            (("--force",), {"action": "store_true", "help": "remove the address, no matter which"}),
            *_SHARED,
        ],
    ),
}
HELP = "show, set or remove the address that WhatsApp posts receipts and replies to"


def webhook_command(
    given: argparse.Namespace, find_config: Callable[[argparse.Namespace], ClientConfig]
) -> int:
    """Run ``webhook subscribe``, ``status`` or ``unsubscribe``, and return the exit status."""
    from airflow_provider_whatsapp.client.errors import WhatsAppError
    from airflow_provider_whatsapp.client.masking import printable
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

    try:
        with WhatsAppClient(find_config(given)) as client:
            lines = _run(given, client)
    except WhatsAppError as error:
        sys.stderr.write(printable(str(error)) + "\n")
        return 1
    sys.stdout.write("".join(f"{printable(line)}\n" for line in lines))
    return 0


def _run(given: argparse.Namespace, client: WhatsAppClient) -> list[str]:
    from airflow_provider_whatsapp.client import webhook_address
    from airflow_provider_whatsapp.client.errors import ConfigurationError

    if given.command == "status":
        return webhook_address.status(client)
    if given.command == "unsubscribe":
        return [
            webhook_address.unsubscribe(
                client,
                given.url,
                of_number=given.phone_number,
                force=given.force,
                path_secret=os.environ.get(PATH_SECRET),
            )
        ]
    token = given.verify_token or os.environ.get(VERIFY_TOKEN)
    if not token:
        raise ConfigurationError(
            "no verify token is set",
            advice=f"Set {VERIFY_TOKEN} to the receiver's verify token, or give it with --verify-token.",
        )
    return [
        webhook_address.subscribe(client, given.url, token, of_number=given.phone_number, force=given.force)
    ]
