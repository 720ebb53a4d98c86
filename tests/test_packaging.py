"""What the package may hold, and the checks before a release: each has to notice what it is there for."""

from __future__ import annotations

import ast
import datetime as dt
import importlib.util
import io
import itertools
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import airflow_provider_whatsapp

ROOT = Path(__file__).parents[1]
WHEEL = "airflow_provider_whatsapp-0.1.0-py3-none-any.whl"
SDIST = "airflow_provider_whatsapp-0.1.0"
INFO = "airflow_provider_whatsapp-0.1.0.dist-info"


def script(name):
    """Return a module of scripts/, which is no package."""
    spec = importlib.util.spec_from_file_location(f"scripts_{name}", ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there for the names in their annotations
    spec.loader.exec_module(module)
    return module


check_package, audit, release_check = script("check_package"), script("audit"), script("release_check")
sbom, mutants = script("sbom"), script("mutants")
HERE = "{}.{}".format(*sys.version_info)
SOURCES = check_package.REQUIRED | {"airflow_provider_whatsapp/__init__.py"}


def test_it_is_the_wheel_that_is_tested_where_that_was_said():
    """The sessions of noxfile.py say so; otherwise it is the checkout."""
    where = "import airflow_provider_whatsapp as package; print(package.__file__)"
    started = subprocess.run(
        [sys.executable, "-c", where], capture_output=True, text=True, check=True, cwd=ROOT
    )

    for file in (airflow_provider_whatsapp.__file__, started.stdout.strip()):
        if os.environ.get("TESTED") == "wheel":
            assert "site-packages" in Path(file).parts
        else:
            assert Path(file).is_relative_to(ROOT)


@pytest.fixture
def make_wheel(tmp_path):
    """Make a wheel of empty files, as it should be but for what is left out or added."""

    def make(*, without=(), also=(), version="0.1.0"):
        names = SOURCES | {f"{INFO}/{name}" for name in check_package.METADATA}
        with zipfile.ZipFile(tmp_path / WHEEL, "w") as archive:
            for name in sorted((names | set(also)) - set(without)):
                archive.writestr(name, f"Version: {version}\n" if name.endswith("/METADATA") else "")
        return tmp_path / WHEEL

    return make


def test_a_wheel_as_it_should_be_passes(make_wheel):
    check_package.check_wheel(make_wheel(), SOURCES)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"also": ["tests/test_cli.py"]}, "holds what it should not: tests/test_cli.py"),
        ({"also": ["airflow_provider_whatsapp/notes.txt"]}, "holds what it should not: .*notes.txt"),
        ({"also": [f"{INFO}/licenses/NOTICE"]}, "holds what it should not: .*NOTICE"),
        ({"without": ["airflow_provider_whatsapp/py.typed"]}, "lacks: airflow_provider_whatsapp/py.typed"),
        ({"without": [f"{INFO}/entry_points.txt"]}, "lacks: .*entry_points.txt"),
        ({"version": "0.2.0"}, "calls itself 0.2.0"),
    ],
)
def test_a_wheel_that_is_not_is_refused(make_wheel, change, complaint):
    with pytest.raises(check_package.PackageError, match=complaint):
        check_package.check_wheel(make_wheel(**change), SOURCES)


def test_a_file_of_an_unusual_kind_is_refused_though_git_knows_it(make_wheel):
    odd = "airflow_provider_whatsapp/data.pickle"

    with pytest.raises(check_package.PackageError, match=r"unusual kinds: .*pickle"):
        check_package.check_wheel(make_wheel(also=[odd]), SOURCES | {odd})


def test_what_every_installation_needs_has_to_be_tracked(make_wheel):
    typed = "airflow_provider_whatsapp/py.typed"

    with pytest.raises(check_package.PackageError, match=r"lacks: .*py\.typed"):
        check_package.check_wheel(make_wheel(without=[typed]), SOURCES - {typed})


