"""
A broadcast to a million in 64 shards, as a dry run: what dividing the list once saves, and what a shard costs.

    python benchmarks/shards.py [--count 1000000] [--shards 64] [--few 1000]

Every shard is a process of its own, as under Airflow. The first one divides the list; each reads its own part twice
(the survey, and the messages) and writes its results. Beside it stands a shard that reads the whole list, and one shard
of a short list, for the memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

from rows import Row, add_option, hand_over

LIMIT_MB = 40.0
MINUTES = 10.0


def one(folder, shard, shards, *, by_index):
    """Run a shard's dry run; print its memory and CPU time."""
    import logging

    from airflow_provider_whatsapp.client.messages import Template
    from airflow_provider_whatsapp.delivery.fill import fill
    from airflow_provider_whatsapp.delivery.preview import preview
    from airflow_provider_whatsapp.delivery.recipients import Recipients
    from airflow_provider_whatsapp.delivery.results import Results
    from airflow_provider_whatsapp.operators import (
        _delivery,
        _shards,
    )  # with Airflow, before the clock starts
    from airflow_provider_whatsapp.operators._results import shard_file

    assert _delivery
    _shards.LEAST = 0  # the short list goes the same way
    began = time.process_time()
    options = {"to_field": "to", "columns": ["name"], "scope": "all", "default_country": None}
    source, path, part = folder / "people.csv", folder / "results.jsonl", None
    ti = SimpleNamespace(dag_id="dag", run_id="run", task_id="send", map_index=shard, try_number=1)
    if by_index:
        part = _shards.shard_part(
            {"ti": ti},
            source,
            results_path=path,
            shard=shard,
            shards=shards,
            cleared=False,
            log=logging.getLogger("benchmark"),
            **options,
        )
    found = time.process_time() - began
    recipients = Recipients(
        source, shard=shard, shards=shards, part=part.rows if part is not None else None, **options
    )
    total = recipients.survey().total
    results = Results(shard_file(path, shard, shards), key="x", number=1, total=total)
    results.begin(start_over=True)
    template = lambda row: Template("hello", body=[fill("{name}", row.values)])  # noqa: E731
    report = preview(recipients, template, None, rate=10, take=results.take)
    results.finish()
    results.clean()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"would": report["would_send"], "peak_mb": peak}
    print(json.dumps(figures | {"index_s": found, "cpu_s": time.process_time() - began}))


def write_list(folder, count):
    with (folder / "people.csv").open("w") as file:
        file.write("to,name,city\n")
        file.writelines(f"+1555{place:07},Person {place},Rome\n" for place in range(count))


def measured(folder, shard, shards, *, by_index=True):
    command = [
        sys.executable,
        __file__,
        "--one",
        str(folder),
        str(shard),
        str(shards),
        str(int(by_index)),
    ]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(output.splitlines()[-1])  # Airflow may have logged before it


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--few", type=int, default=1_000)
    parser.add_argument("--shards", type=int, default=64)
    add_option(parser)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        folder, *numbers = options.one
        shard, shards, by_index = map(int, numbers)
        one(Path(folder), shard, shards, by_index=bool(by_index))
        return 0
    with tempfile.TemporaryDirectory() as few, tempfile.TemporaryDirectory() as many:
        write_list(Path(few), options.few)
        write_list(Path(many), options.count)
        small = measured(few, 1, options.shards)
        found = [measured(many, n, options.shards) for n in range(options.shards)]
        whole = measured(many, 1, options.shards, by_index=False)
    assert sum(shard["would"] for shard in found) == options.count
    return hand_over(*described(options, small, found, whole), as_json=options.json)


def described(options, small, found, whole):
    name = f"dry run of {options.count:,} in {options.shards} shards"
    first, *others = found
    other = sum(shard["cpu_s"] for shard in others) / len(others)
    seconds = sum(shard["cpu_s"] for shard in found)
    rows = [
        Row(
            name=f"{name}: CPU of all together",
            value=seconds / 60,
            unit="min",
            at_most=MINUTES,
        ),
        Row(
            name=f"{name}: CPU of a shard",
            value=other,
            unit="s",
            against="a shard that reads the list",
            reference=whole["cpu_s"],
            at_most=0.5,
        ),
        Row(
            name=f"{name}: the survey, once",
            value=first["index_s"],
            unit="s",
            against="a shard that reads the list",
            reference=whole["cpu_s"],
        ),
        Row(
            name=f"{name}: memory of the survey above a shard of {options.few:,}",
            value=first["peak_mb"] - small["peak_mb"],
            unit="MB",
            at_most=LIMIT_MB,
        ),
        Row(
            name=f"{name}: memory of a shard above one of {options.few:,}",
            value=max(shard["peak_mb"] for shard in others) - small["peak_mb"],
            unit="MB",
            at_most=LIMIT_MB,
        ),
    ]
    text = (
        f"{name}: {seconds:.0f} s of CPU together; the survey {first['index_s']:.1f} s, then "
        f"{other:.2f} s a shard; {whole['cpu_s']:.1f} s for one that reads the list. Peak of memory: survey "
        f"{first['peak_mb']:.1f} MB, a shard {max(shard['peak_mb'] for shard in others):.1f} MB, one of "
        f"{options.few:,} {small['peak_mb']:.1f} MB, one that reads the list {whole['peak_mb']:.1f} MB"
    )
    return rows, text


if __name__ == "__main__":
    sys.exit(main())
