"""Sends messages, and marks received ones as read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_whatsapp.client.errors import OutcomeUnknownError, PayloadError
from airflow_provider_whatsapp.client.masking import mask, mask_id
from airflow_provider_whatsapp.client.phone import envelope, recipient_key
from airflow_provider_whatsapp.client.resources.base import Resource

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from airflow_provider_whatsapp.client.messages import Message
    from airflow_provider_whatsapp.client.rate_limit import Departure

MAX_CALLBACK_DATA = 512
"""The most characters of ``biz_opaque_callback_data`` (Meta, "Service messages")."""

MAX_ID = 512
"""The most characters of an ID that WhatsApp gives; a wamid has about 60."""
_WORD = re.compile(rf"[!-~]{{1,{MAX_ID}}}")

DOUBT = (
    "The message may have been sent. WhatsApp has no idempotency key, so this package does not repeat it: check the "
    "recipient's phone before you send it again."
)


Endpoint = Literal["messages", "marketing_messages"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marketing:
    """
    How a marketing template is sent by the Marketing Messages API, ``/{phone_number_id}/marketing_messages``.

    :param strict: Only by this API (``product_policy`` ``STRICT``); False: Meta falls back to Cloud API if the account
        is not onboarded.
    :param activity_sharing: Whether Meta may use what recipients do with the message to improve delivery
        (``message_activity_sharing``); None: as the account is set.
    """

    strict: bool = False
    activity_sharing: bool | None = None

    def to_payload(self) -> dict[str, Any]:
        """Return the fields that it adds to the message, as Graph's JSON."""
        payload: dict[str, Any] = {"product_policy": "STRICT" if self.strict else "CLOUD_API_FALLBACK"}
        if self.activity_sharing is not None:
            payload["message_activity_sharing"] = self.activity_sharing
        return payload


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """
    A message that WhatsApp accepted, which does not mean that it was delivered.

    :param message_id: WhatsApp's ID of the message (wamid).
    :param wa_id: The recipient's number in WhatsApp, which may differ from the number given. None for user IDs.
    :param to: The recipient as given: digits, a user ID or a group ID.
    :param message_status: ``accepted``, ``held_for_quality_assessment`` or ``paused``; templates only.
    :param endpoint: The endpoint that accepted it: ``messages`` or ``marketing_messages``.
    """

    message_id: str
    wa_id: str | None
    to: str
    message_status: str | None = None
    endpoint: Endpoint = "messages"

    def __repr__(self) -> str:
        shown = f"message_id={mask_id(self.message_id)!r}, to={mask(self.to)!r}"
        return f"SentMessage({shown}, status={self.message_status!r})"


