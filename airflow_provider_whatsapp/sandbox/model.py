"""The things that make up the sandbox's state."""

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
    """One accepted message; it holds the unparsed body, because a parsed one takes five times the memory."""

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
        """The message's JSON as it was sent."""
        value: dict[str, Any] = json.loads(self.body)
        return value


@dataclass(slots=True)
class Reply:
    """A message that the user wrote, or a button that the user pressed."""

    id: str
    wa_id: str
    text: str
    accepted_at: float
    number_id: str
    pressed: str | None = None  # id or payload of the button
    context: str | None = None  # id of the message that the user quotes
    incoming = True


@dataclass(slots=True)
class Conversation:
    """The messages between one sender and one user."""

    number_id: str
    wa_id: str
    items: deque[Message | Reply] = field(default_factory=deque)
    open_until: float = 0.0
    pair: Bucket | None = None


@dataclass(slots=True)
class Verdict:
    """The result of a review to come."""

    name: str = "*"  # of the templates; * stands for any characters
    status: str = "APPROVED"  # or REJECTED
    reason: str = "INVALID_FORMAT"  # for REJECTED
    category: str | None = None  # given at the creation; None for the requested one
    times: int = 1  # how many reviews it decides; 0 for all


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
        """Apply what is due by now (a review or pause ends, the category changes) and return the template itself."""
        if self.correct_category and now >= self.category_at:
            self.recategorise(self.correct_category, self.category_at)
        if self.status == "PENDING" and now >= self.review_at:
            self.status, self.updated_at = self.verdict, self.review_at
            self.rejected_reason = self.verdict_reason if self.verdict == "REJECTED" else "NONE"
        elif self.status == "PAUSED" and now >= self.paused_until:
            self.status, self.updated_at = "APPROVED", self.paused_until
        return self

    def recategorise(self, category: str, at: float) -> None:
        """Change the category, which also removes the template's time to live; ``at`` is Unix time."""
        if category != self.category:
            self.previous_category, self.category, self.updated_at = self.category, category, at
            self.options.pop("message_send_ttl_seconds", None)
        self.correct_category = None


@dataclass(slots=True)
class Media:
    """An uploaded file; only the page needs its bytes, so the sandbox forgets those of the oldest files."""

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
    """A resumable upload, with its handle once it is complete."""

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
    """A WhatsApp Business Account."""

    id: str
    creations: SlidingWindow  # new templates per hour
    calls: SlidingWindow  # requests that manage it, per hour
    blocked_names: dict[str, float] = field(default_factory=dict)  # Unix time when a deleted name is free
    onboarding: str = "ONBOARDED"  # marketing_messages_onboarding_status
    cloud_marketing_off: bool = False  # disable_marketing_messages_on_cloud_api
    refuses_marketing: bool = False  # on /messages, as Meta is expected to do from October 2027
    insights_since: float | None = None  # Unix time; None if template insights are off


@dataclass(slots=True)
class Recipient:
    """A user whom a test has changed."""

    on_whatsapp: bool = True
    marketing: bool = True
    error: int | None = None  # code with which every message fails
    reaches: str = "read"  # last status of a message: sent, delivered or read

    def refuses(self, template: Template | None) -> int | None:
        """Return the code with which a message to this user fails; None if it does not fail."""
        if not self.on_whatsapp:
            return 131026
        if template and template.category == "MARKETING" and not self.marketing:
            return 131050
        return self.error


@dataclass(slots=True)
class Request:
    """One request that reached the gateway."""

    method: str
    path: str
    query: str
    at: float  # arrival, in seconds since the epoch
    status: int | None = None  # None if no answer went out
    fault: str | None = None  # kind of the fault that applied to it
    sent: bytes = b""  # its body; only the latest requests have one
    answered: bytes = b""  # the answer's body; only the latest requests have one
    ms: float | None = None
    about: str = ""  # type of its message, or name of its template
    to: str = ""
    code: int | None = None  # Graph's code of a refusal


@dataclass
class Journal:
    """Messages and requests since the last save; there are too many of them to compare with the file."""

    items: list[Message | Reply] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    wiped: bool = False

    def wipe(self) -> None:
        """Record that everything was forgotten."""
        self.items, self.requests, self.wiped = [], [], True
