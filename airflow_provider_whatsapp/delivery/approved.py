"""Whether a message fits the template in the account, and what it looks like with its values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.media import looks_like_media
from airflow_provider_whatsapp.client.template_limits import BODY_LIMIT, HEADER_LIMIT
from airflow_provider_whatsapp.message_templates.components import VARIABLE, variables
from airflow_provider_whatsapp.message_templates.statuses import STATUSES, rejection, status_of

if TYPE_CHECKING:
    from airflow_provider_whatsapp.client.resources.health import Health

HIDDEN = "•••"
_FILES = ("IMAGE", "VIDEO", "DOCUMENT")
_MEDIA = (*_FILES, "LOCATION")
_NEEDS_VALUE = {"COPY_CODE": "its code"}

Payload = Mapping[str, Any]


class Approved:
    """A template as it is in the account."""

    def __init__(
        self,
        template: Mapping[str, Any] | None,  # as Graph lists it; None: the account has none
        name: str,
        language: str,
        *,
        show_values: bool = False,  # whether errors show the values, or only which variables have one
        health: Health | None = None,  # whether the template, its account and so on may send; None: not read
    ) -> None:
        self.health = health
        self._show_values = show_values
        self._called = f"{name} ({language})"
        self._template = template
        self._parts: dict[str, Mapping[str, Any]] = {}
        for component in (template or {}).get("components") or ():
            self._parts[str(component.get("type", "")).upper()] = component

    @property
    def id(self) -> str | None:
        """Meta's ID of the template."""
        return (self._template or {}).get("id")

    @property
    def category(self) -> str:
        """``UTILITY``, ``MARKETING`` or ``AUTHENTICATION``; ``unknown`` if the account does not say."""
        return str((self._template or {}).get("category") or "unknown")

    @property
    def known_category(self) -> str | None:
        """The category in capitals; None: the account does not say."""
        found = (self._template or {}).get("category")
        return str(found).upper() if found else None

    @property
    def announced_category(self) -> str | None:
        """The category to which Meta will move it; None: no move is announced. Until then the old one applies."""
        found = str((self._template or {}).get("correct_category") or "").upper()
        return found if found and found != self.known_category else None

    def check_category(self, expected: str) -> None:
        """Check that the template has the category that the sender expects, and that Meta has not moved it."""
        found = self.known_category
        if found != expected:
            problem = (
                f"is {found}, not {expected}" if found else "has a category that WhatsApp does not report"
            )
            earlier = str((self._template or {}).get("previous_category")).upper()
            moved = " (Meta has moved it)" if found and earlier == expected else ""
            raise PayloadError(
                f"{self._called} {problem}{moved}",
                field="expect_category",
                advice="Nothing was sent. Send another template, ask for a review of its category in WhatsApp "
                "Manager, "
                f"or give expect_category={found or expected!r} if its price is right.",
            )

    def check_base_url(self, base_url: str) -> None:
        """Check that URL buttons with a variable lead below ``base_url``, which has no slash at its end."""
        for index, button in enumerate(self._parts.get("BUTTONS", {}).get("buttons") or []):
            url = str(button.get("url") or "")
            start = url.partition("{{")[0]  # WhatsApp opens the approved address with any suffix
            if start != url and _place(start) != _place(base_url):
                raise PayloadError(
                    f"button {index} of {self._called} leads to {start}, but Airflow is at {base_url}/",
                    field="base_url",
                    advice="Set [api] base_url or base_url= to the address that the template was approved with, or "
                    "apply the template again with --base-url.",
                )

    def as_header(self, header: Any) -> Any:
        """Return a header as the template accepts it: without a media header, a text is never a file."""
        form = str((self._parts.get("HEADER") or {"format": "none"}).get("format", "TEXT")).upper()
        if self._template is None or form in _FILES:
            return header
        if isinstance(header, str):
            return {"type": "text", "text": header}
        # Refused before a file is opened.
        if ("media" in header) if isinstance(header, Mapping) else looks_like_media(header):
            raise PayloadError(
                f"header must be of kind {form.lower()}, not media",
                field="template",
                advice=f"Compare the header with the template {self._called}.",
            )
        return header

    def check_usable(self) -> None:
        """Check that the template can be sent: it exists and is approved."""
        if self._template is None:
            raise PayloadError(
                f"the account has no template {self._called}",
                field="template_name",
                advice="Create it first, and check name and language: en and en_US are different templates.",
            )
        status = status_of(self._template)
        if status and status != "APPROVED":
            meant = STATUSES.get(status)
            raise PayloadError(
                f"{self._called} is {status}{rejection(self._template)}",
                field="template_name",
                advice=meant.advice if meant else "Look it up in WhatsApp Manager.",
            )

    def check(self, payload: Payload, *, lengths: bool = True, header: bool = True) -> None:
        """Check that a message fits the template; the error names all that is wrong, and shows the body."""
        given = _given(payload)
        wrong = [
            *self._body(given, lengths=lengths),
            *(self._header(given, lengths=lengths) if header else ()),
            *self._buttons(given),
        ]
        if wrong:
            text = str(self._parts.get("BODY", {}).get("text") or "")
            shown = _fill(text, given["body"], hide=not self._show_values)
            raise PayloadError(
                f"{'; '.join(wrong)}. The body with these values: {shown!r}",
                field="template",
                advice=f"Compare header, body and buttons with the template {self._called}.",
            )

    def _body(self, given: dict[str, Any], *, lengths: bool) -> list[str]:
        text = self._parts.get("BODY", {}).get("text")
        if not isinstance(text, str) or "CAROUSEL" in self._parts:
            return []
        wrong = _values_fit("body", variables(text), given["body"])
        filled = _fill(text, given["body"])
        if lengths and not wrong and len(filled) > BODY_LIMIT:
            wrong.append(f"body has {len(filled)} characters filled (limit: {BODY_LIMIT})")
        return wrong

    def _header(self, given: dict[str, Any], *, lengths: bool) -> list[str]:
        header, values = self._parts.get("HEADER"), given["header"]
        if header is None:
            return ["header is given, but the template has none"] if values else []
        form = str(header.get("format", "TEXT")).upper()
        kinds = [str(value.get("type", "")).upper() for value in values]
        if form in _MEDIA:
            return [] if kinds == [form] else [f"header must be of kind {form.lower()}, not {_kinds(kinds)}"]
        if form != "TEXT":
            return []
        if kinds and kinds != ["TEXT"]:
            return [f"header must be of kind text, not {_kinds(kinds)}"]
        text = str(header.get("text") or "")
        wrong = _values_fit("header", variables(text), values)
        if lengths and not wrong and len(_fill(text, values)) > HEADER_LIMIT:
            wrong.append(f"header has {len(_fill(text, values))} characters filled (limit: {HEADER_LIMIT})")
        return wrong

    def _buttons(self, given: dict[str, Any]) -> list[str]:
        buttons = self._parts.get("BUTTONS", {}).get("buttons") or []
        wrong = [
            f"buttons[{index}] is given, but the template has {len(buttons)}"
            for index in given["buttons"]
            if not 0 <= index < len(buttons)
        ]
        for index, button in enumerate(buttons):
            kind = str(button.get("type", "")).upper()
            open_url = kind == "URL" and bool(variables(button.get("url")))
            sub_type = given["buttons"].get(index)
            if sub_type is None and (open_url or kind in _NEEDS_VALUE):
                wrong.append(f"buttons[{index}] needs {_NEEDS_VALUE.get(kind, 'the end of its URL')}")
            elif sub_type == "URL" and kind == "URL" and not open_url:
                wrong.append(f"buttons[{index}] has a URL without a variable")
            elif sub_type is not None and kind in ("URL", "QUICK_REPLY", "COPY_CODE") and sub_type != kind:
                wrong.append(f"buttons[{index}] is a {kind.lower()} button, not {sub_type.lower()}")
        return wrong

    def render(self, payload: Payload) -> dict[str, Any]:
        """Return the message as it will look: header, body, footer and labels of the buttons."""
        given = _given(payload)
        shown: dict[str, Any] = {}
        header = self._parts.get("HEADER", {})
        if header:
            text = header.get("text")
            kinds = [str(value.get("type", "")) for value in given["header"]]
            shown["header"] = _fill(text, given["header"]) if isinstance(text, str) else f"[{_kinds(kinds)}]"
        shown["body"] = _fill(str(self._parts.get("BODY", {}).get("text") or ""), given["body"])
        if "FOOTER" in self._parts:
            shown["footer"] = self._parts["FOOTER"].get("text")
        buttons = self._parts.get("BUTTONS", {}).get("buttons")
        if buttons:
            shown["buttons"] = [button.get("text") or button.get("type") for button in buttons]
        return shown


