"""The lists of a broadcast after rendering: paths, texts and XComs as what can be read, or a refusal."""

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
    from airflow_provider_whatsapp.delivery.recipients import Survey
    from airflow_provider_whatsapp.delivery.result_lines import Scope
    from airflow_provider_whatsapp.delivery.seen import Seen


def recipient_source(given: Any, *, scope: Scope = "all", own: str | None = None) -> Any:
    """
    Return what the recipients are read from.

    :param given: A path, a URL of an object store, a list, or a text that holds one.
    :param scope: Unless it is ``all``, a results file is read with the parts that a killed task has left beside it.
    :param own: The task run that reads; its own parts are left out.
    :raises PayloadError: It is none of them.
    """
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
    return source if scope == "all" or not hasattr(source, "open") else with_parts(source, but=own)


def suppression_list(given: Any, *, to_field: str, default_country: str | None, log: Any) -> Seen:
    """
    Read the suppression list.

    :param given: A path, a URL of an object store, a list, or a text of numbers.
    :param to_field: Column of the recipients' numbers.
    :param default_country: ISO code of the country whose national numbers are read; None: none are.
    :param log: The task's log, which learns how many the list holds.
    :raises PayloadError: It is missing, or a cell of it is no recipient.
    """
    if isinstance(given, str) and is_path(given):
        given = opened_list(given.strip(), "suppression")
    elif hasattr(given, "open"):
        given = readable(given, field="suppression")
    found = read_suppressed(given, to_field=to_field, default_country=default_country)
    log.info("WhatsApp: the suppression list has %d recipients", len(found))
    return found


def log_bare(survey: Survey, log: Any) -> None:
    """
    Say where numbers without ``+`` go, so that a list of national numbers is seen before it is sent to.

    :param survey: What the reading of the recipients has found.
    :param log: The task's log.
    """
    if survey.bare:
        log.info(
            "WhatsApp: %d numbers have no + in front; read by their digits, they belong to %s",
            survey.bare.total(),
            ", ".join(f"{name} {count}" for name, count in survey.bare.most_common()),
        )


def opened_list(given: Any, field: str) -> Any:
    """
    Return the path of a file that is read, where it may be.

    :param given: A path or URL, or an object of either.
    :param field: Argument that gave it.
    :raises PayloadError: ``[whatsapp] media_roots`` does not hold it.
    """
    given = readable(given, field=field, links=True)
    if isinstance(given, str) and "://" not in given and not given.startswith("/"):
        return Path(given).expanduser()  # Airflow 3.1.0 cuts the first letter off a relative path's name
    return as_object_path(given)
