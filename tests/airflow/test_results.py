"""The results file of tasks that come to a bad end in a real Airflow: a full disk, a time that is over."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.airflow.running import has_state_store, lines, reached, refusal, state, xcom
from tests.disks import fill, make_room, mounted

pytestmark = pytest.mark.airflow


WRITTEN_BY_0_1 = Path(__file__).parents[1] / "data" / "written_by_0_1"


@pytest.fixture
def ledger(tmp_path):
    """One kind of ledger will do: how it is written is tested elsewhere."""
    return {} if has_state_store() else {"ledger": f"file://{tmp_path}/ledgers"}


def test_the_last_try_s_time_is_over_and_everybody_is_in_results_and_report(
    run, sandbox, ledger, change_connection, tmp_path
):
    change_connection(extra={"rate_limit": 10})
    results = tmp_path / "results.jsonl"

    dag_run = run("broadcast_time_out", results=f"file://{results}", **ledger)

    assert state(dag_run) == "failed"
    ids = {message["to"]: message["id"] for message in sandbox.messages}
    found = lines(results)
    counts = Counter(line["status"] for line in found)
    assert [line["n"] for line in sorted(found, key=lambda line: line["n"])] == list(range(200))
    # On a slow machine, one may be on the wire at the very moment when the time is over.
    unknown = {line["to"] for line in found if line["status"] == "unknown"}
    assert len(unknown) <= 1
    sent = {to: wamid for to, wamid in ids.items() if to not in unknown}
    assert {line["to"]: line["message_id"] for line in found if line["status"] == "sent"} == sent
    assert 0 < len(sent) < 100
    assert counts["skipped"] == 200 - len(sent) - len(unknown)
    assert all(line["reason"] == "stopped" and line["row"] for line in found if line["status"] == "skipped")
    report = xcom(dag_run, "report")
    assert (report["total"], report["sent"], report["skipped"]) == (200, len(sent), counts["skipped"])


def test_a_full_disk_burns_nothing(run, run_again, sandbox, ledger, tmp_path, capfd):
    """Both tries find the disk full; when there is room again, a clear goes on, and nobody gets a second message."""
    with mounted(tmp_path / "disk", "512k") as disk:
        results = disk / "results.jsonl"
        fill(disk)
        with (disk / "ballast").open("rb+") as ballast:
            ballast.truncate(ballast.seek(0, 2) - 2 * 4096)

        dag_run = run("broadcast_kill", results=f"file://{results}", **ledger)

        said = "".join(capfd.readouterr())
        assert state(dag_run) == "failed"
        assert dag_run.get_task_instance("send").try_number == 2, "it can be retried"
        assert f"the results cannot be written to {results}: No space left on device" in said
        first = reached(sandbox)
        assert 0 < len(first) < 200

        make_room(disk)
        assert run_again(dag_run, "send", clear=True).state == "success"

        counts = reached(sandbox)
        assert (len(counts), max(counts.values())) == (200, 1)
        found = lines(results)
        assert sorted(line["n"] for line in found) == list(range(200))
        assert {line["status"] for line in found} == {"sent"}
        assert [each.name for each in disk.iterdir()] == ["results.jsonl"]


def test_a_scope_reads_what_a_killed_task_has_left(run, sandbox, ledger, tmp_path, caplog):
    """Version 0.1 left these parts: one person was refused, of another the answer was lost."""
    shutil.copytree(WRITTEN_BY_0_1 / "results", tmp_path, dirs_exist_ok=True)
    conf = {
        "recipients": f"file://{tmp_path}/killed.jsonl",
        "scope": "failed",
        "results": f"file://{tmp_path}/next.jsonl",
    }
    sandbox.fail_next("status", **refusal(131026, "15550100101"))

    assert state(run("broadcast_hello", **conf, **ledger)) == "failed"

    assert "killed.jsonl: its task has not finished; read with its parts." in caplog.text
    (line,) = lines(tmp_path / "next.jsonl")
    assert (line["to"], line["status"], line["row"]["name"]) == ("15550100101", "failed", "Refused")
    assert not list(tmp_path.glob("next.jsonl.*")), "the file is whole, so its parts are gone"
    assert (
        state(run("broadcast_hello", **{**conf, "recipients": f"file://{tmp_path}/next.jsonl"}, **ledger))
        == "success"
    )
    assert reached(sandbox) == {"15550100101": 1}