def _place(url: str) -> tuple[Any, ...]:
    """Return a key that is equal for all spellings of the same address."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname, port, parts.path.rstrip("/")


def _given(payload: Payload) -> dict[str, Any]:
    """Return the values of a message by the part that they belong to."""
    found: dict[str, Any] = {"header": [], "body": [], "buttons": {}}
    for component in payload.get("template", payload).get("components") or ():
        kind = str(component.get("type", "")).lower()
        if kind in ("header", "body"):
            found[kind] = list(component.get("parameters") or ())
        elif kind == "button":
            found["buttons"][int(component["index"])] = str(component.get("sub_type", "")).upper()
    return found


def _values_fit(where: str, names: list[str], values: list[Any]) -> list[str]:
    named = [name for name in names if not name.isdigit()]
    given = [value.get("parameter_name") for value in values]
    if not named and any(given):
        return [f"{where} has variables by position, not by name: give a list of {len(names)}"]
    if not named and len(values) != len(names):
        return [f"{where} needs {len(names)} values, not {len(values)}"]
    if not named:
        return []
    if values and not all(given):
        return [f"{where} has variables by name: give a dict of {', '.join(named)}"]
    missing, extra = sorted(set(named) - set(given)), sorted(set(given) - set(named))
    wrong = [f"{where} lacks {', '.join(missing)}"] if missing else []
    return [*wrong, f"{where} has no variable {', '.join(extra)}"] if extra else wrong


def _fill(text: str, values: list[Any], *, hide: bool = False) -> str:
    """Fill in the values that are given; the other variables stay."""
    known: dict[str, str] = {}
    for position, value in enumerate(values, 1):
        kind = value.get("type", "text")
        shown = value.get("text") if kind == "text" else (value.get(kind) or {}).get("fallback_value", "")
        known[value.get("parameter_name") or str(position)] = HIDDEN if hide else str(shown)
    return VARIABLE.sub(lambda match: known.get(match[1].strip(), match[0]), text)


def _kinds(kinds: list[str]) -> str:
    return ", ".join(kind.lower() for kind in kinds) or "nothing"
