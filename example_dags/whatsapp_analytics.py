"""
Meta's analytics in files and in SQLite, every day, before Meta deletes them.

Shows: WhatsAppAnalyticsOperator with a file for each day, and a query for the cost of each template in each country.
Each run loads the last seven days and today: a day's reads and clicks grow for a week, and then Meta resets them
to zero. The operator never lowers a value that a file has, so you can repeat a run, and days may overlap.

Needs: the connection `maton_whatsapp_default` with waba_id in its extra, and template insights, which somebody has to
switch on in WhatsApp Manager; nobody can switch them off again. In the sandbox:

    curl -X POST http://127.0.0.1:8425/_sandbox/accounts -d '{"insights": true}'
"""

from __future__ import annotations

import json
import logging
import sqlite3
from contextlib import closing
from typing import Any

from airflow.sdk import ObjectStoragePath, Param, dag, task

from airflow_provider_whatsapp.operators.analytics import WhatsAppAnalyticsOperator

TEMPLATES = """
CREATE TABLE IF NOT EXISTS template (
    day TEXT, waba_id TEXT, template_id TEXT, product_type TEXT, template_name TEXT,
    sent INTEGER, delivered INTEGER, "read" INTEGER, url_clicks INTEGER, cost REAL, currency TEXT,
    PRIMARY KEY (day, waba_id, template_id, product_type)
)
"""
PRICING = """
CREATE TABLE IF NOT EXISTS pricing (
    day TEXT, waba_id TEXT, phone_number TEXT, country TEXT, pricing_category TEXT, pricing_type TEXT, tier TEXT,
    volume INTEGER, cost REAL, currency TEXT,
    PRIMARY KEY (day, waba_id, phone_number, country, pricing_category, pricing_type, tier)
)
"""
# Meta gives the cost by template and by country, not by both: the query divides a template's cost of a day among the
# countries in the proportion of that day's cost.
COST = """
WITH countries AS (SELECT day, country, SUM(cost) AS cost FROM pricing WHERE cost > 0 GROUP BY day, country),
     days AS (SELECT day, SUM(cost) AS cost FROM countries GROUP BY day)
SELECT template_name, country, ROUND(SUM(template.cost * countries.cost / days.cost), 4) AS cost, currency
FROM template JOIN countries USING (day) JOIN days USING (day)
GROUP BY template_name, country, currency
ORDER BY cost DESC
"""


def insert(database: sqlite3.Connection, table: str, files: list[str]) -> None:
    """Put the rows of JSON lines into a table, and replace rows that it has already."""
    columns = [each[1] for each in database.execute(f"PRAGMA table_info({table})")]
    names, places = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
    for file in files:
        with ObjectStoragePath(file).open() as lines:
            rows = [json.loads(line) for line in lines]
        for row in rows:
            row["day"] = row["start"][:10]
        # An empty dimension becomes a text, because NULL never equals NULL in a key.
        values = [["" if row[name] is None else row[name] for name in columns] for row in rows]
        database.executemany(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({places})", values)  # noqa: S608


@dag(
    schedule="@daily",
    catchup=False,
    max_active_runs=1,  # two runs at once would write the same files
    params={
        "folder": Param(
            "file:///tmp/whatsapp-analytics", type="string", title="Folder, on a disk or in a bucket"
        ),
        "database": Param("/tmp/whatsapp-analytics.db", type="string", title="SQLite file"),  # noqa: S108
    },
    tags=["whatsapp", "example"],
    doc_md=__doc__,
)
def whatsapp_analytics() -> None:
    loads = {
        kind: WhatsAppAnalyticsOperator(
            task_id=f"load_{kind}",
            kind=kind,
            start="{{ macros.ds_add(ds, -7) }}",
            end="{{ macros.ds_add(ds, 1) }}",
            destination="{{ params.folder }}/" + kind + "/{day}.jsonl",
        )
        for kind in ("template", "pricing")
    }

    @task
    def cost_by_template_and_country(
        template: dict[str, Any], pricing: dict[str, Any], params: dict[str, Any]
    ) -> list[list[Any]]:
        with closing(sqlite3.connect(params["database"])) as database, database:
            for statement in (TEMPLATES, PRICING):
                database.execute(statement)
            insert(database, "template", template["files"])
            insert(database, "pricing", pricing["files"])
            found = [list(row) for row in database.execute(COST)]
        for name, country, cost, currency in found:
            logging.getLogger("airflow.task").info("%-30s %s %10.4f %s", name, country, cost, currency)
        return found

    cost_by_template_and_country(loads["template"].output, loads["pricing"].output)


whatsapp_analytics()
