"""
Results files, opened by the API server: below ``[whatsapp] ui_results_roots`` alone, and such as this package marked.

Their paths come from XCom, which anything that runs in a task can write, and the API server holds what tasks do not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import ConfigurationError, WhatsAppError
from airflow_provider_whatsapp.delivery.local_files import open_regular
from airflow_provider_whatsapp.delivery.result_lines import is_marked
from airflow_provider_whatsapp.hooks.file_policy import configured_folders, place_of
from airflow_provider_whatsapp.hooks.object_stores import object_path
from airflow_provider_whatsapp.plugin.recipients import Recipient, from_outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

OPTION = "[whatsapp] ui_results_roots"
MOST = 200_000
"""Recipients that are read of a file; the page says so where there are more."""
LONGEST = 262_144
"""Bytes of a line; a longer one is no line of ours."""


class NotOpenedError(WhatsAppError):
    """A results file is not opened, or cannot be."""

    default_permanent = True


def read_results(path: str) -> tuple[list[Recipient], bool]:
    """
    Return the recipients in a results file, in its order, and whether there are more than are read.

    :param path: What a task says that it has written; where it comes from decides nothing.
    :raises NotOpenedError: It is not below ``ui_results_roots``, not there, or no results file.
    """
    found: list[Recipient] = []
    with _opened(path) as file:
        for number, line in enumerate(_lines(file)):
            if number == MOST:
                return found, True
            recipient = None if line is None else from_outcome(line, line["n"])
            if recipient is not None:
                found.append(recipient)
    return found, False


def _opened(path: str) -> Any:
    try:
        place = place_of(path)
    except ValueError:
        raise NotOpenedError("The results file's path climbs, so it is not opened.") from None
    roots = configured_folders("ui_results_roots")
    if not any(root.holds(place) for root in roots):
        why = "names no folder" if not roots else "does not hold it"
        raise NotOpenedError(
            f"The results file is not opened, for {OPTION} {why}.",
            advice="Add its folder to that option of Airflow's configuration, on the API server.",
        )
    try:
        if place.store is None:
            return open_regular(Path(*place.parts))
        remote: Any = object_path(path)
        return remote.open("rb")
    except FileNotFoundError:
        advice = "Give results_path in an object store, or on a disk that the API server shares."
        local = "The results file is not on the API server's disk: it is on that of the machine that ran the task."
        away = "The results file is not there any more."
        raise NotOpenedError(
            local if place.store is None else away, advice=advice if place.store is None else None
        ) from None
    except ConfigurationError:
        raise
    except Exception as error:  # what a store's client raises may quote its credentials
        raise NotOpenedError(f"The results file cannot be read ({type(error).__name__}).") from None


def _lines(file: Any) -> Iterator[dict[str, Any] | None]:
    """Yield the lines of a file that begins with a marked one; None for what is damaged further down."""
    first = True
    while raw := file.readline(LONGEST):
        try:
            line = json.loads(raw)
        except (ValueError, RecursionError):
            line = None
        if is_marked(line):
            yield line
        elif not first:
            yield None
        else:
            raise NotOpenedError(
                "The file is no results file of this version, so nothing of it is shown.",
                advice="If version 0.1 wrote it, mark it with: python -m airflow_provider_whatsapp results PATH.",
            )
        first = False
