"""
Airflow's connections of this package's type: which ones exist, and which of them a user may use on the page.

The page calls the gateway with a connection's key, so people who may not see the connection do not see its templates
and health. A connection of another type is refused: its password is not a Maton key, and must not be sent there.

These functions block: call them through ``in_thread``.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails
from airflow.models.connection import Connection
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_provider_whatsapp._compat import AirflowNotFoundException
from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.get_provider_info import CONN_TYPE
from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_whatsapp.client.config import ClientConfig
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

MOST = 200
"""The most connections that the page offers."""
SECONDS = 8.0
"""Seconds for all requests of one page to the gateway."""
_ENVIRONMENT = "AIRFLOW_CONN_"


def visible_connections(user: Any) -> list[str]:
    """Return the IDs of the connections of this type that a user may see, the default one first."""
    # A secrets backend cannot list its connections, so such a connection is opened by its ID.
    stored = _in_database()
    found = stored & get_auth_manager().get_authorized_connections(user=user) if stored else set()
    found |= {conn_id for conn_id in _in_environment() if _may_see(user, conn_id)}
    return sorted(found, key=lambda conn_id: (conn_id != MatonWhatsAppHook.default_conn_name, conn_id))[:MOST]


def configs_with_redis(also: str = "") -> Iterator[ClientConfig]:
    """Yield the settings of the connections that name a Redis; a connection that cannot be read is left out."""
    # The caller checks that the user may see `also`, which may be listed nowhere, such as one in a secrets backend.
    ids = {*_in_database(), *_in_environment(), MatonWhatsAppHook.default_conn_name, also} - {""}
    for conn_id in sorted(ids):
        with contextlib.suppress(Exception):  # the sheet Health reports what is wrong with it
            connection = MatonWhatsAppHook.get_connection(conn_id)
            if connection.conn_type == CONN_TYPE and "pace_redis" in (connection.extra or ""):
                yield MatonWhatsAppHook(conn_id).client.config


def may_see(user: Any, conn_id: str) -> bool:
    """Return whether a user may see a connection, also one in a secrets backend or one that does not exist."""
    return conn_id in visible_connections(user) or (not _is_stored(conn_id) and _may_see(user, conn_id))


def _may_see(user: Any, conn_id: str) -> bool:
    details = ConnectionDetails(conn_id=conn_id)
    return bool(get_auth_manager().is_authorized_connection(method="GET", details=details, user=user))


def _is_stored(conn_id: str) -> bool:
    """Return whether it is in the database: then its team decides too, and it is listed for people who may see it."""
    with create_session(scoped=False) as session:
        return session.scalar(select(Connection.conn_id).where(Connection.conn_id == conn_id)) is not None


def _in_database() -> set[str]:
    with create_session(scoped=False) as session:
        of_type = select(Connection.conn_id).where(Connection.conn_type == CONN_TYPE).limit(MOST)
        return set(session.scalars(of_type))


def _in_environment() -> Iterator[str]:
    for name, text in sorted(os.environ.items()):
        if not name.startswith(_ENVIRONMENT):
            continue
        conn_id = name.removeprefix(_ENVIRONMENT).lower()
        with contextlib.suppress(Exception):  # one that cannot be read is not this package's
            made: Any = (
                Connection.from_json(text, conn_id) if text.startswith("{") else Connection(conn_id, uri=text)
            )
            if made.conn_type == CONN_TYPE:
                yield conn_id


def open_client(conn_id: str) -> WhatsAppClient:
    """Return a client that repeats no request and gives up after :data:`SECONDS`."""
    try:
        connection = MatonWhatsAppHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise ConfigurationError(
            f"there is no connection {conn_id!r}", advice="Create it under Admin > Connections."
        ) from None
    if connection.conn_type != CONN_TYPE:
        raise ConfigurationError(
            f"connection {conn_id!r} is not of type {CONN_TYPE}",
            advice="Choose a connection of that type.",
        )
    hook = MatonWhatsAppHook(conn_id, until=time.monotonic() + SECONDS)
    return hook.client.within(SECONDS)
