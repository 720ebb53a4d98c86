"""The tab on a task instance: what it makes of reports, receipts and files, whoever wrote them."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import ClassVar

import pytest

from airflow_provider_whatsapp.events.receipts import Receipt
from tests.sandbox.test_browser import ATTACKS

AT = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
RUN = ("sales", "manual__2026-11-28T09:00:00+00:00", "send", -1)
PATH = "task/sales/manual__2026-11-28T09:00:00+00:00/send/{MAP_INDEX}"
SAME = {"sec_fetch_site": "same-origin", "origin": "http://airflow.example"}
COMPONENTS = [
    {"type": "HEADER", "format": "DOCUMENT"},
    {"type": "BODY", "text": "Dear {{1}}, see {{2}}."},
    {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Thanks"}]},
]
NAMED = [{"type": "BODY", "text": "Dear {{name}}, see {{what}}."}]
ERROR = {
    "type": "RecipientError",
    "message": "refused",
    "details": "no such user",
    "advice": "Ask.",
    "code": 131026,
}


def outcome(status="sent", to="15550001111", **more):
    return {"to": to, "status": status, **more}


def report(*outcomes, total=None, **more):
    counts = {
        name: sum(each["status"] == name for each in outcomes)
        for name in ("sent", "failed", "unknown", "skipped")
    }
    return {"total": len(outcomes) if total is None else total, **counts, "results": list(outcomes), **more}


def receipt(status, position=0, message_id="wamid.1", epoch=1, **more):
    return Receipt(
        send_hash="h", epoch=epoch, position=position, message_id=message_id, recipient="15550001111",
        status=status, verified=True, **{f"{status}_at": AT, **more},
    )  # fmt: skip


@pytest.fixture
def tab(monkeypatch, look):
    """Open the tab of a task instance that Airflow's database would hold with these rendered fields and XComs."""
    from airflow_provider_whatsapp.plugin import access, task, task_facts
    from airflow_provider_whatsapp.plugin.metadata import TaskRun
    from airflow_provider_whatsapp.plugin.sources import Sources

    monkeypatch.setattr(access, "dag_is_there", lambda _: True)

    def ask(fields=None, value=None, path=PATH, state="success", **how):
        for name in ("SOURCES", "TABLES"):  # what was said a moment ago is kept otherwise
            monkeypatch.setattr(task_facts, name, Sources(threads=2))
        xcoms = {} if value is None else {"return_value": value}
        run = TaskRun(*RUN, state=state, started=AT, ended=AT, fields=fields or {}, xcoms=xcoms)
        monkeypatch.setattr(task, "read_task", lambda *names: run if names == RUN else None)
        return look(path, **how)

    return ask


@pytest.mark.parametrize(
    ("written", "outcome_", "why"),
    [
        (outcome(message_id="wamid.1"), "accepted", ""),
        (outcome("failed", error=ERROR), "failed", "refused no such user"),
        (outcome("unknown", error={"message": "lost"}), "unknown", "lost"),
        (
            outcome("skipped", reason="duplicate"),
            "skipped",
            "The same recipient stands further up in the list.",
        ),
        (
            outcome("skipped", reason="stopped"),
            "pending",
            "The task ended before. A retry, or a clear, sends to them.",
        ),
        (outcome("skipped", reason="of another version"), "skipped", "of another version"),
    ],
    ids=["sent", "failed", "unknown", "duplicate", "stopped", "another-reason"],
)
def test_what_a_report_says_of_a_recipient(written, outcome_, why):
    from airflow_provider_whatsapp.plugin.recipients import from_outcome

    made = from_outcome(written, 3)

    assert (made.position, made.outcome, made.why) == (3, outcome_, why)


@pytest.mark.parametrize(
    "written",
    [{}, {"to": 1, "status": "sent"}, {"to": "1", "status": "lost"}, {"to": "1", "status": ["sent"]}],
    ids=["nothing", "number", "word", "list"],
)
def test_what_is_no_outcome_is_none(written):
    from airflow_provider_whatsapp.plugin.recipients import from_outcome

    assert from_outcome(written, 0) is None


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


