"""What arrived per day and DAG: the one query's figures against those counted by hand."""

from __future__ import annotations

import random
import statistics
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import insert

from airflow_provider_whatsapp.events import tables
from airflow_provider_whatsapp.events.daily import DailyDelivery, Deliveries, count_daily
from airflow_provider_whatsapp.events.kinds import RANKS
from airflow_provider_whatsapp.events.store import StoreError

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
TODAY, YESTERDAY = date(2026, 11, 28), date(2026, 11, 27)
NUMBER = "106540352242922"


def send(number, dag, at, phone=NUMBER):
    return {
        "send_hash": f"hash{number:018d}",
        "dag_id": dag,
        "run_id": "r",
        "task_id": "t",
        "map_index": -1,
        "account_id": "1",
        "phone_number_id": phone,
        "template_name": None,
        "sent_at": at,
    }


def receipt(number, message, status, at, participant=""):
    return {
        "message_id": f"wamid.{message}",
        "status": status,
        "participant": participant,
        "status_rank": RANKS.get(status, 0),
        "account_id": "1",
        "phone_number_id": NUMBER,
        "occurred_at": at,
        "send_hash": f"hash{number:018d}",
        "verified": True,
        "received_at": at,
        "raw": "{}",
    }


def fill(store, sent, received):
    with store._engine.begin() as connection:
        connection.execute(insert(tables.sends), sent)
        if received:
            connection.execute(insert(tables.statuses), received)


def test_each_message_counts_once_for_the_furthest_that_it_got(store):
    path = {
        "a": [("sent", 0), ("delivered", 4), ("read", 60)],
        "b": [("sent", 0), ("delivered", 10)],
        "c": [("sent", 0), ("failed", 3)],
        "d": [("failed", 3), ("delivered", 5)],  # one of several devices had failed
        "e": [("sent", 1)],
        "f": [("read", 9)],  # its other receipts are yet to come
        "g": [("warned", 9)],
    }
    received = [
        receipt(1, message, status, NOW + timedelta(seconds=seconds))
        for message, steps in path.items()
        for status, seconds in steps
    ]
    fill(store, [send(1, "sales", NOW)], received)

    assert count_daily(store, 1, now=NOW).rows == (
        DailyDelivery(TODAY, "sales", sent=7, delivered=4, read=2, failed=1, timed=2, median_seconds=7.0),
    )


def test_a_group_s_message_is_one_however_many_read_it(store):
    received = [
        receipt(1, "a", status, NOW + timedelta(seconds=seconds), participant)
        for status, seconds, participant in [("sent", 0, ""), ("delivered", 2, "p1"), ("delivered", 9, "p2")]
    ]
    fill(store, [send(1, "sales", NOW)], received)

    (row,) = count_daily(store, 1, now=NOW).rows
    assert (row.sent, row.delivered, row.median_seconds) == (1, 1, 2.0)


def test_days_are_those_on_which_tasks_began_to_send_by_utc(store):
    late = datetime(2026, 11, 27, 23, 59, 59, tzinfo=UTC)
    sent = [send(1, "sales", late), send(2, "sales", late - timedelta(days=1)), send(3, "stock", NOW, "2")]
    received = [receipt(number, str(number), "sent", NOW) for number in (1, 2, 3)]
    fill(store, sent, received)

    assert [(row.day, row.dag_id) for row in count_daily(store, 2, now=NOW).rows] == [
        (YESTERDAY, "sales"),
        (TODAY, "stock"),
    ]
    assert [row.dag_id for row in count_daily(store, 2, now=NOW, phone_number_id="2").rows] == ["stock"]
    assert [row.median_seconds for row in count_daily(store, 2, now=NOW).rows] == [None, None]


def test_sends_without_a_receipt_and_receipts_without_a_send_are_not_counted(store):
    fill(store, [send(1, "sales", NOW)], [receipt(2, "a", "sent", NOW)])

    assert count_daily(store, 1, now=NOW) == Deliveries()


@pytest.mark.parametrize("seed", range(3))
def test_the_figures_are_those_counted_by_hand(store, seed):
    luck = random.Random(seed)
    sent = [
        send(number, luck.choice("abc"), NOW - timedelta(hours=luck.random() * 70)) for number in range(9)
    ]
    received, expected = [], {}
    for message in range(120):
        own = luck.choice(sent)
        steps = luck.choice(
            (["sent"], ["sent", "failed"], ["sent", "delivered"], ["sent", "delivered", "read"])
        )
        times = [own["sent_at"].replace(microsecond=0) + timedelta(seconds=luck.randrange(90)) for _ in steps]
        received += [
            receipt(int(own["send_hash"][4:]), message, status, at)
            for status, at in zip(steps, sorted(times), strict=True)
        ]
        took = (sorted(times)[1] - min(times)).total_seconds() if "delivered" in steps else None
        expected.setdefault((own["sent_at"].date(), own["dag_id"]), []).append((steps[-1], took))
    fill(store, sent, received)

    for row in count_daily(store, 9, now=NOW).rows:
        own = expected.pop((row.day, row.dag_id))
        took = [seconds for _, seconds in own if seconds is not None]
        ends = [end for end, _ in own]
        assert row == DailyDelivery(
            row.day,
            row.dag_id,
            sent=len(own),
            delivered=len(took),
            read=ends.count("read"),
            failed=ends.count("failed"),
            timed=len(took),
            median_seconds=statistics.median(took) if took else None,
        )
    assert not expected


def test_more_receipts_than_are_counted_are_said(store):
    fill(store, [send(1, "sales", NOW)], [receipt(1, str(number), "sent", NOW) for number in range(5)])

    assert count_daily(store, 1, now=NOW, most=6).complete
    found = count_daily(store, 1, now=NOW, most=3)
    assert (found.complete, found.rows[0].sent) == (False, 3)


def test_a_question_that_takes_too_long_is_stopped_and_the_next_is_not(store, monkeypatch):
    received = [receipt(1, str(number), "sent", NOW) for number in range(3_000)]
    fill(store, [send(1, "sales", NOW)], received)
    monkeypatch.setattr("airflow_provider_whatsapp.events.engine._CHECK_EVERY", 10)

    with pytest.raises(StoreError, match=r"interrupted|statement timeout"):
        count_daily(store, 1, now=NOW, seconds=-1 if store.kind == "sqlite" else 0.001)

    assert count_daily(store, 1, now=NOW).rows[0].sent == 3_000
