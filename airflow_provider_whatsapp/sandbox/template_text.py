"""Texts of templates: their variables, which the preview reads alike, and their emojis."""

from __future__ import annotations

from airflow_provider_whatsapp.preview.template_text import VARIABLE, component, fill, values_of, variables

__all__ = ["VARIABLE", "component", "emojis", "fill", "values_of", "variables"]


def emojis(text: str) -> int:
    """
    How many emojis there are, a flag or a family counted as the one that is seen.

    :param text: Any.
    """
    if text.isascii():
        return 0
    import regex  # type: ignore[import-untyped,import-not-found,unused-ignore]

    coloured = regex.compile(r"[\p{Emoji_Presentation}\uFE0F]")
    return len([cluster for cluster in regex.findall(r"\X", text) if coloured.search(cluster)])
