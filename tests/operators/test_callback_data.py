"""Every send of the operators carries what its receipts are found by; a user's own wins."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp._compat import AirflowFailException
from airflow_provider_whatsapp.delivery.callback_data import key_hash
from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator
from airflow_provider_whatsapp.operators.messages import (
    SendMediaOperator,
    SendMessageOperator,
    SendTemplateOperator,
    SendTextOperator,
)
from airflow_provider_whatsapp.operators.sql import SqlToWhatsAppOperator

TO = ["+15550001111", "+15550002222"]
LINK = "https://example.com/a.png"
OPERATORS = {
    "text": (SendTextOperator, {"to": TO, "text": "hello"}),
    "media": (SendMediaOperator, {"to": TO, "media": LINK, "kind": "image"}),
    "message": (SendMessageOperator, {"to": TO, "message": {"type": "text", "body": "hello"}}),
    "template": (SendTemplateOperator, {"to": TO, "template_name": "hello_world"}),
    "broadcast": (BroadcastTemplateOperator, {"recipients": TO, "template_name": "hello_world"}),
}


def context(number=1, map_index=-1):
    ti = SimpleNamespace(
        dag_id="dag",
        run_id="run",
        task_id="send",
        map_index=map_index,
        try_number=number,
        max_tries=3,
        xcom_push=lambda **_: None,
    )
    return {"ti": ti}


def made(name, tmp_path, **options):
    kind, arguments = OPERATORS[name]
    return kind(task_id="send", ledger_path=f"file://{tmp_path}/ledgers", **{**arguments, **options})


def carried(sandbox):
    return [each["payload"].get("biz_opaque_callback_data") for each in sandbox.messages]


@pytest.mark.parametrize("name", OPERATORS)
def test_each_message_carries_hash_epoch_and_place(sandbox, tmp_path, name):
    made(name, tmp_path).execute(context(map_index=4))

    key = key_hash("dag", "run", "send", "4")
    assert carried(sandbox) == [f"awp1.{key}.1.0", f"awp1.{key}.1.1"]


@pytest.mark.parametrize("name", OPERATORS)
def test_the_user_s_own_wins(sandbox, tmp_path, name):
    own = "order 1" if name == "broadcast" else "order {to}"  # a column is one in a broadcast alone
    made(name, tmp_path, callback_data=own).execute(context())

    assert carried(sandbox) == [own, own]


@pytest.mark.parametrize("name", OPERATORS)
def test_an_own_one_that_is_too_long_is_one_error_before_any_request(sandbox, tmp_path, name):
    with pytest.raises(AirflowFailException, match=r"callback_data: 513 characters.*512"):
        made(name, tmp_path, callback_data="x" * 513).execute(context())

    assert sandbox.requests == []


def test_every_sending_operator_takes_it_and_hides_it():
    for kind in (*(kind for kind, _ in OPERATORS.values()), SqlToWhatsAppOperator):
        assert "callback_data" in kind.template_fields
        assert "callback_data" not in kind.shown_fields


def test_tasks_without_a_task_instance_do_not_carry_the_same(sandbox):
    for _ in range(2):
        SendTextOperator(task_id="send", to=TO[0], text="hello").execute({})

    first, second = carried(sandbox)
    assert first.startswith("awp1.")
    assert first != second


def test_a_broadcast_takes_it_from_the_row_and_its_results_file_has_it(sandbox, tmp_path):
    rows = [{"to": to, "order": f"A-{place}"} for place, to in enumerate(TO)]
    results = tmp_path / "results.jsonl"

    made(
        "broadcast",
        tmp_path,
        recipients=rows,
        callback_data="order {order}",
        results_path=f"file://{results}",
    ).execute(context())

    assert sorted(carried(sandbox)) == ["order A-0", "order A-1"]
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert [line["callback_data"] for line in lines] == ["order A-0", "order A-1"]
    assert all("row" not in line for line in lines), "a row's values stand there only for another send"


def test_braces_that_jinja_brings_into_it_are_no_column(sandbox, tmp_path):
    task = made(
        "broadcast", tmp_path, recipients=[{"to": TO[0], "order": "A"}], callback_data="{{ x }} {order}"
    )
    task.render_template_fields({"x": "{to}"})

    task.execute(context())

    assert carried(sandbox) == ["{to} A"]


def test_the_results_file_of_a_retry_has_the_mark_that_each_message_carries(
    sandbox, tmp_path, change_connection
):
    results, people = tmp_path / "results.jsonl", [*TO, "+15550003333"]
    sandbox.fail_next("drop_after", to=TO[0].lstrip("+"))
    sandbox.fail_next("status", status=429, to=TO[1].lstrip("+"))
    change_connection(extra={"max_retries": 0})
    options = {"recipients": people, "results_path": f"file://{results}"}

    with pytest.raises(Exception, match="1 failed, 1 unknown, 1 skipped"):
        made("broadcast", tmp_path, **options).execute(context())
    report = made("broadcast", tmp_path, max_failed=1, **options).execute(context(2))

    assert (report["sent"], report["unknown"]) == (2, 1)
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    sent = {each["to"]: each["payload"]["biz_opaque_callback_data"] for each in sandbox.messages}
    key = key_hash("dag", "run", "send", "-1")
    assert {line["to"]: line["callback_data"] for line in lines} == sent
    assert [line["callback_data"] for line in lines] == [f"awp1.{key}.{end}" for end in ("1.0", "2.1", "2.2")]


def test_a_results_file_with_it_is_a_source_of_recipients_still(sandbox, tmp_path):
    results = tmp_path / "results.jsonl"
    sandbox.fail_next("status", status=400, body={"error": {"code": 131026}}, to=TO[1].lstrip("+"))
    options = {"results_path": f"file://{results}", "max_failed": 1}
    made("broadcast", tmp_path, **options).execute(context())

    again = BroadcastTemplateOperator(
        task_id="again", recipients=f"file://{results}", scope="failed", template_name="hello_world"
    ).execute({})

    assert (again["total"], again["sent"]) == (1, 1)
    assert [each["to"] for each in sandbox.messages] == [to.lstrip("+") for to in TO]
