"""Where WhatsApp posts receipts and replies: the apps subscribed to an account, and the addresses that are set."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from airflow_provider_whatsapp.client.errors import APIError, PayloadError
from airflow_provider_whatsapp.client.hosts import is_loopback
from airflow_provider_whatsapp.client.masking import clean_line
from airflow_provider_whatsapp.client.resources.base import Resource, objects

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_URL = 200
"""The most characters (Meta, "Webhook overrides")."""
_DOC = "Webhook overrides"
_PATH = re.compile(r"[A-Za-z0-9_/-]*")
_PLACE = re.compile(r"([A-Za-z0-9-]+\.)*[A-Za-z0-9-]+\.?(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")
_PUNYCODE = "Write an international name in its ASCII form: xn--..."
_SECRET_FROM = 32
"""Characters from which on a part of a path is treated as a secret."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """
    An app that is subscribed to the account.

    :param app_id: Meta's ID of the app.
    :param name: Name of the app.
    :param url: The address that overrides the app's own; None: there is none.
    """

    app_id: str
    name: str
    url: str | None


class Webhooks(Resource):
    """
    Subscriptions and overrides of the configured account and number.

    An override belongs to an app and an account, or to a number: there is only one, and setting it replaces an earlier
    one. These methods do not look first; ``client.webhook_address`` does.
    """

    def subscriptions(self) -> list[Subscription]:
        """
        Return the apps that are subscribed to the account.

        :raises APIError: This connection may not read them.
        """
        answer = self._call("GET", self._account())
        return [_subscription(item) for item in objects(answer.get("data"))]

    def own_app_id(self) -> str | None:
        """Return the ID of the connection's app; None: neither the connection nor Graph says it."""
        return self._config.app_id if self._config.app_id.isdigit() else self.key_s_app_id()

    def key_s_app_id(self) -> str | None:
        """Return the ID of the app to which, by Graph, the connection's key belongs; None: Graph does not say."""
        try:
            found = self._call("GET", "app", query={"fields": "id"}).get("id")
        except APIError:
            return None
        return found if isinstance(found, str) and found.isdigit() else None

    def number_urls(self) -> dict[str, str]:
        """
        Return the addresses that concern the number, by level: ``phone_number``, ``whatsapp_business_account`` and
        ``application``; its events go to the first that exists.

        :raises APIError: This connection may not read them.
        """
        path, query = self._config.require("phone_number_id"), {"fields": "webhook_configuration"}
        found = self._call("GET", path, query=query).get("webhook_configuration")
        levels = found if isinstance(found, dict) else {}
        return {str(level): url for level, url in levels.items() if isinstance(url, str) and url}

    def subscribe_app(self) -> None:
        """
        Subscribe the connection's app to the account; **this removes its override**.

        :raises APIError: Graph refuses.
        """
        self._confirmed(self._call("POST", self._account()))

    def set_account_url(self, url: str, verify_token: str) -> None:
        """
        Set the app's override for the account; Meta calls the address, which has to answer with the challenge.

        :param url: The address, which Meta can call by https.
        :param verify_token: The token that Meta sends to it.
        :raises APIError: The address did not answer (2200), or the app is not subscribed (100).
        """
        self._confirmed(self._call("POST", self._account(), json=_override(url, verify_token)))

    def clear_account_url(self) -> None:
        """
        Remove the app's override for the account; the app stays subscribed, with its own address.

        :raises APIError: Graph refuses.
        """
        self.subscribe_app()

    def set_number_url(self, url: str, verify_token: str) -> None:
        """
        Set the number's override, which takes precedence over the account's.

        :param url: As for :meth:`set_account_url`.
        :param verify_token: As for :meth:`set_account_url`.
        :raises APIError: As for :meth:`set_account_url`.
        """
        self._configure(_override(url, verify_token))

    def clear_number_url(self) -> None:
        """
        Remove the number's override.

        :raises APIError: Graph refuses.
        """
        self._configure({"override_callback_uri": ""})

    def _configure(self, fields: Mapping[str, str]) -> None:
        path = self._config.require("phone_number_id")
        self._confirmed(self._call("POST", path, json={"webhook_configuration": fields}))

    def _account(self) -> str:
        return f"{self._config.require('waba_id')}/subscribed_apps"

    def _confirmed(self, answer: Mapping[str, Any]) -> None:
        if answer.get("success") is not True:
            raise APIError(
                "Graph's answer does not say that the webhook's address was changed",
                advice="Check with `webhook status` where it points.",
            )


def _override(url: str, verify_token: str) -> dict[str, str]:
    return {"override_callback_uri": url, "verify_token": verify_token}


def _subscription(item: Mapping[str, Any]) -> Subscription:
    about = item.get("whatsapp_business_api_data")
    app = about if isinstance(about, dict) else {}
    url = item.get("override_callback_uri")
    return Subscription(
        clean_line(app.get("id", ""), limit=40, masked=False),
        clean_line(app.get("name", ""), limit=100, masked=False),
        url if isinstance(url, str) and url else None,
    )


def check_url(url: str, *, local: bool = False) -> str:
    """Return an address after checking that Meta can call it."""
    # local: the gateway is on this machine, like the sandbox, so the address may be too, by http.
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise _refused("is not a web address") from None
    _check_parts(url, parts)
    if is_loopback(url):
        if not local:
            raise _refused(f"names this machine ({host}), which Meta cannot reach")
        if parts.scheme not in ("http", "https"):
            raise _refused("must begin with http:// or https://")
    elif parts.scheme != "https":
        raise _refused(
            "must begin with https://", advice="Meta requires a certificate from a public authority."
        )
    return url


def _check_parts(url: str, parts: SplitResult) -> None:
    if len(url) > MAX_URL:
        raise _refused(f"has {len(url)} characters", limit=MAX_URL)
    if "@" in parts.netloc or "?" in url or "#" in url or not parts.hostname:
        raise _refused("must have only host and path, without user, query and fragment")
    if any(each.isspace() or not each.isprintable() for each in url):  # urlsplit drops some of them
        raise _refused("contains a space, a line break or a control character")
    if not _PLACE.fullmatch(parts.netloc):
        raise _refused("has a host with characters other than letters, digits, - and .", advice=_PUNYCODE)
    if not _PATH.fullmatch(parts.path):
        raise _refused(
            "has characters in its path that Meta changes when it calls the address",
            advice="Use only letters, digits, -, _ and /.",
        )


def shown(url: str) -> str:
    """Return an address without parts that may be secret: long parts of its path, a query, a user."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(no web address)"
    path = "/".join("•••" if len(part) >= _SECRET_FROM else part for part in parts.path.split("/"))
    query = "?•••" if parts.query else ""
    return clean_line(f"{parts.scheme}://{host}{port}{path}{query}", limit=MAX_URL, masked=False)


def _refused(problem: str, *, limit: int | None = None, advice: str | None = None) -> PayloadError:
    return PayloadError(problem, field="url", limit=limit, doc=_DOC, advice=advice)
