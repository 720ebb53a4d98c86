"""
From an alert over its throttle state and its turns to the hook and back, in memory and on a clock of its own.

Each scene is what happens, second by second, and every message that comes of it: a call between two of the modules that
is left out changes one of them.
"""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp.client.errors import (
    NotSentError,
    OutcomeUnknownError,
    RecipientError,
    WhatsAppError,
)
from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.client.resources.messages import SentMessage
from airflow_provider_whatsapp.notifications import alert as module
from airflow_provider_whatsapp.notifications.alert import Alert
from airflow_provider_whatsapp.notifications.time_budget import TimeBudget
from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier
from tests.notifications.virtual_time import VirtualTime

ANN, BOB = "+15550000001", "+15550000002"
REFUSED = RecipientError("no", permanent=True)
AWAY = NotSentError("no way")
LOST = OutcomeUnknownError("lost")
CLOSED = RecipientError("closed", code=131047, permanent=True)


class DeadError(BaseException):
    """The worker is no more."""


class Hook:
    """In the hook's place: takes messages as the gateway would, or meets what a scene says."""

    def __init__(self, clock):
        self.clock, self.sent, self.meets, self.broken, self.fates = clock, [], [], None, {}
        config = SimpleNamespace(phone_number_id="11", default_country=None, waba_id="22", pace_redis=None)
        self.client = SimpleNamespace(config=config)

    def get_conn(self):
        if self.broken:
            raise self.broken

    def template_message(self, name, language, *, header, body, buttons):
        return SimpleNamespace(name=name, language=language, header=header, body=body, buttons=buttons)

    def send(self, to, message, *, callback_data):
        error = self.meets.pop(0) if self.meets else None
        if error is not None:
            raise error
        words = message.body if isinstance(message, Text) else f"<{message.name}> {message.body}"
        self.sent.append((round(self.clock.passed, 1), to[-1], words))
        return SentMessage(message_id=f"wamid.{len(self.sent)}", wa_id=to, to=to)

    def get_message_status(self, message_id):
        return self.fates.get(message_id, {"status": "delivered"})


class Variables(dict):
    """Airflow's Variables, in memory: without a default, what is not there is an error."""

    def get(self, key, *, default):
        return super().get(key, default)

    def set(self, key, value):
        self[key] = value


class Scene:
    """Alerts of one machine, one after the other or at once."""

    def __init__(self, monkeypatch, folder):
        monkeypatch.setattr("tempfile.tempdir", str(folder))
        self.clock = VirtualTime(monkeypatch)
        self.hook, self.store, self.raised, self.ended = Hook(self.clock), Variables(), [], []
        self.behind, self.asked = None, []

    def bounded(self, act, seconds):
        """Do it, and keep how long it might have taken."""
        self.asked.append(round(seconds, 2))
        return act()

    def begin(self, context, seconds=20.0, **options):
        notifier = WhatsAppNotifier(**{"to": ANN, "text": "it happened", "text_wait": 0, **options})

        def steps():
            patience = TimeBudget(self.clock.monotonic() + seconds)
            options = {"behind": self.behind, "bounded": self.bounded}
            one = Alert(notifier, context, self.hook, self.store, patience, **options)
            try:
                yield from one.steps()
            except (WhatsAppError, DeadError) as error:
                self.raised.append(error)
            self.ended.append(round(self.clock.passed, 1))

        return steps

    def change(self, second, **fields):
        """Return what another machine writes into a record at some second; an alert of this one has read it before."""

        def act():
            for name, text in list(self.store.items()):
                if not name.endswith("_claim") and json.loads(text)["key"].startswith("orders"):
                    self.store[name] = json.dumps({**json.loads(text), **fields})
            yield from ()

        return second, act

    def run(self, *alerts):
        """Run alerts, each with the second at which it begins, and return every message."""
        self.clock.run(alerts)
        return self.hook.sent


@pytest.fixture
def scene(monkeypatch, tmp_path):
    return Scene(monkeypatch, tmp_path)


def failure(task="load", run="r1", index=-1, **facts):
    ti = {"dag_id": "orders", "task_id": task, "run_id": run, "try_number": 1, "map_index": index}
    ti |= {"state": "failed", "start_date": 1, "log_url": ""}
    return {"ti": SimpleNamespace(**ti), "run_id": run, "exception": ValueError("no rows"), **facts}


def success(task="load", run="r2"):
    context = failure(task, run)
    context["ti"].state, context["exception"] = "success", None
    return context


