"""The notifier against the sandbox, with a context as Airflow's callbacks give it."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.airflow

TO = "+15550001111"
OTHER = "+15550002222"
BODY = [{"type": "BODY", "text": "Something is wrong."}]
OWN = [
    {"type": "HEADER", "format": "TEXT", "text": "Alert {{1}}", "example": {"header_text": ["x"]}},
    {"type": "BODY", "text": "It says {{1}} now.", "example": {"body_text": [["x"]]}},
    {
        "type": "BUTTONS",
        "buttons": [
            {
                "type": "URL",
                "text": "Open",
                "url": "https://x.example/{{1}}",
                "example": ["https://x.example/x"],
            }
        ],
    },
]


class Variables:
    """What Airflow's Variables are, in memory."""

    def __init__(self):
        self.values = {}

    def get(self, key, default=None):
        return self.values.get(key, default)

    def set(self, key, value):
        self.values[key] = value


@pytest.fixture
def variables(monkeypatch, tmp_path):
    """Keep Airflow's Variables in memory: there is no Airflow around these tests."""
    from airflow.sdk import Variable

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    kept = Variables()
    monkeypatch.setattr(Variable, "get", kept.get)
    monkeypatch.setattr(Variable, "set", kept.set)
    return kept


@pytest.fixture
def counts(monkeypatch):
    """Count what is told to Airflow's metrics."""
    from airflow_provider_whatsapp import _compat

    found = {}
    monkeypatch.setattr(
        _compat.Stats,
        "incr",
        lambda name, count=1, **_: found.update({name: found.get(name, 0) + count}),
        raising=False,
    )
    return found


@pytest.fixture
def template(sandbox):
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

    MatonWhatsAppHook().create_template("something_wrong", "en_US", "UTILITY", BODY)
    sandbox.control("POST", "templates", name="something_wrong", language="en_US", status="APPROVED")
    return "something_wrong"


def make(**options):
    from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

    return WhatsAppNotifier(**{"to": TO, "gap": 0, **options})


def failure(run="r1", **fields):
    ti = SimpleNamespace(
        dag_id="orders",
        task_id="load",
        run_id=run,
        try_number=1,
        map_index=-1,
        state="failed",
        log_url="https://airflow.example.com/dags/orders",
    )
    from airflow.sdk import DAG

    dag = DAG("orders", tags=fields.pop("tags", set()))
    return {"ti": ti, "run_id": run, "dag": dag, "exception": ValueError("no rows"), **fields}


@pytest.fixture
def several_machines(monkeypatch):
    """Let tasks run on several machines, whose alerts look after their claims a moment later."""
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setattr("airflow_provider_whatsapp.notifications.throttle_state.SETTLING", 0.1)


def mapped(index=0, **fields):
    """Return the context of a mapped task; fields are the task instance's."""
    context = failure()
    vars(context["ti"]).update(map_index=index, **fields)
    return context


@pytest.fixture
def away(sandbox, monkeypatch):
    """Give a connection to a gateway that does not answer."""
    connection = json.dumps(
        {
            "conn_type": "maton_whatsapp",
            "password": "k",
            "host": "http://127.0.0.1:9",
            "extra": {"phone_number_id": "1", "max_retries": 0},
        }
    )
    monkeypatch.setenv("AIRFLOW_CONN_AWAY", connection)
    return "away"


def bodies(sandbox):
    return [message["payload"]["text"]["body"] for message in sandbox.messages]


def hook(**options):
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

    return MatonWhatsAppHook(**options)


def told(sandbox):
    return [(message["to"], message["type"]) for message in sandbox.messages]


