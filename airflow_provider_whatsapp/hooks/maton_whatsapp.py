"""The hook: it turns an Airflow connection into a WhatsApp client."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import threading
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from airflow_provider_whatsapp import get_provider_info as info
from airflow_provider_whatsapp.hooks.management import Management
from airflow_provider_whatsapp.hooks.sending import Sending

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor
    from typing import TypeVar

    from airflow.sdk import Connection

    from airflow_provider_whatsapp.client.messages import Message
    from airflow_provider_whatsapp.client.rate_limit import Departure
    from airflow_provider_whatsapp.client.redis_server import RedisServer
    from airflow_provider_whatsapp.client.resources.messages import Marketing, SentMessage
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

    T = TypeVar("T")

logger = logging.getLogger(__name__)

ASYNC_THREADS = 32
"""The most threads for coroutines' requests. They are this package's own: asyncio's default pool also resolves names
for every other trigger, and slow requests in it would delay those."""
THREADS_EACH = 8
"""The most threads that one connection may use: a gateway that does not answer delays only its own requests."""


@functools.cache
def _pool() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(ASYNC_THREADS, thread_name_prefix="whatsapp")


@functools.lru_cache(maxsize=100)
def _say(note: str) -> None:
    """Log, once per process, which fields of a connection are ignored, even if many hooks use it."""
    logger.warning("WhatsApp: %s", note)


async def in_thread(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Run a blocking function in this package's own threads; cancelling the await does not stop it."""
    return await asyncio.get_running_loop().run_in_executor(
        _pool(), functools.partial(function, *args, **kwargs)
    )


