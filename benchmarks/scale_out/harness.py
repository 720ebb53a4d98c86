"""What the measurements share: their end, whatever it is, the database, and their tables."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import signal
import tempfile
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2
import services as own

if TYPE_CHECKING:
    from collections.abc import Callable

    from findings import Finding

LONGEST = 1_800
"""Seconds after which a whole measurement is given up."""


def measure(
    campaign: Callable[[own.Services, own.Programs], tuple[bool, str]],
    into: Path | None,
    marks: tuple[str, str],
) -> int:
    """
    Measure, stop all that runs, print, and return the exit code.

    :param campaign: Starts everything and measures; returns whether all is well, with the tables.
    :param into: Markdown file whose marked part becomes the tables; None: none.
    :param marks: The lines around that part.
    """
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, _interrupt)
    signal.alarm(LONGEST)
    # Not below /tmp, which each machine has of its own: this folder is what they share.
    folder = Path(tempfile.mkdtemp(prefix="scale-out-", dir="/var/tmp"))
    try:
        programs = own.Programs.find()
        with own.Services(folder, out=say) as services:
            good, text = campaign(services, programs)
    except own.ScaleOutError as error:
        say(f"Not measured: {error}\n  Logs and facts: {folder}")
        return 1
    except KeyboardInterrupt:
        say(f"Stopped; nothing is left running. Logs and facts: {folder}")
        return 130
    say("\n" + text)
    if into:
        _write(into, text, marks)
    if good:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        say(f"\nLogs and facts: {folder}")
    return 0 if good else 1


def ask(database: str, sql: str, *values: object) -> list[tuple]:
    """
    Ask Airflow's database.

    :param database: PostgreSQL's URL without a scheme.
    :param sql: The query.
    :param values: Its values.
    """
    url = f"postgresql://{database}"
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def table(heading: str, findings: list[Finding]) -> str:
    """Return the findings of a run as a Markdown table."""
    rows = [f"| {each.what} | {each.found} | {'yes' if each.good else '**no**'} |" for each in findings]
    return "\n".join([f"**{heading}**", "", "| wanted | found | as wanted |", "| --- | --- | --- |", *rows])


def conditions(programs: own.Programs, sizes: str) -> str:
    """Say under which conditions was measured."""
    names = ("apache-airflow", "apache-airflow-providers-celery", "celery", "airflow-provider-whatsapp")
    versions = {name: version(name) for name in names} | programs.versions()
    shown = ", ".join(f"{name} {number}" for name, number in versions.items())
    return (
        f"Measured on {date.today().isoformat()} with {shown}, Python {platform.python_version()}, "  # noqa: DTZ011
        f"{os.cpu_count()} cores with a load of {os.getloadavg()[1]:.0f}; {sizes}."
    )


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def _write(path: Path, text: str, marks: tuple[str, str]) -> None:
    before, _, rest = path.read_text().partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not end:
        raise SystemExit(f"{path} lacks the lines {marks[0]} and {marks[1]}")
    path.write_text(f"{before}{marks[0]}\n{text}\n{marks[1]}{after}")


def _interrupt(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(number)
