"""
Kill the receiver at random moments under load, and look whether everything that it answered with 200 is stored.

    python tests/campaigns/receiver_kills.py --kills 50                  # SQLite
    python tests/campaigns/receiver_kills.py --kills 50 --postgresql     # a server of its own

Deliveries are posted as WhatsApp posts them: several at a time, and again until they are answered with 200. Fails when
one that was answered with 200 is not in the table, or one is there twice.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import requests

ROOT = Path(__file__).parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from airflow_provider_whatsapp.events.store import EventStore  # noqa: E402
from tests.events.bodies import SECRET, signed, status, statuses  # noqa: E402
from tests.events.postgres import Postgres, programs  # noqa: E402

NURSERY = """
import os, sys
from airflow_provider_whatsapp import cli
from airflow_provider_whatsapp.events import receiver, serve, store
import psycopg2, sqlalchemy.dialects.postgresql.psycopg2
for line in sys.stdin:
    child = os.fork()
    if not child:
        os._exit(cli.main(["receiver", *sys.argv[1:]]))
    print(child, flush=True)
    os.waitpid(child, 0)
    print("gone", flush=True)
"""
"""Starts receivers one after the other, each a process of its own, without importing everything each time."""


class Load:
    """
    Posts deliveries of one or several events, each until it is answered with 200.

    :param url: Where to.
    :param chance: Decides how many events each holds.
    """

    def __init__(self, url: str, chance: random.Random) -> None:
        self._url = url
        self._chance = chance
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._count = 0
        self.accepted: list[str] = []
        self._threads = [threading.Thread(target=self._run) for _ in range(4)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while not self._stop.is_set():
                with self._lock:
                    size = self._chance.choice((1, 1, 1, 20))
                    names = [f"wamid.{self._count + number}" for number in range(size)]
                    self._count += size
                self._post(session, names)

    def _post(self, session: requests.Session, names: list[str]) -> None:
        content = statuses(*map(status, names))
        while not self._stop.is_set():
            with contextlib.suppress(requests.RequestException):
                if (
                    session.post(self._url, data=content, headers=signed(content), timeout=30).status_code
                    == 200
                ):
                    with self._lock:
                        self.accepted += names
                    return
            time.sleep(0.005)


def play(database: str, kills: int, seed: int) -> tuple[int, list[str], list[str]]:
    """
    Kill a receiver so many times.

    :return: How many events were answered with 200, those of them that are lost, and those that are there twice.
    """
    chance = random.Random(seed)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    secrets = {
        "WHATSAPP_APP_SECRET": SECRET,
        "WHATSAPP_VERIFY_TOKEN": "token",
        "WHATSAPP_EVENTS_URL": database,
    }
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    command = [sys.executable, "-c", NURSERY, "--port", str(port)]
    nursery = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **secrets}, **pipes)
    try:
        with Load(f"http://127.0.0.1:{port}/webhook", random.Random(seed)) as load:
            for _ in range(kills):
                _one(nursery, load, chance)
    finally:
        nursery.stdin.close()
        nursery.wait()
        nursery.stdout.close()
    store = EventStore.open(database)
    found = store.furthest(load.accepted)
    lost = sorted(set(load.accepted) - set(found))
    with store._engine.connect() as connection:
        twice = connection.exec_driver_sql(
            "SELECT message_id FROM whatsapp_statuses GROUP BY message_id HAVING count(*) > 1"
        ).scalars()
        doubled = list(twice)
    store.close()
    return len(load.accepted), lost, doubled


def _one(nursery: subprocess.Popen, load: Load, chance: random.Random) -> None:
    """Start a receiver, and kill it at a random moment after it has begun to accept."""
    nursery.stdin.write("one more\n")
    nursery.stdin.flush()
    number = int(nursery.stdout.readline())
    assert "ready at" in nursery.stdout.readline()
    wanted = len(load.accepted) + chance.randint(1, 60)
    until = time.monotonic() + 60
    while len(load.accepted) < wanted:
        assert time.monotonic() < until, "nothing is accepted"
        time.sleep(0.001)
    time.sleep(chance.random() * 0.02)
    os.kill(number, signal.SIGKILL)
    assert nursery.stdout.readline() == "gone\n"


def main() -> int:
    """Play, print what was found, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--postgresql", action="store_true", help="store in a PostgreSQL of its own")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        database = f"sqlite:///{stack.enter_context(tempfile.TemporaryDirectory())}/events.db"
        if given.postgresql:
            server = Postgres(programs() or sys.exit("PostgreSQL is not installed"))
            stack.callback(server.close)
            database = server.url()
        accepted, lost, doubled = play(database, given.kills, given.seed)
    kind = "PostgreSQL" if given.postgresql else "SQLite"
    print(f"{kind}, seed {given.seed}: {given.kills} kills, {accepted} events answered with 200, ", end="")
    print(f"{len(lost)} of them lost, {len(doubled)} there twice")
    return 1 if lost or doubled else 0


if __name__ == "__main__":
    sys.exit(main())
