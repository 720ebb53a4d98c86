"""
One switch for all DAGs: alerts by WhatsApp for every task, without a line in any DAG.

In ``airflow_local_settings.py``, on every machine that parses DAGs or runs tasks:

.. code-block:: python

    from airflow_provider_whatsapp.cluster_policy import task_policy

and in Airflow's configuration, without which nothing happens:

.. code-block:: ini

    [whatsapp]
    alert_to = +15550001111
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp._compat import conf

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

    from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

__all__ = ["task_policy"]

logger = logging.getLogger(__name__)

SECTION = "whatsapp"


def task_policy(task: BaseOperator) -> None:
    """
    Give a task the notifier of the ``[whatsapp]`` section, unless it has one of its own or nothing is configured.

    It logs a mistake in the section, which stops no DAG from being parsed.

    :param task: A task of a DAG that has just been parsed.
    """
    to, routes = _text("alert_to"), _text("alert_routes")
    if not to and not routes:
        return
    from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

    present: Any = task.on_failure_callback or []
    callbacks = list(present) if isinstance(present, list | tuple) else [present]
    if any(isinstance(callback, WhatsAppNotifier) for callback in callbacks):
        return
    try:
        notifier = _notifier(to, routes)
    except Exception as error:
        msg = "WhatsApp: no alerts by the cluster policy, because the [whatsapp] section is wrong: %s"
        logger.error(msg, error)  # noqa: TRY400
        return
    task.on_failure_callback = [*callbacks, notifier]


def _notifier(to: str | None, routes: str | None) -> WhatsAppNotifier:
    from airflow_provider_whatsapp.notifications.whatsapp import STOCK_TEMPLATE, WhatsAppNotifier

    optional: dict[str, Any] = {
        "text": _text("alert_text"),
        "severity": _text("alert_severity") if routes else None,
        "language": _text("alert_language"),
        "maton_conn_id": _text("alert_conn_id"),
        "cooldown": _number("alert_cooldown"),
        "escalate_to": _text("alert_escalate_to"),
        "escalate_after": _number("alert_escalate_after"),
    }
    given = {name: value for name, value in optional.items() if value is not None}
    return WhatsAppNotifier(
        to=to, routes=routes, template_name=_text("alert_template") or STOCK_TEMPLATE, **given
    )


def _text(option: str) -> str | None:
    return (conf.get(SECTION, option, fallback="") or "").strip() or None


def _number(option: str) -> float | None:
    text = _text(option)
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        logger.error("WhatsApp: [whatsapp] %s is not a number; the default is used", option)  # noqa: TRY400
        return None
