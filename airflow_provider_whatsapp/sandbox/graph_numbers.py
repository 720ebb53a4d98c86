"""Phone numbers, accounts and business profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox import graph_analytics
from airflow_provider_whatsapp.sandbox.errors import GraphError
from airflow_provider_whatsapp.sandbox.graph_marketing import account_fields, disable_on_cloud_api
from airflow_provider_whatsapp.sandbox.health import health
from airflow_provider_whatsapp.sandbox.nodes import choose, page
from airflow_provider_whatsapp.sandbox.rules import check_product
from airflow_provider_whatsapp.sandbox.shape import Check, among, array, flag, link, obj, text
from airflow_provider_whatsapp.sandbox.webhooks import graph as webhooks
from airflow_provider_whatsapp.sandbox.wire import read_params

if TYPE_CHECKING:
    from airflow_provider_whatsapp.sandbox.model import Number
    from airflow_provider_whatsapp.sandbox.state import State
    from airflow_provider_whatsapp.sandbox.wire import Call

VERTICALS = (
    "OTHER", "AUTO", "BEAUTY", "APPAREL", "EDU", "ENTERTAIN", "EVENT_PLAN", "FINANCE", "GROCERY", "GOVT", "HOTEL",
    "HEALTH", "NONPROFIT", "PROF_SERVICES", "RETAIL", "TRAVEL", "RESTAURANT", "ALCOHOL", "ONLINE_GAMBLING",
    "PHYSICAL_GAMBLING", "OTC_DRUGS", "UNDEFINED", "NOT_A_BIZ",
)  # fmt: skip

_SETTABLE: dict[str, Check] = {
    "messaging_product": among("whatsapp"),
    "about": text(139),
    "address": text(256, least=0),
    "description": text(512, least=0),
    "email": text(128, least=0, pattern=r"|[^@\s]+@[^@\s]+\.[^@\s]+", wanted="an e-mail address"),
    "websites": array(link(256), least=0, most=2),
    "vertical": among(*VERTICALS),
    "profile_picture_handle": text(2048),
}
_PROFILE = obj(optional=_SETTABLE)
_READABLE = ("about", "address", "description", "email", "profile_picture_url", "websites", "vertical")
_NUMBER_DEFAULT = (
    "verified_name",
    "code_verification_status",
    "display_phone_number",
    "quality_rating",
    "platform_type",
    "throughput",
    "webhook_configuration",
    "id",
)
_NUMBER_EMPTY = (
    *("certificate", "conversational_automation", "new_certificate", "new_name_status", "username"),
)
"""Fields of a number that have no value in the sandbox; Graph leaves such fields out of its answer."""
_ACCOUNT_EMPTY = (
    *("audiences", "auth_international_rate_eligibility", "creation_time"),
    *("marketing_messages_ad_account", "on_behalf_of_business_info", "owner_business", "owner_business_info"),
    *("primary_funding_id", "purchase_order_number", "schedules", "solutions", "subscribed_apps"),
    "whatsapp_business_manager_messaging_limit",
)
_PIN = obj({"pin": text(6, pattern=r"\d{6}", wanted="six digits")})


def _describe(state: State, number: Number, version: tuple[int, int]) -> dict[str, Any]:
    limits = {"messaging_limit_tier": "TIER_UNLIMITED"}
    if version >= (24, 0):
        limits["whatsapp_business_manager_messaging_limit"] = "TIER_UNLIMITED"
    return {
        **dict.fromkeys(_NUMBER_EMPTY),
        "id": number.id,
        "display_phone_number": number.display,
        "verified_name": "WhatsApp Sandbox",
        "code_verification_status": "VERIFIED",
        "country_code": "US",
        "country_dial_code": "1",
        "quality_rating": "GREEN",
        "quality_score": {"score": "GREEN"},
        "status": "CONNECTED",
        "name_status": "APPROVED",
        "unified_cert_status": "APPROVED",
        "platform_type": "CLOUD_API",
        "host_platform": "CLOUD_API",
        "throughput": {"level": "STANDARD"},
        **limits,
        "account_mode": "SANDBOX",
        "is_official_business_account": False,
        "is_on_biz_app": False,
        "is_pin_enabled": number.pin,
        "is_preverified_number": False,
        "search_visibility": "NON_VISIBLE",
        "eligibility_for_api_business_global_search": "NON_ELIGIBLE",
        "last_onboarded_time": "2026-01-01T00:00:00+0000",
        **health(state, number.waba_id, number_id=number.id),
        "webhook_configuration": webhooks.configuration(state, number.id),
    }


def get_number(state: State, number_id: str, call: Call) -> dict[str, Any]:
    """``GET /{phone_number_id}``."""
    node = _describe(state, state.numbers[number_id], call.version)
    return choose(node, call.query.get("fields"), _NUMBER_DEFAULT, "WhatsAppBusinessPhoneNumber")


def set_number(state: State, number_id: str, call: Call) -> dict[str, Any]:
    """``POST /{phone_number_id}``: set the PIN of two-step verification, or the number's address for webhooks."""
    params = read_params(call)
    if "webhook_configuration" in params:
        return webhooks.configure_number(state, number_id, call, params["webhook_configuration"])
    if "pin" not in params:
        text = "The sandbox offers only pin here, the PIN of two-step verification, and webhook_configuration"
        raise GraphError(100, message=f"(#100) {text}")
    _PIN(params, "phone number")
    state.numbers[number_id].pin = True
    state.changed()
    return {"success": True}


