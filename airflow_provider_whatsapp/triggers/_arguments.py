"""What Airflow stores of a trigger: the arguments in its signature."""

from __future__ import annotations

import inspect
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.triggers.base import BaseTrigger

if TYPE_CHECKING:
    from collections.abc import Mapping


class StoresArguments(BaseTrigger):
    """A trigger that keeps each argument in an attribute of the same name; an argument must not be a secret."""

    masked: ClassVar[Mapping[str, str]] = {}
    """Arguments with lists of personal data, each with the function of ``client.masking`` that masks a value."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow stores to recreate this trigger: equal arguments give equal triggers."""
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
    """Return the names of a trigger's arguments in order; Airflow derives an event trigger's key from them."""
    return tuple(inspect.signature(kind).parameters)
