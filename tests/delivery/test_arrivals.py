"""How far accepted messages got: which receipt speaks for whom, what a report counts, and whom a clear reaches."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest

from airflow_provider_whatsapp.client.resources.messages import SentMessage
from airflow_provider_whatsapp.delivery import arrivals
from airflow_provider_whatsapp.delivery.arrivals import Arrival, ArrivalReport, StoreArrivals, late_failures
from airflow_provider_whatsapp.delivery.ledger import Job, Ledger, LedgerError, Note, SourceChangedError, Try
from airflow_provider_whatsapp.delivery.report import Outcome
from airflow_provider_whatsapp.delivery.stores import MemoryStore
from airflow_provider_whatsapp.events.kinds import Status
from airflow_provider_whatsapp.events.receipts import Counts
from airflow_provider_whatsapp.events.store import EventStore

HASH = "h" * 22
TO = "15550001111"


@pytest.fixture
def store(tmp_path):
    made = EventStore.open(f"sqlite:///{tmp_path}/events.db")
    made.create_or_upgrade()
    yield made
    made.close()


def arrive(store, status, position=0, *, epoch=1, recipient=TO, verified=True, code=None):
    none = dict.fromkeys(
        ("recipient_user_id", "error_details", "price_category", "price_type", "price_model", "billable")
    )
    event = Status(
        message_id=f"wamid.{position}.{epoch}",
        status=status,
        participant="",
        account_id="1",
        phone_number_id="2",
        recipient=recipient,
        occurred_at=datetime.now(UTC),
        callback_data=f"awp1.{HASH}.{epoch}.{position}",
        error_code=code,
        error_title=None,
        raw="{}",
        **none,
    )
    store.write([([event], verified)])


def sent(epoch=None, to=TO):
    carried = None if epoch is None else f"awp1.{HASH}.{epoch}.0"
    return Outcome(to, "sent", callback_data=carried)


FOUND = {
    "nothing": ([], {}, sent(), None),
    "sent": ([("sent", {})], {}, sent(), "sent"),
    "furthest": ([("delivered", {}), ("sent", {})], {}, sent(), "delivered"),
    "failed-and-delivered": ([("failed", {}), ("delivered", {})], {}, sent(), "delivered"),
    "another-position": ([("read", {"position": 1})], {}, sent(), None),
    "another-person": ([("read", {"recipient": "15550009999"})], {}, sent(), None),
    "nobody-named": ([("read", {"recipient": None})], {}, sent(), "read"),
    "before-a-clear-to-everybody": ([("read", {"epoch": 1})], {"since": 2}, sent(), None),
    "after-it": ([("read", {"epoch": 2})], {"since": 2}, sent(), "read"),
    "failed-before-it-was-sent-again": ([("failed", {"epoch": 1})], {}, sent(epoch=3), None),
    "delivered-before-it-was-sent-again": ([("delivered", {"epoch": 1})], {}, sent(epoch=3), "delivered"),
    "by-a-ledger-without-an-epoch": ([("failed", {"epoch": 0})], {}, sent(epoch=0), "failed"),
    "before-the-first-epoch": ([("failed", {"epoch": 0})], {}, sent(epoch=1), None),
    "before-the-first-clear-to-everybody": ([("read", {"epoch": 0})], {"since": 1}, sent(), None),
    "failed-then-sent-again": ([("failed", {"epoch": 1}), ("sent", {"epoch": 3})], {}, sent(epoch=3), "sent"),
}


@pytest.mark.parametrize("case", FOUND)
def test_which_receipt_speaks_for_a_message(store, case):
    receipts, options, outcome, status = FOUND[case]
    for word, fields in receipts:
        arrive(store, word, **fields)

    found = StoreArrivals(store, HASH, options.get("since", 0)).find(outcome, 0)

    assert (found and found.status) == status


def test_positions_without_a_receipt_are_passed_by(store):
    for position in (1, 4):
        arrive(store, "delivered", position)
    known = StoreArrivals(store, HASH, 0)

    assert [position for position in range(6) if known.find(sent(), position)] == [1, 4]


def test_late_failures_are_the_signed_ones_that_nothing_later_denies(store):
    arrive(store, "failed", 0, code=131047)
    arrive(store, "failed", 1, verified=False)
    arrive(store, "failed", 2)
    arrive(store, "delivered", 2)
    arrive(store, "failed", 3, epoch=1)
    arrive(store, "sent", 3, epoch=2)
    arrive(store, "sent", 4)
    arrive(store, "failed", 5, epoch=4, code=131026)

    found = list(late_failures(store, HASH, 0))

    assert [(position, epoch, note.facts["code"]) for position, epoch, note in found] == [
        (0, 1, 131047),
        (5, 4, 131026),
    ]
    assert {(note.status, note.again) for _, _, note in found} == {("failed", False)}
    assert [position for position, _, _ in late_failures(store, HASH, 2)] == [5]
    arrive(store, "failed", 7, epoch=0)
    assert [(position, epoch) for position, epoch, _ in late_failures(store, HASH, 0)][-1] == (7, 0)
    assert [position for position, _, _ in late_failures(store, HASH, 1)] == [0, 5]


def message(message_id):
    return SentMessage(message_id=message_id, wa_id=None, to=TO)


class Known:
    """Arrivals by position."""

    def __init__(self, **found):
        self.found = {int(name[1:]): each for name, each in found.items()}

    def find(self, outcome, position):
        return self.found.get(position)


def test_what_a_report_counts():
    error = arrivals._of_history("(#131026) no")
    known = Known(
        p0=Arrival("sent", "a"),
        p1=Arrival("delivered", "b"),
        p2=Arrival("read", "c"),
        p3=Arrival("failed", "d", error),
        p5=Arrival("read", "f"),
        p6=Arrival("failed", "g", error, clears_up=False),
        p7=Arrival("failed", "h", error),
    )
    report = ArrivalReport(arrivals=known)
    outcomes = ["sent"] * 5 + ["unknown"] * 4 + ["skipped", "failed"]
    for position, status in enumerate(outcomes):
        own = message(f"m{position}") if status == "sent" else None
        report.add(Outcome(f"1555000000{position}", status, sent=own), position)

    row = report.to_dict()
    results = row.pop("results")
    assert row == {
        "total": 11,
        "sent": 5,
        "failed": 3,
        "unknown": 2,
        "skipped": 1,
        "accepted": 7,
        "delivered": 3,
        "read": 2,
        "pending": 2,
    }
    words = ["sent", "delivered", "read", "failed", "sent", "read", "unknown", "failed", "unknown"]
    assert [each["status"] for each in results] == [*words, "skipped", "failed"]
    assert results[5]["message_id"] == "f", "the receipt names the message whose answer was lost"
    assert (report.awaited, report.unsettled, report.late_count) == (9, 4, 2)
    assert report.named(lambda to: to[-1]).startswith("Not delivered to 3, 7: WhatsApp accepted")


def test_many_who_got_nothing_are_counted_and_some_named():
    error = arrivals._of_history(None)
    report = ArrivalReport(arrivals=Known(**{f"p{n}": Arrival("failed", "x", error) for n in range(15)}))
    for position in range(15):
        report.add(Outcome(f"155500000{position:02}", "sent"), position)

    said = report.named(lambda to: to[-2:])
    assert said.startswith("Not delivered to 00, 01, 02, 03, 04, 05, 06, 07, 08, 09 and 5 more: ")


def test_messages_without_an_id_are_not_waited_for_where_only_ids_are_known():
    report = ArrivalReport(arrivals=Known(), by_id=True)
    report.add(Outcome(TO, "sent", sent=message("m")), 0)
    report.add(Outcome(TO, "sent", sent=message("n")), 1)
    report.add(Outcome(TO, "unknown"), 2)

    assert (report.awaited, report.unsettled, report.ids) == (2, 2, ["m", "n"])


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("(#131047) Re-engagement", 131047),
        ("(#130429) Rate limit hit", 130429),
        ("(#x) no", None),
        ("gone", None),
        (None, None),
        ("(#) ", None),
    ],
    ids=["code", "a code that a retry helps against", "word", "text", "nothing", "empty"],
)
def test_the_history_s_words_for_an_error(said, code):
    error = arrivals._of_history(said)

    assert (error.code, error.permanent) == (code, True)


def test_the_history_does_not_know_a_message_yet_or_says_deleted():
    from airflow_provider_whatsapp.client.errors import NotFoundError

    def status_of(message_id):
        if message_id == "new":
            raise NotFoundError("unknown")
        return {"status": message_id, "error": None}

    found = arrivals.arrivals_in_history(status_of, ["new", "deleted", "read"])

    assert {name: each.status for name, each in found.items()} == {"deleted": "failed", "read": "read"}


def ledger(store, begin=True, number=1, max_tries=0, total=4):
    made = Ledger(store)
    if begin:
        made.begin(Job("list", "message", total), Try(number, max_tries))
    return made


def after_sending(store):
    """Return the ledger of a later try: 0 and 1 were sent to, 2 is unknown, 3 was sent to again in another epoch."""
    first = ledger(store)
    first.claim((position, "") for position in range(4))
    first.record(0, Note("sent"))
    first.record(1, Note("sent"))
    first.record(3, Note("failed", again=True))
    first.flush()
    second = ledger(store, number=2)
    second.claim([(3, "")])
    second.record(3, Note("sent"))
    second.finish("failed")
    return ledger(store, number=3, max_tries=3)


def test_a_late_failure_is_noted_where_nothing_newer_is_known():
    store = MemoryStore()
    third = after_sending(store)
    why = Note("failed", {"code": 131047})

    noted = [position for position in range(4) if third.note_failure(position, 1, why)]

    assert noted == [0, 1], "2 is in doubt, and 3 was sent to again"
    assert third.note_failure(3, 2, why)
    assert (third.sent, third.look_up(0)) == (0, why)
    third.flush()
    assert ledger(store, number=4, max_tries=3).look_up(1) == why


LISTS = {
    "same": ("ab.12", "ab.12", True),
    "none-malformed": ("ab.", "ab.", True),
    "an-earlier-version's": ("ab", "ab.12", True),
    "another-malformed": ("ab.12", "ab.34", False),
    "one-malformed-now": ("ab.", "ab.12", False),
    "none-malformed-now": ("ab.12", "ab.", False),
    "another-list": ("ab", "cd.12", False),
}


@pytest.mark.parametrize("case", LISTS)
@pytest.mark.parametrize("again", ["begin", "reopen"])
def test_which_list_is_the_one_that_was_begun(case, again):
    begun, found, same = LISTS[case]
    store = MemoryStore()
    first = Ledger(store)
    first.begin(Job(begun, "message", 2), Try(1))
    first.claim([(0, "")])
    first.record(0, Note("sent"))
    first.flush()
    second = Ledger(store)

    with contextlib.nullcontext() if same else pytest.raises(SourceChangedError, match="list of recipients"):
        second.begin(Job(found, "message", 2), Try(2)) if again == "begin" else second.reopen(found)


def test_a_ledger_is_opened_again_only_for_the_same_list():
    store = MemoryStore()
    after_sending(store)
    again = ledger(store, begin=False)

    again.reopen("list")
    assert (again.sent, again.since) == (3, 1)
    with pytest.raises(SourceChangedError, match="the list of recipients is not the one"):
        ledger(store, begin=False).reopen("another")
    with pytest.raises(LedgerError, match="another try took over"):
        ledger(MemoryStore(), begin=False).reopen("list")


def test_a_clear_to_everybody_begins_a_new_count():
    store = MemoryStore()
    ledger(store).flush()
    made = Ledger(store)

    assert made.begin(Job("list", "message", 4), Try(2, 2), resend_on_clear=True) == "fresh"
    assert made.since == made.epoch == 2


@pytest.mark.parametrize("wait_for", arrivals.STEPS)
@pytest.mark.parametrize("status", [*arrivals.STEPS, "failed", "flown"])
def test_what_is_settled(status, wait_for):
    far = (
        {"failed": 9, "flown": 0}.get(status)
        if status not in arrivals.STEPS
        else arrivals.STEPS.index(status)
    )

    assert Arrival(status, "m").is_settled(wait_for) is (far >= arrivals.STEPS.index(wait_for))


COUNTED = {"accepted": 22 + 5, "sent": 22 + 5, "delivered": 20 + 5, "read": 16 + 5, "flown": 22 + 5}


@pytest.mark.parametrize(("wait_for", "count"), COUNTED.items(), ids=COUNTED)
def test_of_how_many_nothing_more_has_to_be_waited_for(wait_for, count):
    assert arrivals.settled(Counts(accepted=1, sent=2, delivered=4, read=16, failed=5), wait_for) == count


def test_single_messages_are_known_by_their_ids(store):
    arrive(store, "read", 0)
    arrive(store, "failed", 1, code=131047, verified=False)
    found = arrivals.arrivals_in_store(store, ["wamid.0.1", "wamid.1.1", "wamid.2.1"])

    assert {
        name: (each.status, each.message_id, each.clears_up, each.certain) for name, each in found.items()
    } == {
        "wamid.0.1": ("read", "wamid.0.1", True, True),
        "wamid.1.1": ("failed", "wamid.1.1", False, False),
    }
    assert found["wamid.0.1"].error is None
    assert found["wamid.1.1"].error.code == 131047
    known = arrivals.KnownArrivals(found)
    assert known.find(Outcome(TO, "sent", sent=message("wamid.0.1")), 7) is found["wamid.0.1"]
    assert known.find(Outcome(TO, "sent", sent=message("wamid.2.1")), 0) is None
    assert known.find(Outcome(TO, "unknown"), 0) is None


def test_a_history_that_is_not_there_is_no_message_that_is_not_there():
    from airflow_provider_whatsapp.client.errors import NotFoundError

    def status_of(message_id):
        raise NotFoundError("no such path", http_status=404)

    with pytest.raises(NotFoundError):
        arrivals.arrivals_in_history(status_of, ["one"])


def test_the_history_s_error_counts_only_with_a_failure():
    found = arrivals.arrivals_in_history(
        lambda name: {"status": name, "error": "(#131026) gone"}, ["failed", "deleted", "delivered"]
    )

    assert {name: each.error and each.error.code for name, each in found.items()} == {
        "failed": 131026,
        "deleted": 131026,
        "delivered": None,
    }
    assert {(each.message_id, each.clears_up, each.certain) for each in found.values()} == {
        (name, True, True) for name in ("failed", "deleted", "delivered")
    }
    assert "could not deliver it: (#131026) gone" in str(found["failed"].error)
    assert "no reason was given" in str(arrivals._of_history(None))


CODES = {
    "(#123456789) x": 123456789,
    "(#1234567890) x": None,
    "#131026) x": None,
    "(#\u0661) x": None,
    "(#131026": 131026,
}


@pytest.mark.parametrize(("said", "code"), CODES.items(), ids=list(CODES))
def test_which_words_of_the_history_are_a_code(said, code):
    assert arrivals._of_history(said).code == code


def reported(*steps, wait_for="delivered", by_id=False):
    """Return a report of recipients with an ID each, of whom it is known that they got so far."""
    found = {f"p{n}": Arrival(step, f"r{n}") for n, step in enumerate(steps) if step}
    report = ArrivalReport(arrivals=Known(**found), wait_for=wait_for, by_id=by_id)
    for n, _ in enumerate(steps):
        report.add(Outcome(TO, "sent", sent=message(f"m{n}")), n)
    return report


PENDING = {"sent": 2, "delivered": 3, "read": 4}


@pytest.mark.parametrize(("wait_for", "pending"), PENDING.items(), ids=list(PENDING))
def test_who_is_pending(wait_for, pending):
    report = reported("accepted", "sent", "delivered", "read", None, "failed", wait_for=wait_for)

    assert report.pending == pending
    assert report.metrics == {"delivered": 2, "read": 1, "pending": pending, "failed": 1}
    assert report.summary() == (
        f"5 sent, 1 failed of 6; of 6 accepted 2 delivered, 1 read, {pending} pending"
    )
    assert (report.awaited, report.unsettled) == (6, pending)


def test_a_sent_message_keeps_its_own_id_and_says_how_far_it_got():
    report = reported("sent", "delivered", "read")

    found = [(each.status, each.reached, each.sent.message_id, each.error) for each in report.outcomes]
    assert found == [
        ("sent", None, "m0", None),
        ("sent", "delivered", "m1", None),
        ("sent", "read", "m2", None),
    ]


def test_a_lost_answer_that_was_found_has_no_error():
    report = ArrivalReport(arrivals=Known(p0=Arrival("delivered", "r")))
    report.add(Outcome(TO, "unknown", error=arrivals._of_history(None)), 0)

    (outcome,) = report.outcomes
    assert (outcome.status, outcome.error, outcome.sent.message_id, outcome.sent.to) == (
        "sent",
        None,
        "r",
        TO,
    )
    assert outcome.sent.wa_id is None


def test_nothing_is_known_yet():
    report = ArrivalReport()
    report.add(Outcome(TO, "sent"), 0)
    report.add(Outcome(TO, "unknown"), 1)

    assert (report.accepted, report.awaited, report.unsettled, report.ids) == (1, 2, 2, [])


def test_the_first_hundred_ids_and_late_failures_are_kept():
    report = reported(*["failed"] * 101)

    assert (len(report.ids), report.ids[-1], len(report.late), report.late_count) == (100, "m99", 100, 101)


@pytest.mark.parametrize(("count", "said"), [(1, ""), (10, ""), (11, " and 1 more")])
def test_each_reason_is_a_sentence(count, said):
    why, other = arrivals._of_history("(#131026) no"), arrivals._of_history("(#131047) late")
    report = ArrivalReport()
    report.late = [(f"{n:02}", why) for n in range(count)] + [("99", other)]
    names = ", ".join(f"{n:02}" for n in range(min(count, 10)))

    assert report.named(str) == f"Not delivered to {names}{said}: {why} Not delivered to 99: {other}"
    assert ArrivalReport().named(str) == ""


def test_a_later_position_is_found_after_many_without_a_message_of_their_own(store):
    for position in range(4):
        arrive(store, "read" if position == 3 else "sent", position)
    known = StoreArrivals(store, HASH, 0)

    assert known.find(sent(), 3).status == "read"
    assert known.find(sent(), 4) is None


def test_a_late_failure_is_reported_with_its_reason():
    why = arrivals._of_history("(#131026) no")
    report = ArrivalReport(arrivals=Known(p0=Arrival("failed", "r", why), p1=Arrival("failed", "s")))
    for position in range(2):
        report.add(Outcome(TO, "sent", sent=message(f"m{position}")), position)

    assert [(each.status, each.sent.message_id) for each in report.outcomes] == [
        ("failed", "m0"),
        ("failed", "m1"),
    ]
    first, second = (each.error for each in report.outcomes)
    assert first is why
    assert "no reason was given" in str(second)
    assert report.late == [(TO, first), (TO, second)]


def test_late_failures_of_single_messages_are_those_that_are_certain():
    why = arrivals._of_history("(#131026) no")
    found = {
        "a": Arrival("failed", "a", why),
        "b": Arrival("failed", "b", why, certain=False),
        "c": Arrival("delivered", "c"),
        "d": Arrival("failed", "d"),
    }
    sent = {"a": (4, 1), "b": (5, 1), "c": (6, 1), "d": (7, 2), "e": (8, 1)}

    noted = list(arrivals.late_failures_by_id(found, sent))

    assert [(position, epoch, note.status, note.again) for position, epoch, note in noted] == [
        (4, 1, "failed", False),
        (7, 2, "failed", False),
    ]
    assert [note.facts.get("code") for _, _, note in noted] == [131026, None]
