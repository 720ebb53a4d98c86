"""The settings of a sandbox, as the command line gives them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

VARIABLE = "AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How one sandbox behaves."""

    host: str = "127.0.0.1"  # any but loopback lets other machines connect
    port: int = 8425  # 0 picks a free one
    api_key: str = "maton-sandbox-key"
    phone_number_ids: tuple[str, ...] = ("106540352242922",)  # the connection to paste has the first one
    waba_id: str = "102290129340398"
    more_accounts: tuple[tuple[str, tuple[str, ...]], ...] = ()  # each with its numbers and its connection
    app_id: str = "670843887433847"
    # Requests per second and account (Maton documents 10); 0 lifts this limit, and those of Meta that are not given.
    rate_limit: int = 10
    pair_limit: int | None = None  # messages in a row to one user (Meta: 45, then one every 6 s); 0 lifts it
    throughput: int | None = None  # messages per second and sender (Meta: 80); 0 lifts it
    onboarding: str = "ONBOARDED"  # marketing_messages_onboarding_status
    refuse_marketing: bool = False  # on /messages, as Meta is expected to do from October 2027
    approve_after: float = 2.0  # seconds from a template's creation to its approval
    latency: float = 0.0  # seconds that every answer takes
    # Seconds from acceptance to sent, delivered and read.
    status_delays: tuple[float, float, float] = field(default=(0.5, 1.5, 5.0))
    fail_after: float = 0.5  # seconds from acceptance to failure, for messages that fail
    state: str | None = None  # SQLite file that stores the state between starts; None stores nothing
    tls_cert: str | None = None  # file with a certificate, to serve https; it may be self-signed
    tls_key: str | None = None  # file with its key; None if the key is in the same file
    app_secret: str = field(default="sandbox-app-secret", repr=False)  # signs webhooks
    webhook_url: str | None = None  # the app's; with one, the app is subscribed to every account
    keep: int = 200_000  # number of messages and of requests; the sandbox forgets older ones
    seed: int = 1  # the same seed gives the same ids

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
    """Return the Airflow connection as JSON that is safe between single quotes."""
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
    """Return the line to paste into a shell, which points Airflow's default connection to this sandbox."""
    return f"export {VARIABLE}='{connection(settings, url)}'"
