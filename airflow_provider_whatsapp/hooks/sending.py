"""The hook's shortcuts: one method per kind of message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_whatsapp.client.messages import Message
    from airflow_provider_whatsapp.client.resources.messages import SentMessage
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient


class Sending:
    """The methods of :class:`~airflow_provider_whatsapp.hooks.maton_whatsapp.MatonWhatsAppHook` that send."""

    if TYPE_CHECKING:  # what the hook provides

        @property
        def client(self) -> WhatsAppClient:
            """See the hook."""

        def send(
            self,
            to: str,
            message: Message | Mapping[str, Any],
            *,
            reply_to: str | None = None,
            callback_data: str | None = None,
            group: bool = False,
        ) -> SentMessage:
            """See the hook."""

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
        :param template_name: Name of the template.
        :param language: Language of the template.
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
        Return a template message; check and upload a file for its header, but send nothing.

        :param name: Name of the template.
        :param language: Its language.
        :param header: As for :meth:`send_template`.
        :param header_filename: As for :meth:`send_template`.
        :param parts: ``body``, ``buttons``, ``components``: as for :meth:`send_template`.
        """
        from airflow_provider_whatsapp.client.messages import Template
        from airflow_provider_whatsapp.hooks.media_source import template_header

        Template(name, language, **parts)  # refuses invalid parts before a header's file is uploaded
        return Template(
            name, language, header=template_header(self.client, header, filename=header_filename), **parts
        )

    def check_template_message(
        self,
        name: str,
        language: str = "en_US",
        *,
        header: Any = None,
        header_filename: str | None = None,
        **parts: Any,
    ) -> None:
        """
        Refuse a template message that is not valid, without any request.

        :param name: As for :meth:`template_message`.
        :param language: As for :meth:`template_message`.
        :param header: As for :meth:`template_message`.
        :param header_filename: As for :meth:`template_message`.
        :param parts: As for :meth:`template_message`.
        :raises PayloadError: A name, a value or a file breaks a limit.
        """
        from airflow_provider_whatsapp.client.messages import Template
        from airflow_provider_whatsapp.hooks.media_source import check_header

        Template(name, language, **parts)
        check_header(header, filename=header_filename)

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
        Send a picture, video, audio, sticker or document, which reaches only people who wrote within the last 24
        hours.

        :param to: Recipient.
        :param media: URL, media id, path or ``ObjectStoragePath``; the hook checks and uploads a file.
        :param kind: ``image``, ``video``, ``audio``, ``sticker`` or ``document``; None: by the file's type.
        :param caption: Up to 1,024 characters below a picture, video or document.
        :param filename: Name that a document shows.
        """
        return self.send(to, self.media_message(media, kind=kind, caption=caption, filename=filename))

    def media_message(
        self, media: Any, *, kind: str | None = None, caption: str | None = None, filename: str | None = None
    ) -> Message:
        """
        Return a media message; check and upload its file, but send nothing.

        :param media: As for :meth:`send_media`.
        :param kind: As for :meth:`send_media`.
        :param caption: As for :meth:`send_media`.
        :param filename: As for :meth:`send_media`.
        """
        from airflow_provider_whatsapp.hooks.media_source import media_message

        return media_message(self.client, media, kind=kind, caption=caption, filename=filename)

    def send_location(
        self,
        to: str,
        latitude: float,
        longitude: float,
        *,
        name: str | None = None,
        address: str | None = None,
    ) -> SentMessage:
        """
        Send a location.

        :param to: Recipient.
        :param latitude: Degrees, -90 to 90.
        :param longitude: Degrees, -180 to 180.
        :param name: Name of the location.
        :param address: Address of the location, shown below the name.
        """
        from airflow_provider_whatsapp.client.messages import Location

        return self.send(to, Location(latitude, longitude, name=name, address=address))

    def send_contacts(self, to: str, contacts: Sequence[Any]) -> SentMessage:
        """
        Send contact cards.

        :param to: Recipient.
        :param contacts: ``Contact`` models, or dicts of their fields; 257 at most.
        """
        from airflow_provider_whatsapp.client.messages import Contacts

        return self.send(to, Contacts(contacts))

    def send_buttons(
        self, to: str, body: str, buttons: Sequence[Any], *, header: Any = None, footer: str | None = None
    ) -> SentMessage:
        """
        Send a text with one to three reply buttons.

        :param to: Recipient.
        :param body: Up to 1,024 characters.
        :param buttons: Titles of up to 20 characters, or ``{"id": ..., "title": ...}``.
        :param header: Text, or a media model.
        :param footer: Up to 60 characters.
        """
        from airflow_provider_whatsapp.client.messages import ReplyButtons

        return self.send(to, ReplyButtons(body, buttons, header=header, footer=footer))

    def send_list(
        self,
        to: str,
        body: str,
        button: str,
        sections: Sequence[Any],
        *,
        header: str | None = None,
        footer: str | None = None,
    ) -> SentMessage:
        """
        Send a text with a list to choose from: ten rows at most, in all sections together.

        :param to: Recipient.
        :param body: Up to 4,096 characters.
        :param button: Label that opens the list, up to 20 characters.
        :param sections: ``{"title": ..., "rows": [{"id": ..., "title": ..., "description": ...}]}`` each.
        :param header: Up to 60 characters.
        :param footer: Up to 60 characters.
        """
        from airflow_provider_whatsapp.client.messages import ListMessage

        return self.send(to, ListMessage(body, button, sections, header=header, footer=footer))

    def mark_as_read(self, message_id: str, *, typing: bool = False) -> None:
        """
        Mark a received message as read.

        :param message_id: The message's wamid.
        :param typing: Show a typing indicator as well.
        """
        self.client.messages.mark_as_read(message_id, typing=typing)
