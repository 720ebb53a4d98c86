"""
Where Redis is, and how to connect to it: by a URL, or by the fields of an Airflow connection of type ``redis``.

Redis paces all machines of an account. A request needs an answer within a second or none, so this module sets timeouts
and retries itself: with its defaults, redis-py would hide an outage for a minute.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from airflow_provider_whatsapp.client.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

CONN_TYPE = "redis"
PORT = 6379
SENTINEL_PORT = 26379
TIMEOUT = 1.0
"""Seconds to connect, and for each answer."""

URL_VARIABLE = "WHATSAPP_PACE_REDIS_URL"
"""Environment variable with a URL, for commands without Airflow's connections; it may contain a password."""

_CONNECTION_ID = re.compile(r"[\w.-]{1,250}", re.ASCII)
_CERTIFICATES = ("required", "optional", "none")
_PATHS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_URL_OPTIONS = (*_PATHS, "ssl_cert_reqs", "ssl_check_hostname", "cluster", "sentinel")
_YES_NO = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_ADVICE = (
    "Write redis://host:6379/0 or rediss://host:6380/0, or the ID of an Airflow connection of type redis."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisServer:
    """One Redis: a server, a cluster, or the master that Sentinels watch."""

    nodes: tuple[tuple[str, int], ...]  # hosts with their ports; several for a cluster or Sentinels
    db: int = 0
    username: str | None = None  # of Redis' ACL; None: the default user
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    cluster: bool = False
    sentinel: str | None = None  # the master that the nodes, as Sentinels, watch; None: they are Redis
    sentinel_username: str | None = None  # of the Sentinels' own ACL
    sentinel_password: str | None = field(default=None, repr=False)
    ssl_ca_certs: str | None = None  # path of the CA bundle; None: the system's
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_cert_reqs: str = "required"
    ssl_check_hostname: bool = True

    def __post_init__(self) -> None:
        if not self.nodes or not all(host for host, _ in self.nodes):
            raise _wrong("names no host")
        if any(not 0 < port < 65536 for _, port in self.nodes):
            raise _wrong("has a port that is not from 1 to 65535")
        if self.cluster and self.sentinel:
            raise _wrong("is set both as a cluster and as watched by Sentinels")
        if self.cluster and self.db:
            raise _wrong("is a cluster, which has database 0 only")
        if len(self.nodes) > 1 and not (self.cluster or self.sentinel):
            raise _wrong("names several hosts, but is neither a cluster nor watched by Sentinels")
        if self.ssl_cert_reqs not in _CERTIFICATES:
            raise _wrong(f"has an ssl_cert_reqs other than {', '.join(_CERTIFICATES)}")

    @property
    def name(self) -> str:
        """The name in logs and errors: host and port, without a user."""
        shown = ",".join(f"{host}:{port}" for host, port in self.nodes)
        return f"{self.sentinel} at {shown}" if self.sentinel else shown


def is_url(text: str) -> bool:
    """Return whether a setting is a URL rather than a connection's ID."""
    return "://" in text or text.startswith(("redis:", "rediss:"))


def connection_id(setting: Any) -> str | None:
    """Return the ID of the connection that ``pace_redis`` names; None: it is a URL, or not set."""
    text = str(setting or "").strip()
    if not text or is_url(text):
        return None
    check_connection_id(text)
    return text


def check_connection_id(text: str) -> None:
    """Check that a setting can be a connection's ID."""
    # The error does not quote the setting, because it may contain a password.
    if not _CONNECTION_ID.fullmatch(text):
        raise _wrong("is neither a Redis URL nor a connection's ID")


def parse_redis_url(text: str, *, may_hold_password: bool = False) -> RedisServer:
    """Parse a URL: ``redis://host:6379/0``, ``rediss://`` for TLS, several hosts separated by commas."""
    # urlsplit would refuse several hosts with ports.
    scheme, _, rest = text.strip().partition("://")
    # The errors do not quote the URL, because it may contain a password.
    if scheme.lower() not in ("redis", "rediss"):
        raise _wrong("is not a URL that begins with redis:// or rediss://")
    try:
        parts = urlsplit(f"//{rest}")
    except ValueError:
        raise _wrong("cannot be read") from None
    user, at, hosts = parts.netloc.rpartition("@")
    name, colon, password = user.partition(":")
    # A URL may hold a password if it comes from a place for secrets.
    if colon and not may_hold_password:
        raise ConfigurationError(
            "extra.pace_redis contains a password, which a connection's extra shows to everybody who may read it",
            advice="Create an Airflow connection of type redis with the password, and set pace_redis to its ID.",
        )
    if parts.fragment or (at and not hosts):
        raise _wrong("is not a valid URL; percent-encode #, / and @ in a password")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = [option for option in options if option not in _URL_OPTIONS]
    if unknown:
        raise _wrong(f"has an option other than {', '.join(_URL_OPTIONS)}")
    sentinel = options.get("sentinel") or None
    return RedisServer(
        nodes=_nodes(hosts.split(","), SENTINEL_PORT if sentinel else PORT),
        db=_number(parts.path.strip("/") or "0", "database"),
        username=unquote(name) or None,
        password=unquote(password) or None,
        tls=scheme.lower() == "rediss",
        cluster=_flag(options, "cluster", default=False),
        sentinel=sentinel,
        **_tls_options(options),
    )


def redis_server(
    conn_id: str,  # for errors
    *,
    conn_type: str | None,
    host: str | None,  # the server; with sentinel in the extra, a Sentinel
    port: int | None,
    login: str | None,  # user of Redis' ACL
    password: str | None,
    extra: Mapping[str, Any],
) -> RedisServer:
    """Return the Redis of an Airflow connection of type ``redis``, in the form of Airflow's provider for Redis."""
    if conn_type != CONN_TYPE:
        raise ConfigurationError(
            f"the connection {conn_id!r}, which pace_redis names, is not of type {CONN_TYPE}",
            advice="Give the ID of a connection of type redis, or a URL such as redis://host:6379/0.",
        )
    # This package's own: sentinel (the master's name), sentinels (hosts), sentinel_username and sentinel_password.
    sentinel = str(extra.get("sentinel") or "") or None
    default = port or (SENTINEL_PORT if sentinel else PORT)
    more = extra.get("sentinels") if sentinel else extra.get("startup_nodes")
    nodes = _nodes([host] if host else [], default) + _nodes(_list(more), default)
    return RedisServer(
        nodes=tuple(dict.fromkeys(nodes)),
        db=_number(extra.get("db") or 0, "database"),
        username=login or None,
        password=password or None,
        tls=_flag(extra, "ssl", default=False),
        cluster=_flag(extra, "cluster", default=False),
        sentinel=sentinel,
        sentinel_username=str(extra.get("sentinel_username") or "") or None,
        sentinel_password=str(extra.get("sentinel_password") or "") or None,
        **_tls_options(extra),
    )


def server_from_environment(conn_id: str, environment: Mapping[str, str]) -> RedisServer:
    """Return the Redis of a connection's ID in ``pace_redis``, for commands without Airflow's connections."""
    name = f"AIRFLOW_CONN_{conn_id.upper()}"
    if URL_VARIABLE in environment:
        return parse_redis_url(environment[URL_VARIABLE], may_hold_password=True)
    text = environment.get(name, "")
    if "://" in text:
        return parse_redis_url(text, may_hold_password=True)
    try:
        found = json.loads(text or "null")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ConfigurationError(
            f"the environment has no {name}, which pace_redis names",
            advice=f"Set it to the connection as JSON, or set {URL_VARIABLE} to a URL such as redis://host:6379/0.",
        )
    extra = found.get("extra") or {}
    return redis_server(
        conn_id,
        conn_type=found.get("conn_type"),
        host=found.get("host"),
        port=found.get("port"),
        login=found.get("login"),
        password=found.get("password"),
        extra=extra if isinstance(extra, dict) else json.loads(extra),
    )


def find_server(setting: str | None, by_id: Callable[[str], RedisServer]) -> RedisServer | None:
    """Return the Redis of the setting ``pace_redis``; None: it is not set."""
    if setting is None:
        return None
    if is_url(setting):
        return parse_redis_url(setting)
    check_connection_id(setting)
    return by_id(setting)


def load_client() -> None:
    """Import redis-py; raises ConfigurationError if it is not installed."""
    try:
        import redis.cluster
        import redis.sentinel  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            "extra.pace_redis is set, and the Python package redis is not installed",
            advice='Install the extra: pip install "airflow-provider-whatsapp[redis]".',
        ) from None


