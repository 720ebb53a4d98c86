"""
Checks that the message models share. Each returns the value, or raises a PayloadError that shows sizes, never texts.

Each takes the value, the path of its field and the title of Meta's document. Lengths are numbers of characters (Unicode
code points), as in Meta's documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages.texts import half_of_a_character, has_half_of_a_character
from airflow_provider_whatsapp.client.phone import mask_numbers

_HTTP_URL = re.compile(r"[Hh][Tt][Tt][Pp][Ss]?://[^/?#\s]\S*")


def shown(value: object) -> str:
    """Return a short, masked form of a name or keyword for an error; never use it for a text to the recipient."""
    text = mask_numbers(str(value))
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def wrong_type(value: object, field: str, wanted: str, *, doc: str | None = None) -> PayloadError:
    """Return the error for a value of the wrong type, which names only the type; ``wanted`` is ``"a string"`` or so."""
    given = "missing" if value is None else type(value).__name__
    problem = f"is missing; it must be {wanted}" if value is None else f"must be {wanted}, not {given}"
    return PayloadError(problem, field=field, doc=doc, advice=f"Give {wanted}.")


def string(value: object, field: str, doc: str) -> str:
    """Return a text, which may be empty."""
    if not isinstance(value, str):
        raise wrong_type(value, field, "a string", doc=doc)
    return value


def mapping(value: object, field: str, doc: str) -> Mapping[Any, Any]:
    """Return a mapping: a part of Graph's own JSON."""
    if not isinstance(value, Mapping):
        raise wrong_type(value, field, "a dict of Graph's JSON", doc=doc)
    return value


def required_text(value: object, field: str, doc: str, *, limit: int | None = None) -> str:
    """Return a text that is not empty, with at most ``limit`` characters."""
    if not isinstance(value, str):
        raise wrong_type(value, field, "a string", doc=doc)
    if not value or value.isspace():
        raise PayloadError(
            "contains only white space" if value else "is empty",
            field=field,
            limit=f"1-{limit} characters" if limit else "at least 1 character",
            doc=doc,
            advice="Give it a text.",
        )
    if not value.isascii() and has_half_of_a_character(value):
        raise half_of_a_character(field)
    if limit is not None and len(value) > limit:
        advice = f"Shorten it by {len(value) - limit} characters."
        problem = f"is {len(value)} characters long"
        raise PayloadError(problem, field=field, limit=f"{limit} characters", doc=doc, advice=advice)
    return value


def optional_text(value: object, field: str, doc: str, *, limit: int | None = None) -> str:
    """Return a text that may be empty, which means that it is left out."""
    return "" if value == "" else required_text(value, field, doc, limit=limit)


def identifier(value: object, field: str, doc: str) -> str:
    """Return an ID: a text without white space."""
    text = required_text(value, field, doc)
    if text.split(maxsplit=1) != [text]:
        raise PayloadError(
            "contains white space", field=field, doc=doc, advice="Give the id exactly as Meta returned it."
        )
    return text


def http_url(value: object, field: str, doc: str) -> str:
    """Return a link: http or https, with a host."""
    text = required_text(value, field, doc)
    if not _HTTP_URL.fullmatch(text):
        advice = "Give a public URL that needs no login, such as https://example.com/report.pdf."
        raise PayloadError("is not an http or https URL", field=field, doc=doc, advice=advice)
    return text


def flag(value: object, field: str, doc: str) -> bool:
    """Return a switch, given as a boolean or as its text, which a template renders."""
    found = {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise wrong_type(value, field, "true or false", doc=doc)
    return found


def choice(value: object, field: str, doc: str, *, allowed: tuple[str, ...]) -> str:
    """Return a keyword."""
    if value not in allowed:
        problem, advice = f"{shown(value)} is unknown", f"Use {' or '.join(allowed)}."
        raise PayloadError(problem, field=field, doc=doc, advice=advice)
    return str(value)


def integer(value: object, field: str, doc: str, *, low: int, high: int | None = None) -> int:
    """Return a whole number, given as a number or as its digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_type(value, field, "a whole number", doc=doc)
    if value < low or (high is not None and value > high):
        span = f"{low}-{high}" if high is not None else f"{low} or more"
        advice = f"Give a number of {span}."
        raise PayloadError("is out of range", field=field, limit=span, doc=doc, advice=advice)
    return value


def items(value: object, field: str, doc: str, *, low: int = 0, high: int | None = None) -> tuple[Any, ...]:
    """Return a list (any iterable except a text or a mapping) as a tuple of a checked size."""
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise wrong_type(value, field, "a list", doc=doc)
    found = tuple(value)
    if len(found) < low or (high is not None and len(found) > high):
        span = f"{low}-{high} items" if high is not None else f"at least {low}"
        advice = f"Leave {len(found) - (high or 0)} out, or send several messages."
        advice = "Add items." if len(found) < low else advice
        raise PayloadError(f"has {len(found)} items", field=field, limit=span, doc=doc, advice=advice)
    return found


def in_all(count: int, field: str, doc: str, *, high: int, what: str, limit: str) -> None:
    """Check how many rows or products (``what``) all sections have together."""
    if count > high:
        advice = f"Leave {count - high} out, or send several messages."
        raise PayloadError(f"has {count} {what}", field=field, limit=limit, doc=doc, advice=advice)


def texts(value: object, field: str, doc: str, *, low: int = 1, high: int | None = None) -> tuple[str, ...]:
    """Return a list of texts as a tuple."""
    found = items(value, field, doc, low=low, high=high)
    return tuple(required_text(item, f"{field}[{position}]", doc) for position, item in enumerate(found))


def unique(values: Iterable[str], field: str, doc: str, *, what: str) -> None:
    """Check that all values are different; ``what`` names one of them in an error."""
    seen: dict[str, int] = {}
    for position, value in enumerate(values):
        if value in seen:
            problem = f"items {seen[value]} and {position} have the same {what}"
            advice = f"Give each its own {what}."
            raise PayloadError(problem, field=field, limit="unique", doc=doc, advice=advice)
        seen[value] = position
