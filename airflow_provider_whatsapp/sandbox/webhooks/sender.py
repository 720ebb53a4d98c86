"""Delivers webhooks: puts what is due into batches, signs and posts them, and retries."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import threading
from time import perf_counter
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox.webhooks import events
from airflow_provider_whatsapp.sandbox.webhooks.hooks import Delivery, Target, Update
from airflow_provider_whatsapp.sandbox.webhooks.templates import next_change, template_changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_provider_whatsapp.sandbox.state import State
    from airflow_provider_whatsapp.sandbox.webhooks.hooks import Webhooks

MAX_BYTES = 2_500_000
"""Most bytes of one delivery's updates, by estimate: Meta's limit for the whole delivery is 3 MB."""
AT_ONCE = 4
"""Most deliveries to one address that are in flight at the same time."""
TIMEOUT = 10.0
"""Seconds that a receiver has to answer; Meta does not document a limit."""
_GATHER = 0.03
"""Seconds that the sender waits, so that updates of the same moment share a delivery."""


class Sender:
    """Delivers a sandbox's webhooks."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._tasks: set[asyncio.Task[None]] = set()
        self._pool: Any = None

    async def run(self) -> None:
        """Deliver until cancelled."""
        state = self._state
        while True:
            state.stirred.clear()
            pause = self.step()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(state.stirred.wait(), pause)
            await asyncio.sleep(_GATHER)

    def step(self) -> float | None:
        """Start what is due; return the seconds until more is due, or None if only an event can make it so."""
        state, hooks = self._state, self._state.webhooks
        now = state.clock.now()
        if hooks.faults.pause:
            return None
        self._gather(hooks, now)
        flying: dict[str, int] = {}
        for each in hooks.pending.values():
            if each.next_at is None:
                flying[each.url] = flying.get(each.url, 0) + 1
        waiting = [
            each for each in hooks.pending.values() if each.next_at is not None and each.next_at <= now
        ]
        for each in waiting:
            if flying.setdefault(each.url, 0) < AT_ONCE:
                flying[each.url] += 1
                each.next_at = None
                self._start(self._deliver(hooks, each))
        return self._pause(hooks, now)

    def _pause(self, hooks: Webhooks, now: float) -> float | None:
        times = [time for time in (hooks.next_due(), next_change(self._state)) if time is not None]
        if self._state.clock.stopped or not times:
            return None
        # A due delivery that waits for others in flight needs no pause: their end wakes the sender.
        ahead = [time - now for time in times if time > now]
        return min(ahead, default=None)

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _gather(self, hooks: Webhooks, now: float) -> None:
        groups: dict[tuple[str, str, str], list[Update]] = {}
        for update in hooks.take_due(now):
            number = self._state.numbers[update.item.number_id]
            target = hooks.target(number.waba_id, number.id)
            if target is not None:
                groups.setdefault((target.url, target.level, number.id), []).append(update)
        for (url, level, number_id), updates in groups.items():
            for part, body in self._bodies(number_id, updates, hooks.faults.batch):
                hooks.add(Target(url, level), ("messages",), part, body)
        own = [*hooks.take_own(), *template_changes(self._state)]
        for waba_id, name, value in own:
            target = hooks.target(waba_id)
            if target is not None:
                body = _dump(events.envelope(waba_id, [(name, value)], int(now)))
                hooks.add(target, (name,), 1, body)

    def _bodies(self, number_id: str, updates: list[Update], batch: int) -> Iterator[tuple[int, bytes]]:
        number = self._state.numbers[number_id]
        for part in _cut([(each, self._written(each)) for each in updates], batch):
            statuses = [(update, made) for update, made in part if update.status]
            messages = [(update, made) for update, made in part if not update.status]
            changes = []
            for name, some in (("messages", messages), ("statuses", statuses)):
                if some:
                    whom = dict.fromkeys(each.item.wa_id for each, _ in some if each.status != "failed")
                    value = events.about_number(number)
                    if whom:
                        value["contacts"] = [events.contact(wa_id) for wa_id in whom]
                    changes.append(("messages", {**value, name: [made for _, made in some]}))
            yield len(part), _dump(events.envelope(number.waba_id, changes, None))

    def _written(self, update: Update) -> dict[str, Any]:
        if update.status:
            return events.status(update)
        return events.received(self._state, update.item)  # type: ignore[arg-type]

    async def _deliver(self, hooks: Webhooks, delivery: Delivery) -> None:
        started = perf_counter()
        if hooks.random.random() < hooks.faults.drop:
            status, error = None, "lost on the way, by a fault rule"
        else:
            status, error = await self.post(delivery.url, delivery.body)
        hooks.finish(delivery, status, error, (perf_counter() - started) * 1_000)

    async def post(self, url: str, body: bytes) -> tuple[int | None, str]:
        """Post a webhook; return the HTTP status, None without an answer, and why it failed ("" if it did not)."""
        secret = self._state.settings.app_secret.encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "facebookexternalua",
            "X-Hub-Signature-256": "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest(),
        }
        status, _, error = await _in_thread(self._ask, "POST", url, body, headers)
        return status, error or ("" if status == 200 else f"HTTP status {status}")

    async def verify(self, url: str, token: str, challenge: str) -> str:
        """Ask an address whether it wants webhooks; return why it is refused ("" if it is accepted)."""
        from urllib.parse import urlencode

        query = urlencode({"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": token})
        asked = f"{url}{'&' if '?' in url else '?'}{query}"
        status, body, error = await _in_thread(self._ask, "GET", asked, None, {})
        if error:
            return str(error)
        if status != 200:
            return f"HTTP Status Code = {status}"
        return "" if body == challenge.encode() else "the answer is not the challenge"

    def _ask(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int | None, bytes, str]:
        import urllib3

        if self._pool is None:
            self._pool = urllib3.PoolManager(maxsize=AT_ONCE, retries=False, timeout=TIMEOUT)
        try:
            answer = self._pool.request(
                method, as_called(url), body=body, headers=headers, redirect=False, preload_content=False
            )
            with contextlib.closing(answer):
                said = answer.read(4_096)
                answer.drain_conn()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return None, b"", _why(error)
        return answer.status, said, ""


def as_called(url: str) -> str:
    """Return an address as Meta calls it: a plus sign in its path becomes a space."""
    path, mark, query = url.partition("?")
    return path.replace("+", "%20") + mark + query


def _why(error: Exception) -> str:
    text = str(getattr(error, "reason", None) or error)
    return f"{type(error).__name__}: {text.rpartition('>: ')[2] or text}"[:300]


def _dump(value: Any) -> bytes:
    """Return JSON as Meta writes it: characters outside ASCII are escaped, and the signature covers these bytes."""
    return json.dumps(value, separators=(",", ":")).encode()


def _cut(
    updates: Iterable[tuple[Update, dict[str, Any]]], batch: int
) -> Iterator[list[tuple[Update, dict[str, Any]]]]:
    part: list[tuple[Update, dict[str, Any]]] = []
    size = 0
    for update, made in updates:
        length = 700 if update.status else len(_dump(made)) + 200
        if part and (len(part) >= batch or size + length > MAX_BYTES):
            yield part
            part, size = [], 0
        part.append((update, made))
        size += length
    if part:
        yield part


async def _in_thread(work: Callable[..., Any], *given: Any) -> Any:
    """Run a function in a thread that ends with the process: a dead receiver does not delay the sandbox's end."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def end(result: Any, error: Exception | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def run() -> None:
        result, failed = None, None
        try:
            result = work(*given)
        except Exception as error:
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(end, result, failed)

    threading.Thread(target=run, daemon=True).start()
    return await future