@pytest.mark.parametrize("options", [{}, {"escalate_to": BOB}, {"cooldown": 0}], ids=str)
def test_what_is_no_failure_is_sent_each_time_and_counted_nowhere(scene, options):
    scene.run((0, scene.begin(success(), gap=0, **options)), (1, scene.begin(success(), gap=0, **options)))

    assert [(second, to) for second, to, _ in scene.hook.sent] == [(0.0, "1"), (1.0, "1")]
    assert scene.store == {}


def test_who_is_overtaken_and_cannot_write_that_down_sends_what_it_knows(scene, monkeypatch):
    scene.run(*((index, scene.begin(failure(index=index), gap=0, roll_up=0)) for index in range(2)))
    monkeypatch.setattr(module, "several_machines", lambda: True)

    def another():
        for name in [name for name in scene.store if name.endswith("_claim")]:
            scene.store[name] = "another's token"
        scene.store.set = lambda key, value: 1 / 0
        yield from ()

    scene.run((400, scene.begin(failure(run="r2"), gap=0)), (400.5, another))

    assert [words for _, _, words in scene.hook.sent[1:]] == ["it happened (1 more failure: load[1])"]


def test_a_field_of_the_notifier_may_stand_in_another():
    notifier = WhatsAppNotifier(to=ANN, text="in {{ language }}", language="de")
    notifier._fill_in(failure())

    assert notifier.text == "in de"


def test_within_the_cooldown_failures_are_counted_and_the_next_message_tells_them(scene):
    begin = scene.begin
    sent = scene.run(*((second, begin(failure(run=f"r{second}"))) for second in (0, 10, 299, 301)))

    assert sent == [(0, "1", "it happened"), (301, "1", "it happened (2 more failures: load, load)")]


def test_the_cooldown_is_the_notifier_s_and_without_one_every_failure_is_told(scene):
    for start, cooldown in ((0, 20), (1000, 0)):
        scene.run(
            *(
                (start + second, scene.begin(failure(run=f"r{second}"), cooldown=cooldown, gap=0))
                for second in (0, 10, 21)
            )
        )

    assert [second for second, _, _ in scene.hook.sent] == [0, 21, 1000, 1010, 1021]


def test_another_key_is_another_alert_and_one_key_may_be_of_several_tasks(scene):
    begin = scene.begin
    scene.run(
        (0, begin(failure("load"), gap=0)),
        (1, begin(failure("check"), gap=0)),
        (2, begin(failure("load"), gap=0, dedupe_key="all", roll_up=0)),
        (3, begin(failure("check"), gap=0, dedupe_key="all", roll_up=0)),
        (400, begin(failure("last"), gap=0, dedupe_key="all", roll_up=0)),
    )

    assert scene.hook.sent[:3] == [(second, "1", "it happened") for second in (0, 1, 2)]
    assert scene.hook.sent[3:] == [(400, "1", "it happened (1 more failure: orders.check)")]


def test_mapped_tasks_are_a_message_and_a_summary(scene):
    sent = scene.run(*((index, scene.begin(failure(index=index), gap=0)) for index in range(4)))

    assert sent == [
        (0, "1", "it happened"),
        (10, "1", "DAG orders, run r1: 3 more failures: load[1], load[2], load[3]"),
    ]


@pytest.mark.parametrize(
    "options", [{"roll_up": 0}, {"text": None, "template_name": "mine"}], ids=["off", "mute"]
)
def test_without_a_roll_up_or_words_for_others_nobody_waits(scene, options):
    scene.run(*((index, scene.begin(failure(index=index), gap=0, **options)) for index in range(4)))

    assert len(scene.hook.sent) == 1
    assert scene.ended == [0, 1, 2, 3]


@pytest.mark.parametrize("error", [AWAY, REFUSED, LOST], ids=["away", "refused", "lost"])
def test_after_a_message_that_failed_no_summary_is_waited_for_and_the_next_message_tells(scene, error):
    scene.hook.meets = [error]
    scene.run(
        (0, scene.begin(failure(index=0), gap=0)),
        (200, scene.begin(failure(index=7, run="r2"), gap=0, roll_up=0)),
    )

    assert scene.ended == [0, 200]
    assert scene.raised == [error]
    assert scene.hook.sent == [(200, "1", "it happened (1 more failure: load[0])")]


