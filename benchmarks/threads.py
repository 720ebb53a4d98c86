"""Eight threads of one client against a server that takes 200 ms to answer: how much faster than one thread?"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from common import stub_server

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
    with stub_server(LATENCY) as url:
        client = WhatsAppClient(ClientConfig(api_key="key", host=url, phone_number_id="1", rate_limit=0))
        seconds(client, THREADS, THREADS)
        one = seconds(client, 1, SENDS // THREADS) / (SENDS // THREADS)
        many = seconds(client, THREADS, SENDS) / SENDS
    print(
        f"threads: {THREADS} threads send {one / many:.2f} times as fast as one ({LATENCY * 1e3:.0f} ms per answer)"
    )


if __name__ == "__main__":
    main()
