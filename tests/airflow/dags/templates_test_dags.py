"""DAGs that keep templates as code, wait for them, and are scheduled on them."""

from __future__ import annotations

import pendulum
from airflow.sdk import Asset, AssetAlias, AssetWatcher, dag

from airflow_provider_whatsapp.assets import template_asset
from airflow_provider_whatsapp.operators.templates import SyncTemplatesOperator
from airflow_provider_whatsapp.sensors.messages import MessageStatusSensor
from airflow_provider_whatsapp.sensors.templates import TemplateApprovalSensor
from airflow_provider_whatsapp.triggers.templates import TemplateStatusTrigger

OPTIONS = {"schedule": None, "catchup": False, "start_date": pendulum.datetime(2026, 1, 1)}
WABA = "102290129340398"
NAMED = {
    "name": "named",
    "category": "UTILITY",
    "parameters": {"dag_id": {"example": "daily"}, "ds": {"example": "2026-01-01"}},
    "languages": {"en_US": {"body": "Run {{dag_id}} of {{ ds }} is late."}},
}
NUMBERED = {
    "name": "numbered",
    "category": "UTILITY",
    "parameters": {"1": {"example": "daily"}},
    "languages": {"en_US": {"body": "Run {{1}} is late.", "footer": "Data team"}},
}


def sync_dag(name, **options):
    @dag(f"sync_{name}", **OPTIONS)
    def sync():
        SyncTemplatesOperator(
            task_id="sync", **{"templates": [NAMED, NUMBERED], "poke_interval": 0.1, **options}
        )

    sync()


sync_dag("list")
sync_dag("relative", templates="templates_as_files")
sync_dag("dry_run", dry_run=True)
sync_dag("pull", templates="/nowhere", direction="pull")
sync_dag("wait", wait_for_approval=True, approval_timeout=20, outlets=[AssetAlias("whatsapp_made")])
sync_dag(
    "wait_deferrable",
    wait_for_approval=True,
    approval_timeout=20,
    deferrable=True,
    outlets=[AssetAlias("whatsapp_made")],
)
sync_dag("drift_fails", on_drift="fail", retries=2, retry_delay=0)
sync_dag("retries", retries=2, retry_delay=0)
sync_dag("mistaken", templates=[{**NAMED, "categori": "UTILITY"}], retries=2, retry_delay=0)


def wait_dag(name, **options):
    @dag(f"await_{name}", **OPTIONS)
    def wait():
        TemplateApprovalSensor(task_id="wait", **{"poke_interval": 0.1, "timeout": 20, **options})

    wait()


BOTH = [{"name": "awaited", "language": "en_US"}, {"name": "other", "language": "en_US"}]
for kind in ("poke", "deferrable"):
    common = {"deferrable": kind == "deferrable"}
    wait_dag(f"both_{kind}", templates=BOTH, **common)
    wait_dag(f"category_{kind}", template_name="awaited", category="UTILITY", **common)
    wait_dag(f"category_warns_{kind}", template_name="awaited", category="UTILITY", on_drift="warn", **common)
    wait_dag(f"short_{kind}", template_name="awaited", **{**common, "timeout": 0.5})
    outlets = [template_asset(WABA, "awaited", "en_US"), AssetAlias("whatsapp_awaited")]
    wait_dag(f"asset_{kind}", template_name="awaited", outlets=outlets, **common)


def status_dag(name, **options):
    @dag(f"status_{name}", **OPTIONS)
    def status():
        ids = ["{{ dag_run.conf['id'] }}"]
        MessageStatusSensor(
            task_id="wait", message_ids=ids, **{"poke_interval": 0.1, "timeout": 20, **options}
        )

    status()


for kind in ("poke", "deferrable"):
    status_dag(f"sent_{kind}", status="sent", deferrable=kind == "deferrable")
    status_dag(f"read_{kind}", status="read", deferrable=kind == "deferrable")
    status_dag(f"soft_{kind}", status="read", deferrable=kind == "deferrable", soft_fail=True)
status_dag("wrong", status="seen")

watched = Asset(
    "watched_template",
    watchers=[
        AssetWatcher(name="approval", trigger=TemplateStatusTrigger(template_name="awaited", waba_id=WABA))
    ],
)


@dag("scheduled_on_a_template", **{**OPTIONS, "schedule": [watched]})
def scheduled_on_a_template():
    SyncTemplatesOperator(task_id="look", templates=[NAMED], dry_run=True)


scheduled_on_a_template()
