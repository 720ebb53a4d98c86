"""``make full``: what it says of a session, what it runs again, and what it writes."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VERSIONS = "nox > Airflow 3.3.2 on Python 3.13.1\n"
PASSED = "==== 12 passed, 1 skipped in 3.21s ====\n"
FAILED = "==== 1 failed, 11 passed in 61.00s (0:01:01) ====\n"
ERRORS = "==== 11 passed, 2 errors in 3.21s ====\n"
NO_PYTHON = "nox > Session tests(a, 3.9) skipped: Python interpreter 3.9 not found.\n"
PAGE = "# Page\n\n<!-- full-table: begin -->\nold\n<!-- full-table: end -->\n\nAfter.\n"

# Lists two sessions, and writes a line for each that it runs; FAILING fails.
NOX = """
import json, os, pathlib, sys
if "--list" in sys.argv:
    print(json.dumps([{"session": "tests(3.3.2, 3.13)"}, {"session": "lowest"}]))
    sys.exit(0)
name = sys.argv[sys.argv.index("--session") + 1]
with open("ran.txt", "a") as file:
    print(name, *sys.argv[sys.argv.index("--") + 1:], os.environ["WHEEL"].endswith(".whl"), file=file)
print("nox > Airflow 3.3.2 on Python 3.13.1")
failing = name == os.environ.get("FAILING")
print("== 1 failed in 2.00s ==" if failing else "== 5 passed in 2.00s ==")
sys.exit(failing)
"""
UV = "#!/bin/sh\nfor folder; do :; done\nmkdir -p $folder && touch $folder/one-1-py3-none-any.whl\n"


@pytest.fixture(scope="module")
def full():
    spec = importlib.util.spec_from_file_location("full", ROOT / "scripts" / "full.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["full"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("log", "code", "outcome", "said"),
    [
        (VERSIONS + PASSED, 0, "passed", "12 passed, 1 skipped"),
        (VERSIONS + PASSED + PASSED, 0, "passed", "12 passed, 1 skipped; 12 passed, 1 skipped"),
        (VERSIONS + FAILED, 1, "failed", "1 failed, 11 passed"),
        (VERSIONS + ERRORS, 1, "failed", "11 passed, 2 errors"),
        # Coverage below its floor fails after pytest has passed.
        (VERSIONS + PASSED, 2, "failed", "12 passed, 1 skipped"),
        ("nox > Session tests failed.\n", 1, "failed", ""),
        (NO_PYTHON, 0, "skipped", "Python interpreter 3.9 not found"),
        ("nox > Session prerelease skipped: No Airflow 3.5 yet.\n", 0, "skipped", "No Airflow 3.5 yet"),
        ("nox > Session fab(3.3.2) skipped: It is the newest.\n", 0, "skipped", "It is the newest"),
        # Nothing was tested, and nothing says why.
        (VERSIONS, 0, "failed", ""),
        ("==== 12 deselected in 3.21s ====\n", 0, "failed", ""),
        ("", 0, "failed", ""),
    ],
)  # fmt: skip
def test_what_a_log_says(full, log, code, outcome, said):
    result = full.read("tests", "abc1234", log, code, 5)

    assert (result.outcome, result.said) == (outcome, said)
    assert result.found == ("Airflow 3.3.2 on Python 3.13.1" if VERSIONS in log else "")


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Return a function that runs the script in a repository of its own, with a nox that only says how it ended."""
    root = tmp_path / "project"
    for name, text in {
        "scripts/full.py": (ROOT / "scripts" / "full.py").read_text(),
        "nox.py": NOX,
        "page.md": PAGE,
        ".gitignore": "build/\nran.txt\n__pycache__/\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(UV)
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{uv.parent}:/usr/bin:/bin")
    monkeypatch.setenv("PYTHONPATH", str(root))
    identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.com", "-c", "commit.gpgsign=false")

    def commit(message: str) -> None:
        subprocess.run(["git", "add", "--all"], cwd=root, check=True)
        subprocess.run(
            ["git", *identity, "commit", "--quiet", "--allow-empty", "-m", message], cwd=root, check=True
        )

    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    commit("first")

    def run(*options: str) -> tuple[int, str, list[str]]:
        """Return the exit code, what was printed, and the sessions that ran."""
        (root / "ran.txt").unlink(missing_ok=True)
        command = [sys.executable, "scripts/full.py", *options]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        ran = (root / "ran.txt").read_text().splitlines() if (root / "ran.txt").exists() else []
        return done.returncode, done.stdout + done.stderr, sorted(ran)

    run.root, run.commit = root, commit
    return run


def test_each_session_runs_and_the_page_names_commit_and_result(checkout):
    code, _, ran = checkout("--write", "page.md")

    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=checkout.root, capture_output=True, text=True, check=True
    ).stdout.strip()
    page = (checkout.root / "page.md").read_text()
    assert code == 0
    assert ran == ["lowest True", "tests(3.3.2, 3.13) True"]
    assert re_rows(page) == [
        ["tests(3.3.2, 3.13)", "Airflow 3.3.2 on Python 3.13.1", "5 passed", "passed"],
        ["lowest", "Airflow 3.3.2 on Python 3.13.1", "5 passed", "passed"],
    ]
    assert f"2 of 2 sessions passed with the wheel of `{commit}`" in page
    assert "old" not in page
    assert page.endswith("<!-- full-table: end -->\n\nAfter.\n")


