"""
Wall and CPU time of one send on loopback, beside the peers that a DAG author would use instead.

Ours includes validation, pacing (unlimited here) and error mapping; the others post the same JSON.

``--against CHECKOUT`` compares CPU time with that of another checkout of this repository instead: two processes send in
turn, a few messages each, and the median of the ratios is told, so that a busy machine meets both.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
import warnings
from pathlib import Path
from urllib.parse import urlsplit

import requests
from common import ROOT, in_turn, medians, stub_server
from rows import Row, add_option, against, hand_over

from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

TO, WORDS = "+15550001111", "The nightly run has finished: 1,204 rows."
BODY = {
    "messaging_product": "whatsapp",
    "recipient_type": "individual",
    "to": TO,
    "type": "text",
    "text": {"body": WORDS, "preview_url": False},
}
PATH = "/whatsapp-business/v25.0/106540352242922/messages"
HEADERS = {"Authorization": "Bearer benchmark-key", "Content-Type": "application/json"}


# Reads from its input how many messages to send, and prints the seconds of CPU that each took.
SENDER = f"""
import sys, time
import airflow_provider_whatsapp as package
from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

config = ClientConfig(api_key="benchmark-key", host=sys.argv[1], phone_number_id="106540352242922", rate_limit=0)
send = WhatsAppClient(config).messages.send
print(package.__file__, flush=True)
for line in sys.stdin:
    started = time.process_time()
    for _ in range(int(line)):
        send({TO!r}, Text({WORDS!r}))
    print((time.process_time() - started) / int(line), flush=True)
"""
AT_MOST = 1.05
"""The cost of a send may grow by so much from one version to the next."""


def compare(checkout, *, rounds, repeats=40):
    with stub_server() as url:
        checkouts = [ROOT, Path(checkout).resolve()]
        found = in_turn(SENDER, checkouts, url, rounds=rounds, repeats=repeats, warm=200)
    return against("one send, CPU", found, checkout=str(checkout), at_most=AT_MOST, unit="ms", scale=1e3)


def ours(url):
    client = WhatsAppClient(
        ClientConfig(api_key="benchmark-key", host=url, phone_number_id="106540352242922", rate_limit=0)
    )
    return lambda: client.messages.send(TO, Text(WORDS))


def bare_requests(url):
    session = requests.Session()
    return lambda: session.post(url + PATH, json=BODY, headers=HEADERS, timeout=(5, 30)).json()


def floor(url):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port)

    def send():
        connection.request("POST", PATH, json.dumps(BODY).encode(), HEADERS)
        return json.loads(connection.getresponse().read())

    return send


def pywa(url):
    import httpx
    from pywa.api import GraphAPI

    session = httpx.Client()
    api = GraphAPI(token="benchmark-key", session=session, api_version=25.0)
    session.base_url = f"{url}/whatsapp-business/v25.0"
    return lambda: api.send_message(
        sender="106540352242922",
        to=TO,
        recipient=None,
        recipient_type="individual",
        typ="text",
        msg=BODY["text"],
    )


def http_hook(url):
    parts = urlsplit(url)
    os.environ["AIRFLOW_CONN_BENCHMARK"] = json.dumps(
        {"conn_type": "http", "host": parts.hostname, "port": parts.port, "schema": "http"}
    )
    from airflow.providers.http.hooks.http import HttpHook

    hook = HttpHook(method="POST", http_conn_id="benchmark")
    hook.log.disabled = True
    return lambda: hook.run(PATH, json=BODY, headers=HEADERS).json()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--against", metavar="CHECKOUT", help="compare with another checkout instead of peers"
    )
    add_option(parser)
    options = parser.parse_args()
    if options.against:
        row, text = compare(options.against, rounds=options.rounds)
        return hand_over([row], text, as_json=options.json)
    warnings.simplefilter("ignore")
    with stub_server() as url:
        peers = {
            "http.client": floor(url),
            "ours": ours(url),
            "pywa": pywa(url),
            "requests": bare_requests(url),
            "HttpHook": http_hook(url),
        }
        figures = medians(peers, rounds=options.rounds, repeats=150)
    wall, cpu = figures["ours"]
    parts = [
        f"{name} {seconds[0] * 1e3:.2f}/{seconds[1] * 1e3:.2f} ms"
        + (
            ""
            if name == "ours"
            else f" (ours/{name} wall {wall / seconds[0]:.2f}, cpu {cpu / seconds[1]:.2f})"
        )
        for name, seconds in figures.items()
    ]
    rows = [
        Row(
            name=f"one send, {kind}",
            value=figures["ours"][place] * 1e3,
            unit="ms",
            against=name,
            reference=figures[name][place] * 1e3,
            at_most=None if name == "http.client" else 1,
        )
        for place, kind in enumerate(("wall time", "CPU"))
        for name in figures
        if name != "ours"
    ]
    return hand_over(rows, f"send cost, wall/cpu: {'; '.join(parts)}", as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