def test_after_a_lost_answer_no_message_goes_for_a_while_for_it_may_have_arrived(scene):
    scene.hook.meets = [LOST]
    begin = scene.begin
    scene.run(*((second, begin(failure(run=f"r{second}"), gap=0, seconds=8)) for second in (0, 5, 29, 31)))

    assert scene.hook.sent == [(31, "1", "it happened (3 more failures: load, load, load)")]


def test_a_connection_that_is_none_sends_nothing_and_what_was_to_be_told_is_told_later(scene):
    scene.hook.broken = WhatsAppError("no connection")
    scene.run((0, scene.begin(failure(run="r1"), gap=0)))
    assert scene.raised == [scene.hook.broken]
    scene.hook.broken = None
    scene.run((1, scene.begin(failure(run="r2"), gap=0)))

    assert scene.hook.sent == [(1, "1", "it happened (1 more failure: load)")]


def test_a_success_is_told_once_after_a_failure_that_was_told(scene):
    begin = scene.begin
    scene.run(
        (0, begin(success(), recovery=True, text="works")),
        (10, begin(failure())),
        (20, begin(success(), recovery=True, text="works")),
        (30, begin(success(), recovery=True, text="works")),
        (40, begin(failure(run="r3"))),
    )

    assert scene.hook.sent == [(10, "1", "it happened"), (20, "1", "works"), (40, "1", "it happened")]


def test_a_success_that_could_not_be_told_is_told_by_the_next(scene):
    begin = scene.begin
    scene.run((0, begin(failure())))
    scene.hook.meets = [AWAY]
    scene.run(*((second, begin(success(), recovery=True, text="works")) for second in (20, 30, 40)))

    assert scene.raised == [AWAY]
    assert scene.hook.sent == [(0, "1", "it happened"), (30, "1", "works")]


def test_a_success_tells_what_of_its_failures_nobody_was_told(scene):
    begin = scene.begin
    scene.run(
        (0, begin(failure())),
        (10, begin(failure("load", "r2"))),
        (20, begin(success(), recovery=True, text="works")),
    )

    assert scene.hook.sent[1:] == [(20, "1", "works")], "load was named"
    scene.run(
        *((100 + index, begin(failure(index=index), roll_up=0, gap=0)) for index in range(3)),
        (120, begin(success(), recovery=True, text="works")),
    )
    assert scene.hook.sent[-1] == (120, "1", "works (2 more failures: load[1], load[2])")


def test_a_success_waits_for_a_message_that_is_on_its_way(scene):
    """The failure's message waits for its recipient's gap; what comes of it decides whether the success is told."""
    begin = scene.begin
    scene.run(
        (0, begin(failure("other"))),
        (1, begin(failure())),
        (2, begin(success(), recovery=True, text="works")),
    )

    assert [words for _, _, words in scene.hook.sent[:2]] == ["it happened", "it happened"]
    assert [words for _, _, words in scene.hook.sent[2:]] == ["works"]


def test_others_are_told_as_well_once_so_many_runs_have_failed(scene):
    begin = scene.begin
    scene.run(
        *(
            (400 * number, begin(failure(run=f"r{number}"), escalate_to=BOB, escalate_after=3))
            for number in range(4)
        )
    )

    assert [to for _, to, _ in scene.hook.sent] == ["1", "1", "1", "2", "1", "2"]
    assert scene.hook.sent[3][2] == "it happened (3 runs in a row have failed)"


def test_a_success_that_airflow_knows_of_begins_another_row(scene):
    begin = scene.begin
    moment = scene.clock.time() + 500
    worked = SimpleNamespace(timestamp=lambda: moment)
    scene.run(
        (0, begin(failure(run="r0"), escalate_to=BOB, escalate_after=2)),
        (600, begin(failure(run="r1", prev_start_date_success=worked), escalate_to=BOB, escalate_after=2)),
        (1200, begin(failure(run="r2", prev_start_date_success=worked), escalate_to=BOB, escalate_after=2)),
    )

    assert [to for _, to, _ in scene.hook.sent] == ["1", "1", "1", "2"]


def test_messages_to_one_person_keep_the_gap_and_one_that_waits_tells_of_the_others(scene):
    begin = scene.begin
    scene.run(
        (0, begin(failure("a"))),
        (1, begin(failure("b"))),
        (2, begin(failure("c"))),
        (3, begin(failure("d"), to=BOB)),
    )

    assert sorted(scene.hook.sent) == [
        (0, "1", "it happened"),
        (3, "2", "it happened"),
        (6.5, "1", "it happened (1 other alert: orders.c)"),
    ]


