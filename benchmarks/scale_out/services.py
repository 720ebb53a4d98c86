"""
PostgreSQL, Redis, the sandbox and Airflow with Celery, on this machine's loopback alone, for as long as they are used.

Each is a process of its own in a session of its own, its output in a file; :class:`Services` stops them all.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable

    from machines import Machine

ROOT = Path(__file__).parents[2]
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ScaleOutError(Exception):
    """The measurement cannot be made; the text says why."""


@dataclass(frozen=True)
class Programs:
    """Where the services' programs are."""

    initdb: str
    postgres: str
    redis: str

    @classmethod
    def find(cls) -> Programs:
        """
        Look on PATH, and where Debian keeps PostgreSQL's.

        :raises ScaleOutError: One is missing; the text names Debian's package.
        """
        debian = sorted(
            Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True
        )
        path = os.pathsep.join([*map(str, debian), os.environ.get("PATH", "")])
        wanted = {"initdb": "postgresql", "postgres": "postgresql", "redis-server": "redis-server"}
        found = {name: shutil.which(name, path=path) for name in wanted}
        missing = sorted({wanted[name] for name, place in found.items() if place is None})
        if missing:
            raise ScaleOutError(
                f"{', '.join(name for name, place in found.items() if place is None)} not found. "
                f"On Debian and Ubuntu: sudo apt-get install {' '.join(missing)}"
            )
        return cls(found["initdb"], found["postgres"], found["redis-server"])

    def versions(self) -> dict[str, str]:
        """Return what the programs say of their versions."""
        said = {name: _output([getattr(self, name), "--version"]) for name in ("postgres", "redis")}
        return {
            "PostgreSQL": said["postgres"].split()[2],
            "Redis": said["redis"].partition("v=")[2].split()[0],
        }


