"""Names that a context lacks: each kind of callback has its own, and no alert is to be lost for one word of it."""

from __future__ import annotations

from jinja2 import ChainableUndefined

from airflow_provider_whatsapp.notifications.facts import MISSING


class Dash(ChainableUndefined):
    """A name that is not there: a dash, and so is anything looked up in it."""

    __slots__ = ()

    def __str__(self) -> str:
        return MISSING

    __html__ = __str__
