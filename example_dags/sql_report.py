"""
A report from a query, to a phone: as a CSV file, an Excel workbook or a picture of the table.

Shows: SqlToWhatsAppOperator on any database that Airflow has a provider for. This one is a small
SQLite file, which the first task fills from data/sales.csv so that there is something to query.

Needs: `pip install '.[sql]'` in the package's folder (`'.[sql,xlsx,png]'` for the other two formats), the connection
`maton_whatsapp_default`, and one for the database:

    export AIRFLOW_CONN_SALES_DB='{"conn_type": "sqlite", "host": "/tmp/sales.db"}'

A file without a template reaches only people who wrote to you in the last 24 hours: for others WhatsApp accepts it, and
then reports it as failed (131047). In the sandbox let the recipient write first:

    curl -X POST http://127.0.0.1:8425/_sandbox/replies -d '{"from": "15550100199", "text": "The report, please"}'

For other people give the operator `format="png"` and a `template_name` whose header is a picture:
docs/how-to/reports.md.
"""

from __future__ import annotations

import csv
from pathlib import Path

from airflow.sdk import BaseHook, Param, dag, task

from airflow_provider_whatsapp.operators.sql import SqlToWhatsAppOperator

SALES = Path(__file__).parent / "data" / "sales.csv"
DATABASE = "sales_db"

LAST_WEEK = """
SELECT product, SUM(units) AS units, SUM(units * unit_price) AS sales, COUNT(*) AS orders
FROM orders
WHERE date > (SELECT DATE(MAX(date), '-7 days') FROM orders)
GROUP BY product
ORDER BY sales DESC
"""


@dag(
    schedule=None,  # "0 7 * * MON" for every Monday at seven
    catchup=False,
    params={
        "to": Param("+1 555 010 0199", type="string", title="Recipient"),
        "format": Param("csv", enum=["csv", "xlsx", "png"], title="File"),
    },
    tags=["whatsapp", "example"],
    doc_md=__doc__,
)
def sql_report() -> None:
    @task
    def fill_database() -> None:
        hook = BaseHook.get_connection(DATABASE).get_hook()
        hook.run(
            [
                "DROP TABLE IF EXISTS orders",
                "CREATE TABLE orders (date, order_id, region, product, units INTEGER, unit_price REAL)",
            ]
        )
        with SALES.open(newline="") as file:
            header, *orders = csv.reader(file)
        hook.insert_rows("orders", orders, target_fields=header)

    send = SqlToWhatsAppOperator(
        task_id="send",
        to="{{ params.to }}",
        conn_id=DATABASE,
        sql=LAST_WEEK,
        format="{{ params.format }}",
        filename="Sales of the week",
        title="Sales of the week",
        caption="Sales of the last seven days, by product.",
        skip_if_empty=True,
    )
    fill_database() >> send


sql_report()