def test_receipts_say_how_far_a_message_got_whatever_the_task_knew():
    from airflow_provider_whatsapp.plugin.recipients import count, from_outcome, merged

    known = [
        from_outcome(outcome(message_id="wamid.1"), 0),
        from_outcome(outcome("unknown", error={}), 1),
        from_outcome(outcome("skipped", reason="duplicate"), 2),
        from_outcome(outcome(message_id="wamid.new"), 3),
    ]
    found = merged(
        known,
        {
            0: [receipt("read", delivered_at=AT)],
            1: [
                receipt("failed", 1, error_code=131026, epoch=1),
                receipt("delivered", 1, "wamid.2", epoch=2),
            ],
            2: [receipt("read", 2)],
            3: [receipt("read", 3, "wamid.old")],
            7: [receipt("failed", 7, error_code=131026)],
        },
        {},
    )

    assert [(each.position, each.outcome) for each in found] == [
        (0, "read"), (1, "delivered"), (2, "skipped"), (3, "accepted"), (7, "failed"),
    ]  # fmt: skip
    assert count(found)["accepted"] == 1
    assert (found[-1].code, found[-1].at) == (131026, AT)
    assert found[-1].advice
    assert merged(known[:1], {}, {"wamid.1": receipt("delivered")})[0].outcome == "delivered"


@pytest.mark.parametrize(
    ("show", "find", "positions"),
    [
        ("", "", [0, 1, 2]), ("failed", "", [1]), ("", "+1 (555) 000-2222", [1]), ("", "131026", [1]),
        ("", "NO SUCH user", [1]), ("accepted", "131026", []), ("", "999", []), ("", "US.13", [2]),
    ],
)  # fmt: skip
def test_recipients_are_chosen_by_outcome_number_code_and_reason(show, find, positions):
    from airflow_provider_whatsapp.plugin.recipients import chosen, from_outcome

    rows = [outcome(), outcome("failed", "15550002222", error=ERROR), outcome(to="US.1349125389")]
    all_of_them = [from_outcome(row, place) for place, row in enumerate(rows)]

    assert [each.position for each in chosen(all_of_them, show, find)] == positions


@pytest.mark.parametrize(
    ("find", "positions"),
    [
        ("15550002222", [1]), ("+1 555 000 2222", [1]), ("2222", [1]), ("15", [0, 1]), ("1555", []), ("0002222", []),
        ("5000", []), ("02222", []), ("131026", [1]), ("no such user", [1]), ("US.1349125389", [2]),
        ("US.13491253", []),
    ],
)  # fmt: skip
def test_a_hidden_number_cannot_be_found_piece_by_piece(find, positions):
    from airflow_provider_whatsapp.client.phone import mask
    from airflow_provider_whatsapp.plugin.recipients import chosen, from_outcome

    rows = [outcome(), outcome("failed", "15550002222", error=ERROR), outcome(to="US.1349125389")]
    found = chosen([from_outcome(row, place) for place, row in enumerate(rows)], "", find, shown=mask)

    assert [each.position for each in found] == positions


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


