"""The settings of a sandbox, as the command line gives them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

VARIABLE = "AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """
    How one sandbox behaves.

    :param host: Address to listen on; any but loopback lets other machines connect.
    :param port: Port to listen on; 0 picks a free one.
    :param api_key: The Maton API key that requests have to carry.
    :param phone_number_ids: Ids of the senders; the connection to paste has the first one.
    :param waba_id: The WhatsApp Business Account that owns the numbers and the templates.
    :param more_accounts: Further accounts, each with its numbers, and each behind a Maton connection of its own.
    :param app_id: Meta's app, which resumable uploads name.
    :param rate_limit: Requests per second and account at the gateway (Maton documents 10); 0 lifts it, and with it
        each of Meta's limits per second, user or hour that is not given.
    :param pair_limit: Messages that one sender may send one user in a row (Meta documents 45 within 6 s, then one
        every 6 s); 0 lifts it, as ``rate_limit`` 0 does when this is left out.
    :param throughput: Messages per second and sender number (Meta documents 80); 0 lifts it, as ``rate_limit`` 0 does
        when this is left out.
    :param onboarding: ``marketing_messages_onboarding_status`` of the accounts.
    :param refuse_marketing: ``/messages`` refuses marketing templates, as Meta is expected to do from October 2027.
    :param approve_after: Seconds from a template's creation to its approval.
    :param latency: Seconds that every answer takes.
    :param status_delays: Seconds from acceptance to sent, delivered and read.
    :param fail_after: Seconds from acceptance to failure, for messages that fail.
    :param state: SQLite file that stores the state between starts; None stores nothing.
    :param app_secret: The secret that signs webhooks.
    :param webhook_url: The app's own address for webhooks; with one, the app is subscribed to every account.
    :param tls_cert: File with a certificate, to serve https; it may be self-signed.
    :param tls_key: File with its key; None if the key is in the same file.
    :param keep: Number of messages and of requests to keep; the sandbox forgets older ones.
    :param seed: The same seed gives the same ids.
    """

    host: str = "127.0.0.1"
    port: int = 8425
    api_key: str = "maton-sandbox-key"
    phone_number_ids: tuple[str, ...] = ("106540352242922",)
    waba_id: str = "102290129340398"
    more_accounts: tuple[tuple[str, tuple[str, ...]], ...] = ()
    app_id: str = "670843887433847"
    rate_limit: int = 10
    pair_limit: int | None = None
    throughput: int | None = None
    onboarding: str = "ONBOARDED"
    refuse_marketing: bool = False
    approve_after: float = 2.0
    latency: float = 0.0
    status_delays: tuple[float, float, float] = field(default=(0.5, 1.5, 5.0))
    fail_after: float = 0.5
    state: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    app_secret: str = field(default="sandbox-app-secret", repr=False)
    webhook_url: str | None = None
    keep: int = 200_000
    seed: int = 1

    @property
    def accounts(self) -> dict[str, tuple[str, ...]]:
        """Every account's numbers, the first account first."""
        return {self.waba_id: self.phone_number_ids, **dict(self.more_accounts)}

    @property
    def user_limit(self) -> int:
        """Messages that one sender may send one user in a row; 0 for any number."""
        return self._or_usual(self.pair_limit, 45)

    @property
    def number_limit(self) -> int:
        """Messages per second and sender; 0 for any number."""
        return self._or_usual(self.throughput, 80)

    def _or_usual(self, given: int | None, usual: int) -> int:
        if given is not None:
            return given
        return usual if self.rate_limit else 0


def connection(settings: Settings, url: str) -> str:
    """
    Return the Airflow connection as JSON that is safe between single quotes.

    :param settings: The sandbox's settings.
    :param url: The sandbox's URL.
    """
    extra: dict[str, str | int] = {
        "phone_number_id": settings.phone_number_ids[0],
        "waba_id": settings.waba_id,
        "app_id": settings.app_id,
    }
    if settings.rate_limit != Settings().rate_limit:
        extra["rate_limit"] = settings.rate_limit
    if settings.tls_cert:
        # A self-signed certificate is its own authority.
        extra["verify"] = str(Path(settings.tls_cert).resolve())
    made = {"conn_type": "maton_whatsapp", "password": settings.api_key, "host": url, "extra": extra}
    return json.dumps(made).replace("'", "\\u0027")


def connection_line(settings: Settings, url: str) -> str:
    """
    Return the line to paste into a shell, which points Airflow's default connection to this sandbox.

    :param settings: The sandbox's settings.
    :param url: The sandbox's URL.
    """
    return f"export {VARIABLE}='{connection(settings, url)}'"
