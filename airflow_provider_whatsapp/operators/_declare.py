"""The table in which an operator declares its arguments, and what Airflow and this package derive from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from airflow_provider_whatsapp.hooks.uses_hook import UsesHook
from airflow_provider_whatsapp.rendering import TextFields

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    Reader = Callable[[str, Any], Any]
    Arguments = Mapping[str, "Argument"]


class Argument(NamedTuple):
    """One argument of an operator; its name, type and default are in the signature of ``__init__``."""

    # converts the rendered argument, which may be text, to its value, or refuses it; None: it stays as it is
    read: Reader | None = None
    templated: bool = True  # Airflow renders it, so it is one of template_fields
    renderer: str | None = None  # how Airflow's page shows it: json, sql; None: as text
    # it identifies nobody; a sending operator hides every other argument unless log_pii is True
    shown: bool = False
    hide: Callable[[Any], Any] | None = None  # None: the usual way
    # it is part of the message, so a retry with another value would send another message
    content: bool = False
    columns: bool = False  # a broadcast fills "{column}" in it from each row
    native: bool = False  # Airflow's native rendering applies to it, also to texts that look like numbers
    file: bool = False  # a file name as its value is replaced by the file's content


class DeclaresArguments(TextFields, UsesHook):
    """
    An operator that declares its arguments in one table.

    A class with ``declared_arguments`` gets the attributes below from it. A class without that table, such as a user's
    subclass, inherits them, and may set them as in any other operator.
    """

    declared_arguments: ClassVar[Arguments] = {}
    """All arguments of the class, including those of its bases, in the order of ``template_fields``."""

    template_fields: Collection[str]
    template_fields_renderers: ClassVar[dict[str, str]]
    shown_fields: ClassVar[frozenset[str]]
    """Template fields that identify nobody. The operators hide all others unless ``log_pii`` is True."""
    hidden_by: ClassVar[dict[str, Callable[[Any], Any]]]
    """What hides a field, if not the usual way."""
    readers: ClassVar[dict[str, Reader]]
    """What converts each rendered argument, which may be text, to its value, or refuses it before any request."""
    content_fields: ClassVar[tuple[str, ...]]
    """Fields that are part of the message: by them a retry knows whether it would send the same."""
    filled_fields: ClassVar[tuple[str, ...]]
    """Fields that a broadcast fills from the rows of its list."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Set the attributes that Airflow and this package read from the class."""
        super().__init_subclass__(**kwargs)
        if "declared_arguments" not in vars(cls):
            return
        declared = cls.declared_arguments.items()
        cls.template_fields = tuple(name for name, each in declared if each.templated)
        cls.template_fields_renderers = {name: each.renderer for name, each in declared if each.renderer}
        cls.shown_fields = frozenset(name for name, each in declared if each.shown)
        cls.hidden_by = {name: each.hide for name, each in declared if each.hide}
        cls.readers = {name: each.read for name, each in declared if each.read}
        cls.content_fields = tuple(name for name, each in declared if each.content)
        cls.filled_fields = tuple(name for name, each in declared if each.columns)
        cls.native_fields = frozenset(name for name, each in declared if each.native)
        cls.file_fields = frozenset(name for name, each in declared if each.file)

    def _read_arguments(self) -> None:
        """Replace the rendered arguments by their values; if one is not valid, raise an error and change none."""
        values = {name: read(name, getattr(self, name)) for name, read in self.readers.items()}
        for name, value in values.items():
            setattr(self, name, value)
