"""
How long the sandbox's page takes with 10,000 messages, conversations and requests, against 500 ms.

``python benchmarks/sandbox_page.py``: the first paint in Chromium where there is one, else the time until the whole
page has come.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time

import requests
from common import ROOT
from rows import Row, add_option, hand_over

PROMISED = 0.5
"""Seconds until the first paint."""
VIEWS = ("/", "/?with=15550000001", "/requests")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]


def fill(connection: dict, count: int) -> None:
    """So many messages to one person, and one to each of so many."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {connection['password']}"
    path = f"{connection['host']}/whatsapp-business/v25.0/{connection['extra']['phone_number_id']}/messages"
    template = {"name": "hello_world", "language": {"code": "en_US"}}
    for index in range(2 * count):
        to = "+15550000001" if index % 2 else f"+1556{index:07}"
        message = {"messaging_product": "whatsapp", "to": to, "type": "template", "template": template}
        assert session.post(path, json=message, timeout=30).status_code == 200


def paints(url: str, times: int) -> list[float] | None:
    """Seconds until the first paint of each view, the median of some; None without a browser."""
    chromium = shutil.which("chromium")
    if chromium is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=OPTIONS)
        found = []
        for view in VIEWS:
            seconds = []
            for _ in range(times):
                page = browser.new_page()
                page.goto(url + view)
                entry = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
                seconds.append(page.wait_for_function(f"() => {entry}").json_value() / 1_000)
                page.close()
            found.append(statistics.median(seconds))
        browser.close()
    return found


def loads(url: str, times: int) -> list[float]:
    """Seconds until each view has come, the median of some."""
    found = []
    for view in VIEWS:
        seconds = []
        for _ in range(times):
            began = time.perf_counter()
            requests.get(url + view, timeout=30).raise_for_status()
            seconds.append(time.perf_counter() - began)
        found.append(statistics.median(seconds))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=5)
    add_option(parser)
    options = parser.parse_args()
    arguments = ["--port", "0", "--rate-limit", "0"]
    command = [sys.executable, "-m", "airflow_provider_whatsapp.sandbox", *arguments]
    sandbox = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        line = next(line for line in sandbox.stdout if line.startswith("export "))
        connection = json.loads(line.partition("'")[2].rstrip("'\n"))
        fill(connection, options.messages)
        painted = paints(connection["host"], options.times)
        found = painted or loads(connection["host"], options.times)
    finally:
        sandbox.terminate()
        sandbox.wait(60)
    what = "first paint" if painted else "page (no Chromium)"
    shown = ", ".join(f"{view} {seconds * 1_000:.0f} ms" for view, seconds in zip(VIEWS, found, strict=True))
    text = f"sandbox_page: {what} with {options.messages:,} messages, conversations and requests: {shown}"
    row = Row(
        name=f"{what} of the sandbox's page",
        value=max(found),
        unit="s",
        against="what is promised of it",
        reference=PROMISED,
        at_most=1,
    )
    return hand_over([row], text, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
