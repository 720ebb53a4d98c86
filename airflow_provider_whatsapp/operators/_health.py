"""Whether WhatsApp lets anybody have a broadcast, asked before its first message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
    from airflow_provider_whatsapp.delivery.approved import Approved


def check_health(client: WhatsAppClient, approved: Approved | None, log: Any, *, stop: bool = True) -> None:
    """
    Refuse what is certain to fail, and warn of limits; what cannot be read, or not in time, stops nothing.

    One request, the number's, which names account, business and app as well; the template's health came with its
    look-up. Where that was refused the number's would be too, and the look-up has cost the request.

    :param client: The hook's.
    :param approved: The template as it was looked up; None: it was not.
    :param log: The task's log.
    :param stop: Refuse; False: warn only, since nothing will be sent.
    :raises AccountError: Number, template, account, business or app is BLOCKED.
    """
    from airflow_provider_whatsapp.client.resources.health import number_health

    if approved is not None and approved.health is None:
        log.info("WhatsApp: this connection may not read health_status; the broadcast goes on without it.")
        return
    found = number_health(client).joined(approved.health if approved is not None else None)
    if found.of("BLOCKED") and stop:
        found.check()
    say = log.warning if found.state in ("BLOCKED", "LIMITED") else log.info
    say("WhatsApp health: %s", found.describe())
