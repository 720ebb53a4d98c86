"""The check before a release: what it says of a repository, and how it ends, whatever its tools say."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WHEEL = "airflow_provider_whatsapp-0.2.0-py3-none-any.whl"
SDIST = "airflow_provider_whatsapp-0.2.0.tar.gz"
IDENTITY = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.com", "-c", "commit.gpgsign=false")
URLS = ("Documentation", "Source", "Changelog", "Issues")

FILES = {
    ".gitignore": "dist/\n__pycache__/\nseen-by-nox.json\n",
    "airflow_provider_whatsapp/__init__.py": '__version__ = "0.2.0"\n',
    "CHANGELOG.md": "# Changelog\n\n## 0.2.0 - 2026-01-31\n",
    "README.md": "[Documentation](https://example.com/docs), [below](#below)\n",
    "pyproject.toml": "[project.urls]\n" + "".join(f'{name} = "https://example.com"\n' for name in URLS),
    "scripts/check_package.py": f"""\
import pathlib, sys
dist = pathlib.Path(sys.argv[1])
dist.mkdir(exist_ok=True)
for name in ("{WHEEL}", "{SDIST}"):
    (dist / name).write_text("")
print("They come out the same.")
""",
    "scripts/audit.py": "print('118 packages audited, 0 known vulnerabilities.')\n",
    "scripts/sbom.py": "print('build/sbom.cdx.json: 132 components (CycloneDX 1.6)')\n",
    "scripts/check_wheel.sh": '#!/bin/sh\necho "$(basename "$2"): no complaint."\n',
    ".ci/run": "#!/bin/sh\necho '== 900 passed in 600s =='\n",
}
"""A repository that is ready; what takes long in earnest only says how it ended."""

TWINE = r"""
import sys
*options, check, strict = sys.argv[1:4]
for file in sys.argv[4:]:
    print(f"Checking {file}: \x1b[32mPASSED\x1b[0m")
"""

# As the real one does, it passes over a Python that is missing unless it is told not to.
NOX = r"""
import json, os, pathlib, sys
sessions = json.loads(os.environ["SESSIONS"])
for session in sessions:
    if session["result"] == "missing":
        session["result"] = "failed" if "--error-on-missing-interpreters" in sys.argv else "skipped"
pathlib.Path("seen-by-nox.json").write_text(json.dumps({"wheel": os.environ.get("WHEEL")}))
if sessions:
    report = sys.argv[sys.argv.index("--report") + 1]
    pathlib.Path(report).write_text(json.dumps({"sessions": sessions}))
print("nox > * prerelease: success")
sys.exit(not all(session["result"] in ("success", "skipped") for session in sessions) or not sessions)
"""


def outcome(name, result="success", reason=None):
    """Return what nox reports of a session."""
    return {"name": name, "signatures": [name], "result": result, "reason": reason}


SESSIONS = [outcome("tests(3.1.8, 3.11)"), outcome("lowest"), outcome("prerelease")]


class Repository:
    """A repository in a folder of its own, with a copy of the check in it."""

    def __init__(self, root, monkeypatch):
        self.root, self.monkeypatch = root / "repository", monkeypatch
        for name, text in FILES.items():
            self.write(name, text)
        (self.root / "scripts/check_wheel.sh").chmod(0o755)
        (self.root / ".ci/run").chmod(0o755)
        path = shutil.copy(ROOT / "scripts/release_check.py", self.root / "scripts")
        self.git("init", "--quiet", "--initial-branch", "main")
        self.commit()
        self.tools = root / "tools"
        self.tools.mkdir()
        self.tool("twine", TWINE)
        self.tool("nox", NOX)
        monkeypatch.setenv("PYTHONPATH", str(self.tools))
        monkeypatch.setenv("SESSIONS", json.dumps(SESSIONS))
        spec = importlib.util.spec_from_file_location("scripts_release_check_copy", path)
        self.check = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.check)

    def write(self, name, text):
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def tool(self, name, source):
        (self.tools / f"{name}.py").write_text(source)

    def git(self, *arguments):
        subprocess.run(["git", *IDENTITY, *arguments], cwd=self.root, check=True, capture_output=True)

    def commit(self):
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "a change")

    def change(self, name, text):
        """Commit a file that is otherwise."""
        self.write(name, text)
        self.commit()

    def sessions(self, *sessions):
        self.monkeypatch.setenv("SESSIONS", json.dumps(sessions))


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Make a repository that is ready for release 0.2.0."""
    for variable in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "WHEEL"):
        monkeypatch.delenv(variable, raising=False)
    return Repository(tmp_path, monkeypatch)


