"""Message templates of the account: list, look up, create, edit, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import (
    OutcomeUnknownError,
    PayloadError,
    ServerError,
    WhatsAppError,
)
from airflow_provider_whatsapp.client.masking import MAX_QUOTE, clean_line
from airflow_provider_whatsapp.client.messages.template import Template
from airflow_provider_whatsapp.client.resources.base import Resource, graph_id, objects

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FIELDS = (
    "id,name,language,status,category,previous_category,correct_category,sub_category,components,parameter_format,"
    "quality_score,rejected_reason,message_send_ttl_seconds,library_template_name"
)
"""The requested fields; Graph leaves out ``rejected_reason`` and ``quality_score`` unless they are requested."""

PAGE_SIZE = 100
CATEGORIES = ("AUTHENTICATION", "MARKETING", "UTILITY")
_GOING = ("PENDING_DELETION", "DELETED")

_WORDS = (
    *("name", "language", "status", "category", "previous_category", "correct_category", "sub_category"),
    *("parameter_format", "rejected_reason", "library_template_name"),
)
"""The fields of a template that are words or reasons; its texts are in ``components``."""

_NESTED = ("components", "buttons", "cards")
_FORM: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(
        ("name", "language", "status", "category", "type", "format", "text", "url", "phone_number"), str
    ),
    **dict.fromkeys(("id", "rejected_reason", "parameter_format", "source", "last_updated_time"), (str, int)),
    **dict.fromkeys(("previous_category", "correct_category", "sub_category", "library_template_name"), str),
    **dict.fromkeys(_NESTED, list),
    "example": (dict, list, str),
}
"""The types of a template's fields on which code relies."""

_DOUBT = "The template may have been changed: list it before you try again."


