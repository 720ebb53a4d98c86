"""Files through a real Airflow: from an upstream task, uploaded once for all recipients and tries."""

from __future__ import annotations

import pytest

from tests.airflow.running import reached, refusal, state

pytestmark = pytest.mark.airflow

PDF = b"%PDF-1.7\n"


def uploads(sandbox):
    return [request for request in sandbox.requests_to("/media") if request["method"] == "POST"]


def document(message):
    payload = message["payload"]
    if payload["type"] == "document":
        return payload["document"]
    return payload["template"]["components"][0]["parameters"][0]["document"]


@pytest.mark.usefixtures("report")
@pytest.mark.parametrize("dag_id", ["delivery_upload", "delivery_header"])
def test_a_file_is_uploaded_once_for_all_recipients_and_tries(
    run, sandbox, ledger, change_connection, tmp_path, dag_id
):
    change_connection(extra={"max_retries": 0})
    path = tmp_path / "report.pdf"
    path.write_bytes(PDF)
    sandbox.fail_next("status", **refusal(131056, "15550000001"))

    dag_run = run(dag_id, media=f"file://{path}", **ledger)

    assert state(dag_run) == "success"
    assert dag_run.get_task_instance("send").try_number == 2
    assert len(uploads(sandbox)) == 1
    assert reached(sandbox) == {f"1555000{number:04}": 1 for number in range(3)}
    assert len({document(message)["id"] for message in sandbox.messages}) == 1
    name = "report.pdf" if dag_id == "delivery_upload" else "Sales.pdf"
    assert {document(message)["filename"] for message in sandbox.messages} == {name}


@pytest.mark.usefixtures("report")
@pytest.mark.parametrize("form", ["path", "ObjectStoragePath"])
def test_what_a_task_has_made_is_sent_by_the_next(run, sandbox, tmp_path, form):
    dag_run = run(
        "delivery_xcom", form=form, path=f"file://{tmp_path}/report.pdf", ledger=f"file://{tmp_path}/ledgers"
    )

    assert {ti.task_id: ti.state for ti in dag_run.get_task_instances()} == dict.fromkeys(
        ("make", "send", "header"), "success"
    )
    assert len(sandbox.messages) == 6
    assert len(uploads(sandbox)) == 2, "one for each task"
    assert {document(message)["filename"] for message in sandbox.messages} == {"report.pdf"}


@pytest.mark.usefixtures("report")
def test_an_empty_file_skips_both_tasks(run, sandbox, tmp_path):
    before = len(sandbox.requests)

    dag_run = run(
        "delivery_xcom",
        form="path",
        path=f"file://{tmp_path}/report.pdf",
        content="",
        skip_if_empty=True,
        ledger=f"file://{tmp_path}/ledgers",
    )

    assert {state(dag_run, task_id) for task_id in ("send", "header")} == {"skipped"}
    assert len(sandbox.requests) == before
