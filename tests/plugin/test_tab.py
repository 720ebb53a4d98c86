"""The tab on a task instance: what it shows, whoever wrote the reports and templates."""

from __future__ import annotations

import json
import re
import threading
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from tests.plugin.reports import AT, ERROR, PATH, SAME, outcome, report
from tests.sandbox.test_browser import ATTACKS


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        [],
        {},
        {"total": 1},
        report() | {"sent": "1"},
        report() | {"results": {}},
        report() | {"total": -1},
    ],
    ids=["none", "number", "list", "dict", "half", "text", "no-list", "negative"],
)
def test_what_is_no_report_is_none(tab, value):
    answer = tab({}, value)

    assert answer.status_code == 200
    assert "No messages from this task" in answer.text


def test_neither_the_page_nor_its_file_tells_a_hidden_number_by_a_search(tab):
    people = report(outcome(to="15559173342"), outcome(to="15558880000"))
    for find, listed in (("15559173342", 1), ("3342", 1), ("9173342", 0), ("1555917", 0)):
        page = tab({"to": "•••"}, people, method="POST", body={"find": find}, **SAME)
        file = tab(
            {"to": "•••"}, people, f"{PATH}/recipients.csv", method="POST", body={"find": find}, **SAME
        )
        assert ("1 of 2 listed" in page.text) == bool(listed)
        assert len(file.text.splitlines()) == 1 + listed


@pytest.mark.parametrize(
    "value",
    [
        {"outcomes": 5}, {"changes": 7}, {"changes": True}, {"outcomes": {"a": 1}}, {"changes": "text"},
        {"outcomes": [{"name": "t", "language": "en", "diff": [1, None]}]},
        {"outcomes": [{"name": "t", "language": "en", "diff": 3, "action": 5, "state": {"a": 1}, "detail": [1]}]},
    ],
    ids=str,
)  # fmt: skip
def test_whatever_a_task_of_somebody_s_own_returns_the_tab_opens(tab, value):
    assert tab({}, value).status_code == 200


def test_who_was_notified_and_what_was_suppressed(tab, monkeypatch):
    from airflow_provider_whatsapp.notifications.records import Record
    from airflow_provider_whatsapp.plugin import task_facts, task_receipts
    from tests.plugin.reports import receipt

    now = datetime.now(UTC).timestamp()
    record = Record(
        sent_at=now, held=2, failures=3, names=("load", "clean"), muted_until=now + 99, muted_by="ana"
    )
    sent = {"sent_at": AT, "template_name": "airflow_alert"}
    monkeypatch.setattr(task_facts, "_alert_record", lambda _: record)
    monkeypatch.setattr(task_receipts, "store_is_named", lambda: True)
    monkeypatch.setattr(task_receipts, "receipts_of_task", lambda *_: task_receipts.TaskReceipts({}, {}))
    monkeypatch.setattr(task_receipts, "alerts_of", lambda _: [(sent, [receipt("read"), receipt("failed")])])
    text = " ".join(re.sub(r"<[^>]+>", " ", tab({}).text.partition("<main")[2]).split())

    assert "Failures in a row 3 Suppressed since 2 Muted by ana" in text
    assert "Suppressed: load, clean" in text
    assert "2026-11-28 09:00:00 UTC airflow_alert 15•••1111 read" in text
    assert "15•••1111 failed" in text


@pytest.mark.parametrize("applied", [True, False], ids=["sync", "dry-run"])
def test_a_sync_shows_what_it_has_changed_and_a_dry_run_what_it_would(tab, applied):
    """Both from what XCom has: the operator's own report, and its own plan."""
    from airflow_provider_whatsapp.message_templates.apply import ApplyReport, Outcome
    from airflow_provider_whatsapp.message_templates.plan import Change, Plan

    edit = Change(action="edit", name="late", language="en_US", diff=("-body: Late.", "+body: Very late."))
    plan = Plan((edit,))
    done = Outcome(change=edit, state="done", status="PENDING")
    value = ApplyReport((done,), plan).to_dict() if applied else plan.to_dict()
    text = tab({"templates": "templates"}, value).text

    assert '<span class="minus">-body: Late.</span>' in text
    assert '<span class="plus">+body: Very late.</span>' in text
    assert ("edit, done, PENDING" in text) is applied


def test_a_field_that_airflow_has_cut_names_no_templates(tab):
    answer = tab(
        {"template_name": None, "templates": "Truncated. You can change this behaviour in the configuration"}
    )
    assert answer.text.count("<article") == 0


@pytest.mark.parametrize("sent_at", [1e300, -1e300, "x"])
def test_a_record_that_no_clock_has_written_shows_no_time(tab, monkeypatch, sent_at):
    from airflow_provider_whatsapp.plugin import metadata

    monkeypatch.setattr(metadata, "variable", lambda _: json.dumps({"sent_at": sent_at, "held": 1}))
    assert tab({}).status_code == 200


