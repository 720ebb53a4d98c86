"""What the sandbox remembers, thing by thing."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_whatsapp.sandbox.limits import Bucket, SlidingWindow

DAY = 86_400.0
WINDOW = DAY
MEDIA_LIFE = 30 * DAY
NAME_BLOCK = 30 * DAY
PAUSES = (3 * 3600.0, 6 * 3600.0)
PAIR_GAP = 6.0


@dataclass(slots=True)
class Message:
    """One accepted message; the body stays as it came, since keeping it parsed costs five times the memory."""

    id: str
    to: str
    wa_id: str
    type: str
    body: bytes
    accepted_at: float
    number_id: str
    components: list[dict[str, Any]] = field(default_factory=list)
    failure: int | None = None
    reaches: str = "read"
    endpoint: str = "messages"
    category: str = "service"
    incoming = False

    @property
    def payload(self) -> dict[str, Any]:
        """What was sent."""
        value: dict[str, Any] = json.loads(self.body)
        return value


@dataclass(slots=True)
class Reply:
    """What the person with the phone wrote back."""

    id: str
    wa_id: str
    text: str
    accepted_at: float
    number_id: str
    pressed: str | None = None
    context: str | None = None
    incoming = True


@dataclass(slots=True)
class Conversation:
    """One sender and one user."""

    number_id: str
    wa_id: str
    items: deque[Message | Reply] = field(default_factory=deque)
    open_until: float = 0.0
    pair: Bucket | None = None


@dataclass(slots=True)
class Verdict:
    """
    What a review will find.

    :param name: Name of the templates it is about; ``*`` stands for any characters.
    :param status: ``APPROVED`` or ``REJECTED``.
    :param reason: ``rejected_reason``, for ``REJECTED``.
    :param category: What the template is taken for at its creation; as asked for when left out.
    :param times: How many reviews it decides; 0 for all.
    """

    name: str = "*"
    status: str = "APPROVED"
    reason: str = "INVALID_FORMAT"
    category: str | None = None
    times: int = 1


@dataclass(slots=True)
class Template:
    """One template in one language."""

    id: str
    waba_id: str
    name: str
    language: str
    category: str
    components: list[dict[str, Any]]
    parameter_format: str
    created_at: float
    updated_at: float
    review_at: float
    status: str = "PENDING"
    rejected_reason: str = "NONE"
    verdict: str = "APPROVED"
    verdict_reason: str = "NONE"
    paused_at: float = 0.0
    paused_until: float = 0.0
    pauses: int = 0
    quality: str = "UNKNOWN"
    quality_at: float = 0.0
    source: str = "MANUAL"
    previous_category: str | None = None
    correct_category: str | None = None
    category_at: float = 0.0
    library_name: str | None = None
    edits: list[float] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)

    def settle(self, now: float) -> Template:
        """
        Apply what time has brought: a review that ended, a pause that ran out, a category that was announced.

        :param now: Seconds since the epoch.
        :return: The template itself.
        """
        if self.correct_category and now >= self.category_at:
            self.recategorise(self.correct_category, self.category_at)
        if self.status == "PENDING" and now >= self.review_at:
            self.status, self.updated_at = self.verdict, self.review_at
            self.rejected_reason = self.verdict_reason if self.verdict == "REJECTED" else "NONE"
        elif self.status == "PAUSED" and now >= self.paused_until:
            self.status, self.updated_at = "APPROVED", self.paused_until
        return self

    def recategorise(self, category: str, at: float) -> None:
        """
        Take another category, which ends its time to live.

        :param category: The new one.
        :param at: Since when.
        """
        if category != self.category:
            self.previous_category, self.category, self.updated_at = self.category, category, at
            self.options.pop("message_send_ttl_seconds", None)
        self.correct_category = None


@dataclass(slots=True)
class Media:
    """An uploaded file; its bytes are only for the page, and the oldest are forgotten."""

    id: str
    number_id: str
    mime: str
    filename: str
    size: int
    sha256: str
    uploaded_at: float
    sound: bool
    data: bytes = b""


@dataclass(slots=True)
class Upload:
    """A resumable upload, with the handle it ends in."""

    id: str
    name: str
    length: int
    mime: str
    received: int = 0
    handle: str | None = None


@dataclass(slots=True)
class Connection:
    """A Maton connection."""

    id: str
    status: str
    created_at: float
    updated_at: float
    token: str
    waba_id: str
    method: str = "OAUTH2"


@dataclass(slots=True)
class Number:
    """A sender."""

    id: str
    display: str
    waba_id: str
    profile: dict[str, Any] = field(default_factory=dict)
    pin: bool = False


@dataclass(slots=True)
class Account:
    """
    A WhatsApp Business Account.

    :param id: Its id.
    :param creations: Counts new templates.
    :param calls: Counts requests to manage it.
    :param blocked_names: Names of deleted templates, and when each is free again.
    :param onboarding: Its ``marketing_messages_onboarding_status``.
    :param cloud_marketing_off: Its ``disable_marketing_messages_on_cloud_api``.
    :param refuses_marketing: ``/messages`` takes no marketing templates, as is expected from October 2027 on.
    :param insights_since: When template insights were switched on; None: they are off.
    """

    id: str
    creations: SlidingWindow
    calls: SlidingWindow
    blocked_names: dict[str, float] = field(default_factory=dict)
    onboarding: str = "ONBOARDED"
    cloud_marketing_off: bool = False
    refuses_marketing: bool = False
    insights_since: float | None = None


@dataclass(slots=True)
class Recipient:
    """
    A user who is not like the others.

    :param on_whatsapp: Whether there is such a user; if not, messages fail with 131026.
    :param marketing: Whether marketing is welcome; if not, such templates fail with 131050.
    :param error: A code that every message fails with.
    :param reaches: How far messages come: ``sent``, ``delivered`` or ``read``.
    """

    on_whatsapp: bool = True
    marketing: bool = True
    error: int | None = None
    reaches: str = "read"

    def refuses(self, template: Template | None) -> int | None:
        """
        The code that a message to this user fails with, if it does.

        :param template: The message's, if it is one.
        """
        if not self.on_whatsapp:
            return 131026
        if template and template.category == "MARKETING" and not self.marketing:
            return 131050
        return self.error


@dataclass(slots=True)
class Request:
    """
    One request that reached the gateway.

    :param method: HTTP method.
    :param path: Its path.
    :param query: Its query.
    :param at: When it came.
    :param status: HTTP status of the answer; nothing when none went out.
    :param fault: Kind of the fault that struck it.
    :param sent: Its body, of the latest requests alone.
    :param answered: The answer's body, likewise.
    :param ms: Milliseconds it took.
    :param about: Type of the message in it, or name of the template.
    :param to: The message's recipient.
    :param code: Graph's code of a refusal.
    """

    method: str
    path: str
    query: str
    at: float
    status: int | None = None
    fault: str | None = None
    sent: bytes = b""
    answered: bytes = b""
    ms: float | None = None
    about: str = ""
    to: str = ""
    code: int | None = None


@dataclass
class Journal:
    """What has happened since the last save, as far as it is too much to compare."""

    items: list[Message | Reply] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    wiped: bool = False

    def wipe(self) -> None:
        """Note that everything was forgotten."""
        self.items, self.requests, self.wiped = [], [], True
