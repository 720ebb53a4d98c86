"""The page under Browse: what each sheet shows, to whom, and what a mute needs."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import re
import socket
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_whatsapp.events.alerts import record_alert
from airflow_provider_whatsapp.events.parse import parse
from airflow_provider_whatsapp.notifications import throttle
from airflow_provider_whatsapp.notifications.records import Sending
from airflow_provider_whatsapp.notifications.throttle_state import ThrottleState
from tests.events import test_alerts as pressing
from tests.events.bodies import body
from tests.events.test_daily import fill, receipt, send
from tests.plugin.reports import EVIL, NOW_FAILURE
from tests.plugin.test_browse_data import status_update

SAME = {"sec_fetch_site": "same-origin", "origin": "http://airflow.example"}
WORKING = (200, 303)


@pytest.fixture
def only(monkeypatch, dags):
    """Let users do things with some DAGs alone, as FAB's roles can."""
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    def allow(**methods):
        monkeypatch.setattr(
            SimpleAuthManager,
            "get_authorized_dag_ids",
            lambda _, *, user, method="GET", **__: set(methods[method]),
        )

    return allow


def all_dags():
    """Return the names of all DAGs that Airflow knows, those of other tests too."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return list(session.scalars(select(DagModel.dag_id)))


def cells(page):
    """Return the text of a page's table, row by row."""
    rows = re.findall(r"<tr>(.*?)</tr>", page.partition("<tbody>")[2], re.DOTALL)
    texts = (
        [re.sub(r"<[^>]*>", " ", cell) for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)] for row in rows
    )
    return [[" ".join(cell.split()) for cell in row] for row in texts]


class TestDeliveries:
    def test_figures_of_the_dags_that_a_user_may_see(self, look, store, dags, only):
        now = datetime.now(UTC).replace(microsecond=0)
        steps = [("a", "sent", 0), ("a", "delivered", 130), ("b", "sent", 0), ("b", "failed", 1)]
        received = [
            receipt(number, f"{number}{message}", status, now + timedelta(seconds=seconds))
            for number in (1, 2)
            for message, status, seconds in steps
        ]
        fill(store, [send(1, "sales", now), send(2, "stock", now)], received)
        only(GET=["sales"], PUT=[])

        page = look("browse/deliveries").text

        assert cells(page) == [[f"{now:%Y-%m-%d}", "sales", "2", "1 50 %", "0 0 %", "1 50 %", "2 min 10 s"]]
        assert "stock" not in page
        assert page.count('<rect class="delivered"') == page.count('<rect class="failed"') == 1
        assert 'value="sales"' in page
        only(GET=["sales", "stock", EVIL], PUT=[])
        assert [row[1] for row in cells(look("browse/deliveries").text)] == ["sales", "stock"]
        assert [row[1] for row in cells(look("browse/deliveries?dag=stock").text)] == ["stock"]

    def test_without_a_store_and_without_receipts_it_says_what_to_do(self, look, monkeypatch):
        page = look("browse/deliveries").text
        assert "this Airflow has no event store" in page
        assert "events_conn_id" in page

    def test_an_empty_store_says_what_to_do(self, look, store, dags):
        assert "Receipts come once the receiver runs" in look("browse/deliveries").text

    def test_of_one_connection_those_of_its_number_alone(self, look, store, dags, sandbox):
        now = datetime.now(UTC)
        fill(
            store,
            [
                send(1, "sales", now, "1"),
                send(2, "stock", now, sandbox.connection["extra"]["phone_number_id"]),
            ],
            [receipt(number, str(number), "sent", now) for number in (1, 2)],
        )

        page = look("browse/deliveries?conn=maton_whatsapp_default", "op").text
        assert [row[1] for row in cells(page)] == ["stock"]

    @pytest.mark.parametrize("days", ["", "14", "30", "-1", "9999999999", "x"])
    def test_any_span_is_a_page(self, look, store, days):
        assert look(f"browse/deliveries?days={days}").status_code == 200


