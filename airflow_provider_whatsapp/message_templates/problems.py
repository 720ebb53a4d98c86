"""What is wrong with a template file, and where it stands."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_whatsapp.client.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

KeyPath = tuple[str | int, ...]
"""A place in a document: keys of mappings and positions in lists."""


@dataclass(frozen=True, slots=True)
class Source:
    """
    A document and where its parts stand.

    :param name: The file's path, or what else the user knows it by.
    :param lines: Line of each part, from 1; empty where there are no lines.
    :param warnings: What about its writing may not be meant.
    """

    name: str
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    warnings: list[Problem] = field(default_factory=list)

    def at(self, path: KeyPath) -> str:
        """
        Return the place as a user reads it: ``file:line``, or the keys where there are no lines.

        :param path: The part; the nearest one around it that has a line is taken.
        """
        if not self.lines:
            return self.name + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return f"{self.name}:{self.lines[path[:end]]}"
        return f"{self.name}:1"


@dataclass(frozen=True, slots=True)
class Problem:
    """
    One mistake.

    :param where: ``file:line``.
    :param message: What is wrong, and what is right.
    :param shape: It is a mistake of form (an unknown key, a list for a text) rather than a broken limit.
    """

    where: str
    message: str
    shape: bool = True

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class TemplateFileError(ConfigurationError):
    """
    Template files hold mistakes; nothing was asked of WhatsApp.

    :param problems: All of them, in the order in which they stand.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)

    def to_dict(self) -> dict[str, Any]:
        """Return the mistakes as JSON primitives."""
        found = [{"where": problem.where, "message": problem.message} for problem in self.problems]
        return {"type": type(self).__name__, "message": self.message, "problems": found}


@dataclass(slots=True)
class Notes:
    """
    Collects the mistakes of a document, so that all are told at once.

    :param source: The document.
    :param problems: What was found so far.
    :param warnings: What Meta was seen to refuse without documenting it, or what may not be meant.
    """

    source: Source
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def shape(self, path: KeyPath, message: str) -> None:
        """
        Note a mistake of form.

        :param path: Where.
        :param message: What is wrong.
        """
        self.problems.append(Problem(self.source.at(path), message))

    def limit(self, path: KeyPath, message: str) -> None:
        """
        Note a limit of Meta's that is broken.

        :param path: Where.
        :param message: What is wrong.
        """
        self.problems.append(Problem(self.source.at(path), message, shape=False))

    def warn(self, path: KeyPath, message: str) -> None:
        """
        Note what to look at; it stands in the way of nothing.

        :param path: Where.
        :param message: What about it.
        """
        self.warnings.append(Problem(self.source.at(path), message, shape=False))


class Note(Protocol):
    """Takes the place of a mistake and what is wrong; ``warn`` for what is no mistake for certain."""

    def __call__(self, path: KeyPath, message: str, /, *, warn: bool = False) -> None:
        """Take one."""


def one_line(text: Any) -> str:
    """
    Return a name that may come from outside as one line that forges no other.

    :param text: A template's name, a language or a path.
    """
    shown = str(text)
    return shown if shown.isprintable() else ascii(shown)


def under(note: Note, *prefix: str | int) -> Note:
    """
    Return a function that notes mistakes of a part, its place put before them.

    :param note: Takes the mistakes of the whole.
    :param prefix: Where the part stands.
    """

    def inner(path: KeyPath, message: str, /, *, warn: bool = False) -> None:
        note((*prefix, *path), message, warn=warn)

    return inner


def kind_of(value: Any) -> str:
    """
    Name a value's type as a writer of YAML knows it.

    :param value: Any value.
    """
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}
    return "nothing" if value is None else names.get(type(value), "a mapping")


def nearest(word: str, known: Iterable[str]) -> str:
    """
    Return a hint at what may have been meant: ``; did you mean 'body'?``, or the list of what is known.

    :param word: What was written.
    :param known: What could have been.
    """
    options = sorted(known)
    close = difflib.get_close_matches(word.lower(), [option.lower() for option in options], n=1, cutoff=0.6)
    if close:
        meant = next(option for option in options if option.lower() == close[0])
        return f"; did you mean {meant!r}?"
    return f"; known are {', '.join(options)}"
