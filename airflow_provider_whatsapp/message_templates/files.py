"""Template files: how to find them, and what they define."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.client.template_limits import LANGUAGE, NAME
from airflow_provider_whatsapp.message_templates import rules
from airflow_provider_whatsapp.message_templates.components import variables, walk
from airflow_provider_whatsapp.message_templates.definition import Key, TemplateDefinition, expand
from airflow_provider_whatsapp.message_templates.documents import (
    Notes,
    Problem,
    Source,
    TemplateFileError,
    nearest,
    one_line,
    parse,
)
from airflow_provider_whatsapp.message_templates.shape import (
    FILE_KEYS,
    OPTION_TYPES,
    check_prune,
    check_template,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_whatsapp.message_templates.documents import KeyPath

SUFFIXES = (".yaml", ".yml", ".json")
BASE_URL = "{base_url}"
"""What the URLs of buttons may hold for an address that differs by environment, such as Airflow's own."""


@dataclass(frozen=True)
class TemplateSet:
    """What files define."""

    definitions: Mapping[Key, TemplateDefinition]  # in the order of the files
    prefixes: frozenset[str] = field(default_factory=frozenset)  # of names that may be pruned
    names: frozenset[str] = field(default_factory=frozenset)  # further names that may be pruned
    warnings: tuple[Problem, ...] = ()  # what Meta has refused, or the author may not have meant

    def covers(self, name: str) -> bool:
        """Return whether a template of this name belongs to the files."""
        defined = {key[0] for key in self.definitions}
        return name in defined or name in self.names or name.startswith(tuple(self.prefixes))


def load(path: str | Path, *, base_url: str | None = None) -> TemplateSet:
    """Read a file, or all template files below a folder; raises TemplateFileError, which names all mistakes."""
    found = _Found(base_url)
    for file in template_files(path):
        try:
            documents = parse(file.read_text(encoding="utf-8-sig"), str(file))
        except TemplateFileError as error:
            found.problems += error.problems
            continue
        except (OSError, UnicodeDecodeError) as error:
            found.problems.append(Problem(str(file), f"cannot be read: {error}"))
            continue
        for data, source in documents:
            found.read(data, source, str(file.parent))
    return found.result(str(path))


def load_data(
    templates: Iterable[Any],
    *,
    folder: str | None = None,  # to which paths of samples are relative
    base_url: str | None = None,
) -> TemplateSet:
    """Read definitions from data in the form of the files; raises TemplateFileError, which names all mistakes."""
    found = _Found(base_url)
    found.read(copy.deepcopy(list(templates)), Source("templates"), folder)
    return found.result("templates")


def load_templates(templates: Any, *, folder: str | None = None, base_url: str | None = None) -> TemplateSet:
    """Read definitions from files or from data; raises TemplateFileError, which names all mistakes."""
    if isinstance(templates, str | Path):
        return load(Path(folder or "", templates), base_url=base_url)
    if isinstance(templates, dict):
        templates = [templates]
    if isinstance(templates, list | tuple):
        return load_data(templates, folder=folder, base_url=base_url)
    msg = f"templates is {type(templates).__name__}"
    raise ConfigurationError(
        msg, advice="Give a file, a folder, or a list of mappings in the form of the files."
    )