def make_sdist(folder, names, link=None):
    path = folder / f"{SDIST}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
        if link:
            entry = tarfile.TarInfo(link)
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(entry)
    return path


@pytest.mark.parametrize(
    ("names", "link", "complaint"),
    [
        ([f"{SDIST}/PKG-INFO", f"{SDIST}/README.md"], None, None),
        ([f"{SDIST}/PKG-INFO"], None, "lacks: README.md"),
        ([f"{SDIST}/PKG-INFO", f"{SDIST}/README.md", f"{SDIST}/.env"], None, "should not: .env"),
        ([f"{SDIST}/PKG-INFO", f"{SDIST}/README.md", "../README.md"], None, "files outside"),
        ([f"{SDIST}/PKG-INFO", f"{SDIST}/README.md"], f"{SDIST}/passwords", "links"),
    ],
)
def test_a_source_archive_holds_what_git_tracks(tmp_path, names, link, complaint):
    sdist = make_sdist(tmp_path, names, link)
    if complaint is None:
        check_package.check_sdist(sdist, {"README.md"})
        return
    with pytest.raises(check_package.PackageError, match=complaint):
        check_package.check_sdist(sdist, {"README.md"})


def test_two_builds_that_differ_are_told(tmp_path):
    for folder, content in (("one", "a"), ("two", "b")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / WHEEL).write_text(content)
    one, two = tmp_path / "one" / WHEEL, tmp_path / "two" / WHEEL

    check_package.check_same([one], [one], "again")
    with pytest.raises(check_package.PackageError, match="another file when it is built elsewhere"):
        check_package.check_same([one], [two], "elsewhere")


def test_what_builds_the_package_is_pinned():
    requires = check_package.build_requirements()

    assert requires
    assert all(re.fullmatch(r"[a-z-]+==[\d.]+", requirement) for requirement in requires)


@pytest.mark.parametrize(
    ("requires", "complaint"),
    [
        (["hatchling==1.27.0", "pluggy==1.6.0"], None),
        (["hatchling>=1.27", "pluggy==1.6.0"], "should not: hatchling>=1.27"),
        (["hatchling==1.27.0"], "lacks: pluggy==1.6.0"),
    ],
)
def test_a_build_that_brings_what_is_not_pinned_is_refused(requires, complaint):
    brought = {"hatchling==1.27.0", "pluggy==1.6.0"}
    if complaint is None:
        check_package.check_pins(requires, brought)
        return
    with pytest.raises(check_package.PackageError, match=complaint):
        check_package.check_pins(requires, brought)


VULNERABLE = [
    {
        "name": "jinja2",
        "version": "2.4.1",
        "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["3"]}],
    },
    {"name": "alembic", "skip_reason": "not found"},
]


def test_a_vulnerability_is_reported_with_what_fixes_it():
    found, remarks = audit.judge(VULNERABLE, {})

    assert found == ["jinja2 2.4.1: PYSEC-1, fixed in 3"]
    assert remarks == ["alembic was not audited: not found"]


def test_a_vulnerability_is_passed_over_by_any_of_its_names_and_an_old_entry_is_named():
    found, remarks = audit.judge(
        VULNERABLE, {"CVE-1": "no templates of strangers", "CVE-2": "long gone by now"}
    )

    assert found == []
    assert "ignored: no templates of strangers" in remarks[0]
    assert remarks[2].startswith("CVE-2 is in audit-ignored.txt and was not met")


def test_what_airflow_forces_is_airflow_s():
    starlette = {
        "name": "Starlette",
        "version": "0.48",
        "vulns": [
            {"id": "A", "fix_versions": ["0.49.1"]},
            {"id": "B", "fix_versions": ["0.48.1", "0.49.1"]},
        ],
    }
    airflow = {"name": "apache-airflow", "version": "3.1", "vulns": [{"id": "C", "fix_versions": ["3.1.6"]}]}
    found, remarks = audit.judge([starlette, airflow, VULNERABLE[0]], {}, audit.forced)

    assert found == ["Starlette 0.48: B, fixed in 0.48.1, 0.49.1", "jinja2 2.4.1: PYSEC-1, fixed in 3"]
    assert remarks[0].startswith("Starlette 0.48: A, fixed in 0.49.1; Airflow's: 3.1.8 refuses 0.49")
    assert "Airflow's: an upgrade of Airflow fixes it" in remarks[1]


