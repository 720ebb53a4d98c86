"""What an operator says of each of its arguments, once, and what Airflow and this package read from that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from airflow_provider_whatsapp.hooks.uses_hook import UsesHook
from airflow_provider_whatsapp.rendering import TextFields

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    Reader = Callable[[str, Any], Any]
    Arguments = Mapping[str, "Argument"]


class Argument(NamedTuple):
    """
    One argument of an operator; the name, type and default stand in the signature of ``__init__``.

    :param read: Makes of the rendered argument, which may be text, what it stands for, or refuses it. None: the
        argument stays as it is.
    :param templated: Airflow renders it, so it is one of ``template_fields``.
    :param renderer: How Airflow's page shows it: ``json``, ``sql``. None: as text.
    :param shown: It says nothing about anybody. A sending operator hides every other argument unless ``log_pii``.
    :param hide: How it is hidden, where that is not done as usual.
    :param content: The message is made of it, so a retry with another value sends another message.
    :param columns: A broadcast fills ``"{column}"`` in it from each row.
    :param native: It is rendered as Airflow's native rendering does, texts that look like numbers included.
    :param file: The name of a file stands for what the file holds.
    """

    read: Reader | None = None
    templated: bool = True
    renderer: str | None = None
    shown: bool = False
    hide: Callable[[Any], Any] | None = None
    content: bool = False
    columns: bool = False
    native: bool = False
    file: bool = False


class DeclaresArguments(TextFields, UsesHook):
    """
    An operator that declares its arguments in one table.

    A class that has ``declared_arguments`` gets the attributes below from it. A class without that table, such as one
    of a user's own, inherits them, and may set them itself as with every operator.
    """

    declared_arguments: ClassVar[Arguments] = {}
    """All arguments of the class, those of its bases included, in the order of ``template_fields``."""

    template_fields: Collection[str]
    template_fields_renderers: ClassVar[dict[str, str]]
    shown_fields: ClassVar[frozenset[str]]
    """Template fields that say nothing about anybody. All others of this package are hidden unless ``log_pii``."""
    hidden_by: ClassVar[dict[str, Callable[[Any], Any]]]
    """How a field is hidden, where it is not done as usual."""
    readers: ClassVar[dict[str, Reader]]
    """What makes of a rendered argument, which may be text, what it stands for; or refuses it before any request."""
    content_fields: ClassVar[tuple[str, ...]]
    """What the message is made of, to be recognised by a retry."""
    filled_fields: ClassVar[tuple[str, ...]]
    """What takes values from the rows of a list."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Set what Airflow and this package look for in the class."""
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
        """
        Put in place what the rendered arguments stand for.

        :raises ConfigurationError: One of them stands for nothing that it may be; none is changed then.
        """
        values = {name: read(name, getattr(self, name)) for name, read in self.readers.items()}
        for name, value in values.items():
            setattr(self, name, value)
