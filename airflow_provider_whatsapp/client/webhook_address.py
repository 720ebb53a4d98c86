"""
The address to which WhatsApp posts receipts and replies: read, set and removed with care.

There is one address for each app and account, and one for each number: setting it takes it from its holder. So each
change reads first, and replaces or removes another one's address only with ``force``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_whatsapp.client.errors import APIError, ConfigurationError, WhatsAppError
from airflow_provider_whatsapp.client.hosts import is_loopback
from airflow_provider_whatsapp.client.resources.webhooks import check_url, shown

if TYPE_CHECKING:
    from airflow_provider_whatsapp.client.resources.webhooks import Subscription
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

_NOT_SUBSCRIBED, _NOT_VERIFIED = 100, 2200


class Address:
    """The override of the account or of the number, and the address that is set now."""

    def __init__(self, client: WhatsAppClient, *, of_number: bool) -> None:
        self._hooks = client.webhooks
        self._of_number = of_number
        self.what = "number" if of_number else "account"
        self.apps = self._hooks.subscriptions()
        own = self._hooks.own_app_id()
        self._own = next((app for app in self.apps if app.app_id == own), None) if own else None
        self._own_is_known = own is not None
        self._own_id = own

    def current(self) -> str | None:
        """Return the address that is set, None if there is none; if our app is not known, any app's address counts."""
        if self._of_number:
            return self._hooks.number_urls().get("phone_number")
        if self._own_is_known:
            return self._own.url if self._own else None
        return next((app.url for app in self.apps if app.url), None)

    def stands(self, url: str) -> bool:
        """Return whether an address is set; if our app is not known, for any app."""
        if self._of_number or self._own_is_known:
            return self.current() == url
        return any(app.url == url for app in self.apps)

    def ensure_subscribed(self) -> None:
        """Subscribe the connection's app if it is not subscribed, and if that cannot remove an address."""
        # The call that subscribes also removes the app's override, so it is only made if there is none: the app is
        # known not to be subscribed, or no app has an override.
        if self._own is not None:
            return
        if self._own_is_known and any(app.url for app in self.apps):
            self._confirm_own()
        if self._own_is_known or not any(app.url for app in self.apps):
            self._hooks.subscribe_app()

    def _confirm_own(self) -> None:
        """Refuse the connection's ``app_id`` if its key belongs to another app, which the call would concern."""
        found = self._hooks.key_s_app_id()
        if found not in (None, self._own_id):
            raise ConfigurationError(
                f"the connection's app_id is {self._own_id}, and its key belongs to app {found}",
                advice="Correct the connection's app_id (or --app-id), or leave it empty.",
            )

    def set(self, url: str, verify_token: str) -> None:
        """Set the address."""
        (self._hooks.set_number_url if self._of_number else self._hooks.set_account_url)(url, verify_token)

    def clear(self) -> None:
        """Remove the address."""
        if not self._of_number and self._own_is_known:
            self._confirm_own()
        (self._hooks.clear_number_url if self._of_number else self._hooks.clear_account_url)()


def subscribe(
    client: WhatsAppClient, url: str, verify_token: str, *, of_number: bool = False, force: bool = False
) -> str:
    """Make WhatsApp post the events of an account, or of a number, to an address; return a sentence about it."""
    # After a ConfigurationError (another address is set) or PayloadError (Meta cannot call it), nothing has changed.
    check_url(url, local=is_loopback(client.config.host))
    address = Address(client, of_number=of_number)
    current = address.current()
    if current == url:
        return f"The events of this {address.what} go to {shown(url)} already."
    if current is not None and not force:
        raise ConfigurationError(
            f"the events of this {address.what} go to {shown(current)}",
            advice="There is only one address: replacing it takes the events away from the receiver there. To do so, "
            "give --force.",
        )
    address.ensure_subscribed()
    try:
        address.set(url, verify_token)
    except APIError as error:
        raise _explained(error) from error
    if not _read_again(client, of_number=of_number).stands(url):
        raise APIError(
            f"Graph accepted the address, but now names another one for this {address.what}",
            advice="Someone else may be setting it at the same time: check with `webhook status`.",
        )
    return f"The events of this {address.what} go to {shown(url)} now."


def unsubscribe(
    client: WhatsAppClient,
    url: str | None,  # the expected one; None: the one that ends with path_secret, or with force any
    *,
    of_number: bool = False,
    force: bool = False,
    path_secret: str | None = None,  # knowing the end of an address permits its removal
) -> str:
    """Remove an address, so that events go where they went before it was set; return a sentence about it."""
    # After a ConfigurationError (another address is set), nothing has changed.
    address = Address(client, of_number=of_number)
    current = address.current()
    if current is None:
        return f"No address is set for this {address.what}: nothing to remove."
    own = current == url or (url is None and _ends_with(current, path_secret))
    if not own and not force:
        raise ConfigurationError(
            f"the events of this {address.what} go to {shown(current)}",
            advice="To remove it, give it as --url, or give --force: the receiver there then gets no more events.",
        )
    address.clear()
    if _read_again(client, of_number=of_number).stands(current):
        raise APIError(
            f"Graph removed an address, but the events of this {address.what} still go to {shown(current)}",
            advice="It may be another app's, which this connection cannot remove: check with `webhook status`.",
        )
    return f"The events of this {address.what} no longer go to {shown(current)}."


def _ends_with(url: str, path_secret: str | None) -> bool:
    return bool(path_secret) and url.rpartition("/")[2] == path_secret


def _read_again(client: WhatsAppClient, *, of_number: bool) -> Address:
    try:
        return Address(client, of_number=of_number)
    except WhatsAppError as error:
        raise APIError(
            "Graph confirmed the change, but the address could not be read afterwards",
            advice="Check with `webhook status` where the events go.",
        ) from error


def status(client: WhatsAppClient) -> list[str]:
    """Return which apps are subscribed and where events go, as lines for people."""
    own = client.webhooks.own_app_id()
    lines = [_app_line(app, own) for app in client.webhooks.subscriptions()]
    lines = lines or ["No app is subscribed to this account: no event goes anywhere."]
    if client.config.phone_number_id:
        urls = client.webhooks.number_urls()
        for level, what in (
            ("phone_number", "the number's own"),
            ("whatsapp_business_account", "the account's"),
            ("application", "the app's own"),
        ):
            if level in urls:
                lines.append(f"Events of the number go to {shown(urls[level])} ({what} address).")
                break
        else:
            lines.append(
                "Events of the number go nowhere: neither it, the account nor the app has an address."
            )
    return lines


def _app_line(app: Subscription, own: str | None) -> str:
    whose = "this connection's app" if app.app_id == own else "an app"
    where = shown(app.url) if app.url else "its own address"
    return f"Subscribed: {app.name or 'without a name'} ({app.app_id or 'no ID'}, {whose}), events go to {where}."


def _explained(error: APIError) -> APIError:
    advice = {
        _NOT_VERIFIED: "The receiver must be running, it must be reachable from the Internet at this address with a "
        "certificate from a public authority, and its verify token must be this one.",
        _NOT_SUBSCRIBED: "The connection's app is not subscribed to this account, and another app has an address "
        "there, so it was not subscribed: give the connection its app_id, and run this again.",
    }
    error.advice = advice.get(error.code or 0, error.advice)
    return error
