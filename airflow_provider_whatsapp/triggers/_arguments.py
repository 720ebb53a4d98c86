"""What Airflow stores of a trigger: the arguments that its signature names."""

from __future__ import annotations

import inspect
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.triggers.base import BaseTrigger

if TYPE_CHECKING:
    from collections.abc import Mapping


class StoresArguments(BaseTrigger):
    """A trigger that keeps each of its arguments in an attribute of the same name; no secret may be among them."""

    masked: ClassVar[Mapping[str, str]] = {}
    """Arguments that hold lists of personal data, each with the function of ``client.masking`` that hides a value."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow stores to make this trigger again: equal arguments give equal triggers."""
        kind = type(self)
        return f"{kind.__module__}.{kind.__qualname__}", {name: self._argument(name) for name in _names(kind)}

    def _argument(self, name: str) -> Any:
        return getattr(self, name)

    def __repr__(self) -> str:
        from airflow_provider_whatsapp.client import masking

        classpath, shown = self.serialize()
        for name, hide in self.masked.items():
            shown[name] = shown[name] and [getattr(masking, hide)(value) for value in shown[name]]
        return str(self.repr(classpath, shown))


@cache
def _names(kind: type[StoresArguments]) -> tuple[str, ...]:
    """Return the names of a trigger's arguments in their order, of which Airflow makes the key of an event trigger."""
    return tuple(inspect.signature(kind).parameters)
