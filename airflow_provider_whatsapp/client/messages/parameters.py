"""Values of a template's variables: texts, amounts, dates, and what a media header shows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import _checks
from airflow_provider_whatsapp.client.messages._base import Part
from airflow_provider_whatsapp.client.messages.basic import Location
from airflow_provider_whatsapp.client.messages.media import Document, Image, Media, Video
from airflow_provider_whatsapp.client.messages.texts import text_of

#: Title of the document that the rules of values come from.
DOC = "Template components"

_FORBIDDEN = re.compile(r"[\n\r\t]| {5}")
_PARAMETER_NAME = re.compile(r"[a-z0-9_]{1,512}")
_CURRENCY_CODE = re.compile(r"[A-Z]{3}")


def value_text(value: object, field: str, *, limit: int) -> str:
    """
    Return the text for a variable, checked by Meta's rules for values.

    :param value: A text, number, date, switch or UUID, as :func:`~.texts.text_of` writes it.
    :param field: Path of the value.
    :param limit: Most characters that the filled part may have.
    :raises PayloadError: It is no value for people, empty, too long, holds a newline, a tab or more than four spaces in
        a row.
    """
    value = text_of(value, field, doc=DOC)
    _checks.required_text(value, field, doc=DOC, limit=limit)
    if _FORBIDDEN.search(value):
        raise PayloadError(
            f"holds a newline, a tab or more than four spaces in a row ({len(value)} characters)",
            field=field,
            limit="none of these in a template's value",
            doc=DOC,
            advice='Join lines by ", " or " | " and single spaces: " ".join(text.split()).',
        )
    return value


@dataclass(frozen=True, slots=True)
class TextValue(Part):
    """
    A text for a variable; a plain string or number does the same.

    :param text: The text, in one line.
    """

    type: ClassVar[str] = "text"

    text: str

    def __post_init__(self) -> None:
        _checks.put(self, "text", value_text(self.text, "text", limit=1024))

    def to_payload(self) -> dict[str, Any]:
        """Return the parameter as Graph's JSON."""
        return {"type": "text", "text": self.text}


@dataclass(frozen=True, slots=True)
class Currency(Part):
    """
    An amount of money; Cloud API shows ``fallback_value`` as it is.

    :param fallback_value: The amount as text: ``$10.99``.
    :param code: ISO 4217 code: ``USD``.
    :param amount_1000: The amount times 1000: 10990.
    """

    type: ClassVar[str] = "currency"

    fallback_value: str
    code: str
    amount_1000: int

    def __post_init__(self) -> None:
        _checks.put(self, "fallback_value", value_text(self.fallback_value, "fallback_value", limit=1024))
        _checks.string(self.code, "code", doc=DOC)
        if not _CURRENCY_CODE.fullmatch(self.code):
            raise PayloadError(
                "is not a currency code",
                field="code",
                limit="3 capital letters",
                doc=DOC,
                advice="Give ISO 4217: USD.",
            )
        amount = _checks.integer(self.amount_1000, "amount_1000", doc=DOC, low=-(10**15), high=10**15)
        _checks.put(self, "amount_1000", amount)

    def to_payload(self) -> dict[str, Any]:
        """Return the parameter as Graph's JSON."""
        fields = {"fallback_value": self.fallback_value, "code": self.code, "amount_1000": self.amount_1000}
        return {"type": "currency", "currency": fields}


@dataclass(frozen=True, slots=True)
class DateTime(Part):
    """
    A date or time; Cloud API shows ``fallback_value`` as it is, so write it for the reader.

    :param fallback_value: The moment as text: ``March 1, 07:30 UTC``.
    """

    type: ClassVar[str] = "date_time"

    fallback_value: str

    def __post_init__(self) -> None:
        _checks.put(self, "fallback_value", value_text(self.fallback_value, "fallback_value", limit=1024))

    def to_payload(self) -> dict[str, Any]:
        """Return the parameter as Graph's JSON."""
        return {"type": "date_time", "date_time": {"fallback_value": self.fallback_value}}


