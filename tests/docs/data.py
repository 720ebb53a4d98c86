"""Blocks that are data: each kind is told by its fields, and held against what reads it."""

from __future__ import annotations

import configparser
import json
import tomllib
from typing import TYPE_CHECKING, Any

import jsonschema
import yaml

from airflow_provider_whatsapp import cli, pytest_plugin
from airflow_provider_whatsapp.client.connection import client_config
from airflow_provider_whatsapp.client.redis_server import RedisServer
from airflow_provider_whatsapp.delivery.delivery_report import DeliveryCounts
from airflow_provider_whatsapp.events import command as receiver
from airflow_provider_whatsapp.events.opt_out_words import MEANINGS, opt_out_words
from airflow_provider_whatsapp.get_provider_info import CONFIG_OPTIONS, CONN_TYPE, CONNECTION_FIELDS
from airflow_provider_whatsapp.message_templates.files import load_templates
from airflow_provider_whatsapp.notifications.routes import load_routes
from tests.docs.pages import ROOT, Block, PageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SCHEMA = json.loads(
    (ROOT / "airflow_provider_whatsapp" / "message_templates" / "template.schema.json").read_text("utf-8")
)
RECEIVER_VARIABLES = {receiver.DATABASE, receiver.VERIFY_TOKEN, receiver.APP_SECRET, receiver.PATH_SECRET}
REPORT = {"total", "sent", "failed", "unknown", "skipped", "results"}
DELIVERY = {*DeliveryCounts().to_dict(), "results_path"}


def check(block: Block, folder: Path) -> None:
    """
    Parse a block of data and hold it against what it is for.

    :param block: The block.
    :param folder: Where the page's files are.
    :raises PageError: It is not right, or nobody knows what it is for.
    """
    try:
        READERS[block.language](block, folder)
    except PageError:
        raise
    except Exception as error:
        raise PageError(f"{block.place}: {type(error).__name__}: {error}") from error


def _json(block: Block, folder: Path) -> None:
    value = json.loads(block.text)
    if isinstance(value, dict) and "conn_type" in value:
        check_connection(value)
    elif isinstance(value, dict) and "total" in value:
        assert set(value) >= (DELIVERY if "failed_late" in value else REPORT), set(value)
        assert value["total"] == sum(value[name] for name in ("sent", "failed", "unknown", "skipped"))
    elif isinstance(value, dict) and "default" in value:
        assert load_routes(value, None)
    elif isinstance(value, dict) and set(value) <= set(MEANINGS):
        assert opt_out_words(folder / block.file)
    else:
        raise PageError(f"{block.place}: JSON that no check knows: {sorted(value)[:5]}")


def check_connection(value: dict[str, Any]) -> None:
    """
    Let our own parser read a connection.

    :param value: The connection.
    """
    assert value["conn_type"] == CONN_TYPE
    assert set(value.get("extra", {})) <= set(CONNECTION_FIELDS)
    client_config(
        "docs",
        password=value.get("password"),
        host=value.get("host"),
        extra=value.get("extra", {}),
        find_redis=lambda conn_id: RedisServer(nodes=((conn_id, 6379),)),
    )


def _yaml(block: Block, folder: Path) -> None:
    for value in yaml.safe_load_all(block.text):
        if isinstance(value, dict) and "languages" in value:
            jsonschema.validate(value, SCHEMA)
            load_templates(folder / block.file if block.file else value, folder=str(folder))
        elif isinstance(value, dict) and set(value) <= {"templates", "prune"}:
            jsonschema.validate({"templates": [], **value}, SCHEMA)
        elif isinstance(value, dict) and "env" in value:
            for each in value["env"]:
                check_variable(each["name"])
        elif isinstance(value, dict) and "services" in value:
            for service in value["services"].values():
                check_service(service["command"], service["environment"])
        elif isinstance(value, dict) and value.get("kind") == "Deployment":
            for container in value["spec"]["template"]["spec"]["containers"]:
                check_service(container["command"], [each["name"] for each in container.get("env", ())])
        else:
            raise PageError(f"{block.place}: YAML that no check knows: {value!r:.80}")


def check_service(command: list[str], variables: Iterable[str]) -> None:
    """
    Let our own parser read what a container runs, and refuse variables that it does not know.

    :param command: The container's.
    :param variables: Names of the environment.
    """
    assert command[:3] == ["python", "-m", "airflow_provider_whatsapp"]
    cli.parser().parse_args(command[3:])
    assert set(variables) <= RECEIVER_VARIABLES, variables


def check_variable(name: str) -> None:
    """
    Refuse a variable of the environment that neither Airflow nor this package reads.

    :param name: Its name.
    """
    from airflow.configuration import conf

    kind, _, rest = name.partition("__")
    if kind == "AIRFLOW" and rest:
        section, _, option = rest.lower().partition("__")
        known = conf.configuration_description.get(section, {}).get("options", {})
        assert option in known or (section == "whatsapp" and option in CONFIG_OPTIONS), name
    else:
        assert name.startswith(("AIRFLOW_CONN_", "AIRFLOW_HOME", "MATON_API_KEY")), name


def _toml(block: Block, folder: Path) -> None:
    options = tomllib.loads(block.text)["tool"]["pytest"]["ini_options"]
    assert set(options) == {pytest_plugin.OPTIONS}, options


def _ini(block: Block, folder: Path) -> None:
    read = configparser.ConfigParser(interpolation=None)
    read.read_string(block.text)
    for section in read.sections():
        for option in read[section]:
            check_variable(f"AIRFLOW__{section.upper()}__{option.upper()}")


READERS = {"json": _json, "yaml": _yaml, "toml": _toml, "ini": _ini}
