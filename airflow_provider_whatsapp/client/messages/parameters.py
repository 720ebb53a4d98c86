"""Values of a template's variables: texts, amounts, dates, and the media of a header."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import _checks
from airflow_provider_whatsapp.client.messages import _fields as field
from airflow_provider_whatsapp.client.messages._base import Part, keep, model
from airflow_provider_whatsapp.client.messages._parts import lower, typed
from airflow_provider_whatsapp.client.messages.basic import Location
from airflow_provider_whatsapp.client.messages.media import Document, Image, Media, Video, without_caption
from airflow_provider_whatsapp.client.messages.texts import text_of
from airflow_provider_whatsapp.client.template_limits import BODY_LIMIT, HEADER_LIMIT

#: Title of the document with the rules for values.
DOC = "Template components"

_FORBIDDEN = re.compile(r"[\n\r\t]| {5}")
_PARAMETER_NAME = re.compile(r"[a-z0-9_]{1,512}")
_CURRENCY_CODE = re.compile(r"[A-Z]{3}")


def value_text(value: object, path: str, doc: str = DOC, *, limit: int) -> str:
    """
    Return the text for a variable, checked by Meta's rules for values.

    :param value: A text, number, date, switch or UUID, as :func:`~.texts.text_of` writes it.
    :param path: Path of the value.
    :param doc: Title of Meta's document.
    :param limit: The most characters of the filled part.
    :raises PayloadError: The value is of another type, empty, too long, or contains a newline, a tab or more than four
        spaces in a row.
    """
    text = _checks.required_text(text_of(value, path, doc=doc), path, doc, limit=limit)
    if _FORBIDDEN.search(text):
        raise PayloadError(
            f"contains a newline, a tab or more than four spaces in a row ({len(text)} characters)",
            field=path,
            limit="none of these in a template's value",
            doc=doc,
            advice='Join lines by ", " or " | " and single spaces: " ".join(text.split()).',
        )
    return text


class _Parameter(Part):
    """A parameter with its own type: ``{"type": "currency", "currency": {...}}``."""

    __slots__ = ()

    type: ClassVar[str]

    def to_payload(self) -> dict[str, Any]:
        """Return the parameter as Graph's JSON."""
        return {"type": self.type, self.type: Part.to_payload(self)}


@model(doc=DOC)
class TextValue(_Parameter):
    """
    A text for a variable; a plain string or number has the same effect.

    :param text: The text, in one line of up to 1024 characters.
    """

    type: ClassVar[str] = "text"

    text: str = field.checked(value_text, limit=BODY_LIMIT)

    def to_payload(self) -> dict[str, Any]:
        """Return the parameter as Graph's JSON."""
        return {"type": "text", "text": self.text}


def _currency_code(value: object, path: str, doc: str) -> str:
    code = _checks.string(value, path, doc)
    if not _CURRENCY_CODE.fullmatch(code):
        limit, advice = "3 capital letters", "Give an ISO 4217 code such as USD."
        raise PayloadError("is not a currency code", field=path, limit=limit, doc=doc, advice=advice)
    return code


@model(doc=DOC)
class Currency(_Parameter):
    """
    An amount of money; Cloud API shows ``fallback_value`` as it is.

    :param fallback_value: The amount as text of up to 1024 characters: ``$10.99``.
    :param code: ISO 4217 code: ``USD``.
    :param amount_1000: The amount times 1000: 10990.
    """

    type: ClassVar[str] = "currency"

    fallback_value: str = field.checked(value_text, limit=BODY_LIMIT)
    code: str = field.checked(_currency_code)
    amount_1000: int = field.whole(-(10**15), 10**15)


@model(doc=DOC)
class DateTime(_Parameter):
    """
    A date or time; Cloud API shows ``fallback_value`` as it is, so write it for the reader.

    :param fallback_value: The moment as text of up to 1024 characters: ``March 1, 07:30 UTC``.
    """

    type: ClassVar[str] = "date_time"

    fallback_value: str = field.checked(value_text, limit=BODY_LIMIT)


@model(doc=DOC)
class Product(_Parameter):
    """
    A product of a catalogue, shown in the header of a template or of a carousel's card.

    :param product_retailer_id: The product's ID in the catalogue (its SKU).
    :param catalog_id: The catalogue.
    """

    type: ClassVar[str] = "product"

    product_retailer_id: str = field.text()
    catalog_id: str = field.identifier()


@model(doc=DOC)
class RawParameter(Part):
    """
    A parameter as Graph's own JSON, for types that have no class here (``gif``, ``order_status``).

    :param fields: The parameter, including its ``type``.
    """

    fields: Mapping[str, Any] = field.checked(_checks.mapping)

    @property
    def type(self) -> str:
        """Graph's name for the parameter's type."""
        return str(self.fields.get("type"))

    def to_payload(self) -> dict[str, Any]:
        """Return the parameter as Graph's JSON."""
        return dict(self.fields)


TextParameter = TextValue | Currency | DateTime
HeaderParameter = TextValue | Image | Video | Document | Location | Product | RawParameter

_BODY: dict[str, type[Part]] = {"text": TextValue, "currency": Currency, "date_time": DateTime}
_HEADER: dict[str, type[Part]] = {
    "text": TextValue,
    "image": Image,
    "video": Video,
    "document": Document,
    "location": Location,
    "product": Product,
}


def body_parameter(value: object, path: str, *, limit: int) -> TextParameter:
    """Return the parameter for a variable of the body, from a value, a typed parameter, or a dict of one."""
    if isinstance(value, str):  # as most are, and a mapping takes longer to tell
        return _text_value(value, path, limit)
    if isinstance(value, Mapping):
        value = typed(value, path, DOC, _BODY)
    if isinstance(value, (Currency, DateTime)):
        return value
    return _text_value(value, path, limit)


def header_parameter(value: object, path: str) -> HeaderParameter:
    """Return the parameter for a header, from a value of up to 60 characters, a typed parameter, or a dict of one."""
    if isinstance(value, Mapping):
        value = RawParameter(value) if _is_raw(value) else typed(value, path, DOC, _HEADER)
    if isinstance(value, (Image, Video, Document)):
        without_caption(value, path, DOC)
        return value
    if isinstance(value, (Location, Product, RawParameter)):
        return value
    if isinstance(value, Media):
        wanted = "a text, image, video, document, location or product"
        raise _checks.wrong_type(value, path, wanted, doc=DOC)
    return _text_value(value, path, HEADER_LIMIT)


def _text_value(value: object, path: str, limit: int) -> TextValue:
    given = value.text if isinstance(value, TextValue) else value
    text = value_text(given, path, limit=limit)
    # Without its own check of the text, which has passed the one of this place.
    made = object.__new__(TextValue)
    keep(made, "text", text)
    return made


def _is_raw(value: Mapping[Any, Any]) -> bool:
    """Return whether a dict is a parameter in Graph's nested form, of a type that has no class here."""
    name = value.get("type")
    return isinstance(name, str) and lower(name) not in _HEADER and isinstance(value.get(name), Mapping)


def parameter_name(name: object, path: str) -> None:
    """Check the name of a template's variable."""
    if not isinstance(name, str) or not _PARAMETER_NAME.fullmatch(name):
        raise PayloadError(
            f"has a variable named {_checks.shown(name)}",
            field=path,
            limit="lower-case letters, digits and underscores",
            doc=DOC,
            advice="Give the names that the template has; positional variables are a list.",
        )
