"""DAGs that test reports by SQL; each run's configuration says what is sent."""

from __future__ import annotations

import pendulum
from airflow.sdk import dag

from airflow_provider_whatsapp.operators.sql import SqlToWhatsAppOperator

OPTIONS = {"schedule": None, "catchup": False, "start_date": pendulum.datetime(2026, 1, 1)}
PEOPLE = ["+15550001111", "+15550002222", "+15550003333"]
CITIES = "SELECT 'Oslo' AS city, 7 AS orders UNION ALL SELECT 'Zürich', 12"


@dag("sql_send", **OPTIONS)
def sql_send():
    SqlToWhatsAppOperator(
        task_id="cities",
        to=PEOPLE[0],
        conn_id="report_db",
        sql=CITIES,
        format="{{ dag_run.conf.format }}",
        title="Cities",
        caption="{{ dag_run.conf.format }} of the day",
    )


sql_send()


@dag("sql_template", **OPTIONS)
def sql_template():
    SqlToWhatsAppOperator(
        task_id="cities",
        to=PEOPLE[0],
        conn_id="report_db",
        sql=CITIES,
        format="{{ dag_run.conf.format }}",
        template_name="picture_of_the_day",
        body=["{{ dag.dag_id }}"],
        retries=2,
    )


sql_template()


@dag("sql_retry", **OPTIONS)
def sql_retry():
    """Each time that the query runs, it gives another file, and says so in a table."""
    SqlToWhatsAppOperator(
        task_id="send",
        to=PEOPLE,
        conn_id="report_db",
        sql=["INSERT INTO asked VALUES (1)", "SELECT HEX(RANDOMBLOB(16)) AS token"],
        ledger_path="{{ dag_run.conf.ledger }}",
        retries=2,
        retry_delay=0,
    )


sql_retry()


@dag("sql_empty", **OPTIONS)
def sql_empty():
    nobody = "SELECT 'x' AS name, 1 AS n WHERE 1 = 0"
    options = {"to": PEOPLE[0], "conn_id": "report_db", "sql": nobody}
    SqlToWhatsAppOperator(task_id="skipped", skip_if_empty=True, **options)
    SqlToWhatsAppOperator(task_id="header", **options)


sql_empty()


@dag("sql_wrong", **OPTIONS)
def sql_wrong():
    SqlToWhatsAppOperator(task_id="sql", to=PEOPLE[0], conn_id="report_db", sql="SELECT FROM nowhere")
    SqlToWhatsAppOperator(task_id="connection", to=PEOPLE[0], conn_id="no_such_db", sql=CITIES)


sql_wrong()
