"""The lists of a broadcast as a DAG gives them: what is no list ends the task before any request."""

from __future__ import annotations

import json

import pytest

from airflow_provider_whatsapp._compat import AirflowFailException
from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator

OUT, IN = "15550000001", "15550000002"


def broadcast(**arguments):
    return BroadcastTemplateOperator(
        task_id="send", **{"recipients": [f"+{OUT}", f"+{IN}"], "template_name": "hello_world", **arguments}
    )


def messages_to(sandbox):
    return [message["to"] for message in sandbox.messages]


@pytest.mark.parametrize(
    ("arguments", "rendered", "words"),
    [
        ({"suppression": "{{ none_given }}"}, None, r"suppression\[0\].*is neither a number"),
        ({"suppression": "{{ var_given }}"}, None, "suppression: is an empty text"),
        ({"suppression": "gone.csv"}, None, "gone.csv does not exist"),
        ({"suppression": "given"}, ("suppression", None), "suppression: is None"),
        ({"recipients": "given"}, ("recipients", None), "recipients: is a NoneType"),
        ({"recipients": "{{ var_given }}"}, None, "recipients: is an empty text"),
        ({"recipients": "[{'to': "}, None, "recipients: is a text that begins like a list"),
        ({"recipients": {"to": OUT}}, None, "recipients: is a dict"),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_what_is_no_list_is_refused_before_any_request(sandbox, arguments, rendered, words, dry_run):
    task = broadcast(dry_run=dry_run, **arguments)
    task.render_template_fields({"none_given": None, "var_given": ""})
    if rendered is not None:  # what an XCom that holds nothing is after rendering
        name, value = rendered
        setattr(task, name, value)
        task._revealed = None

    with pytest.raises(AirflowFailException, match=words):
        task.execute({})

    assert sandbox.requests == []


def test_suppression_may_be_the_name_of_a_file_in_the_working_folder(sandbox, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "optouts.csv").write_text(f"date,phone\n2024-01-31,+{OUT}\n")

    report = broadcast(suppression="optouts.csv").execute({})

    assert messages_to(sandbox) == [IN]
    assert report["skipped_because"] == {"suppressed": 1}
    assert "the suppression list has 1 recipients" in capsys.readouterr().out


def test_lists_rendered_as_texts_are_lists(sandbox):
    task = broadcast(recipients="{{ people }}", suppression="{{ opted_out }}")
    task.render_template_fields(
        {"people": [{"to": f"+{OUT}", "x": None}, {"to": int(IN)}], "opted_out": [OUT]}
    )

    task.execute({})

    assert messages_to(sandbox) == [IN]


def test_the_dry_run_sees_what_the_real_run_would(sandbox, tmp_path):
    people = tmp_path / "people.csv"
    people.write_text(f'to,note\n+{OUT},"5 inch\n+{IN},6"\n')

    for dry_run in (True, False):
        with pytest.raises(AirflowFailException, match="quotation marks do not match"):
            broadcast(recipients=str(people), dry_run=dry_run).execute({})

    assert sandbox.requests == []


POISON = [
    '{"to": "+15550000101", "name": "\\ud83d"}',
    '{"to": "+15550000102\\udc00", "name": "x"}',
    '{"to": "+15550000103", "name": ' + "[" * 50_000 + "]" * 50_000 + "}",
    '{"to": "+15550000104", "name": ' + "9" * 5_000 + "}",
    '{"to": ' + "1" * 5_000 + ', "name": "x"}',
    '{"to": "+15550000105", "name": "' + "x" * 140_000 + '"}',
    '{"to": "+15550000106", "to": "+15550000107", "name": "x"}',
    '{"to": "+15550000108", "name": "   "}',
    '{"to": "+15550000109", "name": null}',
    '{"to": "+15550000110"}',
    "not JSON",
    "[1, 2]",
    '"text"',
    '{"to": {"a": 1}, "name": "x"}',
]
OTHER = '"+15559999999"'
HARMLESS = (
    f'{{"to": "+15550000200", "name": "Ann", "status": "sent", "row": {{"to": {OTHER}}}, "given": {OTHER}}}'
)


@pytest.mark.parametrize("checked", [True, False])
def test_no_poisoned_row_stops_anybody_and_each_has_its_reason(sandbox, tmp_path, checked):
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

    parts = [{"type": "BODY", "text": "Dear {{1}}, hello.", "example": {"body_text": [["Ann"]]}}]
    MatonWhatsAppHook().create_template("greeting", "en_US", "UTILITY", parts)
    sandbox.control("POST", "templates", name="greeting", language="en_US", status="APPROVED")
    people, results = tmp_path / "people.jsonl", tmp_path / "results.jsonl"
    unneeded = '{"to": "+15550000201", "name": "Bob", "note": "\\udfff", "\\ud800": ' + "9" * 5_000 + "}"
    people.write_text("\n".join([HARMLESS, *POISON, unneeded]) + "\n")

    report = broadcast(
        recipients=str(people),
        template_name="greeting",
        body=["{name}"],
        results_path=str(results),
        max_failed=100,
        check_template=checked,
    ).execute({})

    assert messages_to(sandbox) == ["15550000200", "15550000201"]
    assert (report["total"], report["sent"], report["failed"]) == (len(POISON) + 2, 2, len(POISON))
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert len(lines) == report["total"]
    assert all(line["error"]["message"] for line in lines if line["status"] == "failed")
    assert len(json.dumps(report)) < 20_000


def test_the_log_says_where_numbers_without_plus_go(sandbox, capsys):
    people = [
        "15550000001",
        "15550000002",
        442079460103,
        "+4915123456789",
        "00 49 151 23456789",
        "US.13491208655302741",
    ]

    broadcast(recipients=people, dry_run=True).execute({})

    said = capsys.readouterr().out
    assert "WhatsApp: 3 numbers have no + in front; read by their digits, they belong to US 2, GB 1" in said


def test_the_log_says_nothing_of_numbers_that_are_written_in_full(sandbox, capsys):
    broadcast(recipients=["+15550000001"], dry_run=True).execute({})

    assert "no + in front" not in capsys.readouterr().out
