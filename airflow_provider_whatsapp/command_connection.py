"""Which connection a command uses: that of the environment, with the command line's options over it."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from airflow_provider_whatsapp.client.config import ClientConfig

DEFAULT_CONN_ID = "maton_whatsapp_default"


def config_of(given: argparse.Namespace) -> ClientConfig:
    """Read the connection from the environment, and let options win over it."""
    from airflow_provider_whatsapp.client.connection import API_KEY_VARIABLE, config_or_key
    from airflow_provider_whatsapp.client.errors import ConfigurationError

    found = config_or_key(given.conn_id, os.environ, default=DEFAULT_CONN_ID, host=given.host)
    if found is None:
        conn_id = given.conn_id or DEFAULT_CONN_ID
        option = f" --conn-id {shlex.quote(conn_id)}" if given.conn_id else ""
        own = " ".join(filter(None, (given.group, getattr(given, "command", None))))
        alone = "leave out --conn-id, set" if given.conn_id else "set"
        variable = f"AIRFLOW_CONN_{conn_id.upper()}"
        msg = f"the environment has no {variable}, and this command does not read Airflow's connections"
        advice = (
            "If Airflow keeps the connection (connect --save, or Admin > Connections), run "
            f"`airflow whatsapp {own}{option}` (Airflow 3.2 and later). "
            f"If a file keeps it (connect --env-file .env), run `{loading('.env')}` first. "
            f"Else set {variable} to the connection as JSON, or {alone} {API_KEY_VARIABLE} and give --waba-id."
        )
        raise ConfigurationError(msg, advice=advice)
    return with_options(found, given)


def loading(file: str) -> str:
    """Return the shell's command that sets the variables of a file of ``NAME='value'`` lines."""
    return f"set -a; . {shlex.quote(file if '/' in file else f'./{file}')}; set +a"


def with_options(config: ClientConfig, given: argparse.Namespace) -> ClientConfig:
    """Let options win over the connection."""
    names = ("phone_number_id", "waba_id", "host", "app_id")
    own = {name: getattr(given, name, None) for name in names}
    return replace(config, **{name: value for name, value in own.items() if value})
