"""A PostgreSQL server on a free port of loopback, in a folder of its own, run by somebody who is not root."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from tests.ports import free_port


def programs() -> dict[str, str] | None:
    """Return where initdb and postgres are, on PATH or where Debian keeps them; None where they are not."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    path = os.pathsep.join([*map(str, reversed(debian)), os.environ.get("PATH", "")])
    found = {name: shutil.which(name, path=path) for name in ("initdb", "postgres")}
    return None if None in found.values() else found


class Postgres:
    """
    A server with an empty database, which can be stopped and started again.

    :param found: From :func:`programs`.
    :param durable: Commits reach the disk; the tests do without, for what they stop is the server, not the machine.
    """

    def __init__(self, found: dict[str, str], *, durable: bool = False) -> None:
        self._programs = found
        root = (
            os.geteuid() == 0
        )  # PostgreSQL refuses to be run by root, and others may not enter root's folders
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp" if root else None))
        self._account = {}
        if root:
            names = {each.pw_name for each in pwd.getpwall()}
            user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
            self._account = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(self._folder, user.pw_uid, user.pw_gid)
        self._process: subprocess.Popen | None = None
        self.port = free_port()
        data = str(self._folder / "data")
        init = [
            found["initdb"],
            "--pgdata",
            data,
            "--username=test",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-sync",
        ]
        subprocess.run(init, check=True, stdout=subprocess.DEVNULL, **self._options())
        flags = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
        }
        if not durable:
            flags |= {
                "fsync": "off",
                "synchronous_commit": "off",
                "shared_buffers": "16MB",
                "autovacuum": "off",
            }
        named = [word for name, value in flags.items() for word in ("-c", f"{name}={value}")]
        self._command = [found["postgres"], "-D", data, "-p", str(self.port), *named]
        self.start()

    def _options(self) -> dict:
        return {"env": {"PATH": os.defpath, "LC_ALL": "C"}, "cwd": self._folder, **self._account}

    def url(self, database: str = "postgres") -> str:
        """Return a database's URL, without naming a driver."""
        return f"postgresql://test@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(self._command, **quiet, **self._options())
        until = time.monotonic() + 30
        while not self._answers():
            assert self._process.poll() is None, "PostgreSQL has ended"
            assert time.monotonic() < until, "PostgreSQL does not answer"
            time.sleep(0.02)

    def _answers(self) -> bool:
        import psycopg2

        try:
            psycopg2.connect(host="127.0.0.1", port=self.port, user="test", dbname="postgres").close()
        except psycopg2.OperationalError:
            return False
        return True

    def execute(self, statement: str) -> None:
        """Run a statement that stands outside of transactions."""
        import psycopg2

        connection = psycopg2.connect(host="127.0.0.1", port=self.port, user="test", dbname="postgres")
        connection.autocommit = True
        connection.cursor().execute(statement)
        connection.close()

    def stop(self) -> None:
        """Stop at once, with connections open."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=30)
            self._process = None

    def close(self) -> None:
        """Stop, and delete everything."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
