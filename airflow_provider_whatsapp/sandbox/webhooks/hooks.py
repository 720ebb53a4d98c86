"""The address that each webhook goes to, what is due, and the outcome of each delivery."""

from __future__ import annotations

import heapq
import random
from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox.analytics import FREE_SERVICE, Period
from airflow_provider_whatsapp.sandbox.model import DAY, Message

if TYPE_CHECKING:
    from airflow_provider_whatsapp.sandbox.model import Reply
    from airflow_provider_whatsapp.sandbox.state import State

BATCH = 1_000
"""Most updates in one delivery, as Meta documents it."""
GIVEN_UP_AFTER = 7 * DAY
"""Seconds from a delivery's first attempt to its last."""
LOG = 1_000
"""Deliveries that the log keeps."""
SHOWN_BYTES = 16_384
"""Bytes of a body that the log keeps once the delivery has ended."""
PENDING_BYTES = 256 * 1_024 * 1_024
"""Most bytes of deliveries that wait for a receiver; beyond that the sandbox gives up the oldest."""
_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 6 * 3_600.0


@dataclass(slots=True)
class Misbehaviour:
    """The faults of deliveries to a receiver."""

    duplicate: float = 0.0  # share of deliveries that arrive twice
    reorder: bool = False  # statuses arrive in any order, and so do the updates of a delivery
    drop: float = 0.0  # share of attempts that are lost; the sandbox retries them like any failure
    pause: bool = False  # the sandbox delivers nothing
    batch: int = BATCH  # most updates in one delivery

    def words(self) -> str:
        """Return the faults that are in effect, for people."""
        said = {
            "paused": self.pause,
            f"{self.drop:.0%} of the attempts are lost": self.drop,
            f"{self.duplicate:.0%} come twice": self.duplicate,
            "in any order": self.reorder,
            f"at most {self.batch} updates together": self.batch < BATCH,
        }
        return ", ".join(text for text, holds in said.items() if holds)


@dataclass(slots=True)
class Update:
    """One thing that happened to a message."""

    item: Message | Reply
    status: str  # empty for a reply
    at: float
    free: bool = False  # the message costs nothing


@dataclass(slots=True)
class Delivery:
    """One POST, with all its attempts."""

    number: int  # its place among all deliveries, from 1
    url: str
    level: str  # whose address that is: number, account or app
    fields: tuple[str, ...]
    updates: int  # how many are in it
    body: bytes
    made_at: float  # when the sandbox queued it, in seconds since the epoch
    next_at: float | None  # when the next attempt is due; None if one is in flight or the delivery has ended
    attempts: int = 0
    outcome: str = "pending"  # or delivered, or given up
    status: int | None = None  # HTTP status of the last attempt; None if there was no answer
    error: str = ""  # why the last attempt failed
    ms: float | None = None  # of the last attempt
    repeats: int | None = None  # number of the delivery that it duplicates

    def pause(self) -> float:
        """Return the seconds until the next attempt: 0 after the first failure, then more each time up to six hours."""
        if self.attempts < 2:
            return 0.0
        return float(min(_FIRST_PAUSE * 3.0 ** min(self.attempts - 2, 20), _LONGEST_PAUSE))


@dataclass(slots=True)
class Target:
    """The address that a webhook goes to, and whose address that is."""

    url: str
    level: str


