"""
Message templates in files beside the DAGs, reviewed like code: from a folder, through WhatsApp's review, to a phone.

Shows: a task that changes an account's templates to what the folder `templates` defines; a deferrable wait for
WhatsApp's review; a message by one of them, whose values have the names from the file; an asset for each approved
template, on which other DAGs can be scheduled. The same files work in CI:
`python -m airflow_provider_whatsapp templates plan example_dags/templates` prints what would change.

Needs: the connection `maton_whatsapp_default` with phone_number_id and waba_id in its extra.
"""

from __future__ import annotations

from airflow.sdk import AssetAlias, Param, dag

from airflow_provider_whatsapp.operators.messages import SendTemplateOperator
from airflow_provider_whatsapp.operators.templates import SyncTemplatesOperator


@dag(
    schedule=None,
    catchup=False,
    params={"to": Param("+1 555 010 0199", type="string", title="Recipient")},
    tags=["whatsapp", "example"],
    doc_md=__doc__,
)
def templates_as_code() -> None:
    sync = SyncTemplatesOperator(
        task_id="sync",
        templates="templates",  # a relative path starts at this file's folder
        wait_for_approval=True,
        deferrable=True,
        poke_interval=5,
        approval_timeout=24 * 3600,
        on_drift="warn",
        outlets=[AssetAlias("whatsapp_templates")],
    )
    send = SendTemplateOperator(
        task_id="send",
        to="{{ params.to }}",
        template_name="pipeline_late",
        language="pt_BR",
        body={"dag_id": "{{ dag.dag_id }}", "minutes": "45"},
    )
    sync >> send


templates_as_code()
