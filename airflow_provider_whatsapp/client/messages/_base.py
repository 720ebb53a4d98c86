"""What every message model is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from dataclasses import Field


class Part:
    """A frozen, checked piece of a message: every subclass is a dataclass."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def to_payload(self) -> dict[str, Any]:
        """Return the piece as Graph's JSON."""
        raise NotImplementedError


class Message(Part):
    """
    A message of one type, without recipient: frozen, and checked when it is made.

    ``to_payload()`` gives the part of Graph's JSON that belongs to the type (``{"type": "text", "text":
    {...}}``); whoever sends it adds ``messaging_product``, the recipient, ``context`` and
    ``biz_opaque_callback_data``.
    """

    __slots__ = ()

    #: The name of the type in ``parse_message``; for most also Graph's ``type`` or ``interactive.type``.
    kind: ClassVar[str]
