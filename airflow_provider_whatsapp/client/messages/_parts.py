"""Makes parts of a message from plain fields, as in an operator's argument, a YAML file or an XCom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import _checks

if TYPE_CHECKING:
    from airflow_provider_whatsapp.client.messages._base import Part

_Model = TypeVar("_Model", bound="Part")


def check_names(model: type[Part], given: Mapping[Any, Any], path: str) -> None:
    """Check that a mapping has only fields of a model, and all required ones; the error's advice lists both."""
    known, needed, advice = _names(model)  # type: ignore[arg-type]  # a class has a hash
    for name in given:
        if name not in known:
            raise PayloadError(f"has an unknown field {_checks.shown(name)}", field=path, advice=advice)
    for name in needed:
        if name not in given:
            raise PayloadError("is missing", field=f"{path}.{name}", advice=advice)


@cache
def _names(model: type[Part]) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Return the names of a model's fields, the names of the required ones, and a sentence about both."""
    specs = fields(model)  # type: ignore[arg-type]  # made by `model`
    known = tuple(spec.name for spec in specs)
    needed = tuple(spec.name for spec in specs if spec.default is MISSING)
    return known, needed, f"Fields: {', '.join(known)}; required: {', '.join(needed) or 'none'}."


def part(value: object, path: str, _doc: str = "", *, model: type[_Model]) -> _Model:
    """Return a part of a message, given as one or as a mapping of its fields; errors begin with its path."""
    if isinstance(value, model):
        return value
    if not isinstance(value, Mapping):
        raise _checks.wrong_type(value, path, f"{model.__name__} or a dict of its fields")
    given = without_null(value)
    check_names(model, given, path)
    try:
        return model(**given)
    except PayloadError as error:
        raise error.at(path) from None


def parts(
    value: object, path: str, doc: str, *, model: type[_Model], low: int = 1, high: int | None = None
) -> tuple[_Model, ...]:
    """Return a list of parts, each made by :func:`part`."""
    found = _checks.items(value, path, doc, low=low, high=high)
    return tuple(part(item, f"{path}[{position}]", model=model) for position, item in enumerate(found))


def typed(value: Mapping[Any, Any], path: str, doc: str, known: Mapping[str, type[Part]]) -> Part:
    """Return the part that a mapping with a ``type`` describes: by its own fields, or in Graph's nested form."""
    name = lower(value.get("type"))
    if not isinstance(name, str) or name not in known:
        shown = _checks.shown(value.get("type"))
        raise PayloadError(
            f"has an unknown type {shown}", field=path, doc=doc, advice=f"Types: {', '.join(known)}."
        )
    given = {key: item for key, item in without_null(value).items() if key != "type"}
    # Graph nests {"type": "image", "link": ...} as {"type": "image", "image": {"link": ...}}.
    nested = given.get(name)
    fields = nested if len(given) == 1 and isinstance(nested, Mapping) else given
    return part(fields, path, model=known[name])


def lower(value: object) -> object:
    """Return a text in lower case, and any other value unchanged."""
    return value.lower() if isinstance(value, str) else value


def without_null(given: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return the fields that are not None, which means that a field is left out."""
    return {name: value for name, value in given.items() if value is not None}
