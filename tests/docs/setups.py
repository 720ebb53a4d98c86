"""What pages take for granted: templates that are approved, files that are there, connections."""

from __future__ import annotations

import json
import shutil
import sqlite3
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import requests

from tests.docs.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

SALES = ("filter coffee", 212, 4.5), ("tea", 95, 3.2)


@dataclass
class Setup:
    """
    What a page takes for granted.

    :param places: What stands on the page for a place of the reader's, and what it is here.
    :param make: Makes the rest: in the page's folder, in the folder of its DAGs, and in the sandbox that the tests'
        connection points to.
    :param variables: Of the environment.
    """

    places: Mapping[str, str] = field(default_factory=dict)
    make: Callable[[Path, Path, Any], None] = lambda folder, dags, sandbox: None
    variables: Mapping[str, str] = field(default_factory=dict)


def template(
    sandbox: Any,
    name: str,
    body: str,
    *,
    header: str | None = None,
    named: bool = False,
    category: str = "UTILITY",
    link: str | None = None,
) -> None:
    """Put an approved template into the sandbox."""
    components: list[dict[str, Any]] = [{"type": "BODY", "text": body}]
    if link:
        components.append({"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Open", "url": link}]})
    if header:
        components.insert(0, {"type": "HEADER", "format": header})
    fields = {
        "name": name,
        "language": "en_US",
        "category": category,
        "components": components,
        "parameter_format": "NAMED" if named else "POSITIONAL",
        "status": "APPROVED",
    }
    requests.put(f"{sandbox.url}/_sandbox/templates", json=fields, timeout=10).raise_for_status()


def _alerts(folder: Path, dags: Path, sandbox: Any) -> None:
    for file in (ROOT / "airflow_provider_whatsapp" / "notifications").glob("airflow_alert*.yaml"):
        shutil.copy(file, folder)


def _approvals(folder: Path, dags: Path, sandbox: Any) -> None:
    shutil.copy(ROOT / "airflow_provider_whatsapp" / "approvals" / "airflow_approval.yaml", folder)


def _reports(folder: Path, dags: Path, sandbox: Any) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    for day in (datetime.now(UTC), datetime.now(UTC) + timedelta(days=1)):
        file = folder / "reports" / f"{day:%Y-%m-%d}" / "sales.pdf"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"%PDF-1.7\n%%EOF\n")
        table = pa.Table.from_pylist(
            [{"product": name, "sales": units * price} for name, units, price in SALES]
        )
        parquet.write_table(table, file.with_suffix(".parquet"))
    template(
        sandbox,
        "weekly_sales_report",
        "The week of {{week}} brought {{total}} in all.",
        header="DOCUMENT",
        named=True,
    )
    template(sandbox, "sales_picture", "Sales until {{1}}, by product.", header="IMAGE")
    address = "https://reports.s3.eu-west-1.amazonaws.com/{{1}}"
    template(sandbox, "weekly_sales_link", "The workbook until {{1}} is there.", link=address)
    (dags / "sql").mkdir()
    (dags / "sql" / "sales_of_the_week.sql").write_text("SELECT product, units * price AS sales FROM orders")
    with sqlite3.connect(folder / "warehouse.db") as database:
        database.execute("CREATE TABLE orders (product TEXT, units INTEGER, price REAL)")
        database.executemany("INSERT INTO orders VALUES (?, ?, ?)", SALES)
    for name, header in (("airflow_report", "IMAGE"), ("airflow_report_pdf", "DOCUMENT")):
        template(
            sandbox, name, "Report: {{title}} From {{source}}. Of {{when}}, end.", header=header, named=True
        )
    with sqlite3.connect(folder / "warehouse.db") as opened:
        opened.executescript(
            "CREATE TABLE invoices (day, amount); INSERT INTO invoices VALUES ('2026-01-01', 5), ('2026-01-02', 7);"
            "CREATE TABLE checks (day, step, failed);"
            f"INSERT INTO checks VALUES ('{datetime.now(UTC):%Y-%m-%d}', 'load', 2);"
        )


def _tests(folder: Path, dags: Path, sandbox: Any) -> None:
    template(sandbox, "orders_late", "On {{day}} there were {{orders}} late orders.", named=True)


def _named_broadcast(folder: Path, dags: Path, sandbox: Any) -> None:
    _broadcast(folder, dags, sandbox)
    template(sandbox, "invitation", "Dear {{name}}, your appointment in {{city}} is next week.", named=True)


