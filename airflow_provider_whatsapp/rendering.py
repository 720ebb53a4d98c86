"""What Jinja makes of template fields where a DAG has ``render_template_as_native_obj=True``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Set
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_whatsapp._suggest import Suggests

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow.sdk import Context

_AS_GIVEN = object()  # a mapped task's values are not rendered
# What stays what it is; a text, a number or a date of a template is a text, as on every other DAG.
_KEPT = (Mapping, Set, list, tuple, bytes, bytearray, os.PathLike)


class TextFields(Suggests):
    """
    An operator, sensor or notifier whose template fields hold texts, native rendering or not.

    Airflow's native rendering makes ``12400`` of ``"12,400"`` and ``15550001111`` of ``"+15550001111"``. Here lists,
    dicts, sets, None, files and bytes are native, and all scalars are the texts that they are without it.
    """

    native_fields: ClassVar[frozenset[str]] = frozenset()
    """Template fields that are rendered as Airflow renders them: a query's parameters, say."""
    file_fields: ClassVar[frozenset[str]] = frozenset()
    """Template fields in which the name of a file stands for what it holds; ``template_ext`` says of which files."""

    _renders_texts = True
    _rendered: Any = None

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], *args: Any, **kwargs: Any
    ) -> None:
        """Render the fields one by one, for not all are rendered alike."""
        render = super()._do_render_template_fields  # type: ignore[misc]
        extensions = self.template_ext  # type: ignore[has-type]
        for name in template_fields:
            if type(getattr(parent, name)).__module__.startswith("pathlib"):
                continue  # a path of a disk is no template, and Airflow 3.1 looks for it, though it may be yet to come
            own = parent is self
            self._renders_texts = not (own and name in self.native_fields)
            self.template_ext = extensions if not own or name in self.file_fields else ()
            given, self._rendered = getattr(parent, name), _AS_GIVEN
            try:
                render(parent, [name], *args, **kwargs)
                if isinstance(given, str) and given and not self._rendered:
                    # Airflow 3.1 leaves the template where nothing came of it.
                    setattr(parent, name, self._rendered)
            finally:
                self._renders_texts, self.template_ext = True, extensions

    def _render(self, template: Any, context: Context, dag: Any = None) -> Any:
        self._rendered = self._render_once(template, context, dag)
        return self._rendered

    def _render_once(self, template: Any, context: Context, dag: Any) -> Any:
        if not self._renders_texts:
            return super()._render(template, context, dag)  # type: ignore[misc]
        watched = _Watched(template)
        found = super()._render(watched, context, dag)  # type: ignore[misc]
        return found if isinstance(found, str) and watched.is_text(found) else watched.kept(found)


class _Watched:
    """A template that remembers what it gave, for native rendering does not tell what it has made something of."""

    def __init__(self, template: Any) -> None:
        self._template = template
        self._nodes: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._template, name)

    def root_render_func(self, context: Any) -> list[Any]:
        """Render, once."""
        self._nodes = list(self._template.root_render_func(context))
        return self._nodes

    def _text(self) -> str:
        return "".join(map(str, self._nodes))

    def is_text(self, found: str) -> bool:
        """Say whether a text is all that the template gave: native rendering takes quotes off."""
        return found == self._text()

    def kept(self, found: Any) -> Any:
        """Return what a field holds: what is no scalar as it is, and everything else as text."""
        if len(self._nodes) == 1 and not isinstance(self._nodes[0], str):
            value = self._nodes[0]
            # A name that is missing answers for every attribute; its class does not.
            is_file = any(hasattr(type(value), name) for name in ("read", "open", "to_payload"))
            return value if value is None or is_file or isinstance(value, _KEPT) else str(value)
        if found is None or isinstance(found, list | dict):
            return found
        return self._text()
