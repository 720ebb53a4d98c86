"""Ready-made templates to clone; their texts are the sandbox's own, because Meta does not publish its list."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox.errors import GraphError
from airflow_provider_whatsapp.sandbox.nodes import choose, page
from airflow_provider_whatsapp.sandbox.shape import anything, array, flag, link, obj, text, whole
from airflow_provider_whatsapp.sandbox.template_rules import LENGTH, refuse

if TYPE_CHECKING:
    from airflow_provider_whatsapp.sandbox.shape import Check
    from airflow_provider_whatsapp.sandbox.state import State
    from airflow_provider_whatsapp.sandbox.wire import Call

FIELDS = ("library_template_name", "library_template_button_inputs", "library_template_body_inputs")
"""Fields of a request to clone, instead of components."""

_URL = {"type": "URL", "text": "View details", "url": "https://www.example.com/{{1}}"}
_PHONE = {"type": "PHONE_NUMBER", "text": "Call us", "phone_number": "+15550100100"}


_ENTRIES: list[dict[str, Any]] = [
    {
        "name": "delivery_on_its_way", "topic": "ORDER_MANAGEMENT", "usecase": "SHIPMENT_CONFIRMATION",
        "header": "On its way", "buttons": [_URL], "body_params": ["Ann", "A-1001", "Friday"],
        "body": "Hi {{1}}, your order {{2}} has left our warehouse and should reach you by {{3}}.",
    },
    {
        "name": "payment_is_due", "topic": "PAYMENTS", "usecase": "PAYMENT_DUE_REMINDER",
        "header": "Payment reminder", "buttons": [_URL, _PHONE], "body_params": ["Ann", "$10.99", "1 March"],
        "body": "Hi {{1}}, a payment of {{2}} is due on {{3}}. Thank you for your business.",
    },
    {
        "name": "visit_is_booked", "topic": "EVENT_REMINDER", "usecase": "APPOINTMENT_CONFIRMATION",
        "header": "See you soon", "buttons": [_PHONE], "body_params": ["Ann", "1 March"],
        "body": "Hi {{1}}, your visit on {{2}} is booked. Tell us if you cannot make it.",
    },
    {
        "name": "low_balance_notice", "topic": "ACCOUNT_UPDATES", "usecase": "LOW_BALANCE_WARNING",
        "header": "Low balance", "buttons": [], "body_params": ["Ann", "1234", "$10.99"],
        "body": "Hi {{1}}, the balance of your account ending in {{2}} is below {{3}} now.",
    },
]  # fmt: skip

LIBRARY: dict[str, dict[str, Any]] = {
    entry["name"]: {
        "id": str(7_000_000_000_000_001 + index),
        "language": "en_US",
        "category": "UTILITY",
        "industry": ["E_COMMERCE", "FINANCIAL_SERVICES"],
        "body_param_types": ["TEXT"] * len(entry["body_params"]),
        **entry,
    }
    for index, entry in enumerate(_ENTRIES)
}
"""The library's entries by name, as it lists them."""

_URL_INPUT = obj(
    {"type": anything, "url": obj({"base_url": link(2_000)}, {"url_suffix_example": link(2_000)})}
)
_PHONE_INPUT = obj({"type": anything, "phone_number": text(20, pattern=r"\+?[0-9 ()-]+")})
_BODY_INPUTS = obj(
    optional={
        **dict.fromkeys(
            (
                "add_contact_number",
                "add_learn_more_link",
                "add_security_recommendation",
                "add_track_package_link",
            ),
            flag,
        ),
        "code_expiration_minutes": whole(1, 90),
    }
)


def _button_input(value: Any, where: str) -> None:
    kind = value.get("type") if isinstance(value, dict) else None
    forms: dict[Any, Check] = {"URL": _URL_INPUT, "PHONE_NUMBER": _PHONE_INPUT}
    forms.get(kind if isinstance(kind, str) else None, _URL_INPUT)(value, where)


_BUTTON_INPUTS = array(_button_input, least=0, most=10)


def listing(state: State, name: str, call: Call) -> dict[str, Any]:  # noqa: ARG001
    """``GET /message_template_library``, by ``search``, ``topic``, ``usecase``, ``industry`` and ``language``."""
    query = call.query
    words = query.get("search", "").lower()
    found = [
        entry
        for entry in LIBRARY.values()
        if words in f"{entry['name']} {entry['body']}".lower()
        and query.get("topic", entry["topic"]).upper() == entry["topic"]
        and query.get("usecase", entry["usecase"]).upper() == entry["usecase"]
        and ("industry" not in query or query["industry"].upper() in entry["industry"])
        and query.get("language", entry["language"]) == entry["language"]
    ]

    def show(entry: dict[str, Any]) -> dict[str, Any]:
        return choose(entry, query.get("fields"), tuple(entry), "WhatsAppMessageTemplateLibrary")

    return page(found, call, lambda entry: str(entry["id"]), show)


def clone(params: dict[str, Any], category: str) -> list[dict[str, Any]]:
    """Return the components of a template cloned from the library."""
    entry = LIBRARY.get(str(params["library_template_name"]))
    if entry is None:
        raise GraphError(100, message="(#100) There is no such library_template_name")
    if "components" in params:
        raise GraphError(100, message="(#100) components cannot be given with library_template_name")
    if category != entry["category"] or params["language"] != entry["language"]:
        raise GraphError(100, message="(#100) category and language must be those of the library's entry")
    _BODY_INPUTS(params.get("library_template_body_inputs", {}), "library_template_body_inputs")
    buttons = _buttons(entry, params.get("library_template_button_inputs", []))
    body = {"type": "BODY", "text": entry["body"], "example": {"body_text": [entry["body_params"]]}}
    header = {"type": "HEADER", "format": "TEXT", "text": entry["header"]}
    return [header, body, *([{"type": "BUTTONS", "buttons": buttons}] if buttons else [])]


def _buttons(entry: dict[str, Any], given: Any) -> list[dict[str, Any]]:
    _BUTTON_INPUTS(given, "library_template_button_inputs")
    kinds = [button["type"] for button in entry["buttons"]]
    if [each["type"] for each in given] != kinds:
        wanted = ", ".join(kinds) or "none"
        raise GraphError(100, message=f"(#100) library_template_button_inputs must be for: {wanted}")
    made: list[dict[str, Any]] = []
    for button, each in zip(copy.deepcopy(entry["buttons"]), given, strict=True):
        if button["type"] == "PHONE_NUMBER":
            button["phone_number"] = each["phone_number"]
        else:
            url = each["url"]
            button["url"] = url["base_url"]
            if re.search(r"\{\{1\}\}$", url["base_url"]):
                if "url_suffix_example" not in url:
                    raise refuse(LENGTH, "Example missing", "A URL with a variable needs url_suffix_example")
                button["example"] = [url["url_suffix_example"]]
            else:
                button.pop("example", None)
        made.append(button)
    return made