class Services:
    """
    Starts processes and knows how to stop them.

    :param folder: Where they keep their files.
    :param out: Prints a line.
    """

    def __init__(self, folder: Path, out=print) -> None:
        self.folder = folder
        self.env: dict[str, str] = {}
        self.out = out
        self._processes: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> Services:
        return self

    def __exit__(self, *_: object) -> None:
        # A second Ctrl-C must not leave half of them behind.
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        for name in reversed(list(self._processes)):
            self.stop(name)
        for number, handler in before.items():
            signal.signal(number, handler)

    def log(self, name: str) -> Path:
        """Return the file with a process's output."""
        return self.folder / "logs" / f"{name}.log"

    def start(
        self,
        name: str,
        command: list[str],
        env: dict[str, str] | None = None,
        machine: Machine | None = None,
        **options,
    ) -> None:
        """Start a process in a session of its own; on the hub, unless a machine is named."""
        log = self.log(name)
        log.parent.mkdir(exist_ok=True)
        env = self.env if env is None else env
        with log.open("ab") as file:
            self._processes[name] = subprocess.Popen(
                command if machine is None else machine.command(command),
                env=env if machine is None else machine.environment(env),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **options,
            )

    def run(self, name: str, command: list[str], seconds: float, **options) -> None:
        """
        Run a command to its end.

        :raises ScaleOutError: It failed, or took longer.
        """
        self.start(name, command, **options)
        self.finish(name, seconds)

    def finish(self, name: str, seconds: float) -> None:
        """
        Wait for a process's own end.

        :raises ScaleOutError: It failed, or took longer.
        """
        process = self._processes[name]
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._fail(f"{name} took longer than {seconds:.0f} s", name)
        del self._processes[name]
        if code:
            self._fail(f"{name} failed with exit code {code}", name)

    def wait(self, ready, what: str, seconds: float) -> None:
        """
        Wait until something is so.

        :raises ScaleOutError: A process that is to run has ended, or time is up.
        """
        until = time.monotonic() + seconds
        while not ready():
            for name, process in self._processes.items():
                if process.poll() is not None:
                    self._fail(f"{name} has ended with exit code {process.returncode}", name)
            if time.monotonic() > until:
                self._fail(f"{what}: not so after {seconds:.0f} s", *self._processes)
            time.sleep(0.1)

    def pid(self, name: str) -> int:
        """Return a process's number."""
        return self._processes[name].pid

    def kill(self, name: str) -> int:
        """Kill a process with all that it has started, at once and without a word; return how many there were."""
        process = self._processes.pop(name)
        everybody = family(process.pid)
        # Stopped first, so that none of them sees another one die and acts on it: a machine dies as a whole.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for each in everybody:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.send_signal(number)
        process.wait()
        return len(everybody)

    def stop(self, name: str) -> None:
        """Stop a process politely, and after ten seconds by force, with whatever it has started."""
        process = self._processes.pop(name)
        everybody = family(process.pid)
        with contextlib.suppress(ProcessLookupError):
            # PostgreSQL takes SIGTERM as "wait until everybody has left", and SIGINT as "now".
            process.send_signal(signal.SIGINT if name == "postgresql" else signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        for each in {*everybody, *family(process.pid)}:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait()

    def _fail(self, reason: str, *names: str) -> None:
        lines = [
            f"    {name}: {line[:200]}"
            for name in names
            for line in self.log(name).read_text(errors="replace").splitlines()[-6:]
        ]
        raise ScaleOutError("\n".join([reason, *lines]))


def family(pid: int) -> list[psutil.Process]:
    """Return a process and its descendants, those that have left its process group as well."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def start_postgresql(services: Services, programs: Programs) -> str:
    """Start PostgreSQL with a database of its own; return its URL, without the driver."""
    data, port, password = services.folder / "postgresql", free_port(), secrets.token_hex(16)
    data.mkdir()
    secret = services.folder / "password"
    secret.write_text(password)
    account = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to be run by root
        user = _somebody()
        account = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        services.folder.chmod(0o711)
        for path in (data, secret):
            os.chown(path, user.pw_uid, user.pw_gid)
    options = {"env": {"PATH": os.defpath, "LC_ALL": "C"}, "cwd": data, **account}
    init = [programs.initdb, "--pgdata", str(data), "--username=airflow", f"--pwfile={secret}"]
    services.run("initdb", [*init, "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync"], 60, **options)
    settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "200"}
    flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    services.start("postgresql", [programs.postgres, "-D", str(data), "-p", str(port), *flags], **options)
    services.wait(lambda: listens(port), "PostgreSQL answers", 30)
    return f"airflow:{password}@127.0.0.1:{port}/postgres"


def _somebody() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise ScaleOutError("PostgreSQL refuses to be run by root, and there is no user postgres or nobody")


@dataclass(frozen=True)
class Redis:
    """
    A Redis server that writes nothing to the disk.

    :param name: Of its process.
    :param program: Where it is.
    :param port: On loopback.
    :param password: Its password.
    """

    name: str
    program: str
    port: int
    password: str

    @property
    def url(self) -> str:
        """Its URL, with the password."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def connection(self) -> str:
        """Airflow's connection to it, as JSON."""
        fields = {"host": "127.0.0.1", "port": self.port, "password": self.password}
        return json.dumps({"conn_type": "redis"} | fields)

    def start(self, services: Services) -> None:
        """Start it, empty, and wait until it answers."""
        config = services.folder / f"{self.name}.conf"
        config.touch(0o600)
        config.write_text(
            f'bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\nsave ""\nappendonly no\ndaemonize no\n'
        )
        services.start(self.name, [self.program, str(config)], env={"PATH": os.defpath}, cwd=services.folder)
        services.wait(lambda: listens(self.port), f"{self.name} answers", 30)


def start_redis(services: Services, programs: Programs, name: str = "redis") -> Redis:
    """Start a Redis server of its own."""
    redis = Redis(name, programs.redis, free_port(), secrets.token_hex(16))
    redis.start(services)
    return redis


def start_sandbox(services: Services, rate: int, latency: float) -> dict:
    """Start the sandbox, whose limit all workers share; return its connection."""
    command = [sys.executable, "-m", "airflow_provider_whatsapp.sandbox", "--port", "0"]
    limits = ["--rate-limit", str(rate), "--throughput", "0", "--pair-limit", "0", "--latency", str(latency)]
    services.start("sandbox", [*command, *limits], env={**os.environ, "PYTHONUNBUFFERED": "1"}, cwd=ROOT)
    log = services.log("sandbox")
    services.wait(
        lambda: "export " in log.read_text() and log.read_text().endswith("\n"), "the sandbox answers", 30
    )
    line = next(line for line in log.read_text().splitlines() if line.startswith("export "))
    connection = json.loads(shlex.split(line)[1].partition("=")[2])
    connection["extra"]["rate_limit"] = rate
    return connection


def airflow_environment(
    services: Services, database: str, broker: str, connection: dict, shards: int
) -> dict:
    """Return the environment that makes every process one Airflow, whatever the caller's shell is set up for."""
    port = free_port()
    foreign = ("AIRFLOW", "_AIRFLOW", "MATON_", "CELERY")
    env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    settings = {
        "core": {
            "executor": "CeleryExecutor",
            "dags_folder": Path(__file__).parent / "dags",
            "load_examples": False,
            "dags_are_paused_at_creation": False,
            "fernet_key": "",
            "simple_auth_manager_all_admins": True,
            "execution_api_server_url": f"http://127.0.0.1:{port}/execution/",
        },
        "database": {"sql_alchemy_conn": f"postgresql+psycopg2://{database}"},
        "celery": {
            "broker_url": broker,
            "result_backend": f"db+postgresql+psycopg2://{database}",
            "worker_concurrency": 4,
        },
        "celery_broker_transport_options": {"visibility_timeout": 3600},
        "api": {"host": "127.0.0.1", "port": port, "workers": 1, "secret_key": secrets.token_hex(16)},
        "api_auth": {"jwt_secret": secrets.token_hex(32)},
        # Airflow's own time until it takes a silent task for dead is five minutes.
        "scheduler": {
            "task_instance_heartbeat_timeout": HEARTBEAT_TIMEOUT,
            "task_instance_heartbeat_timeout_detection_interval": 2,
            "scheduler_heartbeat_sec": 2,
        },
        "workers": {"min_heartbeat_interval": 2},
    }
    for section, options in settings.items():
        env |= {f"AIRFLOW__{section}__{name}".upper(): str(value) for name, value in options.items()}
    return env | {
        "AIRFLOW_HOME": str(services.folder / "airflow"),
        "AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT": json.dumps(connection),
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(services.folder),
        "SCALE_OUT_FOLDER": str(services.folder),
        "SCALE_OUT_SHARDS": str(shards),
    }


def connections(connection: dict, pacing: Redis, *, paced: bool) -> dict[str, str]:
    """
    Return the connections by which tasks send: by the account's Redis, and each machine for itself.

    :param connection: The sandbox's.
    :param pacing: The Redis server that paces.
    :param paced: Whether the default connection names it.
    """
    extra = connection["extra"] | ({"pace_redis": "whatsapp_pace"} if paced else {})
    return {
        "AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT": json.dumps(connection | {"extra": extra}),
        "AIRFLOW_CONN_WHATSAPP_ALONE": json.dumps(connection),
        "AIRFLOW_CONN_WHATSAPP_PACE": pacing.connection,
    }


def ports_of(services: Services, database: str, broker: Redis, pacing: Redis, connection: dict) -> list[int]:
    """Return the ports of the hub's loopback that a worker on a machine of its own needs."""
    urls = (f"//{database}", connection["host"], services.env["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"])
    return [*(int(urllib.parse.urlsplit(url).port or 80) for url in urls), broker.port, pacing.port]


HEARTBEAT_TIMEOUT = 12
"""Seconds of silence after which Airflow takes a task for dead and tries it again."""


def start_airflow(services: Services) -> None:
    """Make the database and start what every Airflow has but its workers."""
    (services.folder / "airflow").mkdir()
    services.run("migrate", airflow("db", "migrate"), 180)
    services.start("api-server", airflow("api-server"))
    services.start("scheduler", airflow("scheduler", "--skip-serve-logs"))
    services.start("dag-processor", airflow("dag-processor"))
    port = services.env["AIRFLOW__API__PORT"]
    services.wait(
        lambda: fetch(f"http://127.0.0.1:{port}/api/v2/monitor/health") is not None,
        "the API server answers",
        120,
    )


def start_worker(
    services: Services,
    name: str,
    concurrency: int,
    *,
    machine: Machine | None = None,
    queues: str = "default",
) -> None:
    """
    Start a Celery worker; it is ready later (:func:`await_workers`).

    :param machine: On a machine of its own; None: on the hub.
    :param queues: The queues that it takes tasks from, separated by commas.
    """
    env = dict(services.env)
    if machine is not None:
        env["AIRFLOW_HOME"] = str(services.folder / f"airflow-{name}")
        Path(env["AIRFLOW_HOME"]).mkdir()
    flags = ["--celery-hostname", f"{name}@%h", "--concurrency", str(concurrency), "--skip-serve-logs"]
    pid = ["--queues", queues, "--pid", str(services.folder / f"{name}.pid")]
    services.start(name, airflow("celery", "worker", *flags, *pid), env=env, machine=machine)


def await_workers(services: Services, names: Iterable[str]) -> None:
    """Wait until Celery's workers are ready."""
    for name in names:
        log = services.log(name)
        services.wait(lambda log=log: " ready." in log.read_text(errors="replace"), f"{name} is ready", 240)


def airflow(*arguments: str) -> list[str]:
    """Return the command line of this environment's Airflow."""
    return [sys.executable, "-m", "airflow", *arguments]


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def listens(port: int) -> bool:
    """Tell whether somebody listens on a port of loopback."""
    with socket.socket() as caller:
        caller.settimeout(1)
        return caller.connect_ex(("127.0.0.1", port)) == 0


def fetch(url: str, method: str = "GET") -> bytes | None:
    """Return what a URL of this machine answers; None when it does not."""
    try:
        with OPENER.open(urllib.request.Request(url, method=method), timeout=30) as answer:
            return answer.read()
    except OSError:
        return None


def _output(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout
