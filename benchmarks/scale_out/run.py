"""
A broadcast in shards on a real CeleryExecutor: several machines, one limit; then again, and one machine is killed.

    make scale-out                                  # sets up an environment of its own
    python benchmarks/scale_out/run.py [--machines 4] [--recipients 1200] [--rate 10] [--write FILE]
    python benchmarks/scale_out/run.py --without-redis [--write FILE]

Every machine is a network namespace of its own (machines.py) with one Celery worker, and what the first one sends
arrives 0.1 seconds later. Redis paces them; with `--without-redis` the same broadcast goes by one queue, by a pool,
and by machines that do not know of each other. `--machines 0` is two workers on one machine, which need no Redis to
keep the limit. Machines want root; all wants Debian's packages `iproute2`, `postgresql` and `redis-server`, which it
starts itself on free ports of loopback, with all their files in a temporary folder. Everything is stopped at the end,
by Ctrl-C too. Takes about six minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import sys
import time
from collections import Counter
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import services as own
from findings import Facts, judge, lost, rate, twice
from harness import ask, conditions, measure, say, table
from machines import cable, check, machines

if TYPE_CHECKING:
    from machines import Machine

TOGETHER = 2
"""Workers that share one machine, where there are no others."""
DELAY = 0.1
"""Seconds by which what the first machine sends arrives later."""
DAG = "scale_out"
WITHOUT_REDIS = {
    "scale_out_queue": "one queue: one machine sends for all",
    "scale_out_pool": "a pool with one slot",
    "scale_out_alone": "they do not know of each other",
}
MARKS = "<!-- scale-out: begin -->", "<!-- scale-out: end -->"
MARKS_WITHOUT = "<!-- without-redis: begin -->", "<!-- without-redis: end -->"


class Campaign:
    """
    Runs of one broadcast on one Airflow.

    :param services: What runs, Airflow among it.
    :param options: The command line.
    :param connection: The sandbox's.
    :param database: PostgreSQL's URL.
    """

    def __init__(
        self, services: own.Services, options: argparse.Namespace, connection: dict, database: str
    ) -> None:
        self.services = services
        self.options = options
        self.sandbox = connection["host"].rstrip("/") + "/_sandbox"
        self.database = database
        self.workers: dict[str, Machine | None] = {}
        # Never sent to before, and long enough for everybody to be another one.
        self.recipients = [f"1555{place:07}" for place in range(options.recipients)]

    def write_list(self) -> None:
        """Write the list of recipients."""
        with (self.services.folder / "people.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["to"])
            writer.writerows([f"+{to}"] for to in self.recipients)

    def start_workers(self, made: list[Machine]) -> None:
        """Start a worker on each machine; the last one takes the tasks of the one queue as well."""
        where = made or [None] * TOGETHER
        # One more than its share, so that a killed machine's tasks find room on the others.
        tasks = -(-self.options.shards // len(where)) + 1
        for number, machine in enumerate(where, start=1):
            name = f"worker-{number}"
            queues = "default,whatsapp" if number == len(where) else "default"
            own.start_worker(self.services, name, tasks, machine=machine, queues=queues)
            self.workers[name] = machine
        own.await_workers(self.services, self.workers)

    def query(self, sql: str, *values: object) -> list[tuple]:
        """Ask Airflow's database."""
        return ask(self.database, sql, *values)

    def measure(self, run: str, *, dag: str = DAG, kill: bool = False) -> Facts:
        """Run a DAG once and gather the facts."""
        own.fetch(f"{self.sandbox}/reset", "POST")
        wait = self.services.wait
        wait(
            lambda: self.query("SELECT 1 FROM dag WHERE dag_id = %s AND NOT is_paused", dag),
            "Airflow knows the DAG",
            90,
        )
        self.services.run("trigger", own.airflow("dags", "trigger", dag, "--run-id", run), 60)
        wait(lambda: len(self.accepted()) >= len(self.recipients) // 4, "a quarter is sent", 300)
        killed = self.kill(run) if kill else 0
        seconds = 3 * len(self.recipients) / self.options.rate + 180
        wait(lambda: self.state(run) in ("success", "failed"), "the run has ended", seconds)
        return self.facts(run, killed)

    def kill(self, run: str) -> int:
        """Kill the machine that has the most tasks, of those with no delay; return how many those were."""
        running = {
            pid
            for (pid,) in self.query(
                "SELECT pid FROM task_instance WHERE run_id = %s AND state = 'running'", run
            )
        }

        def tasks(name: str) -> int:
            return len(running & {process.pid for process in own.family(self.services.pid(name))})

        name = max(list(self.workers)[1:], key=tasks)
        count, machine = tasks(name), self.workers.pop(name)
        gone = self.services.kill(name)
        if machine is not None:
            self.services.kill(cable(machine))
        self.services.out(f"  {name} killed: {gone} processes, {count} tasks among them")
        return count

    def accepted(self) -> list[tuple[str, float]]:
        """Return recipient and moment of what the sandbox has taken."""
        messages = json.loads(own.fetch(f"{self.sandbox}/messages") or "[]")
        return [(message["to"], message["accepted_at"]) for message in messages]

    def state(self, run: str) -> str:
        """Return the state of a DAG run."""
        return self.query("SELECT state FROM dag_run WHERE run_id = %s", run)[0][0]

    def facts(self, run: str, killed: int) -> Facts:
        """Gather what is known once a run has ended."""
        from airflow_provider_whatsapp.delivery.claims import threads_for
        from airflow_provider_whatsapp.delivery.engine import Rules

        answers = Counter(row["status"] for row in json.loads(own.fetch(f"{self.sandbox}/requests")))
        lines = [
            json.loads(line)
            for path in sorted((self.services.folder / "results").glob(f"{run}-*.jsonl"))
            for line in path.read_text().splitlines()
        ]
        tries = self.query("SELECT try_number FROM task_instance WHERE run_id = %s", run)
        per_shard = -(-len(self.recipients) // self.options.shards)
        facts = Facts(
            recipients=self.recipients,
            accepted=self.accepted(),
            refused=answers[429],
            requests=sum(answers.values()),
            results=[(line["to"].lstrip("+"), line["status"]) for line in lines],
            state=self.state(run),
            tries=[number for (number,) in tries],
            rate=self.options.rate,
            killed=killed,
            in_flight=Rules(threads=threads_for(self.options.rate, per_shard, self.options.shards)).in_flight,
            far=self.options.machines > 0,
        )
        (self.services.folder / f"{run}.json").write_text(json.dumps(asdict(facts)))
        return facts


def main() -> int:
    """Measure, print, and return the exit code."""
    options = arguments()
    marks = MARKS_WITHOUT if options.without_redis else MARKS
    return measure(lambda services, programs: campaign(services, programs, options), options.write, marks)


def campaign(services: own.Services, programs: own.Programs, options: argparse.Namespace) -> tuple[bool, str]:
    """Start everything, measure, and return whether all is well, with the tables."""
    began = time.monotonic()
    if options.machines:
        check()
    database = own.start_postgresql(services, programs)
    broker = own.start_redis(services, programs)
    pacing = own.start_redis(services, programs, "pacing-redis")
    connection = own.start_sandbox(services, options.rate, options.latency)
    services.env = own.airflow_environment(services, database, broker.url, connection, options.shards)
    services.env |= own.connections(connection, pacing, paced=options.machines > 0)
    say(f"PostgreSQL, Redis and the sandbox run; Airflow {version('apache-airflow')} makes its database")
    found = Campaign(services, options, connection, database)
    found.write_list()
    own.start_airflow(services)
    services.run("pool", own.airflow("pools", "set", "whatsapp", "1", "one sender at a time"), 60)
    with contextlib.ExitStack() as stack:
        made = []
        if options.machines:
            ports = own.ports_of(services, database, broker, pacing, connection)
            made = stack.enter_context(machines(services, options.machines, ports, DELAY))
        found.start_workers(made)
        say(f"Airflow runs with {len(found.workers)} workers, after {time.monotonic() - began:.0f} s")
        good, text = _without_redis(found) if options.without_redis else _with_a_kill(found)
    return good, f"{text}\n\n{_conditions(programs, options)}"


def _with_a_kill(found: Campaign) -> tuple[bool, str]:
    sections, good = [], True
    several = f"{len(found.workers)} {'machines' if found.options.machines else 'workers on one machine'}"
    for run, kill, heading in (
        ("whole", False, several),
        ("killed", True, f"{several}, one killed after a quarter"),
    ):
        say(f"{heading}: {found.options.recipients} recipients at {found.options.rate}/s")
        findings = judge(found.measure(run, kill=kill))
        good = good and all(each.good for each in findings)
        sections.append(table(heading, findings))
    return good, "\n\n".join(sections)


def _without_redis(found: Campaign) -> tuple[bool, str]:
    lines = [
        "| | rate, of the limit | answered 429 | sent to twice | without a message |",
        "| --- | --- | --- | --- | --- |",
    ]
    good = True
    for dag, heading in WITHOUT_REDIS.items():
        facts = found.measure(dag, dag=dag)
        again, missing = twice(facts), lost(facts)
        # Where machines do not know of each other, some fail by 429; the results files say so.
        good = good and facts.state == "success" and not again and (not missing or dag == "scale_out_alone")
        share = facts.refused / max(1, facts.requests)
        reached = rate(facts.accepted) / facts.rate
        lines.append(f"| {heading} | {reached:.2f} | {share:.1%} | {again} | {missing} |")
        say(lines[-1])
    return good, "\n".join(lines)


def _conditions(programs: own.Programs, options: argparse.Namespace) -> str:
    apart = f", {DELAY * 1e3:.0f} ms more from the first machine" if options.machines else ""
    return conditions(
        programs,
        f"{options.machines or 1} machines, {options.recipients} recipients, {options.shards} shards, {options.rate} "
        f"requests a second, {options.latency * 1e3:.0f} ms per answer{apart}",
    )


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--machines", type=int, default=4, help="0: two workers on one machine")
    parser.add_argument("--recipients", type=int, default=1200)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--rate", type=int, default=10, help="the sandbox's limit per second")
    parser.add_argument("--latency", type=float, default=0.15, help="seconds per answer")
    parser.add_argument("--without-redis", action="store_true", help="by a queue, by a pool, and by neither")
    parser.add_argument("--write", type=Path, help="Markdown file whose marked part becomes the table")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
