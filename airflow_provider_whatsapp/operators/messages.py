"""Operators that send one message to one or several people."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_whatsapp.client.messages import Message
    from airflow_provider_whatsapp.delivery.report import Report
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

DEFAULT_CONN_ID = "maton_whatsapp_default"


class _SendOperator(BaseOperator):
    """
    What all sending operators share.

    :param to: One recipient or a list: numbers in international form, or business-scoped user ids. (templated)
    :param maton_conn_id: The Airflow connection. (templated)
    :param phone_number_id: Sender; None: the connection's. (templated)
    """

    template_fields: Sequence[str] = ("to", "maton_conn_id", "phone_number_id")
    ui_color = "#d9fdd3"

    def __init__(
        self,
        *,
        to: str | Sequence[str],
        maton_conn_id: str = DEFAULT_CONN_ID,
        phone_number_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.to = to
        self.maton_conn_id = maton_conn_id
        self.phone_number_id = phone_number_id

    @cached_property
    def hook(self) -> MatonWhatsAppHook:
        """The hook of the operator's connection."""
        from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

        return MatonWhatsAppHook(self.maton_conn_id, phone_number_id=self.phone_number_id)

    def build_message(self) -> Message:
        """Build and check the message; a file of it is uploaded, once for all recipients."""
        raise NotImplementedError

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Send, and return the report.

        :param context: Airflow's context.
        :raises AirflowFailException: Trying again is useless, or would reach somebody twice.
        :raises WhatsAppError: Nothing was sent, and trying again may help.
        """
        from airflow_provider_whatsapp.client.errors import WhatsAppError
        from airflow_provider_whatsapp.delivery.engine import deliver, read_recipients

        try:
            recipients = read_recipients(self.to)
            self.hook.client.config.require("phone_number_id")
            message = self.build_message()
        except WhatsAppError as error:
            raise _translated(error) from error
        report = deliver(recipients, lambda to: self.hook.send(to, message))
        self.log.info("WhatsApp: %s", report.summary())
        if report.count("sent") < len(report.outcomes):
            self._fail(context, report)
        return report.to_dict()

    def _fail(self, context: Context, report: Report) -> None:
        """End the task in a way that sends nothing twice; what was sent stays in the XCom ``report``."""
        from airflow_provider_whatsapp._compat import AirflowFailException

        context["ti"].xcom_push(key="report", value=report.to_dict())
        first = next(iter(report.errors()))
        if report.count("sent") == 0 and report.count("unknown") == 0:
            raise _translated(first) from first
        msg = f"{report.summary()}; the XCom 'report' holds each recipient's outcome. First error: {first}"
        raise AirflowFailException(msg) from first


def _translated(error: Exception) -> Exception:
    """Make what cannot succeed by trying again fail at once, without Airflow's retries."""
    from airflow_provider_whatsapp._compat import AirflowFailException

    return AirflowFailException(str(error)) if getattr(error, "permanent", False) else error


