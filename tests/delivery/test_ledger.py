"""The ledger as a state machine: claims, sends, commits, crashes and failing stores in any order."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from airflow_provider_whatsapp.delivery import ledger as ledger_module
from airflow_provider_whatsapp.delivery.ledger import Job, Ledger, Note, SourceChangedError, Try
from airflow_provider_whatsapp.delivery.stores import FileStore, LedgerError, MemoryStore
from tests.examples import examples

GROUPS = ("", "east")
KINDS = ("in the head", "in small pieces", "in turns")
"""
Where notes are: in the head while they are few; at once in records, so that the example crosses those; or so where
each try has records of its own.
"""
FAILURES = st.sampled_from(
    [
        Note("failed", {"code": 131026}),
        Note("failed", {"code": 130429}, again=True),
        Note("unknown"),
    ]
)


class Unreliable(MemoryStore):
    """Refuses writes when told so: before it has written, or after, as a lost answer looks."""

    durable = True
    mode = "well"

    def set(self, key, value):
        if self.mode == "refuses":
            raise OSError("refused")
        super().set(key, value)
        assert len(json.dumps(value)) < 65_535
        if self.mode == "loses the answer":
            raise TimeoutError


def leave_the_head_at_once(patch):
    """Let notes be in records from the first ones on."""
    patch.setattr(ledger_module, "HEAD_NOTES", 60)
    patch.setattr(ledger_module, "CHUNK", 80)


class Machine(RuleBasedStateMachine):
    """A broadcast that is driven step by step and may die between any two of them."""

    def __init__(self):
        super().__init__()
        self.patch = pytest.MonkeyPatch()

    @initialize(
        total=st.integers(0, 14), resend=st.booleans(), remember=st.booleans(), kind=st.sampled_from(KINDS)
    )
    def start(self, total, resend, remember, kind):
        self.total, self.resend, self.remember = total, resend, remember
        if kind != "in the head":
            leave_the_head_at_once(self.patch)
        self.store = Unreliable()
        self.store.exclusive = kind != "in turns"
        self.world = dict.fromkeys(range(total), 0)  # messages that really left, by position
        self.allowed = dict.fromkeys(range(total), 1)
        self.said = {}
        self.tries = 0
        self.begin()

    def begin(self):
        self.store.mode = "well"
        self.tries += 1
        self.ledger = Ledger(self.store, remember_sent=self.remember, pauses=())
        self.ledger.begin(Job("source", "message", self.total), Try(self.tries, 0))
        self.rows = iter([(place, GROUPS[place % 2]) for place in range(self.total)])
        self.drawn, self.ready, self.out = [], [], []
        self.read_all = False

    def wanted(self, known):
        if known is None:
            return True
        if known == "sent" or known.status == "sent":
            return False
        return self.resend if known.status == "unknown" else known.again

    @rule(count=st.integers(1, 5))
    def draw(self, count):
        """Read some rows and claim those that are to be sent to."""
        for _ in range(count):
            row = next(self.rows, None)
            if row is None:
                self.read_all = True
                return
            known = self.ledger.look_up(*row)
            if self.wanted(known):
                if known is not None and known.status == "unknown":
                    self.allowed[row[0]] += 1
                self.ledger.claim([row])
                self.drawn.append(row[0])

    @rule(mode=st.sampled_from(["well", "well", "refuses", "loses the answer"]))
    def flush(self, mode):
        self.store.mode = mode
        try:
            self.ledger.flush()
        except LedgerError:
            assert mode != "well"
        else:
            self.ready += self.drawn
            self.drawn = []

    @precondition(lambda self: self.ready)
    @rule(data=st.data())
    def send(self, data):
        """A request leaves; whether it reached WhatsApp, and whether anybody hears of it, is open."""
        position = data.draw(st.sampled_from(self.ready))
        self.ready.remove(position)
        reached = data.draw(st.booleans())
        self.world[position] += reached
        self.out.append((position, reached))

    @precondition(lambda self: self.out)
    @rule(data=st.data(), failure=FAILURES)
    def answer(self, data, failure):
        position, reached = data.draw(st.sampled_from(self.out))
        self.out.remove((position, reached))
        note = Note("sent", {"message_id": "wamid"}) if reached else failure
        if reached and data.draw(st.booleans()):
            note = Note("unknown")  # the answer was lost
        self.ledger.record(position, note)

    @rule()
    def crash(self):
        self.begin()

    @rule()
    def clear_with_another_list(self):
        other = Ledger(self.store, pauses=())
        self.store.mode = "well"
        try:
            other.begin(Job("another", "message", 3), Try(self.tries, 0))
        except SourceChangedError:
            pass
        else:
            assert not any(self.world[place] for place in self.world)
        if not self.store.exclusive:  # the other one has taken over
            self.begin()

    @invariant()
    def nobody_gets_it_more_often_than_allowed(self):
        for position, count in getattr(self, "world", {}).items():
            assert count <= self.allowed[position]
            if not self.resend:
                assert count <= 1

    def teardown(self):
        try:
            if hasattr(self, "ledger"):
                self.try_a_last_time()
        finally:
            self.patch.undo()

    def try_a_last_time(self):
        self.begin()  # a last try, in which all goes well
        lost = []
        for row in self.rows:
            known = self.ledger.look_up(*row)
            if not self.wanted(known):
                if known == "sent" or known.status == "sent":
                    assert self.world[row[0]] >= 1, "called sent, and never was"
                lost += [row[0]] if self.world[row[0]] == 0 and known == "sent" else []
                continue
            self.ledger.claim([row])
            self.ledger.flush()
            self.world[row[0]] += 1
            self.ledger.record(row[0], Note("sent"))
        self.ledger.finish("success")
        assert not lost
        again = Ledger(self.store, pauses=())
        assert again.begin(Job("source", "message", self.total), Try(self.tries + 1, 0)) == "again"
        for position in range(self.total):
            known = again.look_up(position, GROUPS[position % 2])
            assert known is not None, "nobody is without a state"
            if known == "sent" or known.status == "sent":
                assert self.world[position] >= 1


Machine.TestCase.settings = settings(
    max_examples=examples(600),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestLedger = Machine.TestCase


JOB = Job("source", "message", 5)


@pytest.fixture(params=["memory", "files", "object store"])
def store(request, tmp_path):
    if request.param == "memory":
        return MemoryStore()
    if request.param == "files":
        return FileStore(tmp_path, "dag", "run/2026-01-01T00:00:00+00:00", "task", "-1")
    import fsspec
    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.io import attach

    attach("memory", fs=fsspec.filesystem("memory"))
    return FileStore(ObjectStoragePath("memory://bucket/ledgers"), str(tmp_path), "task")


def written(store, key):
    """Return a record of the first try; where tries may overlap, its turn is in the key."""
    return store.get(key if store.exclusive else f"1/{key}")


def opened(store, this=None, job=JOB, **options):
    ledger = Ledger(store, pauses=())
    return ledger, ledger.begin(job, this or Try(), **options)


def test_a_crash_leaves_the_claimed_unknown_and_the_rest_as_they_were(store):
    ledger, kind = opened(store)
    assert kind == "first"
    ledger.claim([(0, ""), (1, ""), (2, "")])
    ledger.flush()
    ledger.record(0, Note("sent"))
    ledger.record(1, Note("failed", {"code": 131026}))
    ledger.flush()

    ledger, kind = opened(store, Try(2))

    assert kind == "again"
    known = [ledger.look_up(position) for position in range(4)]
    assert known[0] == "sent"
    assert known[1] == Note("failed", {"code": 131026})
    assert known[2].status == "unknown"
    assert known[3] is None
    assert (ledger.sent, ledger.unknown) == (1, 1)


@pytest.mark.parametrize("is_long", [False, True], ids=["in the head", "in records"])
def test_a_retry_of_a_row_keeps_the_rows_after_it_and_its_own_last_result(store, is_long, monkeypatch):
    if is_long:
        leave_the_head_at_once(monkeypatch)
    rows = [(position, "") for position in range(4)]
    failed, sent = Note("failed", again=True), Note("sent")
    ledger, _ = opened(store)
    ledger.claim(rows)
    ledger.flush()
    for position, note in enumerate([failed, failed, sent, sent]):
        ledger.record(position, note)
    ledger.flush()
    for number, position in ((2, 0), (3, 1)):
        ledger, _ = opened(store, Try(number))
        ledger.claim([(position, "")])
        ledger.flush()
        ledger.record(position, sent)
        assert ledger.look_up(position) == "sent", "what the earlier try knew counts no longer"
        ledger.flush()

    ledger, _ = opened(store, Try(4))
    known = [ledger.look_up(position) for position in range(5)]
    states = [note.status if isinstance(note, Note) else note for note in known]
    assert states == [*["sent"] * 4, None]
    assert (ledger.sent, ledger.unknown) == (4, 0)


def test_a_clear_is_told_from_a_retry(store):
    ledger, _ = opened(store, Try(1, 2))
    ledger.claim([(0, "")])
    ledger.flush()
    ledger.record(0, Note("sent"))
    ledger.finish("success")

    assert opened(store, Try(2, 2))[1] == "again"
    assert opened(store, Try(2, 3))[1] == "cleared"
    ledger, kind = opened(store, Try(2, 3), resend_on_clear=True)
    assert kind == "fresh"
    assert ledger.look_up(0) is None
    ledger.claim([(0, "")])
    ledger.flush()

    ledger, kind = opened(store, Try(3, 3), resend_on_clear=True)
    assert kind == "again", "a retry within the fresh round goes on"
    assert ledger.look_up(0).status == "unknown"


def test_another_list_is_refused_once_somebody_was_sent_to(store):
    ledger, _ = opened(store)
    ledger.claim([(0, "")])
    ledger.flush()
    ledger.record(0, Note("failed", again=True))
    ledger.flush()
    other = Job("another", "message", 9)
    assert opened(store, Try(2), other)[1] == "first", "nothing has left, so it may be another list"

    ledger, _ = opened(store, Try(3), other)
    ledger.claim([(0, "")])
    ledger.flush()
    with pytest.raises(SourceChangedError, match="list of recipients is not the one"):
        opened(store, Try(4), JOB)
    with pytest.raises(SourceChangedError, match="message is not the one"):
        opened(store, Try(4), Job("another", "text", 9))


def test_a_try_that_was_given_up_cannot_claim_any_more(tmp_path):
    store = FileStore(tmp_path)
    old, _ = opened(store)
    new, _ = opened(store, Try(2))
    new.claim([(0, "")])
    new.flush()
    old.claim([(0, "")])

    with pytest.raises(LedgerError, match="another try of this task has taken over") as caught:
        old.flush()
    assert caught.value.permanent


def test_what_was_kept_is_found_by_the_next_try_until_it_is_old(store):
    now = [1_000_000.0]
    ledger = Ledger(store, pauses=(), clock=lambda: now[0])
    ledger.begin(JOB, Try())
    ledger.keep("media", "1234")
    ledger.flush()

    ledger = Ledger(store, pauses=(), clock=lambda: now[0])
    ledger.begin(JOB, Try(2))
    assert ledger.memo("media") == "1234"
    assert ledger.memo("other") is None
    now[0] += 26 * 86_400
    assert ledger.memo("media") is None


def test_many_notes_stay_within_the_size_of_a_value(store):
    ledger, _ = opened(store)
    for position in range(3000):
        ledger.claim([(position, "")])
        ledger.record(position, Note("failed", {"code": position, "message": "x" * 80}))
    ledger.flush()

    head = written(store, "head")
    assert len(json.dumps(head)) < 13_000
    assert all(len(json.dumps(written(store, f"notes/{n}"))) < 65_535 for n in range(head["chunks"]))
    for number in (2, 3):
        ledger, _ = opened(store, Try(number))
        assert [ledger.look_up(place).facts["code"] for place in range(3000)] == list(range(3000))
        ledger.flush()


def test_a_ledger_of_the_time_before_turns_is_gone_on_with(tmp_path):
    exclusive, store = FileStore(tmp_path), FileStore(tmp_path)
    exclusive.exclusive = True  # writes as all did then
    ledger, _ = opened(exclusive)
    ledger.claim([(0, ""), (1, ""), (2, "")])
    ledger.record(0, Note("sent"))
    ledger.record(1, Note("failed", {"message": "x" * 20_000}))
    ledger.flush()
    store.set("owner", "its name")

    for number in (2, 3):
        ledger, kind = opened(store, Try(number))
        assert kind == "again"
        assert ledger.look_up(0) == "sent"
        assert ledger.look_up(1).status == "failed"
        assert ledger.look_up(2).status == "unknown"
        assert ledger.look_up(3) is None
        ledger.flush()


def test_a_try_that_ended_before_its_first_claim_hides_nothing(store):
    ledger, _ = opened(store)
    ledger.claim([(0, "")])
    ledger.flush()
    opened(store, Try(2))
    opened(store, Try(3))

    ledger, kind = opened(store, Try(4))

    assert kind == "again"
    assert ledger.look_up(0).status == "unknown"


def test_a_flush_costs_one_write_and_one_look_at_the_owner(tmp_path):
    ledger, _ = opened(store := FileStore(tmp_path))
    calls = []
    store.get = lambda key: calls.append(("get", key)) or FileStore.get(store, key)
    store.set = lambda key, value: calls.append(("set", key)) or FileStore.set(store, key, value)

    ledger.claim([(0, "")])
    ledger.flush()

    assert calls == [("set", "1/head"), ("get", "owner")]


@pytest.mark.parametrize("rubbish", [[], {"v": 99}, "text"])
def test_what_is_no_ledger_is_refused(store, rubbish):
    store.set("head", rubbish)

    with pytest.raises(LedgerError, match="not a ledger of this version") as caught:
        opened(store)
    assert caught.value.permanent


def test_a_lost_part_is_refused(store):
    ledger, _ = opened(store)
    ledger.claim([(0, "")])
    ledger.record(0, Note("failed", {"message": "x" * 20_000}))
    ledger.flush()
    store.set("head" if store.exclusive else "1/head", written(store, "head") | {"chunks": 2})

    with pytest.raises(LedgerError, match="lost a part") as caught:
        opened(store)
    assert caught.value.permanent


@pytest.mark.parametrize("form", ["plain", "file", "path"])
def test_a_path_of_any_form_is_a_folder_on_the_disk(tmp_path, form):
    from pathlib import Path

    from airflow.sdk import ObjectStoragePath

    folder = f"{tmp_path}/new/folder"
    made = {
        "plain": lambda: ObjectStoragePath(folder),
        "file": lambda: ObjectStoragePath(f"file://{folder}"),
        "path": lambda: Path(folder),
    }
    FileStore(made[form](), "task").set("head", {"v": 1})

    assert (Path(folder) / "task" / "head.json").read_text() == '{"v":1}'


def lasting(number=1, max_tries=0, *, store, **options):
    made = Ledger(store, pauses=(), **options)
    made.begin(Job("source", "message", 9), Try(number, max_tries))
    return made


class Lasts(MemoryStore):
    """Outlives the tries of a test."""

    durable = True


def test_each_try_has_an_epoch_of_its_own_that_only_rises():
    store, found = Lasts(), []
    for number in (1, 1, 2, 7, 7):
        ledger = lasting(number, store=store)
        ledger.flush()
        found.append(ledger.epoch)
        assert store.get("head")["epoch"] == ledger.epoch
        assert store.get("head")["try"] == number
        assert ledger.since == 1

    assert found == [1, 2, 3, 7, 8]


def test_a_ledger_that_forgets_takes_its_epoch_from_the_try():
    assert [lasting(number, store=Lasts()).epoch for number in (1, 4)] == [1, 4]
    assert [lasting(number, store=Lasts()).since for number in (1, 4)] == [1, 4]


def test_of_an_earlier_version_s_ledger_no_epoch_is_known():
    store = Lasts()
    first = lasting(store=store)
    first.claim([(0, "")])
    first.flush()
    head = store.get("head")
    del head["epoch"], head["since"]
    store.set("head", head)
    again = Ledger(store, pauses=())
    again.reopen("source")

    assert (again.epoch, again.since) == (0, 0)
    assert again.look_up(0).facts == ledger_module.LOST.facts, "nor for whom its answer was lost"


def test_before_it_is_begun_nothing_is_known():
    made = Ledger(Lasts(), pauses=())

    assert (made.epoch, made.since, made.sent, made.unknown, made.claimed) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("away", [False, True])
def test_an_end_that_could_not_be_written_is_remembered(away):
    store = Unreliable()
    ledger = lasting(store=store)
    assert not ledger.behind
    store.mode = "refuses" if away else "well"
    if away:
        with pytest.raises(LedgerError):
            ledger.finish("success")
    else:
        ledger.finish("success")
        assert store.get("head")["finished"] == "success"

    assert ledger.behind is away


def test_a_later_try_has_not_finished():
    store = Lasts()
    lasting(store=store).finish("failed")
    lasting(2, store=store).flush()

    assert store.get("head")["finished"] is None


NOTED = {
    "sent, of whom nothing else is known": (0, 1, True, 1),
    "sent, in the same epoch": (1, 1, True, 1),
    "sent, in a later one": (1, 0, False, 2),
    "failed": (2, 9, False, 2),
    "unknown": (3, 9, False, 2),
}


@pytest.mark.parametrize(("position", "epoch", "news", "left"), NOTED.values(), ids=list(NOTED))
def test_when_a_late_failure_is_news(position, epoch, news, left):
    store = Lasts()
    first = lasting(store=store)
    first.claim((position, "") for position in range(4))
    first.record(0, Note("sent"))
    first.record(1, Note("unknown"))
    first.record(1, Note("sent"))
    first.record(2, Note("failed"))
    first.flush()
    again = Ledger(store, pauses=())
    again.reopen("source")
    if position == 1:
        again._earlier[1] = Note("sent", {"epoch": 1})
    why = Note("failed", {"code": 131047})

    assert again.note_failure(position, epoch, why) is news
    assert again.sent == left
    assert (again.look_up(position) == why) is news
    again.flush()
    assert (
        store.get("head")["sent"],
        store.get("head")["notes"][-1] == [position, "failed", why.facts, False],
    ) == (
        left,
        news,
    )


def test_more_cannot_have_failed_than_were_sent_to():
    again = lasting(store=Lasts())

    assert again.note_failure(0, 1, Note("failed"))
    assert again.sent == 0


@pytest.mark.parametrize(("size", "moved"), [(11_000, 0), (13_000, 1), (90_000, 3)])
def test_notes_move_out_of_the_head_where_they_are_many(size, moved):
    store = Lasts()
    ledger = lasting(store=store)
    for position in range(size // 1_000):
        ledger.record(position, Note("failed", {"message": "x" * 950}))
    ledger.flush()
    head = store.get("head")

    assert head["chunks"] == moved
    assert bool(head["notes"]) is (moved == 0)
    again = lasting(2, store=store)
    assert all(again.look_up(position) for position in range(size // 1_000))
    ledger.record(999, Note("failed"))
    ledger.flush()
    assert store.get("head")["chunks"] == moved, "what is few goes into the head again"


@pytest.mark.parametrize("remember", [True, False])
def test_who_was_sent_to_is_noted_only_where_that_is_wanted_or_something_else_was_noted(remember):
    store = Lasts()
    ledger = lasting(store=store, remember_sent=remember)
    ledger.record(0, Note("sent", {"message_id": "a"}))
    ledger.record(1, Note("skipped", {"reason": "stopped"}))
    ledger.record(2, Note("unknown"))
    ledger.flush()

    expected = [[1, "skipped", {"reason": "stopped"}, False], [2, "unknown", {"epoch": 1}, False]]
    own = [[0, "sent", {"epoch": 1, "message_id": "a"}, False]] if remember else []
    assert store.get("head")["notes"] == own + expected


@pytest.mark.parametrize(("age", "known"), [(25 * 86_400 - 1, "id"), (25 * 86_400, None)])
def test_what_was_kept_is_used_for_so_long(age, known):
    now = [1_000_000.0]
    ledger = lasting(store=Lasts(), clock=lambda: now[0])
    ledger.keep("upload", "id")
    now[0] += age

    assert (ledger.memo("upload"), ledger.memo("another")) == (known, None)


def note_of(size):
    """Return a note whose record, at place 0, is JSON of so many bytes."""
    empty = len(json.dumps([0, "failed", {"message": ""}, False]))
    return Note("failed", {"message": "x" * (size - empty)})


@pytest.mark.parametrize("moved_before", [False, True], ids=["at first", "after others have moved"])
@pytest.mark.parametrize(("size", "moves"), [(11_998, False), (11_999, True)], ids=str)
def test_notes_of_twelve_thousand_bytes_stay_in_the_head(size, moves, moved_before):
    """Each costs two bytes more than its JSON: a comma and a blank."""
    store = Lasts()
    ledger = lasting(store=store)
    if moved_before:
        ledger.record(0, note_of(13_000))
        ledger.flush()
    before = store.get("head")["chunks"] if moved_before else 0
    ledger.record(0, note_of(size))
    ledger.flush()

    assert store.get("head")["chunks"] - before == moves


@pytest.mark.parametrize(("size", "records"), [(39_999, [2]), (40_000, [1, 1])], ids=str)
def test_a_record_of_notes_is_full_at_forty_thousand_bytes(size, records):
    store = Lasts()
    ledger = lasting(store=store)
    ledger.record(0, note_of(size))
    ledger.record(0, note_of(100))
    ledger.flush()

    head = store.get("head")
    assert [len(store.get(f"notes/{number}")) for number in range(head["chunks"])] == records


@pytest.mark.parametrize(
    ("note", "refused"),
    [(Note("sent"), True), (Note("unknown"), True), (Note("failed"), False), (Note("skipped"), False)],
    ids=lambda value: value.status if isinstance(value, Note) else "",
)
@pytest.mark.parametrize("change", ["source", "message"])
def test_another_list_or_message_is_refused_where_anything_may_have_left(note, refused, change):
    store = Lasts()
    first = lasting(store=store)
    first.claim([(0, "")])
    first.record(0, note)
    first.flush()
    given = {"source": "source", "message": "message", change: "another"}
    again = Ledger(store, pauses=())
    if not refused:
        assert again.begin(Job(**given, total=9), Try(2)) == "first"
        return
    with pytest.raises(SourceChangedError, match="is not the one that an earlier try began") as caught:
        again.begin(Job(**given, total=9), Try(2))
    assert caught.value.permanent


def test_what_is_opened_to_be_read_is_the_same_list_s(store):
    with pytest.raises(LedgerError, match="has nothing of this try: another try took over") as caught:
        Ledger(store, pauses=()).reopen("source")
    assert caught.value.permanent
    ledger, _ = opened(store)
    ledger.claim([(0, "")])
    ledger.record(0, Note("sent"))
    ledger.flush()
    Ledger(store, pauses=()).reopen(JOB.source)
    with pytest.raises(SourceChangedError, match="list of recipients"):
        Ledger(store, pauses=()).reopen("another")


def test_the_messages_whose_id_is_known_are_found_by_it():
    again = lasting(store=Lasts())
    again._earlier = {
        0: Note("sent", {"message_id": "a", "epoch": 3}),
        1: Note("sent", {"message_id": "b"}),
        2: Note("sent", {}),
        3: Note("failed", {"message_id": "c"}),
    }

    assert again.sent_messages() == {"a": (0, 3), "b": (1, 0)}
    assert again.note_failure(1, 0, Note("failed")), "of no epoch is of the first"


def test_whose_turn_it_is_stands_where_another_version_looks_for_it(tmp_path):
    store = FileStore(tmp_path)
    for turn in (1, 2, 3):
        ledger, _ = opened(store, Try(turn))
        ledger.flush()
        owner = store.get("owner")

        assert owner.keys() == {"name", "turn"}
        assert (owner["turn"], len(owner["name"])) == (turn, 32)
        assert store.get(f"{turn}/taken") is True
        assert store.get(f"{turn}/head")["v"] == 1
