"""The ``"{column}"`` of a DAG's author, kept apart from braces that Jinja and XComs bring into the same arguments."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.operators._delivery import DeliveringOperator

if TYPE_CHECKING:
    from collections.abc import Collection

_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_COLUMN = re.compile(r"\{([^{}]+)\}")
_BRACES = str.maketrans({"{": "{{", "}": "}}"})


class AuthorsColumns:
    """Marks the columns of an argument before rendering, so that every other brace stays literal afterwards."""

    def __init__(self, foreign: Collection[int] = ()) -> None:
        self._foreign = foreign  # IDs of objects that come from an XCom: their braces are not the author's
        # A rendered text cannot know the secret, so it cannot forge a column.
        secret = secrets.token_hex(8)
        self._begin, self._end = f"\ue000{secret}<", f">{secret}\ue001"
        self._marked = re.compile(f"{self._begin}(.+?){self._end}", re.DOTALL)

    def mark(self, value: Any) -> Any:
        """Return an argument, as the DAG has it, with its columns marked."""
        if id(value) in self._foreign:
            return value
        if isinstance(value, str):
            return self._mark_text(value)
        return self._within(value, self.mark)

    def unmark(self, value: Any) -> Any:
        """Return a rendered argument in which ``{column}`` is the author's and all other braces are doubled."""
        if not isinstance(value, str):
            return self._within(value, self.unmark)
        if "{" not in value and "}" not in value and "\ue000" not in value:
            return value
        pieces = self._marked.split(value)  # texts and columns alternate
        return "".join(
            f"{{{piece}}}" if place % 2 else piece.translate(_BRACES) for place, piece in enumerate(pieces)
        )

    def _mark_text(self, text: str) -> str:
        if "{" not in text:
            return text
        pieces, last = [], 0
        for jinja in [*_JINJA.finditer(text), None]:
            start, end = jinja.span() if jinja else (len(text), len(text))
            pieces.append(_COLUMN.sub(lambda found: f"{self._begin}{found[1]}{self._end}", text[last:start]))
            pieces.append(text[start:end])
            last = end
        return "".join(pieces)

    @staticmethod
    def _within(value: Any, change: Any) -> Any:
        if type(value) is dict:
            return {key: change(item) for key, item in value.items()}
        if type(value) in (list, tuple):
            return type(value)(change(item) for item in value)
        return value


class TakesColumns(DeliveringOperator):
    """A task whose arguments take values from the rows of a list."""

    def _columns(self) -> set[str]:
        from airflow_provider_whatsapp.delivery.fill import columns

        return columns(*(getattr(self, name) for name in self.filled_fields))

    def _render_own(self, *args: Any, **kwargs: Any) -> None:
        written = {name: getattr(self, name) for name in self.filled_fields}
        columns = AuthorsColumns(kwargs.get("seen_oids") or (args[-1] if args else ()))
        self._set({name: columns.mark(value) for name, value in written.items()})
        try:
            super()._render_own(*args, **kwargs)
        except BaseException:
            self._set(written)
            raise
        self._set({name: columns.unmark(getattr(self, name)) for name in self.filled_fields})