class TestResultsFiles:
    """A path from XCom opens nothing that the configuration does not name."""

    LINE: ClassVar = {
        "format": "whatsapp-results/1",
        "n": 0,
        "given": "+15550001111",
        "where": "r[0]",
        **outcome(),
    }

    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        (tmp_path / "results").mkdir()
        monkeypatch.setenv("AIRFLOW__WHATSAPP__UI_RESULTS_ROOTS", f"{tmp_path}/results, s3://bucket/results")
        return tmp_path / "results"

    def write(self, path, *lines):
        path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
        return str(path)

    def refused(self, path):
        from airflow_provider_whatsapp.plugin.results_files import NotOpenedError, read_results

        with pytest.raises(NotOpenedError) as caught:
            read_results(str(path))
        return str(caught.value)

    def test_junk_below_a_marked_line_is_not_read_to_its_end(self, folder, monkeypatch):
        from airflow_provider_whatsapp.plugin import results_files

        monkeypatch.setattr(results_files, "MOST", 3)
        (folder / "a.jsonl").write_text(json.dumps(self.LINE) + "\n" + "x\n" * 100)
        found, more = results_files.read_results(str(folder / "a.jsonl"))

        assert (len(found), more) == (1, True)

    def test_one_below_a_root_is_read_and_what_is_damaged_in_it_left_out(self, folder):
        from airflow_provider_whatsapp.plugin.results_files import read_results

        path = self.write(
            folder / "a.jsonl", self.LINE, "{broken", {"a": 1}, self.LINE | {"n": 4, "status": "failed"}
        )
        found, more = read_results(path)

        assert [(each.position, each.outcome) for each in found] == [(0, "accepted"), (4, "failed")]
        assert not more

    def test_a_root_is_needed(self, tmp_path, monkeypatch):
        monkeypatch.delenv("AIRFLOW__WHATSAPP__UI_RESULTS_ROOTS", raising=False)

        assert "[whatsapp] ui_results_roots names no folder" in self.refused(
            self.write(tmp_path / "a", self.LINE)
        )

    @pytest.mark.parametrize(
        "name", ["{outside}", "{root}/../outside.jsonl", "{root}/link.jsonl", "{root}/folder/outside.jsonl",
                 "/etc/passwd",
                 "s3://other/results/a.jsonl", "s3://bucket/results/../secret", "s3://bucket/results/%2e%2e/secret",
                 "s3://another@bucket/results/a.jsonl", "file:///etc/passwd", "http://127.0.0.1/results"],
    )  # fmt: skip
    def test_what_lies_elsewhere_is_not_opened(self, folder, tmp_path, name):
        outside = tmp_path / "outside.jsonl"
        self.write(outside, self.LINE)
        (folder / "link.jsonl").symlink_to(outside)
        (folder / "folder").symlink_to(tmp_path)

        said = self.refused(name.format(outside=outside, root=folder))

        assert "is not opened" in said
        assert "outside.jsonl" not in said

    def test_a_file_on_the_worker_s_disk_says_so(self, folder):
        assert "it is on that of the machine that ran the task" in self.refused(folder / "gone.jsonl")

    @pytest.mark.parametrize(
        "first",
        [
            '{"secret": "x"}',
            "root:x:0:0",
            "[]",
            '{"n": 0, "to": "1", "status": "sent", "given": "1", "where": "r"}',
        ],
        ids=["json", "passwd", "list", "unmarked"],
    )
    def test_only_marked_files_are_shown(self, folder, first):
        said = self.refused(self.write(folder / "a.jsonl", first, self.LINE))

        assert "no results file of this version" in said
        assert "x" not in said.replace("exit", "").split("version")[0].replace("nothing", "")

    def test_a_pipe_holds_up_nobody(self, folder):
        os.mkfifo(folder / "pipe.jsonl")

        assert "cannot be read" in self.refused(folder / "pipe.jsonl")

    def test_a_file_without_end_is_read_to_a_limit(self, folder, monkeypatch):
        from airflow_provider_whatsapp.plugin import results_files

        monkeypatch.setattr(results_files, "MOST", 3)
        found, more = results_files.read_results(
            self.write(folder / "a", *(self.LINE | {"n": n} for n in range(5)))
        )

        assert (len(found), more) == (3, True)

    def test_the_page_shows_them_and_says_why_it_does_not(self, tab, folder, tmp_path):
        lines = [self.LINE | {"n": n, "to": f"1555000{n:04}"} for n in range(120)]
        path = self.write(folder / "a.jsonl", *lines)
        whole = tab({"recipients": "•••"}, report(total=120, results_path=path) | {"sent": 120})
        again = tab(
            {"recipients": "•••"}, report(total=120, results_path=str(tmp_path / "b")) | {"sent": 120}
        )

        assert "Page 1 of 3" in whole.text
        assert "15•••0049" in whole.text
        assert "15•••0050" not in whole.text
        assert "ui_results_roots does not hold it" in again.text
        assert "The report names nobody." in again.text


