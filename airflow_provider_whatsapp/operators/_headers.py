"""The header of a broadcast's template: which values a row may give, and which files it may name."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.media import source_form
from airflow_provider_whatsapp.delivery.fill import columns, fill, literal_prefix
from airflow_provider_whatsapp.hooks.file_policy import RowFiles
from airflow_provider_whatsapp.hooks.media_source import media_of

if TYPE_CHECKING:
    from airflow_provider_whatsapp.delivery.approved import Approved


class RowHeader:
    """The header of each row: a text, a link, a media ID, or a file that the row may choose."""

    def __init__(self, header: Any, filename: str | None, approved: Approved | None) -> None:
        self._header, self._filename = header, filename  # with "{column}"; a document shows the filename
        self._approved = approved  # None: the task did not look it up, so the value's form decides
        self.varies = bool(columns(header, filename))
        source = header.get("media") if isinstance(header, Mapping) else header
        prefix = literal_prefix(source) if isinstance(source, str) else None
        self._files = None if prefix is None else RowFiles(prefix)

    def filled(self, values: Mapping[str, Any]) -> tuple[Any, str | None, bool]:
        """Return a row's header, the name that a document shows, and whether the row chose a file."""
        # The values are empty if the header does not vary.
        # PayloadError: a value is missing, does not fit the template's header, or names a file that it may not name.
        header, filename = fill(self._header, values), fill(self._filename, values)
        if self._approved is not None:
            header = self._approved.as_header(header)
        found = media_of(header, filename)
        if self._files is None or found is None or source_form(found[0]) not in ("file", "store"):
            return header, filename, False
        source, kind, filename = found
        filename = filename or posixpath.basename(source)
        return {"type": kind, "media": self._files.open(source), "filename": filename}, filename, True


def without_names(error: PayloadError, header: Mapping[str, Any]) -> PayloadError:
    """Return an error about a row's file without the file's name, which contains values of the row."""
    said = error.message
    for name in (str(header["media"]), str(header["filename"])):
        said = said.replace(repr(name), "the row's file")
    return PayloadError(
        said.removeprefix(f"{error.field}: ").removesuffix("."), field=error.field, advice=error.advice
    )
