"""The template message: the only kind that may start a conversation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, cast

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import _checks
from airflow_provider_whatsapp.client.messages._base import Message, Part
from airflow_provider_whatsapp.client.messages.parameters import (
    DOC,
    HeaderParameter,
    RawParameter,
    TextParameter,
    TextValue,
    body_parameter,
    header_parameter,
    parameter_name,
)
from airflow_provider_whatsapp.client.messages.template_buttons import (
    CopyCodeButton,
    TemplateButton,
    UrlButton,
    template_buttons,
)

#: Characters of a body, of a body with a limited-time offer, of a carousel card's body, all filled.
BODY_LIMIT = 1024
OFFER_BODY_LIMIT = 600
CARD_BODY_LIMIT = 160
#: Characters of a one-time code.
OTP_LIMIT = 15

_NAME = re.compile(r"[a-z0-9_]{1,512}")
_PLACE = re.compile(r"[1-9][0-9]{0,2}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(_[A-Z]{2})?")

Value = str | int | float | TextParameter | Mapping[str, Any]
Body = Sequence[Value] | Mapping[str, Value]
Header = str | int | float | HeaderParameter | Mapping[str, Any]
Button = TemplateButton | str | int | Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Card(Part):
    """
    A card of a carousel template.

    :param header: The card's picture, video or product.
    :param body: Values of the variables in the card's text, as in :class:`Template`; 160 characters filled.
    :param buttons: Up to two, as in :class:`Template`.
    """

    doc: ClassVar[str] = "Media card carousel templates"

    header: Header
    body: Body | None = None
    buttons: Sequence[Button] | None = None

    def __post_init__(self) -> None:
        header = header_parameter(self.header, "header")
        if header_kind(header) not in {"image", "video", "product"} and not isinstance(header, RawParameter):
            raise _checks.wrong_type(self.header, "header", "an image, a video or a product", doc=self.doc)
        _checks.put(self, "header", header)
        if self.body is not None:
            _checks.put(self, "body", body_values(self.body, "body", limit=CARD_BODY_LIMIT))
        if self.buttons is not None:
            _checks.put(self, "buttons", template_buttons(self.buttons, "buttons", high=2))

    def to_payload(self) -> dict[str, Any]:
        """Return the card as Graph's JSON, without its position."""
        return {"components": _components(self.header, self.body, self.buttons)}