def _broadcast(folder: Path, dags: Path, sandbox: Any) -> None:
    # The price is invented.
    (folder / "rates-usd.csv").write_text("Market,Currency,Marketing,Utility\nNorth America,$US,0.03,0.01\n")
    template(sandbox, "invitation", "Dear {{1}}, we are in {{2}} next week.")
    (folder / "people.csv").write_text("phone,name,city\n+1 555 010 0101,Ana,Lisbon\n")
    line = {"format": "whatsapp-results/1", "n": 0, "to": "15550100101", "status": "failed"}
    line |= {"given": "+1 555 010 0101", "where": "people.csv:2"}
    line["row"] = {"phone": "+1 555 010 0101", "name": "Ana", "city": "Lisbon"}
    (folder / "invited").mkdir(exist_ok=True)
    for name in ("invited.jsonl", "invited/2026-01-31.jsonl"):
        (folder / name).write_text(f"{json.dumps(line)}\n")
    (folder / "from-0.1.jsonl").write_text(
        json.dumps(line | {"format": None}).replace('"format": null, ', "")
    )


def _analytics(folder: Path, dags: Path, sandbox: Any) -> None:
    sandbox.control("POST", "accounts", insights=True)
    template(sandbox, "summer_sale", "The summer sale begins today.", category="MARKETING")
    from airflow_provider_whatsapp.client.messages import Template

    with sandbox.client() as client:
        for to, name in (
            ("+4915112345678", "summer_sale"),
            ("+4915112345679", "summer_sale"),
            ("+15550100101", "summer_sale"),
            ("+15550100101", "hello_world"),
        ):
            client.messages.send(to, Template(name))
    sandbox.clock.advance(10)


def _tutorial(folder: Path, dags: Path, sandbox: Any) -> None:
    (folder / "airflow-provider-whatsapp").symlink_to(ROOT)


def _assets(folder: Path, dags: Path, sandbox: Any) -> None:
    template(sandbox, "late", "The nightly run is late.")
    (dags / "templates").mkdir()
    (dags / "templates" / "late.yaml").write_text(
        "name: late\ncategory: UTILITY\nlanguages:\n  en_US:\n    body: The nightly run is late.\n"
    )


def _broadcast_operator(folder: Path, dags: Path, sandbox: Any) -> None:
    template(sandbox, "invitation", "Dear {{1}}, we are in Lisbon on {{2}}.")
    (folder / "people.csv").write_text("to,first_name\n+1 555 010 0101,Ana\n")


SETUPS: dict[str, Setup] = {
    "docs/tutorial.md": Setup(make=_tutorial),
    "docs/how-to/alerts.md": Setup(make=_alerts),
    "docs/how-to/approvals.md": Setup(make=_approvals),
    "docs/how-to/reports.md": Setup(
        make=_reports,
        places={
            "s3://reports": "file://{folder}/reports",
            "http://127.0.0.1:8425": "{url}",
            # A folder signs no links; this one is as long as S3's.
            "path.sign(expiration=7 * 86_400)": '(LINKS + "sales.xlsx?X-Amz-Signature=" + 1_000 * "a")',
        },
        variables={"AIRFLOW_CONN_WAREHOUSE": '{"conn_type": "sqlite", "host": "{folder}/warehouse.db"}'},
    ),
    "docs/how-to/testing-your-dags.md": Setup(make=_tests),
    "docs/how-to/broadcast.md": Setup(make=_named_broadcast, places={"/tmp/marketing": "{folder}"}),
    "docs/reference/broadcast.md": Setup(make=_broadcast),
    "docs/how-to/analytics.md": Setup(make=_analytics, places={"s3://warehouse": "{folder}"}),
    "docs/how-to/templates-as-code.md": Setup(
        places={"/opt/airflow/dags/templates": "{folder}/templates"},
    ),
    "docs/how-to/several-accounts.md": Setup(
        places={
            '"password": "<Maton API key>"': '"password": "maton-sandbox-key", "host": "{url}"',
            '"connection_id": "<Maton connection ID>", ': "",
            # With their quotes, for the sandbox's port may hold the same digits.
            **dict.fromkeys(('"201"', '"301"'), '"106540352242922"'),
            **dict.fromkeys(('"200"', '"300"'), '"102290129340398"'),
        }
    ),
    "airflow_provider_whatsapp/assets.py": Setup(make=_assets),
    "airflow_provider_whatsapp/operators/broadcast.py": Setup(
        make=_broadcast_operator, places={"s3://bucket": "{folder}"}
    ),
    "airflow_provider_whatsapp/operators/delivery_report.py": Setup(
        make=_broadcast, places={"s3://bucket": "{folder}"}
    ),
    "airflow_provider_whatsapp/operators/analytics.py": Setup(places={"s3://bucket": "{folder}"}),
    "airflow_provider_whatsapp/client/whatsapp.py": Setup(
        places={'"<Maton API key>"': '"maton-sandbox-key", host="{url}"'}
    ),
}