def connect(server: RedisServer) -> Any:
    """Return a client of redis-py, which connects on first use."""
    load_client()
    import redis.cluster
    import redis.sentinel
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    times = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
    tls = _client_tls(server)
    login = {"username": server.username, "password": server.password}
    own = {**times, **tls, **login, "retry": Retry(NoBackoff(), 0)}
    if server.cluster:
        node: Any = redis.cluster.ClusterNode
        return redis.RedisCluster(startup_nodes=[node(*each) for each in server.nodes], **own)
    if server.sentinel:
        theirs = {
            **times,
            **tls,
            "username": server.sentinel_username,
            "password": server.sentinel_password,
            "retry": Retry(NoBackoff(), 0),
        }
        sentinel: Any = redis.sentinel.Sentinel
        watched = sentinel(list(server.nodes), sentinel_kwargs=theirs, db=server.db, **own)
        return watched.master_for(server.sentinel)
    ((host, port),) = server.nodes
    return redis.Redis(host=host, port=port, db=server.db, **own)


def _client_tls(server: RedisServer) -> dict[str, Any]:
    if not server.tls:
        return {}
    paths = {name: getattr(server, name) for name in _PATHS if getattr(server, name)}
    named = server.ssl_check_hostname and server.ssl_cert_reqs == "required"
    return {"ssl": True, "ssl_cert_reqs": server.ssl_cert_reqs, "ssl_check_hostname": named, **paths}


