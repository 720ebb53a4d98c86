"""Arguments by another name: a mistake that says what was meant."""

from __future__ import annotations

import difflib
import functools
import inspect
from typing import Any, Self

_ALIASES = {
    "template": "template_name",
    "conn_id": "maton_conn_id",
    "whatsapp_conn_id": "maton_conn_id",
    "http_conn_id": "maton_conn_id",
    "lang": "language",
    "recipient": "to",
    "number": "to",
    "phone_number": "to",
    "params": "body",
}
"""Names that other providers and WhatsApp's own API have for the same; looked at where a class has no such argument."""


def refuse_unknown(cls: type, arguments: dict[str, Any]) -> None:
    """Refuse an argument that a class does not have, where one of another name was meant."""
    if not cls.__module__.startswith(__package__ or __name__):
        return  # a class of somebody's own may take arguments out of its kwargs
    known = _names(cls)
    for name in arguments:
        if name in known:
            continue
        alias = _ALIASES.get(name)
        meant = [alias] if alias in known else difflib.get_close_matches(name, known, n=1)
        if meant:
            msg = f"{cls.__name__} has no argument {name!r}. Did you mean {meant[0]!r}?"
            raise TypeError(msg)


@functools.cache  # reading signatures costs more than making the operator
def _names(cls: type) -> frozenset[str]:
    return frozenset(
        name
        for base in cls.__mro__
        if "__init__" in vars(base)
        for name, parameter in inspect.signature(base.__init__).parameters.items()  # type: ignore[misc]
        if parameter.kind is not parameter.VAR_KEYWORD
    )


class Suggests:
    """A class whose unknown arguments are refused by what was meant, before those that are missing are."""

    def __new__(cls, *_: Any, **kwargs: Any) -> Self:
        """Look at the names; ``__init__`` comes too late for that."""
        refuse_unknown(cls, kwargs)
        return super().__new__(cls)
