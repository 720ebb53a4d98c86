"""The template message, the only kind that may start a conversation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import _checks
from airflow_provider_whatsapp.client.messages import _fields as field
from airflow_provider_whatsapp.client.messages._base import Message, Part, graph, keep, model, numbered
from airflow_provider_whatsapp.client.messages._parts import lower, parts
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
from airflow_provider_whatsapp.client.template_limits import BODY_LIMIT, CARD_BODY_LIMIT, LANGUAGE, NAME

#: Characters of a filled body with a limited-time offer.
OFFER_BODY_LIMIT = 600
#: Characters of a one-time code.
OTP_LIMIT = 15

_PLACE = re.compile(r"[1-9][0-9]{0,2}")

Value = str | int | float | TextParameter | Mapping[str, Any]
Body = Sequence[Value] | Mapping[str, Value]
Header = str | int | float | HeaderParameter | Mapping[str, Any]
Button = TemplateButton | str | int | Mapping[str, Any] | None


def _name(value: object, path: str, doc: str) -> str:
    name = _checks.string(value, path, doc)
    if not NAME.fullmatch(name):
        raise PayloadError(
            f"{_checks.shown(name)} is not a template's name ({len(name)} characters)",
            field=path,
            limit="1-512 lower-case letters, digits and underscores",
            doc=doc,
            advice="Give the name as WhatsApp Manager shows it.",
        )
    return name


def _language(value: object, path: str, doc: str) -> str:
    code = _checks.string(value, path, doc)
    if not LANGUAGE.fullmatch(code):
        raise PayloadError(
            f"{_checks.shown(code)} is not a language code",
            field=path,
            limit="ll or ll_CC",
            doc="Supported languages",
            advice="Write it as en or en_US: an underscore, the country in capitals.",
        )
    return code


def _header(value: object, path: str, doc: str) -> HeaderParameter | dict[str, HeaderParameter]:
    if not isinstance(value, Mapping) or "type" in value:
        return header_parameter(value, path)
    if len(value) != 1:
        advice = 'Give {"variable": "text"}, or {"type": "image", "link": ...} for media.'
        problem = f"has {len(value)} variables"
        raise PayloadError(problem, field=path, limit="1", doc=doc, advice=advice)
    ((name, text),) = value.items()
    parameter_name(name, path)
    made = header_parameter(text, f"{path}.{name}")
    if not isinstance(made, TextValue):
        raise _checks.wrong_type(text, f"{path}.{name}", "a text", doc=doc)
    return {name: made}


def _body(value: object, path: str, _doc: str, *, limit: int) -> tuple[Any, ...] | dict[str, Any]:
    """Return the values of a body, a list or a mapping by name, after checking each of them and their total."""
    if isinstance(value, Mapping):
        value = _by_position(value) or value
    made: tuple[Any, ...] | dict[str, Any]
    if isinstance(value, Mapping):
        for name in value:
            parameter_name(name, path)
        made = {name: body_parameter(item, f"{path}.{name}", limit=limit) for name, item in value.items()}
    elif isinstance(value, str):
        raise _checks.wrong_type(value, path, "a list of values, or a dict of them by name", doc=DOC)
    else:
        found = enumerate(_checks.items(value, path, DOC))
        made = tuple([body_parameter(item, f"{path}[{place}]", limit=limit) for place, item in found])
    values = made.values() if isinstance(made, dict) else made
    size = sum(len(item.text if isinstance(item, TextValue) else item.fallback_value) for item in values)
    if size > limit:
        advice = (
            f"Shorten the values by {size - limit} characters, plus the length of the template's own text."
        )
        problem, filled = f"has values of {size} characters in total", f"{limit} characters filled"
        raise PayloadError(problem, field=path, limit=filled, doc=DOC, advice=advice)
    return made


def _any_value(value: object, _path: str, _doc: str) -> object:
    return value


def _by_position(value: Mapping[Any, Any]) -> list[Any]:
    """Return the values of a mapping from ``"1"``, ``"2"``... in order; an empty list if the keys are names."""
    # Most are names, and a look-up takes less time than a match for each.
    if "1" not in value and 1 not in value:
        return []
    places = [int(name) for name in value if _PLACE.fullmatch(str(name))]
    if sorted(places) != list(range(1, len(value) + 1)):
        return []
    return [item for _, item in sorted(zip(places, value.values(), strict=True))]


def _card_header(value: object, path: str, doc: str) -> HeaderParameter:
    header = header_parameter(value, path)
    if _kind(header) not in {"image", "video", "product"} and not isinstance(header, RawParameter):
        raise _checks.wrong_type(value, path, "an image, a video or a product", doc=doc)
    return header


def _kind(header: object) -> str:
    """Return Graph's name for a header's type."""
    return str(getattr(header, "kind", None) or getattr(header, "type", None))


@model(doc="Media card carousel templates")
class Card(Part):
    """
    A card of a carousel template.

    :param header: The card's picture, video or product.
    :param body: Values of the variables in the card's text, as in :class:`Template`; 160 characters filled.
    :param buttons: Up to two, as in :class:`Template`.
    """

    header: Header = field.checked(_card_header)
    body: Body | None = field.checked(_body, limit=CARD_BODY_LIMIT, default=None)
    buttons: Sequence[Button] | None = field.checked(template_buttons, high=2, default=None)

    def to_payload(self) -> dict[str, Any]:
        """Return the card as Graph's JSON, without its position."""
        return {"components": _components(self.header, self.body, self.buttons)}


