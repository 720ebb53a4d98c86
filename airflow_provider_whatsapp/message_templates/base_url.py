"""``{base_url}`` in the buttons of template files: an address that is not the same everywhere, Airflow's own say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_whatsapp.client.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_whatsapp.message_templates.documents import KeyPath, Notes

PLACEHOLDER = "{base_url}"


def read_base_url(text: str, *, field: str = "base_url") -> str:
    """
    Return an address that paths are added to, without a slash at its end.

    :param text: What a user gave.
    :param field: Its name there.
    :raises ConfigurationError: It is not the address of a server.
    """
    found = text.strip().rstrip("/")
    try:
        parts = urlsplit(found)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not found.isprintable() or {*" {}\\"} & {*found}:
        problem = "is not the address of a server"
    elif parts.username or parts.password:
        problem = "carries a user name or a password"
    elif parts.query or parts.fragment:
        problem = "carries a query or a fragment"
    else:
        return found
    raise ConfigurationError(
        f"{field} {problem}",
        advice="Write it as https://airflow.example.com, with the path that Airflow is served at.",
    )


def put_base_url(item: Any, base_url: str | None, path: KeyPath, notes: Notes) -> None:
    """
    Replace ``{base_url}`` in the URLs of a template's buttons.

    :param item: The template as its file holds it; it is changed.
    :param base_url: The address; None: there is none. It is read only where a button needs it.
    :param path: Where the template stands.
    :param notes: Takes the mistake of a button that needs an address.
    :raises ConfigurationError: A button needs the address, and it is not one of a server.
    """
    languages = item.get("languages") if isinstance(item, dict) else None
    for code, content in languages.items() if isinstance(languages, dict) else ():
        buttons = content.get("buttons") if isinstance(content, dict) else None
        for index, button in enumerate(buttons if isinstance(buttons, list) else ()):
            url = button.get("url") if isinstance(button, dict) else None
            if not isinstance(url, str) or PLACEHOLDER not in url:
                continue
            if base_url is None:
                where = (*path, "languages", code, "buttons", index, "url")
                notes.shape(where, f"{PLACEHOLDER} has no value: give --base-url (base_url= in Python)")
            else:
                button["url"] = url.replace(PLACEHOLDER, read_base_url(base_url))
