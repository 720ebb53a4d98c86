"""Turns WhatsApp's text formatting into HTML; everything else in the text is escaped."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

_CODE = re.compile(r"```(.+?)```|`([^`\n]+)`", re.DOTALL)
_MARKS = (("*", "strong"), ("_", "em"), ("~", "s"))
_LINK = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_PLACE = "\ue000{}\ue001"
_PLACED = re.compile("\ue000(\\d+)\ue001")


def formatted(text: str) -> Markup:
    """Return a message's text as the phone shows it: bold, italic, struck through, monospaced, links."""
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        kept.append(f"<code>{match[1] or match[2]}</code>")
        return _PLACE.format(len(kept) - 1)

    def keep_link(match: re.Match[str]) -> str:
        kept.append(f'<span class="link">{match[0]}</span>')
        return _PLACE.format(len(kept) - 1)

    clean = text.replace("\ue000", "").replace("\ue001", "")
    html = _CODE.sub(keep, str(escape(clean)))
    html = _LINK.sub(keep_link, html)
    for mark, tag in _MARKS:
        sign = re.escape(mark)
        pattern = rf"(?<![^\W_])(?<!{sign}){sign}(\S|\S[^\n]*?[^\s{sign}]){sign}(?![^\W_])(?!{sign})"
        html = re.sub(pattern, rf"<{tag}>\1</{tag}>", html)
    html = _PLACED.sub(lambda match: kept[int(match[1])], html)
    return Markup(html)  # noqa: S704  (escaped above, before any tag)
