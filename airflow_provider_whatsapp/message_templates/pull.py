"""Writes an account's templates to files, in the form of template files."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.delivery.local_files import replacing
from airflow_provider_whatsapp.message_templates.blocks import is_gone
from airflow_provider_whatsapp.message_templates.components import MEDIA_FORMATS
from airflow_provider_whatsapp.message_templates.definition import (
    TemplateDefinition,
    content_data,
    listed_key,
)
from airflow_provider_whatsapp.message_templates.documents import TemplateFileError, dump, one_line
from airflow_provider_whatsapp.message_templates.files import (
    SUFFIXES,
    TemplateSet,
    load,
    load_data,
    template_files,
)
from airflow_provider_whatsapp.message_templates.plan import changed_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_whatsapp.message_templates.definition import Key

    Rows = Mapping[Key, Mapping[str, Any]]

LONGEST_STEM = 100
_PLAIN_NAME = re.compile(r"[a-z0-9_]+", re.ASCII)
_NOT_IN_FILE_NAMES = re.compile(r"[^a-z0-9_]+", re.ASCII)
_OF_WINDOWS = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9]")
_MARK = re.compile(r"Pulled by airflow-provider-whatsapp \(([0-9a-f]{12})\)")


def pull(listed: Iterable[Mapping[str, Any]], path: str | Path, *, force: bool = False) -> dict[str, Any]:
    """Write templates to a folder, a file for each name, or to one file; ConfigurationError: nothing was written."""
    # What a file defines in the same way stays as it is, comments included. With force, a pull also replaces files that
    # no pull wrote, that were edited since, or that have mistakes.
    target = Path(path)
    known = _known(target, force=force)
    rows = {
        listed_key(row): row for row in listed if row.get("name") and row.get("language") and not is_gone(row)
    }
    definitions = [
        _usable(_with_sample(TemplateDefinition.from_graph(row), known), row) for row in rows.values()
    ]
    if target.suffix.lower() in SUFFIXES:
        files = _one_file(target, definitions, rows, known)
    else:
        files = _folder(target, definitions, rows, known)
    _write(files, target, force=force)
    marked = [f"{one_line(each.name)} ({one_line(each.language)})" for each in definitions if each.as_is]
    return {"written": sorted(str(file) for file in files), "templates": len(rows), "as_is": marked}


def file_stem(name: str) -> str:
    """Return a file name, without suffix, that is one part of a path on every system, for a text from outside."""
    if _PLAIN_NAME.fullmatch(name) and len(name) <= LONGEST_STEM and not _OF_WINDOWS.fullmatch(name):
        return name
    # The digest makes any other name unique.
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{_NOT_IN_FILE_NAMES.sub('_', name.lower())[:LONGEST_STEM]}-{digest}"


def is_own(text: str) -> bool:
    """Return whether a pull wrote a file and nobody has edited it since."""
    lines = text.split("\n")
    for index, line in enumerate(lines[:2]):
        mark = _MARK.search(line)
        if mark:
            return mark[1] == _digest([*lines[:index], *lines[index + 1 :]])
    return False


def _known(target: Path, *, force: bool) -> TemplateSet:
    """Return what the files define; with force, only what files without mistakes define."""
    try:
        return load(target) if target.exists() else TemplateSet({})
    except TemplateFileError as error:
        if all(problem.message == "there are no templates" for problem in error.problems):
            return TemplateSet({})
        if not force:
            raise
    definitions: dict[Key, TemplateDefinition] = {}
    for file in template_files(target):
        with suppress(TemplateFileError):
            definitions |= load(file).definitions
    return TemplateSet(definitions)


def _usable(definition: TemplateDefinition, row: Mapping[str, Any]) -> TemplateDefinition:
    """Mark what cannot be submitted again as it is: rules have changed, or Meta has what files cannot express."""
    try:
        found = load_data([template_data([definition])], folder=definition.folder).definitions
    except TemplateFileError:
        return replace(definition, as_is=True)
    return replace(definition, as_is=bool(changed_fields(found[definition.key], row)))


def _with_sample(definition: TemplateDefinition, known: TemplateSet) -> TemplateDefinition:
    # Graph does not list a header's sample: the path in the file stays, and a new file has none.
    before = known.definitions.get(definition.key)
    paths = before.samples() if before else []
    if not before or len(paths) != 1:
        return definition
    components = [
        {**part, "example": {"header_handle": paths}} if part.get("format") in MEDIA_FORMATS else part
        for part in definition.components
    ]
    return replace(definition, components=tuple(components), folder=before.folder)


def _differs(row: Mapping[str, Any], known: TemplateSet) -> bool:
    definition = known.definitions.get(listed_key(row))
    if definition is None or definition.category != (row.get("category") or ""):
        return True
    return bool(changed_fields(definition, row))


def _one_file(
    target: Path, definitions: Sequence[TemplateDefinition], rows: Rows, known: TemplateSet
) -> dict[Path, Any]:
    if set(rows) == set(known.definitions) and not any(_differs(row, known) for row in rows.values()):
        return {}
    data: dict[str, Any] = {"templates": _templates(definitions)}
    prune = {"prefixes": sorted(known.prefixes), "names": sorted(known.names)}
    if any(prune.values()):
        data["prune"] = {key: values for key, values in prune.items() if values}
    return {target: data}


def _folder(
    target: Path, definitions: Sequence[TemplateDefinition], rows: Rows, known: TemplateSet
) -> dict[Path, Any]:
    """Return the files to write: each template's own file, else that of its name, else a new one."""
    changed = {key[0] for key, row in rows.items() if _differs(row, known)}
    files = _files(known)
    content: dict[Path, list[TemplateDefinition]] = {}
    for definition in definitions:
        if definition.name in changed:
            homes = files.get(definition.name, {})
            new = target / f"{file_stem(definition.name)}.yaml"
            home = homes.get(definition.language) or next(iter(homes.values()), new)
            content.setdefault(home, []).append(definition)
    for home, inside in content.items():
        name = inside[0].name
        others = sorted(other for other, found in files.items() if home in found.values() and other != name)
        if others:
            msg = f"{one_line(name)} differs in the account, but {home} defines {one_line(others[0])} as well"
            raise ConfigurationError(msg, advice="Pull into an empty folder, and merge by hand.")
    made = {file: _templates(inside) for file, inside in content.items()}
    return {file: {"templates": data} if len(data) > 1 else data[0] for file, data in made.items()}


