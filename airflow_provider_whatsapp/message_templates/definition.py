"""
A template as the files define it: one name in one language, in the files' short form and as Graph's components.

Pure: no files, no requests.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.message_templates.components import (
    FIXED_TEXT,
    MEDIA_FORMATS,
    NUMBERED,
    canonical,
    component,
    examples,
    header_handles,
    otp_type,
    parameter_format,
    type_of,
    variables,
    walk,
)
from airflow_provider_whatsapp.message_templates.shape import OPTION_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Self

    from airflow_provider_whatsapp.message_templates.documents import KeyPath

Key = tuple[str, str]
"""A template's name and language."""


@dataclass(frozen=True, kw_only=True)
class TemplateDefinition:
    """One template in one language."""

    name: str
    language: str
    category: str
    # Graph's; a media header's ``header_handle`` holds the path of its sample or a handle (``4::...``), or is missing
    components: tuple[Mapping[str, Any], ...]
    options: Mapping[str, Any] = field(default_factory=dict)  # Graph's further fields, of OPTION_TYPES
    folder: str | None = field(default=None, compare=False)  # to which paths of samples are relative
    # kept as Meta has it, although today's rules refuse it; it is not submitted
    as_is: bool = field(default=False, compare=False)
    where: str = field(default="", compare=False)  # file and line, for people who read a plan

    @property
    def key(self) -> Key:
        """Name and language."""
        return self.name, self.language

    @property
    def parameter_format(self) -> str:
        """``NAMED`` or ``POSITIONAL``, as the variables of header and body need it."""
        return parameter_format(self.components) or "POSITIONAL"

    @classmethod
    def from_graph(cls, row: Mapping[str, Any]) -> Self:
        """Read a template as Graph lists it, without what cannot be submitted again (a sample's address)."""
        category = str(row.get("category") or "")
        components: Any = listed_components(row)
        short = shorten(components, category)
        if short is not None:
            components, _ = expand(*short)
        options = {
            key: row[key]
            for key, kind in OPTION_TYPES.items()
            if type(row.get(key)) is kind and row[key] is not False
        }
        name, language = listed_key(row)
        return cls(
            name=name,
            language=language,
            category=category,
            components=tuple(_without_addresses(part) for part in components),
            options=options,
        )

    def canonical(self) -> list[dict[str, Any]]:
        """Return the components in the form in which they are compared."""
        return canonical(self.components, self.category)

    def samples(self) -> list[str]:
        """Return the paths of header samples to upload before the template is submitted."""
        return [sample for sample in _samples(self.components) if not sample.startswith("4:")]

    def gaps(self) -> list[str]:
        """Return what the template lacks to be submitted; Graph does not list it, so pulled files lack it."""
        found = []
        if self.as_is:
            return ["it is marked as_is: change what today's rules refuse, and remove the mark"]
        for part in walk(self.components):
            form = str(part.get("format", "")).upper()
            if form in MEDIA_FORMATS and not list(_samples([part])):
                found.append(f"the {form.lower()} header needs a sample: give the path of a file")
            for button in part.get("buttons") or ():
                kind = str(button.get("otp_type", "COPY_CODE")).upper()
                if kind != "COPY_CODE" and not button.get("supported_apps"):
                    found.append(f"the {kind.lower()} button needs supported_apps")
                if kind == "ZERO_TAP" and button.get("zero_tap_terms_accepted") is not True:
                    found.append("the zero_tap button needs zero_tap_terms_accepted: true")
        return found

    def create_payload(self, handles: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the request body that creates the template; ``handles`` are those of uploaded samples, by path."""
        identity = {"name": self.name, "language": self.language, "category": self.category}
        content = {"parameter_format": self.parameter_format, "components": self.payload_components(handles)}
        return {**identity, **content, **self.options}

    def payload_components(self, handles: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Return the components as they are submitted; ``handles`` are those of uploaded samples, by path."""
        made: list[dict[str, Any]] = json.loads(json.dumps(self.components))
        for part in walk(made):
            listed = header_handles(part)
            if isinstance(listed, list):
                listed[:] = [(handles or {}).get(sample, sample) for sample in listed]
        if self.category == "AUTHENTICATION" and not self.as_is:
            # Meta writes these texts itself.
            made = [
                {key: value for key, value in part.items() if key not in ("text", "example")}
                if FIXED_TEXT & set(part)
                else part
                for part in made
            ]
        return made


def listed_key(row: Mapping[str, Any]) -> Key:
    """Return a listed template's name and language."""
    return str(row.get("name")), str(row.get("language"))


def listed_components(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a listed template's components, without what is not a component."""
    listed = row.get("components")
    return [part for part in listed if isinstance(part, dict)] if isinstance(listed, list) else []


def _samples(components: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for part in walk(components):
        handles = header_handles(part)
        yield from (str(handle) for handle in (handles if isinstance(handles, list) else ()))


def _without_addresses(part: Mapping[str, Any]) -> dict[str, Any]:
    """Remove samples that are not handles: an address expires, and anything else would count as a path here."""
    made, handles = dict(part), header_handles(part)
    if handles and not (
        isinstance(handles, list) and all(str(handle).startswith("4:") for handle in handles)
    ):
        made.pop("example")
    if isinstance(part.get("cards"), list):
        made["cards"] = [_card_without_addresses(card) for card in part["cards"]]
    return made


def _card_without_addresses(card: Any) -> Any:
    inner = card.get("components") if isinstance(card, dict) else None
    if not isinstance(inner, list):
        return card
    parts = [_without_addresses(part) if isinstance(part, dict) else part for part in inner]
    return {**card, "components": parts}


def content_data(definition: TemplateDefinition) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a definition's content, in the short form if that can express it, and the examples of its variables."""
    short = None if definition.as_is else shorten(definition.components, definition.category)
    content, parameters = (
        short if short is not None else ({"components": definition.payload_components()}, {})
    )
    if definition.as_is:
        content["as_is"] = True
    return content, parameters


def expand(
    content: Mapping[str, Any], parameters: Mapping[str, str]
) -> tuple[list[dict[str, Any]], list[KeyPath]]:
    """Make Graph's components from the well-formed short form; also return each one's place in ``content``."""
    made: list[dict[str, Any]] = []
    places: list[KeyPath] = []
    for key, build in (
        ("header", _expand_header),
        ("body", _expand_body),
        ("footer", _expand_footer),
        ("buttons", _expand_buttons),
    ):
        if content.get(key) is not None:
            made.append(build(content[key], parameters))
            places.append((key,))
    return made, places


def _expand_header(value: Any, parameters: Mapping[str, str]) -> dict[str, Any]:
    fields = {"text": value} if isinstance(value, str) else value
    if "text" in fields:
        own = fields.get("example")
        names = variables(fields["text"])
        known = {**parameters, **(dict.fromkeys(names, str(own)) if own is not None else {})}
        part = {"type": "HEADER", "format": "TEXT", "text": fields["text"]}
        return {**part, **_expand_examples(names, known, "header_text")}
    for form in MEDIA_FORMATS:
        if form.lower() in fields:
            sample = fields[form.lower()]
            part = {"type": "HEADER", "format": form}
            return {**part, "example": {"header_handle": [sample]}} if sample else part
    return {"type": "HEADER", "format": "LOCATION"}


def _expand_body(value: Any, parameters: Mapping[str, str]) -> dict[str, Any]:
    fields = {"text": value} if isinstance(value, str) else value
    return {
        "type": "BODY",
        **fields,
        **_expand_examples(variables(fields.get("text")), parameters, "body_text"),
    }


def _expand_footer(value: Any, parameters: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG001
    return {"type": "FOOTER", **({"text": value} if isinstance(value, str) else value)}


def _expand_buttons(value: Any, parameters: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG001
    made = []
    for button in value:
        fields = {**button, "type": type_of(button)}
        if fields["type"] == "URL" and isinstance(fields.get("example"), str):
            fields["example"] = [fields["example"]]
        if type(fields.get("flow_id")) is int:
            fields["flow_id"] = str(fields["flow_id"])
        if "otp_type" in fields:
            fields["otp_type"] = str(fields["otp_type"]).upper()
        made.append(fields)
    return {"type": "BUTTONS", "buttons": made}


def _expand_examples(names: Sequence[str], known: Mapping[str, str], key: str) -> dict[str, Any]:
    if not names:
        return {}
    if all(NUMBERED.fullmatch(name) for name in names):
        row = [known.get(name, "") for name in sorted(names, key=int)]
        return {"example": {key: [row] if key == "body_text" else row}}
    pairs = [{"param_name": name, "example": known[name]} for name in names if name in known]
    return {"example": {f"{key}_named_params": pairs}}


def shorten(
    components: Sequence[Mapping[str, Any]], category: str
) -> tuple[dict[str, Any], dict[str, str]] | None:
    """Make the short form and its examples from Graph's components; None: the short form cannot express them."""
    try:
        return _shortened(components, category)
    except (AttributeError, TypeError, ValueError, KeyError, IndexError):
        return None  # a part does not have the form that Meta documents


def _shortened(
    components: Sequence[Mapping[str, Any]], category: str
) -> tuple[dict[str, Any], dict[str, str]] | None:
    kinds = [type_of(part) for part in components]
    if not set(kinds) <= {"HEADER", "BODY", "FOOTER", "BUTTONS"} or len(set(kinds)) != len(kinds):
        return None
    header, body = component(components, "HEADER"), component(components, "BODY")
    names = variables((body or {}).get("text"))
    parameters = examples(body, "body_text", names) if body and category != "AUTHENTICATION" else {}
    content: dict[str, Any] = {}
    if header:
        content["header"] = _short_header(header, parameters)
    if body:
        content["body"] = _short_text(body, category, "add_security_recommendation")
    footer, buttons = component(components, "FOOTER"), component(components, "BUTTONS")
    if footer:
        content["footer"] = _short_text(footer, category, "code_expiration_minutes")
    if buttons:
        content["buttons"] = [_short_button(button, category) for button in buttons.get("buttons") or []]
    again, _ = expand(content, parameters)
    return (content, parameters) if canonical(again, category) == canonical(components, category) else None


def _short_header(part: Mapping[str, Any], parameters: dict[str, str]) -> dict[str, Any]:
    form = str(part.get("format", "")).upper()
    if form in MEDIA_FORMATS:
        return {form.lower(): _short_sample(part)}
    if form != "TEXT":
        return {"location": True}
    text, names = part.get("text"), variables(part.get("text"))
    short: dict[str, Any] = {"text": text}
    for name, value in examples(part, "header_text", names).items():
        if NUMBERED.fullmatch(name) or parameters.setdefault(name, value) != value:
            short["example"] = value
    return short


def _short_sample(part: Mapping[str, Any]) -> str | None:
    handles = header_handles(part)
    first = str(handles[0]) if isinstance(handles, list) and handles else ""
    return None if not first or first.startswith(("https://", "http://")) else first


def _short_text(part: Mapping[str, Any], category: str, key: str) -> Any:
    text = part.get("text")
    (found,) = canonical([part], category)
    if category != "AUTHENTICATION" or found.get(key) is None or variables(text) not in ([], ["1"]):
        return text
    return {key: found[key], **({"text": text} if text else {})}


def _short_button(button: Mapping[str, Any], category: str) -> dict[str, Any]:
    kind = type_of(button)
    if category == "AUTHENTICATION" and kind in ("URL", "OTP"):
        kept = {
            key: value for key, value in button.items() if key not in ("type", "otp_type", "url", "example")
        }
        return {"type": "otp", "otp_type": otp_type(button).lower(), **kept}
    short = {**button, "type": kind.lower()}
    example = button.get("example")
    if kind in ("URL", "COPY_CODE") and isinstance(example, list) and len(example) == 1:
        short["example"] = example[0]
    return short
