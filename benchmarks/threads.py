"""Eight threads of one client against a server that takes 200 ms to answer: how much faster than one thread?"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from common import stub_server
from rows import Row, add_option, hand_over

from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

LATENCY, THREADS, SENDS = 0.2, 8, 160


def seconds(client, threads, sends):
    message = Text("Hello")
    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda number: client.messages.send(f"+1555000{number:04}", message), range(sends)):
            pass
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_option(parser)
    options = parser.parse_args()
    with stub_server(LATENCY) as url:
        client = WhatsAppClient(ClientConfig(api_key="key", host=url, phone_number_id="1", rate_limit=0))
        seconds(client, THREADS, THREADS)
        one = seconds(client, 1, SENDS // THREADS) / (SENDS // THREADS)
        many = seconds(client, THREADS, SENDS) / SENDS
    row = Row(
        name=f"{THREADS} threads, {LATENCY * 1e3:.0f} ms per answer",
        value=1 / many,
        unit="messages/s",
        against="one thread",
        reference=1 / one,
        at_least=0.95 * THREADS,
    )
    text = f"threads: {THREADS} threads send {one / many:.2f} times as fast as one ({LATENCY * 1e3:.0f} ms per answer)"
    return hand_over([row], text, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
