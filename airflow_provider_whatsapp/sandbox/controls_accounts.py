"""Controls for business accounts: what Meta decides about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox import graph_marketing
from airflow_provider_whatsapp.sandbox.control_fields import ControlError, flag, one_of, text

if TYPE_CHECKING:
    from airflow_provider_whatsapp.sandbox.state import State


def change(state: State, given: dict[str, Any]) -> dict[str, Any]:
    """``POST accounts``: set an account's onboarding, its refusal of marketing on ``/messages``, or its insights."""
    unknown = set(given) - {"waba_id", "onboarding", "refuse_marketing", "insights"}
    if unknown:
        raise ControlError(f"Unknown field {min(unknown)}")
    waba_id = text(given, "waba_id", required=False) or state.settings.waba_id
    if waba_id not in state.accounts:
        raise ControlError("There is no such waba_id", 404)
    account = state.accounts[waba_id]
    onboarding = one_of(given, "onboarding", graph_marketing.ONBOARDING)
    refuses = flag(given, "refuse_marketing")
    account.onboarding = onboarding or account.onboarding
    account.refuses_marketing = account.refuses_marketing if refuses is None else refuses
    insights = flag(given, "insights")  # unlike Meta's, they can be switched off
    if insights is not None and insights != (account.insights_since is not None):
        account.insights_since = state.clock.now() if insights else None
    state.changed()
    return {
        "waba_id": waba_id,
        "onboarding": account.onboarding,
        "refuse_marketing": account.refuses_marketing,
        "insights": account.insights_since is not None,
        "disable_marketing_messages_on_cloud_api": account.cloud_marketing_off,
    }
