"""``--state FILE``: what is there after a new start, and after a crash."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from airflow_provider_whatsapp.sandbox.clock import Clock
from airflow_provider_whatsapp.sandbox.model import Message
from airflow_provider_whatsapp.sandbox.settings import Settings
from airflow_provider_whatsapp.sandbox.state import State
from airflow_provider_whatsapp.sandbox.store import Store, StoreError

BODY = {"type": "BODY", "text": "Run {{1}} is late.", "example": {"body_text": [["a"]]}}
VALUES = {"type": "body", "parameters": [{"type": "text", "text": "daily_orders"}]}


@pytest.fixture
def start(tools, tmp_path):
    """Start sandboxes on one file, one after the other."""
    running = []

    def begin(*given, file="state.db"):
        end()
        arguments = ["--rate-limit", "0", "--approve-after", "60", *given]
        process = tools.start("--port", "0", "--state", str(tmp_path / file), *arguments)
        running.append(process)
        return tools.Sandbox(tools.read_connection(process))

    def end():
        for process in running:
            process.terminate()
            _, err = process.communicate(timeout=60)
            assert (process.returncode, err) == (0, "")
        running.clear()

    yield begin
    end()


def templates(sandbox):
    fields = (
        "id,name,language,status,category,previous_category,components,quality_score,rejected_reason,source"
    )
    return sandbox.call("GET", f"{sandbox.waba}/message_templates", params={"fields": fields}).json()["data"]


def everything(sandbox):
    """What tests and the page see, the ways that need no request to the gateway first."""
    page = sandbox.page("/").partition("<main")[2].partition("<script")[0]
    controls = ("messages", "requests", "faults", "connections")
    return [sandbox.control("GET", name) for name in controls] + [
        page,
        sandbox.page("/requests").count("<details"),
    ]


def test_everything_is_there_after_a_new_start(start, tools):
    first = start()
    made = first.create("late", BODY).json()["id"]
    first.clock.advance(61)
    first.send_template("late", VALUES)
    first.control("POST", "templates", name="late", quality_score="RED")
    first.approved("gone", {"type": "BODY", "text": "Gone."})
    first.call("DELETE", f"{first.waba}/message_templates", params={"name": "gone"})
    media, handle = first.upload().json()["id"], first.handle()
    first.send(type="image", image={"id": media, "caption": "caf\u00e9 \U0001f600"})
    first.control("POST", "replies", text="Thanks", **{"from": "15550001111"})
    first.send_text("in the window")
    first.control("POST", "recipients", wa_id="15550002222", on_whatsapp=False)
    first.control("POST", "accounts", onboarding="ELIGIBLE", refuse_marketing=True)
    first.call("POST", first.waba, params={"is_enabled_for_insights": "true"})
    blocked = first.control(
        "POST", "health_status", entity_type="WABA", can_send_message="BLOCKED", refused=True
    )
    first.control("POST", "faults", kind="status", status=418, times=2, path="/never")
    profile = {"messaging_product": "whatsapp", "about": "We are here"}
    first.call("POST", f"{first.number}/whatsapp_business_profile", json=profile)
    connection = first.session.post(f"{first.url}/connections", json={"app": "whatsapp-business"}).json()
    first.clock.advance(30)
    before, listed = everything(first), templates(first)
    seen = {each["id"] for each in first.messages}

    second = start()
    assert everything(second)[0] == before[0]
    assert everything(second)[1][:-1] == before[1]
    assert everything(second)[2:5] == before[2:5]
    assert templates(second) == listed
    assert [each["status"] for each in listed if each["id"] == made] == ["PAUSED"]
    assert tools.error(second.create("gone", BODY))["error_subcode"] == 2388023
    assert second.call("GET", media).json()["file_size"] == len(tools.png)
    header = {"type": "HEADER", "format": "DOCUMENT", "example": {"header_handle": [handle]}}
    assert second.create("with_file", header, BODY).status_code == 200
    second.send_text("still in the window")
    second.send_template("hello_world", to="+15550002222")
    second.clock.advance(30)
    assert [(each["status"], each["error"]) for each in second.messages[-2:]] == [
        ("read", None),
        ("failed", 131026),
    ]
    assert not {each["id"] for each in second.messages[-2:]} & seen
    about = second.call(
        "GET", f"{second.number}/whatsapp_business_profile", params={"fields": "about"}
    ).json()
    assert about["data"][0]["about"] == "We are here"
    account = second.control("POST", "accounts")
    assert (account["onboarding"], account["refuse_marketing"]) == ("ELIGIBLE", True)
    assert second.control("GET", "health_status") == blocked
    assert "error" in second.call("GET", second.waba, params={"fields": "health_status"}).json()
    insights = second.call("GET", second.waba, params={"fields": "is_enabled_for_insights"}).json()
    assert insights["is_enabled_for_insights"] is True
    known = second.session.get(f"{second.url}/connections/{connection['connection_id']}").json()["connection"]
    assert known["url"].startswith(second.url)


def test_reset_empties_the_file_too(start):
    first = start()
    first.send_text()
    first.approved("late", BODY)
    first.control("POST", "reset")
    second = start()
    assert second.messages == second.control("GET", "requests") == []
    assert [each["name"] for each in templates(second)] == ["hello_world"]


def test_keep_bounds_the_file_and_the_order_stays(start):
    for turn in range(3):
        sandbox = start("--keep", "5")
        for index in range(4):
            sandbox.send_text(f"{turn}{index}", to=f"+155500011{index:02d}")
    kept = [each["payload"]["text"]["body"] for each in start("--keep", "5").messages]
    assert kept == ["13", "20", "21", "22", "23"]


@pytest.mark.parametrize("given", [["--waba-id", "1"], ["--phone-number-id", "2"], ["--account", "3:4"]])
def test_other_accounts_are_refused_in_one_line(start, tools, tmp_path, given):
    start().send_text()
    start(file="other.db")
    process = tools.start("--port", "0", "--state", str(tmp_path / "state.db"), *given)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.count("\n") == 1
    assert "106540352242922" in err


def test_a_file_in_use_or_of_another_kind_is_refused_in_one_line(start, tools, tmp_path):
    start()
    (tmp_path / "text.db").write_text("no database " * 100)
    os.mkfifo(tmp_path / "pipe")
    for name, reason in (
        ("state.db", "another sandbox"),
        ("text.db", "not a database"),
        ("no/dir.db", "No such file"),
        ("pipe", "not a regular file"),
    ):
        process = tools.start("--port", "0", "--state", str(tmp_path / name))
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert err.count("\n") == 1
        assert reason in err


def memory(path, **given):
    state = State(Settings(state=str(path), **given), Clock(lambda: 1_000.0))
    store = Store(str(path))
    store.load(state)
    return state, store


def accept(state, text):
    body = b'{"type":"text","text":{"body":"%b"}}' % text.encode()
    sender = state.settings.phone_number_ids[0]
    message = Message(state.ids.wamid("1555"), "1555", "1555", "text", body, state.clock.now(), sender)
    state.remember(state.conversation(sender, "1555"), message)


def test_what_was_saved_survives_a_crash(tmp_path):
    state, store = memory(tmp_path / "a.db")
    accept(state, "saved")
    store.save(state)
    accept(state, "lost")
    for file in tmp_path.glob("a.db*"):
        shutil.copy(file, tmp_path / file.name.replace("a.db", "b.db"))

    again, _ = memory(tmp_path / "b.db")

    assert [each.body for each in again.messages.values()] == [b'{"type":"text","text":{"body":"saved"}}']


def test_limits_go_on_where_they_were(tmp_path):
    state, store = memory(tmp_path / "a.db")
    sender = state.settings.phone_number_ids[0]
    account = state.accounts[state.settings.waba_id]
    for _ in range(45):
        assert state.conversation(sender, "1555").pair.take(1_000)
    accept(state, "one")
    for _ in range(100):
        assert account.creations.wait(1_000) == 0
    store.close(state)

    again, _ = memory(tmp_path / "a.db")

    assert not again.conversation(sender, "1555").pair.take(1_000)
    assert again.accounts[state.settings.waba_id].creations.wait(1_001) > 0


def test_a_file_that_cannot_be_written_is_told_once(tmp_path):
    state, store = memory(tmp_path / "a.db")
    store._base.execute("PRAGMA query_only = ON")
    accept(state, "one")

    with pytest.raises(StoreError, match="stores nothing more from now on"):
        store.save(state)

    accept(state, "two")
    store.save(state)
    assert len(state.messages) == 2


def test_a_file_of_another_version_is_refused(tmp_path):
    _, store = memory(tmp_path / "a.db")
    store._base.execute("PRAGMA user_version = 99")
    store._base.close()

    with pytest.raises(StoreError, match="another version"):
        Store(str(tmp_path / "a.db"))


def test_a_clock_that_stood_still_goes_on_from_there(tmp_path):
    state, store = memory(tmp_path / "a.db")
    state.clock.stop()
    state.clock.advance(500)
    store.close(state)

    again, _ = memory(tmp_path / "a.db")

    assert (again.clock.now(), again.clock.stopped) == (1_500.0, False)


def test_nobody_else_can_read_the_file(start, tmp_path):
    (tmp_path / "state.db").touch(0o644)
    first = start()
    first.send_text("for the owner alone")
    modes = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}, modes


def test_the_file_of_an_earlier_version_goes_on(start, tmp_path):
    old = Path(__file__).parents[1] / "data" / "written_by_0_1" / "sandbox.db"
    shutil.copy(old, tmp_path / "state.db")
    sandbox = start()

    assert [(each["to"], each["type"]) for each in sandbox.messages] == [
        ("15550001111", "template"),
        ("15550001111", "text"),
    ]
    late = next(each for each in templates(sandbox) if each["name"] == "late")
    assert late["category"] in ("UTILITY", "MARKETING")
    assert late["components"][0]["text"] == "Late by {{1}} minutes."
    sandbox.clock.advance(86_401)
    late = next(each for each in templates(sandbox) if each["name"] == "late")
    assert (late["category"], late["previous_category"]) == ("MARKETING", "UTILITY")
    assert [each["path"] for each in sandbox.control("GET", "faults")] == ["/nowhere"]
    profile = sandbox.call("GET", f"{sandbox.number}/whatsapp_business_profile", params={"fields": "about"})
    assert profile.json()["data"][0]["about"] == "Reports"
    assert "Thank you" in sandbox.page(**{"with": "15550001111"})
    assert "change" in sandbox.page("/requests")
    # And what it writes now is read again.
    sandbox.send_template("hello_world")
    assert len(start().messages) == 3
