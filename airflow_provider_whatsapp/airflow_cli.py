"""``airflow whatsapp ...``, from Airflow 3.2 on: the commands of ``python -m airflow_provider_whatsapp``."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from airflow_provider_whatsapp.client.config import ClientConfig
    from airflow_provider_whatsapp.client.redis_server import RedisServer


def get_cli_commands() -> list[Any]:
    """Return the commands in Airflow's form; every ``airflow`` command loads this module."""
    from airflow.cli.cli_config import GroupCommand

    from airflow_provider_whatsapp import cli, webhook
    from airflow_provider_whatsapp import doctor as examine

    groups = [
        GroupCommand(
            name="templates",
            help="Message templates as code",
            subcommands=[
                _command(name, *about, partial(_templates, name))
                for name, about in cli.TEMPLATE_COMMANDS.items()
            ],
        ),
        GroupCommand(
            name="webhook",
            help=webhook.HELP,
            subcommands=[
                _command(name, *about, partial(_webhook, name)) for name, about in webhook.COMMANDS.items()
            ],
        ),
    ]
    alone = [
        _command("connect", cli.CONNECT_HELP, cli.CONNECT_OPTIONS, _connect),
        _command("doctor", examine.HELP, examine.OPTIONS, _doctor),
        _command("results", cli.RESULTS_HELP, cli.RESULTS_OPTIONS, _results),
    ]
    return [GroupCommand(name="whatsapp", help="WhatsApp through Maton", subcommands=[*groups, *alone])]


def _command(name: str, text: str, options: Iterable[Any], run: Callable[[argparse.Namespace], None]) -> Any:
    from airflow.cli.cli_config import ActionCommand, Arg

    args = [Arg(flags, **fields) for flags, fields in options]  # type: ignore[no-untyped-call]  # Airflow's
    return ActionCommand(name=name, help=text, func=run, args=args)


class AirflowConnections:
    """The connections in Airflow's own database, as ``airflow connections`` reads and writes them."""

    def has(self, conn_id: str) -> bool:
        """Return whether there is a connection of this name."""
        from airflow.models.connection import Connection
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            return session.scalar(select(Connection.id).where(Connection.conn_id == conn_id)) is not None

    def save(self, conn_id: str, text: str) -> None:
        """Store a connection in place of the one of the same name; Airflow encrypts its password and its extras."""
        from airflow.models.connection import Connection
        from airflow.utils.session import create_session
        from sqlalchemy import select

        made = Connection.from_json(text, conn_id=conn_id)
        with create_session() as session:
            found = session.scalar(select(Connection).where(Connection.conn_id == conn_id))
            if found is None:
                session.add(made)
                return
            for name in ("conn_type", "description", "host", "login", "password", "schema", "port", "extra"):
                setattr(found, name, getattr(made, name))


def _connect(given: argparse.Namespace) -> None:
    from airflow_provider_whatsapp.connect import connect_command

    given.airflow_connections = AirflowConnections
    sys.exit(connect_command(given))


def _doctor(given: argparse.Namespace) -> None:
    from airflow_provider_whatsapp.doctor import doctor_command

    sys.exit(doctor_command(given, find_config=_config))


def _results(given: argparse.Namespace) -> None:
    from airflow_provider_whatsapp.cli import results_command
    from airflow_provider_whatsapp.hooks.object_stores import as_object_path

    given.open_url = as_object_path
    sys.exit(results_command(given))


def _templates(command: str, given: argparse.Namespace) -> None:
    from airflow_provider_whatsapp.cli import templates_command

    given.command = command
    sys.exit(templates_command(given, find_config=_config))


def _webhook(command: str, given: argparse.Namespace) -> None:
    from airflow_provider_whatsapp.webhook import webhook_command

    given.command = command
    sys.exit(webhook_command(given, _config))


def _config(given: argparse.Namespace) -> ClientConfig:
    """Look the connection up where Airflow keeps it; where there is none, a key in the environment will do."""
    from airflow.models.connection import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    from airflow_provider_whatsapp.client.connection import API_KEY_VARIABLE, client_config, read_extra
    from airflow_provider_whatsapp.client.errors import ConfigurationError
    from airflow_provider_whatsapp.command_connection import DEFAULT_CONN_ID, config_of, with_options

    conn_id = given.conn_id or DEFAULT_CONN_ID
    try:
        # Hooks look it up as a task does, and outside of one they do not see Airflow's database.
        found = Connection.get_connection_from_secrets(conn_id)
    except AirflowNotFoundException as error:
        if not given.conn_id and os.environ.get(API_KEY_VARIABLE, "").strip():
            return config_of(given)
        msg = f"there is no connection {conn_id!r}"
        advice = "Create it with `airflow whatsapp connect`, or under Admin > Connections."
        raise ConfigurationError(msg, advice=advice) from error
    extra = read_extra(conn_id, found.extra)
    host = given.host or found.host
    config = client_config(conn_id, password=found.password, host=host, extra=extra, find_redis=_redis_server)
    return with_options(config, given)


def _redis_server(conn_id: str) -> RedisServer:
    from airflow.models.connection import Connection

    from airflow_provider_whatsapp.client.connection import read_extra
    from airflow_provider_whatsapp.client.redis_server import redis_server

    found = Connection.get_connection_from_secrets(conn_id)
    return redis_server(
        conn_id,
        conn_type=found.conn_type,
        host=found.host,
        port=found.port,
        login=found.login,
        password=found.password,
        extra=read_extra(conn_id, found.extra),
    )