LIST = "# As of 2026-11-28.\nPython_Multipart 0.0.7 0.0.18 CVE-1,GHSA-1 two words\n"


@pytest.mark.parametrize(
    ("version", "hit"),
    [("0.0.6", False), ("0.0.7", True), ("0.0.17", True), ("0.0.18", False), ("1.0", False)],
)
def test_the_list_knows_from_which_version_to_which(version, hit):
    date, known = audit.read_advisories(LIST)
    (package,) = audit.compare([("python-multipart", version)], known)

    assert date == "2026-11-28"
    assert package["vulns"] == (
        [{"id": "CVE-1", "aliases": ["GHSA-1"], "fix_versions": ["0.0.18"]}] if hit else []
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a 0 1 CVE-1 words\n", "does not say as of when"),
        (LIST + "a 0 1 CVE-1\n", r"advisories\.txt:3: "),
        (LIST + "a zero 1 CVE-1 words\n", r"advisories\.txt:3: Invalid version: 'zero'"),
    ],
)
def test_a_list_that_is_not_right_is_refused(text, complaint):
    with pytest.raises(audit.AuditError, match=complaint):
        audit.read_advisories(text)


def test_no_floor_is_known_to_be_vulnerable_unless_airflow_forces_it():
    _, known = audit.read_advisories(audit.ADVISORIES.read_text())
    found, remarks = audit.judge(audit.compare(audit.floors(), known), {}, audit.forced)

    assert found == []
    assert {line.split()[0] for line in remarks} == {"apache-airflow", "starlette"}


