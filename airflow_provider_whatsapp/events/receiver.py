"""
The receiver: an ASGI application that accepts WhatsApp's webhooks and stores them.

It answers 200 only when a delivery's events are durable, and 5xx if they could not be stored, so that WhatsApp
delivers them again. It sends nothing, and knows neither Airflow nor an account's key.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.client.masking import place_of
from airflow_provider_whatsapp.events.kinds import Inbound
from airflow_provider_whatsapp.events.metrics import Metrics
from airflow_provider_whatsapp.events.opt_out_words import OptOutWords, opt_out_words
from airflow_provider_whatsapp.events.parse import MalformedError, parse
from airflow_provider_whatsapp.events.store import StoreError
from airflow_provider_whatsapp.events.writer import Writer, count_kinds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from starlette.requests import Request

    from airflow_provider_whatsapp.events.kinds import Event
    from airflow_provider_whatsapp.events.store import EventStore
    from airflow_provider_whatsapp.events.writer import Delivery

logger = logging.getLogger(__name__)

MAX_BODY = 4 * 1024 * 1024
"""The most bytes of a body; WhatsApp sends up to 3 MB."""
MAX_HELD = 64 * 1024 * 1024
"""The most bytes of all bodies in memory; a request beyond that gets 503."""
BODY_SECONDS = 30.0
"""Seconds within which a body has to arrive."""
STORE_SECONDS = 20.0
"""Seconds for which a delivery waits for its commit; after that the answer is 503, and WhatsApp delivers it again."""
HEALTH_SECONDS = 2.0
"""Seconds for which an answer of ``/healthz`` is reused, so that requests cannot keep the database busy."""
SECRET_LENGTH = 32

_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})")
_PATH_SECRET = re.compile(rf"[A-Za-z0-9_-]{{{SECRET_LENGTH},}}")
_CHALLENGE = re.compile(r"[A-Za-z0-9_.-]{1,256}")
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Who may deliver, and how long events are kept."""

    verify_token: str = field(repr=False)  # which WhatsApp repeats when the address is set
    app_secret: str | None = field(default=None, repr=False)  # the Meta app's; with it, events are verified
    path_secret: str | None = field(default=None, repr=False)  # last part of the URL
    keep_days: float = 90  # days after which events, except opt-outs, are deleted; 0: never
    words: OptOutWords = field(default_factory=opt_out_words, repr=False)  # with which replies opt out

    def __post_init__(self) -> None:
        if not self.verify_token:
            raise ConfigurationError(
                "no verify token is set",
                advice="Set WHATSAPP_VERIFY_TOKEN to a text of your choice, and give `webhook subscribe` the same "
                "text.",
            )
        if not self.app_secret and not self.path_secret:
            raise ConfigurationError(
                "neither an app secret nor a path secret is set, so anybody could post events",
                advice="Set WHATSAPP_APP_SECRET to the secret of your Meta app. If the app is not yours, set "
                f"WHATSAPP_PATH_SECRET to {SECRET_LENGTH} random characters and end the URL with them.",
            )
        if self.path_secret and not _PATH_SECRET.fullmatch(self.path_secret):
            raise ConfigurationError(
                f"the path secret has {len(self.path_secret)} characters, or some that a path does not carry safely",
                advice=f"Use {SECRET_LENGTH} or more letters, digits, dashes and underscores: python -c "
                "'import secrets; print(secrets.token_urlsafe(32))'.",
            )
        if not 0 <= self.keep_days < 36_500:
            raise ConfigurationError(
                f"keep_days is {self.keep_days:g}; it has to be 0 or more, and less than 36500",
                advice="Give the number of days, or 0 to keep events without a limit.",
            )


