"""A results file brought up to date by receipts: what each line says then, what is counted, what is refused."""

from __future__ import annotations

import json
import os
import tracemalloc
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from airflow_provider_whatsapp.client.errors import NotFoundError, PayloadError, PermissionDeniedError
from airflow_provider_whatsapp.delivery import delivery_report, report_sources
from airflow_provider_whatsapp.delivery.callback_data import make_callback_data
from airflow_provider_whatsapp.delivery.delivery_report import (
    LONGEST,
    DeliveryCounts,
    Send,
    _reported,
    rewrite,
    survey_of,
)
from airflow_provider_whatsapp.delivery.report_sources import HistorySource, StoreSource
from airflow_provider_whatsapp.delivery.reported_lines import has_left, reached, send_of, updated
from airflow_provider_whatsapp.delivery.result_lines import FORMAT, dump, marked
from airflow_provider_whatsapp.delivery.result_parts import ResultsError
from airflow_provider_whatsapp.events import tables
from airflow_provider_whatsapp.events.receipts import Receipt
from airflow_provider_whatsapp.events.store import EventStore

KEY, OTHER, TO = "k" * 22, "o" * 22, "15550001111"
AT = datetime(2026, 7, 1, 12, tzinfo=UTC)


def line(n=0, status="sent", **fields):
    usual = {"n": n, "to": TO, "given": f"+{TO}", "where": f"recipient {n + 1}", "status": status}
    if status in ("sent", "delivered", "read", "failed"):
        usual["message_id"] = f"wamid.{n}"
    return {"format": FORMAT, **usual, "callback_data": make_callback_data(KEY, 1, n), **fields}


def receipt(status, *, verified=True, **fields):
    usual = {"send_hash": KEY, "epoch": 1, "position": 0, "message_id": "wamid.late", "recipient": TO}
    moment = {} if status == "accepted" else {f"{status}_at": AT}
    return Receipt(**{**usual, **moment, "status": status, "verified": verified, **fields})


ORDER = ["unknown", "accepted", "sent", "failed", "delivered", "read"]


def state(name):
    """Return a line that says so much."""
    fields = {"sent": {"sent_at": AT.isoformat()}, "failed": {"error": {"code": 131026}}}.get(name, {})
    return line(status="sent" if name == "accepted" else name, **fields)


@pytest.mark.parametrize("known", ORDER)
@pytest.mark.parametrize("said", ORDER[1:])
def test_a_line_never_says_less_than_before(known, said):
    now = updated(state(known), receipt(said))
    status = now["status"] if now["status"] != "sent" else reached(now)

    assert status == max(known, said, key=ORDER.index)
    assert ("error" in now) is (status == "failed")
    assert "verified" in now or now == state(known)


def test_a_line_holds_times_price_and_why_it_failed():
    price = {"price_category": "marketing", "billable": True, "sent_at": AT.replace(microsecond=7)}
    now = updated(line(), receipt("failed", error_code=131026, error_title="Undeliverable", **price))

    assert (
        now.items()
        >= {
            "status": "failed",
            "message_id": "wamid.0",
            "sent_at": "2026-07-01T12:00:00+00:00",
            "failed_at": "2026-07-01T12:00:00+00:00",
            "price_category": "marketing",
            "billable": True,
            "verified": True,
        }.items()
    )
    assert now["error"].items() >= {"code": 131026, "type": "RecipientError", "permanent": True}.items()
    assert updated(now, receipt("failed", error_code=131026, error_title="Undeliverable", **price)) is now


def test_an_unsigned_failure_makes_no_unknown_failed_and_a_message_of_known_id_failed():
    forged = receipt("failed", verified=False)

    assert updated(line(status="unknown"), forged)["status"] == "sent"
    assert updated(line(status="sent"), forged)["status"] == "failed"


def test_a_lost_answer_s_line_gets_the_message_s_id_and_loses_its_error():
    now = updated(line(status="unknown", error={"type": "OutcomeUnknownError"}), receipt("delivered"))

    assert (now["status"], now["message_id"], "error" in now) == ("delivered", "wamid.late", False)


