"""Hides a message's texts in a refusal that quotes the message, because they must not reach an error or a log."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any
from urllib.parse import quote

from airflow_provider_whatsapp.client.masking import HIDDEN, each_text

RUN = 12
"""Number of characters in a row that are recognised within a longer text, even if it is cut or changed around them."""
LEAST = 3
"""The least characters of a value that is searched for; a shorter one is part of too many words."""

# Values about the message that identify nobody; numbers and message IDs are masked everywhere.
_FORM = frozenset(
    {
        *(
            "messaging_product",
            "recipient_type",
            "to",
            "recipient",
            "type",
            "sub_type",
            "code",
            "policy",
            "index",
        ),
        *("id", "message_id", "format", "currency", "parameter_name"),
    }
)

_GRAPH_S = frozenset(
    {
        *("error", "message", "type", "code", "error_subcode", "error_data", "details", "fbtrace_id"),
        *("error_user_title", "error_user_msg", "is_transient", "messaging_product", "messages", "contacts"),
        *("id", "success", "detail"),
    }
)
"""Names of fields in a refusal, which are kept even if the message contains the same word."""


class Echo:
    """Finds the texts of a message in what the other side says about it."""

    def __init__(self, payload: Any) -> None:
        self._payload = payload  # the message as it was sent; any other value contains no texts

    def values(self, found: Any) -> Any:
        """Hide the message's texts in parsed JSON, in place; the JSON must not be shared."""
        return each_text(found, self.text, kept=_GRAPH_S) if self._texts else found

    def text(self, text: str) -> str:
        """Hide the message's texts in one text."""
        if not self._texts:
            return text
        at = 0
        parts = []
        for start, end in self._runs(text):
            parts += [text[at:start], HIDDEN]
            at = end
        text = "".join([*parts, text[at:]])
        return self._short.sub(HIDDEN, text) if self._short else text

    @cached_property
    def _texts(self) -> set[str]:
        is_message = isinstance(self._payload, Mapping) and "messaging_product" in self._payload
        found = set(_texts(self._payload)) if is_message else set()
        spelled = {" ".join(text.split()) for text in found}
        for text in found:
            spelled |= {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], _quoted(text)}
        return {text for text in found | spelled if len(text) >= LEAST}

    @cached_property
    def _pieces(self) -> frozenset[str]:
        return frozenset(text[at : at + RUN] for text in self._texts for at in range(len(text) - RUN + 1))

    @cached_property
    def _short(self) -> re.Pattern[str] | None:
        short = sorted((text for text in self._texts if len(text) < RUN), key=len, reverse=True)
        return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, short))})(?!\w)") if short else None

    def _runs(self, text: str) -> list[tuple[int, int]]:
        """Return the ranges in which the text repeats the message."""
        runs: list[tuple[int, int]] = []
        for at in range(len(text) - RUN + 1):
            if text[at : at + RUN] in self._pieces:
                if runs and at <= runs[-1][1]:
                    runs[-1] = (runs[-1][0], at + RUN)
                else:
                    runs.append((at, at + RUN))
        return runs


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [
            text
            for key, item in value.items()
            if key not in _FORM
            for text in _texts(
                {**item, "name": None} if key == "template" and isinstance(item, Mapping) else item
            )
        ]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _texts(item)]
    return [str(value)] if isinstance(value, str | float) else []


def _quoted(text: str) -> str:
    return quote(text, errors="replace")
