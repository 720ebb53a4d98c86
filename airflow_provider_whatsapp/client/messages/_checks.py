"""
Checks that the message models share; each raises a PayloadError that shows sizes, never whole values.

Lengths are counted in characters (Unicode code points), as Meta's documents count them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING
from dataclasses import fields as dataclass_fields
from typing import Any, TypeVar

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages._base import Part
from airflow_provider_whatsapp.client.messages.texts import half_of_a_character, has_half_of_a_character
from airflow_provider_whatsapp.client.phone import mask_numbers

_SPACE = re.compile(r"\s")
_Model = TypeVar("_Model", bound=Part)


def shown(value: object) -> str:
    """
    Return a short, masked form of a name or keyword for an error text.

    :param value: Something that names a thing: a field, a type, a template; never a text for the recipient.
    """
    text = mask_numbers(str(value))
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def wrong_type(value: object, field: str, wanted: str, *, doc: str | None = None) -> PayloadError:
    """
    Return the error for a value of the wrong Python type.

    :param value: The value; only its type is named.
    :param field: Path of the field.
    :param wanted: What it should be, ``"a string"`` say.
    :param doc: Title of Meta's document.
    """
    given = "missing" if value is None else type(value).__name__
    problem = f"is missing; it must be {wanted}" if value is None else f"must be {wanted}, not {given}"
    return PayloadError(problem, field=field, doc=doc, advice=f"Give {wanted}.")


def string(value: object, field: str, *, doc: str) -> None:
    """
    Check that a value is a text, which may be empty.

    :param value: The value.
    :param field: Path of the field.
    :param doc: Title of Meta's document.
    """
    if not isinstance(value, str):
        raise wrong_type(value, field, "a string", doc=doc)


def mapping(value: object, field: str, *, doc: str) -> None:
    """
    Check that a value is a mapping: a part of Graph's own JSON.

    :param value: The value.
    :param field: Path of the field.
    :param doc: Title of Meta's document.
    """
    if not isinstance(value, Mapping):
        raise wrong_type(value, field, "a dict of Graph's JSON", doc=doc)


def required_text(value: object, field: str, *, doc: str, limit: int | None = None) -> None:
    """
    Check a text that must be there.

    :param value: The text.
    :param field: Path of the field.
    :param doc: Title of Meta's document with the limit.
    :param limit: Most characters it may have.
    """
    if not isinstance(value, str):
        raise wrong_type(value, field, "a string", doc=doc)
    if not value.strip():
        raise PayloadError(
            "holds white space alone" if value else "is empty",
            field=field,
            limit=f"1-{limit} characters" if limit else "at least 1 character",
            doc=doc,
            advice="Give it a text.",
        )
    if has_half_of_a_character(value):
        raise half_of_a_character(field)
    if limit is not None and len(value) > limit:
        raise PayloadError(
            f"is {len(value)} characters long",
            field=field,
            limit=f"{limit} characters",
            doc=doc,
            advice=f"Shorten it by {len(value) - limit} characters.",
        )


def optional_text(value: object, field: str, *, doc: str, limit: int | None = None) -> None:
    """
    Check a text that may be left out; an empty one counts as left out.

    :param value: The text, or None.
    :param field: Path of the field.
    :param doc: Title of Meta's document with the limit.
    :param limit: Most characters it may have.
    """
    if value is not None and value != "":
        required_text(value, field, doc=doc, limit=limit)


def identifier(value: object, field: str, *, doc: str, limit: int | None = None) -> None:
    """
    Check an id: a text without white space.

    :param value: The id.
    :param field: Path of the field.
    :param doc: Title of Meta's document.
    :param limit: Most characters it may have.
    """
    required_text(value, field, doc=doc, limit=limit)
    if _SPACE.search(str(value)):
        raise PayloadError(
            "holds white space", field=field, doc=doc, advice="Give the id exactly as Meta returned it."
        )


def http_url(value: object, field: str, *, doc: str) -> None:
    """
    Check a link: http or https, with a host.

    :param value: The link.
    :param field: Path of the field.
    :param doc: Title of Meta's document.
    """
    required_text(value, field, doc=doc)
    scheme, found, rest = str(value).partition("://")
    host = rest.split("/", 1)[0].split("?", 1)[0].split("#", 1)[0]
    if (
        not found
        or scheme.lower() not in {"http", "https"}
        or not host
        or any(char.isspace() for char in rest)
    ):
        raise PayloadError(
            "is not an http or https URL",
            field=field,
            doc=doc,
            advice="Give a public URL that needs no login, https://example.com/report.pdf say.",
        )


def flag(value: object, field: str, *, doc: str) -> bool:
    """
    Return a switch, given as one or as its text, which a template makes of it.

    :param value: True or False.
    :param field: Path of the field.
    :param doc: Title of Meta's document.
    """
    found = {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise wrong_type(value, field, "true or false", doc=doc)
    return found


def choice(value: object, field: str, allowed: tuple[str, ...], *, doc: str) -> None:
    """
    Check a keyword.

    :param value: The keyword.
    :param field: Path of the field.
    :param allowed: The keywords there are.
    :param doc: Title of Meta's document.
    """
    if value not in allowed:
        raise PayloadError(
            f"{shown(value)} is unknown", field=field, doc=doc, advice=f"Use {' or '.join(allowed)}."
        )


def integer(value: object, field: str, *, doc: str, low: int, high: int | None = None) -> int:
    """
    Return a whole number, given as one or as its digits.

    :param value: The number.
    :param field: Path of the field.
    :param doc: Title of Meta's document.
    :param low: Smallest that is allowed.
    :param high: Greatest that is allowed.
    """
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_type(value, field, "a whole number", doc=doc)
    if value < low or (high is not None and value > high):
        span = f"{low}-{high}" if high is not None else f"{low} or more"
        raise PayloadError(
            "is out of range", field=field, limit=span, doc=doc, advice=f"Give a number of {span}."
        )
    return value


def items(value: object, field: str, *, doc: str, low: int = 0, high: int | None = None) -> tuple[Any, ...]:
    """
    Return a list as a tuple, its size checked.

    :param value: A list or tuple (any iterable but a text or a mapping).
    :param field: Path of the field.
    :param doc: Title of Meta's document.
    :param low: Fewest items.
    :param high: Most items.
    """
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise wrong_type(value, field, "a list", doc=doc)
    found = tuple(value)
    if len(found) < low or (high is not None and len(found) > high):
        span = f"{low}-{high} items" if high is not None else f"at least {low}"
        advice = (
            "Add items."
            if len(found) < low
            else f"Leave {len(found) - (high or 0)} out, or send several messages."
        )
        raise PayloadError(f"has {len(found)} items", field=field, limit=span, doc=doc, advice=advice)
    return found


def unique(values: Iterable[str], field: str, what: str, *, doc: str) -> None:
    """
    Check that no two values are the same.

    :param values: The values.
    :param field: Path of the list that they come from.
    :param what: What they are, in the singular.
    :param doc: Title of Meta's document.
    """
    seen: dict[str, int] = {}
    for position, value in enumerate(values):
        if value in seen:
            problem = f"items {seen[value]} and {position} have the same {what}"
            raise PayloadError(
                problem, field=field, limit="unique", doc=doc, advice=f"Give each its own {what}."
            )
        seen[value] = position


def check_names(model: type[Part], fields: Mapping[Any, Any], path: str) -> None:
    """
    Check that a mapping names fields of a model, and all that it needs.

    :param model: A dataclass of this package.
    :param fields: Its fields by name.
    :param path: Path of the mapping in the message.
    :raises PayloadError: A field is unknown or missing; the advice lists them all.
    """
    known = {spec.name: spec for spec in dataclass_fields(model) if spec.init}
    needed = [
        name for name, spec in known.items() if spec.default is MISSING and spec.default_factory is MISSING
    ]
    advice = f"Fields: {', '.join(known)}; required: {', '.join(needed) or 'none'}."
    for name in fields:
        if name not in known:
            raise PayloadError(f"has an unknown field {shown(name)}", field=path, advice=advice)
    for name in needed:
        if name not in fields:
            raise PayloadError("is missing", field=f"{path}.{name}", advice=advice)


def part(model: type[_Model], value: object, path: str) -> _Model:
    """
    Return a part of a message: the part itself, or made from a mapping of its fields.

    :param model: The part's class.
    :param value: An instance, or a mapping.
    :param path: Path of the part, put in front of the field in errors.
    """
    if isinstance(value, model):
        return value
    if not isinstance(value, Mapping):
        raise wrong_type(value, path, f"{model.__name__} or a dict of its fields")
    value = without_null(value)
    check_names(model, value, path)
    try:
        return model(**value)
    except PayloadError as error:
        raise error.at(path) from None


def typed(value: Mapping[Any, Any], field: str, known: Mapping[str, type[Part]], *, doc: str) -> Part:
    """
    Return the part that a mapping with a ``type`` describes: by its own fields, or in Graph's nested form.

    :param value: ``{"type": "image", "link": ...}`` or ``{"type": "image", "image": {"link": ...}}``.
    :param field: Path of the mapping.
    :param known: The models by their type.
    :param doc: Title of Meta's document.
    """
    given = value.get("type")
    name = given.lower() if isinstance(given, str) else given
    if not isinstance(name, str) or name not in known:
        raise PayloadError(
            f"has an unknown type {shown(given)}", field=field, doc=doc, advice=f"Types: {', '.join(known)}."
        )
    fields = {key: item for key, item in without_null(value).items() if key != "type"}
    nested = fields.get(name)
    return part(known[name], nested if len(fields) == 1 and isinstance(nested, Mapping) else fields, field)


def parts(
    model: type[_Model], value: object, path: str, *, doc: str, low: int = 1, high: int | None = None
) -> tuple[_Model, ...]:
    """
    Return a list of parts, each made by :func:`part`.

    :param model: The parts' class.
    :param value: A list of instances or mappings.
    :param path: Path of the list.
    :param doc: Title of Meta's document.
    :param low: Fewest parts.
    :param high: Most parts.
    """
    found = items(value, path, doc=doc, low=low, high=high)
    return tuple(part(model, item, f"{path}[{position}]") for position, item in enumerate(found))


def put(model: object, name: str, value: object) -> None:
    """
    Set a field of a frozen model while it is being made.

    :param model: The model.
    :param name: The field.
    :param value: Its checked and converted value.
    """
    object.__setattr__(model, name, value)


def without_null(fields: Mapping[Any, Any]) -> dict[Any, Any]:
    """
    Return the fields that are not None, which stands for one that is left out.

    :param fields: Fields of a message or of a part of one.
    """
    return {name: value for name, value in fields.items() if value is not None}


def without_empty(fields: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the fields that have a value: neither None nor an empty text.

    :param fields: Fields of a payload.
    """
    return {name: value for name, value in fields.items() if value is not None and value != ""}
