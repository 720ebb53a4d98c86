"""
Reads a webhook's body as typed events.

Everything in it may be hostile until it has been read here: columns get only bounded, clean texts, and an item that is
not what it claims to be is kept raw, as :class:`~airflow_provider_whatsapp.events.kinds.Other`. Nothing is lost, and
only a body that is not a JSON object is refused.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_whatsapp.events.kinds import (
    OPTED_OUT_OF_MARKETING,
    SOURCE_REFUSED,
    Event,
    Inbound,
    Other,
    Preference,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_EVENTS = 20_000
"""The most events of one delivery; WhatsApp batches up to 1,000."""
WORD_LIMIT = 64
"""The most characters of a type, a status or a category."""
TEXT_LIMIT = 65_536
"""The most characters of a text's column; ``raw`` has all of it. WhatsApp's own limit is 4,096."""
LINE_LIMIT = 1_024
CALLBACK_LIMIT = 512
CONTACT_LIMIT = 8_192
"""The most characters of a contact that is kept with each of its messages; a larger one is kept once, as an event."""

_OBJECT = "whatsapp_business_account"
_ID = re.compile(r"[!-~]{1,255}")
_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_DIGITS = re.compile(r"[0-9]{1,32}")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_SAID = {"messages", "statuses", "contacts", "metadata", "messaging_product"}
_LATEST = 4_102_444_800  # the year 2100


class MalformedError(ValueError):
    """The body is not a webhook: it is not a JSON object, or contains far more than WhatsApp sends in one delivery."""


def parse(body: bytes) -> list[Event]:
    """Return the events in a body; raises MalformedError if it is no JSON object or has too many events."""
    try:
        return _events(_load(body))
    except RecursionError as error:  # thousands of nested lists
        raise MalformedError("nested too deeply") from error


def _events(document: dict[str, Any]) -> list[Event]:
    entries = document.get("entry")
    if document.get("object") != _OBJECT or not isinstance(entries, list):
        return [_other("", document)]
    found: list[Event] = []
    for entry in entries:
        for event in _entry(entry):
            found.append(event)
            if len(found) > MAX_EVENTS:
                raise MalformedError(f"more than {MAX_EVENTS:,} events in one delivery")
    return found


def _load(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body.decode(), parse_constant=_refuse_constant, parse_float=_finite)
    except ValueError as error:  # bytes that are not UTF-8 raise a ValueError too
        raise MalformedError("not JSON") from error
    if not isinstance(document, dict):
        raise MalformedError("not a JSON object")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse_constant(digits)


def _entry(entry: Any) -> Iterator[Event]:
    changes = entry.get("changes") if isinstance(entry, dict) else None
    if not isinstance(changes, list):
        yield _other("", entry)
        return
    account, moment = _digits(entry.get("id")) or "", _moment(entry.get("time"))
    for change in changes:
        field = _word(change.get("field")) if isinstance(change, dict) else None
        value = change.get("value") if isinstance(change, dict) else None
        if field is None or not isinstance(value, dict):
            yield _other("", change, account=account, moment=moment)
            continue
        metadata = value.get("metadata")
        number = (_digits(metadata.get("phone_number_id")) if isinstance(metadata, dict) else None) or ""
        if field == "messages":
            yield from _messages(value, account, number, moment)
            continue
        if field == "user_preferences":
            yield from _preferences(value, account)
        yield _other(field, value, account=account, number=number, moment=moment)


def _messages(value: dict[str, Any], account: str, number: str, moment: datetime | None) -> Iterator[Event]:
    """Yield the events of the field ``messages``; items other than statuses and messages keep their own names."""
    nothing = True
    contacts = _Contacts(value.get("contacts"))
    for key, read in (("statuses", _status), ("messages", _inbound)):
        items = value.get(key)
        for item in items if isinstance(items, list) else [] if items is None else [items]:
            nothing = False
            event = read(item, contacts, account, number) if isinstance(item, dict) else None
            if event is None:
                yield _other(f"messages.{key}", item, account=account, number=number, moment=moment)
                continue
            yield event
            if isinstance(event, Status) and event.error_code == OPTED_OUT_OF_MARKETING:
                yield from _refused_marketing(event)
    for contact in contacts.too_large:
        nothing = False
        yield _other("messages.contacts", contact, account=account, number=number, moment=moment)
    for key in value.keys() - _SAID:
        nothing = False
        field = f"messages.{key}" if _word(key) else "messages"
        yield _other(field[:WORD_LIMIT], value[key], account=account, number=number, moment=moment)
    if nothing:
        yield _other("messages", value, account=account, number=number, moment=moment)


def _status(item: dict[str, Any], _: _Contacts, account: str, number: str) -> Status | None:
    message_id, status = _id(item.get("id")), _word(item.get("status"))
    if message_id is None or status is None:
        return None
    errors, pricing = item.get("errors"), item.get("pricing")
    error = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    data = error.get("error_data")
    price = pricing if isinstance(pricing, dict) else {}
    billable = price.get("billable")
    participant = _id(item.get("recipient_participant_id")) or _id(item.get("recipient_participant_user_id"))
    return Status(
        message_id=message_id,
        status=status,
        participant=participant or "",
        account_id=account,
        phone_number_id=number,
        recipient=_id(item.get("recipient_id")),
        recipient_user_id=_id(item.get("recipient_user_id")),
        occurred_at=_moment(item.get("timestamp")),
        callback_data=_text(item.get("biz_opaque_callback_data"), CALLBACK_LIMIT),
        error_code=_code(error.get("code")),
        error_title=_text(error.get("title") or error.get("message"), LINE_LIMIT),
        error_details=_text(data.get("details") if isinstance(data, dict) else None, LINE_LIMIT),
        price_category=_word(price.get("category")),
        price_type=_word(price.get("type")),
        price_model=_word(price.get("pricing_model")),
        billable=billable if isinstance(billable, bool) else None,
        raw=_raw(item),
    )


def _inbound(item: dict[str, Any], contacts: _Contacts, account: str, number: str) -> Inbound | None:
    message_id, kind = _id(item.get("id")), _word(item.get("type"))
    if message_id is None or kind is None:
        return None
    sender, user_id = _id(item.get("from")), _id(item.get("from_user_id"))
    contact, contact_raw = contacts.of(sender, user_id)
    profile = contact.get("profile") if contact else None
    context = item.get("context")
    text, payload = _said(kind, item.get(kind))
    return Inbound(
        message_id=message_id,
        kind=kind,
        account_id=account,
        phone_number_id=number,
        sender=sender or (_id(contact.get("wa_id")) if contact else None),
        sender_user_id=user_id or (_id(contact.get("user_id")) if contact else None),
        profile_name=_text(profile.get("name") if isinstance(profile, dict) else None, LINE_LIMIT),
        text=_text(text, TEXT_LIMIT),
        payload=_text(payload, LINE_LIMIT),
        context_id=_id(context.get("id")) if isinstance(context, dict) else None,
        occurred_at=_moment(item.get("timestamp")),
        raw=_raw(item),
        contact=contact_raw,
    )


class _Contacts:
    """The contacts of a delivery's messages, indexed once, because a delivery may contain thousands of both."""

    def __init__(self, contacts: Any) -> None:
        found = [each for each in contacts if isinstance(each, dict)] if isinstance(contacts, list) else []
        raws = [(each, _raw(each)) for each in found]
        self.too_large = [each for each, raw in raws if len(raw) > CONTACT_LIMIT]
        kept = [(each, raw if len(raw) <= CONTACT_LIMIT else None) for each, raw in raws]
        self._only = kept[0] if len(kept) == 1 else (None, None)
        self._by_id: dict[tuple[str, str], tuple[dict[str, Any] | None, str | None]] = {}
        for pair in kept:
            for name in ("wa_id", "user_id"):
                if (value := _id(pair[0].get(name))) is not None:
                    self._by_id.setdefault((name, value), pair)

    def of(self, sender: str | None, user_id: str | None) -> tuple[dict[str, Any] | None, str | None]:
        """Return the sender's contact and its JSON; if the message names nobody, the only contact of the delivery."""
        if not sender and not user_id:
            return self._only
        for key in (("wa_id", sender), ("user_id", user_id)):
            if key[1] and (key[0], key[1]) in self._by_id:
                return self._by_id[key[0], key[1]]
        return None, None


