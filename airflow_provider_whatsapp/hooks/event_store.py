"""This Airflow's event store: the connection that ``[whatsapp] events_conn_id`` names, and the record of tasks."""

from __future__ import annotations

import contextlib
import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp._compat import AirflowNotFoundException, aget_connection, conf
from airflow_provider_whatsapp.client.errors import ConfigurationError, WhatsAppError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow.sdk import Connection
    from sqlalchemy.engine import URL

    from airflow_provider_whatsapp.client.config import ClientConfig
    from airflow_provider_whatsapp.events.sends import SendRecorder
    from airflow_provider_whatsapp.events.store import EventStore

logger = logging.getLogger(__name__)

_POSTGRES = {"postgres", "postgresql"}
_EXTRAS = ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "channel_binding", "target_session_attrs")
"""Fields of the connection's extra that become part of PostgreSQL's URL; the store ignores all others."""


def events_conn_id() -> str | None:
    """Return the ID of the store's connection; None: there is no store."""
    return (conf.get("whatsapp", "events_conn_id", fallback="") or "").strip() or None


def event_store_url() -> URL | None:
    """Return the URL of the event store; None: ``[whatsapp] events_conn_id`` is not set."""
    conn_id = events_conn_id()
    if conn_id is None:
        return None
    from airflow.sdk import BaseHook

    try:
        return database_url(conn_id, BaseHook.get_connection(conn_id))
    except AirflowNotFoundException:
        raise ConfigurationError(
            f"[whatsapp] events_conn_id names the connection {conn_id!r}, which does not exist",
            advice="Create it, with the receiver's database, or leave events_conn_id empty.",
        ) from None


@contextlib.contextmanager
def opened_event_store() -> Iterator[EventStore | None]:
    """Open the event store, and close it at the end of the block; None: ``[whatsapp] events_conn_id`` is not set."""
    url = event_store_url()
    if url is None:
        yield None
        return
    from airflow_provider_whatsapp.events.store import EventStore

    # ConfigurationError: the database holds no events of this version. StoreError: it cannot be reached, or refuses.
    with EventStore.checked(url) as store:
        yield store


async def aevent_store_url(conn_id: str) -> URL:
    """Return the URL of an event store, without blocking the event loop during the look-up of its connection."""
    from airflow_provider_whatsapp.hooks.maton_whatsapp import _pool

    # AirflowNotFoundException: no connection has this ID.
    return database_url(conn_id, await aget_connection(conn_id, _pool()))


def database_url(conn_id: str, connection: Connection) -> URL:
    """Return the URL of an Airflow connection's database; raises ConfigurationError if it names none."""
    from sqlalchemy.engine import URL

    kind = (connection.conn_type or "").replace("-", "+")  # postgres, sqlite, or an SQLAlchemy dialect
    if kind == "sqlite":
        # Airflow stores the path as the host.
        path = connection.host or connection.schema
        if not path:
            raise ConfigurationError(
                f"connection {conn_id!r} does not name a file",
                advice="Set its host to the file's path; as a URI: sqlite:////var/lib/events.db.",
            )
        return URL.create("sqlite", database=path)
    if not kind or not connection.host or not connection.schema:
        raise ConfigurationError(
            f"connection {conn_id!r} does not name a database",
            advice="Set its type (for example postgres), its host, and its schema, which is the database's name.",
        )
    return URL.create(
        "postgresql" if kind in _POSTGRES else kind,
        username=connection.login or None,
        password=connection.password or None,
        host=connection.host,
        port=connection.port,
        database=connection.schema,
        query=_options(connection.extra) if kind.partition("+")[0] in _POSTGRES else {},
    )


def _options(extra: str | None) -> dict[str, str]:
    try:
        found = json.loads(extra or "{}")
    except ValueError:
        return {}
    return {name: str(found[name]) for name in _EXTRAS if isinstance(found, dict) and found.get(name)}


@contextlib.contextmanager
def recorded_send(
    context: Mapping[str, Any], send_hash: str, config: ClientConfig, template_name: str | None
) -> Iterator[None]:
    """Record in the event store, if any, which task sends in the block; the block does not wait for the record."""
    recorder = send_recorder(context, send_hash, config, template_name)
    if recorder is None:
        yield
        return
    recorder.start()
    try:
        yield
    finally:
        recorder.finish()


def send_recorder(
    context: Mapping[str, Any],
    send_hash: str,
    config: ClientConfig,
    template_name: str | None,
    *,
    ask: Callable[[Callable[[], URL | None]], URL | None] = lambda find: find(),
) -> SendRecorder | None:
    """Return what records a task in the event store; None: there is no store or no task."""
    ti: Any = context.get("ti")
    # ask calls the look-up of the store's connection, for example within a time budget.
    url = _url_or_warning(ask) if ti is not None and events_conn_id() is not None else None
    if url is None:
        return None
    from airflow_provider_whatsapp.events.sends import Send, SendRecorder

    return SendRecorder(
        url,
        Send(
            send_hash=send_hash,
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            task_id=ti.task_id,
            map_index=getattr(ti, "map_index", -1),
            account_id=config.waba_id,
            phone_number_id=config.phone_number_id,
            template_name=template_name,
            sent_at=datetime.now(UTC),
        ),
    )


def _url_or_warning(ask: Callable[[Callable[[], URL | None]], URL | None]) -> URL | None:
    try:
        return ask(event_store_url)
    except WhatsAppError as error:
        logger.warning("The event store could not record this task: %s", error)
    except Exception as error:  # a secrets backend raises errors of other types
        logger.warning("The event store could not record this task (%s)", type(error).__name__)
    return None
