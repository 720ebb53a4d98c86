"""The hook: an Airflow connection becomes a WhatsApp client."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from airflow_provider_whatsapp import get_provider_info as info

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import ThreadPoolExecutor
    from typing import TypeVar

    from airflow.sdk import Connection

    from airflow_provider_whatsapp.client.messages import Message
    from airflow_provider_whatsapp.client.resources.messages import SentMessage
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

    T = TypeVar("T")

ASYNC_THREADS = 8
"""Threads that requests of coroutines run in. They are this package's own: asyncio's default pool also resolves
names for every other trigger, and slow requests in it would hold those up."""


@functools.cache
def _pool() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(ASYNC_THREADS, thread_name_prefix="whatsapp")


async def in_thread(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """
    Run a blocking function in this package's own threads.

    Cancelling the await does not stop the function: a message that it sends is not recalled.

    :param function: What to run.
    :param args: Its arguments.
    :param kwargs: Its keyword arguments.
    """
    return await asyncio.get_running_loop().run_in_executor(
        _pool(), functools.partial(function, *args, **kwargs)
    )


class MatonWhatsAppHook(BaseHook):
    """
    WhatsApp through Maton's gateway, from an Airflow connection of type ``maton_whatsapp``.

    Nothing is looked up or connected before the first use. ``send*`` return a
    :class:`~airflow_provider_whatsapp.client.resources.messages.SentMessage`; lists are iterators that read their
    pages when they are reached. Every method raises
    :class:`~airflow_provider_whatsapp.client.errors.WhatsAppError` or one of its subclasses.

    :param maton_conn_id: The Airflow connection.
    :param phone_number_id: Sender; None: the connection's.
    :param waba_id: WhatsApp Business Account; None: the connection's.
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
    ) -> None:
        super().__init__()
        self.maton_conn_id = maton_conn_id
        self.phone_number_id = phone_number_id
        self.waba_id = waba_id
        self._client: WhatsAppClient | None = None
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
        from wtforms import BooleanField, StringField  # Airflow 3.1's API server alone has it

        return {
            name: (BooleanField if "boolean" in field["schema"]["type"] else StringField)(
                field["label"], description=field["description"]
            )
            for name, field in info.CONNECTION_FIELDS.items()
        }

    @property
    def client(self) -> WhatsAppClient:
        """
        The client; made from the connection at the first use and kept.

        :raises ConfigurationError: The connection lacks the key, or a field of it is malformed.
        """
        with self._lock:
            if self._client is None:
                connection = self.get_connection(self.maton_conn_id)
                self._client = self._build(connection)
                _mask(self._client.config.api_key, connection.password)
            return self._client

    def get_conn(self) -> WhatsAppClient:
        """Return :attr:`client`, under the name that Airflow's hooks share."""
        return self.client

    async def aclient(self) -> WhatsAppClient:
        """Return :attr:`client` to a coroutine, the connection looked up without blocking its loop."""
        if self._client is None:
            from airflow_provider_whatsapp._compat import aget_connection

            connection = await aget_connection(self.maton_conn_id, _pool())
            client = await in_thread(self._build, connection)
            with self._lock:
                if self._client is None:
                    self._client = client
        return self._client

    def _build(self, connection: Connection) -> WhatsAppClient:
        from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
        from airflow_provider_whatsapp.hooks.config import client_config, read_extra

        # `extra_dejson` would call the supervisor to mask, which must not happen beside a coroutine.
        config = client_config(
            self.maton_conn_id,
            password=connection.password,
            host=connection.host,
            extra=read_extra(self.maton_conn_id, connection.extra),
            phone_number_id=self.phone_number_id,
            waba_id=self.waba_id,
        )
        return WhatsAppClient(config)

    def send(
        self,
        to: str,
        message: Message | Mapping[str, Any],
        *,
        reply_to: str | None = None,
        group: bool = False,
    ) -> SentMessage:
        """
        Send one message, any model or its plain fields: ``{"type": "location", "latitude": 1, "longitude": 2}``.

        :param to: Recipient's number in international form, a business-scoped user id, or a group id.
        :param message: What to send.
        :param reply_to: wamid of the message that this one quotes.
        :param group: ``to`` is a group id.
        :raises PayloadError: A limit is broken; nothing was sent.
        :raises OutcomeUnknownError: The answer was lost; the message may have been sent.
        """
        from airflow_provider_whatsapp.client.messages import parse_message

        model: Message = parse_message(message) if isinstance(message, Mapping) else message
        return self.client.messages.send(to, model, reply_to=reply_to, group=group)

    async def asend(self, to: str, message: Message | Mapping[str, Any], **options: Any) -> SentMessage:
        """
        Send one message from a coroutine; cancelling the await does not recall it.

        :param to: As for :meth:`send`.
        :param message: As for :meth:`send`.
        :param options: As for :meth:`send`.
        """
        await self.aclient()
        return await in_thread(self.send, to, message, **options)

    def send_text(
        self, to: str, text: str, *, preview_url: bool = False, reply_to: str | None = None
    ) -> SentMessage:
        """
        Send free text, which reaches only people who wrote within the last 24 hours.

        :param to: Recipient.
        :param text: 1 to 4,096 characters.
        :param preview_url: Show a preview of the first link.
        :param reply_to: wamid of the message that this one quotes.
        """
        from airflow_provider_whatsapp.client.messages import Text

        return self.send(to, Text(text, preview_url=preview_url), reply_to=reply_to)

    def send_template(
        self,
        to: str,
        template_name: str,
        language: str = "en_US",
        *,
        header: Any = None,
        header_filename: str | None = None,
        body: Any = None,
        buttons: Any = None,
        components: Any = None,
    ) -> SentMessage:
        """
        Send an approved template.

        :param to: Recipient.
        :param template_name: Its name.
        :param language: Its language.
        :param header: Text, or a media source: URL, media id, path or ``ObjectStoragePath``.
        :param header_filename: Name that a document in the header shows.
        :param body: Values of the variables: a list in their order, or a dict by their names.
        :param buttons: Values of the buttons' variables.
        :param components: Graph's own JSON, instead of header, body and buttons.
        """
        message = self.template_message(
            template_name,
            language,
            header=header,
            header_filename=header_filename,
            body=body,
            buttons=buttons,
            components=components,
        )
        return self.send(to, message)

    def template_message(
        self,
        name: str,
        language: str = "en_US",
        *,
        header: Any = None,
        header_filename: str | None = None,
        **parts: Any,
    ) -> Message:
        """
        Build a template message; a file for its header is checked and uploaded, nothing else leaves.

        :param name: Name of the template.
        :param language: Its language.
        :param header: As for :meth:`send_template`.
        :param header_filename: As for :meth:`send_template`.
        :param parts: ``body``, ``buttons``, ``components``: as for :meth:`send_template`.
        """
        from airflow_provider_whatsapp.client.messages import Template
        from airflow_provider_whatsapp.hooks.media_source import template_header

        Template(name, language, **parts)  # refuses what is wrong before a header's file is uploaded
        return Template(
            name, language, header=template_header(self.client, header, filename=header_filename), **parts
        )

    def send_media(
        self,
        to: str,
        media: Any,
        *,
        kind: str | None = None,
        caption: str | None = None,
        filename: str | None = None,
    ) -> SentMessage:
        """
        Send a picture, video, audio, sticker or document, which reaches only people who wrote within 24 hours.

        :param to: Recipient.
        :param media: URL, media id, path or ``ObjectStoragePath``; a file is checked and uploaded.
        :param kind: ``image``, ``video``, ``audio``, ``sticker`` or ``document``; None: what its type makes it.
        :param caption: Up to 1,024 characters below a picture, video or document.
        :param filename: Name that a document shows.
        """
        return self.send(to, self.media_message(media, kind=kind, caption=caption, filename=filename))

    def media_message(
        self, media: Any, *, kind: str | None = None, caption: str | None = None, filename: str | None = None
    ) -> Message:
        """
        Build a media message; a file is checked and uploaded, nothing else leaves.

        :param media: As for :meth:`send_media`.
        :param kind: As for :meth:`send_media`.
        :param caption: As for :meth:`send_media`.
        :param filename: As for :meth:`send_media`.
        """
        from airflow_provider_whatsapp.hooks.media_source import media_message

        return media_message(self.client, media, kind=kind, caption=caption, filename=filename)

    def mark_as_read(self, message_id: str, *, typing: bool = False) -> None:
        """
        Mark a received message as read.

        :param message_id: Its wamid.
        :param typing: Show a typing indicator as well.
        """
        self.client.messages.mark_as_read(message_id, typing=typing)

    def upload_media(self, source: Any, *, filename: str | None = None, mime_type: str | None = None) -> str:
        """
        Upload a file and return its media id, which lives 30 days and belongs to the sending number.

        :param source: A path, an ``ObjectStoragePath`` (or its URL), bytes or a binary file object.
        :param filename: Name of the file; None: its own.
        :param mime_type: MIME type; None: found from the content and the name.
        """
        from airflow_provider_whatsapp.hooks.media_source import opened

        return self.client.media.upload(opened(source), filename=filename, mime_type=mime_type)

    def upload_template_sample(self, source: Any, *, filename: str | None = None) -> str:
        """
        Upload the sample of a template's media header and return its handle; needs ``extra.app_id``.

        :param source: A path, an ``ObjectStoragePath`` (or its URL), bytes or a binary file object: PDF, JPEG, PNG
            or MP4.
        :param filename: Name of the file; None: its own.
        """
        from airflow_provider_whatsapp.hooks.media_source import opened

        return self.client.media.upload_sample(opened(source), filename=filename)

    def get_media(self, media_id: str) -> dict[str, Any]:
        """
        Return a file's metadata.

        :param media_id: Its id.
        """
        return self.client.media.get(media_id)

    def delete_media(self, media_id: str) -> None:
        """
        Delete a file.

        :param media_id: Its id.
        """
        self.client.media.delete(media_id)

    def list_templates(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """
        Yield the account's templates.

        :param filters: As for :meth:`~airflow_provider_whatsapp.client.resources.templates.Templates.list`.
        """
        return self.client.templates.list(**filters)

    def get_template(self, name: str, language: str = "en_US") -> dict[str, Any] | None:
        """
        Return a template, or None when the account has none of this name in this language.

        :param name: Its name.
        :param language: Its language.
        """
        return self.client.templates.find(name, language)

    def create_template(
        self, name: str, language: str, category: str, components: Any = None, **options: Any
    ) -> dict[str, Any]:
        """
        Submit a template to Meta's review and return its ``id``, ``status`` and ``category``.

        :param name: Its name.
        :param language: Its language.
        :param category: ``AUTHENTICATION``, ``MARKETING`` or ``UTILITY``.
        :param components: Graph's own components.
        :param options: Further fields as Graph names them.
        """
        return self.client.templates.create(
            name=name, language=language, category=category, components=components, **options
        )

    def edit_template(self, template_id: str, **changes: Any) -> dict[str, Any]:
        """
        Change a template; Meta reviews it again.

        :param template_id: Its id.
        :param changes: Fields to change.
        """
        return self.client.templates.edit(template_id, **changes)

    def delete_template(self, name: str, template_id: str | None = None) -> None:
        """
        Delete a template in all its languages, or in one.

        :param name: Its name.
        :param template_id: Id of one language.
        """
        self.client.templates.delete(name=name, template_id=template_id)

    def get_phone_number(self) -> dict[str, Any]:
        """Return the sending number: display number, verified name, quality and so on."""
        return self.client.phone_numbers.get()

    def list_phone_numbers(self) -> Iterator[dict[str, Any]]:
        """Yield the account's numbers."""
        return self.client.phone_numbers.list()

    def get_business_profile(self) -> dict[str, Any]:
        """Return what recipients see of the sending number."""
        return self.client.business_profile.get()

    def update_business_profile(self, **changes: Any) -> None:
        """
        Change the given fields of the profile.

        :param changes: Fields to change.
        """
        self.client.business_profile.update(**changes)

    def list_connections(self, **filters: Any) -> list[dict[str, Any]]:
        """
        Return the Maton account's WhatsApp connections.

        :param filters: ``status`` and ``limit``.
        """
        return self.client.connections.list(**filters)

    def create_connection(self) -> dict[str, Any]:
        """Create a Maton connection; open the ``url`` of what is returned to authorise it."""
        return self.client.connections.create()

    def get_maton_connection(self, connection_id: str) -> dict[str, Any]:
        """
        Return one Maton connection (``get_connection`` is Airflow's own, on every hook).

        :param connection_id: Its id.
        """
        return self.client.connections.get(connection_id)

    def delete_connection(self, connection_id: str) -> None:
        """
        Delete a Maton connection.

        :param connection_id: Its id.
        """
        self.client.connections.delete(connection_id)

    def get_message_status(self, message_id: str) -> dict[str, Any]:
        """
        Return how far a message got: ``{"status": ..., "timestamp": ..., "error": ...}``.

        :param message_id: Its wamid.
        """
        return self.client.history.status(message_id)

    def test_connection(self) -> tuple[bool, str]:
        """Try the key, the Maton connection, the number and the account, and say which is wrong or what was found."""
        from airflow_provider_whatsapp.hooks.check import check

        return check(lambda: self.client)


def _mask(key: str, password: str | None) -> None:
    # Airflow masks a connection's password by itself, but not a key from MATON_API_KEY.
    if key != password:
        from airflow.sdk.log import mask_secret

        mask_secret(key)