@dataclass(frozen=True, slots=True)
class Template(Message):
    """
    An approved template, its variables filled.

    Give only what has a variable: a template without any needs its name and language alone. A media, location
    or product header always needs its value.

    :param name: Name of the template.
    :param language: Its language, ``en_US`` say; ``en`` is another template.
    :param header: A text (up to 60 characters), ``{"variable": "text"}`` for a named one, or an ``Image``,
        ``Video``, ``Document``, ``Location`` or ``Product``, or a dict of one: ``{"type": "image", "link":
        ...}``.
    :param body: Values of the variables: a list in their order, or a dict by their names; texts, numbers,
        ``Currency``, ``DateTime`` or dicts of these. A value is one line, and all of them together fit 1024
        characters.
    :param buttons: Values of buttons: ``UrlButton`` and its like, dicts (``{"type": "url", "index": 0,
        "text": "77"}``), or a text, which is the suffix of the URL button at the text's position in the list;
        None holds a position free.
    :param components: Graph's own JSON, instead of header, body, buttons, carousel and limited_time_offer.
    :param carousel: 2 to 10 ``Card`` (or dicts of their fields), exactly as many as the template has.
    :param limited_time_offer: When the offer ends, in milliseconds since 1970 (UTC).
    """

    kind: ClassVar[str] = "template"
    doc: ClassVar[str] = DOC

    name: str
    language: str = "en_US"
    header: Header | None = None
    body: Body | None = None
    buttons: Sequence[Button] | None = None
    components: Sequence[Mapping[str, Any]] | None = None
    carousel: Sequence[Card | Mapping[str, Any]] | None = None
    limited_time_offer: int | None = None

    def __post_init__(self) -> None:
        self._check_name()
        if self.components is not None:
            self._check_components()
            return
        if self.header is not None:
            _checks.put(self, "header", _header(self.header))
        if self.body is not None:
            limit = BODY_LIMIT if self.limited_time_offer is None else OFFER_BODY_LIMIT
            _checks.put(self, "body", body_values(self.body, "template.body", limit=limit))
        if self.buttons is not None:
            _checks.put(self, "buttons", template_buttons(self.buttons, "template.buttons"))
        if self.limited_time_offer is not None:
            self._check_offer()
        if self.carousel is not None:
            self._check_carousel()

    @classmethod
    def authentication(cls, name: str, language: str, code: str) -> Self:
        """
        Return an authentication template with its one-time code, which goes into the body and into the
        button.

        :param name: Name of the template (copy-code, one-tap and zero-tap alike).
        :param language: Its language.
        :param code: The code: up to 15 letters, digits and dashes. Meta refuses it for a business-scoped user
            id.
        """
        doc = "Authentication templates"
        _checks.required_text(code, "template.code", doc=doc, limit=OTP_LIMIT)
        if not all(char.isalnum() or char in " -_" for char in code):
            raise PayloadError(
                f"holds more than letters, digits and dashes ({len(code)} characters)",
                field="template.code",
                limit="no URL, no emoji",
                doc=doc,
                advice="Give the bare code.",
            )
        return cls(name, language, body=[code], buttons=[UrlButton(0, code)])

    def to_payload(self) -> dict[str, Any]:
        """Return the message as Graph's JSON."""
        fields: dict[str, Any] = {"name": self.name, "language": {"code": self.language}}
        components = list(self.components) if self.components is not None else self._built()
        if components:
            fields["components"] = components
        return {"type": "template", "template": fields}

    def _built(self) -> list[Any]:
        built = _components(self.header, self.body, self.buttons, offer=self.limited_time_offer)
        if self.carousel is not None:
            cards = cast("tuple[Card, ...]", self.carousel)
            numbered = [{"card_index": index, **card.to_payload()} for index, card in enumerate(cards)]
            built.append({"type": "carousel", "cards": numbered})
        return built

    def _check_name(self) -> None:
        _checks.string(self.name, "template.name", doc=DOC)
        if not _NAME.fullmatch(self.name):
            raise PayloadError(
                f"{_checks.shown(self.name)} is not a template's name ({len(self.name)} characters)",
                field="template.name",
                limit="1-512 lower-case letters, digits and underscores",
                doc=DOC,
                advice="Give the name as WhatsApp Manager shows it.",
            )
        _checks.string(self.language, "template.language", doc=DOC)
        if not _LANGUAGE.fullmatch(self.language):
            raise PayloadError(
                f"{_checks.shown(self.language)} is not a language code",
                field="template.language",
                limit="ll or ll_CC",
                doc="Supported languages",
                advice="Write it as en or en_US: an underscore, the country in capitals.",
            )

    def _check_components(self) -> None:
        others = ("header", "body", "buttons", "carousel", "limited_time_offer")
        for name in others:
            if getattr(self, name) is not None:
                raise PayloadError(
                    f"cannot stand beside {name}",
                    field="template.components",
                    limit="components alone, or the others",
                    doc=DOC,
                    advice=f"Leave components or {name} out.",
                )
        found = _checks.items(self.components, "template.components", doc=DOC)
        found = tuple(_without_nulls(item) for item in found)
        for position, item in enumerate(found):
            path = f"template.components[{position}]"
            _checks.mapping(item, path, doc=DOC)
            _checks.required_text(item.get("type"), f"{path}.type", doc=DOC)
            if str(item["type"]).lower() == "button":
                _checks.required_text(item.get("sub_type"), f"{path}.sub_type", doc=DOC)
                _checks.integer(item.get("index"), f"{path}.index", doc=DOC, low=0, high=9)
            _check_texts(item.get("parameters"), f"{path}.parameters")
        _checks.put(self, "components", found)

    def _check_offer(self) -> None:
        field = "template.limited_time_offer"
        ends = _checks.integer(self.limited_time_offer, field, doc="Limited-time offer templates", low=1)
        _checks.put(self, "limited_time_offer", ends)
        for button in self.buttons or ():
            if isinstance(button, CopyCodeButton) and button.index != 0:
                raise PayloadError(
                    "must be the first button of an offer",
                    field="template.buttons",
                    limit="copy-code at index 0",
                    doc="Limited-time offer templates",
                    advice="Give the copy-code button index 0 and the URL button index 1.",
                )

    def _check_carousel(self) -> None:
        for name in ("header", "buttons"):
            if getattr(self, name):
                raise PayloadError(
                    "cannot stand beside a carousel",
                    field=f"template.{name}",
                    doc=Card.doc,
                    advice=f"Give each card its {name}; above the cards there is only a body.",
                )
        cards = _checks.parts(Card, self.carousel, "template.carousel", doc=Card.doc, low=2, high=10)
        if len({header_kind(card.header) for card in cards}) > 1:
            raise PayloadError(
                "has cards with headers of different kinds",
                field="template.carousel",
                limit="the same kind on every card",
                doc=Card.doc,
                advice="Give every card an image, or every card a video, or every card a product.",
            )
        _checks.put(self, "carousel", cards)


