"""YAML and JSON as plain data, with the line of every part."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import yaml

from airflow_provider_whatsapp.message_templates.problems import Notes, Problem, Source, TemplateFileError

if TYPE_CHECKING:
    from airflow_provider_whatsapp.message_templates.problems import KeyPath

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_PARTS = 500_000
_PLAIN = {"": None, "~": None, "null": None, "Null": None, "NULL": None, "true": True, "True": True, "TRUE": True,
          "false": False, "False": False, "FALSE": False}  # fmt: skip
NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
"""What YAML 1.2 takes for a number."""
_LONGEST_NUMBER = 40
_TAGS = {
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp", "merge", "value")
}
TEXT_KEYS = ("body", "header", "footer", "text")
"""Keys whose values people read, in which a lost end would go unnoticed."""
_COMMENT = re.compile(r"[ \t]+#")
_LINE_END = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_RESOLVER = yaml.resolver.Resolver()
_BRACES = "; a text that holds {{...}} needs quotes around it"


class _Tree:
    """
    Turns nodes into data by YAML 1.2's core rules, under which ``no`` is a text and dates are texts.

    :param name: The file's name.
    :param text: Its text, to look for comments in.
    """

    def __init__(self, name: str, text: str = "") -> None:
        self._rows = _LINE_END.split(text)
        self.lines: dict[KeyPath, int] = {}
        self.notes = Notes(Source(name, self.lines))

    def data(self, node: yaml.Node, path: KeyPath) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if len(self.lines) > _MAX_PARTS:
            raise TemplateFileError([Problem(self.notes.source.name, "the file is too large")])
        if node.tag not in _TAGS:
            self.notes.shape(path, f"the tag {node.tag} is not understood")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.data(item, (*path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)  # noqa: S101  (there is no fourth kind)
        if path and path[-1] in TEXT_KEYS and not node.style:
            self._comment(node, path)
        return _scalar(str(node.value), quoted=_is_text(node))

    def _comment(self, node: yaml.Node, path: KeyPath) -> None:
        """Warn of a text without quotes that ends where a comment begins."""
        row = next(iter(self._rows[node.end_mark.line :]), "")
        if _COMMENT.match(row[node.end_mark.column :]):
            source = self.notes.source
            message = "the text ends before ' #', which begins a comment; quote it if that belongs to it"
            source.warnings.append(Problem(source.at(path), message, shape=False))

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.lines.setdefault((*path, ""), line)
                self.notes.shape((*path, ""), "a key must be a text" + _BRACES)
                continue
            key = str(key_node.value)
            if key in found:
                where = f"{self.notes.source.name}:{line}"
                self.notes.problems.append(Problem(where, f"{key!r} stands here twice"))
                continue
            self.lines[*path, key] = line
            found[key] = self.data(value_node, (*path, key))
        return found


def _is_text(node: yaml.ScalarNode) -> bool:
    """Tell whether a scalar stands for its own characters: it has quotes, or a tag that says so."""
    kind = node.tag.rpartition(":")[2]
    if node.style:
        return kind not in ("int", "float", "bool", "null")
    implied = _RESOLVER.resolve(yaml.ScalarNode, node.value, (True, False))  # type: ignore[no-untyped-call]
    return kind == "str" and bool(implied != node.tag)


def _scalar(text: str, *, quoted: bool) -> Any:
    if quoted:
        return text
    if text in _PLAIN:
        return _PLAIN[text]
    if not NUMBER.fullmatch(text) or len(text) > _LONGEST_NUMBER:
        return text
    number = int(text) if text.lstrip("-").isdigit() else float(text)
    # 08, 1.50 and +49 stay as they are written: they are days, prices and codes, meant for people to read.
    return number if str(number) == text else text


def parse(text: str, name: str) -> list[tuple[Any, Source]]:
    """
    Read a file's documents; YAML may hold several, JSON one.

    :param text: The file's text.
    :param name: Its path; ``.json`` is read as JSON.
    :return: Each document's data, and where its parts stand.
    :raises TemplateFileError: It cannot be read; says which line.
    """
    if name.lower().endswith(".json"):
        return [_json(text, name)]
    documents = []
    try:
        for node in yaml.compose_all(text, Loader=_LOADER):
            tree = _Tree(name, text)
            data = tree.data(node, ())
            if tree.notes.problems:
                raise TemplateFileError(tree.notes.problems)
            documents.append((data, tree.notes.source))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        hint = _BRACES if "{{" in _line(text, mark.line if mark else 0) else ""
        raise TemplateFileError([Problem(where, f"is not YAML: {error.problem}{hint}")]) from None
    except yaml.YAMLError as error:
        raise TemplateFileError([Problem(name, f"is not YAML: {error}")]) from None
    except RecursionError:
        raise TemplateFileError([Problem(name, "is nested too deeply")]) from None
    return documents


def _json(text: str, name: str) -> tuple[Any, Source]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            keys = [key for key, _ in pairs]
            double = next(key for key in keys if keys.count(key) > 1)
            raise TemplateFileError([Problem(name, f"{double!r} stands twice in one object")])
        return found

    try:
        data = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise TemplateFileError([Problem(f"{name}:{error.lineno}", f"is not JSON: {error.msg}")]) from None
    except RecursionError:
        raise TemplateFileError([Problem(name, "is nested too deeply")]) from None
    tree = _Tree(name)
    try:  # JSON is YAML but for tabs, so YAML knows the lines
        node = yaml.compose(text.replace("\t", " "), Loader=_LOADER)
        if node is not None:
            tree.data(node, ())
    except yaml.YAMLError:
        tree.lines.setdefault((), 1)
    return data, tree.notes.source


def _line(text: str, number: int) -> str:
    lines = text.splitlines()
    return "\n".join(lines[max(0, number - 1) : number + 1])