@dataclass
class Webhooks:
    """Subscriptions, overrides, and the queue of updates."""

    state: State
    app_url: str | None = None
    subscribed: set[str] = field(default_factory=set)  # ids of accounts
    overrides: dict[str, str] = field(default_factory=dict)  # addresses by the ids of numbers and accounts
    faults: Misbehaviour = field(default_factory=Misbehaviour)

    def __post_init__(self) -> None:
        settings = self.state.settings
        self.app_url = settings.webhook_url
        if self.app_url:
            self.subscribed = set(settings.accounts)
        self.log: deque[Delivery] = deque(maxlen=LOG)
        self.pending: dict[int, Delivery] = {}
        self.of_templates: dict[str, Any] | None = None
        self._due: list[tuple[float, int, Update]] = []
        self._own: list[tuple[str, str, dict[str, Any]]] = []
        self._places = count()
        self._numbers = count(1)
        self.delivered = self._pending_bytes = 0
        self._free: Counter[tuple[str, int]] = Counter()
        # A generator of its own, so that faults of deliveries do not change the sandbox's ids.
        self.random = random.Random(settings.seed)  # noqa: S311

    def subscribe(self, waba_id: str) -> None:
        """Subscribe the app to an account, from now on."""
        if waba_id in self.subscribed:
            return
        self.subscribed.add(waba_id)
        now = self.state.clock.now()
        for item in self.state.messages.values():
            if isinstance(item, Message) and self._account(item.number_id) == waba_id:
                free = self._is_free(item)
                for status, at in self.state.plan(item)[1:]:
                    if at > now:
                        self._push(at, Update(item, status, at, free))

    def unsubscribe(self, waba_id: str) -> None:
        """End the app's subscription to an account, with its override."""
        self.subscribed.discard(waba_id)
        self.overrides.pop(waba_id, None)

    def _account(self, number_id: str) -> str:
        return self.state.numbers[number_id].waba_id

    def target(self, waba_id: str, number_id: str | None = None) -> Target | None:
        """Return where webhooks go: to the number's address, else the account's, else the app's; None without one."""
        if waba_id not in self.subscribed:
            return None
        if number_id is not None:  # None for fields that only the app gets
            for name, level in ((number_id, "number"), (waba_id, "account")):
                if name in self.overrides:
                    return Target(self.overrides[name], level)
        return Target(self.app_url, "app") if self.app_url else None

    def note(self, item: Message | Reply) -> None:
        """Queue the updates of an accepted message or of a received reply."""
        if self._account(item.number_id) not in self.subscribed:
            return
        if not isinstance(item, Message):
            self._push(item.accepted_at, Update(item, "", item.accepted_at))
            return
        free = self._is_free(item)
        for status, at in self.state.plan(item)[1:]:
            self._push(at, Update(item, status, at, free))

    def _push(self, due: float, update: Update) -> None:
        if self.faults.reorder:
            due += self.random.random() * max(self.state.settings.status_delays)
        heapq.heappush(self._due, (due, next(self._places), update))

    def _is_free(self, message: Message) -> bool:
        if message.category != "service" or message.failure is not None or message.reaches == "sent":
            return False
        key = (message.number_id, Period(0, 0, "MONTH").point(message.accepted_at)[0])
        self._free[key] += 1
        return self._free[key] <= FREE_SERVICE

    def notify_app(self, waba_id: str, name: str, value: dict[str, Any]) -> None:
        """Notify the app's own address, now."""
        if self.target(waba_id) is not None:
            self._own.append((waba_id, name, value))
            self.state.stirred.set()

    def take_due(self, now: float) -> list[Update]:
        """Remove the updates that are due from the queue, and return them."""
        found = []
        while self._due and self._due[0][0] <= now:
            found.append(heapq.heappop(self._due)[2])
        return found

    def take_own(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Empty the queue of what only the app gets, and return account, field and value of each."""
        found, self._own = self._own, []
        return found

    @property
    def waiting(self) -> int:
        """Number of updates and deliveries that are still to come, now or later."""
        return len(self._due) + len(self._own) + len(self.pending)

    def due(self, now: float) -> int:
        """Return how much is due now and not yet delivered."""
        tried = sum(each.next_at is None or each.next_at <= now for each in self.pending.values())
        unseen = sum(due <= now for due, _, _ in self._due) + len(self._own)
        return tried + unseen + self.state.stirred.is_set()

    def next_due(self) -> float | None:
        """Return when the next update or attempt is due, in seconds since the epoch; None if nothing is planned."""
        times = [each.next_at for each in self.pending.values() if each.next_at is not None]
        if self._due:
            times.append(self._due[0][0])
        return min(times, default=None)

    def add(self, target: Target, fields: tuple[str, ...], updates: int, body: bytes) -> Delivery:
        """Queue a delivery."""
        now = self.state.clock.now()
        made = Delivery(
            next(self._numbers), target.url, target.level, fields, updates, body, now, next_at=now
        )
        self.pending[made.number] = made
        self.log.append(made)
        self._pending_bytes += len(body)
        if self._pending_bytes > PENDING_BYTES:
            self._make_room()
        return made

    def _make_room(self) -> None:
        for oldest in [each for each in self.pending.values() if each.next_at is not None]:
            if self._pending_bytes > PENDING_BYTES:
                self._end(oldest, "given up")

    def _end(self, delivery: Delivery, outcome: str) -> None:
        delivery.outcome, delivery.next_at = outcome, None
        self.delivered += outcome == "delivered"
        if self.pending.pop(delivery.number, None):
            self._pending_bytes -= len(delivery.body)
        if outcome == "delivered" and delivery.repeats is None:
            self._repeat(delivery)
        delivery.body = delivery.body[:SHOWN_BYTES]

    def finish(self, delivery: Delivery, status: int | None, error: str, ms: float) -> None:
        """Record how an attempt ended, and plan another if ``error`` is not empty; status None means no answer."""
        now = self.state.clock.now()
        delivery.attempts += 1
        delivery.status, delivery.error, delivery.ms = status, error, ms
        if not error:
            self._end(delivery, "delivered")
        elif now + delivery.pause() > delivery.made_at + GIVEN_UP_AFTER:
            self._end(delivery, "given up")
        else:
            delivery.next_at = now + delivery.pause()
        self.state.changed()

    def _repeat(self, delivery: Delivery) -> None:
        if self.random.random() < self.faults.duplicate:
            target = Target(delivery.url, delivery.level)
            again = self.add(target, delivery.fields, delivery.updates, delivery.body)
            again.repeats = delivery.number
