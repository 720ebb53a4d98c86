"""
Assets of approved templates, so that a DAG can be scheduled on one.

A task names its assets in ``outlets``. Use the asset itself if you know account, name and language when you write the
DAG, and an alias if you do not:

.. code-block:: python

    from airflow.sdk import AssetAlias

    from airflow_provider_whatsapp.assets import template_asset
    from airflow_provider_whatsapp.operators.templates import SyncTemplatesOperator
    from airflow_provider_whatsapp.sensors.templates import TemplateApprovalSensor

    SyncTemplatesOperator(task_id="sync", templates="templates", outlets=[AssetAlias("whatsapp")])
    TemplateApprovalSensor(
        task_id="wait",
        template_name="late",
        language="en_US",
        outlets=[template_asset("102290129340398", "late", "en_US")],
    )
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow.sdk import Asset, BaseOperator, Context

    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

_FACTS = ("id", "name", "language", "status", "category")


def template_asset(waba_id: str, name: str, language: str) -> Asset:
    """
    Return the asset of a template: ``whatsapp://{waba_id}/template/{name}/{language}``.

    :param waba_id: WhatsApp Business Account.
    :param name: The template's name.
    :param language: Its language.
    """
    from airflow.sdk import Asset

    return Asset(uri=template_uri(waba_id, name, language))


def template_uri(waba_id: str, name: str, language: str) -> str:
    """
    Return the URI of a template's asset.

    :param waba_id: WhatsApp Business Account.
    :param name: The template's name.
    :param language: Its language.
    """
    return f"whatsapp://{waba_id}/template/{name}/{language}"


def emit_templates(
    operator: BaseOperator, context: Context, hook: MatonWhatsAppHook, templates: Iterable[Mapping[str, Any]]
) -> None:
    """Make events of approved templates through a task's outlets; without outlets nothing happens."""
    # An alias gets an event for each template; an asset's event, which Airflow makes at the task's end, gets its facts.
    if not operator.outlets:
        return
    from airflow.sdk import Asset, AssetAlias

    waba_id = hook.client.config.require("waba_id")
    events: Any = context["outlet_events"]
    for row in templates:
        asset = template_asset(waba_id, str(row.get("name")), str(row.get("language")))
        facts = {key: row[key] for key in _FACTS if row.get(key) is not None}
        for outlet in operator.outlets:
            if isinstance(outlet, AssetAlias):
                events[outlet].add(asset, extra=facts)
            elif isinstance(outlet, Asset) and outlet.uri == asset.uri:
                events[outlet].extra = facts
