"""
A broadcast in shards on a real CeleryExecutor: two workers, one limit; then again, and one worker is killed.

    make scale-out                                  # sets up an environment of its own
    python benchmarks/scale_out/run.py [--recipients 1200] [--rate 20] [--apart] [--write docs/scale-out.md]

Wants Debian's packages `postgresql` and `redis-server`, which it starts by itself on free ports of loopback, with all
their files in a temporary folder. Everything is stopped at the end, by Ctrl-C too. Takes about four minutes.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections import Counter
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import services as own
from findings import Facts, judge
from harness import ask, conditions, measure, say, table

WORKERS, CONCURRENCY = ("worker-1", "worker-2"), 4
DAG = "scale_out"
MARKS = "<!-- scale-out: begin -->", "<!-- scale-out: end -->"


class Campaign:
    """
    Runs of one DAG on one Airflow.

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
        # Never sent to before, and long enough for everybody to be another one.
        self.recipients = [f"1555{place:07}" for place in range(options.recipients)]

    def write_list(self) -> None:
        """Write the list of recipients."""
        with (self.services.folder / "people.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["to"])
            writer.writerows([f"+{to}"] for to in self.recipients)

    def query(self, sql: str, *values: object) -> list[tuple]:
        """Ask Airflow's database."""
        return ask(self.database, sql, *values)

    def measure(self, run: str, *, kill: bool) -> Facts:
        """Run the DAG once and gather the facts."""
        own.fetch(f"{self.sandbox}/reset", "POST")
        wait = self.services.wait
        wait(
            lambda: self.query("SELECT 1 FROM dag WHERE dag_id = %s AND NOT is_paused", DAG),
            "Airflow knows the DAG",
            90,
        )
        self.services.run("trigger", own.airflow("dags", "trigger", DAG, "--run-id", run), 60)
        wait(lambda: len(self.accepted()) >= len(self.recipients) // 4, "a quarter is sent", 120)
        killed = 0
        if kill:
            killed = self.kill(run)
        seconds = 3 * len(self.recipients) / self.options.rate + 120
        wait(lambda: self.state(run) in ("success", "failed"), "the run has ended", seconds)
        return self.facts(run, killed)

    def kill(self, run: str) -> int:
        """Kill one worker with all its tasks; return how many those were."""
        name = WORKERS[-1]
        running = self.query(
            "SELECT hostname, pid FROM task_instance WHERE run_id = %s AND state = 'running'", run
        )
        mine = {process.pid for process in own.family(self.services.pid(name))}
        tasks = sum(pid in mine for _, pid in running)
        gone = self.services.kill(name)
        self.services.out(f"  {name} killed: {gone} processes, {tasks} tasks among them")
        return tasks

    def accepted(self) -> list[tuple[str, float]]:
        """Return recipient and moment of what the sandbox has taken."""
        messages = json.loads(own.fetch(f"{self.sandbox}/messages") or "[]")
        return [(message["to"], message["accepted_at"]) for message in messages]

    def state(self, run: str) -> str:
        """Return the state of a DAG run."""
        return self.query("SELECT state FROM dag_run WHERE dag_id = %s AND run_id = %s", DAG, run)[0][0]

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
        tries = self.query("SELECT try_number FROM task_instance WHERE dag_id = %s AND run_id = %s", DAG, run)
        per_shard = -(-len(self.recipients) // self.options.shards)
        return Facts(
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
        )


def main() -> int:
    """Measure, print, and return the exit code."""
    options = arguments()
    return measure(lambda services, programs: campaign(services, programs, options), options.write, MARKS)


def campaign(services: own.Services, programs: own.Programs, options: argparse.Namespace) -> tuple[bool, str]:
    """Start everything, measure with and without a kill, and return whether all is well, with the tables."""
    began = time.monotonic()
    database = own.start_postgresql(services, programs)
    broker = own.start_redis(services, programs)
    connection = own.start_sandbox(services, options.rate, options.latency)
    services.env = own.airflow_environment(services, database, broker, connection, options.shards)
    say(f"PostgreSQL, Redis and the sandbox run; Airflow {version('apache-airflow')} makes its database")
    found = Campaign(services, options, connection, database)
    found.write_list()
    own.start_airflow(services)
    for name in WORKERS:
        own.start_worker(services, name, CONCURRENCY, apart=options.apart)
    say(f"Airflow runs with {len(WORKERS)} workers, after {time.monotonic() - began:.0f} s")
    sections, good = [], True
    for run, kill, heading in (
        ("whole", False, f"{len(WORKERS)} workers"),
        ("killed", True, f"{len(WORKERS)} workers, one killed after a quarter"),
    ):
        say(f"{heading}: {options.recipients} recipients in {options.shards} shards at {options.rate}/s")
        facts = found.measure(run, kill=kill)
        (services.folder / f"{run}.json").write_text(json.dumps(asdict(facts)))
        findings = judge(facts)
        good = good and all(each.good for each in findings)
        sections.append(table(heading, findings))
    return good, "\n\n".join([*sections, _conditions(programs, options)])


def _conditions(programs: own.Programs, options: argparse.Namespace) -> str:
    apart = ", each worker with a rhythm of its own as on two machines" if options.apart else ""
    return conditions(
        programs,
        f"{options.recipients} recipients, {options.shards} shards, {CONCURRENCY} tasks per worker, "
        f"{options.latency * 1e3:.0f} ms per answer{apart}",
    )


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipients", type=int, default=1200)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--rate", type=int, default=20, help="the sandbox's limit per second")
    parser.add_argument("--latency", type=float, default=0.15, help="seconds per answer")
    parser.add_argument("--apart", action="store_true", help="the workers see each other's pace only by 429")
    parser.add_argument("--write", type=Path, help="Markdown file whose marked part becomes the table")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
