"""The operator of templates as code, one step at a time: each test fails when its call is left out."""

from __future__ import annotations

import logging
import time
from types import SimpleNamespace

import pytest
from airflow.sdk import Asset

from airflow_provider_whatsapp import _compat
from airflow_provider_whatsapp.operators import templates as module
from airflow_provider_whatsapp.operators.templates import SyncTemplatesOperator

LATE = {"name": "late", "category": "UTILITY", "languages": {"en_US": {"body": "It is late."}}}


class Task:
    """A try of a task: Airflow's context, with what the operator pushes and emits."""

    def __init__(self, pushed=None):
        self.pushed = dict(pushed or {})
        self._events = {}
        ti = SimpleNamespace(task_id="sync", map_index=-1, xcom_push=self._push, xcom_pull=self._pull)
        self.context = {"ti": ti, "outlet_events": self}

    def _push(self, *, key, value):
        self.pushed[key] = value

    def _pull(self, *, task_ids, key, map_indexes):
        assert (task_ids, map_indexes) == ("sync", -1)
        return self.pushed.get(key)

    def __getitem__(self, outlet):
        return self._events.setdefault(outlet.uri, SimpleNamespace())

    @property
    def emitted(self):
        return [event.extra for event in self._events.values()]


def late_asset():
    return Asset(name="late", uri="whatsapp://102290129340398/template/late/en_US")


def operator(**options):
    return SyncTemplatesOperator(task_id="sync", **{"templates": [LATE], **options})


def sync(task=None, **options):
    """Run the operator once."""
    made = operator(**options)
    return made.execute((task or Task()).context)


def listed(sandbox):
    return len([each for each in sandbox.requests_to("message_templates") if each["method"] == "GET"])


@pytest.fixture
def pauses(monkeypatch):
    """Give a clock that only a pause moves, and a list of what happens during the pauses."""
    during, slept = [], []
    now = [time.time()]

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds
        if during:
            during.pop(0)()

    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: now[0], sleep=sleep))
    return SimpleNamespace(during=during, slept=slept)


def test_an_argument_of_the_wrong_kind_is_refused_before_any_request(sandbox):
    with pytest.raises(_compat.AirflowFailException, match="max_deletions"):
        sync(max_deletions="many")

    assert listed(sandbox) == 0


def test_a_report_is_returned_and_pushed(sandbox):
    task = Task()
    result = sync(task)

    assert task.pushed == {"report": result}
    assert [(each["name"], each["state"]) for each in result["outcomes"]] == [("late", "done")]


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("on_drift", ["fail", "warn"])
def test_a_category_that_meta_has_changed_is_an_error_or_a_warning(
    sandbox, caplog, monkeypatch, dry_run, on_drift
):
    monkeypatch.setattr(SyncTemplatesOperator, "log", logging.getLogger("task"))
    sync()
    sandbox.templates.approve("late")
    sandbox.control("POST", "templates", name="late", language="en_US", category="MARKETING")
    options = {"dry_run": dry_run, "on_drift": on_drift}
    if on_drift == "fail":
        with pytest.raises(_compat.AirflowFailException, match="MARKETING"):
            sync(**options)
    else:
        sync(**options)

    assert "MARKETING" in [each for each in caplog.records if each.levelname == "WARNING"][-1].getMessage()


def test_a_category_that_meta_gives_at_creation_is_an_error_once_the_report_is_pushed(sandbox):
    sandbox.control("POST", "reviews", name="late", category="MARKETING")
    task = Task()
    with pytest.raises(_compat.AirflowFailException, match="MARKETING, not UTILITY"):
        sync(task, on_drift="fail")

    assert task.pushed["report"]["outcomes"]


@pytest.mark.parametrize(("status", "retried"), [(500, True), (400, False)])
def test_a_change_that_cannot_be_made_fails_the_task_once_its_report_is_pushed(sandbox, status, retried):
    sandbox.fail_next("status", status=status, times=0, method="POST", path="message_templates")
    task = Task()
    with pytest.raises(module.AirflowException, match="XCom 'report'") as caught:
        sync(task)

    assert isinstance(caught.value, _compat.AirflowFailException) is not retried
    assert task.pushed["report"]["outcomes"]


@pytest.mark.parametrize("status", ["APPROVED", "PENDING"])
def test_without_a_wait_a_template_that_meta_approves_at_once_is_an_event_of_its_asset(sandbox, status):
    body = {"id": "1", "status": status, "category": "UTILITY"}
    sandbox.fail_next("status", status=200, body=body, method="POST", path="message_templates")
    task = Task()
    sync(task, outlets=[late_asset()])

    assert [facts["status"] for facts in task.emitted] == ["APPROVED"] * (status == "APPROVED")