class Templates(Resource):
    """Templates of the configured WhatsApp Business Account."""

    def list(
        self,
        *,
        name: str | None = None,
        name_or_content: str | None = None,
        content: str | None = None,
        status: str | Sequence[str] | None = None,
        category: str | Sequence[str] | None = None,
        language: str | Sequence[str] | None = None,
        quality_score: str | Sequence[str] | None = None,
        source: str | None = None,
        since: int | None = None,
        until: int | None = None,
        fields: str = FIELDS,
        page_size: int = PAGE_SIZE,
    ) -> Iterator[dict[str, Any]]:
        """
        Yield templates as Graph describes them; a page is requested when you reach it.

        :param name: Exact name (Meta also returns names that contain it; this method drops those).
        :param name_or_content: Text in the name or the content.
        :param content: Text in the content.
        :param status: One or several, such as ``"APPROVED"``, in any case, as are category and quality.
        :param category: One or several of ``AUTHENTICATION``, ``MARKETING``, ``UTILITY``.
        :param language: One or several codes, such as ``"en_US"``.
        :param quality_score: One or several of ``GREEN``, ``YELLOW``, ``RED``, ``UNKNOWN``.
        :param source: ``AUTO_GENERATED`` or ``MANUAL``.
        :param since: The earliest time, as Unix time in seconds.
        :param until: The latest time, as Unix time in seconds.
        :param fields: Names of the fields to return, separated by commas.
        :param page_size: Templates per request.
        :raises ConfigurationError: No ``waba_id`` is set.
        :raises APIError: WhatsApp or the gateway refused.
        """
        query: dict[str, Any] = {
            "name": name,
            "name_or_content": name_or_content,
            "content": content,
            "status": _keywords(status),
            "category": _keywords(category),
            "language": _one_or_list(language),
            "quality_score": _keywords(quality_score),
            "source": source,
            "since": since,
            "until": until,
            "fields": fields,
            "limit": page_size,
        }
        exact = {key: query[key] for key in ("name", "status", "category", "language")}
        for template in self._pages(self._path(), query):
            check_form(template)
            _in_lines(template)
            if all(_matches(template.get(key), wanted) for key, wanted in exact.items()):
                yield template

    def get(self, template_id: str, *, fields: str = FIELDS) -> dict[str, Any]:
        """
        Return one template.

        :param template_id: ID of the template.
        :param fields: Names of the fields to return, separated by commas.
        :raises NotFoundError: No template has this ID.
        """
        template = self._call("GET", graph_id(template_id, "template_id"), query={"fields": fields})
        if not template.get("id"):  # Graph returns it with any fields
            raise ServerError("the gateway's answer contains no template", advice="Try again later.")
        check_form(template)
        _in_lines(template)
        return template

    def find(self, name: str, language: str, *, fields: str = FIELDS) -> dict[str, Any] | None:
        """
        Return the template with this name and language; None: the account has none.

        :param name: Name of the template.
        :param language: Its language, such as ``"en_US"``; ``en`` and ``en_US`` are different templates.
        :param fields: Names of the fields to return, separated by commas.
        """
        return next(self.list(name=name, language=language, fields=fields), None)

    def create(
        self,
        *,
        name: str,
        language: str,
        category: str,
        components: Sequence[dict[str, Any]] | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """
        Submit a template to Meta's review and return its ``id``, ``status`` and ``category``.

        The returned category may differ from the requested one. If the answer is lost, the method looks whether the
        template exists.

        :param name: Lower-case letters, digits and underscores, at most 512.
        :param language: Code, such as ``"en_US"``.
        :param category: ``AUTHENTICATION``, ``MARKETING`` or ``UTILITY``.
        :param components: Graph's own components; every text with a variable needs an ``example``. None is allowed only
            for a template of Meta's library.
        :param options: Further fields, named as in Graph: ``parameter_format``, ``message_send_ttl_seconds``,
            ``library_template_name`` and so on.
        :raises PayloadError: Name, language or category breaks a rule; nothing was created.
        :raises InvalidRequestError: Meta refused it; ``details`` and ``subcode`` say why.
        """
        Template(name, language)  # refuses a malformed name or language
        _check_renamed(options)
        _check_category(category)
        if components is None and "library_template_name" not in options:
            raise PayloadError(
                "is missing", field="components", advice="A template needs at least a BODY component."
            )
        body = {"name": name, "language": language, "category": category, **options}
        if components is not None:
            body["components"] = list(components)
        try:
            return _confirmed(self._call("POST", self._path(), json=body, doubt=_DOUBT), "id")
        except OutcomeUnknownError:
            found = self._look(name, language)
            if found is None:
                raise
            return {key: found.get(key) for key in ("id", "status", "category")}

    def _look(self, name: str, language: str) -> dict[str, Any] | None:
        """Return the template if it can be found; if the look-up fails, None leaves the question open."""
        try:
            found = self.find(name, language)
        except WhatsAppError:
            return None
        return found if found and str(found.get("status")).upper() not in _GOING else None

    def edit(self, template_id: str, **changes: Any) -> dict[str, Any]:
        """
        Change a template that is approved, rejected or paused; Meta reviews it again.

        An approved template can be edited once in 24 hours and 10 times in 30 days.

        :param template_id: ID of the template.
        :param changes: ``components`` (all of them), ``category``, ``message_send_ttl_seconds`` and so on; never name
            or language.
        :raises InvalidRequestError: Meta refused it; ``details`` and ``subcode`` say why.
        :raises OutcomeUnknownError: The answer was lost; the edit may have been made.
        """
        if not changes:
            raise PayloadError(
                "nothing to change", field="changes", advice="Pass components= or another field."
            )
        _check_renamed(changes)
        answer = self._call("POST", graph_id(template_id, "template_id"), json=changes, doubt=_DOUBT)
        return _confirmed(answer, "success", "id")

    def delete(self, *, name: str, template_id: str | None = None) -> None:
        """
        Delete a template in all its languages, or in one.

        The name of an approved template cannot be used again for 30 days.

        :param name: Name of the template.
        :param template_id: ID of the template in one language; None: delete all languages of the name.
        :raises APIError: Meta refused, or the template does not exist.
        """
        Template(name)  # refuses a malformed name
        hsm_id = graph_id(template_id, "template_id") if template_id is not None else None
        self._call("DELETE", self._path(), query={"name": name, "hsm_id": hsm_id})

    def library(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """
        Yield templates of Meta's library, which can be created by ``library_template_name``.

        :param filters: ``search``, ``topic``, ``usecase``, ``industry`` and ``language``.
        """
        return self._pages("message_template_library", filters)

    def _path(self) -> str:
        return f"{self._config.require('waba_id')}/message_templates"


def _confirmed(answer: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Return an answer with one of these keys; without them, the outcome is unknown."""
    if not any(answer.get(key) for key in keys):
        raise OutcomeUnknownError(f"the answer was a success without {' or '.join(keys)}", advice=_DOUBT)
    return answer


def _check_category(category: str) -> None:
    if category not in CATEGORIES:
        raise PayloadError(
            f"{category!r}", field="category", limit=", ".join(CATEGORIES), doc="Template fundamentals"
        )


def _check_renamed(fields: Mapping[str, Any]) -> None:
    """Refuse a name that Meta no longer accepts, before Meta answers that a key is unexpected."""
    if "bid_spec" in fields:
        raise PayloadError(
            "has been called optimization_spec on a template since 31 July 2026",
            field="bid_spec",
            doc="Marketing Messages API changelog",
            advice="Rename it; a message keeps bid_spec.",
        )


def check_form(template: dict[str, Any]) -> None:
    """Check that a template has Graph's form, as far as this package relies on it, or raise ServerError."""
    rest = [template]
    while rest:
        node = rest.pop()
        for key, value in node.items():
            if value is None or key not in _FORM:
                continue
            if not isinstance(value, _FORM[key]):
                raise ServerError(
                    f"the gateway's answer contains a template whose {key} has another type",
                    advice="Try again later.",
                )
            if key in _NESTED:
                rest += objects(value)


def _in_lines(template: dict[str, Any]) -> None:
    """Make the words about a template short lines, in place, because errors, logs and plans quote them."""
    for key in _WORDS:
        value = template.get(key)
        if isinstance(value, str) and not (
            value.isascii() and value.isprintable() and len(value) <= MAX_QUOTE
        ):
            template[key] = clean_line(value, masked=False)


def _one_or_list(value: str | Sequence[str] | None) -> str | list[str] | None:
    return value if value is None or isinstance(value, str) else list(value)


def _keywords(value: str | Sequence[str] | None) -> str | list[str] | None:
    """Return Graph's keywords in capitals, the only form in which Graph finds them."""
    found = _one_or_list(value)
    return [each.upper() for each in found] if isinstance(found, list) else found and found.upper()


def _matches(actual: Any, wanted: str | Sequence[str] | None) -> bool:
    if wanted is None or actual is None:
        return True
    return actual == wanted if isinstance(wanted, str) else actual in wanted
