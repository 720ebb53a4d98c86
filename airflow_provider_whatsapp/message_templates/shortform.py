"""The short form of a template's content, and Graph's components: from one to the other and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.message_templates.components import (
    MEDIA_FORMATS,
    NUMBERED,
    canonical,
    component,
    examples,
    otp_type,
    type_of,
    variables,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_whatsapp.message_templates.problems import KeyPath

HEADER_KEYS = ("text", "example", *(form.lower() for form in MEDIA_FORMATS), "location")


def expand(
    content: Mapping[str, Any], parameters: Mapping[str, str]
) -> tuple[list[dict[str, Any]], list[KeyPath]]:
    """
    Make Graph's components of the short form.

    :param content: ``header``, ``body``, ``footer`` and ``buttons``, well formed.
    :param parameters: Examples of the variables, by name or number.
    :return: The components, and where each comes from within ``content``.
    """
    made: list[dict[str, Any]] = []
    places: list[KeyPath] = []
    for key, build in (("header", _header), ("body", _body), ("footer", _footer), ("buttons", _buttons)):
        if content.get(key) is not None:
            made.append(build(content[key], parameters))
            places.append((key,))
    return made, places


def _header(value: Any, parameters: Mapping[str, str]) -> dict[str, Any]:
    fields = {"text": value} if isinstance(value, str) else value
    if "text" in fields:
        own = fields.get("example")
        names = variables(fields["text"])
        known = {**parameters, **(dict.fromkeys(names, str(own)) if own is not None else {})}
        part = {"type": "HEADER", "format": "TEXT", "text": fields["text"]}
        return {**part, **_example(names, known, "header_text")}
    for form in MEDIA_FORMATS:
        if form.lower() in fields:
            sample = fields[form.lower()]
            part = {"type": "HEADER", "format": form}
            return {**part, "example": {"header_handle": [sample]}} if sample else part
    return {"type": "HEADER", "format": "LOCATION"}


def _body(value: Any, parameters: Mapping[str, str]) -> dict[str, Any]:
    fields = {"text": value} if isinstance(value, str) else value
    return {"type": "BODY", **fields, **_example(variables(fields.get("text")), parameters, "body_text")}


def _footer(value: Any, parameters: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG001
    return {"type": "FOOTER", **({"text": value} if isinstance(value, str) else value)}


def _buttons(value: Any, parameters: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG001
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


def _example(names: Sequence[str], known: Mapping[str, str], key: str) -> dict[str, Any]:
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
    """
    Make the short form of Graph's components.

    :param components: Graph's, as created or as listed.
    :param category: The template's.
    :return: The content and its examples; None when the short form cannot say it all.
    """
    try:
        return _shortened(components, category)
    except (AttributeError, TypeError, ValueError, KeyError, IndexError):
        return None  # a part is not of the form that Meta documents


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
        return {form.lower(): _sample(part)}
    if form != "TEXT":
        return {"location": True}
    text, names = part.get("text"), variables(part.get("text"))
    short: dict[str, Any] = {"text": text}
    for name, value in examples(part, "header_text", names).items():
        if NUMBERED.fullmatch(name) or parameters.setdefault(name, value) != value:
            short["example"] = value
    return short


def _sample(part: Mapping[str, Any]) -> str | None:
    example = part.get("example")
    handles = example.get("header_handle") if isinstance(example, dict) else None
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
