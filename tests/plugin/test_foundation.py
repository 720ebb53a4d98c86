"""What holds for every page: who may see it, where it may come from, and what it costs those who never open it."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import subprocess
import sys
import threading

import pytest

from airflow_provider_whatsapp.client.errors import ServerError

TASK = "task/no_such_dag/manual__2026-11-28T00:00:00+00:00/send/-1"
LOADED = """
import sys
import airflow.plugins_manager
before = set(sys.modules)
import airflow_provider_whatsapp.plugin
print(*sorted(set(sys.modules) - before))
"""


def all_routes(app):
    """Every path that the app answers, with each of its methods, but for the one that is for everybody."""
    from airflow_provider_whatsapp.plugin.app import make_app

    public, rest = make_app()._app.routes
    assert public.path == "/a/{id}"
    for route in rest.app.routes:
        for method in route.methods:
            yield method, re.sub(r"\{\w+(:path)?\}", "x", route.path).lstrip("/")


def test_whoever_opens_no_page_pays_for_none():
    """Scheduler, DAG processor and workers import the plugin too: it brings nothing with it but itself."""
    package = "airflow_provider_whatsapp"

    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)

    assert set(done.stdout.splitlines()[-1].split()) - {package} == {f"{package}.plugin"}


@pytest.mark.parametrize(
    ("ui", "registered"),
    [("", ["nav", "task_instance"]), ("False", []), ("true", ["nav", "task_instance"])],
    ids=["default", "off", "on"],
)
def test_what_is_registered(monkeypatch, ui, registered):
    from airflow_provider_whatsapp import plugin

    if ui:
        monkeypatch.setenv("AIRFLOW__WHATSAPP__UI", ui)
    spec = importlib.util.spec_from_file_location("another_import", plugin.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    it = module.WhatsAppPlugin

    assert [view["destination"] for view in it.external_views] == registered
    assert len(it.fastapi_apps) == bool(registered)


def test_airflow_finds_the_plugin_by_its_entry_point():
    from importlib.metadata import entry_points

    (entry,) = [each for each in entry_points(group="airflow.plugins") if each.name == "whatsapp"]

    assert entry.load().name == "whatsapp"


def test_every_route_asks_who_it_is_first(app, look):
    for method, path in all_routes(app):
        answer = look(path, role=None, method=method)
        assert answer.status_code == 401, f"{method} {path}"
        assert method == "HEAD" or "You are not logged in." in answer.text


def test_a_dag_that_is_not_there_is_refused_like_one_that_may_not_be_seen(look):
    for role in ("viewer", "admin"):
        answer = look(TASK, role)
        assert answer.status_code == 403
        assert "no_such_dag" not in answer.text


@pytest.mark.parametrize("denied", [("stock", None), ("sales", "TASK_INSTANCE"), ("sales", "XCOM")], ids=str)
def test_the_tab_is_for_those_who_may_see_the_dag_its_tasks_and_its_xcoms(look, dags, monkeypatch, denied):
    """SimpleAuthManager has no permissions for one DAG, as others have; FAB is asked in test_fab.py."""
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    allowed = SimpleAuthManager.is_authorized_dag

    def but_one(manager, *, access_entity=None, details=None, **about):
        named = (details.id if details else None, access_entity and access_entity.name)
        refused = named[0] == denied[0] and denied[1] in (None, named[1])
        return not refused and allowed(manager, access_entity=access_entity, details=details, **about)

    monkeypatch.setattr(SimpleAuthManager, "is_authorized_dag", but_one)
    run = "manual__2026-11-28T00:00:00+00:00/send/-1"
    statuses = {
        dag_id: look(f"task/{dag_id}/{run}").status_code for dag_id in ("sales", "stock", "no_such_dag")
    }

    # Whoever may see it is told that there is no such run.
    assert statuses == {"sales": 404, "stock": 404} | {denied[0]: 403, "no_such_dag": 403}
    for path in (f"task/{denied[0]}/{run}", f"task/{denied[0]}/{run}/recipients.csv"):
        assert look(path, method="POST", sec_fetch_site="same-origin").status_code == 403
        assert look(path, role=None, method="POST", sec_fetch_site="same-origin").status_code == 401


def test_a_wrong_token_and_a_wrong_address(look, app):
    from fastapi.testclient import TestClient

    client = TestClient(app)
    client.cookies.set("_token", "no.jwt.at-all")
    assert client.get("/airflow/whatsapp/browse").status_code in (401, 403)
    assert look("nothing/here").status_code == 404
    assert "There is no such page." in look("nothing/here").text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec_fetch_site": "same-origin", "origin": "http://airflow.example"}, 404),
        ({"sec_fetch_site": "same-origin"}, 404),
        ({"origin": "http://airflow.example"}, 404),
        ({"sec_fetch_site": "cross-site", "origin": "http://evil.example"}, 403),
        ({"sec_fetch_site": "same-site", "origin": "http://evil.airflow.example"}, 403),
        ({"sec_fetch_site": "same-origin", "origin": "http://evil.example"}, 403),
        ({"sec_fetch_site": "none"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({}, 403),
        ({"authorization": "Basic x"}, 403),
    ],
    ids=lambda value: "-".join(value) or "neither" if isinstance(value, dict) else str(value),
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_what_changes_something_comes_from_our_own_page(look, headers, status, method):
    assert look("nothing", "admin", method, **headers).status_code == status


def test_a_script_with_a_token_of_its_own_may(app, airflow_users):
    from fastapi.testclient import TestClient

    headers = {"Authorization": f"Bearer {airflow_users('admin')}"}

    assert TestClient(app).post("/airflow/whatsapp/nothing", headers=headers).status_code == 404


def test_the_policy_lets_nothing_in_but_the_page_s_own_style_and_script(look):
    answer = look("browse")

    policy = answer.headers["Content-Security-Policy"]
    nonce = re.search(r"'nonce-([^']+)'", policy)[1]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "frame-ancestors 'self'" in policy
    assert re.findall(r"<(?:script|style)[^>]*>", answer.text) == [
        f'<{tag} nonce="{nonce}">' for tag in ("style", "script", "script")
    ]
    assert nonce not in look("browse").text
    assert answer.headers["Cache-Control"] == "no-store"


def test_no_template_of_the_plugin_has_what_the_policy_forbids_or_a_foreign_address():
    from airflow_provider_whatsapp.plugin import html

    for template in (html._HERE / "templates").iterdir():
        text = template.read_text("utf-8")
        assert not re.search(r'\s(style|on\w+)=["\']', text), template.name
        assert not re.search(r'(?:src|href|action)="(?:https?:)?/', text), template.name
        assert set(re.findall(r"\{\{ ?(\w+) \| safe ?\}\}", text)) <= {"css", "js", "theme_js"}, template.name


def test_a_fault_becomes_a_page_that_quotes_nothing(monkeypatch, caplog, look):
    from airflow_provider_whatsapp.plugin import access

    def fail(_):
        raise RuntimeError("secret +15550001111")

    monkeypatch.setattr(access, "dag_is_there", fail)
    answer = look(TASK)

    assert answer.status_code == 500
    assert "The page failed." in answer.text
    assert "secret" not in answer.text + caplog.text
    assert "RuntimeError" in caplog.text


def test_a_database_that_hangs_is_waited_for_in_threads_of_our_own(monkeypatch, look):
    from airflow_provider_whatsapp.plugin import access, sources

    ended = threading.Event()
    monkeypatch.setattr(sources, "DATABASE_WAIT", 0.05)
    monkeypatch.setattr(access, "dag_is_there", lambda _: ended.wait(30))
    try:
        answer = look(TASK)
    finally:
        ended.set()

    assert answer.status_code == 503
    assert "did not answer in time" in answer.text


def test_no_more_calls_wait_for_airflow_than_there_is_room_for(monkeypatch):
    from airflow_provider_whatsapp.plugin import sources

    threads, ended, ran = sources.Threads("The test", threads=1, queue=2), threading.Event(), []

    async def run():
        monkeypatch.setattr(sources, "DATABASE_WAIT", 0.05)
        calls = (threads.run(ended.wait, 30), *(threads.run(ran.append, n) for n in range(3)))
        late = await asyncio.gather(*calls, return_exceptions=True)
        ended.set()
        monkeypatch.setattr(sources, "DATABASE_WAIT", 60.0)
        return late, await threads.run(str, 7)

    late, after = asyncio.run(run())

    assert [type(each) for each in late] == [sources.SlowAirflowError] * 4
    assert str(late[0]) == "The test did not answer in time. Look again in a moment."
    assert after == "7"
    assert ran == []  # nobody waits for them any more


@pytest.mark.parametrize(
    ("sheet", "slow"),
    [("alerts", "alert_rows"), ("alerts", "dag_permits"), ("health", "visible_connections")],
)
def test_what_hangs_behind_a_sheet_costs_that_sheet_a_sentence(look, monkeypatch, sheet, slow):
    from airflow_provider_whatsapp.plugin import browse, sources

    ended = threading.Event()
    monkeypatch.setattr(sources, "DATABASE_WAIT", 0.05)
    monkeypatch.setattr(browse, slow, lambda *_: ended.wait(30))
    try:
        answer = look(f"browse/{sheet}", "admin")
    finally:
        ended.set()

    assert answer.status_code == 503
    assert "did not answer in time" in answer.text


class TestSources:
    @pytest.fixture
    def sources(self):
        from airflow_provider_whatsapp.plugin.sources import Sources

        return Sources(threads=2)

    def test_a_question_is_asked_once_for_everybody(self, sources):
        asked = []

        async def several():
            return await asyncio.gather(
                *(sources.ask("a", lambda: asked.append(1) or "yes") for _ in range(5))
            )

        answers = asyncio.run(several())

        assert {answer.value for answer in answers} == {"yes"}
        assert asked == [1]

    def test_an_answer_is_kept_for_half_a_minute_and_until_it_is_forgotten(self, sources, monkeypatch):
        from airflow_provider_whatsapp.plugin import sources as module

        count = iter(range(9))
        now = [1_000.0]
        monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

        def ask():
            return sources._find("a", lambda: next(count), ()).future.result(10).value

        assert [ask(), ask()] == [0, 0]
        now[0] += module.KEPT - 0.1
        assert ask() == 0
        now[0] += 0.2
        assert ask() == 1
        sources.forget("a")
        assert ask() == 2

    def test_what_is_slow_is_waited_for_shortly_and_its_answer_comes_later(self, sources, monkeypatch):
        from airflow_provider_whatsapp.plugin import sources as module

        monkeypatch.setattr(module, "WAIT", 0.05)
        ready = threading.Event()

        def slow():
            ready.wait(30)
            return "late"

        first = asyncio.run(sources.ask("a", slow))
        ready.set()
        sources._asked["a"].future.result(10)
        second = asyncio.run(sources.ask("a", slow))

        assert (first.ok, first.value) == (False, None)
        assert first.late
        assert "no answer in time" in first.problem
        assert second.value == "late"

    def test_one_question_too_many_is_refused(self, sources, monkeypatch):
        from airflow_provider_whatsapp.plugin import sources as module

        monkeypatch.setattr(module, "QUEUE", 2)
        ready = threading.Event()
        for key in "ab":
            sources._find(key, ready.wait, (30,))
        refused = asyncio.run(sources.ask("c", lambda: "never"))
        ready.set()

        assert refused.problem.startswith("Too many questions")

    def test_what_hangs_is_given_up_and_its_threads_take_no_more_until_it_answers(self, sources, monkeypatch):
        from airflow_provider_whatsapp.plugin import sources as module

        now = [1_000.0]
        monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
        ready = threading.Event()
        stuck = [sources._find(key, ready.wait, (30,)).future for key in "ab"]
        now[0] += module.GIVEN_UP
        again, another = (asyncio.run(sources.ask(key, lambda: "yes")) for key in "ac")
        ready.set()
        assert all(future.result(30).value for future in stuck)
        now[0] += module.KEPT
        later = asyncio.run(sources.ask("c", lambda: "yes"))

        for answer in (again, another):
            assert (answer.ok, answer.late) == (False, False)  # the page need not look again in a moment
            assert "no answer for 60 s" in answer.problem
        assert later.value == "yes"

    def test_answers_do_not_pile_up(self, sources, monkeypatch):
        monkeypatch.setattr(sources, "_most", 3)
        for key in range(20):
            sources._find(key, str, (key,)).future.result(10)

        assert len(sources._asked) <= 3
        assert 19 in sources._asked

    @pytest.mark.parametrize(
        ("error", "problem"),
        [(ServerError("the gateway refuses"), "the gateway refuses"), (OSError("pass word"), "(OSError)")],
        ids=["ours", "another"],
    )
    def test_an_error_is_a_sentence(self, sources, error, problem, caplog):
        def fail():
            raise error

        answer = asyncio.run(sources.ask("a", fail))

        assert problem in answer.problem
        assert "pass word" not in answer.problem + caplog.text
