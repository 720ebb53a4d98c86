"""Shapes of answers, names and types without any value, for a comparison of an account with the sandbox."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.client.resources.base import APP
from airflow_provider_whatsapp.client.transport import Transport

if TYPE_CHECKING:
    from airflow_provider_whatsapp.client.config import ClientConfig
    from airflow_provider_whatsapp.client.transport import Call

MAX_DEPTH = 12
MAX_NAMES = 200
"""The most names of one object that are shown."""
OTHER_NAME = "<name>"
"""Replaces a name that may be a value: a number, an ID, a text."""
_NAME = re.compile(r"(?!.*[0-9]{5})[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_TYPES: dict[type, str] = {bool: "boolean", int: "integer", float: "number", str: "text", type(None): "null"}
_PART = re.compile(r"[a-z][a-z_]{0,63}", re.ASCII)
"""Pattern of a part of a path that is not an ID."""

Shape = Any
"""A type's name, several with ``|`` between them, a list with the shape of its items, or an object of shapes in which
``?`` ends the names that not every item of a list has."""


def shape(value: Any, *, depth: int = MAX_DEPTH) -> Shape:
    """Return the shape of parsed JSON, down to a number of levels."""
    if isinstance(value, dict):
        if depth == 0:
            return "object"
        parts: dict[str, Shape] = {}
        for name, item in list(value.items())[:MAX_NAMES]:
            shown = name if _NAME.fullmatch(name) else OTHER_NAME
            found = shape(item, depth=depth - 1)
            parts[shown] = merged(parts[shown], found) if shown in parts else found
        return dict(sorted(parts.items()))
    if isinstance(value, list):
        if depth == 0 or not value:
            return "list" if depth == 0 else []
        found = shape(value[0], depth=depth - 1)
        for item in value[1:]:
            found = merged(found, shape(item, depth=depth - 1))
        return [found]
    return _TYPES.get(type(value), "text")


def merged(one: Shape, other: Shape) -> Shape:
    """Return the shape that covers two shapes."""
    if one == other:
        return one
    if isinstance(one, dict) and isinstance(other, dict):
        return _merged_objects(one, other)
    if isinstance(one, list) and isinstance(other, list):
        return [merged(one[0], other[0])] if one and other else one or other
    names = {name for each in (one, other) for name in _type_of(each).split("|")}
    return "|".join(sorted(names))


def _merged_objects(one: dict[str, Shape], other: dict[str, Shape]) -> dict[str, Shape]:
    bare = [{name.removesuffix("?"): each for name, each in side.items()} for side in (one, other)]
    optional = {name[:-1] for side in (one, other) for name in side if name.endswith("?")}
    optional |= bare[0].keys() ^ bare[1].keys()
    parts: dict[str, Shape] = {}
    for name in sorted(bare[0].keys() | bare[1].keys()):
        sides = [side[name] for side in bare if name in side]
        parts[f"{name}?" if name in optional else name] = merged(*sides) if len(sides) == 2 else sides[0]
    return parts


def _type_of(found: Shape) -> str:
    if isinstance(found, dict):
        return "object"
    return "list" if isinstance(found, list) else str(found)


class RecordingTransport(Transport):
    """A transport that records the shape of each answer."""

    def __init__(self, config: ClientConfig, *, until: float | None = None) -> None:
        super().__init__(config, until=until)
        self.config = config
        self.answers: list[dict[str, Any]] = []

    def request(self, call: Call) -> dict[str, Any]:
        """Make a call, record the shape of its answer, and return the answer."""
        about = {"request": f"{call.method} {self._path(call)}", "fields": call.query.get("fields")}
        about = {name: value for name, value in about.items() if value is not None}
        try:
            answer = super().request(call)
        except WhatsAppError as error:
            facts = {"error": type(error).__name__, "http_status": error.http_status, "code": error.code}
            facts["subcode"] = error.subcode
            self.answers.append({**about, "refused": {k: v for k, v in facts.items() if v is not None}})
            raise
        self.answers.append({**about, "shape": shape(answer)})
        return answer

    def _path(self, call: Call) -> str:
        """Return a call's path with names instead of IDs."""
        places = {self.config.phone_number_id: "{phone_number_id}", self.config.waba_id: "{waba_id}"}
        graph = f"{self.config.data_url}/{APP}/{self.config.api_version}/"
        path = call.url.removeprefix(graph).removeprefix(self.config.control_url)
        parts = path.strip("/").split("/")
        named = (places.get(part) or (part if _PART.fullmatch(part) else "{id}") for part in parts)
        return "/".join(named)
