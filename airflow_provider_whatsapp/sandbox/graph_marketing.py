"""The Marketing Messages API: which account may use it, what it accepts, and what ``/messages`` then refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox.errors import GraphError
from airflow_provider_whatsapp.sandbox.shape import Check, among, flag, number, obj

if TYPE_CHECKING:
    from airflow_provider_whatsapp.sandbox.model import Account, Template

ONBOARDED = "ONBOARDED"
ONBOARDING = (
    "ELIGIBLE", ONBOARDED, "PENDING_VALID_PAYMENT_METHOD", "PENDING_INTERNAL_SETUP", "INELIGIBLE_ON_BEHALF_OF_WABA",
    "INELIGIBLE_INACTIVE_OR_RESTRICTED", "INELIGIBLE_COUNTRY_NOT_SUPPORTED", "INELIGIBLE_USING_WHATSAPP_BUSINESS_APP",
)  # fmt: skip
"""Values of ``marketing_messages_onboarding_status``."""
_BEGUN = (ONBOARDED, "PENDING_VALID_PAYMENT_METHOD", "PENDING_INTERNAL_SETUP")

OPTIONS: dict[str, Check] = {
    "product_policy": among("CLOUD_API_FALLBACK", "STRICT"),
    "message_activity_sharing": flag,
    "bid_spec": obj({"per_message_bid_multiplier": number(0, 100)}),
}
"""What a request to this endpoint may hold besides what ``/messages`` accepts."""


def account_fields(account: Account) -> dict[str, Any]:
    """Return the fields of an account's node about marketing messages."""
    older = account.onboarding if account.onboarding in ("ELIGIBLE", ONBOARDED) else "INELIGIBLE"
    return {
        "marketing_messages_lite_api_status": older,
        "marketing_messages_onboarding_status": account.onboarding,
        "disable_marketing_messages_on_cloud_api": account.cloud_marketing_off,
    }


def disable_on_cloud_api(account: Account, *, value: bool) -> None:
    """Set ``disable_marketing_messages_on_cloud_api``, which has no effect before the onboarding has begun."""
    if account.onboarding in _BEGUN:
        account.cloud_marketing_off = value


def take_options(params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Separate a request to ``/marketing_messages`` into the endpoint's own options and the message."""
    options = {name: value for name, value in params.items() if name in OPTIONS}
    plain = {name: value for name, value in params.items() if name not in OPTIONS}
    if plain.get("type") != "template":
        raise _only_marketing(131055)
    if "recipient_type" in plain:
        among("individual")(plain["recipient_type"], "recipient_type")
    for name, value in options.items():
        OPTIONS[name](value, name)
    return options, plain


def price_of(
    account: Account, template: Template, options: dict[str, Any] | None, version: tuple[int, int]
) -> str:
    """Return the category in which a template is charged, if the endpoint accepts it."""
    if options is None:  # a call of /messages
        return _by_cloud_api(account, template)
    if template.category != "MARKETING":
        raise _only_marketing(134100 if version >= (23, 0) else 131055)
    if "bid_spec" in options and not has_max_price(template):
        raise GraphError(100, "bid_spec is for templates with a max price (optimization_spec)")
    if account.onboarding == ONBOARDED:
        return "marketing_lite"
    if options.get("product_policy") == "STRICT":
        raise GraphError(134102, f"The account is not onboarded ({account.onboarding})")
    return _by_cloud_api(account, template, fallback=True)


def has_max_price(template: Template) -> bool:
    """Return whether a template has a max price, so that only the Marketing Messages API accepts it."""
    return bool(template.options.get("optimization_spec"))


def _by_cloud_api(account: Account, template: Template, *, fallback: bool = False) -> str:
    marketing = template.category == "MARKETING"
    if marketing and (account.cloud_marketing_off or account.refuses_marketing):
        what = "The fallback to Cloud API is blocked" if fallback else "Use /marketing_messages"
        raise GraphError(131063, f"Marketing templates are switched off on Cloud API. {what}")
    if marketing and has_max_price(template) and not fallback:
        raise GraphError(131061, "The template has a max price: use /marketing_messages")
    return template.category.lower()


def _only_marketing(code: int) -> GraphError:
    return GraphError(code, "This endpoint accepts only marketing templates")
