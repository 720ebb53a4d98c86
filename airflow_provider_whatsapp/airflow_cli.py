"""``airflow whatsapp ...``, from Airflow 3.2 on: the commands of ``python -m airflow_provider_whatsapp``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from airflow_provider_whatsapp.client.config import ClientConfig
    from airflow_provider_whatsapp.client.redis_server import RedisServer


def get_cli_commands() -> list[Any]:
    """Return the commands in Airflow's form; every ``airflow`` command loads this module."""
    from airflow.cli.cli_config import GroupCommand

    from airflow_provider_whatsapp import cli, webhook
    from airflow_provider_whatsapp import doctor as examine

    templates = _commands(cli.TEMPLATE_COMMANDS, "_templates")
    hooks = _commands(webhook.COMMANDS, "_webhook")
    alone = {
        "connect": (cli.CONNECT_HELP, cli.CONNECT_OPTIONS),
        "doctor": (examine.HELP, examine.OPTIONS),
        "results": (cli.RESULTS_HELP, cli.RESULTS_OPTIONS),
    }
    groups = [
        GroupCommand(name="templates", help="Message templates as code", subcommands=templates),
        GroupCommand(name="webhook", help=webhook.HELP, subcommands=hooks),
    ]
    subcommands = [*groups, *_commands(alone, "")]
    return [GroupCommand(name="whatsapp", help="WhatsApp through Maton", subcommands=subcommands)]


def _commands(table: Mapping[str, tuple[str, Any]], suffix: str) -> list[Any]:
    """Return Airflow's form of commands; the function of each is called as the command is, with a suffix."""
    from airflow.cli.cli_config import ActionCommand, Arg, lazy_load_command

    return [
        ActionCommand(
            name=name,
            help=text,
            func=lazy_load_command(f"{__name__}.{name}{suffix}"),
            args=[Arg(flags, **fields) for flags, fields in options],  # type: ignore[no-untyped-call]  # Airflow's
        )
        for name, (text, options) in table.items()
    ]


class AirflowConnections:
    """The connections in Airflow's own database, as ``airflow connections`` reads and writes them."""

    def has(self, conn_id: str) -> bool:
        """
        Return whether there is a connection of this name.

        :param conn_id: The name.
        """
        from airflow.models.connection import Connection
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            return session.scalar(select(Connection.id).where(Connection.conn_id == conn_id)) is not None

    def save(self, conn_id: str, text: str) -> None:
        """
        Store a connection in place of the one of the same name; Airflow encrypts its password and its extras.

        :param conn_id: The name.
        :param text: The connection as JSON.
        """
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


def connect(given: argparse.Namespace) -> None:
    """
    Run ``airflow whatsapp connect``.

    :param given: The parsed command line.
    """
    from airflow_provider_whatsapp.connect import connect_command

    given.airflow_connections = AirflowConnections
    sys.exit(connect_command(given))


def doctor(given: argparse.Namespace) -> None:
    """
    Run ``airflow whatsapp doctor``.

    :param given: The parsed command line.
    """
    from airflow_provider_whatsapp.doctor import doctor_command

    sys.exit(doctor_command(given, find_config=_config))


def results(given: argparse.Namespace) -> None:
    """
    Run ``airflow whatsapp results``.

    :param given: The parsed command line.
    """
    from airflow_provider_whatsapp.cli import results_command
    from airflow_provider_whatsapp.hooks.object_stores import as_object_path

    given.open_url = as_object_path
    sys.exit(results_command(given))


def plan_templates(given: argparse.Namespace) -> None:
    """
    Run ``airflow whatsapp templates plan``.

    :param given: The parsed command line.
    """
    _run("plan", given)


def apply_templates(given: argparse.Namespace) -> None:
    """
    Run ``airflow whatsapp templates apply``.

    :param given: The parsed command line.
    """
    _run("apply", given)


def pull_templates(given: argparse.Namespace) -> None:
    """
    Run ``airflow whatsapp templates pull``.

    :param given: The parsed command line.
    """
    _run("pull", given)


def subscribe_webhook(given: argparse.Namespace) -> None:
    """
    Run ``airflow whatsapp webhook subscribe``.

    :param given: The parsed command line.
    """
    _run_webhook("subscribe", given)


def status_webhook(given: argparse.Namespace) -> None:
    """
    Run ``airflow whatsapp webhook status``.

    :param given: The parsed command line.
    """
    _run_webhook("status", given)


def unsubscribe_webhook(given: argparse.Namespace) -> None:
    """
    Run ``airflow whatsapp webhook unsubscribe``.

    :param given: The parsed command line.
    """
    _run_webhook("unsubscribe", given)


def _run_webhook(command: str, given: argparse.Namespace) -> None:
    from airflow_provider_whatsapp.webhook import webhook_command

    given.command = command
    sys.exit(webhook_command(given, _config))


def _run(command: str, given: argparse.Namespace) -> None:
    from airflow_provider_whatsapp.cli import templates_command

    given.command = command
    sys.exit(templates_command(given, find_config=_config))


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
        advice = "Make one by `airflow whatsapp connect`, or under Admin > Connections."
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