def _without_nulls(value: Any) -> Any:
    """Leave the null keys of Graph's JSON out, but for a flow's data, which is the caller's own."""
    if isinstance(value, Mapping):
        return {
            key: item if key == "flow_action_data" else _without_nulls(item)
            for key, item in value.items()
            if item is not None
        }
    return [_without_nulls(item) for item in value] if isinstance(value, list | tuple) else value


def _check_texts(parameters: object, field: str) -> None:
    """Refuse texts of white space alone in Graph's own JSON."""
    for position, item in enumerate(parameters if isinstance(parameters, list) else ()):
        text = item.get("text") if isinstance(item, Mapping) else None
        if isinstance(text, str):
            _checks.required_text(text, f"{field}[{position}].text", doc=DOC)


def header_kind(header: object) -> str:
    """
    Return Graph's name of a header's type.

    :param header: A header's parameter.
    """
    return str(getattr(header, "kind", None) or getattr(header, "type", None))


def _header(value: object) -> HeaderParameter | dict[str, HeaderParameter]:
    if isinstance(value, Mapping) and "type" not in value:
        if len(value) != 1:
            raise PayloadError(
                f"has {len(value)} variables",
                field="template.header",
                limit="1",
                doc=DOC,
                advice='Give {"variable": "text"}, or {"type": "image", "link": ...} for media.',
            )
        ((name, text),) = value.items()
        parameter_name(name, "template.header")
        made = header_parameter(text, f"template.header.{name}")
        if not isinstance(made, TextValue):
            raise _checks.wrong_type(text, f"template.header.{name}", "a text", doc=DOC)
        return {name: made}
    return header_parameter(value, "template.header")


def body_values(value: object, field: str, *, limit: int) -> tuple[Any, ...] | dict[str, Any]:
    """
    Return the values of a body, checked one by one and together.

    :param value: A list (positional) or a mapping (named).
    :param field: Path of the body.
    :param limit: Most characters that the filled body may have; the values alone cannot be more.
    """
    made: tuple[Any, ...] | dict[str, Any]
    if isinstance(value, Mapping):
        value = _by_position(value) or value
    if isinstance(value, Mapping):
        for name in value:
            parameter_name(name, field)
        made = {name: body_parameter(item, f"{field}.{name}", limit=limit) for name, item in value.items()}
        values = list(made.values())
    else:
        if isinstance(value, str):
            raise _checks.wrong_type(value, field, "a list of values, or a dict of them by name", doc=DOC)
        found = _checks.items(value, field, doc=DOC)
        made = tuple(
            [body_parameter(item, f"{field}[{position}]", limit=limit) for position, item in enumerate(found)]
        )
        values = list(made)
    size = sum([len(item.text if isinstance(item, TextValue) else item.fallback_value) for item in values])
    if size > limit:
        raise PayloadError(
            f"has values of {size} characters together",
            field=field,
            limit=f"{limit} characters filled",
            doc=DOC,
            advice=f"Shorten the values by {size - limit} and what the template's own text needs.",
        )
    return made


def _by_position(value: Mapping[Any, Any]) -> list[Any]:
    """Return the values of a mapping from ``"1"``, ``"2"``... in their order; an empty list where names are names."""
    places = [int(name) for name in value if _PLACE.fullmatch(str(name))]
    if not places or sorted(places) != list(range(1, len(value) + 1)):
        return []
    return [item for _, item in sorted(zip(places, value.values(), strict=True))]


def _components(
    header: object, body: object, buttons: object, offer: int | None = None
) -> list[dict[str, Any]]:
    """Return the components for parts that their model has checked and converted."""
    built: list[dict[str, Any]] = []
    if header is not None:
        built.append(
            {"type": "header", "parameters": _parameters(header if isinstance(header, dict) else (header,))}
        )
    if offer is not None:
        value = {"type": "limited_time_offer", "limited_time_offer": {"expiration_time_ms": offer}}
        built.append({"type": "limited_time_offer", "parameters": [value]})
    if body:
        built.append({"type": "body", "parameters": _parameters(body)})
    if buttons:
        built.extend([button.to_payload() for button in cast("tuple[TemplateButton, ...]", buttons)])
    return built


def _parameters(values: object) -> list[dict[str, Any]]:
    if isinstance(values, dict):
        return [{**value.to_payload(), "parameter_name": name} for name, value in values.items()]
    return [value.to_payload() for value in cast("tuple[Part, ...]", values)]
