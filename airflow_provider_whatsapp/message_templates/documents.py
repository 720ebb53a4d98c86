"""YAML and JSON documents: reading them with the line of every part, noting their mistakes, and writing them."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import yaml

from airflow_provider_whatsapp.client.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

KeyPath = tuple[str | int, ...]
"""A place in a document: keys of mappings and positions in lists."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_PARTS = 500_000
_PLAIN = {"": None, "~": None, "null": None, "Null": None, "NULL": None, "true": True, "True": True, "TRUE": True,
          "false": False, "False": False, "FALSE": False}  # fmt: skip
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
"""What YAML 1.2 reads as a number."""
_LONGEST_NUMBER = 40
_INFINITE = ("inf", "-inf")
"""How :func:`dump` writes infinity, which others' JSON may hold: as a text with the tag of a number."""
_TAGS = {
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp", "merge", "value")
}
_TEXT_KEYS = ("body", "header", "footer", "text")
"""Keys of texts for people: nobody would notice that the end of one is missing."""
_COMMENT = re.compile(r"[ \t]+#")
_LINE_END = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_RESOLVER = yaml.resolver.Resolver()
_BRACES = "; a text that holds {{...}} needs quotes around it"
_WIDTH = 110
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
"""Characters that YAML reads as line breaks, or that nobody sees, unless they are written as escapes."""


@dataclass(frozen=True, slots=True)
class Source:
    """A document and the lines of its parts."""

    name: str  # the file's path, or another name by which the user knows it
    lines: Mapping[KeyPath, int] = field(default_factory=dict)  # from 1; empty: there are no lines
    warnings: list[Problem] = field(default_factory=list)  # what the author may not have meant

    def at(self, path: KeyPath) -> str:
        """Return the place as a user reads it: ``file:line``, or the keys if there are no lines."""
        if not self.lines:
            return self.name + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
        for end in range(len(path), -1, -1):  # the nearest part around it that has a line counts
            if path[:end] in self.lines:
                return f"{self.name}:{self.lines[path[:end]]}"
        return f"{self.name}:1"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake."""

    where: str  # file and line
    message: str  # what is wrong, and what is right
    shape: bool = True  # a mistake of form (an unknown key, a list instead of a text), not a broken limit

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class TemplateFileError(ConfigurationError):
    """Template files have mistakes; no request went to WhatsApp."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)  # in the order of the files

    def to_dict(self) -> dict[str, Any]:
        """Return the mistakes as JSON primitives."""
        found = [{"where": problem.where, "message": problem.message} for problem in self.problems]
        return {"type": type(self).__name__, "message": self.message, "problems": found}


@dataclass(slots=True)
class Notes:
    """Collects the mistakes of a document, so that one error names them all."""

    source: Source
    problems: list[Problem] = field(default_factory=list)
    # what Meta has refused without documenting it, or what the author may not have meant
    warnings: list[Problem] = field(default_factory=list)

    def shape(self, path: KeyPath, message: str) -> None:
        """Note a mistake of form."""
        self.problems.append(Problem(self.source.at(path), message))

    def limit(self, path: KeyPath, message: str) -> None:
        """Note that one of Meta's limits is broken."""
        self.problems.append(Problem(self.source.at(path), message, shape=False))

    def warn(self, path: KeyPath, message: str) -> None:
        """Note something to look at, which prevents nothing."""
        self.warnings.append(Problem(self.source.at(path), message, shape=False))


class Note(Protocol):
    """Takes the place of a mistake and what is wrong; ``warn``: it may not be a mistake."""

    def __call__(self, path: KeyPath, message: str, /, *, warn: bool = False) -> None:
        """Take one mistake."""


def one_line(text: Any) -> str:
    """Return a name that may come from outside as one line, so that it cannot forge another line."""
    shown = str(text)
    return shown if shown.isprintable() else ascii(shown)


def under(note: Note, *prefix: str | int) -> Note:
    """Return a function that notes the mistakes of a part, with the part's place before theirs."""

    def inner(path: KeyPath, message: str, /, *, warn: bool = False) -> None:
        note((*prefix, *path), message, warn=warn)

    return inner


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint at what the author may have meant, ``; did you mean 'body'?``, or the list of what is known."""
    options = sorted(known)
    close = difflib.get_close_matches(word.lower(), [option.lower() for option in options], n=1, cutoff=0.6)
    if close:
        meant = next(option for option in options if option.lower() == close[0])
        return f"; did you mean {meant!r}?"
    return f"; known are {', '.join(options)}"


class _Tree:
    """Turns nodes into data by YAML 1.2's core rules, under which ``no`` is a text and dates are texts."""

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
        if path and path[-1] in _TEXT_KEYS and not node.style:
            self._comment(node, path)
        if node.style and node.tag.endswith(":float") and node.value in _INFINITE:
            return float(node.value)
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
                self.notes.problems.append(Problem(where, f"{key!r} appears twice here"))
                continue
            self.lines[*path, key] = line
            found[key] = self.data(value_node, (*path, key))
        return found


def _is_text(node: yaml.ScalarNode) -> bool:
    """Return whether a scalar is a text as it is written: it has quotes, or a tag that says so."""
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
    if not _NUMBER.fullmatch(text) or len(text) > _LONGEST_NUMBER:
        return text
    number = int(text) if text.lstrip("-").isdigit() else float(text)
    # 08, 1.50 and +49 stay as they are written: they are days, prices and codes, meant for people to read.
    return number if str(number) == text else text


def parse(text: str, name: str) -> list[tuple[Any, Source]]:
    """Read a file's documents: YAML may hold several, JSON one; raises TemplateFileError, which names the line."""
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
            raise TemplateFileError([Problem(name, f"{double!r} appears twice in one object")])
        return found

    try:
        data = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise TemplateFileError([Problem(f"{name}:{error.lineno}", f"is not JSON: {error.msg}")]) from None
    except RecursionError:
        raise TemplateFileError([Problem(name, "is nested too deeply")]) from None
    tree = _Tree(name)
    try:  # JSON is YAML except for tabs, so YAML knows the lines
        node = yaml.compose(text.replace("\t", " "), Loader=_LOADER)
        if node is not None:
            tree.data(node, ())
    except yaml.YAMLError:
        tree.lines.setdefault((), 1)
    return data, tree.notes.source


def _line(text: str, number: int) -> str:
    lines = text.splitlines()
    return "\n".join(lines[max(0, number - 1) : number + 1])


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and repeats values instead of using aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    if _CONTROLS.search(text):
        style = '"'
    if _NUMBER.fullmatch(text):
        style = "'"  # PyYAML knows only YAML 1.1's numbers, and 08 is not one
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _represent_number(dumper: yaml.SafeDumper, value: float) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:float", repr(value))


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(float, _represent_number)


def dump(data: Any, *, as_json: bool = False) -> str:
    """Return a file's data as a text of YAML or JSON."""
    if as_json:
        return json.dumps(data, ensure_ascii=False, indent=2) + "\n"
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return text
