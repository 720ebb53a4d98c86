"""From an Airflow connection to the client's configuration, each field read by its name."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.config import (
    DEFAULT_API_VERSION,
    DEFAULT_MAX_RETRIES,
    DEFAULT_RATE_LIMIT,
    DEFAULT_TIMEOUT,
    GRAPHS_APP,
    ClientConfig,
)
from airflow_provider_whatsapp.client.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

API_KEY_VARIABLE = "MATON_API_KEY"


def client_config(
    conn_id: str,
    *,
    password: str | None,
    host: str | None,
    extra: Mapping[str, Any],
    phone_number_id: str | None = None,
    waba_id: str | None = None,
) -> ClientConfig:
    """
    Build a configuration from a connection's parts; what an operator gives wins over the connection.

    :param conn_id: The connection's id, for errors.
    :param password: Maton API key; empty: the environment variable ``MATON_API_KEY``.
    :param host: Base URL of both planes; empty: Maton's own.
    :param extra: The connection's extra; keys that this package does not know are ignored.
    :param phone_number_id: The operator's own sender.
    :param waba_id: The operator's own account.
    :raises ConfigurationError: A value is missing or malformed; says which, and where to set it.
    """
    key = (password or os.environ.get(API_KEY_VARIABLE) or "").strip()
    if not key:
        msg = f"connection {conn_id!r} has no Maton API key"
        raise ConfigurationError(
            msg,
            advice=f"Put it in the connection's password, or in the environment variable {API_KEY_VARIABLE}; "
            "maton.ai/settings shows it.",
        )
    return ClientConfig(
        api_key=key,
        host=_text(host),
        phone_number_id=_text(phone_number_id) or _text(extra.get("phone_number_id")),
        waba_id=_text(waba_id) or _text(extra.get("waba_id")),
        connection_id=_text(extra.get("connection_id")),
        app_id=_text(extra.get("app_id")) or GRAPHS_APP,
        api_version=_text(extra.get("api_version")) or DEFAULT_API_VERSION,
        rate_limit=_number(extra, "rate_limit", DEFAULT_RATE_LIMIT),
        timeout=_timeout(extra),
        max_retries=int(_number(extra, "max_retries", DEFAULT_MAX_RETRIES)),
        proxies=_proxies(extra),
        verify=_verify(extra),
        plus_prefix=_flag(extra.get("plus_prefix"), default=True),
        default_country=(_text(extra.get("default_country")) or "").upper() or None,
    )


def config_from_environment(conn_id: str, environment: Mapping[str, str], **own: Any) -> ClientConfig | None:
    """
    Build a configuration from ``AIRFLOW_CONN_<ID>``, or return None when there is no such variable.

    :param conn_id: The connection's id.
    :param environment: Variables, ``os.environ`` say.
    :param own: ``phone_number_id`` and ``waba_id`` that win over the connection's.
    :raises ConfigurationError: It is not JSON, or a value in it is missing or malformed.
    """
    name = f"AIRFLOW_CONN_{conn_id.upper()}"
    text = environment.get(name)
    if text is None:
        return None
    try:
        connection = json.loads(text)
    except ValueError:
        connection = None
    if not isinstance(connection, dict):
        msg = f"{name} is not a JSON object"
        advice = (
            """Write it as {"password": "...", "extra": {"waba_id": "..."}}; the URI form is not read here."""
        )
        raise ConfigurationError(msg, advice=advice)
    extra = connection.get("extra")
    fields = extra if isinstance(extra, dict) else read_extra(conn_id, extra)
    return client_config(
        conn_id, password=connection.get("password"), host=connection.get("host"), extra=fields, **own
    )


def read_extra(conn_id: str, extra: str | None) -> dict[str, Any]:
    """
    Read a connection's extra.

    :param conn_id: The connection's id, for errors.
    :param extra: JSON text; may be empty.
    :raises ConfigurationError: It is not a JSON object.
    """
    try:
        fields = json.loads(extra or "{}")
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        msg = f"the extra of connection {conn_id!r} is not a JSON object"
        raise ConfigurationError(msg, advice='Write it as {"phone_number_id": "...", "waba_id": "..."}.')
    return fields


def _text(value: Any) -> str | None:
    text = str(value).strip() if value is not None else ""
    return text or None


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {})


def _number(extra: Mapping[str, Any], name: str, default: float) -> float:
    value = extra.get(name)
    if _is_empty(value):
        return default
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise _bad(name, value, "a number") from None


def _flag(value: Any, *, default: bool) -> bool:
    if isinstance(value, str):
        return {"true": True, "1": True, "false": False, "0": False}.get(value.strip().lower(), default)
    return default if value is None else bool(value)


def _parsed(extra: Mapping[str, Any], name: str) -> Any:
    """Read a field that the form gives as JSON text and an environment variable as JSON itself."""
    value = extra.get(name)
    if isinstance(value, str) and value.strip():
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _timeout(extra: Mapping[str, Any]) -> tuple[float, float]:
    value = _parsed(extra, "timeout")
    if _is_empty(value):
        return DEFAULT_TIMEOUT
    pair = [value, value] if isinstance(value, int | float) else value
    try:
        connect, read = (float(seconds) for seconds in pair)
    except (TypeError, ValueError):
        raise _bad("timeout", value, "seconds, as [connect, read]: [5, 30]") from None
    return connect, read


def _proxies(extra: Mapping[str, Any]) -> dict[str, str] | None:
    value = _parsed(extra, "proxies")
    if _is_empty(value):
        return None
    if isinstance(value, dict) and all(isinstance(url, str) for url in value.values()):
        return value
    # A proxy's URL may hold a password, so the value is not repeated.
    msg = "extra.proxies is not a mapping from scheme to URL"
    raise ConfigurationError(msg, advice='Write it as {"https": "http://proxy.example:3128"}.')


def _verify(extra: Mapping[str, Any]) -> bool | str:
    value = extra.get("verify")
    if isinstance(value, str) and value.strip().lower() not in ("", "true", "false", "0", "1"):
        return value.strip()
    return _flag(value, default=True) if value != "" else True


def _bad(name: str, value: Any, wanted: str) -> ConfigurationError:
    return ConfigurationError(f"extra.{name} is {value!r}", advice=f"Set it to {wanted}, or leave it empty.")