def _templates(definitions: Iterable[TemplateDefinition]) -> list[dict[str, Any]]:
    """Return what files define as one template: the languages of a name that share category and options."""
    groups: dict[Any, list[TemplateDefinition]] = {}
    for each in definitions:
        key = each.name, each.category, tuple(sorted(each.options.items()))
        groups.setdefault(key, []).append(each)
    return [template_data(group) for group in groups.values()]


def template_data(definitions: Iterable[TemplateDefinition]) -> dict[str, Any]:
    """Return one template's languages, which share category and options, as a file's data."""
    languages = sorted(definitions, key=lambda definition: definition.language)
    contents = {definition.language: content_data(definition) for definition in languages}
    first = languages[0]
    data: dict[str, Any] = {"name": first.name, "category": first.category, **first.options}
    examples = [parameters for _, parameters in contents.values() if parameters]
    shared = bool(examples) and all(parameters == examples[0] for parameters in examples)
    if shared:
        data["parameters"] = _parameters(examples[0])
    data["languages"] = {}
    for language, (content, parameters) in contents.items():
        own = {"parameters": _parameters(parameters)} if parameters and not shared else {}
        data["languages"][language] = {**content, **own}
    return data


def _parameters(examples: Mapping[str, str]) -> dict[str, Any]:
    return {name: {"example": example} for name, example in examples.items()}


def _files(known: TemplateSet) -> dict[str, dict[str, Path]]:
    """Return where each language of each name is defined."""
    found: dict[str, dict[str, Path]] = {}
    for (name, language), definition in known.definitions.items():
        found.setdefault(name, {})[language] = Path(definition.where.rpartition(":")[0])
    return found


def _write(files: Mapping[Path, Any], target: Path, *, force: bool) -> None:
    """Write all files, or none: prepare and check them all before replacing the first one."""
    folder = target.parent if target.suffix.lower() in SUFFIXES else target
    texts = {
        file: _text(data, as_json=file.suffix.lower() == ".json").encode() for file, data in files.items()
    }
    root = folder.resolve()
    for file in texts:
        if not file.parent.resolve().is_relative_to(root):
            msg = f"{file} lies outside {folder}, behind a link"
            raise ConfigurationError(msg, advice="Nothing was written. Pull into the folder itself.")
    foreign = [file for file in texts if not force and os.path.lexists(file) and not _is_own_file(file)]
    if foreign:
        msg = f"no pull wrote {', '.join(map(str, foreign))}, or somebody has edited it since"
        advice = "Nothing was written. --force (force=True) replaces it with what the account holds; or pull elsewhere."
        raise ConfigurationError(msg, advice=advice)
    for file, text in texts.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file, mode=0o666, durable=False) as stream:  # the user can repeat a lost pull
            stream.write(text)


def _is_own_file(file: Path) -> bool:
    try:
        return file.is_file() and not file.is_symlink() and is_own(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError):
        return False


def _text(data: dict[str, Any], *, as_json: bool) -> str:
    """Return a file's text, with a line from which later pulls know that they may replace it."""
    mark = "Pulled by airflow-provider-whatsapp ({}). Once it is edited, only --force replaces it."
    if as_json:
        data = {"$comment": mark, **data}
    lines = dump(data, as_json=as_json).split("\n")
    if not as_json:
        lines.insert(0, f"# {mark}")
    place = int(as_json)
    lines[place] = lines[place].format(_digest([*lines[:place], *lines[place + 1 :]]))
    return "\n".join(lines)


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()[:12]
