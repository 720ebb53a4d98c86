"""Makes the client's configuration from an Airflow connection, whose fields are read by their names."""

from __future__ import annotations

import difflib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_whatsapp.client.config import (
    DEFAULT_API_VERSION,
    DEFAULT_MAX_RETRIES,
    DEFAULT_PACE_SHARE,
    DEFAULT_RATE_LIMIT,
    DEFAULT_TIMEOUT,
    GRAPHS_APP,
    ClientConfig,
)
from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.client.hosts import is_loopback, is_maton_s
from airflow_provider_whatsapp.client.masking import clean_line
from airflow_provider_whatsapp.client.redis_server import find_server, server_from_environment
from airflow_provider_whatsapp.get_provider_info import CONN_TYPE, CONNECTION_FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_whatsapp.client.redis_server import RedisServer

API_KEY_VARIABLE = "MATON_API_KEY"


def client_config(
    conn_id: str,  # for errors
    *,
    password: str | None,  # empty: the variable MATON_API_KEY, where environment_key() permits it
    host: str | None,  # base URL of both planes; empty: Maton's own
    extra: Mapping[str, Any],  # unread() names its fields that have no effect
    phone_number_id: str | None = None,  # the operator's own sender
    waba_id: str | None = None,  # the operator's own account
    find_redis: Callable[[str], RedisServer] | None = None,  # by a connection's ID; None: in the environment
) -> ClientConfig:
    """Return the configuration from a connection's parts; an operator's arguments take precedence over it."""
    host, verify = _text(host), _verify(extra)
    return ClientConfig(
        api_key=_key(conn_id, password, host, verify=verify),
        host=host,
        phone_number_id=_text(phone_number_id) or _text(extra.get("phone_number_id")),
        waba_id=_text(waba_id) or _text(extra.get("waba_id")),
        connection_id=_text(extra.get("connection_id")),
        app_id=_text(extra.get("app_id")) or GRAPHS_APP,
        api_version=_text(extra.get("api_version")) or DEFAULT_API_VERSION,
        rate_limit=_number(extra, "rate_limit", DEFAULT_RATE_LIMIT),
        timeout=_timeout(extra),
        max_retries=_whole(extra, "max_retries", DEFAULT_MAX_RETRIES),
        proxies=_proxies(extra),
        verify=verify,
        plus_prefix=_flag(extra, "plus_prefix", default=True),
        default_country=(_text(extra.get("default_country")) or "").upper() or None,
        pace_redis=find_server(_text(extra.get("pace_redis")), find_redis or _redis_of_the_environment),
        pace_share=_number(extra, "pace_share", DEFAULT_PACE_SHARE),
    )


def _key(conn_id: str, password: str | None, host: str | None, *, verify: bool | str) -> str:
    key = (password or "").strip() or environment_key(host, verify=verify)
    if not key:
        raise ConfigurationError(
            f"connection {conn_id!r} has no Maton API key",
            advice=f"Put it in the connection's password, or in the environment variable {API_KEY_VARIABLE}; "
            "maton.ai/settings shows it.",
        )
    return key


def _redis_of_the_environment(conn_id: str) -> RedisServer:
    return server_from_environment(conn_id, os.environ)


def environment_key(host: str | None, *, verify: bool | str = True) -> str:
    """Return ``MATON_API_KEY``, "" if it is not set; raises ConfigurationError if the host must not get the key."""
    # People who may edit a connection choose its host; this key is not theirs, so only Maton and this machine get it.
    key = os.environ.get(API_KEY_VARIABLE, "").strip()
    if not key or is_loopback(host) or (is_maton_s(host) and verify is not False):
        return key
    whose = "whose certificate is not checked (verify)" if is_maton_s(host) else "that is not Maton's"
    msg = f"the environment variable {API_KEY_VARIABLE} is not sent to a host {whose}"
    raise ConfigurationError(msg, advice="Put the key for this host into the connection's password.")


def unread(
    conn_id: str, *, conn_type: str | None, port: int | None, host: str | None, extra: Mapping[str, Any]
) -> list[str]:
    """Return what has no effect in a connection, which its author may not expect, as sentences without values."""
    said = []
    if conn_type and conn_type != CONN_TYPE:
        said.append(
            f"Connection {conn_id!r} is of type {clean_line(conn_type, limit=40)!r}, not {CONN_TYPE!r}."
        )
    # Airflow's own connection test needs port 443 on some versions.
    if port and port != _port(host):
        said.append(
            f"Port {port} of connection {conn_id!r} has no effect: write it into host, as in https://host:{port}."
        )
    if is_loopback(host) and not _is_empty(extra.get("proxies")):
        said.append(f"The proxies of connection {conn_id!r} are not used: its host is this machine.")
    for name in extra:
        if name not in CONNECTION_FIELDS:
            close = difflib.get_close_matches(str(name), CONNECTION_FIELDS, n=1)
            meant = f"; did you mean {close[0]!r}?" if close else "."
            said.append(
                f"{clean_line(name, limit=40)!r} in the extra of connection {conn_id!r} has no effect{meant}"
            )
    return said


