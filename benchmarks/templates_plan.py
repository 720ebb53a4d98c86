"""A plan of 500 templates in 3 languages: how many requests it costs, and how long it takes, against the sandbox."""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path

from common import sandbox
from rows import Row, add_option, hand_over

LANGUAGES = ("en_US", "de", "pt_BR")


def definition(number):
    return {
        "name": f"bench_{number:04}",
        "category": "UTILITY",
        "parameters": {"run": {"example": "daily_orders"}, "minutes": {"example": "45"}},
        "languages": {
            language: {
                "header": {"text": f"Run {number} is late"},
                "body": f"The run {{{{run}}}} of pipeline {number} is {{{{minutes}}}} minutes late ({language}).",
                "footer": "Data platform",
                "buttons": [
                    {"type": "url", "text": "Open", "url": "https://x.example/{{1}}", "example": "dags/a"}
                ],
            }
            for language in LANGUAGES
        },
    }


def fill(connection, definitions):
    """Put every template into the sandbox's account, by its controls: creating them would take 15 hours of quota."""
    for made in definitions:
        payload = made.create_payload()
        body = json.dumps(payload).encode()
        url = f"{connection['host']}/_sandbox/templates"
        headers = {"Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(url, body, headers, method="PUT")).close()


def main():
    from airflow_provider_whatsapp.client.connection import config_from_environment
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
    from airflow_provider_whatsapp.message_templates.documents import dump
    from airflow_provider_whatsapp.message_templates.files import load_templates
    from airflow_provider_whatsapp.message_templates.plan import PAGE_SIZE, plan_templates

    parser = argparse.ArgumentParser()
    parser.add_argument("--templates", type=int, default=500)
    add_option(parser)
    options = parser.parse_args()
    count = options.templates
    with sandbox("--rate-limit", "0") as connection, tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            Path(folder, f"{number}.yaml").write_text(dump(definition(number)))
        began = time.perf_counter()
        wanted = load_templates(folder)
        read = time.perf_counter() - began
        fill(connection, wanted.definitions.values())
        environment = {"AIRFLOW_CONN_BENCH": json.dumps(connection)}
        with WhatsAppClient(config_from_environment("bench", environment)) as client:
            began = time.perf_counter()
            plan = plan_templates(client, wanted)
            took = time.perf_counter() - began
        with urllib.request.urlopen(f"{connection['host']}/_sandbox/requests") as answer:
            asked = Counter(row["method"] for row in json.load(answer) if "message_templates" in row["path"])
    total = len(wanted.definitions)
    allowed = math.ceil((total + 1) / PAGE_SIZE)  # the account has the sandbox's own hello_world besides
    text = (
        f"templates, plan of {count} in {len(LANGUAGES)} languages: {asked['GET']} requests "
        f"(ceil({total + 1}/{PAGE_SIZE}) = {allowed}), {plan.counts()['unchanged']} unchanged, "
        f"files read in {read:.2f} s, planned in {took:.2f} s"
    )
    assert plan.counts()["unchanged"] == total, plan.counts()
    row = Row(
        name=f"plan of {count} templates in {len(LANGUAGES)} languages",
        value=sum(asked.values()),
        unit="requests",
        against="full pages of the list",
        reference=allowed,
        at_most=1,
    )
    return hand_over([row], text, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