_REPLIES = {
    "button_reply": ("title", "id"),
    "list_reply": ("title", "id"),
    "nfm_reply": ("body", "response_json"),
}
_TEXTS = {"text": ("body", ""), "button": ("text", "payload"), "reaction": ("emoji", "message_id")}


def _said(kind: str, content: Any) -> tuple[Any, Any]:
    """Return a message's text, and the payload of a button or list entry."""
    if not isinstance(content, dict):
        return None, None
    names = _TEXTS.get(kind, ("caption", ""))
    if kind == "interactive":
        chosen = content.get("type")
        names = _REPLIES.get(chosen, ("", "")) if isinstance(chosen, str) else ("", "")
        content = content.get(chosen) if isinstance(chosen, str) else None
        if not isinstance(content, dict):
            return None, None
    return content.get(names[0]), content.get(names[1])


def _preferences(value: dict[str, Any], account: str) -> Iterator[Preference]:
    items = value.get("user_preferences")
    for item in items if isinstance(items, list) else ():
        if not isinstance(item, dict) or item.get("category") != "marketing_messages":
            continue
        number, user_id = _id(item.get("wa_id")), _id(item.get("user_id"))
        wish = item.get("value")
        if wish in ("stop", "resume") and (number or user_id):
            yield Preference(
                account_id=account,
                number=number,
                user_id=user_id,
                scope="marketing",
                opted_out=wish == "stop",
                source="user_preferences",
                occurred_at=_moment(item.get("timestamp")),
            )


def _refused_marketing(status: Status) -> Iterator[Preference]:
    """Yield the opt-out in a failure that says that the recipient has stopped this account's marketing messages."""
    if status.recipient or status.recipient_user_id:
        yield Preference(
            account_id=status.account_id,
            number=status.recipient,
            user_id=status.recipient_user_id,
            scope="marketing",
            opted_out=True,
            source=SOURCE_REFUSED,
            occurred_at=status.occurred_at,
        )


def _other(
    field: str, value: Any, *, account: str = "", number: str = "", moment: datetime | None = None
) -> Other:
    return Other(field=field, account_id=account, phone_number_id=number, occurred_at=moment, raw=_raw(value))


def _raw(value: Any) -> str:
    # In ASCII, because databases accept neither NUL nor lone surrogates; escaped they are harmless.
    return json.dumps(value, separators=(",", ":"))


def _id(value: Any) -> str | None:
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None


def _digits(value: Any) -> str | None:
    text = (
        str(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**32
        else value
    )
    return text if isinstance(text, str) and _DIGITS.fullmatch(text) else None


def _text(value: Any, limit: int) -> str | None:
    return _UNSTORABLE.sub("\ufffd", value[:limit]) if isinstance(value, str) and value else None


def _code(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31 else None


def _moment(value: Any) -> datetime | None:
    """Return a time given in seconds since 1970, as an integer or as digits."""
    digits = _digits(value)
    seconds = int(digits) if digits else 0
    return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < _LATEST else None
