"""
A weekly report, from a CSV file to a phone: figures in the message, a PDF in its header.

Shows: a template with a document header, which the DAG creates if the account does not have it yet; a deferrable
sensor that waits for WhatsApp's approval; a message whose values come from XCom. It has to be a template: more than
24 hours after a customer's last message, WhatsApp delivers nothing else.

Needs: `pip install fpdf2`, and the connection `maton_whatsapp_default` with phone_number_id and waba_id in its extra.
`make demo` runs it against the sandbox.
"""

from __future__ import annotations

import csv
import os
import tempfile
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import ObjectStoragePath, Param, dag, task

from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook
from airflow_provider_whatsapp.operators.messages import SendTemplateOperator
from airflow_provider_whatsapp.sensors.templates import TemplateApprovalSensor

SALES = Path(__file__).parent / "data" / "sales.csv"
# Where every worker finds it: "s3://bucket/reports" or any other that ObjectStoragePath knows.
REPORTS = os.environ.get("REPORT_FOLDER", f"file://{tempfile.gettempdir()}")

TEMPLATE = "weekly_sales_report"
LANGUAGE = "en_US"
BODY = (
    "Sales of {{week}}: {{total}} from {{orders}} orders, {{change}} on the week before. "
    "Best product: {{product}}. Best region: {{region}}. The full report is attached."
)


@dag(
    schedule=None,  # "0 7 * * MON" for every Monday at seven
    catchup=False,
    params={"to": Param("+1 555 010 0199", type="string", title="Recipient")},
    tags=["whatsapp", "example"],
    doc_md=__doc__,
)
def report_delivery() -> None:
    @task(multiple_outputs=True)
    def summarise() -> dict[str, Any]:
        with SALES.open(newline="") as file:
            return summary_of_last_week(list(csv.DictReader(file)))

    @task
    def render(summary: dict[str, Any]) -> str:
        path = ObjectStoragePath(REPORTS) / f"weekly-sales-{summary['until']}.pdf"
        path.write_bytes(draw_report(summary))
        return str(path)

    @task
    def create_template(sample: str, example: dict[str, str]) -> str:
        hook = MatonWhatsAppHook()
        template = hook.get_template(TEMPLATE, LANGUAGE)
        if template is None:
            named = [{"param_name": name, "example": value} for name, value in example.items()]
            handle = hook.upload_template_sample(sample)
            template = hook.create_template(
                name=TEMPLATE,
                language=LANGUAGE,
                category="UTILITY",
                parameter_format="NAMED",
                components=[
                    {"type": "HEADER", "format": "DOCUMENT", "example": {"header_handle": [handle]}},
                    {"type": "BODY", "text": BODY, "example": {"body_text_named_params": named}},
                ],
            )
        return template["status"]

    summary = summarise()
    pdf = render(summary)
    created = create_template(pdf, summary["message"])
    approved = TemplateApprovalSensor(
        task_id="wait_for_approval",
        template_name=TEMPLATE,
        language=LANGUAGE,
        deferrable=True,
        poke_interval=5,
        timeout=timedelta(hours=24).total_seconds(),
    )
    send = SendTemplateOperator(
        task_id="send",
        to="{{ params.to }}",
        template_name=TEMPLATE,
        language=LANGUAGE,
        header=pdf,
        header_filename="Weekly sales.pdf",
        body=summary["message"],
    )
    created >> approved >> send


