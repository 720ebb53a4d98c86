"""The settings of a client: the key, the hosts, the IDs and the limits."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from requests.utils import prepend_scheme_if_needed
from urllib3.exceptions import HTTPError as Urllib3Error
from urllib3.util import parse_url

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.client.hosts import check_host
from airflow_provider_whatsapp.client.masking import Cleaner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_whatsapp.client.redis_server import RedisServer

DATA_HOST = "https://gateway.maton.ai"
CONTROL_HOST = "https://ctrl.maton.ai"

GRAPHS_APP = "app"
"""Graph's alias for the app of a token, here the app behind the Maton connection."""

DEFAULT_API_VERSION = "v25.0"
DEFAULT_RATE_LIMIT = 10.0
"""Requests per second that Maton allows for one account, over all its apps and connections."""
DEFAULT_PACE_SHARE = 0.1
"""Share of the rate that each machine uses while Redis cannot be reached: ten machines then stay within the limit."""
DEFAULT_TIMEOUT = (5.0, 30.0)
DEFAULT_MAX_RETRIES = 4
MAX_RATE_LIMIT = 10_000.0
"""The highest rate in requests per second: pacing records a second's requests, and no account allows a tenth of it."""
MAX_TIMEOUT = 3_600.0
"""Seconds."""
MAX_RETRIES = 1_000

_ID = re.compile(r"[0-9]{1,32}", re.ASCII)
_CONNECTION_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class ClientConfig:
    """
    Settings of one client; checked when it is made, before anything connects.

    :param api_key: Maton API key. It is sent to ``host`` (or Maton's two hosts) and nowhere else, and never shown.
    :param phone_number_id: ID of the sending number.
    :param waba_id: WhatsApp Business Account ID, for templates and phone numbers.
    :param connection_id: Maton connection to use; None: Maton uses the oldest active one.
    :param app_id: Meta app ID, for uploading samples of template headers; ``app``, Graph's alias for the app behind
        the connection, works too.
    :param host: Base URL that serves both planes, such as the sandbox's; None: Maton's data and control hosts.
    :param api_version: Graph API version, such as ``v25.0``.
    :param rate_limit: Requests per second; 0 for none. Maton's limit is 10 per account.
    :param timeout: Seconds to connect, and seconds from the end of the request until the whole answer is there. An
        upload fails if none of its bytes leaves for the second number of seconds.
    :param max_retries: The most repetitions of one request, if repeating it is safe.
    :param proxies: As for ``requests``; None: those of the environment.
    :param verify: True, a path to a CA bundle, or False for no TLS verification.
    :param plus_prefix: Send numbers with ``+``. Without it Meta may put the sender's own country code in front.
    :param default_country: ISO code of the country whose national numbers are read, such as ``"BR"``; None: numbers
        need a country code.
    :param pace_redis: The Redis by which all machines that name it share the account's rate; None: the processes of
        one machine share it. It also stores the throttle state of alerts.
    :param pace_share: The share of the rate that each machine uses while Redis is down.
    :raises ConfigurationError: A value is missing or malformed.
    """

    api_key: str = field(repr=False)
    phone_number_id: str | None = None
    waba_id: str | None = None
    connection_id: str | None = None
    app_id: str = GRAPHS_APP
    host: str | None = None
    api_version: str = DEFAULT_API_VERSION
    rate_limit: float = DEFAULT_RATE_LIMIT
    timeout: tuple[float, float] = DEFAULT_TIMEOUT
    max_retries: int = DEFAULT_MAX_RETRIES
    proxies: Mapping[str, str] | None = field(default=None, repr=False)
    verify: bool | str = True
    plus_prefix: bool = True
    default_country: str | None = None
    pace_redis: RedisServer | None = field(default=None, repr=False)
    pace_share: float = DEFAULT_PACE_SHARE

    def __post_init__(self) -> None:
        _check_key(self.api_key)
        for name in ("phone_number_id", "waba_id"):
            _check_id(name, getattr(self, name))
        if self.app_id != GRAPHS_APP:
            _check_id("app_id", self.app_id)
        if self.connection_id is not None and not _CONNECTION_ID.fullmatch(self.connection_id):
            msg = f"connection_id {self._shown(self.connection_id)} is not a Maton connection ID"
            raise ConfigurationError(
                msg, advice="Copy it from maton.ai, or leave it empty for the oldest active one."
            )
        if not re.fullmatch(r"v\d{1,3}\.\d{1,2}", self.api_version):
            msg = f"api_version {self._shown(self.api_version)} is not a Graph API version"
            raise ConfigurationError(msg, advice=f"Write it as {DEFAULT_API_VERSION!r}, or leave it empty.")
        self._check_numbers()
        verify: object = self.verify  # an empty list would disable certificate checks
        if not isinstance(verify, bool) and not (isinstance(verify, str) and verify):
            msg = f"verify is {self._shown(verify)}, neither true, false nor a path"
            raise ConfigurationError(
                msg, advice="Leave it empty to check certificates, or give a CA bundle's path."
            )
        if self.host is not None:
            check_host(self.host)
        _check_country(self.default_country)

    def _check_numbers(self) -> None:
        if not 0 <= self.rate_limit <= MAX_RATE_LIMIT:
            msg = f"rate_limit {self.rate_limit!r} is not a number of requests per second (limit: {MAX_RATE_LIMIT:g})"
            raise ConfigurationError(msg, advice="Use 10 (Maton's limit), a lower number, or 0 for none.")
        if not 0 <= self.max_retries <= MAX_RETRIES:
            msg = f"max_retries {self.max_retries!r} is not a number from 0 to {MAX_RETRIES}"
            raise ConfigurationError(msg, advice="Use 0 for no retries.")
        if not 0 < self.pace_share <= 1:
            msg = f"pace_share {self.pace_share!r} is not a share of the rate, over 0 and up to 1"
            raise ConfigurationError(
                msg, advice="Use 1 divided by the number of machines, or leave it empty for 0.1."
            )
        if not all(0 < seconds <= MAX_TIMEOUT for seconds in self.timeout):
            msg = f"timeout {self.timeout!r} is not two numbers of seconds, over 0 and up to {MAX_TIMEOUT:g}"
            raise ConfigurationError(msg, advice="Write it as [5, 30]: connect and read.")

    def _shown(self, value: object) -> str:
        """Return a value for an error, masked if it contains the key, which may be in the wrong field."""
        return Cleaner(self.api_key).line(repr(value), limit=60)

    @property
    def data_url(self) -> str:
        """Base URL of the data plane, without a trailing slash."""
        return (self.host or DATA_HOST).rstrip("/")

    @property
    def control_url(self) -> str:
        """Base URL of Maton's control plane, without a trailing slash."""
        return (self.host or CONTROL_HOST).rstrip("/")

    def require(self, name: str) -> str:
        """
        Return an ID that a call requires.

        :param name: ``"phone_number_id"`` or ``"waba_id"``.
        :raises ConfigurationError: The ID is not set.
        """
        value: str | None = getattr(self, name)
        if value:
            return value
        msg = f"{name} is not set"
        raise ConfigurationError(msg, advice=_WHERE[name])