def test_whom_a_message_has_not_reached_is_told_by_the_next_whatever_it_is_about(scene):
    begin = scene.begin
    scene.hook.meets = [None, AWAY]
    scene.run(
        (0, begin(failure("a"), to=[ANN, BOB], gap=0)),
        (1, begin(failure("b"), to=[ANN, BOB], gap=0)),
        (2, begin(success("x"), to=[ANN, BOB], gap=0, text="fine")),
    )

    assert scene.hook.sent == [
        (0, "1", "it happened"),
        (1, "1", "it happened"),
        (1, "2", "it happened (1 other alert: orders.a)"),
        (2, "1", "fine"),
        (2, "2", "fine"),
    ]


@pytest.mark.parametrize(
    ("meets", "fate", "found"),
    [
        pytest.param([], None, ["it happened"], id="the text arrives"),
        pytest.param([CLOSED], None, ["<mine> ['v']"], id="the text is refused at once"),
        pytest.param(
            [],
            {"status": "failed", "error": "131047"},
            ["it happened", "<mine> ['v']"],
            id="and a moment later",
        ),
        pytest.param([], {"status": "failed", "error": "131026"}, ["it happened"], id="it fails otherwise"),
    ],
)
def test_where_the_window_is_closed_the_template_follows_the_text(scene, meets, fate, found):
    scene.hook.meets = meets
    scene.hook.fates = {"wamid.1": fate} if fate else {}
    scene.run((0, scene.begin(failure(), template_name="mine", body=["v"], text_wait=5)))

    assert [words for _, _, words in scene.hook.sent] == found
    assert [str(error.details) for error in scene.raised] == (
        ["131026"] if fate and "26" in fate["error"] else []
    )


def test_a_summary_s_text_is_not_followed_by_a_template_of_the_user_s_own(scene):
    """It cannot tell of several: a second copy of the first message would be news of nothing."""
    scene.hook.fates = {"wamid.2": {"status": "failed", "error": "131047"}}
    options = {"template_name": "mine", "body": ["v"], "text_wait": 2, "gap": 0}
    scene.run(*((index, scene.begin(failure(index=index), **options)) for index in range(2)))

    assert [words for _, _, words in scene.hook.sent] == [
        "it happened",
        "DAG orders, run r1: 1 more failure: load[1]",
    ]


def test_a_summary_s_text_is_followed_by_the_stock_template(scene):
    scene.hook.fates = {"wamid.2": {"status": "failed", "error": "131047"}}
    options = {"template_name": "airflow_alert", "text_wait": 2, "gap": 0}
    scene.run(*((index, scene.begin(failure(index=index), **options)) for index in range(2)))

    assert [words[:20] for _, _, words in scene.hook.sent[:2]] == ["it happened", "DAG orders, run r1: "]
    (last,) = scene.hook.sent[2:]
    assert last[2].startswith("<airflow_alert>")
    assert "1 more failure: load[1]" in last[2]


@pytest.mark.parametrize("overtaken", [False, True], ids=["its own", "another's"])
def test_on_several_machines_a_failure_is_claimed_before_it_is_told(scene, monkeypatch, overtaken):
    monkeypatch.setattr(module, "several_machines", lambda: True)

    def another():
        for name in [name for name in scene.store if name.endswith("_claim")]:
            scene.store[name] = "another's token"
        yield from ()

    alerts = [(0, scene.begin(failure(), gap=0))] + [(0.5, another)] * overtaken
    scene.run(*alerts)
    assert scene.hook.sent == ([] if overtaken else [(1.0, "1", "it happened")])
    monkeypatch.setattr(module, "several_machines", lambda: False)
    scene.run((400, scene.begin(failure(run="r2"), gap=0)))
    assert scene.hook.sent[-1][2] == "it happened" + " (1 more failure: load)" * overtaken


@pytest.mark.parametrize(
    ("severity", "tags", "people"), [("high", [], "12"), (None, ["finance"], "13"), (None, [], "14")], ids=str
)
def test_the_routes_say_who_is_told_besides(scene, severity, tags, people):
    routes = {"high": [BOB], "tag:finance": ["+15550000003"], "default": ["+15550000004"]}
    context = failure(dag=SimpleNamespace(tags=tags))
    scene.run((0, scene.begin(context, routes=routes, severity=severity)))

    assert "".join(to for _, to, _ in scene.hook.sent) == people


def test_where_the_memory_is_away_the_message_goes_all_the_same(scene):
    def refuse(key, default=None):
        raise OSError("away")

    scene.store.get = refuse
    scene.run(*((second, scene.begin(failure())) for second in (0, 1)))

    assert [words for _, _, words in scene.hook.sent] == ["it happened"] * 2