class TestConnections:
    def test_a_viewer_sees_none_and_may_open_none(self, look, sandbox):
        assert "maton_whatsapp_default" not in look("browse/deliveries", "viewer").text
        for sheet in ("templates", "health"):
            assert "that you may see" in look(f"browse/{sheet}", "viewer").text
        for sheet in ("templates", "health", "deliveries", "alerts"):
            for conn in ("maton_whatsapp_default", "no_such_connection"):
                answer = look(f"browse/{sheet}?conn={conn}", "viewer")
                assert (answer.status_code, "no permission to see this connection" in answer.text) == (
                    403,
                    True,
                )

    def test_an_op_chooses_among_those_of_this_type(self, look, sandbox, monkeypatch):
        monkeypatch.setenv("AIRFLOW_CONN_ELSE", "postgres://u:p@h/d")
        monkeypatch.setenv("AIRFLOW_CONN_BROKEN", "{")
        monkeypatch.setenv("AIRFLOW_CONN_A_SECOND", "maton-whatsapp://:key@")

        page = look("browse/alerts", "op").text + look("browse/health", "op").text

        assert re.findall(r'<option value="(\w+)"', page) == ["maton_whatsapp_default", "a_second"]

    def test_another_type_s_password_goes_nowhere(self, look, sandbox, monkeypatch):
        monkeypatch.setenv(
            "AIRFLOW_CONN_ELSE", json.dumps({"conn_type": "http", "host": sandbox.url, "password": "p"})
        )
        before = len(sandbox.requests)

        for sheet in ("templates", "health"):
            assert "is not of type maton_whatsapp" in look(f"browse/{sheet}?conn=else", "op").text
        assert "there is no connection" in look("browse/health?conn=none", "op").text
        assert len(sandbox.requests) == before


class TestTemplates:
    def test_state_category_quality_pause_and_preview(self, look, sandbox, store):
        sandbox.templates.create("hello", category="UTILITY", body="Hello *you*")
        for name, category in {"slow": "UTILITY", "drifted": "UTILITY"}.items():
            sandbox.templates.create(name, category=category, body="Text")
        sandbox.templates.pause("slow")

        page = look("browse/templates", "op").text

        assert "<strong>you</strong>" in page
        assert '<span class="chip paused">PAUSED</span>' in page
        assert "Paused until" not in page  # no webhook has said
        assert page.count('<article class="template">') >= 3

    def test_a_pause_ends_when_the_signed_webhook_says(self, look, sandbox, store):
        sandbox.templates.create("slow", body="Text")
        sandbox.templates.pause("slow")
        account = sandbox.connection["extra"]["waba_id"]
        change = status_update("PAUSED", "FIRST_PAUSE", message_template_name="slow")
        store.write([(parse(body(change, account=account)), True)])
        page = look("browse/templates", "op").text

        until = re.search(r"Paused until (.{19}) UTC", page)[1]
        left = datetime.fromisoformat(f"{until}+00:00") - datetime.now(UTC)
        assert timedelta(hours=2, minutes=50) < left <= timedelta(hours=3)

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("q=greetings", 1),
            ("q=GREETINGS%20utility", 1),
            ("q=nothing-of-that", 0),
            ("status=PAUSED", 1),
            ("number=99", 2),
        ],
    )
    def test_search(self, look, sandbox, query, found):
        for name in ("one", "two"):
            sandbox.templates.create(name, category="UTILITY", body="greetings" if name == "one" else "bye")
        sandbox.templates.pause("two")
        with_own = look("browse/templates?q=", "op").text.count("<article")

        page = look(f"browse/templates?{query}", "op").text

        assert page.count("<article") == (with_own if "number" in query else found)
        assert ("Nothing found" in page) == (found == 0)

    def test_the_gateway_s_refusal_is_a_sentence_and_the_key_is_not_in_it(
        self, look, sandbox, change_connection
    ):
        change_connection(password="wrong-key-0123456789")

        page = look("browse/templates", "op").text

        assert 'class="note bad"' in page
        assert "key" in page.partition('class="note bad"')[2][:300]
        assert "wrong-key" not in page


