"""What version 0.1 wrote goes on: over its ledgers nobody is sent to twice, and nobody is lost."""

from __future__ import annotations

import functools
import importlib.util
import json
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pytest

from airflow_provider_whatsapp._compat import AirflowFailException
from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.delivery import windows
from airflow_provider_whatsapp.delivery.stores import LedgerError, MarkedMemory

OLD = Path(__file__).parents[1] / "data" / "written_by_0_1"
WRITTEN = json.loads((OLD / "ledgers.json").read_text())


def _load_cases():
    spec = importlib.util.spec_from_file_location("ledger_cases", OLD / "ledger_cases.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cases = _load_cases()


class Accessor:
    """Airflow's task state store for one task."""

    def __init__(self, values):
        self.values = values

    def get(self, key):
        return self.values.get(key)

    def set(self, key, value, retention=None):
        self.values[key] = json.loads(json.dumps(value))


@pytest.fixture
def put_back(tmp_path):
    """Put the records of a case where its store is; return the ledger's path and Airflow's accessor."""

    def put(case, records):
        if case["store"] == "state":
            return None, Accessor(dict(records))
        if case["store"] == "bucket":
            from airflow.sdk.io import attach

            attach("memory", fs=fsspec.filesystem("memory"))
            for name, text in records.items():
                fsspec.filesystem("memory").pipe(f"/bucket/ledgers/{name}", text.encode())
            return cases.BUCKET, None
        for name, text in records.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return f"file://{tmp_path}", None

    yield put
    fsspec.filesystem("memory").store.clear()


def numbers_of(case):
    """Return the recipients of a case's task."""
    from airflow_provider_whatsapp.delivery.recipients import Recipients

    if case["task"] == "short":
        return cases.NUMBERS[2:9]
    if case["task"] == "shard":
        return [row.to for row in Recipients(cases.PEOPLE, shard=1, shards=2)]
    return cases.NUMBERS


@pytest.mark.parametrize("name", cases.CASES)
def test_the_next_try_sends_to_nobody_twice_and_loses_nobody(
    sandbox, change_connection, put_back, monkeypatch, name
):
    # The window of one case is closed for a minute of each recipient's day.
    monkeypatch.setattr(windows, "present", lambda: datetime(2026, 11, 29, 12, tzinfo=UTC))
    change_connection(extra={"max_retries": 0})
    cases.prepare(functools.partial(sandbox.control, "POST"))
    sandbox.clear_faults()
    case, left = cases.CASES[name], WRITTEN["ledgers"][name]
    path, accessor = put_back(case, left["records"])
    task = cases.task(case["task"], path)
    pushed = {}
    context = cases.context(len(case["kill"]) + 1 if case["kill"] else 2, accessor)
    context["ti"].xcom_push = lambda key, value: pushed.update({key: value})

    try:
        report = task.execute(context)
    except (AirflowFailException, WhatsAppError):
        report = pushed["report"]

    counts = Counter([*left["accepted"], *(message["to"] for message in sandbox.messages)])
    people = numbers_of(case)
    assert counts, "the fixture holds nobody"
    assert sandbox.messages, "there was something left to do"
    assert max(counts.values()) == 1
    assert report["total"] == len(people)
    not_sent = {row["to"]: row["status"] for row in report["results"] if row["status"] != "sent"}
    assert set(people) - set(counts) <= set(not_sent), "whoever has nothing is named"
    if cases.REFUSED in people:
        assert not_sent[cases.REFUSED] == "failed", "a retry does not try again what was refused for good"
    assert sum(status == "unknown" for status in not_sent.values()) <= 6 * max(1, len(case["kill"])) + 1


def test_a_mark_refuses_the_next_try_and_says_what_to_do():
    class Variables(dict):
        def set(self, key, value, description=None):
            self[key] = value

    store = MarkedMemory(Variables(WRITTEN["mark"]), ("campaign", "manual__2026-01-01", "send", "-1"))

    with pytest.raises(LedgerError, match=r"had begun to send.*resend_on_clear=True.*ledger_path=") as caught:
        store.admit(2, 5, resend_on_clear=False)
    assert caught.value.permanent


@pytest.mark.parametrize("stale", [False, True], ids=["of this start of the machine", "of an earlier start"])
def test_the_pace_goes_on_over_an_old_file(tmp_path, monkeypatch, stale):
    """Whatever its numbers mean to this version, nobody waits long and the limit is kept."""
    import array

    from airflow_provider_whatsapp.client import pace_board, rate_limit

    old = WRITTEN["pace"]
    shift = time.monotonic() - old["now"]
    numbers = [number + shift if number > 1000 else number for number in old["numbers"]]
    boot = 0.0 if stale else time.time() - time.monotonic()
    monkeypatch.setattr(pace_board, "own_folder", lambda: tmp_path)
    pace_board.open_board("key host 10", rate_limit.board_size(10))
    for path in tmp_path.glob("*.pace"):
        path.write_bytes(array.array("d", [boot, *numbers]).tobytes())
    paced = rate_limit.Pacer(10, board=pace_board.open_board("key host 10", rate_limit.board_size(10)))

    left = []
    for _ in range(12):
        departure = paced.acquire()
        departure.left()
        left.append(departure.at)
    assert left[10] - left[0] >= 0.99, "ten of them within one second, whatever the file says"
    assert paced.rate() > 1