def _cards(value: object, path: str, _doc: str) -> tuple[Card, ...]:
    cards = parts(value, path, Card.doc, model=Card, low=2, high=10)
    if len({_kind(card.header) for card in cards}) > 1:
        problem, limit = "has cards with headers of different kinds", "the same kind on every card"
        advice = "Give every card an image, or every card a video, or every card a product."
        raise PayloadError(problem, field=path, limit=limit, doc=Card.doc, advice=advice)
    return cards


def _graph_components(value: object, path: str, doc: str) -> tuple[Any, ...]:
    """Return Graph's own JSON, checked as far as all components have the same form."""
    found = tuple(_without_nulls(item) for item in _checks.items(value, path, doc))
    for position, item in enumerate(found):
        place = f"{path}[{position}]"
        _checks.mapping(item, place, doc)
        if lower(_checks.required_text(item.get("type"), f"{place}.type", doc)) == "button":
            _checks.required_text(item.get("sub_type"), f"{place}.sub_type", doc)
            _checks.integer(item.get("index"), f"{place}.index", doc, low=0, high=9)
        parameters = item.get("parameters")
        for number, parameter in enumerate(parameters if isinstance(parameters, list) else ()):
            text = parameter.get("text") if isinstance(parameter, Mapping) else None
            if isinstance(text, str):
                _checks.required_text(text, f"{place}.parameters[{number}].text", doc)
    return found


def _without_nulls(value: Any) -> Any:
    """Remove null values from Graph's JSON, except from a flow's data, which belongs to the caller."""
    if isinstance(value, Mapping):
        return {
            key: item if key == "flow_action_data" else _without_nulls(item)
            for key, item in value.items()
            if item is not None
        }
    return [_without_nulls(item) for item in value] if isinstance(value, list | tuple) else value


def _offer(value: object, path: str, _doc: str) -> int:
    return _checks.integer(value, path, "Limited-time offer templates", low=1)