class SendTemplateOperator(_SendOperator):
    """
    Send an approved template, the only kind of message that may start a conversation.

    Returns the report of all recipients. It refuses what is wrong with the arguments before any request.

    :param to: One recipient or a list: numbers in international form, or business-scoped user ids. (templated)
    :param template_name: Name of the approved template. (templated)
    :param language: Its language; ``en`` and ``en_US`` are different templates. (templated)
    :param header: Text, or media: URL, media id, path or ``ObjectStoragePath``; a dict says it outright:
        ``{"type": "document", "media": ...}``. (templated)
    :param header_filename: Name that a document in the header shows; None: the file's own. (templated)
    :param body: Values of the body's variables: a list in their order, or a dict by their names. (templated)
    :param buttons: Values of the buttons' variables: the suffix of the URL button at its position in the list, or
        ``{"type": "quick_reply", "index": 0, "payload": ...}`` and the like. (templated)
    :param components: Graph's own JSON, instead of header, body and buttons. (templated)
    :param maton_conn_id: The Airflow connection. (templated)
    :param phone_number_id: Sender; None: the connection's. (templated)
    """

    template_fields: Sequence[str] = (
        *_SendOperator.template_fields,
        "template_name",
        "language",
        "header",
        "header_filename",
        "body",
        "buttons",
        "components",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "body": "json",
        "buttons": "json",
        "components": "json",
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.template_name = template_name
        self.language = language
        self.header = header
        self.header_filename = header_filename
        self.body = body
        self.buttons = buttons
        self.components = components

    def build_message(self) -> Message:
        """Build and check the message; a file in its header is uploaded, once for all recipients."""
        return self.hook.template_message(
            self.template_name,
            self.language,
            header=self.header,
            header_filename=self.header_filename,
            body=self.body,
            buttons=self.buttons,
            components=self.components,
        )


class SendMediaOperator(_SendOperator):
    """
    Send a picture, video, audio, sticker or document.

    Outside the 24 hours after a person's last message WhatsApp drops it: send a template with a media header then.

    :param to: One recipient or a list: numbers in international form, or business-scoped user ids. (templated)
    :param media: URL, media id, path or ``ObjectStoragePath``; a file is checked and uploaded, once for all
        recipients. (templated)
    :param kind: ``image``, ``video``, ``audio``, ``sticker`` or ``document``; None: what its type makes it. (templated)
    :param caption: Up to 1,024 characters below a picture, video or document. (templated)
    :param filename: Name that a document shows; None: the file's own. (templated)
    :param maton_conn_id: The Airflow connection. (templated)
    :param phone_number_id: Sender; None: the connection's. (templated)
    """

    template_fields: Sequence[str] = (*_SendOperator.template_fields, "media", "kind", "caption", "filename")

    def __init__(
        self,
        *,
        media: Any,
        kind: str | None = None,
        caption: str | None = None,
        filename: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.media = media
        self.kind = kind
        self.caption = caption
        self.filename = filename

    def build_message(self) -> Message:
        """Build and check the message; a file is uploaded, once for all recipients."""
        return self.hook.media_message(
            self.media, kind=self.kind, caption=self.caption, filename=self.filename
        )


class SendTextOperator(_SendOperator):
    """
    Send free text.

    Outside the 24 hours after a person's last message WhatsApp drops it: send a template then.

    :param to: One recipient or a list: numbers in international form, or business-scoped user ids. (templated)
    :param text: 1 to 4,096 characters. (templated)
    :param preview_url: Show a preview of the first link.
    :param maton_conn_id: The Airflow connection. (templated)
    :param phone_number_id: Sender; None: the connection's. (templated)
    """

    template_fields: Sequence[str] = (*_SendOperator.template_fields, "text")

    def __init__(self, *, text: str, preview_url: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.text = text
        self.preview_url = preview_url

    def build_message(self) -> Message:
        """Build and check the message."""
        from airflow_provider_whatsapp.client.messages import Text

        return Text(self.text, preview_url=self.preview_url)


class SendMessageOperator(_SendOperator):
    """
    Send a message of any type by its plain fields: ``{"type": "location", "latitude": 1, "longitude": 2}``.

    :param to: One recipient or a list: numbers in international form, or business-scoped user ids. (templated)
    :param message: ``type`` and the fields of its model, or Graph's own nested form. (templated)
    :param maton_conn_id: The Airflow connection. (templated)
    :param phone_number_id: Sender; None: the connection's. (templated)
    """

    template_fields: Sequence[str] = (*_SendOperator.template_fields, "message")
    template_fields_renderers: ClassVar[dict[str, str]] = {"message": "json"}

    def __init__(self, *, message: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.message = message

    def build_message(self) -> Message:
        """Build and check the message."""
        from airflow_provider_whatsapp.client.messages import parse_message

        return parse_message(self.message)
