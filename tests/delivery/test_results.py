"""The file of results: everybody once, the newest word of each, message ids kept over kills."""

from __future__ import annotations

import json

import pytest

from airflow_provider_whatsapp.client.errors import RecipientError
from airflow_provider_whatsapp.client.resources.messages import SentMessage
from airflow_provider_whatsapp.delivery.recipients import Row
from airflow_provider_whatsapp.delivery.report import Outcome
from airflow_provider_whatsapp.delivery.results import Results


@pytest.fixture(params=["disk", "object store"])
def path(request, tmp_path):
    if request.param == "disk":
        return tmp_path / "out" / "results.jsonl"
    import fsspec
    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.io import attach

    attach("memory", fs=fsspec.filesystem("memory"))
    return ObjectStoragePath(f"memory://bucket{tmp_path}/results.jsonl")


def row(position):
    return Row(position, str(position), {"to": str(position), "name": "Ann"}, given=f"+{position}")


def sent(position, message_id):
    return Outcome(
        str(position), "sent", sent=SentMessage(message_id=message_id, wa_id=None, to=str(position))
    )


def read(path):
    return {line["n"]: line for line in map(json.loads, path.read_bytes().decode().splitlines())}


def test_a_killed_try_s_message_ids_are_kept_and_the_newest_word_counts(path):
    first = Results(path, key="run", number=1)
    first.take(row(0), sent(0, "a"))
    first.take(row(1), Outcome("1", "failed", error=RecipientError("no")))
    first.take(row(2), Outcome("2", "skipped", reason="stopped"))
    first.flush()  # and then the worker is killed

    second = Results(path, key="run", number=2)
    second.take(row(0), Outcome("0", "sent"))
    second.take(row(1), sent(1, "b"))
    second.take(row(2), Outcome("2", "sent"))
    second.take(row(3), Outcome("3", "unknown"))

    assert second.finish() == 4
    found = read(path)
    assert (found[0]["message_id"], found[1]["message_id"]) == ("a", "b")
    assert [found[place]["status"] for place in range(4)] == ["sent", "sent", "sent", "unknown"]
    assert found[3]["row"] == {"to": "3", "name": "Ann"}
    assert "row" not in found[0]
    second.clean()

    third = Results(path, key="run", number=3, resumed=True)
    for place in range(3):
        third.take(row(place), Outcome(str(place), "sent"))
    third.take(row(3), sent(3, "c"))
    assert third.finish() == 4
    assert [read(path)[place].get("message_id") for place in range(4)] == ["a", "b", None, "c"]


def test_another_run_s_file_is_replaced(path):
    for key, message_id in (("monday", "a"), ("tuesday", "b")):
        results = Results(path, key=key, number=1)
        results.discard_earlier()
        results.take(row(0), sent(0, message_id))
        results.finish()
        results.clean()

    assert read(path)[0]["message_id"] == "b"