@model("template", doc=DOC)
class Template(Message):
    """
    An approved template with its variables filled in.

    Give only the parts that have a variable: a template without variables needs only its name and language. A media,
    location or product header always needs its value.

    :param name: Name of the template.
    :param language: Its language, such as ``en_US``; ``en`` is another template.
    :param header: A text (up to 60 characters), ``{"variable": "text"}`` for a named one, or an ``Image``, ``Video``,
        ``Document``, ``Location`` or ``Product``, or a dict of one: ``{"type": "image", "link": ...}``.
    :param body: Values of the variables: a list in their order, or a dict by their names; texts, numbers,
        ``Currency``, ``DateTime`` or dicts of these. A value is one line, and all of them together fit 1024
        characters.
    :param buttons: Values of buttons: ``UrlButton`` and the other classes, dicts (``{"type": "url", "index": 0,
        "text": "77"}``), or a text, which is the suffix of the URL button at the text's position in the list;
        None leaves a position out.
    :param components: Graph's own JSON, instead of header, body, buttons, carousel and limited_time_offer.
    :param carousel: 2 to 10 ``Card`` (or dicts of their fields), exactly as many as the template has.
    :param limited_time_offer: End of the offer, in milliseconds since 1970 (UTC).
    """

    name: str = field.checked(_name)
    language: str = field.checked(_language, default="en_US")
    header: Header | None = field.checked(_header, default=None)
    body: Body | None = field.checked(_any_value, default=None)  # check() applies the limit
    buttons: Sequence[Button] | None = field.checked(template_buttons, default=None)
    components: Sequence[Mapping[str, Any]] | None = field.checked(_graph_components, default=None)
    carousel: Sequence[Card | Mapping[str, Any]] | None = field.checked(_cards, default=None)
    limited_time_offer: int | None = field.checked(_offer, default=None)

    @classmethod
    def authentication(cls, name: str, language: str, code: str) -> Self:
        """
        Return an authentication template with its one-time code, which becomes the value of the body and of the
        button.

        :param name: Name of the template (copy-code, one-tap and zero-tap alike).
        :param language: Its language.
        :param code: The code: up to 15 letters, digits and dashes. Meta refuses it for a business-scoped user id.
        """
        doc = "Authentication templates"
        _checks.required_text(code, "template.code", doc, limit=OTP_LIMIT)
        if not all(char.isalnum() or char in " -_" for char in code):
            raise PayloadError(
                f"contains more than letters, digits and dashes ({len(code)} characters)",
                field="template.code",
                limit="no URL, no emoji",
                doc=doc,
                advice="Give only the code.",
            )
        return cls(name, language, body=[code], buttons=[UrlButton(0, code)])

    def check(self) -> None:
        """Check which parts exclude each other."""
        if self.components is not None:
            for name in ("header", "body", "buttons", "carousel", "limited_time_offer"):
                if getattr(self, name) is not None:
                    raise PayloadError(
                        f"cannot be combined with {name}",
                        field="template.components",
                        limit="only components, or the others",
                        doc=DOC,
                        advice=f"Leave components or {name} out.",
                    )
        if self.body is not None:
            limit = BODY_LIMIT if self.limited_time_offer is None else OFFER_BODY_LIMIT
            keep(self, "body", _body(self.body, "template.body", DOC, limit=limit))
        if self.limited_time_offer is not None:
            self._check_offer()
        for name in ("header", "buttons") if self.carousel is not None else ():
            if getattr(self, name):
                raise PayloadError(
                    "cannot be combined with a carousel",
                    field=f"template.{name}",
                    doc=Card.doc,
                    advice=f"Give each card its {name}; a carousel has only a body above its cards.",
                )

    def _check_offer(self) -> None:
        for button in self.buttons or ():
            if isinstance(button, CopyCodeButton) and button.index != 0:
                raise PayloadError(
                    "must be the first button of an offer",
                    field="template.buttons",
                    limit="copy-code at index 0",
                    doc="Limited-time offer templates",
                    advice="Give the copy-code button index 0 and the URL button index 1.",
                )

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
            built.append({"type": "carousel", "cards": numbered(graph(self.carousel))})
        return built


def _components(
    header: object, body: object, buttons: object, offer: int | None = None
) -> list[dict[str, Any]]:
    """Return the components for parts that the model has checked and converted."""
    built: list[dict[str, Any]] = []
    if header is not None:
        built.append({"type": "header", "parameters": _parameters(header)})
    if offer is not None:
        value = {"type": "limited_time_offer", "limited_time_offer": {"expiration_time_ms": offer}}
        built.append({"type": "limited_time_offer", "parameters": [value]})
    if body:
        built.append({"type": "body", "parameters": _parameters(body)})
    return [*built, *(graph(buttons) if buttons else ())]


def _parameters(values: object) -> list[dict[str, Any]]:
    """Return one parameter, a list of them, or a mapping of them by name, as Graph's JSON."""
    if isinstance(values, dict):
        return [{**value.to_payload(), "parameter_name": name} for name, value in values.items()]
    return [graph(value) for value in (values if isinstance(values, tuple) else (values,))]