@dataclass(frozen=True, slots=True)
class Product(Part):
    """
    A product of a catalogue, shown in the header of a template or of a carousel's card.

    :param product_retailer_id: The product's id in the catalogue (its SKU).
    :param catalog_id: The catalogue.
    """

    type: ClassVar[str] = "product"

    product_retailer_id: str
    catalog_id: str

    def __post_init__(self) -> None:
        _checks.required_text(self.product_retailer_id, "product_retailer_id", doc=DOC)
        _checks.identifier(self.catalog_id, "catalog_id", doc=DOC)

    def to_payload(self) -> dict[str, Any]:
        """Return the parameter as Graph's JSON."""
        fields = {"product_retailer_id": self.product_retailer_id, "catalog_id": self.catalog_id}
        return {"type": "product", "product": fields}


@dataclass(frozen=True, slots=True)
class RawParameter(Part):
    """
    A parameter as Graph's own JSON, for types that have no class here (``gif``, ``order_status``).

    :param fields: The parameter, its ``type`` included.
    """

    fields: Mapping[str, Any]

    def __post_init__(self) -> None:
        _checks.mapping(self.fields, "fields", doc=DOC)

    @property
    def type(self) -> str:
        """Graph's name of the parameter's type."""
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


def body_parameter(value: object, field: str, *, limit: int) -> TextParameter:
    """
    Return the parameter for a variable of the body.

    :param value: A value as for :func:`value_text`, a typed parameter, or a dict of one (``{"type": "currency"}``).
    :param field: Path of the value.
    :param limit: Most characters that the filled body may have.
    """
    if isinstance(value, Mapping):
        value = _checks.typed(value, field, _BODY, doc=DOC)
    if isinstance(value, (Currency, DateTime)):
        return value
    return _text_value(value.text if isinstance(value, TextValue) else value, field, limit)


def _text_value(value: object, field: str, limit: int) -> TextValue:
    made = object.__new__(TextValue)
    _checks.put(made, "text", value_text(value, field, limit=limit))
    return made


def header_parameter(value: object, field: str) -> HeaderParameter:
    """
    Return the parameter for a header.

    :param value: A text or number (up to 60 characters), an ``Image``, ``Video`` or ``Document`` without
        caption, a ``Location``, a ``Product``, or a dict of one (``{"type": "image", "link": ...}``).
    :param field: Path of the header.
    """
    if isinstance(value, Mapping):
        value = RawParameter(value) if _is_raw(value) else _checks.typed(value, field, _HEADER, doc=DOC)
    if isinstance(value, (Image, Video, Document)):
        if value.caption:
            raise PayloadError(
                "cannot have a caption here",
                field=f"{field}.caption",
                doc=DOC,
                advice="Put the text into the body.",
            )
        return value
    if isinstance(value, (Location, Product, RawParameter)):
        return value
    if isinstance(value, Media):
        wanted = "a text, image, video, document, location or product"
        raise _checks.wrong_type(value, field, wanted, doc=DOC)
    return _text_value(value.text if isinstance(value, TextValue) else value, field, 60)


def _is_raw(value: Mapping[Any, Any]) -> bool:
    """Say whether a dict is a parameter in Graph's nested form, of a type that has no class here."""
    name = value.get("type")
    return isinstance(name, str) and name.lower() not in _HEADER and isinstance(value.get(name), Mapping)


def parameter_name(name: object, field: str) -> None:
    """
    Check the name of a variable.

    :param name: The name, as the template has it.
    :param field: Path of the mapping that holds it.
    """
    if not isinstance(name, str) or not _PARAMETER_NAME.fullmatch(name):
        raise PayloadError(
            f"has a variable named {_checks.shown(name)}",
            field=field,
            limit="lower-case letters, digits and underscores",
            doc=DOC,
            advice="Give the names that the template has; positional variables are a list.",
        )
