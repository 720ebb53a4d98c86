"""
A storm on a real CeleryExecutor: mapped tasks fail on two machines, and one phone is told of them.

    make storm                                      # sets up an environment of its own
    python benchmarks/scale_out/storm.py [--tasks 500] [--machines 2] [--without-redis] [--write docs/scale-out.md]

The machines share no lock and no file (machines.py); which of them tells is settled in the Redis that the connection
names, or without Redis by claims in Airflow's Variables. Wants what `make scale-out` wants, and starts and stops it in
the same way. Takes four to six minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

import services as own
from findings import Finding, judge_alerts
from harness import ask, conditions, measure, say, table
from machines import check, machines

CONCURRENCY = 8
DAG = "storm"
MARKS = "<!-- storm-of-alerts: begin -->", "<!-- storm-of-alerts: end -->"
MARKS_WITHOUT = "<!-- storm-without-redis: begin -->", "<!-- storm-without-redis: end -->"
DELAY = 0.1
"""Seconds by which what the first machine sends arrives later."""
LONGEST_STORM = 1_500
"""Seconds."""
COOLDOWN = 300
"""Seconds after which the notifier tells of a failure again, however many there are."""


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--machines", type=int, default=2)
    parser.add_argument(
        "--without-redis", action="store_true", help="keep the throttle state in Airflow's Variables"
    )
    parser.add_argument("--write", type=Path, help="Markdown file whose marked part becomes the table")
    options = parser.parse_args()
    marks = MARKS_WITHOUT if options.without_redis else MARKS
    return measure(lambda services, programs: campaign(services, programs, options), options.write, marks)


def campaign(services: own.Services, programs: own.Programs, options: argparse.Namespace) -> tuple[bool, str]:
    """Start everything, let the tasks fail, and return whether all is well, with the table."""
    check()
    tasks = options.tasks
    database = own.start_postgresql(services, programs)
    broker = own.start_redis(services, programs)
    pacing = own.start_redis(services, programs, "pacing-redis")
    connection = own.start_sandbox(services, 10, 0.15)
    services.env = own.airflow_environment(services, database, broker.url, connection, 1)
    services.env |= own.connections(connection, pacing, paced=not options.without_redis)
    services.env |= {
        "SCALE_OUT_TASKS": str(tasks),
        # Five hundred are asked of two cores at once; a task that is slow to answer is not lost.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "300",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
    }
    own.start_airflow(services)
    ports = own.ports_of(services, database, broker, pacing, connection)
    with machines(services, options.machines, ports, DELAY) as made:
        for machine in made:
            own.start_worker(services, f"{machine.name}-worker", CONCURRENCY, machine=machine)
        own.await_workers(services, [f"{machine.name}-worker" for machine in made])
        services.wait(
            lambda: ask(database, "SELECT 1 FROM serialized_dag WHERE dag_id = %s", DAG), "the DAG", 90
        )
        say(f"{tasks} mapped tasks fail on {len(made)} machines")
        services.run("trigger", own.airflow("dags", "trigger", DAG, "--run-id", "storm"), 60)
        query = "SELECT state FROM dag_run WHERE dag_id = %s AND state IN ('success', 'failed')"
        services.wait(lambda: ask(database, query, DAG), "the storm is over", LONGEST_STORM)
        findings = judge(database, connection["host"].rstrip("/"), tasks)
    state = "Airflow's Variables" if options.without_redis else "Redis"
    sizes = (
        f"{tasks} tasks, {CONCURRENCY} at a time per machine, throttle state in {state}, {DELAY * 1e3:.0f} ms more "
        "from the first machine"
    )
    text = table(f"{tasks} mapped tasks that fail, {options.machines} machines", findings)
    return all(each.good for each in findings), f"{text}\n\n{conditions(programs, sizes)}"


def judge(database: str, sandbox: str, tasks: int) -> list[Finding]:
    """Return the table."""
    query = "SELECT state, try_number, end_date, hostname FROM task_instance WHERE dag_id = %s"
    states = ask(database, query, DAG)
    failed = sum((state, tries) == ("failed", 1) for state, tries, *_ in states)
    hosts = Counter(host for *_, host in states)
    ends = sorted(moment.timestamp() for _, _, moment, _ in states)
    lasted = ends[-1] - ends[0]
    messages = json.loads(own.fetch(f"{sandbox}/_sandbox/messages") or "[]")
    bodies = [message["payload"]["text"]["body"] for message in messages]
    for message, body in zip(messages, bodies, strict=True):
        say(f"  {message['accepted_at'] - messages[0]['accepted_at']:6.1f} s  {body}")
    return [
        Finding("every task has failed, at its first try", f"{failed} of {tasks}", failed == tasks),
        Finding(
            "on each machine",
            ", ".join(f"{host}: {count}" for host, count in sorted(hosts.items())),
            len(hosts) > 1,
        ),
        *judge_alerts(bodies, tasks=tasks, lasted=lasted, cooldown=COOLDOWN),
    ]


if __name__ == "__main__":
    sys.exit(main())