SENDS = {
    "ours": (line(3), (KEY, 1)),
    "another place's": (line(3, callback_data=make_callback_data(KEY, 1, 4)), None),
    "the user's own": (line(3, callback_data="order 3"), None),
    "none": ({**line(3), "callback_data": None}, None),
    "no text": (line(3, callback_data=[1]), None),
    "of no earlier try": ({**line(3, callback_data=""), "send_hash": KEY}, None),
    "of an earlier try": ({**line(3, callback_data=""), "earlier": True, "send_hash": KEY}, (KEY, None)),
    "of an earlier try, no text": ({**line(3, callback_data=""), "earlier": True, "send_hash": 7}, None),
}


@pytest.mark.parametrize(("given", "send"), SENDS.values(), ids=list(SENDS))
def test_a_line_leads_to_its_send(given, send):
    assert send_of(given) == send


def write(path, *lines):
    path.write_bytes(b"".join(dump(marked(each, keep_sent=True)) for each in lines))
    return path


def read(path):
    return [json.loads(each) for each in path.read_text().splitlines()]


@pytest.fixture
def store(tmp_path):
    made = EventStore.open(f"sqlite:///{tmp_path}/events.db")
    made.create_or_upgrade()
    yield made
    made.close()


def put(store, *found):
    """Write receipts: position, status, and what else they say."""
    from airflow_provider_whatsapp.events.kinds import RANKS

    rows = []
    for n, status, fields in found:
        usual = {
            "message_id": f"wamid.{n}",
            "status": status,
            "participant": "",
            "status_rank": RANKS.get(status, 0),
            "account_id": "1",
            "phone_number_id": "2",
            "recipient": TO,
            "occurred_at": AT,
            "send_hash": KEY,
            "send_epoch": 1,
            "send_position": n,
            "verified": True,
            "received_at": AT,
            "raw": "{}",
            **dict.fromkeys(("error_code", "price_category", "callback_data")),
        }
        rows.append({**usual, **fields})
    with store._engine.begin() as connection:
        connection.execute(insert(tables.statuses), rows)


def test_each_line_is_looked_up_by_its_own_message(store, tmp_path):
    path = write(
        tmp_path / "results.jsonl",
        line(0, row={"name": "Ada"}),
        line(1, row={"name": "Bob"}),
        line(2, status="unknown", error={"type": "OutcomeUnknownError"}, row={"name": "Cy"}),
        line(3, callback_data="order 3"),
        {**line(4), "message_id": None, "callback_data": "", "earlier": True, "send_hash": KEY},
        line(5, status="unknown", row={"name": "Di"}),
        line(6, status="skipped", reason="duplicate"),
        line(7, row={"name": "Ed"}),
        line(8, status="failed", message_id=None, error={"code": 131056}),
    )
    put(
        store,
        (0, "delivered", {}),
        (0, "sent", {"price_category": "marketing"}),
        (1, "failed", {"error_code": 131047}),
        (2, "read", {"message_id": "wamid.lost"}),
        (3, "read", {"send_hash": None, "callback_data": "order 3"}),
        (4, "delivered", {}),
        (5, "delivered", {"recipient": "15550009999"}),
        (6, "failed", {}),
        (7, "delivered", {"message_id": "wamid.another"}),
        (8, "delivered", {}),
    )
    counts = DeliveryCounts()

    rewrite(path, StoreSource(store), counts)

    lines = read(path)
    assert [each["status"] for each in lines] == (
        ["delivered", "failed", "read", "read", "delivered", "unknown", "skipped", "sent", "failed"]
    )
    assert [each.get("row") for each in lines] == (
        [None, {"name": "Bob"}, None, None, None, {"name": "Di"}, None, {"name": "Ed"}, None]
    )
    assert [each["n"] for each in lines] == list(range(9))
    assert lines[2]["message_id"] == "wamid.lost"
    assert counts.to_dict() == {
        "total": 9,
        "sent": 5,
        "failed": 2,
        "unknown": 1,
        "skipped": 1,
        "accepted": 6,
        "delivered": 4,
        "read": 2,
        "failed_late": 1,
        "pending": 2,
        "failed_because": {"131047": 1, "131056": 1},
        "price_categories": {"marketing": 1},
    }
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_second_report_says_the_same(store, tmp_path):
    path = write(tmp_path / "results.jsonl", line(0), line(1), line(2, status="unknown"))
    put(store, (0, "delivered", {}), (1, "failed", {"error_code": 131047}), (2, "sent", {}))
    rewrite(path, StoreSource(store), first := DeliveryCounts())
    before = path.read_bytes()
    rewrite(path, StoreSource(store), second := DeliveryCounts())

    assert path.read_bytes() == before
    assert (first.news, second.news, second.to_dict()) == (3, 0, first.to_dict())


