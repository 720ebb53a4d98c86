"""A real Airflow retries, clears and maps tasks that send; the sandbox counts who got what."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.airflow.running import lines, reached, refusal, state, xcom

pytestmark = pytest.mark.airflow

BODY = [
    {
        "type": "BODY",
        "text": "Dear {{1}}, we meet at {{2}}.",
        "example": {"body_text": [["Ann", "10:00"]]},
    }
]


def test_a_time_out_in_the_middle_repeats_nothing(run, sandbox, ledger):
    sandbox.fail_next("slow", seconds=9, to="15550000002", path="/messages")

    dag_run = run("delivery_time_out", **ledger)

    assert state(dag_run) == "failed"
    assert reached(sandbox) == {f"1555000{number:04}": 1 for number in range(12)}
    report = xcom(dag_run, "report")
    assert (report["sent"], report["unknown"]) == (11, 1)
    assert report["results"][2]["status"] == "unknown"
    assert all(row["message_id"] for row in report["results"] if row["status"] == "sent")


def test_what_was_refused_for_a_time_is_sent_by_the_retry(run, sandbox, ledger, change_connection):
    change_connection(extra={"max_retries": 0})
    sandbox.fail_next("status", **refusal(131056, "15550000005"))

    dag_run = run("delivery_time_out", **ledger)

    assert state(dag_run) == "success"
    assert dag_run.get_task_instance("send").try_number == 2
    assert set(reached(sandbox).values()) == {1}
    assert xcom(dag_run)["sent"] == 12


def test_resend_sends_again_to_whoever_is_unknown(run, sandbox, ledger):
    sandbox.fail_next("drop_after", to="15550000003", path="/messages")

    dag_run = run("delivery_resend", **ledger)

    assert state(dag_run) == "success"
    assert reached(sandbox)["15550000003"] == 2
    assert reached(sandbox).total() == 13


def test_a_clear_repeats_only_what_the_user_asked_for(run, run_again, sandbox, ledger, capfd):
    dag_run = run("delivery_clear", **ledger)
    assert reached(sandbox).total() == 6

    capfd.readouterr()
    assert run_again(dag_run, "keep", clear=True).state == "success"
    assert reached(sandbox).total() == 6
    said = "".join(capfd.readouterr())
    assert "3 of 3 sent, 0 unknown" in said
    assert "resend_on_clear is False, so the task sends only to people who certainly have no message" in said
    assert xcom(dag_run, task_id="keep")["sent"] == 3

    assert run_again(dag_run, "fresh", clear=True).state == "success"
    assert "resend_on_clear is True: the task sends to everybody again" in "".join(capfd.readouterr())
    assert reached(sandbox) == Counter({f"1555000{number:04}": 1 if number < 3 else 2 for number in range(6)})


def test_a_message_that_changes_from_try_to_try_is_refused(run, sandbox, ledger, change_connection):
    change_connection(extra={"max_retries": 0})
    sandbox.fail_next("status", **refusal(131056, "15550000005"))

    dag_run = run("delivery_changed", **ledger)

    assert state(dag_run) == "failed"
    assert dag_run.get_task_instance("send").try_number == 2, "the second try refuses for good"
    assert reached(sandbox).total() == 11


def test_a_list_that_changes_from_try_to_try_is_refused(
    run, sandbox, ledger, change_connection, tmp_path, capfd
):
    change_connection(extra={"max_retries": 0})
    numbers = [f"+1555000{number:04}" for number in range(4)]
    (tmp_path / "1.csv").write_text("\n".join(["to", *numbers]))
    (tmp_path / "2.csv").write_text("\n".join(["to", *reversed(numbers)]))
    sandbox.fail_next("status", **refusal(131056, "15550000002"))

    dag_run = run("broadcast_changed", folder=f"file://{tmp_path}", **ledger)

    assert state(dag_run) == "failed"
    assert dag_run.get_task_instance("send").try_number == 2, "the second try refuses for good"
    assert reached(sandbox).total() == 3
    assert "the list of recipients is not the one that an earlier try began to send" in "".join(
        capfd.readouterr()
    )


@pytest.mark.parametrize(("failures", "end"), [(1, "success"), (2, "failed")])
def test_max_failed_decides(run, sandbox, ledger, failures, end):
    for number in range(failures):
        sandbox.fail_next("status", **refusal(131026, f"1555000{number:04}"))

    assert state(run("delivery_tolerant", **ledger)) == end


@pytest.fixture
def invitation(sandbox):
    """Give an approved template with two variables."""
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

    MatonWhatsAppHook().create_template("invitation", "en_US", "MARKETING", BODY)
    sandbox.control("POST", "templates", name="invitation", language="en_US", status="APPROVED")


@pytest.fixture
def people(tmp_path):
    """Write a CSV of so many people."""

    def write(count, extra=""):
        path = tmp_path / "people.csv"
        rows = "".join(f"+1555000{number:04},P{number}\n" for number in range(count))
        path.write_text(f"to,name\n{rows}{extra}")
        return f"file://{path}"

    return write


def test_mapped_shards_share_the_list_out(run, sandbox, invitation, people, ledger, tmp_path, capfd, caplog):
    """The list is so long, by one cell, that the first shard divides it for all."""
    caplog.set_level("INFO")
    extra = f"+1 555 000 0001,Again\nnonsense,{'Nobody' * 400_000}\n+15550000777,Opted Out\n"

    dag_run = run(
        "broadcast_shards",
        recipients=people(40, extra),
        results=f"file://{tmp_path}/results.jsonl",
        opted_out="+1 555 000 0777, +15559999999",
        max_failed=1,
        **ledger,
    )

    assert dag_run.state == "success"
    assert reached(sandbox) == {f"1555000{number:04}": 1 for number in range(40)}
    found = [row for part in tmp_path.glob("results-*-of-3.jsonl") for row in lines(part)]
    assert len(found) == 43
    assert Counter(row["status"] for row in found) == {"sent": 40, "failed": 1, "skipped": 2}
    assert {row.get("reason") for row in found} == {None, "duplicate", "suppressed"}
    assert not [*tmp_path.glob("*.parts"), *tmp_path.glob("*.shards")]
    said = caplog.text + "".join(capfd.readouterr())
    assert "people.csv was divided into 3 shards" in said


def test_a_list_from_xcom_without_those_in_a_variable(run, sandbox, invitation, ledger, monkeypatch):
    monkeypatch.setenv("AIRFLOW_VAR_OPTED_OUT", "+1 555 000 0003\n+1 555 000 0004")

    dag_run = run("broadcast_xcom", **ledger)

    report = xcom(dag_run)
    assert (report["sent"], report["skipped_because"]) == (10, {"suppressed": 2})
    assert not {"15550000003", "15550000004"} & set(reached(sandbox))


def test_an_earlier_report_is_the_source_of_a_later_run(run, sandbox, invitation, people, ledger, tmp_path):
    results = tmp_path / "results.jsonl"
    for number in (3, 4):
        sandbox.fail_next("status", **refusal(131026, f"1555000{number:04}"))
    first = run("broadcast_one", recipients=people(10), results=f"file://{results}", **ledger)
    assert state(first) == "failed"
    report = xcom(first, "report")
    assert (report["total"], report["sent"], report["failed"]) == (10, 8, 2)
    assert [row["to"] for row in report["results"]] == ["15550000003", "15550000004"]

    second = run("broadcast_one", recipients=f"file://{results}", scope="failed", **ledger)

    assert xcom(second)["total"] == 2
    assert reached(sandbox) == {f"1555000{number:04}": 1 for number in range(10)}
    names = {
        message["payload"]["template"]["components"][0]["parameters"][0]["text"]
        for message in sandbox.messages
    }
    assert names == {f"P{number}" for number in range(10)}


def test_a_retry_of_a_broadcast_keeps_the_message_ids(
    run, sandbox, invitation, people, ledger, change_connection, tmp_path
):
    change_connection(extra={"max_retries": 0})
    sandbox.fail_next("status", **refusal(131056, "15550000017"))
    results = tmp_path / "results.jsonl"

    dag_run = run("broadcast_one", recipients=people(30), results=f"file://{results}", **ledger)

    assert state(dag_run) == "success"
    assert dag_run.get_task_instance("send").try_number == 2
    found = {row["to"]: row["message_id"] for row in lines(results)}
    assert found == {message["to"]: message["id"] for message in sandbox.messages}


def test_a_template_that_does_not_fit_stops_the_task_before_the_first_message(run, sandbox, people, ledger):
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

    assert state(run("broadcast_one", recipients=people(3), **ledger)) == "failed", "there is none"
    one = [{"type": "BODY", "text": "Dear {{1}}, hello.", "example": {"body_text": [["Ann"]]}}]
    MatonWhatsAppHook().create_template("invitation", "en_US", "MARKETING", one)
    assert state(run("broadcast_one", recipients=people(3), **ledger)) == "failed", "it is not approved"
    sandbox.control("POST", "templates", name="invitation", language="en_US", status="APPROVED")
    assert state(run("broadcast_one", recipients=people(3), **ledger)) == "failed", "it has one variable"
    assert sandbox.requests_to("messages") == []


def test_a_dry_run_sends_nothing_and_says_what_it_would(run, sandbox, invitation, people, ledger):
    dag_run = run("broadcast_one", recipients=people(5, "+4915550000001,Zoe\n"), dry_run=True, **ledger)

    report = xcom(dag_run)
    assert sandbox.requests_to("messages") == []
    assert (report["would_send"], report["countries"]) == (6, {"US": 5, "DE": 1})
    assert report["category"] == "MARKETING"
    assert report["messages"][0]["body"] == "Dear P0, we meet at 10:00."
    assert report["messages"][0]["to"] == "15•••0000"


def test_numbers_and_texts_stay_out_of_rendered_fields(run, sandbox, dag_bag):
    from airflow.models.renderedtifields import RenderedTaskInstanceFields

    dag_run = run("delivery_shown")

    assert reached(sandbox) == {"15550000000": 3, "15550000001": 3}
    shown = {
        (ti.task_id, ti.map_index): RenderedTaskInstanceFields.get_templated_fields(ti)
        for ti in dag_run.get_task_instances()
    }
    for task in (("hidden", -1), ("mapped", 0), ("mapped", 1)):
        assert "5550000" not in str(shown[task])
        assert "secret" not in str(shown[task])
    assert shown["shown", -1]["text"] == "secret words"
    assert "+15550000001" in str(shown["shown", -1]["to"])


def test_the_example(run, sandbox):
    dag_run = run("broadcast")

    assert reached(sandbox) == {"15550100101": 1, "15550100102": 1, "442079460103": 1}
    shards = dag_run.get_task_instances()
    reports = [ti.xcom_pull(task_ids="invite", map_indexes=ti.map_index) for ti in shards]
    assert [sum(report[key] for report in reports) for key in ("total", "sent", "skipped")] == [4, 3, 1]
    files = {Path(report["results_path"].removeprefix("file://")) for report in reports}
    assert [len(files), sum(len(lines(path)) for path in files)] == [2, 4]


def test_the_example_s_dry_run(run, sandbox):
    assert run("broadcast", dry_run=True).state == "success"
    assert sandbox.requests_to("messages") == []


def test_outside_its_hours_a_broadcast_waits_without_a_worker(run, sandbox, ledger):
    """The window opens in three seconds: the task defers, the trigger waits, and nothing leaves before."""
    from datetime import UTC, datetime, timedelta

    opens = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3)
    closes = opens + timedelta(hours=2)
    window = [opens.time().isoformat(), closes.time().isoformat()]

    dag_run = run("broadcast_window", recipients=["+15550000001", "+4915550000002"], window=window, **ledger)

    assert state(dag_run) == "success"
    assert reached(sandbox) == {"15550000001": 1, "4915550000002": 1}
    accepted = [message["accepted_at"] for message in sandbox.messages]
    assert min(accepted) >= opens.timestamp()
