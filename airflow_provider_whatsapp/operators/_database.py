"""The hook of a database's connection, for any kind of database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def database_hook(
    conn_id: str, *, hook_params: Mapping[str, Any] | None = None, database: str | None = None
) -> Any:
    """Return the hook of a connection; raises ConfigurationError if no installed provider reads SQL from its type."""
    from airflow.sdk import BaseHook

    from airflow_provider_whatsapp.client.errors import ConfigurationError
    from airflow_provider_whatsapp.tables.files import missing

    try:
        from airflow.providers.common.sql.hooks.sql import DbApiHook
    except ImportError as error:
        raise missing("apache-airflow-providers-common-sql", "sql") from error
    connection: Any = BaseHook.get_connection(conn_id)
    try:
        hook = connection.get_hook(hook_params=dict(hook_params or {}))
    except Exception as error:
        if "Unknown hook type" not in str(error):
            raise
        hook = None
    if not isinstance(hook, DbApiHook):
        raise ConfigurationError(
            f"connection {conn_id!r} is of type {connection.conn_type!r}, and no installed provider reads SQL from "
            "that type",
            advice="Install one where the task runs, for example apache-airflow-providers-postgres.",
        )
    if database:
        setattr(hook, "database" if hook.conn_type == "postgres" else "schema", database)
    return hook