class TestPhone:
    """What the phone shows, from the rendered fields and the template."""

    def show(self, fields, components=COMPONENTS):
        from airflow_provider_whatsapp.plugin.phone import phone

        fields = {"to": "15•••1111", "template_name": "t", "language": "en_US", **fields}
        return phone(fields, {"components": components})

    def test_values_where_the_task_shows_them(self):
        fields = {"log_pii": True, "body": ["Ana", "*it*"], "header": "/srv/of/others/report.pdf"}
        bubble = self.show(fields).bubble

        assert bubble.body.striptags() == "Dear Ana, see it."
        assert [each.title for each in bubble.attachments] == ["report.pdf"]
        assert [each.text for each in bubble.buttons] == ["Thanks"]
        assert bubble.label == "t · en_US"

    @pytest.mark.parametrize("log_pii", [False, "False", "no", None, "•••", 7], ids=str)
    def test_names_where_it_does_not(self, log_pii):
        seen = self.show({"log_pii": log_pii, "body": ["Ana", "{order}"], "header": "/srv/Ana.pdf"})

        assert seen.bubble.body == "Dear {{1}}, see {order}."
        assert "Ana" not in str(seen)
        assert "log_pii=True" in seen.notes[0]

    def test_named_variables(self):
        hidden = self.show({"body": {"name": "•••", "what": "{order}"}}, NAMED)
        shown = self.show({"log_pii": "true", "body": {"name": "Ana", "what": "{order}"}}, NAMED)

        assert hidden.bubble.body == "Dear {{name}}, see {order}."
        assert shown.bubble.body == "Dear Ana, see {order}."

    @pytest.mark.parametrize(
        "fields",
        [
            {"body": "Truncated. You can change this"},
            {"body": 7},
            {"buttons": [{"x": 1}]},
            {"components": [{}]},
        ],
        ids=["cut", "number", "button", "json"],
    )
    @pytest.mark.parametrize(
        "components", [COMPONENTS, NAMED, [{"type": "BODY"}], [{"type": 1, "text": None}]], ids=range(4)
    )
    def test_what_does_not_fit_is_shown_as_the_template_or_not_at_all(self, fields, components):
        assert self.show({"log_pii": True, **fields}, components) is not None

    @pytest.mark.parametrize(
        ("fields", "text"),
        [
            ({"text": "Hello"}, "Hello"),
            ({"media": "/srv/a/sales.pdf", "caption": "See this"}, "See this"),
            ({"message": {"type": "text", "body": "Hi"}}, "Hi"),
        ],
        ids=["text", "media", "message"],
    )
    def test_messages_without_a_template(self, fields, text):
        from airflow_provider_whatsapp.plugin.phone import phone

        shown = phone({"to": "1", "log_pii": True, **fields}, None)
        hidden = phone({"to": "1", **fields}, None)

        assert shown.bubble.body == text
        assert hidden.bubble is None
        assert "log_pii=True" in hidden.notes[0]


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


def test_the_table_as_a_file_is_masked_and_calls_no_formula(tab):
    people = report(outcome("failed", error={"message": '=HYPERLINK("x")'}), outcome(to="+15550002222"))
    answer = tab({"to": "•••"}, people, f"{PATH}/recipients.csv", method="POST", **SAME)

    assert answer.headers["Content-Type"].startswith("text/csv")
    assert "attachment" in answer.headers["Content-Disposition"]
    assert answer.text.splitlines()[1:] == [
        '1,15•••1111,failed,,,"\'=HYPERLINK(""x"")",,',
        "2,'+15•••2222,accepted,,,,,",
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
    assert "Send to the failed ones again" not in tab(fields, report(outcome(), **more)).text


def test_a_connection_of_another_type_keeps_its_password(tab, monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_OTHER",
        json.dumps({"conn_type": "http", "host": "http://evil.example", "password": "p"}),
    )
    fields = {"to": "•••", "template_name": "t", "language": "en_US"}

    other = tab({**fields, "maton_conn_id": "other"}, report(outcome())).text
    none = tab({**fields, "maton_conn_id": "not_there"}, report(outcome())).text

    assert "the connection &#39;other&#39; is not one to WhatsApp" in other
    assert "the connection &#39;not_there&#39; is not known to the API server" in none
    assert "1 recipient" in none


def test_a_task_that_waits_or_has_not_run_says_so(tab):
    assert "It has not run yet." in tab(state=None).text
    assert "It is running, and has reported nothing yet." in tab(state="running").text
    assert tab(path=PATH.replace("{MAP_INDEX}", "7")).status_code == 404


def test_a_source_that_is_slow_leaves_the_rest_of_the_page(tab, monkeypatch):
    import threading

    from airflow_provider_whatsapp.plugin import sources, task_facts

    ended = threading.Event()
    monkeypatch.setattr(sources, "WAIT", 0.3)
    monkeypatch.setattr(task_facts, "find_template", lambda *_: ended.wait(30))
    try:
        answer = tab({"to": "•••", "template_name": "t", "language": "en_US"}, report(outcome()))
    finally:
        ended.set()

    assert "Something has not answered yet." in answer.text
    assert "data-again" in answer.text
    assert "1 recipient" in answer.text