@pytest.mark.parametrize("what", ["definitions", "sample", "pull"])
def test_a_file_outside_media_roots_is_neither_read_nor_written(sandbox, tmp_path, monkeypatch, what):
    (tmp_path / "roots").mkdir()
    (tmp_path / "sample.png").write_bytes(b"")
    monkeypatch.setenv("AIRFLOW__WHATSAPP__MEDIA_ROOTS", str(tmp_path / "roots"))
    header = {"image": str(tmp_path / "sample.png")}
    picture = {**LATE, "languages": {"en_US": {"body": "It is late.", "header": header}}}
    options = {
        "definitions": {"templates": str(tmp_path / "late.yaml")},
        "sample": {"templates": [picture]},
        "pull": {"templates": str(tmp_path / "pulled"), "direction": "pull"},
    }
    with pytest.raises(_compat.AirflowFailException, match="media_roots"):
        sync(**options[what])

    assert listed(sandbox) == 0


def test_a_wait_polls_until_meta_has_approved_and_makes_an_event(sandbox, pauses):
    pauses.during += [lambda: None, lambda: sandbox.templates.approve("late")]
    task = Task()
    result = sync(task, wait_for_approval=True, poke_interval=7, outlets=[late_asset()])

    assert result == task.pushed["report"]
    assert pauses.slept == [7, 7]
    (facts,) = task.emitted
    assert (facts["name"], facts["status"]) == ("late", "APPROVED")


def test_a_wait_makes_no_event_of_what_it_has_not_changed(sandbox, pauses):
    sync()
    sandbox.templates.approve("late")
    task = Task()
    sync(task, wait_for_approval=True, outlets=[late_asset()])

    assert (task.emitted, pauses.slept) == ([], [])


def test_a_wait_ends_with_meta_s_refusal(sandbox, pauses):
    pauses.during.append(lambda: sandbox.templates.reject("late", reason="SCAM"))
    with pytest.raises(_compat.AirflowFailException, match="SCAM"):
        sync(wait_for_approval=True)


def test_a_wait_ends_with_its_time_and_says_what_it_waited_for(sandbox, pauses):
    with pytest.raises(_compat.AirflowFailException, match=r"approval_timeout.*late"):
        sync(wait_for_approval=True, approval_timeout=25, poke_interval=10)

    assert pauses.slept == [10, 10, 5]


def test_a_poll_that_fails_is_made_again(sandbox, pauses, change_connection):
    change_connection(extra={"max_retries": 0})
    pauses.during += [
        lambda: sandbox.fail_next("status", status=500, method="GET", path="message_templates"),
        lambda: sandbox.templates.approve("late"),
    ]
    sync(wait_for_approval=True)

    assert len(pauses.slept) == 2


def test_a_wait_in_the_triggerer_begins_with_a_poll_and_keeps_its_end(sandbox, pauses):
    made = operator(wait_for_approval=True, deferrable=True, approval_timeout=600, poke_interval="7")
    task = Task()
    with pytest.raises(_compat.TaskDeferred) as caught:
        made.execute(task.context)

    trigger, end = caught.value.trigger, module.time.time() + 600
    assert task.pushed["report"]
    assert (trigger.wanted, trigger.end_time, trigger.poke_interval) == (
        [["late", "en_US", "UTILITY"]],
        end,
        7,
    )
    assert (caught.value.method_name, caught.value.timeout.total_seconds()) == ("execute_complete", 660)
    assert pauses.slept == []


@pytest.mark.parametrize("state", ["approved", "refused"])
def test_a_task_that_comes_back_from_the_triggerer_ends_by_its_event(sandbox, state):
    report = {"outcomes": [{"name": "late", "language": "en_US", "action": "create", "state": "done"}]}
    row = {"name": "late", "language": "en_US", "status": "APPROVED", "id": "1"}
    event = {"state": state, "message": "late (en_US): judged", "templates": [row]}
    task, made = Task({"report": report}), operator(outlets=[late_asset()])
    if state == "approved":
        assert made.execute_complete(task.context, event) == report
        assert task.emitted == [row]
    else:
        with pytest.raises(_compat.AirflowFailException, match="judged"):
            made.execute_complete(task.context, event)


def test_an_event_of_another_version_ends_the_task(sandbox):
    with pytest.raises(_compat.AirflowFailException, match="does not know"):
        operator().execute_complete(Task().context, {"status": "APPROVED"})