def test_the_messages_of_a_file_are_counted_by_their_sends(tmp_path):
    lines = [line(0), line(1, callback_data=make_callback_data(KEY, 3, 1)), line(2, status="skipped")]
    lines += [
        line(0, status="unknown", callback_data=make_callback_data(OTHER, 2, 0)),
        line(5, callback_data="x"),
        {**line(6, callback_data=""), "earlier": True, "send_hash": "e" * 22},
    ]
    found = survey_of(write(tmp_path / "results.jsonl", *lines))

    assert found.sends == {KEY: Send(2, 1), OTHER: Send(1, 2), "e" * 22: Send(1, 1)}
    assert found.with_id == 4


HISTORY = {
    "wamid.0": {"status": "delivered", "timestamp": "1782907200", "error": None},
    "wamid.1": {
        "status": "failed",
        "timestamp": "2026-07-01T12:00:00+0000",
        "error": "(#131047) Re-engagement",
    },
    "wamid.2": {"status": "deleted", "timestamp": None, "error": None},
    "wamid.3": {"status": "accepted", "timestamp": "soon", "error": None},
}


def test_the_history_says_the_same_in_its_own_words(tmp_path):
    def status_of(message_id):
        if message_id not in HISTORY:
            raise NotFoundError("the message history knows no such message")
        return HISTORY[message_id]

    path = write(tmp_path / "results.jsonl", *map(line, range(5)), line(5, status="unknown"))
    rewrite(path, HistorySource(status_of), DeliveryCounts())
    found = read(path)

    assert [each["status"] for each in found] == ["delivered", "failed", "failed", "sent", "sent", "unknown"]
    assert found[0]["delivered_at"] == found[1]["failed_at"] == "2026-07-01T12:00:00+00:00"
    assert [each.get("error", {}).get("code") for each in found[1:3]] == [131047, None]


def test_a_history_that_is_closed_changes_nothing(tmp_path):
    def status_of(message_id):
        raise PermissionDeniedError("closed", http_status=403)

    path = write(tmp_path / "results.jsonl", line())
    before = path.read_bytes()
    with pytest.raises(PermissionDeniedError):
        rewrite(path, HistorySource(status_of), DeliveryCounts())

    assert path.read_bytes() == before


UNMARKED = {name: value for name, value in line().items() if name != "format"}
REFUSED = {
    "another table": (b'{"name": "Ada"}\n', "results.jsonl:1 is not a line of a results file"),
    "a CSV": (b"to,name\n+15550001111,Ada\n", "results.jsonl:1 is not a line"),
    "version 0.1": (dump(UNMARKED), "airflow_provider_whatsapp results "),
    "another version": (dump({**line(), "format": "whatsapp-results/9"}), "results file of another version"),
    "a line of another table": (dump(line()) + b'{"name": "Ada"}\n', "results.jsonl:2 is not a line"),
    "a line that is cut off": (dump(line()) + dump(line(1))[:-20], "results.jsonl:2 is not a line"),
    "a line without an end": (dump(line())[:-1] + b" " * LONGEST, "results.jsonl:1 is not a line"),
    "an ID that is no text": (
        dump(
            line(message_id=["x"]),
        ),
        None,
    ),
    "an error that is no object": (dump(line(status="failed", error="x", price_category=[])), None),
    "empty": (b"", None),
}