def re_rows(page: str) -> list[list[str]]:
    """Return the cells of the page's table, without the seconds."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"
    ]
    return [[*cells[:3], cells[4]] for cells in rows[2:]]


def test_what_passed_on_this_commit_does_not_run_again(checkout, monkeypatch):
    monkeypatch.setenv("FAILING", "lowest")
    code, printed, _ = checkout()
    assert (code, "1 of 2 sessions passed" in printed) == (1, True)

    monkeypatch.delenv("FAILING")
    code, printed, ran = checkout()
    assert (code, ran) == (0, ["lowest True"])
    assert "2 of 2 sessions passed" in printed
    assert checkout()[2] == []
    assert len(checkout("--again")[2]) == 2

    checkout.commit("second")
    assert len(checkout()[2]) == 2


def test_sessions_that_did_not_run_are_counted_apart(full):
    ran = full.Result("tests", "abc1234", "Airflow 3.3.2 on Python 3.13.1", "5 passed", "passed", 9)
    skipped = full.Result("fab(3.3.2)", "abc1234", "", "It is the newest", "skipped", 0)

    assert "| fab(3.3.2) | - | It is the newest | 0 s | skipped |" in full.table([ran, skipped])
    assert "1 of 2 sessions passed with the wheel of `abc1234`" in full.table([ran, skipped])
    assert full.table([ran, skipped]).endswith(". 1 did not run; the table says why.")
    assert "did not run" not in full.table([ran])


def test_what_a_stopped_run_has_found_is_written_without_a_run(checkout, monkeypatch):
    monkeypatch.setenv("FAILING", "lowest")
    checkout()
    (checkout.root / "build" / "full" / "tests-3.3.2-3.13.json").unlink()

    code, _, ran = checkout("--only-write", "page.md")

    page = (checkout.root / "page.md").read_text()
    assert (code, ran) == (1, [])
    assert re_rows(page) == [
        ["tests(3.3.2, 3.13)", "-", "-", "not run"],
        ["lowest", "Airflow 3.3.2 on Python 3.13.1", "1 failed", "failed"],
    ]
    assert "0 of 2 sessions passed" in page


def test_a_changed_checkout_is_tested_but_not_remembered_nor_written(checkout):
    checkout()
    (checkout.root / "nox.py").write_text(f"{NOX}\n")

    assert len(checkout()[2]) == 2
    code, printed, ran = checkout("--write", "page.md")
    assert (code, ran) == (1, [])
    assert "nox.py" in printed
    assert "old" in (checkout.root / "page.md").read_text()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--jobs", "0"], "--jobs is 0"),
        (["--write", "missing.md"], "missing.md lacks the lines"),
        (["--write", "nox.py"], "nox.py lacks the lines"),
        (["--write", "page.md", "--", "-k", "phone"], "--write takes whole sessions"),
    ],
)
def test_what_could_not_be_written_is_refused_before_any_test(checkout, options, error):
    code, printed, ran = checkout(*options)

    assert (code, ran) == (2, [])
    assert error in printed


def test_arguments_reach_pytest(checkout):
    assert checkout("--", "-k", "phone")[2] == ["lowest -k phone True", "tests(3.3.2, 3.13) -k phone True"]


def test_a_result_is_kept_as_json(checkout):
    checkout()

    kept = json.loads((checkout.root / "build" / "full" / "lowest.json").read_text())
    assert (kept["session"], kept["outcome"], kept["said"]) == ("lowest", "passed", "5 passed")
    assert "Airflow 3.3.2" in (checkout.root / "build" / "full" / "lowest.log").read_text()