def test_what_is_told_and_suppressed_is_counted(scene, monkeypatch):
    counted = []
    monkeypatch.setattr(module.Stats, "incr", lambda name, count: counted.append((name, count)))
    begin = scene.begin
    scene.run(
        (0, begin(failure("a"), to=[ANN, BOB])),
        (1, begin(failure("a", "r2"), to=[ANN, BOB])),
        (2, begin(failure("b"))),
        (3, begin(failure("c"))),
    )

    assert counted == [
        ("whatsapp.alerts.sent", 2),
        ("whatsapp.alerts.held", 1),
        ("whatsapp.alerts.held", 1),
        ("whatsapp.alerts.sent", 1),
    ]


def test_every_look_at_the_throttle_state_is_bounded_by_its_share_of_the_time(scene):
    """Three tenths of it for the throttle state, and half of that for what can only be read."""
    scene.behind = Variables()
    scene.run((0, scene.begin(failure(), roll_up=0)))

    assert len(scene.asked) >= 5
    assert set(scene.asked) == {6.0, 3.0}
    assert scene.asked.count(3.0) == 1


@pytest.mark.parametrize("away", [False, True])
def test_what_another_memory_says_that_people_have_missed_is_told_as_well(scene, caplog, away):
    """A synchronous deadline's: it can read Variables, and write files alone. That they are away is no news."""
    scene.hook.meets = [AWAY]
    scene.run((0, scene.begin(failure("a"), gap=0)))
    scene.behind, scene.store = scene.store, Variables()
    if away:
        scene.behind.get = lambda key, default=None: 1 / 0
    deadline = {"dag_run": {"dag_id": "late", "run_id": "r9"}, "deadline": {"id": 1}}
    caplog.clear()
    scene.run((1, scene.begin(deadline, gap=0)))

    assert [words for _, _, words in scene.hook.sent] == [
        "it happened" + " (1 other alert: orders.a)" * (not away)
    ]
    assert [record.levelname for record in caplog.records if "cannot be reached" in record.message] == (
        ["INFO"] if away else []
    )


def test_what_airflow_can_be_asked_for_is_asked_in_that_share_of_the_time(scene):
    looks = []

    class Context(dict):
        def get(self, name, default=None):
            if name == "prev_start_date_success":
                looks.append(len(scene.asked))
            return super().get(name, default)

    scene.run((0, scene.begin(Context(failure()))))

    assert looks == [1], "what asks for it is bounded as well"


@pytest.fixture
def several(monkeypatch):
    """Tasks may run on other machines as well."""
    monkeypatch.setattr(module, "several_machines", lambda: True)


@pytest.mark.usefixtures("several")
def test_whose_claim_stands_sends_and_waits_whatever_another_machine_has_written_over_it(scene):
    mapped = [(second, scene.begin(failure(index=second), gap=0)) for second in (0, 3)]
    scene.run(*mapped, scene.change(0.5, sender="another", waiter="another", waits_until=0))
    scene.run((400, scene.begin(failure(run="r2"), gap=0)))

    assert scene.hook.sent == [
        (1, "1", "it happened"),
        (10, "1", "DAG orders, run r1: 1 more failure: load[3]"),
        (401, "1", "it happened"),
    ]


@pytest.mark.parametrize(("alone", "summaries"), [(True, 0), (False, 1)], ids=["one machine", "several"])
def test_that_another_is_sending_is_true_on_one_machine_alone(scene, monkeypatch, alone, summaries):
    monkeypatch.setattr(module, "several_machines", lambda: not alone)
    mapped = [(second, scene.begin(failure(index=second), gap=0)) for second in (0, 3)]
    scene.run(*mapped, scene.change(9, sender="another", sends_until=scene.clock.time() + 60))

    assert len(scene.hook.sent) == 1 + summaries


