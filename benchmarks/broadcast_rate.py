"""
Rate of a broadcast: 1,000 recipients at 10 per second with 150 ms latency and the ledger on.

    python benchmarks/broadcast_rate.py             # 100 s
    python benchmarks/broadcast_rate.py --quick     # the same ratio at 40 per second, 10 s

The sandbox counts requests per second as Maton does; a broadcast that is too fast meets a 429, one that idles is slow.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter

import requests
from common import sandbox
from rows import Row, add_option, hand_over

LATE = 1.03


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipients", type=int, default=1_000)
    parser.add_argument("--rate", type=int, default=10)
    parser.add_argument("--latency", type=float, default=0.15)
    parser.add_argument("--store-takes", type=float, default=0.017, help="seconds of a write to the store")
    parser.add_argument("--quick", action="store_true")
    add_option(parser)
    options = parser.parse_args()
    if options.quick:
        options.recipients, options.rate = 400, 40

    from airflow_provider_whatsapp.client.config import ClientConfig
    from airflow_provider_whatsapp.client.messages import Text
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
    from airflow_provider_whatsapp.delivery.claims import threads_for
    from airflow_provider_whatsapp.delivery.engine import Delivery, Rules
    from airflow_provider_whatsapp.delivery.ledger import Job, Ledger, Try
    from airflow_provider_whatsapp.delivery.recipients import Recipients
    from airflow_provider_whatsapp.delivery.report import Report
    from airflow_provider_whatsapp.delivery.stores import FileStore

    class SlowStore(FileStore):
        """As slow as Airflow's task state store was measured to be; counts what is written."""

        writes = most = 0

        def set(self, key, value):
            time.sleep(options.store_takes)
            super().set(key, value)
            self.writes += 1
            self.most = max(
                self.most, len(value["claimed"]) if isinstance(value, dict) and "claimed" in value else 0
            )

    flags = ["--rate-limit", str(options.rate), "--throughput", "0", "--pair-limit", "0"]
    with (
        sandbox(*flags, "--latency", str(options.latency)) as connection,
        tempfile.TemporaryDirectory() as folder,
    ):
        from pathlib import Path

        config = ClientConfig(
            api_key=connection["password"],
            host=connection["host"],
            phone_number_id=connection["extra"]["phone_number_id"],
            rate_limit=options.rate,
        )
        recipients = Recipients([f"1555{place:07}" for place in range(options.recipients)])
        survey = recipients.survey()
        store = SlowStore(Path(folder))
        ledger = Ledger(store)
        ledger.begin(Job(survey.digest, "message", survey.total), Try())
        threads = threads_for(options.rate, survey.total)
        with WhatsAppClient(config) as client:
            delivery = Delivery(
                ledger,
                lambda _: Text("hello"),
                client.messages.send,
                rules=Rules(threads=threads, rate=options.rate),
                permit=client.messages.permit,
            )
            began = time.perf_counter()
            report = delivery.run(recipients, Report(limit=100))
            took = time.perf_counter() - began
        answers = requests.get(f"{connection['host']}/_sandbox/requests", timeout=30).json()
        statuses = Counter(answer["status"] for answer in answers if "/messages" in answer["path"])
    # The first leaves at once, and the last answer takes its time.
    ideal = (options.recipients - 1) / options.rate + options.latency
    text = (
        f"{report.summary()} in {took:.2f} s; the limit's own time is {ideal:.2f} s: {took / ideal - 1:+.2%}\n"
        f"{threads} threads, {store.most} claimed at most, {store.writes / took:.1f} writes per second; "
        f"answers: {dict(statuses)}"
    )
    name = (
        f"broadcast to {options.recipients:,} at {options.rate}/s, {options.latency * 1e3:.0f} ms per answer"
    )
    rows = [
        Row(name=name, value=took, unit="s", against="the limit's own time", reference=ideal, at_most=LATE),
        Row(name=f"{name}: not sent", value=options.recipients - report.count("sent"), at_most=0),
        Row(name=f"{name}: 429", value=statuses[429], at_most=0),
    ]
    return hand_over(rows, text, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
