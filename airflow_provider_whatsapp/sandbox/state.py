"""Everything the sandbox remembers."""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox.clock import Clock, Ids
from airflow_provider_whatsapp.sandbox.faults import Faults
from airflow_provider_whatsapp.sandbox.limits import Bucket, SlidingWindow

if TYPE_CHECKING:
    from airflow_provider_whatsapp.sandbox.settings import Settings

DAY = 86_400.0
WINDOW = DAY
MEDIA_LIFE = 30 * DAY
NAME_BLOCK = 30 * DAY
PAUSES = (3 * 3600.0, 6 * 3600.0)
PAIR_GAP = 6.0
_DETAILED_REQUESTS = 1_000
_DETAIL_BYTES = 16_384


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
    template: Template | None = None
    components: list[dict[str, Any]] = field(default_factory=list)
    failure: int | None = None
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
class Template:
    """One template in one language."""

    id: str
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
    paused_until: float = 0.0
    pauses: int = 0
    edits: list[float] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)

    def status_at(self, now: float) -> str:
        """
        The status at a time: reviews end and pauses run out by themselves.

        :param now: Seconds since the epoch.
        """
        if self.status == "PENDING" and now >= self.review_at:
            self.status, self.updated_at = "APPROVED", self.review_at
        elif self.status == "PAUSED" and now >= self.paused_until:
            self.status, self.updated_at = "APPROVED", self.paused_until
        return self.status


@dataclass(slots=True)
class Media:
    """An uploaded file."""

    id: str
    number_id: str
    mime: str
    filename: str
    data: bytes
    sha256: str
    uploaded_at: float
    sound: bool


@dataclass(slots=True)
class Upload:
    """A resumable upload, with the handle it ends in."""

    id: str
    name: str
    length: int
    mime: str
    data: bytearray = field(default_factory=bytearray)
    handle: str | None = None


@dataclass(slots=True)
class Connection:
    """A Maton connection."""

    id: str
    status: str
    created_at: float
    updated_at: float
    token: str
    method: str = "OAUTH2"


@dataclass(slots=True)
class Number:
    """A sender."""

    id: str
    display: str
    profile: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Request:
    """One request that reached the gateway."""

    method: str
    path: str
    query: str
    at: float
    status: int | None = None
    fault: str | None = None
    sent: bytes = b""
    answered: bytes = b""
    ms: float | None = None