async def in_fair_thread(conn_id: str, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Run a function that calls a gateway, like ``in_thread``, in one of the threads that its connection may use."""
    loop = asyncio.get_running_loop()
    free = _shares.setdefault(loop, {}).setdefault(conn_id, asyncio.Semaphore(THREADS_EACH))
    await free.acquire()
    job = _pool().submit(functools.partial(function, *args, **kwargs))

    def release(_: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(free.release)

    # Not when the await ends: after a cancelled await the thread is still at work.
    job.add_done_callback(release)
    return await asyncio.wrap_future(job)


_shares: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Semaphore]] = (
    weakref.WeakKeyDictionary()
)


class MatonWhatsAppHook(Sending, Management, BaseHook):
    """
    WhatsApp through Maton's gateway, from an Airflow connection of type ``maton_whatsapp``.

    The hook looks up and connects nothing before the first use. ``send*`` return a
    :class:`~airflow_provider_whatsapp.client.resources.messages.SentMessage`; lists are iterators that read each page
    when you reach it. Every method raises :class:`~airflow_provider_whatsapp.client.errors.WhatsAppError` or one of its
    subclasses.

    :param maton_conn_id: The Airflow connection.
    :param phone_number_id: Sender; None: the connection's.
    :param waba_id: WhatsApp Business Account; None: the connection's.
    :param until: When its requests end, in seconds of ``time.monotonic()``, for callers with a time budget; None: no
        limit; one request with its retries takes up to 90 seconds.
    """

    conn_name_attr = "maton_conn_id"
    default_conn_name = "maton_whatsapp_default"
    conn_type = info.CONN_TYPE
    hook_name = info.HOOK_NAME

    def __init__(
        self,
        maton_conn_id: str = default_conn_name,
        *,
        phone_number_id: str | None = None,
        waba_id: str | None = None,
        until: float | None = None,
    ) -> None:
        super().__init__()
        self.maton_conn_id = maton_conn_id
        self.phone_number_id = phone_number_id
        self.waba_id = waba_id
        self.until = until
        self._client: WhatsAppClient | None = None
        self._notes: list[str] = []
        self._lock = threading.Lock()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the form's labels for Airflow 3.1; later versions read the provider's metadata."""
        return {
            "hidden_fields": info.HIDDEN_FIELDS,
            "relabeling": info.RELABELING,
            "placeholders": info.PLACEHOLDERS,
        }

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's own fields for Airflow 3.1; later versions read the provider's metadata."""
        from wtforms import StringField  # only Airflow 3.1's API server has it

        return {
            name: StringField(field["label"], description=field["description"])
            for name, field in info.CONNECTION_FIELDS.items()
        }

    @property
    def client(self) -> WhatsAppClient:
        """
        The client; the hook makes it from the connection on first use and keeps it.

        :raises ConfigurationError: The connection lacks the key, or one of its fields is malformed.
        """
        with self._lock:
            if self._client is None:
                connection = self.get_connection(self.maton_conn_id)
                redis_id = _redis_id(self.maton_conn_id, connection)
                redis = self.get_connection(redis_id) if redis_id else None
                self._client = self._build(connection, redis)
                _mask(self._client.config.api_key, connection.password)
            return self._client

    def get_conn(self) -> WhatsAppClient:
        """Return :attr:`client`, under the name that Airflow's hooks share."""
        return self.client

    async def aclient(self) -> WhatsAppClient:
        """Return :attr:`client`, without blocking the event loop during the look-up of the connection."""
        if self._client is None:
            from airflow_provider_whatsapp._compat import aget_connection, amask_secret

            connection = await aget_connection(self.maton_conn_id, _pool())
            # In a thread, for its first call imports the client, which takes long enough to hold up a triggerer.
            redis_id = await in_thread(_redis_id, self.maton_conn_id, connection)
            redis = await aget_connection(redis_id, _pool()) if redis_id else None
            client = await in_thread(self._build, connection, redis)
            if client.config.api_key != connection.password:
                await amask_secret(client.config.api_key, _pool())
            with self._lock:
                if self._client is None:
                    self._client = client
        return self._client

    def _build(self, connection: Connection, redis: Connection | None = None) -> WhatsAppClient:
        from airflow_provider_whatsapp.client.connection import client_config, read_extra, unread
        from airflow_provider_whatsapp.client.transport import Transport
        from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

        # `extra_dejson` would ask the supervisor to mask, which must not happen in parallel with a coroutine.
        extra = read_extra(self.maton_conn_id, connection.extra)
        self._notes = unread(
            self.maton_conn_id,
            conn_type=connection.conn_type,
            port=connection.port,
            host=connection.host,
            extra=extra,
        )
        for note in self._notes:
            _say(note)
        config = client_config(
            self.maton_conn_id,
            password=connection.password,
            host=connection.host,
            extra=extra,
            phone_number_id=self.phone_number_id,
            waba_id=self.waba_id,
            find_redis=lambda conn_id: _redis_server(conn_id, redis),
        )
        return WhatsAppClient(config, transport=Transport(config, until=self.until))

    def send(
        self,
        to: str,
        message: Message | Mapping[str, Any],
        *,
        reply_to: str | None = None,
        callback_data: str | None = None,
        group: bool = False,
        permit: Departure | None = None,
        marketing: Marketing | None = None,
    ) -> SentMessage:
        """
        Send one message: any model, or its plain fields, as in ``{"type": "location", "latitude": 1, "longitude":
        2}``; return the accepted message with its wamid.

        :param to: Recipient's number in international form, a business-scoped user id, or a group id.
        :param message: The message: a model, or a mapping of its fields.
        :param reply_to: wamid of the message that this one quotes.
        :param callback_data: Up to 512 characters that Meta echoes in its status webhooks.
        :param group: ``to`` is a group ID.
        :param permit: Permission to send immediately, from ``client.messages.permit``; None: the message waits for a
            permit.
        :param marketing: Send a template of the category MARKETING through the Marketing Messages API, with these
            options; None: through ``/messages``. Operators choose by the template's category.
        :raises PayloadError: The message or the recipient breaks a limit; nothing was sent.
        :raises OutcomeUnknownError: The answer was lost; WhatsApp may have accepted the message.
        """
        from airflow_provider_whatsapp.client.messages import parse_message

        model: Message = parse_message(message) if isinstance(message, Mapping) else message
        return self.client.messages.send(
            to,
            model,
            reply_to=reply_to,
            callback_data=callback_data,
            group=group,
            permit=permit,
            marketing=marketing,
        )

    async def asend(self, to: str, message: Message | Mapping[str, Any], **options: Any) -> SentMessage:
        """
        Send one message from a coroutine; cancelling the await does not recall it.

        :param to: As for :meth:`send`.
        :param message: As for :meth:`send`.
        :param options: As for :meth:`send`.
        """
        await self.aclient()
        return await in_fair_thread(self.maton_conn_id, self.send, to, message, **options)

    def test_connection(self) -> tuple[bool, str]:
        """Test key, Maton connection, number and account; return whether all are right, and a sentence."""
        from airflow_provider_whatsapp.hooks.check import check

        right, said = check(lambda: self.client)
        return right, " ".join([said, *self._notes])


def _redis_id(conn_id: str, connection: Connection) -> str | None:
    """Return the ID of the connection that ``pace_redis`` names; None: it does not name one."""
    from airflow_provider_whatsapp.client.connection import read_extra
    from airflow_provider_whatsapp.client.redis_server import connection_id

    return connection_id(read_extra(conn_id, connection.extra).get("pace_redis"))


def _redis_server(conn_id: str, connection: Connection | None) -> RedisServer:
    """Return the server of a connection of type redis; Airflow's hook is not used because it sets no timeouts."""
    from airflow_provider_whatsapp.client.connection import read_extra
    from airflow_provider_whatsapp.client.redis_server import redis_server

    return redis_server(
        conn_id,
        conn_type=connection.conn_type if connection else None,
        host=connection.host if connection else None,
        port=connection.port if connection else None,
        login=connection.login if connection else None,
        password=connection.password if connection else None,
        extra=read_extra(conn_id, connection.extra if connection else None),
    )


def _mask(key: str, password: str | None) -> None:
    # Airflow masks a connection's password, but not a key from MATON_API_KEY, nor one with spaces around it.
    if key != password:
        from airflow.sdk.log import mask_secret

        mask_secret(key)
