"""A readable difference between what the account holds and what the files define."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.message_templates.definition import TemplateDefinition, content_data
from airflow_provider_whatsapp.message_templates.documents import dump

if TYPE_CHECKING:
    from collections.abc import Mapping


def diff(row: Mapping[str, Any] | None, definition: TemplateDefinition | None) -> list[str]:
    """
    Return lines that begin with ``+``, ``-`` or a space, in the form of the files.

    :param row: The template as Graph lists it; None: there is none.
    :param definition: What the files say; None: nothing.
    """
    theirs = None if row is None else TemplateDefinition.from_graph(row)
    sample = _sample_of(definition) if definition else None
    old, new = _lines(theirs, definition, sample), _lines(definition, None, sample)
    lines = difflib.unified_diff(old, new, n=2, lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def _lines(
    definition: TemplateDefinition | None, other: TemplateDefinition | None, sample: str | None
) -> list[str]:
    if definition is None:
        return []
    content, parameters = content_data(definition)
    for key in ("body", "footer"):
        part = content.get(key)
        if isinstance(part, dict) and len(part) > 1:  # the text is Meta's own, whatever the file says
            part.pop("text", None)
    header = content.get("header")
    if sample and isinstance(header, dict):  # the account does not tell its sample, so it is no difference
        content["header"] = {key: sample if value is None else value for key, value in header.items()}
    options = {
        name: value for name, value in definition.options.items() if other is None or name in other.options
    }
    data = {"category": definition.category, **options, **content, "parameters": dict(parameters)}
    return dump({key: value for key, value in data.items() if value not in ({}, None)}).splitlines()


def _sample_of(definition: TemplateDefinition) -> str | None:
    header = content_data(definition)[0].get("header")
    values = (
        [value for key, value in header.items() if key not in ("text", "example", "location")]
        if isinstance(header, dict)
        else []
    )
    return values[0] if values and isinstance(values[0], str) else None
