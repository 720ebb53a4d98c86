"""Variables in texts, and how components are found."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

VARIABLE = re.compile(r"\{\{([^{}]*)\}\}")
NAMED = re.compile(r"[a-z0-9_]*[a-z_][a-z0-9_]*", re.ASCII)
NUMBERED = re.compile(r"[1-9][0-9]*", re.ASCII)
MEDIA_FORMATS = ("IMAGE", "VIDEO", "DOCUMENT", "GIF")


def variables(text: Any) -> list[str]:
    """
    Return the names of a text's variables, each once, in order of appearance.

    :param text: With ``{{1}}`` or ``{{name}}`` in it; anything but a text has none.
    """
    found = VARIABLE.findall(text) if isinstance(text, str) else []
    return list(dict.fromkeys(name.strip() for name in found))


def emojis(text: str) -> int:
    """
    Return how many emojis a text has, as readers count them: a flag, a family or a thumb of some colour is one.

    :param text: Any text; signs that are shown as text, a check mark say, do not count.
    """
    if text.isascii():
        return 0
    import regex  # type: ignore[import-untyped,import-not-found,unused-ignore]

    shown = regex.compile(r"[\p{Emoji_Presentation}\uFE0F]")
    return sum(1 for cluster in regex.findall(r"\X", text) if shown.search(cluster))


def lines_as_meta_counts(text: str) -> str:
    """
    Return a text with one character for each line break.

    :param text: From a file of any system.
    """
    return text.replace("\r\n", "\n").replace("\r", "\n")


def component(components: Iterable[Mapping[str, Any]], kind: str) -> Mapping[str, Any] | None:
    """
    Return the component of a type, or None.

    :param components: Graph's components.
    :param kind: ``BODY`` say.
    """
    return next((part for part in components if str(part.get("type", "")).upper() == kind), None)


def walk(components: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """
    Yield all components, those of a carousel's cards as well.

    :param components: Graph's components.
    """
    for part in components:
        if not isinstance(part, dict):
            continue
        yield part
        cards = part.get("cards")
        for card in cards if isinstance(cards, list) else ():
            inner = card.get("components") if isinstance(card, dict) else None
            yield from walk(inner if isinstance(inner, list) else ())


def parameter_format(components: Iterable[Mapping[str, Any]]) -> str | None:
    """
    Return ``NAMED`` or ``POSITIONAL`` as the texts' variables demand, or None when there are none.

    :param components: Graph's components.
    """
    names = [
        name
        for part in walk(components)
        if str(part.get("type", "")).upper() in ("HEADER", "BODY")
        for name in variables(part.get("text"))
    ]
    if not names:
        return None
    return "POSITIONAL" if all(NUMBERED.fullmatch(name) for name in names) else "NAMED"
