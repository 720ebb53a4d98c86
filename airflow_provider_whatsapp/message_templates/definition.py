"""A template as the files define it: one name in one language. Pure: no files, no requests."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.message_templates.components import (
    MEDIA_FORMATS,
    canonical,
    parameter_format,
    walk,
)
from airflow_provider_whatsapp.message_templates.limits import FIXED_TEXT
from airflow_provider_whatsapp.message_templates.reading import OPTION_TYPES
from airflow_provider_whatsapp.message_templates.shortform import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Self

Key = tuple[str, str]
"""A template's name and language."""

OPTIONS = tuple(OPTION_TYPES)
"""Graph's further fields that a file may set."""


@dataclass(frozen=True, kw_only=True)
class TemplateDefinition:
    """
    One template in one language.

    :param name: Its name.
    :param language: Its language code.
    :param category: ``AUTHENTICATION``, ``MARKETING`` or ``UTILITY``.
    :param components: Graph's components; a media header's ``header_handle`` holds the path of its sample, a handle
        (``4::...``), or is missing.
    :param options: Graph's further fields, of :data:`OPTIONS`.
    :param folder: Folder that paths of samples start from.
    :param as_is: It is kept as Meta holds it, though today's rules refuse it; it is not submitted.
    :param where: ``file:line``, for whoever reads a plan.
    """

    name: str
    language: str
    category: str
    components: tuple[Mapping[str, Any], ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    folder: str | None = field(default=None, compare=False)
    as_is: bool = field(default=False, compare=False)
    where: str = field(default="", compare=False)

    @property
    def key(self) -> Key:
        """Name and language."""
        return self.name, self.language

    @property
    def parameter_format(self) -> str:
        """``NAMED`` or ``POSITIONAL``, as the variables of header and body demand."""
        return parameter_format(self.components) or "POSITIONAL"

    @classmethod
    def from_graph(cls, row: Mapping[str, Any]) -> Self:
        """
        Read a template as Graph lists it; what cannot be submitted again (a sample's address) is left out.

        :param row: One template of the account's list.
        """
        category = str(row.get("category") or "")
        components: Any = listed_components(row)
        short = shorten(components, category)
        if short is not None:
            from airflow_provider_whatsapp.message_templates.shortform import expand

            components, _ = expand(*short)
        options = {
            key: row[key]
            for key, kind in OPTION_TYPES.items()
            if type(row.get(key)) is kind and row[key] is not False
        }
        return cls(
            name=str(row.get("name")),
            language=str(row.get("language")),
            category=category,
            components=tuple(_without_addresses(part) for part in components),
            options=options,
        )

    def canonical(self) -> list[dict[str, Any]]:
        """Return the components as they are compared."""
        return canonical(self.components, self.category)

    def samples(self) -> list[str]:
        """Return the paths of header samples that have to be uploaded before it can be submitted."""
        return [sample for sample in _samples(self.components) if not sample.startswith("4:")]

    def gaps(self) -> list[str]:
        """Return what is missing before it can be submitted; Meta does not tell these again, so a pull lacks them."""
        found = []
        if self.as_is:
            return ["it is marked as_is: mend what today's rules refuse, and take the mark away"]
        for part in walk(self.components):
            form = str(part.get("format", "")).upper()
            if form in MEDIA_FORMATS and not list(_samples([part])):
                found.append(f"the {form.lower()} header needs a sample: give the path of a file")
            for button in part.get("buttons") or ():
                kind = str(button.get("otp_type", "COPY_CODE")).upper()
                if kind != "COPY_CODE" and not button.get("supported_apps"):
                    found.append(f"the {kind.lower()} button needs supported_apps")
                if kind == "ZERO_TAP" and button.get("zero_tap_terms_accepted") is not True:
                    found.append("the zero_tap button needs zero_tap_terms_accepted: true")
        return found

    def create_payload(self, handles: Mapping[str, str] | None = None) -> dict[str, Any]:
        """
        Return the body that creates it.

        :param handles: Handles of the uploaded samples, by path.
        """
        identity = {"name": self.name, "language": self.language, "category": self.category}
        content = {"parameter_format": self.parameter_format, "components": self.payload_components(handles)}
        return {**identity, **content, **self.options}

    def payload_components(self, handles: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """
        Return the components as they are submitted.

        :param handles: Handles of the uploaded samples, by path.
        """
        made: list[dict[str, Any]] = json.loads(json.dumps(self.components))
        for part in walk(made):
            example = part.get("example")
            listed = example.get("header_handle") if isinstance(example, dict) else None
            if isinstance(listed, list):
                listed[:] = [(handles or {}).get(sample, sample) for sample in listed]
        if self.category == "AUTHENTICATION" and not self.as_is:
            # Meta writes these texts itself.
            made = [
                {key: value for key, value in part.items() if key not in ("text", "example")}
                if FIXED_TEXT & set(part)
                else part
                for part in made
            ]
        return made


def listed_components(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """
    Return a listed template's components; what is none is left out.

    :param row: One template of the account's list.
    """
    listed = row.get("components")
    return [part for part in listed if isinstance(part, dict)] if isinstance(listed, list) else []


def _samples(components: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for part in walk(components):
        example = part.get("example")
        handles = example.get("header_handle") if isinstance(example, dict) else None
        yield from (str(handle) for handle in (handles if isinstance(handles, list) else ()))


def _without_addresses(part: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out samples that are no handles: an address expires, and anything else would be taken for a path here."""
    made = dict(part)
    example = part.get("example")
    handles = example.get("header_handle") if isinstance(example, dict) else None
    if handles and not (
        isinstance(handles, list) and all(str(handle).startswith("4:") for handle in handles)
    ):
        made.pop("example")
    if isinstance(part.get("cards"), list):
        made["cards"] = [_card_without_addresses(card) for card in part["cards"]]
    return made


def _card_without_addresses(card: Any) -> Any:
    inner = card.get("components") if isinstance(card, dict) else None
    if not isinstance(inner, list):
        return card
    parts = [_without_addresses(part) if isinstance(part, dict) else part for part in inner]
    return {**card, "components": parts}
