"""Texts of templates: their variables, which the preview reads in the same way, and their emojis."""

from __future__ import annotations

from airflow_provider_whatsapp.preview.template_text import VARIABLE, component, fill, values_of, variables

__all__ = ["VARIABLE", "component", "emojis", "fill", "values_of", "variables"]


def emojis(text: str) -> int:
    """Return the number of emojis as people see them: a flag or a family counts as one."""
    if text.isascii():
        return 0
    import regex  # type: ignore[import-untyped,import-not-found,unused-ignore]

    coloured = regex.compile(r"[\p{Emoji_Presentation}\uFE0F]")
    return len([cluster for cluster in regex.findall(r"\X", text) if coloured.search(cluster)])