def test_where_no_service_answers_the_list_is_compared_and_its_date_told(tmp_path, monkeypatch, capsys):
    """There is no pip-audit beside this Python, and no uv on this PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(audit.sys, "executable", str(tmp_path / "python"))
    (tmp_path / "python").write_text("#!/bin/sh\necho 'no answer' >&2; exit 1\n")
    (tmp_path / "python").chmod(0o755)

    assert audit.main([]) == 0
    assert audit.main(["--strict"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert "compared with the list of 2026-11-28 in the repository: 0 known vulnerabilities" in last
    assert "NOT AUDITED by a service" in last, "scripts/release_check.py looks for it"


def test_what_was_not_audited_is_not_counted_as_audited():
    assert audit.summary(VULNERABLE, []) == (
        "1 packages audited, 0 known vulnerabilities. NOT AUDITED: alembic."
    )
    assert audit.summary(VULNERABLE[:1], ["jinja2 2.4.1"]) == "1 packages audited, 1 known vulnerabilities."


def test_what_is_passed_over_needs_a_reason():
    audit.read_ignored(audit.IGNORED.read_text())

    assert audit.read_ignored("# why\nCVE-1 we never do that\n") == {"CVE-1": "we never do that"}
    with pytest.raises(audit.AuditError, match=r"audit-ignored\.txt:2: CVE-2 has no reason"):
        audit.read_ignored("CVE-1 we never do that\nCVE-2\n")


TODAY = dt.date(2027, 1, 31)


@pytest.mark.parametrize("day", ["2027-01-31", "2026-12-01"])
def test_a_changelog_that_is_ready(day):
    text = f"# Changelog\n\n## 0.2.0 - {day}\n\n## 0.1.0 - 2026-11-30\n"

    assert release_check.check_changelog(text, "0.2.0", TODAY) == f"0.2.0 - {day}"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("# Changelog\n", 'first heading is "nothing"'),
        ("## Unreleased\n\n## 0.2.0 - 2027-01-31\n", 'first heading is "Unreleased"'),
        ("## 0.1.0 - 2026-11-30\n", 'first heading is "0.1.0'),
        ("## 0.2.0 - soon\n", '"soon" is no day'),
        ("## 0.2.0 - 2027-02-01\n", "still to come"),
    ],
)
def test_a_changelog_that_is_not(text, complaint):
    with pytest.raises(release_check.ReleaseError, match=complaint):
        release_check.check_changelog(text, "0.2.0", TODAY)


def airflow_versions():
    """Return the Airflow versions that are tested, the lowest first."""
    lines = [line.split() for line in (ROOT / "scripts" / "airflow-versions.txt").read_text().splitlines()]
    return [line[0] for line in lines if line and line[0] != "#"]


def promised_minors():
    """
    Return the minor versions of Airflow that the pages promise, the lowest first.

    They are those of the versions that are tested, and the next one while the README says that the tests run on its
    pre-release.
    """
    minors = list(dict.fromkeys(version.rpartition(".")[0] for version in airflow_versions()))
    if "pre-release" in section("README.md", "Versions"):
        major, minor = minors[-1].split(".")
        minors.append(f"{major}.{int(minor) + 1}")
    return minors


def test_the_versions_that_are_tested_are_the_versions_that_are_promised():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tested = airflow_versions()
    (allowed,) = [
        requirement.specifier
        for requirement in map(Requirement, project["dependencies"])
        if requirement.name == "apache-airflow"
    ]
    promised = re.findall(r"\bAirflow (3\.\d+, [^a-z]*and 3\.\d+)", (ROOT / "README.md").read_text())
    gate = (ROOT / ".ci" / "run").read_text()

    assert f">={tested[0].removesuffix('.0')}" in str(allowed).split(",")
    assert re.findall(r"3\.\d+", promised[0]) == promised_minors()
    in_gate = re.findall(r"^    ([0-9.]+)\)\s+in_a_browser session \"airflow\(\1, ", gate, re.MULTILINE)
    assert in_gate == tested[1:]


def test_every_test_runs_on_the_oldest_airflow_in_one_of_the_steps():
    """
    Whatever marks it has: the fast ones in `lowest`'s two parts, the others on the last release of that version.

    Other people's clients are left out: they have environments of their own, and run beside the newest.
    """
    (fast,) = re.findall(r'^    fast = \("-m", "(.+)"\)$', (ROOT / "noxfile.py").read_text(), re.MULTILINE)
    (others,) = re.findall(
        r"^    3\.1\.8\) .+ -m \"(.+?)\"", (ROOT / ".ci" / "run").read_text(), re.MULTILINE
    )
    marks = sorted(set(re.findall(r"[a-z]+", f"{fast} {others}")) - {"and", "or", "not"})
    (steps,) = re.findall(r"^    set -- (.+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)

    assert {"core", "lowest", "3.1.8", "newest"} <= set(steps.split())
    assert airflow_versions()[0].startswith("3.1.")
    for given in itertools.product([False, True], repeat=len(marks)):
        has = dict(zip(marks, given, strict=True))
        assert has["clients"] or eval(f"({fast}) or ({others})", {}, has), (
            f"no step runs tests with the marks {has}"
        )


def targets():
    """Yield the Makefile's targets that run scripts: name, groups of dependencies, and the scripts."""
    for recipe in re.split(r"\n(?=[a-z-]+:)", (ROOT / "Makefile").read_text()):
        groups = re.findall(r"^\t\$\(SETUP\) (.+)$", recipe, re.MULTILINE)
        scripts = re.findall(r"^\t@\$\(RUN\) ([\w/]+\.py)", recipe, re.MULTILINE)
        if groups and scripts:
            yield pytest.param(groups[0].split(), scripts, id=recipe.partition(":")[0])


