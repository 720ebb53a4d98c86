"""Directives of the reference: what is made of the code's own tables, and what is shown where it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import reference_tables as tables
from pygments.lexers.special import TextLexer
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx


class Generated(SphinxDirective):
    """``{from-code} WHAT [NAME]``: a table or a text out of the code, as it is at the time of building."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Make it."""
        what, *words = self.arguments[0].split()
        made = {
            "errors": tables.error_table,
            "error-classes": tables.error_class_table,
            "connection": tables.connection_table,
            "options": tables.options_table,
            "schema": lambda: tables.schema_table(words[0]),
            "events": lambda: tables.event_table(words[0]),
            "help": lambda: tables.command_help(words),
        }[what]()
        return self.parse_text_to_nodes(made)


class IfThere(SphinxDirective):
    """``{if-there} PAGE``: what stands in it, where there is such a page; measurements may be still to come."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Keep it or leave it out."""
        there = self.arguments[0] in self.env.found_docs
        return self.parse_content_to_nodes() if there else []


REFERRED_TO = {"KINDS", "STATUS_ORDER"}
INNER = {
    *(
        "body_values",
        "check_more",
        "content",
        "content_fields",
        "header_kind",
        "hook",
        "kind",
        "log",
        "logger",
    ),
    *("parameters", "shown_fields", "hidden_by", "readers", "results_file", "template_id", "to_payload"),
    *("declared_arguments", "masked", "filled_fields", "native_fields", "file_fields"),
}
"""Members that carry docstrings for those who work on the package, and tell users nothing."""


def skip(_app: Sphinx, _what: str, name: str, *_rest: Any) -> bool | None:
    """
    Leave out constants that nothing refers to, and inner members.

    :param name: The member's name.
    """
    return True if (name.isupper() and name not in REFERRED_TO) or name in INNER else None


def setup(app: Sphinx) -> dict[str, Any]:
    """
    Make the directive known.

    :param app: Sphinx.
    """
    app.connect("autodoc-skip-member", skip)
    app.add_lexer("csv", TextLexer)
    app.add_directive("from-code", Generated)
    app.add_directive("if-there", IfThere)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
