"""The variables in a template's texts."""

from __future__ import annotations

import re
from typing import Any

VARIABLE = re.compile(r"\{\{([^{}]*)\}\}")


def variables(text: str) -> list[str]:
    """
    Names of the variables, in order and each once.

    :param text: With ``{{1}}`` or ``{{name}}`` in it.
    """
    return list(dict.fromkeys(name.strip() for name in VARIABLE.findall(text)))


def fill(text: str, values: dict[str, str]) -> str:
    """
    Put values in the variables' places.

    :param text: With variables.
    :param values: By name, or by number as text.
    """
    return VARIABLE.sub(lambda match: values.get(match[1].strip(), match[0]), text)


def component(components: list[dict[str, Any]], kind: str) -> dict[str, Any] | None:
    """
    The component of a type.

    :param components: A template's.
    :param kind: In capitals.
    """
    return next((found for found in components if str(found.get("type", "")).upper() == kind), None)


def values_of(parameters: list[dict[str, Any]]) -> dict[str, str]:
    """
    A component's parameters as values by name, or by number when they have none.

    :param parameters: As sent.
    """
    values = {}
    for index, parameter in enumerate(parameters, start=1):
        kind = parameter.get("type", "text")
        value = parameter.get(kind, "")
        shown = value.get("fallback_value", "") if isinstance(value, dict) else str(value)
        values[parameter.get("parameter_name") or str(index)] = shown
    return values
