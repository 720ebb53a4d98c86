"""The base of every message model: a frozen dataclass that checks its declared fields, and becomes Graph's JSON."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import _fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_whatsapp.client.messages._fields import Check

_Model = TypeVar("_Model", bound="Part")

_EMPTY: tuple[object, ...] = ("", (), [])

keep = object.__setattr__
"""Sets a field to its checked value while a part is made; afterwards the part is frozen."""


class Part:
    """A frozen, checked part of a message; every subclass is a dataclass, made by :func:`model`."""

    __slots__ = ()

    #: Title of Meta's document with its limits.
    doc: ClassVar[str]
    #: For each field its name, its path in errors, its check and its default.
    _checked: ClassVar[tuple[tuple[str, str, Check, Any], ...]] = ()

    def __post_init__(self) -> None:
        doc = self.doc
        for name, path, check, default in self._checked:
            given = getattr(self, name)
            if given is default:
                continue
            # None, the empty value of Jinja and JSON, means that a field is left out.
            left_out = given is None and default is not MISSING
            value = default if left_out else check(given, path, doc)
            if value is not given:
                keep(self, name, value)
        self.check()

    def check(self) -> None:
        """Check rules that concern several fields."""

    def _graph_fields(self, *besides: str) -> dict[str, Any]:
        """Return the declared fields except these as Graph's JSON, without empty ones."""
        found: dict[str, Any] = {}
        for name, *_ in self._checked:
            if name not in besides and (value := getattr(self, name)) is not None and value not in _EMPTY:
                found[name] = graph(value)
        return found

    def to_payload(self) -> dict[str, Any]:
        """Return the part as Graph's JSON."""
        return self._graph_fields()


class Message(Part):
    """
    A message of one type, without recipient: frozen, and checked when it is made.

    ``to_payload()`` returns the part of Graph's JSON that belongs to the type (``{"type": "text", "text": {...}}``);
    the sender adds ``messaging_product``, the recipient, ``context`` and ``biz_opaque_callback_data``.
    """

    __slots__ = ()

    #: Name of the type in ``parse_message``; for most types also Graph's ``type`` or ``interactive.type``.
    kind: ClassVar[str]

    def content(self) -> dict[str, Any]:
        """Return only the object of the type, without fields that were left out."""
        return self._graph_fields()

    def _exactly_one(self, first: str, second: str, *, advice: str) -> None:
        """Check that exactly one of two fields is given."""
        if bool(getattr(self, first)) == bool(getattr(self, second)):
            raise PayloadError(
                f"has both {first} and {second}" if getattr(self, first) else f"needs {first} or {second}",
                field=self.kind,
                limit=f"exactly one of {first}, {second}",
                doc=self.doc,
                advice=advice,
            )

    def to_payload(self) -> dict[str, Any]:
        """Return the message as Graph's JSON."""
        return {"type": self.kind, self.kind: self.content()}


@dataclass_transform(
    frozen_default=True,
    field_specifiers=(
        _fields.checked,
        _fields.text,
        _fields.identifier,
        _fields.flag,
        _fields.whole,
        _fields.choice,
        _fields.some,
    ),
)
def model(kind: str = "", *, doc: str = "", kw_only: bool = False) -> Callable[[type[_Model]], type[_Model]]:
    """Make a class of declared fields a frozen dataclass."""
    # kind: type of a message, with which its fields' paths begin; doc: title of Meta's document, else the base's.

    def made(cls: type[_Model]) -> type[_Model]:
        found = dataclass(frozen=True, slots=True, kw_only=kw_only)(cls)
        if doc:
            found.doc = doc
        prefix = ""
        if kind and issubclass(found, Message):
            found.kind, prefix = kind, f"{kind}."
        found._checked = tuple(  # noqa: SLF001
            (spec.name, prefix * (spec.name != kind) + spec.name, spec.metadata["check"], spec.default)
            for spec in fields(found)  # type: ignore[arg-type]  # a dataclass since above
        )
        return found

    return made


def graph(value: Any) -> Any:
    """Return a checked value as Graph's JSON: parts, lists of parts, and values that are JSON already."""
    if isinstance(value, str):
        return value
    if isinstance(value, Part):
        return value.to_payload()
    return [graph(item) for item in value] if isinstance(value, (tuple, list)) else value


def numbered(cards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the cards of a carousel with their positions."""
    return [{"card_index": index, **card} for index, card in enumerate(cards)]


def without_empty(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that have a value, which is neither None nor an empty text or list."""
    return {name: value for name, value in given.items() if value is not None and value not in _EMPTY}
