"""Definitions as YAML or JSON, in the form of the files."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import yaml

from airflow_provider_whatsapp.message_templates.definition import content_data
from airflow_provider_whatsapp.message_templates.yamltree import NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_whatsapp.message_templates.definition import TemplateDefinition

_WIDTH = 110
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
"""What YAML takes for a line break, or does not show, unless it is written as an escape."""


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and repeats rather than refers."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    if _CONTROLS.search(text):
        style = '"'
    if NUMBER.fullmatch(text):
        style = "'"  # PyYAML knows YAML 1.1's numbers alone, to which 08 does not belong
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _number(dumper: yaml.SafeDumper, value: float) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:float", repr(value))


_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, _number)


def template_data(definitions: Iterable[TemplateDefinition]) -> dict[str, Any]:
    """
    Return one template's languages as a file's data.

    :param definitions: Of one name, one category and the same options.
    """
    languages = sorted(definitions, key=lambda definition: definition.language)
    contents = {definition.language: content_data(definition) for definition in languages}
    first = languages[0]
    data: dict[str, Any] = {"name": first.name, "category": first.category, **first.options}
    examples = [parameters for _, parameters in contents.values() if parameters]
    shared = bool(examples) and all(parameters == examples[0] for parameters in examples)
    if shared:
        data["parameters"] = _parameters(examples[0])
    data["languages"] = {}
    for language, (content, parameters) in contents.items():
        own = {"parameters": _parameters(parameters)} if parameters and not shared else {}
        data["languages"][language] = {**content, **own}
    return data


def _parameters(examples: Mapping[str, str]) -> dict[str, Any]:
    return {name: {"example": example} for name, example in examples.items()}


def dump(data: Any, *, as_json: bool = False) -> str:
    """
    Write a file's data.

    :param data: As :func:`template_data` returns it, or ``{"templates": [...]}``.
    :param as_json: JSON instead of YAML.
    """
    if as_json:
        return json.dumps(data, ensure_ascii=False, indent=2) + "\n"
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return text