def summary_of_last_week(orders: list[dict[str, str]]) -> dict[str, Any]:
    """Add up the seven days that end with the file's last one, and compare them with the seven before."""
    until = max(date.fromisoformat(order["date"]) for order in orders)
    weeks: dict[int, float] = defaultdict(float)  # 0 is the last week, 1 the one before...
    products: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0])  # units, sales, week before
    regions: dict[str, float] = defaultdict(float)
    count = 0
    for order in orders:
        week = (until - date.fromisoformat(order["date"])).days // 7
        sales = int(order["units"]) * float(order["unit_price"])
        weeks[week] += sales
        if week == 0:
            count += 1
            products[order["product"]][0] += int(order["units"])
            products[order["product"]][1] += sales
            regions[order["region"]] += sales
        elif week == 1:
            products[order["product"]][2] += sales

    ranking = sorted(products.items(), key=lambda item: -item[1][1])
    message = {
        "week": f"{until - timedelta(days=6):%b %d} to {until:%b %d}",
        "total": f"${weeks[0]:,.0f}",
        "orders": str(count),
        "change": f"{weeks[0] / weeks[1] - 1:+.1%}",
        "product": ranking[0][0],
        "region": max(regions, key=lambda region: regions[region]),
    }
    history = [(f"{until - timedelta(weeks=ago):%b %d}", weeks[ago]) for ago in sorted(weeks, reverse=True)]
    return {"until": until.isoformat(), "message": message, "products": ranking, "history": history}


def draw_report(summary: dict[str, Any]) -> bytes:
    """Draw one page: the figures, a bar for each week, and a table of the products."""
    from fpdf import FPDF, FontFace  # here, not above: Airflow reads this file again and again

    blue, pale, grey, ink = (32, 84, 147), (197, 213, 233), (110, 118, 128), (28, 33, 40)
    message, history = summary["message"], summary["history"]
    pdf = FPDF(format="A4")
    pdf.set_title("Weekly sales")
    pdf.set_margin(18)
    pdf.set_auto_page_break(auto=False)
    pdf.add_page()

    def write(
        x: float, y: float, text: str, size: int, *, color: tuple[int, int, int] = ink, bold: bool = False
    ) -> None:
        pdf.set_font("helvetica", "B" if bold else "", size)
        pdf.set_text_color(*color)
        pdf.text(x, y, text)

    pdf.set_fill_color(*blue)
    pdf.rect(0, 0, 210, 34, style="F")
    write(18, 17, "Weekly sales", 24, color=(255, 255, 255), bold=True)
    write(18, 26, f"{message['week']}, {summary['until'][:4]}", 12, color=pale)

    tiles = {"Sales": "total", "Orders": "orders", "On the week before": "change", "Best region": "region"}
    for column, (title, key) in enumerate(tiles.items()):
        write(18 + column * 45, 48, title, 9, color=grey)
        write(18 + column * 45, 57, message[key], 18, bold=True)

    write(18, 76, "Sales by week, named by its last day", 12, bold=True)
    floor, step, scale = 132, 174 / len(history), 44 / max(sales for _, sales in history)
    for number, (week, sales) in enumerate(history):
        this = number == len(history) - 1
        left, top = 18 + number * step, floor - sales * scale
        pdf.set_fill_color(*(blue if this else pale))
        pdf.rect(left, top, step * 0.72, floor - top, style="F", round_corners=True, corner_radius=1)
        write(left, top - 2, f"{sales:,.0f}", 8, color=ink if this else grey, bold=this)
        write(left, floor + 5, week, 8, color=grey)

    write(18, 152, "Products of the week", 12, bold=True)
    pdf.set_y(157)
    pdf.set_font("helvetica", "", 10)
    pdf.set_draw_color(*pale)
    pdf.set_fill_color(255)
    with pdf.table(
        borders_layout="HORIZONTAL_LINES",
        headings_style=FontFace(emphasis="BOLD", color=grey, fill_color=255),
        col_widths=(70, 28, 38, 38),
        text_align=("LEFT", "RIGHT", "RIGHT", "RIGHT"),
        line_height=8,
    ) as table:
        table.row(("Product", "Units", "Sales", "Week before"))
        for product, (units, sales, before) in summary["products"]:
            table.row((product, f"{units:,.0f}", f"${sales:,.2f}", f"${before:,.2f}"))

    write(18, 284, "Made by Airflow from sales.csv. The figures are invented.", 8, color=grey)
    return bytes(pdf.output())


report_delivery()
