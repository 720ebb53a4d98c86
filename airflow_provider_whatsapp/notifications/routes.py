"""
Who gets an alert, by its severity and the DAG's tags.

Routes are a mapping, ``{"high": [...], "tag:finance": [...], "default": [...]}``: an argument, an Airflow Variable
(JSON) or a file (JSON or YAML).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

logger = logging.getLogger(__name__)

DEFAULT = "default"
TAG = "tag:"
FILES = (".json", ".yaml", ".yml")


def load_routes(source: Any, variable: Any) -> dict[str, list[str]]:
    """Read routes from a mapping, a file or an Airflow Variable; raises ConfigurationError if they cannot be read."""
    from airflow_provider_whatsapp.client.errors import ConfigurationError
    from airflow_provider_whatsapp.client.phone import mask_numbers
    from airflow_provider_whatsapp.message_templates.documents import TemplateFileError

    if isinstance(source, Mapping):
        return _checked(source, "routes")
    name = str(source)
    is_file = name.endswith(FILES)
    where = f"the file {name}" if is_file else f"the Airflow Variable {name}"
    try:
        text = Path(name).read_text(encoding="utf-8") if is_file else variable.get(name)
        found = _parsed(text, name if is_file else f"{name}.json")
    except TemplateFileError as error:
        raise ConfigurationError(
            f"The alert routes in {where} cannot be read: {mask_numbers(str(error))}",
            advice="Write one mapping, with each name once.",
        ) from None
    except Exception as error:
        raise ConfigurationError(
            f"The alert routes in {where} cannot be read ({type(error).__name__})",
            advice='Write a mapping: {"high": ["+1..."], "tag:finance": ["+1..."], "default": ["+1..."]}.',
        ) from error
    return _checked(found, where)


def choose(
    routes: Mapping[str, list[str]], *, severity: str | None = None, tags: Iterable[str] = ()
) -> list[str]:
    """Return the numbers of every route that matches, or those of ``default`` if none does."""
    wanted = [f"{TAG}{tag}" for tag in sorted(tags)]
    if severity:
        wanted.insert(0, severity)
        if severity not in routes:
            known = ", ".join(name for name in routes if not name.startswith(TAG) and name != DEFAULT)
            logger.warning(
                "WhatsApp: no alert route for severity %r (the routes are: %s)", severity, known or "none"
            )
    matched = [name for name in wanted if name in routes] or [DEFAULT]
    return [number for name in matched for number in routes.get(name, [])]


def usable(named: Iterable[Any], *, default_country: str | None = None) -> list[str]:
    """Return the valid recipients, each once; log the malformed ones; raises PayloadError if none is valid."""
    # Without a default country (its ISO code), numbers need their country code.
    from airflow_provider_whatsapp.client.errors import PayloadError
    from airflow_provider_whatsapp.delivery.recipients import read_recipients

    given: list[str] = []
    for item in named:  # strings (several separated by commas), lists of them, or None
        several = [item] if isinstance(item, str | int) else item or ()
        given += [part for each in several for part in re.split(r"[,;\n]", str(each)) if part.strip()]
    try:
        return read_recipients(given, default_country=default_country)
    except PayloadError as error:
        good = [number for number in given if _is_good(number, default_country)]
        if not good:
            raise
        # An alert to some is better than one to nobody.
        logger.error("WhatsApp: the alert leaves some recipients out. %s", error)  # noqa: TRY400
        return read_recipients(good, default_country=default_country)


def _is_good(number: str, default_country: str | None) -> bool:
    from airflow_provider_whatsapp.client.errors import PayloadError
    from airflow_provider_whatsapp.client.phone import recipient_key

    try:
        recipient_key(number, default_country=default_country)
    except PayloadError:
        return False
    return True


def dag_tags(context: Mapping[str, Any]) -> set[str]:
    """Return the tags of the DAG that a callback is about; a deadline's callback does not know them."""
    dag = context.get("dag")
    found = dag.get("tags") if isinstance(dag, dict) else getattr(dag, "tags", None)
    return {str(getattr(tag, "name", tag)) for tag in found or ()}


def _parsed(text: Any, name: str) -> Any:
    """Read routes as template files are read: names and numbers stay as written, and no name may come twice."""
    if not isinstance(text, str):
        return text
    from airflow_provider_whatsapp.message_templates.documents import parse

    documents = parse(text.removeprefix("\ufeff"), name)
    # Several documents are not a mapping.
    return documents[0][0] if len(documents) == 1 else [data for data, _ in documents]


def _checked(found: Any, where: str) -> dict[str, list[str]]:
    from airflow_provider_whatsapp.client.errors import ConfigurationError

    if not isinstance(found, Mapping):
        raise ConfigurationError(
            f"The alert routes in {where} are not a mapping",
            advice='Write {"high": ["+1..."], "tag:finance": ["+1..."], "default": ["+1..."]}.',
        )
    routes = {}
    for name, numbers in found.items():
        several = [numbers] if isinstance(numbers, str | int | float) else numbers
        if not isinstance(several, list | tuple):
            raise ConfigurationError(
                f"The alert route {name!r} in {where} is not a list of numbers",
                advice='Write each number in quotes: ["+1..."].',
            )
        routes[str(name)] = [part for each in several for part in str(each).split(",")]
    return routes
