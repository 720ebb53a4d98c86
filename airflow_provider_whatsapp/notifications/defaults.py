"""What the notifier sends by default: all of an alert that a DAG file imports when Airflow parses it."""

from __future__ import annotations

STOCK_TEMPLATE = "airflow_alert"
"""The template defined beside this module; the notifier fills in its values from the context."""
ACK_TEMPLATE = "airflow_alert_ack"
"""The stock template with the quick replies "On it" and "Mute 1 h"."""

# Each kind of callback has a context of its own; a DAG's may have a task instance that has not failed.
DEFAULT_TEXT = (
    "{% if ti and not reason %}Task {{ ti.dag_id }}.{{ ti.task_id }}, try {{ ti.try_number }}"
    "{% elif dag_run %}DAG {{ dag_run.dag_id }}"
    "{% elif dag %}DAG {{ dag.dag_id }}"
    "{% else %}Airflow{% endif %}"
    "{% if run_id %}, run {{ run_id }}"
    "{% elif dag_run and dag_run.dag_run_id %}, run {{ dag_run.dag_run_id }}{% endif %}"
    "{% if exception %}: {{ exception }}"
    "{% elif reason %}: {{ reason }}"
    "{% elif deadline %}: deadline missed"
    "{% elif ti and ti.state %}: {{ ti.state.value or ti.state }}"
    "{% elif ti and not ti.start_date %}: its worker was lost{% endif %}"
)