def _nodes(given: Iterable[Any], default: int) -> tuple[tuple[str, int], ...]:
    """Return hosts and ports from texts, ``host:port``, or mappings as the provider for Redis writes them."""
    found = []
    for each in given:
        if isinstance(each, dict):
            found.append((str(each.get("host") or ""), _number(each.get("port") or default, "port")))
            continue
        text = str(each).strip()
        host, colon, port = text.rpartition(":")
        if not colon or (text.startswith("[") and text.endswith("]")):
            host, port = text, str(default)
        found.append((host.strip("[]"), _number(port, "port")))
    return tuple(found)


def _list(value: Any) -> list[Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = value.split(",")
    return list(value) if isinstance(value, list | tuple) else []


def _tls_options(given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {name: str(given[name]) for name in _PATHS if given.get(name)}
    if given.get("ssl_cert_reqs"):
        found["ssl_cert_reqs"] = str(given["ssl_cert_reqs"]).lower()
    found["ssl_check_hostname"] = _flag(given, "ssl_check_hostname", default=True)
    return found


def _flag(given: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = given.get(name)
    if value is None or value == "":
        return default
    found = _YES_NO.get(str(value).strip().lower())
    if found is None:
        raise _wrong(f"has a {name} that is neither true nor false")
    return found


def _number(value: Any, what: str) -> int:
    try:
        found = int(str(value))
    except ValueError:
        found = -1
    if found < 0:
        raise _wrong(f"has a {what} that is not a whole number from 0")
    return found


def _wrong(how: str) -> ConfigurationError:
    return ConfigurationError(f"the Redis that extra.pace_redis names {how}", advice=_ADVICE)
