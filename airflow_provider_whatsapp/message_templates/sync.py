"""Templates as code, from end to end: read the files and the account, plan, apply, pull."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.message_templates.account import read_account
from airflow_provider_whatsapp.message_templates.definition import listed_key
from airflow_provider_whatsapp.message_templates.plan import make_plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
    from airflow_provider_whatsapp.message_templates.blocks import Record
    from airflow_provider_whatsapp.message_templates.files import TemplateSet
    from airflow_provider_whatsapp.message_templates.plan import Plan


MARKETING = "MARKETING"
SHOWN = 10
"""Templates that a warning names."""


def plan_templates(
    client: WhatsAppClient,
    wanted: TemplateSet,
    *,
    prune: bool = False,
    record: Record | None = None,
    now: float | None = None,
) -> Plan:
    """
    Read the account once and compare it with the files.

    :param client: The account's client.
    :param wanted: What the files define.
    :param prune: Plan the deletion of what the files cover and no longer define.
    :param record: Earlier edits and deletions.
    :param now: Unix time in seconds; None: the machine's clock.
    :raises APIError: WhatsApp or the gateway refused; a refusal to say whether the account is onboarded for marketing
        only leaves its warning out.
    """
    moment = time.time() if now is None else now
    listed = read_account(client)
    plan = make_plan(wanted, listed, now=moment, prune=prune, record=record)
    return replace(plan, warnings=_marketing_warnings(client, wanted, listed))


def _marketing_warnings(
    client: WhatsAppClient, wanted: TemplateSet, listed: Iterable[Mapping[str, Any]]
) -> tuple[str, ...]:
    """Say of marketing templates that the account is not onboarded for them; one request, where there are any."""
    found = {key for key, definition in wanted.definitions.items() if definition.category == MARKETING} | {
        key
        for row in listed
        if row.get("category") == MARKETING and (key := listed_key(row)) in wanted.definitions
    }
    if not found:
        return ()
    try:
        status = client.account.marketing_status()
    except WhatsAppError:  # it is no part of the plan
        return ()
    if status.onboarded or status.onboarding is None:
        return ()
    names = ", ".join(f"{name} ({language})" for name, language in sorted(found)[:SHOWN])
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    warning = (
        "marketing goes by /messages, since the account is not onboarded to the Marketing Messages API "
        f"({status.onboarding}): {names}{more}. From October 2027 on /messages is expected to refuse it: accept the "
        "terms in WhatsApp Manager."
    )
    return (warning,)