def listing(state: State, waba_id: str, call: Call) -> dict[str, Any]:
    """``GET /{waba_id}/phone_numbers``."""

    def show(number: Number) -> dict[str, Any]:
        node = _describe(state, number, call.version)
        return choose(node, call.query.get("fields"), _NUMBER_DEFAULT, "WhatsAppBusinessPhoneNumber")

    numbers = [number for number in state.numbers.values() if number.waba_id == waba_id]
    return page(numbers, call, lambda number: number.id, show, most=100)


def get_account(state: State, waba_id: str, call: Call) -> dict[str, Any]:
    """``GET /{waba_id}``."""
    node = {
        **dict.fromkeys(_ACCOUNT_EMPTY),
        "id": waba_id,
        "name": "WhatsApp Sandbox",
        "currency": "USD",
        "timezone_id": "0",
        "country": "US",
        "account_review_status": "APPROVED",
        "business_verification_status": "verified",
        "ownership_type": "SELF_OWNED",
        "primary_business_location": "US",
        "status": "ACTIVE",
        "is_enabled_for_insights": state.accounts[waba_id].insights_since is not None,
        **graph_analytics.fields(state, waba_id, call.query.get("fields")),
        "is_shared_with_partners": False,
        **account_fields(state.accounts[waba_id]),
        "template_auto_archival_enabled": False,
        "message_template_namespace": "00000000_0000_4000_8000_000000000000",
        **health(state, waba_id),
    }
    default = ("id", "name", "currency", "timezone_id", "message_template_namespace")
    return choose(node, call.query.get("fields"), default, "WhatsAppBusinessAccount")


def set_account(state: State, waba_id: str, call: Call) -> dict[str, Any]:
    """``POST /{waba_id}``: switch template insights on, or marketing on ``/messages`` off or on."""
    params = read_params(call)
    if set(params) == {"is_enabled_for_insights"}:
        return graph_analytics.enable(state, waba_id, params["is_enabled_for_insights"])
    name = "disable_marketing_messages_on_cloud_api"
    if set(params) != {name}:
        raise GraphError(
            100, message=f"(#100) The sandbox offers only {name} and is_enabled_for_insights here"
        )
    flag(params[name], name)
    disable_on_cloud_api(state.accounts[waba_id], value=params[name] in (True, "true"))
    state.changed()
    return {"id": waba_id}


def get_profile(state: State, number_id: str, call: Call) -> dict[str, Any]:
    """``GET /{phone_number_id}/whatsapp_business_profile``; without ``fields``, it has hardly any content."""
    node: dict[str, Any] = dict.fromkeys(_READABLE) | {"vertical": "UNDEFINED"}
    node |= {"messaging_product": "whatsapp", "id": None, **state.numbers[number_id].profile}
    chosen = choose(node, call.query.get("fields"), (), "WhatsAppBusinessProfile")
    return {"data": [{**chosen, "messaging_product": "whatsapp"}]}


def set_profile(state: State, number_id: str, call: Call) -> dict[str, Any]:
    """``POST /{phone_number_id}/whatsapp_business_profile``: change the given fields only."""
    params = read_params(call)
    check_product(params)
    _PROFILE(params, "profile")
    profile = state.numbers[number_id].profile
    handle = params.get("profile_picture_handle")
    if handle is not None:
        if not state.handles.get(handle, "").startswith("image/"):
            raise GraphError(100, "profile_picture_handle is not the handle of an uploaded picture")
        profile["profile_picture_url"] = "https://pps.whatsapp.net/sandbox.jpg"
    profile |= {name: value for name, value in params.items() if name in _READABLE}
    return {"success": True}