class Messages(Resource):
    """Messages from the configured phone number."""

    def send(
        self,
        to: str,
        message: Message,
        *,
        reply_to: str | None = None,
        callback_data: str | None = None,
        group: bool = False,
        permit: Departure | None = None,
        marketing: Marketing | None = None,
    ) -> SentMessage:
        """
        Send one message and return what WhatsApp accepted.

        The client repeats it only if it certainly did nothing: there was no connection, or it was refused as too
        fast.

        :param to: Recipient's number in international form, a business-scoped user ID, or a group ID.
        :param message: The message, whose limits were checked when it was made.
        :param reply_to: wamid of the message that this one quotes.
        :param callback_data: Up to 512 characters that Meta echoes in its status webhooks.
        :param group: ``to`` is a group ID.
        :param permit: Permission to leave, from :meth:`permit`; None: the message waits for a permit.
        :param marketing: Send a template of the category MARKETING by the Marketing Messages API; None: by Cloud API,
            ``/messages``.
        :raises PayloadError: The recipient or an option breaks a limit; nothing was sent.
        :raises ConfigurationError: No ``phone_number_id`` is set; nothing was sent.
        :raises NotSentError: Nothing left this machine.
        :raises RateLimitError: The gateway refused it as too fast until the retries ended; nothing was sent.
        :raises OutcomeUnknownError: The answer was lost; the message may have been sent.
        :raises APIError: WhatsApp or the gateway refused; nothing was sent.
        """
        key = recipient_key(to, group=group, default_country=self._config.default_country)
        recipient = envelope(key, plus_prefix=self._config.plus_prefix, group=group)
        body = _body(recipient, message, reply_to=reply_to, callback_data=callback_data)
        endpoint: Endpoint = "messages"
        if marketing is not None:
            _check_marketing(body, group=group)
            endpoint, body = "marketing_messages", body | marketing.to_payload()
        answer = self._call("POST", self._path(endpoint), json=body, doubt=DOUBT, permit=permit)
        return _sent(answer, key, endpoint)

    def permit(self, stop: threading.Event) -> Departure | None:
        """
        Wait until the rate limit permits one message, for a caller who may have to take it back until then.

        :param stop: Ends the wait once it is set.
        :return: The permit for one :meth:`send`; None: the wait was ended.
        """
        return self._transport.permit(stop)

    def mark_as_read(self, message_id: str, *, typing: bool = False) -> None:
        """
        Mark a received message, and those before it, as read.

        :param message_id: wamid of a message received within about 30 days.
        :param typing: Show a typing indicator as well, for up to 25 seconds or until the reply.
        :raises APIError: WhatsApp or the gateway refused.
        """
        if not message_id:
            raise PayloadError(
                "is empty", field="message_id", advice="Pass the wamid of the received message."
            )
        body: dict[str, Any] = {"messaging_product": "whatsapp", "status": "read", "message_id": message_id}
        if typing:
            body["typing_indicator"] = {"type": "text"}
        self._call("POST", self._path(), json=body)

    def _path(self, endpoint: Endpoint = "messages") -> str:
        return f"{self._config.require('phone_number_id')}/{endpoint}"


def _body(
    recipient: Mapping[str, Any], message: Message, *, reply_to: str | None, callback_data: str | None
) -> dict[str, Any]:
    """Return a message with its recipient as Graph's JSON."""
    body: dict[str, Any] = {"messaging_product": "whatsapp", **recipient, **message.to_payload()}
    if reply_to:
        body["context"] = {"message_id": reply_to}
    if callback_data:
        body["biz_opaque_callback_data"] = check_callback_data(callback_data)
    return body


def _check_marketing(body: dict[str, Any], *, group: bool) -> None:
    if group or body.get("type") != "template":
        what = "groups" if group else f"messages of the type {body.get('type')}"
        raise PayloadError(
            f"is for templates to one person, not for {what}",
            field="marketing",
            doc="Send marketing messages",
            advice="Leave marketing out.",
        )


def check_callback_data(text: str) -> str:
    """Return callback data after checking that Meta accepts it."""
    if not text.strip():
        raise PayloadError("is empty", field="callback_data", advice="Leave it out, or give a text.")
    if len(text) > MAX_CALLBACK_DATA:
        raise PayloadError(
            f"{len(text)} characters", field="callback_data", limit=MAX_CALLBACK_DATA, doc="Service messages"
        )
    return text


def _sent(answer: dict[str, Any], to: str, endpoint: Endpoint) -> SentMessage:
    """Return the accepted message; an answer of another form leaves the outcome unknown."""
    message, contact = _first(answer.get("messages")), _first(answer.get("contacts"))
    if message is None or contact is None or not _is_word(message.get("id")):
        raise _unreadable("without a message id")
    wa_id, status = contact.get("wa_id"), message.get("message_status")
    if not (wa_id is None or _is_word(wa_id)) or not (status is None or _is_word(status)):
        raise _unreadable("of an unknown form")
    return SentMessage(message_id=message["id"], wa_id=wa_id, to=to, message_status=status, endpoint=endpoint)


def _unreadable(how: str) -> OutcomeUnknownError:
    return OutcomeUnknownError(f"the answer was a success {how}", http_status=200, advice=DOUBT)


def _first(items: Any) -> dict[str, Any] | None:
    """Return the first object of a list, an empty object for an empty list or None, and None for anything else."""
    first = items[0] if isinstance(items, list) and items else {} if items in (None, []) else None
    return first if isinstance(first, dict) else None


def _is_word(value: Any) -> bool:
    """Return whether a value has the form of an ID, which logs, ledgers and commands may quote."""
    return isinstance(value, str) and _WORD.fullmatch(value) is not None
