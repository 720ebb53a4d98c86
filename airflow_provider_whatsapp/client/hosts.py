"""Base URLs: the one that gets the API key (whose it is, whether the connection is safe), and Airflow's."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

import idna
from urllib3.exceptions import HTTPError as Urllib3Error
from urllib3.util import parse_url

from airflow_provider_whatsapp.client.errors import ConfigurationError

CURRENT_HOST = "https://api.maton.ai"
"""Maton's newer host, which serves both planes; the default stays with the older two until they are switched off."""

# An octet above 255 would be looked up as a name, so it is not an address.
_LOOPBACK = re.compile(r"localhost|127(\.(25[0-5]|2[0-4]\d|[01]?\d?\d)){3}|::1", re.ASCII)
_MATON = re.compile(r"([a-z0-9-]+\.)*maton\.ai", re.ASCII)


def check_host(host: str) -> None:
    """Check the base URL of both planes: without credentials, and by https unless it belongs to this machine."""
    parts = _split(host)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        msg = "host is not a URL"
        raise ConfigurationError(msg, advice=f"Write it as {CURRENT_HOST!r} or 'http://127.0.0.1:8425'.")
    if parts.username or parts.password or parts.query or parts.fragment:
        msg = "host carries a user name, a password, a query or a fragment"
        raise ConfigurationError(
            msg, advice="Give the base URL alone; the key belongs in the password field."
        )
    if parts.scheme == "http" and not is_loopback(host):
        msg = f"plain http to {parts.hostname} would send the API key unencrypted"
        raise ConfigurationError(
            msg, advice="Use https; plain http is for a loopback address such as 127.0.0.1 only."
        )


def is_loopback(host: str | None) -> bool:
    """Return whether a base URL belongs to this machine; None: Maton's own URL."""
    parts = _split(host or "")
    return parts is not None and _LOOPBACK.fullmatch(parts.hostname or "") is not None


def is_maton_s(host: str | None) -> bool:
    """Return whether a base URL is Maton's, by https; None: Maton's own URL."""
    if not host:
        return True
    parts = _split(host)
    return parts is not None and parts.scheme == "https" and bool(_MATON.fullmatch(parts.hostname or ""))


def parse_base_url(text: str, *, field: str = "base_url") -> str:
    """Return an address for use with paths, without a trailing slash, after checking that it is a server's."""
    found = text.strip().rstrip("/")
    try:
        parts = urlsplit(found)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not found.isprintable() or {*" {}\\"} & {*found}:
        problem = "is not the address of a server"
    elif parts.username or parts.password:
        problem = "carries a user name or a password"
    elif parts.query or parts.fragment:
        problem = "carries a query or a fragment"
    else:
        return found
    raise ConfigurationError(
        f"{field} {problem}",
        advice="Write it as https://airflow.example.com, including the path under which Airflow is served.",
    )


def _split(host: str) -> SplitResult | None:
    """Split a URL; None: the library that connects would read another host or port from it."""
    try:
        parts, other = urlsplit(host), parse_url(host)
        name = parts.hostname or ""
        read = name if name.isascii() else idna.encode(name, strict=True, std3_rules=True).decode()
        same = read == (other.host or "").strip("[]").lower() and parts.port == other.port
    except (ValueError, Urllib3Error):  # idna's errors are ValueErrors
        return None
    return parts if same and host.isprintable() and not {" ", "\\"} & {*host} else None
