"""
What a rate card adds to a dry run of 100,000, and what a load of 90 days of analytics takes over that of one.

    python benchmarks/analytics.py [--people 100000] [--rounds 3] [--days 90]

The dry runs alternate in one process; CPU time is compared, and the median of the ratios is told. The loads are pricing
analytics of three numbers and twenty countries, two templates a day, each load in a process of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rows import Row, add_option, hand_over

if TYPE_CHECKING:
    from airflow_provider_whatsapp.pytest_plugin import WhatsAppSandbox

NUMBERS = ("106540352242922", "106540352242923", "106540352242924")
COUNTRIES = (
    *("AR", "AU", "BD", "BR", "CA", "DE", "EG", "ES", "FR", "GB"),
    *("ID", "IN", "IT", "KE", "MX", "NG", "PK", "PL", "TR", "US"),
)
TEMPLATES = ("hello_world", "sale")
LIMIT_MB = 20.0
DRY_RUN = 1.10
CARD = ["Market,Currency,Marketing,Utility,Authentication", "North America,$US,0.02,0.01,0.01"]  # invented
DAY = 86_400


def dry_runs(connection: dict, people: int, rounds: int) -> list[tuple[float, float]]:
    """Return the CPU seconds of dry runs with and without rates, pair by pair."""
    os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp()
    extra = {**connection["extra"], "rate_limit": 0}
    os.environ["AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT"] = json.dumps({**connection, "extra": extra})
    from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator

    with tempfile.TemporaryDirectory() as folder:
        list_file, card = Path(folder) / "people.csv", Path(folder) / "card.csv"
        card.write_text("\n".join(CARD))
        with list_file.open("w") as file:
            file.write("to\n")
            file.writelines(f"+1555{place:07}\n" for place in range(people))

        def once(rates: str | None) -> float:
            task = BroadcastTemplateOperator(
                task_id="send",
                recipients=str(list_file),
                template_name="hello_world",
                dry_run=True,
                rates=rates,
            )
            began = time.process_time()
            with contextlib.redirect_stdout(sys.stderr):
                found = task.execute({})
            took = time.process_time() - began
            assert ("cost" in found) == (rates is not None)
            return took

        once(str(card))
        pairs = []
        for place in range(rounds):
            order = (str(card), None) if place % 2 else (None, str(card))
            found = {rates: once(rates) for rates in order}
            pairs.append((found[str(card)], found[None]))
        return pairs


def fill(sandbox: WhatsAppSandbox, days: int) -> datetime:
    """Send from each number to each country on each day, and return the first day."""
    import phonenumbers
    import requests

    people = [
        phonenumbers.example_number_for_type(name, phonenumbers.PhoneNumberType.MOBILE) for name in COUNTRIES
    ]
    to = [phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) for number in people]
    now = sandbox.control("GET", "clock")["now"]
    first = (now // DAY + 1) * DAY
    sandbox.control("POST", "clock", advance=first - now, stopped=True)
    sale = {"name": "sale", "language": "en_US", "category": "MARKETING", "status": "APPROVED"}
    sandbox.control("PUT", "templates", **sale, components=[{"type": "BODY", "text": "The sale begins."}])
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {sandbox.connection['password']}"
    for _ in range(days):
        for number in NUMBERS:
            path = f"{sandbox.url}/whatsapp-business/v25.0/{number}/messages"
            for person in to:
                for name in TEMPLATES:
                    template = {"name": name, "language": {"code": "en_US"}}
                    body = {
                        "messaging_product": "whatsapp",
                        "to": person,
                        "type": "template",
                        "template": template,
                    }
                    assert session.post(path, json=body, timeout=30).status_code == 200
        sandbox.clock.advance(DAY)
    return datetime.fromtimestamp(first, UTC)


def one(connection: dict, start: str, days: int) -> None:
    """Load so many days, and print the peak of memory and the rows."""
    from zoneinfo import ZoneInfo

    from airflow_provider_whatsapp.analytics.destination import Destination
    from airflow_provider_whatsapp.analytics.load import load
    from airflow_provider_whatsapp.client.analytics_kinds import KINDS
    from airflow_provider_whatsapp.client.analytics_span import read_span
    from airflow_provider_whatsapp.client.config import ClientConfig
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

    kind, zone = KINDS["pricing"], ZoneInfo("UTC")
    first = datetime.fromisoformat(start)
    last = first + timedelta(days=days)
    config = ClientConfig(
        api_key=connection["password"],
        host=connection["host"],
        rate_limit=0,
        waba_id=connection["extra"]["waba_id"],
    )
    with tempfile.TemporaryDirectory() as folder, WhatsAppClient(config) as client:
        destination = Destination(f"{folder}/a.jsonl", kind, zone, Path)
        span = read_span(kind, first, last, "day", zone, now=last)
        report = load(client.analytics.rows("pricing", first, last), kind, destination, span.days)
    # Not getrusage: on Linux it begins with the peak of the process that started this one.
    peak = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
    print(json.dumps({"rows": report.rows, "peak_mb": peak}))


def loads(sandbox: WhatsAppSandbox, days: int) -> dict[int, dict]:
    """Return for one day and for all: rows, the peak of memory, and the requests that reached the sandbox."""
    first = fill(sandbox, days)
    found = {}
    for count in (1, days):
        before = len(sandbox.requests_to(sandbox.extra["waba_id"]))
        command = [
            sys.executable,
            __file__,
            "--load",
            json.dumps(sandbox.connection),
            first.isoformat(),
            str(count),
        ]
        figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        requests_made = len(sandbox.requests_to(sandbox.extra["waba_id"])) - before
        assert figures["rows"] == count * len(NUMBERS) * len(COUNTRIES) * len(TEMPLATES)
        found[count] = {**figures, "requests": requests_made}
    return found


def main() -> int:
    """Measure, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--load", nargs=3, help=argparse.SUPPRESS)
    add_option(parser)
    options = parser.parse_args()
    if options.load:
        one(json.loads(options.load[0]), options.load[1], int(options.load[2]))
        return 0
    from airflow_provider_whatsapp.pytest_plugin import WhatsAppSandbox

    numbers = [text for number in NUMBERS for text in ("--phone-number-id", number)]
    with WhatsAppSandbox.start(*numbers) as sandbox:
        pairs = dry_runs(sandbox.connection, options.people, options.rounds)
        found = loads(sandbox, options.days)
    ratio = statistics.median(rated / plain for rated, plain in pairs)
    plain = statistics.median(each for _, each in pairs)
    small, large = found[1], found[options.days]
    name = f"{options.days} days of pricing analytics, 3 numbers, 20 countries"
    rows = [
        Row(
            name=f"dry run of {options.people:,} with a rate card, CPU",
            value=ratio * plain,
            unit="s",
            against="without",
            reference=plain,
            at_most=DRY_RUN,
        ),
        Row(name=f"{name}: requests", value=large["requests"], against="the fewest", reference=1, at_most=1),
        Row(
            name=f"{name}: memory above that of one day",
            value=large["peak_mb"] - small["peak_mb"],
            unit="MB",
            at_most=LIMIT_MB,
        ),
    ]
    text = (
        f"dry run of {options.people:,}: {plain:.2f} s of CPU, with a rate card {ratio:.3f} times as much\n"
        f"{name}: {large['rows']:,} rows in {large['requests']} request(s), peak {large['peak_mb']:.1f} MB; one day: "
        f"{small['rows']} rows, {small['peak_mb']:.1f} MB"
    )
    return hand_over(rows, text, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
