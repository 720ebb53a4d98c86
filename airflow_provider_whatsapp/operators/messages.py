"""Operators that send one message to one or several people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_whatsapp.links import ResultsLink, WhatsAppManagerLink
from airflow_provider_whatsapp.operators._arguments import flag, text
from airflow_provider_whatsapp.operators._declare import Argument
from airflow_provider_whatsapp.operators._delivery import DEFAULT_CONN_ID
from airflow_provider_whatsapp.operators._routing import ROUTING, RoutesTemplates
from airflow_provider_whatsapp.operators._sending import MessageOperator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import BaseOperatorLink

    from airflow_provider_whatsapp.client.messages import Message
    from airflow_provider_whatsapp.operators._declare import Arguments

__all__ = [
    "DEFAULT_CONN_ID",
    "SendMediaOperator",
    "SendMessageOperator",
    "SendTemplateOperator",
    "SendTextOperator",
]


class SendTemplateOperator(RoutesTemplates, MessageOperator):
    """
    Send an approved template, the only kind of message that may start a conversation.

    It returns a report on all recipients, and refuses wrong arguments before any request.

    :param to: One recipient or a list: numbers in international form, or business-scoped user ids. (templated)
    :param template_name: Name of the approved template. (templated)
    :param language: Its language; ``en`` and ``en_US`` are different templates. (templated)
    :param header: Text, or media: URL, media id, path, ``ObjectStoragePath``, bytes or a binary file object; a dict
        names the type: ``{"type": "document", "media": ...}``. (templated)
    :param header_filename: Name that a document in the header shows; None: the file's own. (templated)
    :param body: Values of the body's variables: a list in their order, or a dict by their names. (templated)
    :param buttons: Values of the buttons' variables: the suffix of the URL button at its position in the list, or
        ``{"type": "quick_reply", "index": 0, "payload": ...}`` and the like. (templated)
    :param components: Graph's own JSON, instead of header, body and buttons. (templated)
    :param suppression: People to leave out because they opted out: ``"events"`` for the opt-outs of the event
            store, or a list, as for ``BroadcastTemplateOperator``. (templated)
    :param skip_if_empty: Skip the task if the header's file is empty (a CSV file with a header line is not), before any
        request; False: an empty file is an error. (templated)
    :param check_template: Look up first whether the template is approved and the values fit it; one request.
        (templated)
    :param marketing: ``auto``: send a template whose category is MARKETING by ``/marketing_messages`` if the
            account is onboarded, everything else by ``/messages``; ``cloud_api``: never; ``strict``: only there.
            (templated)
    :param message_activity_sharing: Whether Meta may use what recipients do with a marketing message; None: as the
        account is set. (templated)
    :param expect_category: ``UTILITY``, ``MARKETING`` or ``AUTHENTICATION``: send nothing if Meta has moved the
        template to another category. None: any. (templated)
    :param maton_conn_id: The Airflow connection. (templated)
    :param phone_number_id: Sender; None: the connection's. (templated)
    :param waba_id: Business account in which to look up the template; None: the connection's. (templated)
    :param ledger_path: Folder (path or URL of an object store) for the record of recipients. None: Airflow's task
        state store, on 3.3 and later; without either, Airflow does not retry the task once it has sent anything.
        (templated)
    :param on_unknown: What a retry does with those whose answer was lost: ``report`` them, or ``resend``, which may
        reach them twice. (templated)
    :param resend_on_clear: Clearing the task sends to everybody again; False: only to those who certainly have
        nothing. (templated)
    :param max_failed: How many may fail, or be unknown, while the task succeeds: a count, or a share below 1.
        (templated)
    :param callback_data: Up to 512 characters that Meta repeats in every status of the messages; None: a value of
            this package's, which identifies nobody and by which a receipt finds its send. (templated)
    :param log_pii: Show numbers and values in logs and rendered fields. (templated)
    :param wait_for: ``accepted``: the task ends when WhatsApp has accepted the messages; ``sent``, ``delivered`` or
            ``read``: it waits until each has this status or has failed. Needs the event store, or the message history
            for up to 100 recipients; and a ledger. (templated)
    :param wait_timeout: How long to wait, from the last message on: a ``timedelta``, or seconds; a minute to 30 days.
        (templated)
    :param on_timeout: ``report``: count those who are still pending, and succeed; ``fail``: fail the task.
        (templated)
    :param poke_interval: Seconds between two polls, while waiting. (templated)
    :param deferrable: Wait in the triggerer, without a worker slot; the default is Airflow's ``[operators]
        default_deferrable``.
    """

    operator_extra_links: tuple[BaseOperatorLink, ...] = (WhatsAppManagerLink(), ResultsLink())

    declared_arguments: ClassVar[Arguments] = {
        **MessageOperator.declared_arguments,
        "template_name": Argument(text, shown=True, content=True),
        "language": Argument(text, shown=True, content=True),
        "header": Argument(content=True),
        "header_filename": Argument(text, content=True),
        "body": Argument(content=True, renderer="json"),
        "buttons": Argument(content=True, renderer="json"),
        "components": Argument(content=True, renderer="json"),
        "skip_if_empty": Argument(flag, shown=True),
        "check_template": Argument(flag, shown=True),
        **ROUTING,
    }

    def __init__(
        self,
        *,
        template_name: str,
        language: str = "en_US",
        header: Any = None,
        header_filename: str | None = None,
        body: Sequence[Any] | Mapping[str, Any] | None = None,
        buttons: Sequence[Any] | None = None,
        components: Sequence[Mapping[str, Any]] | None = None,
        skip_if_empty: bool | str = False,
        check_template: bool | str = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.skip_if_empty: Any = skip_if_empty
        self.check_template: Any = check_template
        self.template_name = template_name
        self.language = language
        self.header = header
        self.header_filename = header_filename
        self.body = body
        self.buttons = buttons
        self.components = components

    def build_message(self) -> Message:
        """Build the message, upload its header's file once for all, and check the message against the template."""
        from airflow_provider_whatsapp.hooks.media_source import media_of

        found = media_of(self.header)
        if self.skip_if_empty and found is not None and found[0] is not None:
            self._pass_over_empty(found[0])
        parts = {name: getattr(self, name) for name in ("header_filename", "body", "buttons", "components")}
        header = self._upload or self.header
        # The template decides whether a text names a file, before any file is opened; everything else is checked
        # here.
        certain: dict[str, Any] = {} if isinstance(header, str) else {"header": header}
        self.hook.check_template_message(self.template_name, self.language, **certain, **parts)
        approved = None
        if self.check_template:
            approved = self._look_up(self.template_name, self.language, show_values=self.log_pii)
        if approved is not None:
            header = approved.as_header(header)
        message = self.hook.template_message(self.template_name, self.language, header=header, **parts)
        if approved is not None:
            approved.check(message.to_payload())
        return message