@pytest.fixture
def run(repository, capsys):
    """Run the whole check; give its exit code, its table by step, and what it says after the table."""

    def run(*arguments):
        code = repository.check.main(list(arguments))
        said = capsys.readouterr().out
        assert "\x1b" not in said
        table, _, end = said.rpartition("\nRelease 0.2.0\n")[2].partition("\n\n")
        rows = {}
        for line in table.splitlines():
            name, _, rest = line[19:].partition(": ")
            rows[name] = (line[:10].strip(), rest)
        return code, rows, end.strip()

    return run


def test_everything_passes(run, repository):
    code, rows, end = run()

    assert (code, end) == (0, "Ready: RELEASING.md says how to upload it.")
    assert list(rows) == [
        "nothing uncommitted",
        "changelog",
        "tag",
        "build, contents, the same again",
        "metadata and README",
        "links of the README",
        "addresses",
        "wheel in an empty environment",
        "known vulnerabilities",
        "bill of materials",
        "gate",
        "matrix",
    ]
    assert {word for word, _ in rows.values()} == {"ok"}
    assert rows["metadata and README"][1] == f"dist/{WHEEL}: PASSED, dist/{SDIST}: PASSED"
    assert rows["bill of materials"][1] == "build/sbom.cdx.json: 132 components (CycloneDX 1.6)"
    assert rows["gate"][1] == "== 900 passed in 600s =="
    assert rows["matrix"][1] == "all 3 sessions succeeded"
    assert json.loads((repository.root / "seen-by-nox.json").read_text()) == {
        "wheel": str(repository.root / "dist" / WHEEL)
    }


def test_a_fast_check_is_never_ready(run, repository):
    code, rows, end = run("--fast")

    assert (code, end) == (1, "Not ready: gate and matrix were left out.")
    assert {word for word, _ in rows.values()} == {"ok", "NOT DONE"}
    assert not {"gate", "matrix"} & set(rows)
    assert not (repository.root / "seen-by-nox.json").exists()


def test_a_step_that_fails_stops_none_and_is_named_at_the_end(run, repository):
    repository.change("scripts/check_package.py", "raise SystemExit('The package is not right.')\n")

    code, rows, end = run()

    assert code == 1
    assert rows["build, contents, the same again"][0] == "TO DO"
    assert rows["wheel in an empty environment"] == ("TO DO", "nothing was built")
    assert rows["matrix"] == ("TO DO", "nothing was built")
    assert rows["gate"][0] == "ok"
    failed = "build, contents, the same again; wheel in an empty environment; matrix"
    assert end == f"Not ready: 3 left to do ({failed})."


def test_what_is_left_to_do_and_what_was_left_out_are_both_named(run, repository):
    repository.change("CHANGELOG.md", "## Unreleased\n")

    code, _, end = run("--fast")

    assert (code, end) == (1, "Not ready: 1 left to do (changelog); gate and matrix were left out.")


def test_a_program_that_is_not_there_is_left_to_do(run, repository):
    (repository.root / ".ci/run").unlink()
    repository.commit()

    code, rows, end = run()

    assert (code, end) == (1, "Not ready: 1 left to do (gate).")
    assert rows["gate"][0] == "TO DO"
    assert rows["matrix"][0] == "ok"


def test_an_audit_that_could_ask_nobody_is_somebodys_to_look_at(run, repository):
    for name in ("audit.py", "audit-ignored.txt", "advisories.txt", "airflow-pins.txt"):
        repository.change(f"scripts/{name}", (ROOT / "scripts" / name).read_text())
    repository.tool("pip_audit", "raise SystemExit('no network')")

    code, rows, end = run()

    date = (ROOT / "scripts/advisories.txt").read_text().partition("As of ")[2][:10]
    said = (
        f"0 versions of 0 packages compared with the list of {date} in the repository: 0 known vulnerabilities. "
        "NOT AUDITED by a service: none answers."
    )
    assert code == 2
    assert rows["known vulnerabilities"] == ("LOOK", said)
    assert end.split("\n  ") == [
        "Ready but for what a person has to look at:",
        f"known vulnerabilities: {said}",
    ]


def test_an_audit_that_passed_over_a_package_is_somebodys_to_look_at(run, repository):
    said = "117 packages audited, 0 known vulnerabilities. NOT AUDITED: alembic."
    repository.change("scripts/audit.py", f"print('{said}')\n")

    code, _, end = run()

    assert code == 2
    assert end.endswith(f"known vulnerabilities: {said}")


def test_what_fails_on_a_pre_release_is_somebodys_to_look_at(run, repository):
    repository.sessions(*SESSIONS[:2], outcome("prerelease", "skipped", "Airflow 3.4 is not out yet"))

    code, rows, end = run()

    said = "2 of 3 sessions succeeded; prerelease skipped (Airflow 3.4 is not out yet)"
    assert (code, rows["matrix"]) == (2, ("LOOK", said))
    assert end.endswith(f"  matrix: {said}")