def test_what_a_summary_was_to_tell_whose_worker_dies_is_told_by_the_next_message(scene):
    scene.hook.meets = [None, DeadError()]
    scene.run(*((index, scene.begin(failure(index=index), gap=0)) for index in range(3)))
    assert len(scene.raised) == 1
    scene.run((400, scene.begin(failure(run="r2"), gap=0)))

    assert scene.hook.sent[1:] == [(400, "1", "it happened (2 more failures: load[1], load[2])")]


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize(
    ("failed", "options", "counted"),
    [
        pytest.param(6, {}, "6 more failures: load[3], ...", id="Airflow knows of more"),
        pytest.param(0, {}, "1 more failure: load[3]", id="Airflow knows of less"),
        pytest.param(None, {}, "1 more failure: load[3]", id="Airflow does not answer"),
        pytest.param(6, {"dedupe_key": "all"}, "1 more failure: orders.load[3]", id="a key of one's own"),
        pytest.param(
            6,
            {"dedupe_key": "orders.load"},
            "1 more failure: orders.load[3]",
            id="one that is like the usual",
        ),
    ],
)
def test_on_several_machines_a_summary_asks_airflow_how_many_have_failed(scene, failed, options, counted):
    asked = []

    def count(**what):
        asked.append(what)
        return failed if failed is not None else 1 / 0

    contexts = [failure(index=second) for second in (0, 3)]
    for context in contexts:
        context["ti"].get_ti_count = count
    scene.run(
        *((3 * place, scene.begin(context, gap=0, **options)) for place, context in enumerate(contexts))
    )

    assert [words for _, _, words in scene.hook.sent] == ["it happened", f"DAG orders, run r1: {counted}"]
    whole = {"dag_id": "orders", "task_ids": ["load"], "run_ids": ["r1"], "states": ["failed"]}
    assert asked == ([] if options else [whole])


def test_the_event_store_is_looked_up_in_that_share_of_the_time_too(scene, monkeypatch, caplog):
    scene.run((0, scene.begin(failure("a"), gap=0, roll_up=0)))
    without = len(scene.asked)
    monkeypatch.setenv("AIRFLOW__WHATSAPP__EVENTS_CONN_ID", "events")
    monkeypatch.setenv("AIRFLOW_CONN_EVENTS", '{"conn_type": "sqlite"}')
    scene.run((1, scene.begin(failure("b"), gap=0, roll_up=0)))

    assert "The event store could not record this task" in caplog.text
    assert len(scene.asked) == 2 * without + 1


def test_after_a_success_s_lost_answer_no_other_is_told_for_a_while(scene):
    begin = scene.begin
    scene.run((0, begin(failure(), gap=0)))
    scene.hook.meets = [LOST]
    success_at = [
        (second, begin(success(), 8 if second == 20 else 20, recovery=True, text="works", gap=0))
        for second in (20, 25, 51)
    ]
    scene.run(*success_at)

    assert scene.raised == [LOST]
    assert scene.hook.sent[1:] == [(51, "1", "works")]


def test_what_failed_while_a_message_was_on_its_way_that_did_not_arrive_is_counted_with_it(scene):
    """More of them than are known by name."""
    begin = scene.begin
    scene.hook.meets = [None, AWAY]
    scene.run(
        (0, begin(failure("other"))),
        (1, begin(failure())),
        *((2 + number / 100, begin(failure(run=f"r{number}"))) for number in range(105)),
    )
    scene.run((400, begin(failure(run="late"))))

    assert scene.raised == [AWAY]
    assert scene.hook.sent[1:] == [(400, "1", "it happened (106 more failures: load (101 times), ...)")]


def test_a_failure_that_is_left_to_the_next_message_is_counted_as_suppressed(scene, monkeypatch):
    counted = []
    scene.hook.meets = [LOST]
    scene.run((0, scene.begin(failure(), 8, gap=0)))
    monkeypatch.setattr(module.Stats, "incr", lambda name, count: counted.append((name, count)))
    scene.run((5, scene.begin(failure(run="r2"), 8, gap=0)))

    assert counted == [("whatsapp.alerts.held", 1)]


def test_a_failure_that_cannot_be_left_to_its_recipients_is_told_by_the_next_message(scene):
    """In the pause after a lost answer, and without a connection that says who they are."""
    scene.hook.meets = [LOST]
    scene.run((0, scene.begin(failure(), 8, gap=0)))
    scene.hook.broken = WhatsAppError("no connection")
    scene.run((5, scene.begin(failure(run="r2"), 8, gap=0)))
    scene.hook.broken = None
    scene.run((31, scene.begin(failure(run="r3"), 8, gap=0)))

    assert scene.hook.sent == [(31, "1", "it happened (2 more failures: load, load)")]


def test_a_national_number_is_read_as_the_connection_says(scene):
    scene.hook.client.config.default_country = "DE"
    scene.run((0, scene.begin(failure(), to="0170 1234568")))

    assert [to for _, to, _ in scene.hook.sent] == ["8"]