@pytest.mark.parametrize(("groups", "scripts"), list(targets()))
def test_a_target_installs_pytest_if_its_scripts_need_it(groups, scripts):
    """As everything does that uses the sandbox of the pytest plugin, or helpers of the tests."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    installed = {Requirement(line).name for group in groups for line in declared[group]}
    # benchmarks/run.py runs all scripts beside it.
    all_run = (
        (ROOT / "benchmarks").glob("*.py")
        if scripts == ["benchmarks/run.py"]
        else map(ROOT.joinpath, scripts)
    )
    uses = re.compile(r"^\s*(?:from|import) (?:tests\b|pytest\b|\S+\.pytest_plugin\b)", re.MULTILINE)
    needing = [path.name for path in all_run if uses.search(path.read_text())]

    assert "pytest" in installed or needing == []


def test_a_pre_release_that_is_promised_is_in_the_matrix_and_the_gate():
    if airflow_versions()[-1].startswith(f"{promised_minors()[-1]}."):
        pytest.skip("no pre-release is promised")
    (sessions,) = re.findall(
        r"^nox\.options\.sessions = \[(.+)\]$", (ROOT / "noxfile.py").read_text(), re.MULTILINE
    )
    gate = (ROOT / ".ci" / "run").read_text()

    assert '"prerelease"' in sessions
    assert "\n    prerelease) in_a_browser session prerelease " in gate
    (steps,) = re.findall(r"^    set -- (.+)$", gate, re.MULTILINE)
    assert "prerelease" in steps.split()


def test_python_keeps_its_compiled_files_whatever_the_shell_says(monkeypatch):
    """Otherwise each process that a test starts compiles all of Airflow again."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    makefile = f'include {ROOT}/Makefile\nshow:\n\t@echo "[$$PYTHONDONTWRITEBYTECODE]"\n'
    command = ["make", "--silent", "--file", "-", "show"]
    shown = subprocess.run(command, input=makefile, capture_output=True, text=True, check=True, cwd=ROOT)

    assert shown.stdout == "[]\n"
    assert "\nunset PYTHONDONTWRITEBYTECODE\n" in (ROOT / ".ci" / "run").read_text()


def test_every_test_with_random_examples_takes_their_number_from_one_place():
    """Then a run can try fewer of them, or more. Those that are the same in every run may be counted where they are."""
    texts = [file.read_text() for file in (ROOT / "tests").rglob("*.py")]
    trees = [ast.parse(text) for text in texts if "max_examples=" in text]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    given = [{word.arg: word.value for word in call.keywords} for call in calls]
    own = [words for words in given if isinstance(words.get("max_examples"), ast.Constant)]

    assert [ast.unparse(words["max_examples"]) for words in own if "derandomize" not in words] == []


def listed(versions):
    """Return versions as a sentence lists them."""
    return " and ".join([", ".join(versions[:-1]), versions[-1]])


def section(name, heading):
    """Return a section of a page at the root, in one line."""
    text = (ROOT / name).read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("page", "heading"), [("README.md", "Versions"), ("SECURITY.md", "Supported versions")]
)
def test_a_page_names_the_versions_that_are_tested_and_no_other(page, heading):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pythons = re.findall(r"Python :: (3\.\d+)", " ".join(project["classifiers"]))
    tested, minors = airflow_versions(), promised_minors()
    text = section(page, heading)

    assert f"Airflow {listed(minors)} with Python {listed(pythons)}" in text
    assert set(re.findall(r"\b3\.\d+(?:\.\d+)?\b", text)) <= {*tested, *minors, *pythons}