@pytest.mark.parametrize(
    ("dags", "shown"), [(["sales"], True), ([], True), (["sales", "stock"], False), (["~"], False)]
)
def test_an_alert_that_other_dags_share_is_not_shown_with_one_of_them(tab, monkeypatch, dags, shown):
    from airflow_provider_whatsapp.plugin import metadata

    record = {
        "sent_at": datetime.now(UTC).timestamp(),
        "held": 1,
        "failures": 2,
        "names": ["load"],
        "dags": dags,
    }
    monkeypatch.setattr(metadata, "variable", lambda _: json.dumps(record))
    assert ("Last alert" in tab({}).text) is shown


class Elements(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, html):
        super().__init__()
        self.scripts, self.handlers, self.sources = 0, [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        self.handlers += [name for name, _ in attrs if name.startswith("on") or name == "style"]
        self.sources += [value for name, value in attrs if name in ("src", "href", "action") and value]


@pytest.mark.parametrize("attack", ATTACKS, ids=["script", "image", "svg", "link"])
def test_whatever_others_wrote_is_text(tab, sandbox, attack, monkeypatch):
    from airflow_provider_whatsapp.notifications.records import Record
    from airflow_provider_whatsapp.plugin import task_facts

    now = datetime.now(UTC).timestamp()
    record = Record(sent_at=now, held=1, names=(attack,), muted_until=now + 99, muted_by=attack)
    monkeypatch.setattr(task_facts, "_alert_record", lambda _: record)
    evil = [{"type": "HEADER", "format": "TEXT", "text": attack}, {"type": "BODY", "text": attack},
            {"type": "FOOTER", "text": attack},
            {"type": "BUTTONS", "buttons": [{"type": "URL", "text": attack, "url": attack}]}]  # fmt: skip
    row = {"name": attack, "language": attack, "status": attack, "category": attack, "components": evil,
           "rejected_reason": attack, "quality_score": {"score": attack}}  # fmt: skip
    monkeypatch.setattr(task_facts, "find_template", lambda *_: row)
    monkeypatch.setattr(task_facts, "_list_templates", lambda *_: [row])
    error = dict.fromkeys(("message", "details", "advice"), attack)
    people = [
        outcome("failed", attack, error=error),
        outcome("skipped", reason=attack),
        outcome(message_id=attack),
    ]
    sent = report(*people, results_path=attack)
    sync = {
        "outcomes": [
            {"name": attack, "language": attack, "action": attack, "detail": attack, "diff": [attack]}
        ]
    }
    fields = {
        "to": attack,
        "template_name": attack,
        "language": attack,
        "body": {attack: attack},
        "maton_conn_id": attack,
    }
    for shown in (True, False):
        for value in (sent, sync):
            given = fields if value is sent else {}
            for method in ("GET", "POST"):
                answer = tab(
                    {**given, "log_pii": shown},
                    value,
                    method=method,
                    body={"find": attack, "show": attack},
                    **SAME,
                )
                found = Elements(answer.text)
                assert answer.status_code == 200
                assert (found.scripts, found.handlers) == (2, [])
                assert all(each in ("#main", "?show=") for each in found.sources)
    assert tab({"to": attack, "text": attack, "log_pii": True}, report(outcome())).text.count("<script") == 2


def test_a_search_is_no_address_and_masks_what_it_shows(tab):
    people = report(*(outcome(to=f"1555000{n:04}", message_id=f"wamid.{n:020}") for n in range(60)))
    found = tab({"to": "•••"}, people, method="POST", body={"find": "15550000059"}, **SAME)
    shown = tab({"to": "•••", "log_pii": True}, people, method="POST", body={"page": "2"}, **SAME)

    assert "1 of 60 listed." in found.text
    assert "15•••0059" in found.text
    assert ">15550000059" not in found.text
    assert "Page 2 of 2" in shown.text
    assert "15550000059" in shown.text
    assert 'method="post"' in shown.text


def test_a_number_in_an_address_is_not_searched_for_nor_shown(tab):
    """Whoever follows such a link must not write one: it would stand in the server's log and in the history."""
    people = report(*(outcome(to=f"1555000{n:04}") for n in range(3)))
    answer = tab({"to": "•••"}, people, f"{PATH}?find=15550000002&show=accepted")

    assert "3 of 3 listed." in answer.text
    assert "15550000002" not in answer.text


def test_a_form_is_read_to_a_limit(tab):
    people = report(outcome())
    long = tab({"to": "•••"}, people, method="POST", body={"find": "1" * 5_000}, **SAME)
    many = tab({"to": "•••"}, people, method="POST", body={f"a{n}": "1" for n in range(11)}, **SAME)

    assert (long.status_code, many.status_code) == (413, 400)
    assert "too long" in long.text


def test_the_table_as_a_file_is_masked_and_calls_no_formula(tab):
    people = report(outcome("failed", error={"message": '=HYPERLINK("x")'}), outcome(to="+15550002222"))
    answer = tab({"to": "•••"}, people, f"{PATH}/recipients.csv", method="POST", **SAME)

    assert answer.headers["Content-Type"].startswith("text/csv")
    assert "attachment" in answer.headers["Content-Disposition"]
    assert answer.text.splitlines()[1:] == [
        '1,15•••1111,failed,,,"\'=HYPERLINK(""x"")",,',
        "2,15•••2222,accepted,,,,,",
    ]
    assert tab({}, None, f"{PATH}/recipients.csv", method="POST", **SAME).status_code == 404
    assert tab({}, people, f"{PATH}/recipients.csv", role=None, method="POST", **SAME).status_code == 401


@pytest.mark.parametrize(
    ("fields", "more", "said"),
    [
        ({"to": "•••"}, {}, "Clear the task: it sends to those who certainly have nothing"),
        ({"recipients": "•••"}, {}, "This broadcast wrote no results file."),
        (
            {"recipients": "•••"},
            {"results_path": "s3://bucket/a.jsonl"},
            'recipients=&#34;s3://bucket/a.jsonl&#34;,\nscope="failed",',
        ),
    ],
    ids=["send", "broadcast", "with-file"],
)
def test_how_to_send_to_the_failed_ones_again(tab, fields, more, said):
    failed = report(outcome("failed", error=ERROR), outcome(), **more)

    assert said in tab(fields, failed).text.replace(
        'recipients="s3://bucket/a.jsonl"', "recipients=&#34;s3://bucket/a.jsonl&#34;"
    )
    assert "Send again to failed recipients" not in tab(fields, report(outcome(), **more)).text


def test_a_connection_of_another_type_keeps_its_password(tab, monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_OTHER",
        json.dumps({"conn_type": "http", "host": "http://evil.example", "password": "p"}),
    )
    fields = {"to": "•••", "template_name": "t", "language": "en_US"}

    other = tab({**fields, "maton_conn_id": "other"}, report(outcome())).text
    none = tab({**fields, "maton_conn_id": "not_there"}, report(outcome())).text

    assert "the connection &#39;other&#39; is not of type maton_whatsapp" in other
    assert "the connection &#39;not_there&#39; is not known to the API server" in none
    assert "1 recipient" in none


def test_a_task_that_waits_or_has_not_run_says_so(tab):
    assert "It has not run yet." in tab(state=None).text
    assert "It is running, and has reported nothing yet." in tab(state="running").text
    assert tab(path=PATH.replace("{MAP_INDEX}", "7")).status_code == 404


@pytest.mark.parametrize("seconds", [8.0, 0.0], ids=["in-time", "too-late"])
def test_the_event_store_has_seconds_for_all_that_the_tab_asks(tab, store, monkeypatch, seconds):
    from airflow_provider_whatsapp.plugin import event_store

    monkeypatch.setattr(event_store, "SECONDS", seconds)
    text = tab({"to": "•••"}, report(outcome())).text

    assert ("The event store cannot be read: the event store did not answer in time" in text) is (
        seconds == 0
    )
    assert "1 recipient" in text


SLOW = {
    "gateway": "task_facts.find_template",
    "records": "task_facts.record_text",
    "store": "task_receipts.receipts_of_task",
    "alerts": "task_receipts.alerts_of",
    "file": "results_files.read_results",
}


@pytest.mark.parametrize("slow", SLOW)
def test_a_source_that_hangs_leaves_the_rest_of_the_page(tab, monkeypatch, tmp_path, slow):
    import importlib

    from airflow_provider_whatsapp.plugin import sources

    monkeypatch.setenv("AIRFLOW__WHATSAPP__EVENTS_CONN_ID", "events")
    monkeypatch.setenv(
        "AIRFLOW_CONN_EVENTS", json.dumps({"conn_type": "sqlite", "host": f"{tmp_path}/none.db"})
    )
    monkeypatch.setattr(sources, "WAIT", 0.5)
    module, _, name = SLOW[slow].partition(".")
    place = importlib.import_module(f"airflow_provider_whatsapp.plugin.{module}")
    ended = threading.Event()
    monkeypatch.setattr(place, name, lambda *_: ended.wait(120))
    fields = {"to": "•••", "template_name": "t", "language": "en_US"}
    people = report(outcome("failed", "15550002222", error=ERROR), results_path="/srv/results/a.jsonl")
    try:
        answer = tab(fields, people)
        file = tab(fields, people, f"{PATH}/recipients.csv", method="POST", **SAME)
    finally:
        ended.set()

    assert "Not every source has answered yet." in answer.text
    assert "data-again" in answer.text
    assert "1 recipient" in answer.text
    assert "15•••2222" in answer.text
    # A table that lacks something says so, and is no file.
    lacking = {
        "store": "The receipts have not been read yet.",
        "file": "The results file has not been read yet.",
    }
    assert all((sentence in answer.text) == (slow == name) for name, sentence in lacking.items())
    assert (file.status_code == 503) == (slow in lacking)
