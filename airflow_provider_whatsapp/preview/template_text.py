"""The variables in a template's texts."""

from __future__ import annotations

import re
from typing import Any

VARIABLE = re.compile(r"\{\{([^{}]*)\}\}")


def variables(text: str) -> list[str]:
    """Return the names of the variables, such as ``{{1}}`` or ``{{name}}``, in order and each once."""
    return list(dict.fromkeys(name.strip() for name in VARIABLE.findall(text)))


def fill(text: str, values: dict[str, str]) -> str:
    """Replace variables with their values, by name or by number as text; a variable without a value stays."""
    return VARIABLE.sub(lambda match: values.get(match[1].strip(), match[0]), text)


def component(components: list[dict[str, Any]], kind: str) -> dict[str, Any] | None:
    """Return the first component of a type (in capitals), or None."""
    return next((found for found in components if str(found.get("type", "")).upper() == kind), None)


def values_of(parameters: list[dict[str, Any]]) -> dict[str, str]:
    """Return a component's parameters as values by name, or by number for those without a name."""
    values = {}
    for index, parameter in enumerate(parameters, start=1):
        kind = parameter.get("type", "text")
        value = parameter.get(kind, "")
        shown = value.get("fallback_value", "") if isinstance(value, dict) else str(value)
        values[parameter.get("parameter_name") or str(index)] = shown
    return values