class State:
    """
    One sandbox's memory.

    :param settings: How it behaves.
    :param clock: Gives the time; tests move it.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or Clock()
        self.ids = Ids(settings.seed)
        self.version = 0
        self.busy_until = 0.0
        self.base_url = f"http://127.0.0.1:{settings.port}"
        self._fill()

    def _fill(self) -> None:
        settings = self.settings
        self.faults = Faults(self.ids, tls=bool(settings.tls_cert))
        self.limiter = SlidingWindow(settings.rate_limit)
        self.messages: OrderedDict[str, Message | Reply] = OrderedDict()
        self.conversations: OrderedDict[tuple[str, str], Conversation] = OrderedDict()
        self.requests: deque[Request] = deque(maxlen=settings.keep)
        self._detailed: deque[Request] = deque()
        self.templates: dict[str, Template] = {}
        self.blocked_names: dict[str, float] = {}
        self.creations = SlidingWindow(100 if settings.rate_limit else 0, 3600.0)
        self.media: dict[str, Media] = {}
        self.uploads: dict[str, Upload] = {}
        self.handles: dict[str, str] = {}
        self.opted_out: set[str] = set()
        self.unreachable: set[str] = set()
        self.numbers = {
            name: Number(name, f"+1 555-010-{index:04d}")
            for index, name in enumerate(settings.phone_number_ids, start=1000)
        }
        self.throughput = {name: SlidingWindow(settings.throughput) for name in self.numbers}
        self.connections: dict[str, Connection] = {}
        self.add_connection("ACTIVE")
        self._add_hello_world()

    def reset(self) -> None:
        """Forget everything, return to the wall clock and start the ids again; the settings stay."""
        self.clock.reset()
        self.ids.reset()
        self.busy_until = 0.0
        self._fill()
        self.version += 1

    def add_connection(self, status: str) -> Connection:
        """
        Open a Maton connection.

        :param status: ``PENDING`` until its url has been opened, or ``ACTIVE``.
        """
        now = self.clock.now()
        made = Connection(self.ids.uuid(), status, now, now, self.ids.token(32))
        self.connections[made.id] = made
        return made

    def _add_hello_world(self) -> None:
        now = self.clock.now()
        components = [
            {"type": "HEADER", "format": "TEXT", "text": "Hello World"},
            {"type": "BODY", "text": "Welcome and congratulations!! This message demonstrates your ability to send a "
             "WhatsApp message notification from the Cloud API, hosted by Meta. Thank you for taking the time to test "
             "with us."},
            {"type": "FOOTER", "text": "WhatsApp Business Platform sample message"},
        ]  # fmt: skip
        made = Template(
            self.ids.number(), "hello_world", "en_US", "UTILITY", components, "POSITIONAL", now, now, now
        )
        made.status = "APPROVED"
        self.templates[made.id] = made

    def conversation(self, number_id: str, wa_id: str) -> Conversation:
        """
        The conversation of a sender with a user, opened if there was none.

        :param number_id: The sender.
        :param wa_id: The user's WhatsApp id.
        """
        key = (number_id, wa_id)
        found = self.conversations.get(key)
        if found is None:
            limit = self.settings.pair_limit if self.settings.rate_limit else 0
            found = Conversation(number_id, wa_id, pair=Bucket(limit, PAIR_GAP) if limit else None)
            self.conversations[key] = found
        return found

    def remember(self, conversation: Conversation, item: Message | Reply) -> None:
        """
        Keep a message, and forget the oldest beyond the bound.

        :param conversation: Where it belongs.
        :param item: The message.
        """
        self.messages[item.id] = item
        conversation.items.append(item)
        self.conversations.move_to_end((conversation.number_id, conversation.wa_id))
        if len(self.messages) > self.settings.keep:
            _, oldest = self.messages.popitem(last=False)
            key = (oldest.number_id, oldest.wa_id)
            old = self.conversations[key]
            old.items.popleft()
            if not old.items:
                del self.conversations[key]
        self.changed(item.accepted_at + self.settings.status_delays[2])

    def reply(self, number_id: str, wa_id: str, text: str, pressed: str | None = None) -> Reply:
        """
        Let the user write back, which opens the 24-hour window.

        :param number_id: The sender written to.
        :param wa_id: The user's WhatsApp id.
        :param text: What is written.
        :param pressed: Id or payload of the button that was pressed.
        """
        conversation = self.conversation(number_id, wa_id)
        now = self.clock.now()
        conversation.open_until = now + WINDOW
        made = Reply(self.ids.wamid(wa_id), wa_id, text, now, number_id, pressed)
        self.remember(conversation, made)
        return made

    def changed(self, until: float = 0.0) -> None:
        """
        Note that the page has something new to show.

        :param until: Until when more will change by itself, as ticks do.
        """
        self.version += 1
        self.busy_until = max(self.busy_until, until)

    def timeline(self, message: Message) -> list[tuple[str, float]]:
        """
        The events of a message up to now, computed from its times rather than kept.

        :param message: The message.
        """
        now, start = self.clock.now(), message.accepted_at
        sent, delivered, read = (start + delay for delay in self.settings.status_delays)
        events = [("accepted", start)]
        if message.failure is not None:
            events.append(("failed", sent))
        else:
            events += [("sent", sent), ("delivered", delivered), ("read", read)]
        return [event for event in events if event[1] <= now]

    def find_templates(self, name: str, language: str | None = None) -> list[Template]:
        """
        Templates of a name.

        :param name: Exact name.
        :param language: Only this language; all when left out.
        """
        return [
            found
            for found in self.templates.values()
            if found.name == name and (language is None or found.language == language)
        ]

    def log(self, request: Request, sent: bytes) -> None:
        """
        Note a request on its arrival; bodies stay only for the latest thousand.

        :param request: The request.
        :param sent: Its body.
        """
        request.sent = sent[:_DETAIL_BYTES]
        self.requests.append(request)
        self._detailed.append(request)
        if len(self._detailed) > _DETAILED_REQUESTS:
            old = self._detailed.popleft()
            old.sent = old.answered = b""
        self.version += 1

    @staticmethod
    def close_log(request: Request, status: int | None, answered: bytes, ms: float) -> None:
        """
        Note how a request ended.

        :param request: The request.
        :param status: HTTP status; nothing when no answer went out.
        :param answered: The answer's body.
        :param ms: Milliseconds it took.
        """
        request.status, request.answered, request.ms = status, answered[:_DETAIL_BYTES], ms