class Receiver:
    """The application's state and its answers."""

    def __init__(self, store: EventStore, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._memory = _Memory()
        self._healthy: tuple[float, bool] = (0.0, False)
        self._health_lock = asyncio.Lock()
        self.metrics = Metrics()
        self._writer = Writer(store, keep_days=settings.keep_days, observe=self._observe)

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Write while the application runs; at its end, first write the accepted deliveries."""
        self._writer.start()
        yield
        await asyncio.to_thread(self._writer.stop)

    async def handshake(self, request: Request) -> Response:
        """Answer WhatsApp's check of the address: the challenge, if the request has the token."""
        given = request.query_params
        if not self._path_is_right(request) or given.get("hub.mode") != "subscribe":
            return self._refused(404, "address")
        if not _same(given.get("hub.verify_token", ""), self._settings.verify_token):
            return self._refused(403, "verify token")
        challenge = given.get("hub.challenge", "")
        if not _CHALLENGE.fullmatch(challenge):
            return self._refused(400, "challenge")
        logger.info("WhatsApp has checked the address")
        return PlainTextResponse(challenge, headers=_HEADERS)

    async def deliver(self, request: Request) -> Response:
        """Store a delivery, then answer 200; after a bug here, answer so that WhatsApp delivers it again."""
        try:
            return await self._deliver(request)
        except Exception as error:
            logger.error("A bug in this program stopped a delivery: %s", place_of(error))  # noqa: TRY400
            return self._unavailable("a bug in this program")

    async def _deliver(self, request: Request) -> Response:
        settings = self._settings
        if not self._path_is_right(request):
            return self._refused(404, "address")
        signature = _SIGNATURE.fullmatch(request.headers.get("x-hub-signature-256", ""))
        if settings.app_secret and signature is None:
            return self._refused(403, "signature")
        with self._memory.holding() as held:
            body = await self._body(request, held)
            if isinstance(body, Response):
                return body
            if settings.app_secret and signature and not _signed(body, settings.app_secret, signature[1]):
                return self._refused(403, "signature")
            try:
                events = parse(body)
            except MalformedError as error:
                return self._refused(400, str(error))
            for event in [each for each in events if isinstance(each, Inbound)]:
                events += settings.words.wishes(event)
            return await self._stored(events, verified=bool(settings.app_secret))

    async def _stored(self, events: Sequence[Event], *, verified: bool) -> Response:
        done = self._writer.submit(events, verified=verified)
        try:
            await asyncio.wait_for(asyncio.wrap_future(done), STORE_SECONDS)
        except StoreError as error:
            return self._unavailable(str(error))
        except TimeoutError:
            return self._unavailable(f"no commit within {STORE_SECONDS:g} s")
        self.metrics.posts[200] += 1
        return PlainTextResponse("stored\n", headers=_HEADERS)

    async def _body(self, request: Request, held: _Held) -> bytes | Response:
        """Return the unchanged body, or an answer if it breaks a limit of size, time or total memory."""
        length = request.headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or len(length) > 18 or int(length) > MAX_BODY:
            return self._refused(413, "size")
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for part in request.stream():
                    parts.append(part)
                    if not held.grow(len(part)):
                        return self._unavailable("too many request bodies in memory")
                    if held.size > MAX_BODY:
                        return self._refused(413, "size")
        except TimeoutError:
            return self._refused(408, "a request body that did not arrive in time")
        except ClientDisconnect:
            return self._refused(400, "a request body that ended early")
        return b"".join(parts)

    def _path_is_right(self, request: Request) -> bool:
        secret = self._settings.path_secret
        return secret is None or _same(str(request.scope["path"]).rpartition("/")[2], secret)

    def _refused(self, status: int, why: str) -> Response:
        self.metrics.posts[status] += 1
        self.metrics.refused(why)
        return PlainTextResponse("refused\n", status, headers=_HEADERS)

    def _unavailable(self, why: str) -> Response:
        self.metrics.posts[503] += 1
        self.metrics.refused(why, level=logging.ERROR)
        return PlainTextResponse("not stored\n", 503, headers={**_HEADERS, "Retry-After": "10"})

    def _observe(self, deliveries: Sequence[Delivery], seconds: float) -> None:
        kinds = count_kinds(deliveries)
        self.metrics.committed(kinds, seconds)
        logger.info(
            "Stored %d deliveries in %.0f ms: %d statuses, %d messages, %d other events",
            len(deliveries),
            seconds * 1000,
            *kinds.values(),
        )

    async def health(self, request: Request) -> Response:
        """Answer whether the database can be reached."""
        async with self._health_lock:
            until, healthy = self._healthy
            if time.monotonic() >= until:
                healthy = await self._ping()
                self._healthy = time.monotonic() + HEALTH_SECONDS, healthy
        return PlainTextResponse(
            "ok\n" if healthy else "the database does not answer\n", 200 if healthy else 503
        )

    async def _ping(self) -> bool:
        try:
            await asyncio.wait_for(asyncio.to_thread(self._store.ping), 5.0)
        except (StoreError, TimeoutError):
            return False
        return True

    async def show_metrics(self, request: Request) -> Response:
        """Answer with the counts in Prometheus's text format."""
        return PlainTextResponse(self.metrics.text(), media_type="text/plain; version=0.0.4")


class _Memory:
    """Counts the bytes of all bodies in memory."""

    def __init__(self) -> None:
        self._total = 0

    @contextlib.contextmanager
    def holding(self) -> Iterator[_Held]:
        """Count what one request holds, until it is answered."""
        held = _Held(self)
        try:
            yield held
        finally:
            self.add(-held.size)

    def add(self, size: int) -> bool:
        """Add bytes; return False if there are too many."""
        self._total += size
        return self._total <= MAX_HELD


class _Held:
    """Counts what one request holds in memory."""

    def __init__(self, memory: _Memory) -> None:
        self._memory = memory
        self.size = 0

    def grow(self, size: int) -> bool:
        """Add bytes; return False if all requests together hold too many."""
        self.size += size
        return self._memory.add(size)


def receiver_app(store: EventStore, settings: Settings) -> Starlette:
    """Return the application; any path except its own ones is an address for deliveries."""
    receiver = Receiver(store, settings)
    return Starlette(
        routes=[
            Route("/healthz", receiver.health),
            Route("/metrics", receiver.show_metrics),
            Route("/{path:path}", receiver.handshake, methods=["GET"]),
            Route("/{path:path}", receiver.deliver, methods=["POST"]),
        ],
        lifespan=receiver.lifespan,
    )


def _same(given: str, wanted: str) -> bool:
    """Return whether two texts are equal, in a time that does not depend on how much of them is."""
    return hmac.compare_digest(given.encode(errors="replace"), wanted.encode())


def _signed(body: bytes, secret: str, signature: str) -> bool:
    made = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(made, signature)
