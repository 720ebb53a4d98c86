"""The state of a sandbox."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox.clock import Clock, Ids
from airflow_provider_whatsapp.sandbox.faults import Faults
from airflow_provider_whatsapp.sandbox.limits import Bucket, SlidingWindow
from airflow_provider_whatsapp.sandbox.model import (
    WINDOW,
    Account,
    Connection,
    Conversation,
    Journal,
    Media,
    Message,
    Number,
    Recipient,
    Reply,
    Request,
    Template,
    Upload,
    Verdict,
)
from airflow_provider_whatsapp.sandbox.webhooks.hooks import Webhooks

if TYPE_CHECKING:
    from airflow_provider_whatsapp.sandbox.settings import Settings

PAIR_GAP = 6.0
MEDIA_BYTES = 256 * 1_024 * 1_024
HOUR = 3_600.0
CREATIONS_PER_HOUR = 100
CALLS_PER_HOUR = 5_000
_DETAILED_REQUESTS = 1_000
_DETAIL_BYTES = 16_384
_STEPS = ("sent", "delivered", "read")


class State:
    """Everything that one sandbox knows."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.journal: Journal | None = None
        self.clock = clock or Clock()
        self.ids = Ids(settings.seed)
        self.version = 0
        self.stirred = asyncio.Event()
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
        self.logged = 0
        self._detailed: deque[Request] = deque()
        self.templates: dict[str, Template] = {}
        self.verdicts: list[Verdict] = []
        self.media: OrderedDict[str, Media] = OrderedDict()
        self._media_bytes = 0
        self.uploads: dict[str, Upload] = {}
        self.handles: dict[str, str] = {}
        self.recipients: dict[str, Recipient] = {}
        self.health: dict[str, dict[str, Any]] = {}
        self.health_refused = False
        self.accounts: dict[str, Account] = {}
        self.numbers: dict[str, Number] = {}
        self.connections: dict[str, Connection] = {}
        for waba_id, numbers in settings.accounts.items():
            self._open_account(waba_id, numbers)
        self.webhooks = Webhooks(self)
        self.throughput = {name: SlidingWindow(settings.number_limit) for name in self.numbers}

    def _open_account(self, waba_id: str, numbers: tuple[str, ...]) -> None:
        limited = self.settings.rate_limit > 0
        self.accounts[waba_id] = Account(
            waba_id,
            SlidingWindow(CREATIONS_PER_HOUR if limited else 0, HOUR),
            SlidingWindow(CALLS_PER_HOUR if limited else 0, HOUR),
            onboarding=self.settings.onboarding,
            refuses_marketing=self.settings.refuse_marketing,
        )
        for number_id in numbers:
            self.numbers[number_id] = Number(
                number_id, f"+1 555-010-{1_000 + len(self.numbers):04d}", waba_id
            )
        self.add_connection("ACTIVE", waba_id)
        self._add_hello_world(waba_id)

    def reset(self) -> None:
        """Forget everything, return to the wall clock and restart the ids; the settings stay."""
        self.clock.reset()
        self.ids.reset()
        self.busy_until = 0.0
        self._fill()
        if self.journal:
            self.journal.wipe()
        self.changed()

    def add_connection(self, status: str, waba_id: str) -> Connection:
        """Add a Maton connection: ``ACTIVE``, or ``PENDING`` until somebody opens its URL."""
        now = self.clock.now()
        made = Connection(self.ids.uuid(), status, now, now, self.ids.token(32), waba_id)
        self.connections[made.id] = made
        return made

    def _add_hello_world(self, waba_id: str) -> None:
        now = self.clock.now()
        components = [
            {"type": "HEADER", "format": "TEXT", "text": "Hello World"},
            {"type": "BODY", "text": "Welcome and congratulations!! This message demonstrates your ability to send a "
             "WhatsApp message notification from the Cloud API, hosted by Meta. Thank you for taking the time to test "
             "with us."},
            {"type": "FOOTER", "text": "WhatsApp Business Platform sample message"},
        ]  # fmt: skip
        name = self.ids.number()
        made = Template(
            name, waba_id, "hello_world", "en_US", "UTILITY", components, "POSITIONAL", now, now, now
        )
        made.status = "APPROVED"
        self.templates[made.id] = made

    def conversation(self, number_id: str, wa_id: str) -> Conversation:
        """Return the conversation of a sender with a user, a new one if there was none."""
        key = (number_id, wa_id)
        found = self.conversations.get(key)
        if found is None:
            limit = self.settings.user_limit
            found = Conversation(number_id, wa_id, pair=Bucket(limit, PAIR_GAP) if limit else None)
            self.conversations[key] = found
        return found

    def remember(self, conversation: Conversation, item: Message | Reply) -> None:
        """Store a message, and forget the oldest one if there are more than the setting ``keep``."""
        self.messages[item.id] = item
        conversation.items.append(item)
        self.webhooks.note(item)
        if self.journal:
            self.journal.items.append(item)
        self.conversations.move_to_end((conversation.number_id, conversation.wa_id))
        if len(self.messages) > self.settings.keep:
            _, oldest = self.messages.popitem(last=False)
            key = (oldest.number_id, oldest.wa_id)
            old = self.conversations[key]
            old.items.popleft()
            if not old.items:
                del self.conversations[key]
        self.changed(item.accepted_at + max(self.settings.status_delays))

    def reply(
        self, number_id: str, wa_id: str, text: str, pressed: str | None = None, context: str | None = None
    ) -> Reply:
        """Add a message from the user, which opens the customer service window."""
        conversation = self.conversation(number_id, wa_id)
        now = self.clock.now()
        conversation.open_until = now + WINDOW
        made = Reply(self.ids.wamid(wa_id), wa_id, text, now, number_id, pressed, context)
        self.remember(conversation, made)
        return made

    def changed(self, until: float = 0.0) -> None:
        """Record that the page has something new to show, and until when (Unix time) time alone changes more."""
        self.version += 1
        self.busy_until = max(self.busy_until, until)
        self.stirred.set()

    def timeline(self, message: Message) -> list[tuple[str, float]]:
        """Return the events of a message up to now: each with its time, computed and not stored."""
        now = self.clock.now()
        return [event for event in self.plan(message) if event[1] <= now]

    def plan(self, message: Message) -> list[tuple[str, float]]:
        """Return the events of a message with their times, those to come as well."""
        start = message.accepted_at
        delays = self.settings.status_delays
        if message.failure is not None:
            steps = [("failed", self.settings.fail_after)]
        else:
            steps = list(zip(_STEPS, delays, strict=True))[: _STEPS.index(message.reaches) + 1]
        return [("accepted", start), *((name, start + delay) for name, delay in steps)]

    def keep_media(self, made: Media) -> None:
        """Store a file, and forget the bytes of the oldest ones if all together exceed ``MEDIA_BYTES``."""
        self.media[made.id] = made
        self._media_bytes += len(made.data)
        if len(self.media) > self.settings.keep:
            self.forget_media(next(iter(self.media)))
        for old in self.media.values():
            if self._media_bytes <= MEDIA_BYTES:
                break
            self._media_bytes -= len(old.data)
            old.data = b""

    def forget_media(self, media_id: str) -> None:
        """Forget a file."""
        self._media_bytes -= len(self.media.pop(media_id).data)

    def recipient(self, wa_id: str) -> Recipient:
        """Return the settings of a user, which the caller may change."""
        return self.recipients.setdefault(wa_id, Recipient())

    def decide(self, name: str) -> Verdict:
        """Return the verdict for the next review of a template, and count it as used."""
        for verdict in self.verdicts:
            if fnmatchcase(name, verdict.name):
                if verdict.times == 1:
                    self.verdicts.remove(verdict)
                verdict.times -= verdict.times > 0
                return verdict
        return Verdict()

    def template(self, template_id: str) -> Template:
        """Return one template as it is now."""
        return self.templates[template_id].settle(self.clock.now())

    def templates_of(self, waba_id: str | None = None) -> list[Template]:
        """Return the templates as they are now, of one account or of all; every list of templates has to use this."""
        now = self.clock.now()
        return [each.settle(now) for each in self.templates.values() if waba_id in (None, each.waba_id)]

    def find_templates(
        self, name: str, language: str | None = None, waba_id: str | None = None
    ) -> list[Template]:
        """Return the templates of a name, in one language or in all, of one account or of all."""
        return [
            found
            for found in self.templates_of(waba_id)
            if found.name == name and (language is None or found.language == language)
        ]

    def log(self, request: Request, sent: bytes) -> None:
        """Log a request when it arrives; only the latest thousand keep their bodies."""
        request.sent = sent[:_DETAIL_BYTES]
        self.requests.append(request)
        self.logged += 1
        if self.journal:
            self.journal.requests.append(request)
        self._detailed.append(request)
        if len(self._detailed) > _DETAILED_REQUESTS:
            old = self._detailed.popleft()
            old.sent = old.answered = b""
        self.version += 1

    @staticmethod
    def close_log(request: Request, status: int | None, answered: bytes, ms: float) -> None:
        """Log how a request ended; status None means that no answer went out."""
        request.status, request.answered, request.ms = status, answered[:_DETAIL_BYTES], ms
