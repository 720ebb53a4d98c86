"""The checks of ``doctor``: what of a connection works, in the order in which one needs the other."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_whatsapp.client.errors import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    ConnectionMissingError,
    NotFoundError,
    RecipientError,
    WhatsAppError,
)
from airflow_provider_whatsapp.client.masking import clean_line, mask_id, place_of
from airflow_provider_whatsapp.client.messages import Template
from airflow_provider_whatsapp.client.resources.health import fetch_number_health

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

    T = TypeVar("T")

Outcome = Literal["OK", "FAIL", "SKIPPED"]
MOST_TEMPLATES = 100
"""Templates that are counted, one page."""
HELLO = ("hello_world", "en_US")
ARRIVED = ("delivered", "read")
ACCOUNT_FIELDS = (
    "id,name,currency,timezone_id,account_review_status,business_verification_status,country,ownership_type"
)


@dataclass(frozen=True)
class Finding:
    """What a check found."""

    name: str
    outcome: Outcome
    said: str  # what was found, what to do, or why it was left out


class _SkippedError(Exception):
    """A check that cannot be made, and why."""


@dataclass
class Examination:
    """The checks of one connection, in the order in which they need each other."""

    client: WhatsAppClient
    to: str | None  # number to send to; None: nothing is sent
    wait: float  # seconds to wait for that message's status
    started: Callable[[str], None] | None = None  # gets each check's name when it begins
    sleep: Callable[[float], None] = time.sleep
    _active: list[dict[str, Any]] = field(default_factory=list)
    _outcomes: dict[str, Outcome] = field(default_factory=dict)

    def run(self) -> Iterator[Finding]:
        """Yield what each check found, as soon as it is known."""
        outcomes = self._outcomes
        for name, need, check in self._checks():
            if need is not None and outcomes[need] != "OK":
                finding = Finding(name, "SKIPPED", f"it needs the check {need!r}, which is not OK.")
            else:
                if self.started is not None:
                    self.started(name)
                finding = _finding(name, check)
            outcomes[name] = finding.outcome
            yield finding

    def _checks(self) -> tuple[tuple[str, str | None, Callable[[], str]], ...]:
        by_redis = (("pacing", None, self._pacing), ("alerts", "pacing", self._alerts))
        return (
            *(by_redis if self.client.config.pace_redis else ()),
            ("key", None, self._key),
            ("Maton connection", "key", self._connection),
            ("number", "Maton connection", self._number),
            ("account", "Maton connection", self._account),
            ("health", "number", self._health),
            ("templates", "account", self._templates),
            ("receipts", "account", self._receipts),
            ("message", "number", self._message),
        )

    def _key(self) -> str:
        self._active = self.client.connections.list(status="ACTIVE")
        return f"Maton accepts the key at {self.client.config.control_url}."

    def _pacing(self) -> str:
        from airflow_provider_whatsapp.client.redis_slots import RedisAwayError, Slots

        server = self.client.config.pace_redis
        assert server is not None  # noqa: S101  (the check is made where there is one)
        try:
            Slots(server, "doctor", 1).look()
        except RedisAwayError as error:
            raise ConfigurationError(
                f"Redis at {server.name}, which pace_redis names, does not answer ({error})",
                advice="Check its host, its port and the network. Until it answers, each machine sends at "
                "pace_share of the rate.",
            ) from None
        return f"Redis at {server.name} paces all machines."

    def _alerts(self) -> str:
        from airflow_provider_whatsapp.client.redis_slots import RedisAwayError
        from airflow_provider_whatsapp.client.redis_texts import RedisTexts

        server = self.client.config.pace_redis
        assert server is not None  # noqa: S101  (the check is made where there is one)
        try:
            RedisTexts(server, "alerts", "doctor").look()
        except RedisAwayError as error:
            raise ConfigurationError(
                f"Redis at {server.name} cannot store the throttle state of alerts ({error})",
                advice="Until it can, alerts use Airflow's Variables.",
            ) from None
        return f"Redis at {server.name} stores the throttle state of alerts."

    def _connection(self) -> str:
        wanted = self.client.config.connection_id
        if not self._active:
            advice = "Create one at maton.ai and finish its browser step, or run the command connect."
            raise ConnectionMissingError("the key has no active WhatsApp connection", advice=advice)
        known = [connection.get("connection_id") for connection in self._active]
        if wanted and wanted not in known:
            advice = "Copy the ID from maton.ai, or leave it empty for the oldest active one."
            raise ConnectionMissingError(
                f"connection_id {wanted} is not among the key's {len(known)} active connections",
                advice=advice,
            )
        return f"{_line(wanted)} is active." if wanted else f"{len(known)} active; the oldest is used."

    def _number(self) -> str:
        found = self.client.phone_numbers.get()
        facts = [
            _line(found.get("display_phone_number")) or "a number that Meta does not show",
            _line(found.get("verified_name")) or "without a verified name",
            f"quality {_line(found.get('quality_rating')) or 'unknown'}",
            f"limit {_line(found.get(self.client.phone_numbers.limit_field)) or 'unknown'}",
        ]
        return f"{', '.join(facts)}."

    def _account(self) -> str:

        if not self.client.config.waba_id:
            msg = "no waba_id is set, so templates cannot be checked. Set it in the connection's extra."
            raise _SkippedError(msg)
        found = self.client.account.get(fields=ACCOUNT_FIELDS)
        numbers = [each.get("id") for each in self.client.phone_numbers.list(fields="id")]
        # A number that does not exist has its own line, and says nothing about the account.
        if self._outcomes.get("number") == "OK" and self.client.config.phone_number_id not in numbers:
            msg = "waba_id names an account to which phone_number_id does not belong"
            raise ConfigurationError(
                msg, advice="WhatsApp Manager shows both IDs on one page; copy both from there."
            )
        try:
            marketing = self.client.account.marketing_status().onboarding
        except WhatsAppError:  # it matters to marketing alone, and few tokens may read it
            marketing = None
        facts = {
            "currency": found.get("currency"),
            "review": found.get("account_review_status"),
            "business": found.get("business_verification_status"),
            "marketing messages": marketing,
        }
        said = [f"{name} {_line(value)}" for name, value in facts.items() if value]
        many = "" if len(numbers) == 1 else "s"
        return f"{', '.join([f'{len(numbers)} number{many}', *said])}."

    def _health(self) -> str:

        found = fetch_number_health(self.client)
        found.check()
        if found.state == "UNKNOWN":
            raise _SkippedError(f"{found.describe()}.")
        return f"{found.describe()}."

    def _templates(self) -> str:
        found = list(islice(self.client.templates.list(page_size=MOST_TEMPLATES), MOST_TEMPLATES))
        approved = sum(each.get("status") == "APPROVED" for each in found)
        more = " or more" if len(found) == MOST_TEMPLATES else ""
        return f"{len(found)}{more}, {approved} of them approved."

    def _receipts(self) -> str:
        hooks = self.client.webhooks
        apps = self._readable(hooks.subscriptions)
        if not apps:
            raise _SkippedError(
                "no app is subscribed to this account, so WhatsApp posts statuses and replies to nobody; `webhook "
                "subscribe --url URL` makes it post them to your receiver."
            )
        levels = self._readable(hooks.number_urls) if self.client.config.phone_number_id else {}
        own = (
            levels.get("phone_number"),
            levels.get("whatsapp_business_account"),
            *(app.url for app in apps),
        )
        where = next(filter(None, own), None)
        many = "" if len(apps) == 1 else "s"
        if where is None:
            return f"{len(apps)} app{many} subscribed; no address of your own: `webhook subscribe` sets one."
        return f"{len(apps)} app{many} subscribed; receipts and replies go to {_host(where)}."

    @staticmethod
    def _readable(ask: Callable[[], T]) -> T:
        """Read what a token may be kept from, which says nothing about sending."""
        try:
            return ask()
        except APIError as error:
            if error.permanent and not isinstance(error, AuthenticationError):
                msg = f"this connection may not read it: {error.message.rstrip('.')}."
                raise _SkippedError(msg) from error
            raise

    def _message(self) -> str:

        if not self.to:
            raise _SkippedError("give your own phone's number with --to, to send hello_world there.")
        sent = self.client.messages.send(self.to, Template(*HELLO))
        return f"accepted as {mask_id(sent.message_id)}; {self._status(sent.message_id)}"

    def _status(self, message_id: str) -> str:
        """Wait until the message has arrived, as far as the history tells."""
        until, status = time.monotonic() + self.wait, "accepted"
        while True:
            try:
                found = self.client.history.status(message_id)
            except WhatsAppError as error:
                if not isinstance(error, NotFoundError) or error.http_status is not None:
                    return f"this connection cannot read whether it arrived ({error.message}): look at the phone."
                found = {"status": "accepted"}
            status = str(found["status"])
            if status == "failed":
                why = _line(found.get("error")) or "no reason was given"
                raise RecipientError(f"WhatsApp accepted it, but it failed later: {why}")
            if status in ARRIVED:
                return f"{status}."
            if time.monotonic() >= until:
                return f"still {status} after {self.wait:g} s: look at the phone."
            self.sleep(1.0)


def _finding(name: str, check: Callable[[], str]) -> Finding:

    try:
        return Finding(name, "OK", check())
    except _SkippedError as skipped:
        return Finding(name, "SKIPPED", str(skipped))
    except WhatsAppError as error:
        return Finding(name, "FAIL", str(error))
    except Exception as error:  # an answer of a form that nobody has foreseen; the other checks go on
        return Finding(name, "FAIL", f"the answer could not be read: {place_of(error)}.")


def _line(said: Any) -> str:
    """Return what the other side said as a short line; the account's own number is shown."""
    return clean_line(said, limit=100, masked=False) if isinstance(said, str) else ""


def _host(url: str) -> str:
    """Return the host of an address: its path may hold a secret."""
    from urllib.parse import urlsplit

    try:
        return _line(urlsplit(url).hostname or "") or "an address that cannot be read"
    except ValueError:
        return "an address that cannot be read"