def test_a_python_that_is_missing_is_left_to_do(run, repository):
    missing = outcome("tests(3.1.8, 3.12)", "missing", "Python interpreter 3.12 not found")
    repository.sessions(missing, *SESSIONS)

    code, rows, end = run()

    said = "3 of 4 sessions succeeded; tests(3.1.8, 3.12) failed (Python interpreter 3.12 not found)"
    assert (code, rows["matrix"]) == (1, ("TO DO", said))
    assert end == "Not ready: 1 left to do (matrix)."


def test_a_session_that_fails_outweighs_one_that_is_skipped(run, repository):
    repository.sessions(outcome("lowest", "failed"), outcome("prerelease", "skipped", "not out"))

    code, rows, _ = run()

    said = "0 of 2 sessions succeeded; lowest failed; prerelease skipped (not out)"
    assert (code, rows["matrix"]) == (1, ("TO DO", said))


def test_a_matrix_that_never_began_is_left_to_do(run, repository):
    repository.sessions()

    code, rows, _ = run()

    assert (code, rows["matrix"][0]) == (1, "TO DO")
    assert rows["matrix"][1].endswith("ends with 1; see above")


def test_a_matrix_that_ends_badly_after_a_good_report_is_left_to_do(run, repository):
    repository.tool("nox", NOX.replace("sys.exit(", "sys.exit(7 or "))

    code, rows, _ = run()

    assert (code, rows["matrix"][0]) == (1, "TO DO")
    assert rows["matrix"][1].endswith("ends with 7; see above")


def test_a_matrix_without_a_session_is_left_to_do(repository):
    with pytest.raises(repository.check.ReleaseError, match="0 of 0 sessions"):
        repository.check.judge_matrix([])


def test_what_is_committed_is_named_by_its_branch(repository):
    assert repository.check.check_tree().startswith("main at ")


@pytest.mark.parametrize("name", ["README.md", "left-behind.txt"])
def test_what_is_not_committed_is_told(repository, name):
    repository.write(name, "changed\n")

    with pytest.raises(repository.check.ReleaseError, match=rf"1 files are not committed: .*{name}"):
        repository.check.check_tree()


def test_a_tag_that_is_free(repository, tmp_path):
    other = tmp_path / "remote"
    repository.git("clone", "--quiet", "--bare", ".", str(other))
    repository.git("remote", "add", "origin", str(other))
    repository.git("tag", "v0.1.0")

    assert repository.check.check_tag() == "v0.2.0 is free"


@pytest.mark.parametrize("where", ["here", "at the remote alone"])
def test_a_tag_that_is_taken(repository, tmp_path, where):
    repository.git("tag", "v0.2.0")
    if where != "here":
        other = tmp_path / "remote"
        repository.git("clone", "--quiet", "--bare", ".", str(other))
        repository.git("remote", "add", "origin", str(other))
        repository.git("tag", "--delete", "v0.2.0")

    with pytest.raises(repository.check.ReleaseError, match=r"v0\.2\.0 is taken"):
        repository.check.check_tag()


def test_a_remote_that_cannot_be_asked_is_no_free_tag(repository, tmp_path):
    repository.git("remote", "add", "origin", str(tmp_path / "nowhere"))

    with pytest.raises(repository.check.ReleaseError, match="git ls-remote fails: "):
        repository.check.check_tag()


@pytest.mark.parametrize(
    "text",
    [
        "[one](https://example.com/a.md) and [below](#versions)",
        "[mail](mailto:nobody@example.com)",
        '<img src="https://example.com/a.png">',
        "[one]: https://example.com",
    ],
)
def test_links_that_a_package_index_can_follow(repository, text):
    repository.write("README.md", text)

    assert repository.check.check_readme() == "every link is absolute"


@pytest.mark.parametrize(
    "text",
    [
        "[one](docs/a.md)",
        '[one](docs/a.md "A title")',
        "[one](<docs/a.md>)",
        "![picture](docs/a.md)",
        '<img alt="" src="docs/a.md">',
        '<a href="docs/a.md">one</a>',
        "[one][]\n\n[one]: docs/a.md",
    ],
)
def test_links_that_lead_nowhere_on_a_package_index(repository, text):
    repository.write("README.md", f"[fine](https://example.com)\n{text}\n")

    with pytest.raises(repository.check.ReleaseError, match=r"1 links are relative.*: docs/a\.md"):
        repository.check.check_readme()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[project]\n", "no address for Documentation, Source, Changelog, Issues"),
        ('[project.urls]\nSource = "https://example.com"\n', "for Documentation, Changelog, Issues"),
        (FILES["pyproject.toml"].replace('Source = "https', 'Source = "http'), "for Source$"),
    ],
)
def test_addresses_that_are_missing(repository, text, complaint):
    repository.write("pyproject.toml", text)

    with pytest.raises(repository.check.ReleaseError, match=complaint):
        repository.check.check_urls()