def _port(host: str | None) -> int | None:
    try:
        parts = urlsplit(host or "https://")
        return parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return None


def config_from_environment(conn_id: str, environment: Mapping[str, str], **own: Any) -> ClientConfig | None:
    """Return the configuration from ``AIRFLOW_CONN_<ID>``; None: the variable is not set."""
    name = f"AIRFLOW_CONN_{conn_id.upper()}"
    text = environment.get(name)
    if text is None:
        return None
    try:
        connection = json.loads(text)
    except (ValueError, RecursionError):
        connection = None
    if not isinstance(connection, dict):
        msg = f"{name} is not a JSON object"
        advice = """Write it as {"password": "...", "extra": {"waba_id": "..."}}; the URI form works in Airflow only."""
        raise ConfigurationError(msg, advice=advice)
    extra = connection.get("extra")
    fields = extra if isinstance(extra, dict) else read_extra(conn_id, extra)
    given = {"password": connection.get("password"), "host": connection.get("host"), "extra": fields}
    # phone_number_id, waba_id and host of the caller take precedence over the connection's.
    return client_config(conn_id, **{**given, **own})


def config_or_key(
    conn_id: str | None, environment: Mapping[str, str], *, default: str, host: str | None = None
) -> ClientConfig | None:
    """Return the configuration of a command; None: the environment has neither the connection nor a key."""
    # A connection that is named is required. Without a name, MATON_API_KEY may replace the default connection.
    # The host takes precedence over the connection's, and decides whether a key of the environment may be used.
    own = {"host": host} if host else {}
    found = config_from_environment(conn_id or default, environment, **own)
    if found is None and not conn_id and environment.get(API_KEY_VARIABLE, "").strip():
        found = client_config(default, password=None, host=host, extra={})
    return found


def read_extra(conn_id: str, extra: str | None) -> dict[str, Any]:
    """Return a connection's extra from its JSON text, which may be empty."""
    try:
        fields = json.loads(extra or "{}")
    except (ValueError, RecursionError):
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
        return _seconds(value)
    except (TypeError, ValueError, OverflowError):
        raise _bad(name, value, "a number") from None


def _seconds(value: Any) -> float:
    if isinstance(value, bool):  # float() would read true as 1
        raise TypeError
    return float(value)


def _whole(extra: Mapping[str, Any], name: str, default: int) -> int:
    number = float(_number(extra, name, default))
    if not number.is_integer():
        raise _bad(name, extra.get(name), "a whole number")
    return int(number)


_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def _flag(extra: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = extra.get(name)
    found = default if value is None or value == "" else _FLAGS.get(str(value).strip().lower())
    if found is None:
        raise _bad(name, value, "true or false")
    return found


def _parsed(extra: Mapping[str, Any], name: str) -> Any:
    """Return a field that the form gives as JSON text, and an environment variable as JSON."""
    value = extra.get(name)
    if isinstance(value, str) and value.strip():
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _timeout(extra: Mapping[str, Any]) -> tuple[float, float]:
    value = _parsed(extra, "timeout")
    if _is_empty(value):
        return DEFAULT_TIMEOUT
    pair = [value, value] if isinstance(value, int | float) else value
    try:
        connect, read = map(_seconds, pair if isinstance(pair, list | tuple) else ())
    except (TypeError, ValueError, OverflowError):
        raise _bad("timeout", value, "seconds, as [connect, read]: [5, 30]") from None
    return connect, read


def _proxies(extra: Mapping[str, Any]) -> dict[str, str] | None:
    value = _parsed(extra, "proxies")
    if _is_empty(value):
        return None
    if isinstance(value, dict) and all(isinstance(url, str) for url in value.values()):
        return value
    # A proxy's URL may contain a password, so the error does not quote the value.
    msg = "extra.proxies is not a mapping from scheme to URL"
    raise ConfigurationError(msg, advice='Write it as {"https": "http://proxy.example:3128"}.')


def _verify(extra: Mapping[str, Any]) -> bool | str:
    value = extra.get("verify")
    text = value.strip() if isinstance(value, str) else ""
    if text and text.lower() not in _FLAGS:
        # "no" or "off" would be read as the path of a missing file.
        if not ({"/", os.sep} & {*text} or Path(text).exists()):
            raise _bad("verify", value, "true, false or the path of a CA bundle")
        return text
    if value is None or isinstance(value, bool | str):
        return _flag(extra, "verify", default=True)
    raise _bad("verify", value, "true, false or the path of a CA bundle")


def _bad(name: str, value: Any, wanted: str) -> ConfigurationError:
    shown = clean_line(repr(value), limit=60)
    return ConfigurationError(f"extra.{name} is {shown}", advice=f"Set it to {wanted}, or leave it empty.")
