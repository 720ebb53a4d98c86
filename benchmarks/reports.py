"""
Charts and PDFs of reports: seconds, bytes and memory, each against the bound that a report has to keep.

    python benchmarks/reports.py [--json]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

from rows import Row, add_option, hand_over

CASES = {
    "chart of 365 x 3 points": ("chart", 365, 1.5, 300_000),
    "PDF of 2,000 rows": ("pdf", 2_000, 5.0, 2_000_000),
    "chart of 100,000 rows": ("sums", 100_000, None, None),
}
MEMORY = 150 * 2**20
"""Bytes that a chart of 100,000 rows may take beyond one of 100."""


def make(kind: str, count: int) -> dict[str, float]:
    """Make one report in this process; return its seconds of CPU time, its bytes and the process's peak memory."""
    import resource
    import time

    from airflow_provider_whatsapp.reports.options import options_of
    from airflow_provider_whatsapp.reports.write import write_report
    from airflow_provider_whatsapp.tables.rows import Rows

    day = date(2026, 1, 1)
    wanted = {"x": "day", "y": ["a", "b", "c"]}
    columns = ["day", "a", "b", "c", "note"]
    rows = (
        (day + timedelta(days=each % 365), each, each * 2, each % 7, f"note {each}") for each in range(count)
    )
    options = (
        options_of("pdf", title="Report", max_rows=count)
        if kind == "pdf"
        else options_of("chart", chart="line", chart_options=wanted)
    )
    # Fonts are looked up once in a process; what a first report costs is asked for, so it counts.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report"
        began = time.process_time()
        write_report(path, Rows(columns, rows), options)
        took = time.process_time() - began
        size = path.stat().st_size
    return {
        "seconds": took,
        "bytes": size,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def measured(kind: str, count: int) -> dict[str, float]:
    """Make a report in a process of its own."""
    command = [sys.executable, __file__, "--make", kind, str(count)]
    found: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return found


def main() -> int:
    """Measure all, and hand the rows over."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--make", nargs=2)
    add_option(parser)
    options = parser.parse_args()
    if options.make:
        print(json.dumps(make(options.make[0], int(options.make[1]))))
        return 0
    found, lines = [], []
    for name, (kind, count, seconds, size) in CASES.items():
        one = measured(kind, count)
        lines.append(f"{name}: {one['seconds']:.2f} s of CPU, {one['bytes'] / 1000:.0f} kB")
        if seconds and size:
            found += [
                Row(name=name, value=one["seconds"], unit="s", against="bound", reference=seconds, at_most=1),
                Row(name=name, value=one["bytes"], unit="bytes", against="bound", reference=size, at_most=1),
            ]
        else:
            more = one["memory"] - measured(kind, 100)["memory"]
            lines.append(f"{name}: {more / 2**20:.1f} MB more than of 100")
            found.append(
                Row(
                    name=name,
                    value=more / 2**20,
                    unit="MB",
                    against="bound",
                    reference=MEMORY / 2**20,
                    at_most=1,
                )
            )
    return hand_over(found, "\n".join(lines), as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