def test_the_readme_names_every_airflow_that_the_tests_run_on():
    (sentence,) = re.findall(
        r"The tests run on (.+?),? (?:and )?the newest\b", section("README.md", "Versions")
    )

    assert re.findall(r"\d+(?:\.\d+)+", sentence) == airflow_versions()


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_each_python_that_is_promised_is_in_the_matrix_and_the_gate(version):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert f"Programming Language :: Python :: {version}" in project["classifiers"]
    assert f'"{version}"' in (ROOT / "noxfile.py").read_text()
    assert f" {version}" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize(
    ("asked", "day"),
    [
        ("3.1.0", "2025-10-10"),
        ("3.1.1", "2026-03-25"),
        ("3.1.8", "2026-03-25"),
        ("3.3.2", "2026-09-25"),
        ("3.3.9", ""),
    ],
)
def test_the_day_of_the_index_for_an_airflow(asked, day):
    source = (ROOT / "scripts" / "setup.sh").read_text()
    function = source[source.index("index_date() {") : source.index("install() {")]

    done = subprocess.run(
        ["sh", "-ec", f"{function}\nindex_date {asked}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )

    assert (done.returncode, done.stdout.strip()) == (0, day)


@pytest.mark.parametrize(("asked", "found"), [((HERE,), True), (("3.0", HERE), True), (("3.0",), False)])
def test_a_python_of_the_versions_that_were_asked_for(asked, found):
    command = ["sh", ROOT / "scripts" / "setup.sh", "--find-python", *asked]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode == 0) is found
    if found:
        asked_itself = [done.stdout.strip(), "--version"]
        said = subprocess.run(asked_itself, capture_output=True, text=True, check=True).stdout
        assert said.startswith(f"Python {HERE}.")
    else:
        assert done.stdout == ""


@pytest.mark.parametrize("pattern", [*mutants.MODULES, *mutants.WIRED, *mutants.INNER])
def test_mutation_testing_finds_its_modules(pattern):
    assert sorted((ROOT / "airflow_provider_whatsapp").glob(pattern))


def workflow(name):
    return yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text())


def test_the_workflow_tests_what_is_supported():
    lines = (ROOT / "scripts" / "airflow-versions.txt").read_text().splitlines()
    _, *tested = [line.split()[0] for line in lines if line and not line.startswith("#")]
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    pythons = re.findall(r"Python :: (3\.\d+)", "\n".join(classifiers))
    jobs = workflow("tests")["jobs"]

    assert jobs["tests"]["strategy"]["matrix"] == {"airflow": [*tested, "newest"], "python": pythons}
    others = ["lowest(core)", "lowest(others)", "prerelease", "fab(newest)"]
    assert jobs["others"]["strategy"]["matrix"] == {"session": others}
    targets = jobs["checks"]["strategy"]["matrix"]["target"]
    makefile = (ROOT / "Makefile").read_text()
    assert {"lint", "types", "docs", "package"} <= {*targets}
    assert all(re.search(rf"(?m)^{target}:.*## ", makefile) for target in targets)


def test_a_release_is_attested_and_uses_no_stored_key():
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    jobs = workflow("release")["jobs"]

    assert jobs["build"]["permissions"] == {
        "contents": "read",
        "id-token": "write",
        "attestations": "write",
    }
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert jobs["publish"]["environment"] == "pypi"
    assert jobs["publish"]["needs"] == "build"
    assert jobs["publish"]["steps"][-1]["with"]["attestations"] is True
    assert "secrets." not in text
    actions = re.findall(r"uses: (\S+)", text)
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in actions)


def part(name, version="1"):
    return {"name": name, "version": version}


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [
        ([part("Apache_Airflow"), part("requests"), part("rich")], "3 components (CycloneDX 1.6)"),
        ([part("requests")], "lacks apache-airflow"),
        ([part("apache-airflow", None), part("requests")], "lacks apache-airflow"),
        ([], "lacks apache-airflow, requests"),
    ],
    ids=["whole", "missing", "no-version", "empty"],
)
def test_a_bill_of_materials_names_every_dependency(parts, outcome):
    bill = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": parts}
    wanted = sbom.declared({"dependencies": ["apache-airflow>=3.1,<4", "Requests[socks]>=2"]})

    try:
        said = sbom.judge(bill, wanted)
    except sbom.SbomError as error:
        said = str(error)
    assert outcome in said