def template_files(path: str | Path) -> list[Path]:
    """Return the template files at a path, sorted; it skips hidden files, and follows links."""
    root = Path(path)
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise TemplateFileError([Problem(str(path), "there is no such file or folder")])
    found: list[Path] = []
    problems: list[Problem] = []

    def unreadable(error: OSError) -> None:
        problems.append(Problem(str(error.filename), f"cannot be read: {error.strerror}"))

    seen: set[str] = set()
    for folder, subfolders, names in os.walk(root, onerror=unreadable, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link leads back here
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        files = [Path(folder, name) for name in names if not name.startswith(".")]
        found += [file for file in files if file.suffix.lower() in SUFFIXES]
    problems += [
        Problem(str(file), "is not a file, or is a link to something else")
        for file in found
        if not file.is_file()
    ]
    # What cannot be read is an error and is not skipped: its templates would count as deleted.
    if problems:
        raise TemplateFileError(problems)
    return sorted(found)


class _Found:
    """Definitions and mistakes, collected from all files."""

    def __init__(self, base_url: str | None = None) -> None:
        self._base_url = base_url
        self.definitions: dict[Key, TemplateDefinition] = {}
        self.prefixes: set[str] = set()
        self.names: set[str] = set()
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.empty = True

    def result(self, name: str) -> TemplateSet:
        if self.empty and not self.problems:
            self.problems.append(Problem(name, "there are no templates"))
        if self.problems:
            raise TemplateFileError(self.problems)
        return TemplateSet(
            self.definitions, frozenset(self.prefixes), frozenset(self.names), tuple(self.warnings)
        )

    def read(self, data: Any, source: Source, folder: str | None) -> None:
        """Read one document: a template, a list of them, or ``templates`` and ``prune``."""
        notes = Notes(source)
        items: Any = [data]
        path: KeyPath = ()
        if isinstance(data, list):
            items = data
        elif isinstance(data, dict) and {"templates", "prune"} & set(data):
            items, path = self._envelope(data, notes), ("templates",)
        elif data is None:
            items = []
        for index, item in enumerate(items):
            here = (*path, index) if path or isinstance(data, list) else ()
            self.empty = False
            _put_base_url(item, self._base_url, here, notes)
            if check_template(item, here, notes):
                self._template(item, here, notes, folder)
        self.problems += notes.problems
        self.warnings += source.warnings + notes.warnings

    def _envelope(self, data: dict[str, Any], notes: Notes) -> list[Any]:
        for key in data:
            if key not in FILE_KEYS:
                notes.shape((key,), f"unknown key {key!r}{nearest(key, FILE_KEYS)}")
        if "prune" in data:
            check_prune(data["prune"], ("prune",), notes)
        if not notes.problems:
            self.prefixes.update(data.get("prune", {}).get("prefixes", ()))
            self.names.update(data.get("prune", {}).get("names", ()))
            self.empty = self.empty and "prune" not in data
        items = data.get("templates", [])
        if isinstance(items, list):
            return items
        notes.shape(("templates",), "templates must be a list")
        return []

    def _template(self, item: dict[str, Any], path: KeyPath, notes: Notes, folder: str | None) -> None:
        # What is kept as Meta has it is never submitted, so none of it has to comply with today's rules.
        kept = all(content.get("as_is") for content in item["languages"].values())
        if not kept and not _check_identity(item, path, notes):
            return
        options = {key: item[key] for key in OPTION_TYPES if key in item}
        used: set[str] = set()
        for language in item["languages"]:
            definition = _definition(item, language, (*path, "languages", language), notes)
            definition = replace(definition, options=options, folder=folder)
            for sample in definition.samples():
                if not definition.as_is and not Path(folder or ".", sample).is_file():
                    notes.limit((*path, "languages", language), f"the sample {sample} is not a file")
            first = self.definitions.setdefault(definition.key, definition)
            if first is not definition:
                called = f"{one_line(item['name'])} in {one_line(language)}"
                message = f"{called} is already defined at {first.where}"
                notes.limit((*path, "languages", language), message)
            used |= {name for part in walk(definition.components) for name in variables(part.get("text"))}
        for name in map(str, item.get("parameters") or {}):
            if name not in used:
                message = f"{name!r} is declared, but no text uses {{{{{name}}}}}"
                notes.limit((*path, "parameters", name), message)


def _put_base_url(item: Any, base_url: str | None, path: KeyPath, notes: Notes) -> None:
    """Replace ``{base_url}`` in the URLs of a template's buttons; parse the address only if a button needs it."""
    languages = item.get("languages") if isinstance(item, dict) else None
    for code, content in languages.items() if isinstance(languages, dict) else ():
        buttons = content.get("buttons") if isinstance(content, dict) else None
        for index, button in enumerate(buttons if isinstance(buttons, list) else ()):
            url = button.get("url") if isinstance(button, dict) else None
            if not isinstance(url, str) or BASE_URL not in url:
                continue
            if base_url is None:
                where = (*path, "languages", code, "buttons", index, "url")
                notes.shape(where, f"{BASE_URL} has no value: give --base-url (base_url= in Python)")
            else:
                from airflow_provider_whatsapp.client.hosts import parse_base_url

                button["url"] = url.replace(BASE_URL, parse_base_url(base_url))


def _check_identity(item: dict[str, Any], path: KeyPath, notes: Notes) -> bool:
    """Check a template's name, category and lifetime; False: its category is unknown, so no other check can follow."""
    category = item["category"]
    if not NAME.fullmatch(item["name"]):
        wanted = "lower-case letters, digits and underscores, 512 at most"
        notes.limit((*path, "name"), f"a name has {wanted} (Meta: 2388046)")
    if category not in rules.CATEGORIES:
        hint = nearest(category, rules.CATEGORIES)
        notes.limit((*path, "category"), f"{category!r} is not a category{hint}")
        return False
    ttl = item.get("message_send_ttl_seconds")
    wrong = rules.check_ttl(ttl, category) if ttl is not None else None
    if wrong:
        notes.limit((*path, "message_send_ttl_seconds"), wrong)
    return True


def _definition(item: dict[str, Any], language: str, here: KeyPath, notes: Notes) -> TemplateDefinition:
    """Read a language's content, which is well formed, and check it against Meta's rules."""
    content = item["languages"][language]
    if not content.get("as_is") and not LANGUAGE.fullmatch(language):
        notes.limit(here, f"{language!r} is not a language code; write en or en_US")
    if "components" in content:
        components = [dict(part) for part in content["components"]]
        places: list[KeyPath] = [("components", index) for index in range(len(components))]
    else:
        parameters = {**_examples(item.get("parameters")), **_examples(content.get("parameters"))}
        components, places = expand(content, parameters)

    def note(at: KeyPath, message: str, /, *, warn: bool = False) -> None:
        take = notes.warn if warn else notes.limit
        if not at:
            take(here, message)
            return
        place, rest = places[int(at[0])], at[1:]
        # In the short form, ``buttons`` is the list itself.
        rest = rest[1:] if place == ("buttons",) and rest[:1] == ("buttons",) else rest
        take((*here, *place, *rest), message)

    if not content.get("as_is"):
        rules.check(components, item["category"], note)
    return TemplateDefinition(
        name=item["name"],
        language=language,
        category=item["category"],
        components=tuple(components),
        as_is=bool(content.get("as_is")),
        where=notes.source.at(here),
    )


def _examples(parameters: Mapping[Any, Any] | None) -> dict[str, str]:
    return {str(name): str(fields["example"]) for name, fields in (parameters or {}).items()}