@pytest.mark.parametrize(("content", "said"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_no_results_file_is_refused_and_stays(store, tmp_path, content, said):
    path = tmp_path / "results.jsonl"
    path.write_bytes(content)
    for step in (survey_of, lambda file: rewrite(file, StoreSource(store), DeliveryCounts())):
        if said is None:
            step(path)
            continue
        with pytest.raises(PayloadError, match=said):
            step(path)
        assert path.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir() if each.suffix == ".new"] == []


@pytest.mark.parametrize("kind", ["missing", "link", "pipe", "folder"])
def test_what_is_no_file_is_refused(store, tmp_path, kind):
    path = tmp_path / "results.jsonl"
    if kind == "link":
        path.symlink_to(write(tmp_path / "elsewhere.jsonl", line()))
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()

    with pytest.raises(ResultsError, match=r"results\.jsonl"):
        survey_of(path)


def test_a_file_that_a_task_writes_meanwhile_is_left_as_it_is(store, tmp_path):
    path = write(tmp_path / "results.jsonl", line(0))

    class Slow(StoreSource):
        def look_up(self, lines):
            path.write_bytes(dump(line(7)))
            os.utime(path, (1, 1))
            return super().look_up(lines)

    with pytest.raises(ResultsError, match=r"a task wrote .*results\.jsonl while this task was reading it"):
        rewrite(path, Slow(store), DeliveryCounts())
    assert [each["n"] for each in read(path)] == [7]


def test_five_thousand_lines_take_the_memory_of_a_few_hundred(store, tmp_path):
    count = 5_000
    path = tmp_path / "results.jsonl"
    with path.open("wb") as file:
        file.writelines(dump(line(n)) for n in range(count))
    put(store, *((n, "delivered", {}) for n in range(0, count, 2)))
    source = StoreSource(store)
    source.look_up([line(0)])  # what SQLAlchemy keeps for good

    tracemalloc.start()
    rewrite(path, source, counts := DeliveryCounts())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert (counts.steps["delivered"], counts.pending) == (count // 2, count // 2)
    assert peak < 6_000_000, f"{peak:,} bytes"


CODES = {
    "(#131047) Re-engagement": 131047,
    "(#131047": 131047,
    "(#1234567890) too long for a code": None,
    "(#123456789) the longest": 123456789,
    "131047) no bracket": None,
    "(#x) no": None,
    "(#\u0661\u0662) digits of another script": None,
    "(#) nothing": None,
}


@pytest.mark.parametrize(("said", "code"), CODES.items(), ids=list(CODES))
def test_the_code_in_the_history_s_words(said, code):
    found = asked_of_history({"status": "failed", "error": said})

    assert (found.error_code, found.error_title) == (code, said)


MOMENTS = {
    "1782907200": AT,
    "2026-07-01T12:00:00+0000": AT,
    "2026-07-01T14:00:00+02:00": AT,
    "9" * 30: None,
    "9" * 15: None,
    "soon": None,
    "None": None,
}


@pytest.mark.parametrize(("said", "moment"), MOMENTS.items(), ids=list(MOMENTS))
@pytest.mark.parametrize("status", ["sent", "delivered", "read", "failed"])
def test_the_moment_that_the_history_names(said, moment, status):
    found = asked_of_history({"status": status, "timestamp": said})

    moments = {name: getattr(found, f"{name}_at") for name in ("sent", "delivered", "read", "failed")}
    assert {name for name, at in moments.items() if at} <= {status}
    assert moments[status] == moment
    assert moment is None or moments[status].utcoffset().total_seconds() == 0


def asked_of_history(fact):
    """Return what a history that says this of a message says of a line."""
    (found,) = HistorySource(lambda message_id: fact).look_up([line()])
    assert (found.message_id, found.verified, found.send_hash, found.epoch) == ("wamid.0", True, None, None)
    assert (found.position, found.recipient) == (None, None)
    return found


HISTORY_WORDS = {
    "accepted": ("accepted", None),
    "sent": ("sent", None),
    "read": ("read", None),
    "failed": ("failed", 7),
    "deleted": ("failed", 7),
    "flown": ("accepted", None),
    None: ("accepted", None),
}


@pytest.mark.parametrize(("word", "found"), HISTORY_WORDS.items(), ids=map(str, HISTORY_WORDS))
def test_a_word_of_the_history_and_whether_its_error_counts(word, found):
    receipt = asked_of_history({"status": word, "error": "(#7) x", "timestamp": "1782907200"})

    assert (receipt.status, receipt.error_code) == found
    assert asked_of_history({"status": word}).error_title is None


def test_a_history_that_is_not_there_is_no_message_that_is_not_there():
    gone = NotFoundError("no such path", http_status=404)

    def status_of(message_id):
        raise gone

    with pytest.raises(NotFoundError) as caught:
        HistorySource(status_of).look_up([line()])
    assert caught.value is gone
    assert HistorySource(status_of).look_up([line(status="unknown")]) == [None], (
        "nothing is asked without an ID"
    )


FAR = {
    "accepted": (0, []),
    "sent": (2, ["wamid.0"]),
    "delivered": (3, ["wamid.0", "wamid.1"]),
    "read": (4, ["wamid.0", "wamid.1", "wamid.2"]),
}


@pytest.mark.parametrize(("wait_for", "found"), FAR.items(), ids=list(FAR))
def test_who_is_pending_depends_on_how_far_is_waited_for(wait_for, found):
    counts = DeliveryCounts(wait_for=wait_for)
    for each in (
        line(0),
        line(1, sent_at=AT.isoformat()),
        line(2, "delivered"),
        line(3, "read", callback_data="order 3"),
        line(4, "failed"),
        line(5, "skipped"),
        line(6, "unknown"),
    ):
        counts.add(each)

    assert (counts.pending, counts.pending_ids) == found
    assert counts.pending_of == ({KEY: found[0]} if found[0] else {})
    assert dict(counts.steps) == {"accepted": 5, "sent": 3, "delivered": 2, "read": 1}


def test_the_ids_of_the_pending_are_kept_up_to_one_more_than_can_be_asked_for():
    counts = DeliveryCounts()
    for n in range(150):
        counts.add(line(n))

    assert counts.pending == 150
    assert counts.pending_ids == [f"wamid.{n}" for n in range(101)]


@pytest.mark.parametrize(
    ("fields", "reasons", "categories"),
    [
        ({"error": {"code": 131047}}, {"131047": 1}, {}),
        ({"error": {"code": "call +15550001111\n"}}, {"none": 1}, {}),
        ({"error": {"code": ["x"]}}, {"none": 1}, {}),
        ({"error": "x"}, {"none": 1}, {}),
        ({"price_category": "marketing_lite"}, {"none": 1}, {"marketing_lite": 1}),
        ({"price_category": "call +15550001111\n"}, {"none": 1}, {"other": 1}),
        ({"price_category": "x" * 41}, {"none": 1}, {"other": 1}),
        ({"price_category": ["marketing"]}, {"none": 1}, {}),
    ],
    ids=range(8),
)
def test_no_text_of_a_file_s_own_becomes_the_name_of_a_count(fields, reasons, categories):
    counts = DeliveryCounts()
    counts.add(line(status="failed", **fields))

    found = counts.to_dict()
    assert (found["failed_because"], found["price_categories"]) == (reasons, categories)


def test_the_counts_in_words():
    counts = DeliveryCounts()
    for each in (
        line(0, "read", price_category="marketing"),
        line(1, "failed", error={"code": 131026}),
        line(2, "failed", error={"code": 131026}, message_id=None),
        line(3, "failed", error={}),
        line(4, "unknown"),
        line(5),
    ):
        counts.add(each)

    assert counts.summary() == (
        "of 6 recipients 4 accepted, 1 delivered, 1 read, 3 failed (2 by 131026, 1 by none), 1 unknown, 2 pending"
    )
    assert (counts.late, counts.categories) == (2, {"marketing": 1})
    assert DeliveryCounts().summary().endswith("0 failed, 0 unknown, 0 pending")


def test_what_a_receipt_says_of_the_price_replaces_what_stood_there_and_nothing_replaces_nothing():
    known = {"price_category": "marketing", "billable": True}
    changed = updated(line(**known), receipt("sent", price_category="utility", billable=False))
    kept = updated(line(**known), receipt("sent"))

    assert (changed["price_category"], changed["billable"]) == ("utility", False)
    assert (kept["price_category"], kept["billable"]) == ("marketing", True)


BREAKS = {
    "missing": (FileNotFoundError("x"), True, "does not exist"),
    "denied": (PermissionError(13, "Permission denied"), False, "cannot be read: Permission denied"),
    "a library's own": (KeyError("bucket"), False, "cannot be read: KeyError: 'bucket'"),
    "long": (RuntimeError("x" * 300), False, f"cannot be read: RuntimeError: {'x' * 200}"),
}


@pytest.mark.parametrize(("error", "permanent", "said"), BREAKS.values(), ids=list(BREAKS))
def test_why_a_file_cannot_be_read(error, permanent, said):
    with pytest.raises(ResultsError) as caught, _reported("memory://results.jsonl", "read"):
        raise error

    assert caught.value.permanent is permanent
    assert caught.value.message == f"memory://results.jsonl {said}"


def test_more_lines_than_are_looked_up_together_keep_their_order_and_their_receipts(tmp_path):
    asked = []

    class Source:
        def look_up(self, lines):
            asked.append(len(lines))
            return [
                receipt("read", message_id=each["message_id"]) if each["n"] % 2 else None for each in lines
            ]

    path = write(tmp_path / "results.jsonl", *map(line, range(1_001)))
    rewrite(path, Source(), counts := DeliveryCounts())
    found = read(path)

    assert asked == [500, 500, 1]
    assert [each["n"] for each in found] == list(range(1_001))
    assert [each["status"] for each in found] == ["sent", "read"] * 500 + ["sent"]
    assert counts.news == 500


@pytest.mark.parametrize(("longer", "good"), [(0, True), (1, False)])
def test_a_line_has_so_many_bytes_at_most(tmp_path, monkeypatch, longer, good):
    whole = dump(marked(line(), keep_sent=True))
    monkeypatch.setattr(delivery_report, "LONGEST", len(whole) - longer)
    path = write(tmp_path / "results.jsonl", line())
    if good:
        assert survey_of(path).with_id == 1
    else:
        with pytest.raises(PayloadError, match=r"results\.jsonl:1 is not a line"):
            survey_of(path)


def test_what_could_not_be_done_is_named(tmp_path):
    class Broken:
        def look_up(self, lines):
            raise OSError(28, "No space left on device")

    path = write(tmp_path / "results.jsonl", line())
    with pytest.raises(ResultsError, match=r"results\.jsonl cannot be written: No space left on device"):
        rewrite(path, Broken(), DeliveryCounts())


LEFT = {
    "sent": (line(), True, "accepted"),
    "sent on": (line(sent_at=AT.isoformat()), True, "sent"),
    "delivered": (line(status="delivered"), True, "delivered"),
    "read": (line(status="read"), True, "read"),
    "unknown": (line(status="unknown"), True, None),
    "failed later": (line(status="failed"), True, None),
    "failed at once": (line(status="failed", message_id=None), False, None),
    "failed with an empty ID": (line(status="failed", message_id=""), False, None),
    "skipped": (line(status="skipped"), False, None),
    "skipped, whatever ID it has": (line(status="skipped", message_id="wamid.0"), False, None),
}


@pytest.mark.parametrize(("given", "left", "far"), LEFT.values(), ids=list(LEFT))
def test_which_messages_left_and_how_far_they_got(given, left, far):
    assert (has_left(given), reached(given)) == (left, far)


def test_messages_of_known_ids_are_not_looked_up_by_their_places(store, monkeypatch):
    asked = []
    monkeypatch.setattr(
        report_sources, "receipts_at", lambda store, send, places: asked.append(list(places)) or {}
    )
    StoreSource(store).look_up([line(0), line(1, status="unknown"), line(2), line(3, status="unknown")])

    assert asked == [[1, 3]]
