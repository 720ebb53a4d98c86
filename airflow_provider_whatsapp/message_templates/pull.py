"""Writing an account's templates to files, in the form in which files define them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.message_templates.blocks import is_gone
from airflow_provider_whatsapp.message_templates.definition import TemplateDefinition
from airflow_provider_whatsapp.message_templates.dumping import dump, template_data
from airflow_provider_whatsapp.message_templates.plan import changed_fields
from airflow_provider_whatsapp.message_templates.problems import TemplateFileError
from airflow_provider_whatsapp.message_templates.texts import MEDIA_FORMATS
from airflow_provider_whatsapp.message_templates.yamlfile import SUFFIXES, TemplateSet, load, load_data

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def pull(listed: Iterable[Mapping[str, Any]], path: str | Path) -> dict[str, Any]:
    """
    Write templates to a folder, one file for each name, or all to one file.

    What the files define already in the same way is left as it is, comments included. A header's sample is not told
    by Meta: the path in the file stays, and a new file has none.

    :param listed: All templates of the account, as Graph lists them.
    :param path: A folder, or a file that ends in ``.yaml``, ``.yml`` or ``.json``; made if missing.
    :return: ``{"written": [...], "unchanged": n, "as_is": [...]}``.
    :raises TemplateFileError: Files that are there hold mistakes; nothing was written.
    :raises ConfigurationError: A changed template stands in a file with others.
    """
    target = Path(path)
    known = _known(target)
    rows = [row for row in listed if not is_gone(row)]
    groups: dict[tuple[Any, ...], list[TemplateDefinition]] = {}
    for row in rows:
        definition = _usable(_with_sample(TemplateDefinition.from_graph(row), known))
        options = tuple(sorted(definition.options.items()))
        groups.setdefault((definition.name, definition.category, options), []).append(definition)
    if target.suffix in SUFFIXES:
        written = _one_file(target, list(groups.values()), rows, known)
    else:
        written = _folder(target, groups, rows, known)
    marked = [f"{each.name} ({each.language})" for group in groups.values() for each in group if each.as_is]
    return {"written": [str(file) for file in written], "templates": len(rows), "as_is": marked}


def _known(target: Path) -> TemplateSet:
    try:
        return load(target) if target.exists() else TemplateSet({})
    except TemplateFileError as error:
        if all(problem.message == "there are no templates" for problem in error.problems):
            return TemplateSet({})
        raise


def _usable(definition: TemplateDefinition) -> TemplateDefinition:
    """Mark what Meta took once and today's rules refuse: it is kept for the record, and cannot be submitted again."""
    try:
        load_data([template_data([definition])], folder=definition.folder)
    except TemplateFileError:
        return replace(definition, as_is=True)
    return definition


def _with_sample(definition: TemplateDefinition, known: TemplateSet) -> TemplateDefinition:
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
    definition = known.definitions.get((str(row.get("name")), str(row.get("language"))))
    if definition is None or definition.category != row.get("category"):
        return True
    return bool(changed_fields(definition, row))


def _one_file(
    target: Path,
    groups: list[list[TemplateDefinition]],
    rows: list[Mapping[str, Any]],
    known: TemplateSet,
) -> list[Path]:
    listed = {(str(row.get("name")), str(row.get("language"))) for row in rows}
    if listed == set(known.definitions) and not any(_differs(row, known) for row in rows):
        return []
    data: dict[str, Any] = {"templates": [template_data(group) for group in groups]}
    prune = {"prefixes": sorted(known.prefixes), "names": sorted(known.names)}
    if any(prune.values()):
        data["prune"] = {key: values for key, values in prune.items() if values}
    _write(target, data)
    return [target]


def _folder(
    target: Path,
    groups: Mapping[tuple[Any, ...], list[TemplateDefinition]],
    rows: list[Mapping[str, Any]],
    known: TemplateSet,
) -> list[Path]:
    changed = {str(row.get("name")) for row in rows if _differs(row, known)}
    files = _files(known)
    plan: dict[Path, Any] = {}
    for (name, category, _), group in groups.items():
        if name not in changed:
            continue
        homes = files.get(name, set())
        for home in homes:
            others = sorted(other for other, found in files.items() if home in found and other != name)
            if others:
                msg = f"{name} differs in the account, but {home} defines {others[0]} as well"
                raise ConfigurationError(msg, advice="Pull into an empty folder, and merge by hand.")
        file = next(iter(homes), target / f"{name}.yaml")
        number = 1
        while file in plan:  # languages of one name that differ in category or options
            number += 1
            file = target / f"{name}.{category.lower()}{number if number > 2 else ''}.yaml"
        plan[file] = template_data(group)
    target.mkdir(parents=True, exist_ok=True)
    for file, data in plan.items():
        _write(file, data)
    return sorted(plan)


def _files(known: TemplateSet) -> dict[str, set[Path]]:
    found: dict[str, set[Path]] = {}
    for (name, _), definition in known.definitions.items():
        found.setdefault(name, set()).add(Path(definition.where.rpartition(":")[0]))
    return found


def _write(file: Path, data: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dump(data, as_json=file.suffix == ".json"), encoding="utf-8")
