"""``python -m airflow_provider_whatsapp``."""

from __future__ import annotations

import sys
from typing import Any

from airflow_provider_whatsapp.cli import main


def _open_url(url: str) -> Any:
    from airflow_provider_whatsapp.hooks.object_stores import as_object_path

    return as_object_path(url)


def _open_database(conn_id: str) -> Any:
    from airflow_provider_whatsapp.operators._database import database_hook

    return database_hook(conn_id)


def _airflow_connections() -> Any:
    from airflow_provider_whatsapp.airflow_cli import AirflowConnections

    return AirflowConnections()


if __name__ == "__main__":
    sys.exit(
        main(
            open_url=_open_url,
            open_database=_open_database,
            airflow_connections=_airflow_connections,
        )
    )