class TestHealth:
    def test_doctor_s_checks_without_the_message(self, look, sandbox, store):
        rows = cells(look("browse/health", "op").text)

        found = {name: (outcome, said) for name, outcome, said in rows}
        assert list(found)[:3] == ["Key", "Maton connection", "Number"]
        assert "Message" not in found
        assert found["Key"][0] == "OK"
        assert "•••" in found["Number"][1]
        assert found["Event store"] == ("not checked", "No task has sent with this number yet.")
        assert not sandbox.messages


class Silent:
    """A gateway that takes connections and never answers, until it is closed."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.host = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.taken, self.open = threading.Event(), []
        threading.Thread(target=self.take, daemon=True).start()

    def take(self):
        with contextlib.suppress(OSError):
            while True:
                self.open.append(self.listener.accept()[0])
                self.taken.set()

    def close(self):
        for each in (self.listener, *self.open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def test_a_gateway_that_never_answers_holds_up_nothing_but_its_own_sheets(
    look, app, airflow_users, sandbox, change_connection, monkeypatch
):
    import httpx

    from airflow_provider_whatsapp.plugin import connections, sources

    silent = Silent()
    change_connection(host=silent.host)
    monkeypatch.setattr(sources, "WAIT", 90.0)
    monkeypatch.setattr(connections, "SECONDS", 90.0)
    app.add_api_route("/health", lambda: "alive")
    cookies, sheets = {"_token": airflow_users("op")}, ["templates", "health"] * 10

    async def walk():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://a.example", cookies=cookies
        ) as client:

            def page(sheet):
                return client.get(f"/airflow/whatsapp/browse/{sheet}", timeout=None)

            slow = [asyncio.create_task(page(sheet)) for sheet in sheets]
            assert await asyncio.to_thread(silent.taken.wait, 30)
            others = [await client.get("/health"), await page("alerts"), await page("deliveries")]
            waiting = [not each.done() for each in slow]
            silent.close()
            return others, waiting, await asyncio.gather(*slow)

    others, waiting, slow = asyncio.run(walk())

    assert [each.status_code for each in others] == [200, 200, 200]
    assert all(waiting)
    for sheet, answer in zip(sheets, slow, strict=True):
        assert answer.status_code == 200
        assert ("note bad" if sheet == "templates" else "chip failed") in answer.text


class TestAlerts:
    def test_what_is_suppressed_and_until_when(self, look, alerts):
        for _ in range(3):
            alerts("sales.load", name="clean")
        alerts("stock.count", dag="stock", now=time.time() - 9_000)

        rows = cells(look("browse/alerts").text)

        assert [row[0] for row in rows] == ["sales.load", "stock.count"]
        assert re.fullmatch(r"suppressed until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", rows[0][1])
        assert rows[0][2] == "3 in a row, 1 run 2 not reported yet: clean"
        assert rows[1][1] == "failing"

    def test_without_alerts_it_says_what_to_do(self, look, dags):
        assert "Set one as on_failure_callback" in look("browse/alerts").text

    def test_only_alerts_of_dags_that_a_user_may_see(self, look, alerts, only):
        alerts("sales.load")
        alerts("stock.count", dag="stock")
        alerts("both", dag="sales")
        alerts("both", dag="stock")
        alerts("of_an_earlier_version", dag="")
        alerts("gone.load", dag="gone")
        only(GET=["sales"], PUT=[])
        assert [row[0] for row in cells(look("browse/alerts").text)] == ["sales.load"]
        assert "needs the permission to edit its DAGs" in look("browse/alerts").text

        only(GET=all_dags(), PUT=["sales"])
        page = look("browse/alerts").text
        assert len(cells(page)) == 5
        assert page.count("<button aria-label=") == 1

    def mute(self, look, key, role="user", seconds="3600", store="variables", headers=SAME):
        from urllib.parse import urlencode

        return look.form(
            "browse/alerts/mute", urlencode({"store": store, "key": key, "seconds": seconds}), role, headers
        )

    def test_a_mute_stands_until_it_is_ended(self, look_form, alerts):
        alerts("sales.load")

        answer = self.mute(look_form, "sales.load")

        assert answer.status_code == 200
        assert str(answer.url).partition("?")[0].endswith("/airflow/whatsapp/browse/alerts")
        (row,) = cells(answer.text)
        assert re.fullmatch(r"muted until .* UTC by u", row[1])
        assert cells(self.mute(look_form, "sales.load", seconds="0").text)[0][1].startswith("suppressed")

    def test_what_was_pressed_below_an_alert_until_it_is_ended_here(self, look_form, look, alerts, store):
        alerts("sales.load")
        now = datetime.now(UTC)
        one = dataclasses.replace(pressing.ALERT, alert_key="sales.load", names=("", EVIL), sent_at=now)
        record_alert(store, one)
        presses = [pressing.inbound(1), pressing.inbound(2, pressing.BOB, "mute")]
        at = {"occurred_at": now - timedelta(seconds=5)}
        presses = [dataclasses.replace(each, **at) for each in presses]
        store.write([([pressing.status(), pressing.status(place=1, to=pressing.BOB), *presses], True)])

        answer = look("browse/alerts")

        (row,) = cells(answer.text)
        assert re.fullmatch(r"muted until .* UTC by .* 15•••0001 has run r1 in hand", row[1])
        assert "by &lt;script&gt;alert(1)" in answer.text
        assert "<script>alert" not in answer.text
        assert pressing.ANN not in answer.text
        unmuted = cells(self.mute(look_form, "sales.load", seconds="0").text)[0][1]
        assert re.fullmatch(r"suppressed until .* UTC 15•••0001 has run r1 in hand", unmuted)

    def test_an_event_store_that_is_away_hides_no_alert(self, look, alerts, monkeypatch, tmp_path):
        monkeypatch.setenv("AIRFLOW__WHATSAPP__EVENTS_CONN_ID", "away")
        monkeypatch.setenv("AIRFLOW_CONN_AWAY", f"sqlite:///{tmp_path}/none.db")
        alerts("sales.load")

        found = look("browse/alerts").text

        assert [row[0] for row in cells(found)] == ["sales.load"]
        assert "The page cannot show what people pressed below alerts" in found

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            ({"role": "viewer"}, 403),
            ({"key": "no.such"}, 403),
            ({"store": "files"}, 403),
            ({"store": "elsewhere"}, 400),
            ({"seconds": "1"}, 400),
            ({"seconds": "nan"}, 400),
            ({"headers": {"sec_fetch_site": "cross-site", "origin": "http://evil.example"}}, 403),
            ({"headers": {}}, 403),
            ({"key": "x" * 5_000}, 413),
        ],
        ids=lambda value: "-".join(value) if isinstance(value, dict) else str(value),
    )
    def test_who_may_not_mute_changes_nothing(self, look_form, alerts, change, status):
        kept = alerts("sales.load")
        before = list(kept.items())

        answer = self.mute(look_form, **{"key": "sales.load", **change})

        assert answer.status_code == status
        assert list(kept.items()) == before

    def test_a_user_of_other_dags_may_not_mute(self, look_form, alerts, only):
        kept = alerts("sales.load")
        only(GET=["sales"], PUT=["stock"])
        before = list(kept.items())

        assert self.mute(look_form, "sales.load").status_code == 403
        assert list(kept.items()) == before


class TestAlertsInRedis:
    """Alerts whose connection names a Redis have their records there."""

    @pytest.fixture
    def shared(self, alerts, redis_process, monkeypatch, tmp_path):
        from airflow_provider_whatsapp.notifications.redis_state import redis_state
        from airflow_provider_whatsapp.plugin.connections import configs_with_redis

        known = {"conn_type": "maton_whatsapp", "password": tmp_path.name.replace("_", "-")}
        known["extra"] = {"phone_number_id": "11", "pace_redis": redis_process.url}
        monkeypatch.setenv("AIRFLOW_CONN_PACED", json.dumps(known))
        monkeypatch.setenv("AIRFLOW_CONN_TWIN", json.dumps(known))
        monkeypatch.setenv("AIRFLOW_CONN_BROKEN", json.dumps(known | {"password": ""}))
        memories = {id(redis_state(config)): redis_state(config) for config in configs_with_redis()}
        (made,) = memories.values()
        return made

    def fail(self, shared, key, dag):
        rule = {"name": "load", "now": time.time(), "dag": dag, "sending": Sending(), **NOW_FAILURE}
        ThrottleState(shared).decide(key, lambda record: throttle.on_failure(record, **rule))

    def test_they_are_listed_muted_and_shown_as_others_are(self, look, look_form, alerts, shared, only):
        from airflow_provider_whatsapp.notifications.alert_stores import name_of
        from airflow_provider_whatsapp.plugin.alerts_view import record_text

        alerts("sales.other")
        self.fail(shared, "sales.load", "sales")
        self.fail(shared, "stock.load", "stock")
        only(GET=["sales"], PUT=["sales"])
        shown = cells(look("browse/alerts").text)
        assert sorted(row[0] for row in shown) == ["sales.load", "sales.other"]
        mute = TestAlerts().mute
        assert mute(look_form, "stock.load", store=shared.index).status_code == 403
        answer = mute(look_form, "sales.load", store=shared.index)

        assert answer.status_code == 200
        assert [row[0] for row in cells(answer.text) if row[1].startswith("muted")] == ["sales.load"]
        assert '"muted_by": "u"' in record_text(name_of("sales.load"))
        assert '"muted_by": ""' in record_text(name_of("sales.other"))

    def test_a_redis_that_is_away_hides_no_others_and_shows_no_address(
        self, look, look_form, alerts, shared, monkeypatch
    ):
        from airflow_provider_whatsapp.client.redis_server import RedisServer
        from airflow_provider_whatsapp.client.redis_slots import Client

        alerts("sales.load")
        monkeypatch.setattr(shared, "_client", Client(RedisServer(nodes=(("127.0.0.1", 9),)), ""))
        page = look("browse/alerts").text
        assert [row[0] for row in cells(page)] == ["sales.load"]
        assert "cannot show" in page
        assert "127.0.0.1" not in page
        answer = TestAlerts().mute(look_form, "sales.load", store=shared.index)
        assert answer.status_code == 400
        assert answer.text.count("cannot show") == 1


@pytest.fixture
def look_form(look, app, airflow_users):
    """Post a form as a user with a role."""
    from fastapi.testclient import TestClient

    def form(path, body, role, headers):
        client = TestClient(app, base_url="http://airflow.example")
        client.cookies.set("_token", airflow_users(role))
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.post(
            f"/airflow/whatsapp/{path}",
            content=body,
            headers={"Content-Type": "application/x-www-form-urlencoded", **headers},
        )

    look.form = form
    return look


def test_whatever_stands_in_a_field_is_text(look, sandbox, store, alerts):
    """Every text of each sheet that somebody else has written, or that the address holds."""
    now = datetime.now(UTC)
    fill(store, [send(1, EVIL, now)], [receipt(1, "a", "sent", now)])
    alerts(EVIL, dag=EVIL, name=EVIL)
    ThrottleState(alerts("named")).decide(
        "named", lambda record: throttle.on_mute(record, until=now.timestamp() + 99, by=EVIL)
    )
    sandbox.templates.create("evil", category="UTILITY", body=EVIL)
    quoted = "%3Cscript%3Ealert(1)%3C/script%3E%22%27%3E%3Cimg%20src=x%20onerror=alert(2)%3E"

    pages = {
        path: look(f"browse/{path}", "admin").text
        for path in (
            f"deliveries?dag={quoted}",
            "deliveries",
            f"templates?q={quoted}&status={quoted}&number={quoted}",
            "templates",
            "alerts",
            "health",
            f"health?conn={quoted}",
        )
    }

    for path, page in pages.items():
        assert "<script>alert" not in page, path
        assert "<img" not in page, path
        assert page.count("<script") == 2, path
    assert "&lt;script&gt;alert(1)" in pages["deliveries"]
    assert pages["alerts"].count("&lt;script&gt;alert(1)") >= 3
    assert "&lt;script&gt;alert(1)" in pages["templates"]


def test_the_first_sheet_is_below_any_base_path(look):
    answer = look("browse")
    assert str(answer.url).endswith("/airflow/whatsapp/browse/deliveries")
    assert [each.status_code for each in answer.history] == [303]