def errors(caplog):
    """Return this package's lines; Airflow has a line of its own for Jinja that fails."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.ERROR and "whatsapp" in record.name
    ]


def open_window(sandbox, number):
    sandbox.control("POST", "replies", **{"from": number, "text": "hello"})


def test_in_an_open_window_the_text_is_enough(sandbox, variables, template, counts):
    open_window(sandbox, TO)
    make(text="no rows", template_name=template)(failure())

    assert told(sandbox) == [("15550001111", "text")]
    assert counts == {"whatsapp.alerts.sent": 1}


def test_in_a_closed_window_the_template_follows_the_text(sandbox, variables, template, counts):
    """The sandbox, as Meta mostly does, accepts the text and says later that the window was closed."""
    open_window(sandbox, OTHER)
    make(to=[TO, OTHER], text="no rows", template_name=template)(failure())

    assert told(sandbox) == [
        ("15550001111", "text"),
        ("15550002222", "text"),
        ("15550001111", "template"),
    ]
    assert counts == {"whatsapp.alerts.sent": 2}


def test_a_text_that_is_refused_at_once_is_followed_by_the_template(sandbox, variables, template):
    body = {"error": {"message": "(#131047) Re-engagement message", "type": "OAuthException", "code": 131047}}
    sandbox.fail_next("status", status=400, body=json.dumps(body), times=1, path="/messages")
    make(text="no rows", template_name=template, text_wait=0)(failure())

    assert told(sandbox) == [("15550001111", "template")]


def test_without_a_look_a_text_that_was_accepted_is_the_end(sandbox, variables, template):
    make(text="no rows", template_name=template, text_wait=0)(failure())

    assert told(sandbox) == [("15550001111", "text")]
    assert sandbox.requests_to("message_history") == []


def test_a_text_in_doubt_is_not_followed_by_the_template(sandbox, variables, template, caplog, counts):
    sandbox.fail_next("drop_after", times=1, path="/messages")
    make(text="no rows", template_name=template)(failure())

    assert told(sandbox) == [("15550001111", "text")]
    assert len(errors(caplog)) == 1
    assert counts == {"whatsapp.alerts.failed": 1}


def test_a_text_that_fails_for_another_reason_is_told_and_not_followed(sandbox, variables, template, caplog):
    open_window(sandbox, TO)
    sandbox.control("POST", "recipients", wa_id="15550001111", error=131026)
    make(text="no rows", template_name=template)(failure())

    assert told(sandbox) == [("15550001111", "text")]
    (line,) = errors(caplog)
    assert "could not deliver" in line


def test_a_history_that_is_closed_says_nothing_about_the_window(sandbox, variables, template, caplog):
    sandbox.fail_next("status", status=403, times=5, path="message_history")
    make(text="no rows", template_name=template)(failure())

    assert told(sandbox) == [("15550001111", "text")]
    assert any("does not say whether it delivered" in record.getMessage() for record in caplog.records)


def test_where_the_history_is_closed_the_event_store_says_that_the_window_is(
    sandbox, variables, template, whatsapp_events, monkeypatch
):
    from airflow_provider_whatsapp.hooks import receipts_first

    sandbox.fail_next("status", status=403, times=50, path="message_history")
    look_up, looks = receipts_first.receipts_in, []

    def deliver_and_look_up(url, message_ids):
        looks.append(whatsapp_events.deliver(30))
        return look_up(url, message_ids)

    monkeypatch.setattr(receipts_first, "receipts_in", deliver_and_look_up)
    make(text="no rows", template_name=template, text_wait=20)(failure())

    assert told(sandbox) == [("15550001111", "text"), ("15550001111", "template")]
    assert len(looks) == 1
    assert sandbox.requests_to("message_history") == []


def test_a_template_that_does_not_fit_is_one_line_with_advice(sandbox, variables, template, caplog, counts):
    make(template_name=template, body=["one", "two"])(failure())

    (line,) = errors(caplog)
    assert "132000" in line
    assert "Compare header, body and buttons" in line
    assert counts == {"whatsapp.alerts.failed": 1}


def test_an_unreachable_gateway_is_one_line_and_the_next_alert_tells_of_it(
    sandbox, variables, caplog, counts, away
):
    make(text="no rows", maton_conn_id=away)(failure())
    (line,) = errors(caplog)
    make(text="no rows")(failure(run="r2"))
    make(text="no rows")(failure(run="r3"))

    assert "the alert did not reach everybody" in line
    assert "15550001111" not in caplog.text
    (message,) = sandbox.messages
    assert message["payload"]["text"]["body"] == "no rows (1 more failure: load)"
    assert counts == {"whatsapp.alerts.failed": 1, "whatsapp.alerts.sent": 1, "whatsapp.alerts.held": 1}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"maton_conn_id": "nowhere"}, id="no connection"),
        pytest.param({"text": "{{ 1 / 0 }}"}, id="Jinja that fails"),
        pytest.param({"to": "call me"}, id="no number"),
        pytest.param({"to": None, "routes": "no_such_variable"}, id="no routes"),
    ],
)
def test_whatever_is_wrong_is_one_line_and_no_exception(sandbox, variables, caplog, counts, options):
    make(**options)(failure())

    assert len(errors(caplog)) == 1
    assert counts == {"whatsapp.alerts.failed": 1}
    assert sandbox.messages == []


def test_a_name_that_the_context_lacks_is_a_dash(sandbox, variables):
    context = failure()
    del context["exception"]
    make(text="{{ ti.task_id }}: {{ exception }}, {{ nothing.at.all }}{% if nothing %}!{% endif %}")(context)

    (message,) = sandbox.messages
    assert message["payload"]["text"]["body"] == "load: -, -"


def test_a_coroutine_raises_nothing_either(sandbox, caplog, counts):
    async def miss(**options):
        context = {
            "dag_run": {"dag_id": "orders", "run_id": "r1"},
            "deadline": {"deadline_time": "2026-01-02"},
        }
        return await make(context=context, **options)

    assert asyncio.run(miss()) == "sent"
    assert "did not reach" in asyncio.run(miss(maton_conn_id="nowhere"))
    (message,) = sandbox.messages
    assert message["payload"]["text"]["body"] == "DAG orders: deadline missed"
    assert len(errors(caplog)) == 1


def test_a_coroutine_looks_up_its_connection_without_blocking(sandbox, monkeypatch):
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

    def block(conn_id):
        raise AssertionError(f"looked up {conn_id} as a task does")

    async def miss():
        deadline = {"deadline_time": "2026-01-02"}
        return await make(context={"dag_run": {"dag_id": "orders", "run_id": "r1"}, "deadline": deadline})

    monkeypatch.setattr(MatonWhatsAppHook, "get_connection", block)

    assert asyncio.run(miss()) == "sent"


def test_a_coroutine_pauses_for_as_long_as_its_alert_says(sandbox, monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    alert = SimpleNamespace(steps=lambda: iter([0.5, 0.25]))
    monkeypatch.setattr("airflow_provider_whatsapp.notifications.alert.Alert", lambda *_, **__: alert)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    asyncio.run(make().async_notify({}))

    assert slept == [0.5, 0.25]


def test_what_a_coroutine_asks_of_airflow_is_asked_on_behalf_of_its_loop(sandbox, variables, monkeypatch):
    """Airflow 3.1 answers a thread that does not know the triggerer's loop with somebody else's answer."""
    from airflow.sdk import Variable
    from asgiref.sync import async_to_sync

    async def loop_of_this():
        return asyncio.get_running_loop()

    def get(key, default=None):
        asked_for.append(async_to_sync(loop_of_this)())
        return variables.get(key, default)

    async def miss():
        deadline = {"deadline_time": "2026-01-02"}
        context = {"dag_run": {"dag_id": "orders", "run_id": "r1"}, "deadline": deadline}
        return await make(context=context), asyncio.get_running_loop()

    asked_for = []
    monkeypatch.setattr(Variable, "get", get)
    said, loop = asyncio.run(miss())

    assert said == "sent"
    assert asked_for
    assert set(asked_for) == {loop}


def test_routes_by_severity_and_tag(sandbox, variables):
    variables.set(
        "oncall", json.dumps({"high": [TO], "tag:finance": [TO, OTHER], "default": ["+15550009999"]})
    )
    make(to=None, severity="high", routes="oncall", cooldown=0)(failure(tags={"finance"}))
    make(to=None, severity="low", routes="oncall", cooldown=0)(failure())

    assert [to for to, _ in told(sandbox)] == ["15550001111", "15550002222", "15550009999"]


def test_routes_that_cannot_be_read_do_not_keep_the_alert_from_those_who_are_named(
    sandbox, variables, caplog
):
    make(routes="no_such_variable")(failure())

    assert [to for to, _ in told(sandbox)] == ["15550001111"]
    assert len(errors(caplog)) == 1


def test_after_so_many_runs_in_a_row_others_are_told_despite_the_cooldown(sandbox, variables):
    notifier = make(text="no rows", escalate_to=OTHER, escalate_after=3)
    for run in ("r1", "r2", "r2", "r3", "r4"):
        notifier(failure(run=run))

    first, *escalated = ((message["to"], message["payload"]["text"]["body"]) for message in sandbox.messages)
    words = "no rows (3 runs in a row have failed; 2 more failures: load, load)"
    assert first == ("15550001111", "no rows")
    assert escalated == [("15550001111", words), ("15550002222", words)]


def test_a_muted_alert_is_silent_and_its_first_message_afterwards_tells_of_what_was_missed(
    sandbox, variables, counts, caplog
):
    from airflow_provider_whatsapp.notifications.mute import mute

    caplog.set_level(logging.INFO)
    notifier = make(text="no rows", cooldown=1e-6)
    notifier(failure("r1"))
    mute(variables, "orders.load", seconds=3600, by="ann", sleep=lambda _: None)
    notifier(failure("r2"))
    succeeded = failure("r2", exception=None)
    succeeded["ti"].state = "success"
    make(text="fine", recovery=True)(succeeded)
    notifier(failure("r3"))
    mute(variables, "orders.load", seconds=0, by="ann", sleep=lambda _: None)
    notifier(failure("r4"))

    texts = [message["payload"]["text"]["body"] for message in sandbox.messages]
    assert texts == ["no rows", "no rows (1 more failure: load)"]
    assert counts["whatsapp.alerts.held"] == 2
    assert "ann has muted this alert until" in caplog.text
    (record,) = (json.loads(text) for name, text in variables.values.items() if "failures" in text)
    assert record["dags"] == ["orders"]


def test_a_notifier_with_nobody_to_tell_is_refused():
    with pytest.raises(ValueError, match="`to` or `routes`"):
        make(to=None)
    with pytest.raises(ValueError, match="severity"):
        make(severity="high")


REFUSED = json.dumps({"error": {"message": "(#100) Invalid parameter", "code": 100}})
PAIR_LIMIT = json.dumps({"error": {"message": "(#131056) Pair rate limit hit", "code": 131056}})


def too_fast(sandbox, times):
    sandbox.fail_next("status", status=400, body=PAIR_LIMIT, times=times, path="/messages")


def test_an_alert_that_came_too_fast_for_its_person_is_sent_again(sandbox, variables, caplog):
    too_fast(sandbox, 1)
    make(text="no rows")(failure())

    assert told(sandbox) == [("15550001111", "text")]
    assert errors(caplog) == []


def test_an_alert_that_stays_too_fast_is_one_line_and_told_by_the_next(
    sandbox, variables, caplog, change_connection
):
    change_connection(extra={"max_retries": 0})
    too_fast(sandbox, 1)
    make(text="no rows")(failure())
    (line,) = errors(caplog)
    make(text="no rows")(failure(run="r2"))

    assert "131056" in line
    assert "one message every 6 seconds" in line
    (message,) = sandbox.messages
    assert message["payload"]["text"]["body"] == "no rows (1 more failure: load)"


def test_a_request_is_given_up_when_its_time_is_over(sandbox):
    """By its nature 131056 asks to wait 1, 4, 16 and 64 s, and Airflow ends callbacks before that."""
    from airflow_provider_whatsapp.client.errors import OutcomeUnknownError, RateLimitError

    too_fast(sandbox, 2)
    with pytest.raises(RateLimitError):
        hook(until=time.monotonic() + 0.5).send_text(TO, "no rows")
    assert len(sandbox.requests_to("/messages")) == 1
    hook(until=time.monotonic() + 5).send_text(TO, "no rows")

    sandbox.fail_next("slow", seconds=30, times=1, path="/messages")
    with pytest.raises(OutcomeUnknownError):
        hook(until=time.monotonic() + 0.5).send_text(TO, "no rows")


def test_for_what_there_is_no_time_nothing_is_sent(sandbox):
    from airflow_provider_whatsapp.client.errors import NotSentError

    with pytest.raises(NotSentError, match="no time was left"):
        hook(until=time.monotonic()).send_text(TO, "no rows")
    assert sandbox.requests_to("/messages") == []


def test_the_summary_tells_of_every_task_that_shares_a_key(sandbox, variables):
    """The one that fails first waits for the others, though none of them is mapped."""
    notifier = make(text="no rows", dedupe_key="finance", roll_up=0.5)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda run: notifier(failure(run=run)), ("r1", "r2", "r3")))

    first, summary = (message["payload"]["text"]["body"] for message in sandbox.messages)
    assert first == "no rows"
    assert re.fullmatch(r"DAG orders, run r\d: 2 more failures: orders.load, orders.load", summary)


def test_a_summary_that_could_not_be_sent_is_told_by_the_next(sandbox, variables, caplog):
    notifier = make(text="no rows", dedupe_key="finance", roll_up=0.5)
    sandbox.fail_next("status", status=400, skip=1, times=1, path="/messages", body=REFUSED)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda run: notifier(failure(run=run)), ("r1", "r2")))
    (line,) = errors(caplog)
    make(text="no rows", dedupe_key="finance", roll_up=0)(failure(run="r3"))

    assert "100" in line
    first, following = (message["payload"]["text"]["body"] for message in sandbox.messages)
    assert first == "no rows"
    assert following == "no rows (1 more failure: orders.load)"


@pytest.mark.parametrize("cooldown", [1e-6, 300])
def test_where_variables_can_be_read_and_not_written_every_alert_is_sent(
    sandbox, variables, several_machines, monkeypatch, cooldown
):
    """On Airflow 3.1 and 3.2 such a write raises nothing, and what an older alert has claimed still stands."""
    from airflow.sdk import Variable

    notifier = make(text="{{ run_id }}", cooldown=cooldown)
    notifier(failure("r1"))
    monkeypatch.setattr(Variable, "set", lambda key, value: None)
    notifier(failure("r2"))
    notifier(failure("r3"))

    assert bodies(sandbox) == ["r1", "r2", "r3"]


def test_without_a_cooldown_every_failure_is_told_though_others_fail_in_the_same_moment(
    sandbox, variables, several_machines
):
    """What Airflow counts has been told already, so there is no summary either."""
    notifier = make(text="{{ ti.map_index }}", cooldown=0, roll_up=0.1, escalate_to=OTHER, escalate_after=99)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda index: notifier(mapped(index, get_ti_count=lambda **_: 9)), range(3)))

    assert sorted(bodies(sandbox)) == ["0", "1", "2"]


def test_the_tries_of_a_run_are_one_failed_run(sandbox, variables):
    notifier = make(text="no rows", roll_up=0, escalate_to=OTHER, escalate_after=2)
    for index, number in enumerate((1, 3, 1)):
        notifier(mapped(index, try_number=number))
    for number in (1, 2, 3):
        notifier(mapped(try_number=number, state="up_for_retry"))

    assert told(sandbox) == [("15550001111", "text")] * 2


def test_a_failure_that_another_machine_has_overwritten_is_told_by_airflow_s_count(
    sandbox, variables, several_machines
):
    make(text="no rows", roll_up=0.1)(mapped(get_ti_count=lambda **_: 1))

    assert bodies(sandbox) == ["no rows", "DAG orders, run r1: 1 more failure"]


def test_airflow_is_not_asked_for_the_number_of_tries_that_failed(sandbox, variables, several_machines):
    """It would tell how many tasks have failed for good."""
    make(text="no rows", roll_up=0.1)(mapped(state="up_for_retry", get_ti_count=lambda **_: 9))

    assert bodies(sandbox) == ["no rows"]


@pytest.fixture
def keep_teller(variables):
    """Let another alert wait for its turn with a person who has been told something."""

    def keep():
        found = {key: json.loads(value) for key, value in variables.values.items() if "_claim" not in key}
        ((key, record),) = ((key, record) for key, record in found.items() if "free_at" in record)
        variables.set(key, json.dumps(record | {"teller": "another", "free_at": time.time() + 12}))
        return lambda: json.loads(variables.values[key])

    return keep


def test_an_alert_that_is_handed_over_brings_along_what_it_should_have_told(sandbox, variables, keep_teller):
    for run in ("r1", "r2", "r3"):
        make(text="no rows", gap=6.5)(failure(run))
    person = keep_teller()
    make(text="no rows", gap=6.5, cooldown=1e-6)(failure("r4"))

    assert bodies(sandbox) == ["no rows"]
    assert (person()["held"], person()["names"]) == (3, ["orders.load"] * 3)


def test_a_summary_that_is_handed_over_brings_along_its_number(
    sandbox, variables, keep_teller, several_machines
):
    people = []

    def count(**_):
        people.append(keep_teller())
        return 3

    make(text="no rows", gap=6.5, roll_up=0.1)(mapped(get_ti_count=count))

    assert bodies(sandbox) == ["no rows"]
    assert people[0]()["held"] == 3


def test_a_recovery_that_could_not_be_sent_is_told_by_the_next_success(sandbox, variables, caplog, away):
    make(text="no rows")(failure())
    context = failure("r2")
    context["ti"].state = "success"
    del context["exception"]
    for connection in (away, "maton_whatsapp_default", "maton_whatsapp_default"):
        make(text="works again", recovery=True, maton_conn_id=connection)(context)

    assert len(errors(caplog)) == 1
    assert bodies(sandbox) == ["no rows", "works again"]


def test_what_goes_wrong_after_the_message_does_not_take_it_back(sandbox, variables, monkeypatch):
    from airflow_provider_whatsapp.notifications import alert

    def fail(name, count):
        raise OSError("no metrics")

    monkeypatch.setattr(alert, "Stats", SimpleNamespace(incr=fail))
    make(text="no rows")(failure())
    make(text="no rows")(failure("r2"))

    assert bodies(sandbox) == ["no rows"]


SECRET = "correct-horse-battery"
ERROR = f"could not log in: {'x' * 110} {SECRET} postgresql://etl:other-pass@db/x " + "y" * 300


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="the text by default"),
        pytest.param({"text": "It broke: {{ exception }} {{ mine }}"}, id="a text of one's own"),
        pytest.param({"template_name": "airflow_alert"}, id="the stock template"),
        pytest.param(
            {
                "template_name": "own",
                "header": "{{ mine }}",
                "body": ["{{ exception }}"],
                "buttons": ["x/{{ mine }}"],
            },
            id="a template of one's own",
        ),
    ],
)
def test_no_alert_tells_what_airflow_masks(sandbox, variables, options):
    from airflow.sdk.log import mask_secret

    from airflow_provider_whatsapp.cli import main
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook
    from airflow_provider_whatsapp.notifications import whatsapp

    hook = MatonWhatsAppHook()
    stock = Path(whatsapp.__file__).with_name("airflow_alert.yaml")
    assert main(["templates", "apply", str(stock)]) == 0
    hook.create_template("own", "en_US", "UTILITY", OWN)
    for name in ("airflow_alert", "own"):
        sandbox.control("POST", "templates", name=name, language="en_US", status="APPROVED")
    open_window(sandbox, TO)
    mask_secret(SECRET)

    make(**options)(failure(exception=RuntimeError(ERROR), mine=f"<{SECRET}>"))

    (message,) = sandbox.messages
    said = json.dumps(message)
    assert "***" in said
    # Not even a part of it, which a cut in front of the mask would leave.
    assert not [part for part in ("correct", "horse", "battery", "other-pass") if part in said]


def test_an_alert_ends_in_its_time_however_the_gateway_drips(variables, monkeypatch):
    """No byte of an answer that drips moves the end: Airflow would kill the callback."""
    from airflow_provider_whatsapp.notifications import time_budget
    from tests.hostile import HostileGateway, dripping, ok

    gateway = HostileGateway(dripping(ok(b"{", length=False), b" "))
    extra = {"phone_number_id": "1", "rate_limit": 0, "timeout": [2, 600], "max_retries": 0}
    connection = {"conn_type": "maton_whatsapp", "password": "key-of-the-test", "host": gateway.url}
    monkeypatch.setenv("AIRFLOW_CONN_DRIPPING", json.dumps({**connection, "extra": extra}))
    monkeypatch.setattr(time_budget, "OF_A_DAG", time_budget.MARGIN + 2)
    notifier = make(template_name="hello_world", maton_conn_id="dripping")

    with ThreadPoolExecutor(1) as pool:
        error = pool.submit(notifier.notify, failure()).exception(timeout=60)
    gateway.close()

    assert gateway.accepted == [TO.lstrip("+")]
    assert "may have been sent" in str(error)


ODD = [
    ("{{ exception }}", "no rows"),
    ("{{ when }}", "2026-11-28 20:07:00+00:00"),
    ("{{ nothing }}", "-"),
    ("{{ missing }}", "-"),
    ("{{ missing.deeper }}", "-"),
    ("{{ number }}", "12"),
    ("{{ ratio }}", "nan"),
    ("{{ half }}", "half \ufffd"),
    ("{{ lines }}", "a b"),
    ("12.50", "12.50"),
    ("12,400", "12,400"),
    ("{{ items }}", "['a', 1]"),
    (None, "-"),
    (12, "12"),
    (datetime(2026, 11, 28, 20, 7, tzinfo=UTC), "2026-11-28 20:07:00+00:00"),
    ("None", "-"),
]


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize(("value", "text"), ODD, ids=repr)
def test_no_alert_is_lost_for_an_odd_value(sandbox, variables, native, value, text, caplog):
    from airflow.sdk import DAG

    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

    MatonWhatsAppHook().create_template("own", "en_US", "UTILITY", OWN)
    sandbox.control("POST", "templates", name="own", language="en_US", status="APPROVED")
    context = failure(
        when=datetime(2026, 11, 28, 20, 7, tzinfo=UTC),
        nothing=None,
        number=12,
        ratio=float("nan"),
        half="half \ud83d",
        lines="a\n\tb",
        items=["a", 1],
    )
    context["dag"] = DAG("orders", schedule=None, render_template_as_native_obj=native)
    text = "-" if text == "nan" else text

    make(template_name="own", header=value or "-", body=[value], buttons=[value or "-"], cooldown=0)(context)

    assert [
        message["payload"]["template"]["components"][1]["parameters"][0]["text"]
        for message in sandbox.messages
    ] == [text], caplog.text


def carried(sandbox):
    return [message["payload"].get("biz_opaque_callback_data") for message in sandbox.messages]


@pytest.mark.usefixtures("variables")
def test_text_and_template_carry_callback_data_of_their_own(sandbox, template):
    body = {"error": {"message": "no", "type": "OAuthException", "code": 131047}}
    make(to=[TO, OTHER], text="no rows", text_wait=0, cooldown=0)(failure())
    sandbox.fail_next("status", status=400, body=body, to=TO.lstrip("+"))
    make(text="no rows", template_name=template, text_wait=0, cooldown=0)(failure("r2"))

    first, second, after_text = (text.split(".") for text in carried(sandbox))
    assert first[0] == second[0] == after_text[0] == "awp1"
    assert (first[1], first[2:], second[2:]) == (second[1], ["1", "0"], ["1", "1"])
    assert after_text[1] != first[1]
    assert after_text[2:] == ["2", "0"], "the text was the first"


@pytest.mark.usefixtures("variables")
def test_callback_data_of_one_s_own_is_filled_in_without_secrets(sandbox):
    make(callback_data="{{ ti.task_id }} password=hunter2")(failure())

    (own,) = carried(sandbox)
    assert own.startswith("load ")
    assert "hunter2" not in own


@pytest.mark.usefixtures("variables")
def test_an_alert_s_template_that_meta_has_moved_still_arrives(sandbox, template):
    sandbox.control("POST", "templates", name=template, category="MARKETING")
    sandbox.control("POST", "accounts", refuse_marketing=True)

    make(template_name=template)(failure())

    (message,) = sandbox.messages
    assert message["endpoint"] == "marketing_messages"