_WHERE = {
    "phone_number_id": "Set it in the connection's extra (WhatsApp Manager > API setup shows the sender's "
    "phone number ID), or pass phone_number_id= to the hook or operator.",
    "waba_id": "Set the WhatsApp Business Account ID in the connection's extra (WhatsApp Manager shows it under "
    "Account), or pass waba_id= to the hook or operator.",
}


def _check_key(key: str) -> None:
    if not key:
        msg = "no Maton API key"
        advice = "Put it in the connection's password or in the environment variable MATON_API_KEY (maton.ai/settings)."
        raise ConfigurationError(msg, advice=advice)
    if not (key.isascii() and key.isprintable() and " " not in key):
        msg = "the Maton API key contains spaces, line breaks or other characters that an HTTP header cannot contain"
        raise ConfigurationError(
            msg, advice="Copy it again from maton.ai/settings, without quotes or line breaks."
        )


def _check_id(name: str, value: str | None) -> None:
    if value is None or _ID.fullmatch(value):
        return
    msg = f"{name} is not a numeric ID ({len(value)} characters)"
    raise ConfigurationError(
        msg,
        advice="It is the ID that WhatsApp Manager shows (about 15 digits, kept as a string), not a phone number.",
    )


def _check_country(code: str | None) -> None:
    if code is None:
        return
    from airflow_provider_whatsapp.client.numbering import is_country

    if not is_country(code):
        msg = f"default_country {code!r} is not the ISO code of a country that has phone numbers"
        raise ConfigurationError(
            msg,
            advice="Write two capital letters, such as BR or GB, or leave it empty: numbers then need their country "
            "code.",
        )


def check_proxy(url: str | None) -> None:
    """Check the address of a proxy, if there is one; the error does not quote it: it may contain a password."""
    if not url:
        return
    try:
        parts = parse_url(prepend_scheme_if_needed(url, "http"))  # type: ignore[no-untyped-call]
        right = bool(parts.host) and " " not in url
    except (Urllib3Error, ValueError, TypeError):
        right = False
    if not right:
        msg = "the proxy's address is not a valid URL"
        raise ConfigurationError(
            msg,
            advice='Write it as "http://host:port" or "http://user:password@host:port", with /, #, @ and spaces of '
            "the "
            "password percent-encoded. The address comes from the connection's proxies or from HTTPS_PROXY.",
        )
