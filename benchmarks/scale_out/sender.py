"""
A sender of text messages on a machine of its own: as fast as its rate limiter allows, until its time is over.

    python sender.py NUMBER FOLDER SECONDS      # and the connection as JSON in SCALE_OUT_SENDER

It says that it is ready by a file in FOLDER, begins once there is a file `go`, and prints how many it sent.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.client.redis_server import RedisServer
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

THREADS = 2


def client(connection: dict) -> WhatsAppClient:
    """Return a client for the connection, paced by Redis where it names one."""
    redis = connection.get("redis")
    config = ClientConfig(
        api_key=connection["password"],
        host=connection["host"],
        phone_number_id=connection["extra"]["phone_number_id"],
        rate_limit=connection["extra"]["rate_limit"],
        pace_redis=RedisServer(nodes=(("127.0.0.1", redis["port"]),), password=redis["password"])
        if redis
        else None,
    )
    return WhatsAppClient(config)


def main(number: int, folder: Path, seconds: float) -> None:
    """Send until the time is over."""
    whatsapp = client(json.loads(os.environ["SCALE_OUT_SENDER"]))
    message, places, sent, failed = Text("A line of a broadcast."), count(), [], []
    (folder / f"ready-{number}").touch()
    while not (folder / "go").exists():
        time.sleep(0.05)
    until = time.monotonic() + seconds

    def send() -> None:
        while time.monotonic() < until:
            try:
                # Two digits say which sender it was.
                sent.append(whatsapp.messages.send(f"+1555{number:02}{next(places):05}", message))
            except WhatsAppError as error:
                failed.append(str(error))

    with ThreadPoolExecutor(THREADS) as threads:
        for each in [threads.submit(send) for _ in range(THREADS)]:
            each.result()
    print(json.dumps({"sent": len(sent), "failed": len(failed), "first_failure": failed[:1]}))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
