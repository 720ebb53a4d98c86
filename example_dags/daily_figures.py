"""
Yesterday's sales for a group of managers: a picture of figures, and a PDF with figures, chart and table.

Shows: `SqlToWhatsAppOperator` with `format="chart"` and `format="pdf"`, the stock templates of reports, and `only_if`,
which sends nothing on a day without orders. If receipts are set up ([whatsapp] events_conn_id), both
tasks wait until the messages have arrived, and name the managers who did not get one.

Needs: `pip install '.[sql,charts,pdf]'` in the package's folder, the connections `maton_whatsapp_default` and
`sales_db` (sql_report.py describes both, and its first task fills the database), and the two stock templates, approved:

    python -m airflow_provider_whatsapp templates apply airflow_provider_whatsapp/reports/airflow_report.yaml
    python -m airflow_provider_whatsapp templates apply airflow_provider_whatsapp/reports/airflow_report_pdf.yaml
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import Param, dag

from airflow_provider_whatsapp.hooks.event_store import events_conn_id
from airflow_provider_whatsapp.operators.sql import SqlToWhatsAppOperator

DATABASE = "sales_db"

DAILY = """
SELECT date AS day, SUM(units * unit_price) AS sales, COUNT(*) AS orders
FROM orders
GROUP BY date
ORDER BY date
"""


@dag(
    schedule=None,  # "0 7 * * *" for every morning at seven
    catchup=False,
    params={
        "managers": Param(["+1 555 010 0199"], type="array", title="Recipients"),
        "wait_for": Param(
            "delivered" if events_conn_id() else "accepted", enum=["accepted", "delivered", "read"]
        ),
        "ledger": Param(
            "", type="string", title="Folder of the ledger, which a wait needs on Airflow 3.1 and 3.2"
        ),
    },
    default_args={
        "wait_for": "{{ params.wait_for }}",
        "wait_timeout": timedelta(hours=2),
        "deferrable": True,
        "ledger_path": "{{ params.ledger }}",
    },
    tags=["whatsapp", "example"],
    doc_md=__doc__,
)
def daily_figures() -> None:
    figures = SqlToWhatsAppOperator(
        task_id="figures",
        to="{{ params.managers }}",
        conn_id=DATABASE,
        sql=DAILY,
        format="chart",
        chart="kpi",
        y=["sales", "orders"],
        compare="previous",
        title="Sales of yesterday",
        template_name="airflow_report",
    )
    report = SqlToWhatsAppOperator(
        task_id="report",
        to="{{ params.managers }}",
        conn_id=DATABASE,
        sql=DAILY,
        format="pdf",
        figures=["sales", "orders"],
        chart="line",
        x="day",
        y="sales",
        unit="USD",
        title="Sales by day",
        filename="Sales by day",
        template_name="airflow_report_pdf",
        only_if="rows[-1].orders > 0",
    )
    figures >> report


daily_figures()
