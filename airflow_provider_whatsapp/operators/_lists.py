"""The lists of a broadcast after rendering: turns paths, texts and XComs into readable sources, or refuses them."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Number
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.delivery.suppression import is_path, listed, read_suppressed
from airflow_provider_whatsapp.hooks.file_policy import readable
from airflow_provider_whatsapp.hooks.object_stores import as_object_path

if TYPE_CHECKING:
    from airflow_provider_whatsapp.delivery.compact_sets import Seen
    from airflow_provider_whatsapp.delivery.recipients import Survey
    from airflow_provider_whatsapp.delivery.result_lines import Scope


def recipient_source(given: Any, *, scope: Scope = "all", own: str | None = None) -> Any:
    """Return the source of the recipients, a path or a list; raises PayloadError for any other value."""
    from airflow_provider_whatsapp.delivery.result_parts import with_parts

    if isinstance(given, str) and given.lstrip().startswith("["):
        return listed(given, field="recipients")
    if given is None or given == "" or isinstance(given, Mapping | bytes | Number):
        raise PayloadError(
            f"is {'an empty text' if given == '' else f'a {type(given).__name__}'}",
            field="recipients",
            advice="Give the path of a file, or a list of rows or numbers.",
        )
    source = opened_list(given, "recipients")
    # A results file is read with the parts that a killed task left beside it, except those of this task run.
    return source if scope == "all" or not hasattr(source, "open") else with_parts(source, but=own)


def suppression_list(given: Any, *, to_field: str, default_country: str | None, log: Any) -> Seen:
    """Return the members of the suppression list; raises PayloadError if it is missing or a cell is no recipient."""
    if isinstance(given, str) and is_path(given):
        given = opened_list(given.strip(), "suppression")
    elif hasattr(given, "open"):
        given = readable(given, field="suppression")
    # Without a default country, numbers need a country code.
    found = read_suppressed(given, to_field=to_field, default_country=default_country)
    log.info("WhatsApp: the suppression list has %d recipients", len(found))
    return found


def log_bare(survey: Survey, log: Any) -> None:
    """Log the countries of numbers without ``+``, so that a list of national numbers is noticed before the send."""
    if survey.bare:
        log.info(
            "WhatsApp: %d numbers have no + in front; read by their digits, they belong to %s",
            survey.bare.total(),
            ", ".join(f"{name} {count}" for name, count in survey.bare.most_common()),
        )


def opened_list(given: Any, field: str) -> Any:
    """Return the path of a list's file; raises PayloadError if it is outside ``[whatsapp] media_roots``."""
    given = readable(given, field=field, links=True)
    if isinstance(given, str) and "://" not in given and not given.startswith("/"):
        return Path(given).expanduser()  # Airflow 3.1.0 drops the first letter of a relative path's name
    return as_object_path(given)