class SendMediaOperator(MessageOperator):
    """
    Send a picture, video, audio, sticker or document.

    Outside the 24 hours after a person's last message WhatsApp drops the file: send a template with a media header
        then.

    :param to: One recipient or a list: numbers in international form, or business-scoped user ids. (templated)
    :param media: URL, media id, path, ``ObjectStoragePath``, bytes or a binary file object; the operator checks a
            file and uploads it once for all recipients and tries. Airflow's XCom accepts neither bytes nor file
            objects: let the task that makes the file return its path or ``ObjectStoragePath``. (templated)
    :param kind: ``image``, ``video``, ``audio``, ``sticker`` or ``document``; None: by the file's type. (templated)
    :param caption: Up to 1,024 characters below a picture, video or document. (templated)
    :param filename: Name that a document shows; None: the file's own. (templated)
    :param skip_if_empty: Skip the task if the file is empty (a CSV file with a header line is not), before any
            request; False: an empty file is an error. (templated)
    :param kwargs: As for :class:`SendTemplateOperator`: ``maton_conn_id``, ``phone_number_id``, ``waba_id``,
        ``ledger_path``, ``on_unknown``, ``resend_on_clear``, ``max_failed``, ``callback_data``, ``log_pii``,
        ``suppression``, ``wait_for``, ``wait_timeout``, ``on_timeout``, ``poke_interval``, ``deferrable``.
    """

    declared_arguments: ClassVar[Arguments] = {
        **MessageOperator.declared_arguments,
        "media": Argument(content=True),
        "kind": Argument(shown=True, content=True),
        "caption": Argument(text, content=True),
        "filename": Argument(text, content=True),
        "skip_if_empty": Argument(flag, shown=True),
    }

    def __init__(
        self,
        *,
        media: Any,
        kind: str | None = None,
        caption: str | None = None,
        filename: str | None = None,
        skip_if_empty: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.skip_if_empty: Any = skip_if_empty
        self.media = media
        self.kind = kind
        self.caption = caption
        self.filename = filename

    def build_message(self) -> Message:
        """Build and check the message; upload a file once for all recipients."""
        if self.skip_if_empty:
            self._pass_over_empty(self.media)
        media, kind, filename = self.media, self.kind, self.filename
        if self._upload is not None:
            media, kind, filename = self._upload["media"], self._upload["type"], self._upload["filename"]
        return self.hook.media_message(media, kind=kind, caption=self.caption, filename=filename)


class SendTextOperator(MessageOperator):
    """
    Send free text.

    Outside the 24 hours after a person's last message WhatsApp drops the text: send a template then.

    :param to: One recipient or a list: numbers in international form, or business-scoped user ids. (templated)
    :param text: 1 to 4,096 characters. (templated)
    :param preview_url: Show a preview of the first link. (templated)
    :param kwargs: As for :class:`SendTemplateOperator`: ``maton_conn_id``, ``phone_number_id``, ``waba_id``,
        ``ledger_path``, ``on_unknown``, ``resend_on_clear``, ``max_failed``, ``callback_data``, ``log_pii``,
        ``suppression``, ``wait_for``, ``wait_timeout``, ``on_timeout``, ``poke_interval``, ``deferrable``.
    """

    declared_arguments: ClassVar[Arguments] = {
        **MessageOperator.declared_arguments,
        "text": Argument(text, content=True),
        "preview_url": Argument(flag, shown=True, content=True),
    }

    def __init__(self, *, text: str, preview_url: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.text = text
        self.preview_url: Any = preview_url

    def build_message(self) -> Message:
        """Build and check the message."""
        from airflow_provider_whatsapp.client.messages import Text

        return Text(self.text, preview_url=self.preview_url)


class SendMessageOperator(MessageOperator):
    """
    Send a message of any type by its plain fields: ``{"type": "location", "latitude": 1, "longitude": 2}``.

    :param to: One recipient or a list: numbers in international form, or business-scoped user ids. (templated)
    :param message: ``type`` and the fields of its model, or Graph's own nested form. (templated)
    :param kwargs: As for :class:`SendTemplateOperator`: ``maton_conn_id``, ``phone_number_id``, ``waba_id``,
        ``ledger_path``, ``on_unknown``, ``resend_on_clear``, ``max_failed``, ``callback_data``, ``log_pii``,
        ``suppression``, ``wait_for``, ``wait_timeout``, ``on_timeout``, ``poke_interval``, ``deferrable``.
    """

    declared_arguments: ClassVar[Arguments] = {
        **MessageOperator.declared_arguments,
        "message": Argument(content=True, renderer="json"),
    }

    def __init__(self, *, message: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.message = message

    def build_message(self) -> Message:
        """Build and check the message."""
        from airflow_provider_whatsapp.client.messages import parse_message

        return parse_message(self.message)
