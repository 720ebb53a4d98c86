"""The store holds each event once, whatever order it arrived in; in SQLite and in PostgreSQL."""

from __future__ import annotations

import random
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import inspect, select, update
from sqlalchemy import text as sql

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.delivery.callback_data import key_hash, make_callback_data
from airflow_provider_whatsapp.events import tables
from airflow_provider_whatsapp.events.engine import open_engine
from airflow_provider_whatsapp.events.parse import parse
from airflow_provider_whatsapp.events.store import EventStore, StoreError
from tests.events.bodies import ACCOUNT, NUMBER, T0, body, change, status, statuses, text
from tests.events.test_parse import ITEMS
from tests.examples import examples


def rows(store, table):
    with store._engine.connect() as connection:
        return [
            dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()
        ]


def write(store, *contents, verified=True):
    store.write([(parse(content), verified) for content in contents])


@pytest.fixture(params=["upsert", "row-by-row"])
def each_way(request, store):
    """Give a store that writes by upserts, and as in databases whose upserts it does not know."""
    if request.param == "row-by-row":
        store._insert = None
    return store


LIVES = [
    (["sent", "delivered", "read"], "read"),
    (["sent", "read"], "read"),
    (["sent", "failed"], "failed"),
    (["sent", "delivered", "failed"], "delivered"),
    (["sent", "of_next_year"], "sent"),
    (["sent", "delivered", "read", "played"], "played"),
]


@pytest.mark.parametrize(("life", "furthest"), LIVES, ids=["-".join(life) for life, _ in LIVES])
def test_a_status_never_goes_backwards(store, life, furthest):
    for order in (life, life[::-1], life * 2):
        for kind in order:
            write(store, statuses(status("wamid.A", kind)))

    assert store.furthest(["wamid.A", "wamid.B"])["wamid.A"]["status"] == furthest
    assert "wamid.B" not in store.furthest(["wamid.A", "wamid.B"])
    assert sorted(row["status"] for row in rows(store, tables.statuses)) == sorted(life)


def test_a_thousand_messages_with_receipts_in_any_order_and_twice(store):
    chance = random.Random(7)
    ends = [life for life, _ in LIVES]
    lives = {f"wamid.{number}": chance.choice(ends) for number in range(1_000)}
    items = [status(name, kind) for name, life in lives.items() for kind in life]
    items += chance.sample(items, len(items) // 5)
    chance.shuffle(items)

    for start in range(0, len(items), 700):
        write(store, statuses(*items[start : start + 700]))

    found = store.furthest(list(lives))
    right = dict(zip(map(tuple, ends), (end for _, end in LIVES), strict=True))
    assert {name: row["status"] for name, row in found.items()} == {
        n: right[tuple(e)] for n, e in lives.items()
    }
    with store._engine.connect() as connection:
        assert len(connection.execute(select(tables.statuses.c.id)).all()) == sum(map(len, lives.values()))


def test_the_columns_hold_what_the_event_said(store):
    pricing = {
        "billable": False,
        "pricing_model": "PMP",
        "type": "free_customer_service",
        "category": "service",
    }
    own = make_callback_data(key_hash("dag", "run", "task", "-1"), 2, 41)
    write(store, statuses(status("wamid.A", "sent", pricing=pricing, biz_opaque_callback_data=own)))
    (row,) = rows(store, tables.statuses)

    assert (
        row.items()
        >= {
            "account_id": ACCOUNT,
            "phone_number_id": NUMBER,
            "recipient": "15550100123",
            "occurred_at": datetime.fromtimestamp(T0, UTC),
            "callback_data": own,
            "send_hash": key_hash("dag", "run", "task", "-1"),
            "send_epoch": 2,
            "send_position": 41,
            "price_category": "service",
            "price_type": "free_customer_service",
            "billable": False,
            "verified": True,
            "status_rank": 10,
            "participant": "",
        }.items()
    )
    assert datetime.now(UTC) - row["received_at"] < timedelta(minutes=5)


def test_an_event_without_a_time_has_the_time_of_its_receipt(store):
    write(store, statuses({"id": "wamid.A", "status": "sent"}))
    (row,) = rows(store, tables.statuses)

    assert row["occurred_at"] == row["received_at"]


EVERYTHING = (
    statuses(status("wamid.A")),
    body(change(messages=[text("wamid.R")])),
    body({"field": "account_update", "value": {"event": "x"}}),
)


def test_what_is_repeated_changes_nothing(each_way):
    store = each_way
    for _ in range(3):
        write(store, *EVERYTHING, *EVERYTHING)

    for table in (tables.statuses, tables.messages, tables.others):
        (row,) = rows(store, table)
        assert row["id"] == 1


def test_a_signed_event_takes_the_place_of_a_forged_one(each_way):
    store = each_way
    forged = (
        statuses(status("wamid.A", biz_opaque_callback_data="forged"), status("wamid.B")),
        body(change(messages=[text("wamid.R", "forged"), text("wamid.S")])),
    )
    right = (statuses(status("wamid.A")), body(change(messages=[text("wamid.R")])))
    write(store, *forged, verified=False)
    write(store, *right)
    write(store, *forged, verified=False)

    by_id = {row["message_id"]: row for row in rows(store, tables.statuses)}
    assert (by_id["wamid.A"]["verified"], by_id["wamid.A"]["callback_data"]) == (True, None)
    assert by_id["wamid.B"]["verified"] is False
    assert by_id["wamid.A"]["id"] > by_id["wamid.B"]["id"], "who reads on from an id meets it again"
    replies = {row["message_id"]: row for row in rows(store, tables.messages)}
    assert (replies["wamid.R"]["text"], replies["wamid.S"]["verified"]) == ("Yes", False)


def test_of_two_in_one_transaction_the_signed_one_counts(store):
    forged, right = parse(statuses(status("wamid.A", recipient_id="1"))), parse(statuses(status("wamid.A")))
    store.write([(forged, False), (right, True), (forged, False)])

    assert [row["recipient"] for row in rows(store, tables.statuses)] == ["15550100123"]


def test_accounts_and_numbers_share_a_store(store):
    for account, number in (("1", "11"), ("1", "12"), ("2", "21")):
        value = {"metadata": {"phone_number_id": number}, "statuses": [status(f"wamid.{number}")]}
        write(store, body({"field": "messages", "value": value}, account=account))

    found = {(row["account_id"], row["phone_number_id"]) for row in rows(store, tables.statuses)}
    assert found == {("1", "11"), ("1", "12"), ("2", "21")}


def wish(value, at, number="15550100123", **fields):
    item = {"wa_id": number, "category": "marketing_messages", "value": value, "timestamp": at, **fields}
    return body(change("user_preferences", user_preferences=[item]))


@pytest.mark.parametrize(
    ("wishes", "opted_out"),
    [
        ([("stop", 1, True), ("resume", 2, True)], False),
        ([("resume", 2, True), ("stop", 1, True)], False),
        ([("stop", 2, True), ("stop", 2, True), ("resume", 1, True)], True),
        ([("stop", 1, True), ("resume", 2, False)], True),
        ([("stop", 1, False), ("resume", 2, False)], False),
        ([("stop", 1, False), ("resume", 2, True)], False),
        ([("resume", 2, True), ("stop", 2, True)], True),
        ([("resume", 1, True), ("stop", 2, False)], True),
        ([("stop", 1, True), ("stop", 2, False), ("resume", 3, False)], True),
        ([("resume", 2, False), ("stop", 1, True)], True),
        ([("stop", 1, True), ("resume", 2, True), ("resume", 9, False), ("stop", 1, True)], False),
        ([("resume", 9, False), ("resume", 2, True), ("stop", 1, True)], False),
        ([("resume", 2, False), ("stop", 2, False)], True),
        ([("stop", 2, False), ("resume", 2, False)], True),
    ],
    ids=[
        "ends",
        "late",
        "repeated",
        "forged-end",
        "unsigned",
        "signed-end",
        "same-second",
        "unsigned-stop",
        "forged-in-two-steps",
        "forged-end-first",
        "forged-resume-and-a-repeat",
        "forged-resume-first",
        "unsigned-same-second",
        "unsigned-same-second-reversed",
    ],
)
def test_the_latest_wish_counts_and_no_forged_one_ends_an_opt_out(store, wishes, opted_out):
    for value, at, verified in wishes:
        write(store, wish(value, T0 - 100 + at), verified=verified)

    (row,) = rows(store, tables.opt_outs)
    assert row["opted_out"] is opted_out


def test_an_opt_out_is_found_by_every_spelling_of_a_number_and_by_user_id(store):
    write(store, wish("stop", T0 - 9, "5215512345678", user_id="MX.1"), wish("stop", T0 - 8, "525512345678"))

    found = {row["contact"]: row["number"] for row in rows(store, tables.opt_outs)}
    assert found == {"525512345678": "525512345678", "MX.1": "5215512345678"}


def test_a_wish_of_the_future_is_one_of_now(store):
    write(store, wish("stop", 4_000_000_000))

    (row,) = rows(store, tables.opt_outs)
    assert row["changed_at"] == row["received_at"]


def make_older(store, days):
    with store._engine.begin() as connection:
        for table, column in {**tables.AGES, tables.opt_outs: "received_at"}.items():
            connection.execute(update(table).values({column: datetime.now(UTC) - timedelta(days=days)}))


def send_row(name="a"):
    names = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "template_name": "hello"}
    ids = {"send_hash": name * 22, "account_id": ACCOUNT, "phone_number_id": NUMBER}
    return {**names, **ids, "sent_at": datetime.now(UTC)}


def test_retention_deletes_what_is_old_and_never_an_opt_out(store):
    write(store, *EVERYTHING, wish("stop", T0 - 9))
    store.record_sends([send_row()])
    make_older(store, 91)
    write(store, statuses(status("wamid.young")), wish("stop", T0 - 8, "15550100124"))

    assert store.delete_older(90) == 5
    assert store.delete_older(90) == 0
    assert [row["message_id"] for row in rows(store, tables.statuses)] == ["wamid.young"]
    assert rows(store, tables.messages) == rows(store, tables.sends) == []
    assert len(rows(store, tables.opt_outs)) == 2


def test_a_number_of_a_row_is_not_given_twice(store):
    write(store, statuses(status("wamid.A")))
    make_older(store, 2)
    store.delete_older(1)
    write(store, statuses(status("wamid.B")))

    assert [row["id"] for row in rows(store, tables.statuses)] == [2]


def test_a_send_is_kept_once(store):
    store.record_sends([send_row("a"), send_row("b")])
    store.record_sends([{**send_row("a"), "run_id": "another"}, send_row("c")])

    assert [(row["send_hash"][0], row["run_id"]) for row in rows(store, tables.sends)] == [
        ("a", "r"),
        ("b", "r"),
        ("c", "r"),
    ]


def test_receivers_start_and_write_at_once(database):
    stores = [EventStore.open(database) for _ in range(4)]
    items = [status(f"wamid.{number}") for number in range(200)]
    failures = []

    def run(store, seed):
        try:
            store.create_or_upgrade()
            for _ in range(3):
                write(store, statuses(*random.Random(seed).sample(items, len(items))))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(store, seed)) for seed, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert len(rows(stores[0], tables.statuses)) == 200
    assert [row["version"] for row in rows(stores[0], tables.schema)] == [tables.VERSION]
    for store in stores:
        store.close()


def test_an_earlier_version_is_upgraded_and_keeps_its_rows(store, monkeypatch):
    write(store, statuses(status("wamid.A")))
    monkeypatch.setattr(tables, "VERSION", tables.VERSION + 1)
    step = ["ALTER TABLE whatsapp_statuses ADD COLUMN of_next_year INTEGER"]
    monkeypatch.setattr(tables, "UPGRADES", {tables.VERSION - 1: step})
    with pytest.raises(ConfigurationError, match="an earlier version"):
        store.check()

    store.create_or_upgrade()
    store.create_or_upgrade()

    store.check()
    assert "of_next_year" in {
        column["name"] for column in inspect(store._engine).get_columns("whatsapp_statuses")
    }
    assert [row["message_id"] for row in rows(store, tables.statuses)] == ["wamid.A"]


def test_every_version_but_the_newest_can_be_upgraded():
    assert set(tables.UPGRADES) == set(range(1, tables.VERSION))


def test_a_newer_version_is_refused(store):
    with store._engine.begin() as connection:
        connection.execute(update(tables.schema).values(version=99))

    for use in (store.check, store.create_or_upgrade):
        with pytest.raises(ConfigurationError, match=r"a newer version \(99"):
            use()


def test_a_database_without_tables_says_who_makes_them(database):
    store = EventStore.open(database)
    with pytest.raises(ConfigurationError, match="Start the receiver"):
        store.check()
    store.close()


@settings(
    max_examples=examples(40),
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.dictionaries(st.sampled_from(["statuses", "messages", "contacts", "errors"]), ITEMS),
    st.text(max_size=5),
)
def test_whatever_is_read_is_stored(store, value, said):
    value["messages"] = [
        *(value.get("messages") if isinstance(value.get("messages"), list) else ()),
        text("w", said),
    ]
    write(store, body(change(**value)))


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("no url: s3cret", "cannot be used"),
        ("oracle9://me:s3cret@host/db", "cannot be used"),
        ("mssql+pyodbc://me:s3cret@host/db", "cannot be used"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
    ],
    ids=["text", "dialect", "driver", "memory", "named-memory"],
)
def test_a_url_that_is_none_is_refused_without_repeating_it(url, complaint):
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        open_engine(url)

    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_postgresql_takes_the_driver_that_is_there(scheme):
    assert open_engine(f"{scheme}://me@127.0.0.1:1/db").url.drivername == "postgresql+psycopg2"


def test_a_store_that_is_away_says_so_without_the_password(tmp_path):
    for url in ("postgresql://me:s3cret@127.0.0.1:1/db", f"sqlite:///{tmp_path}/none/events.db"):
        store = EventStore.open(url)
        with pytest.raises(StoreError, match="does not answer") as caught:
            store.ping()
        assert "s3cret" not in str(caught.value)
        assert not caught.value.permanent


def test_an_error_about_a_row_shows_nothing_of_it_and_writes_nothing(store):
    with pytest.raises(StoreError, match="refuses") as caught:
        store.record_sends([send_row(), {**send_row("b"), "dag_id": None, "run_id": "s3cret"}])

    assert "s3cret" not in str(caught.value)
    assert caught.value.permanent
    assert rows(store, tables.sends) == []


def test_a_file_is_its_owner_s_alone(tmp_path):
    path = Path(tmp_path, "events.db")
    store = EventStore.open(f"sqlite:///{path}")
    store.create_or_upgrade()
    write(store, *EVERYTHING)

    assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()} == {0o600}
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    store.close()


def test_a_reader_waits_for_no_writer(tmp_path):
    store = EventStore.open(f"sqlite:///{tmp_path}/events.db")
    store.create_or_upgrade()
    with store._engine.begin():  # holds the lock of those who write
        store.ping()
        assert store.furthest(["wamid.A"]) == {}
    store.close()


FOR_EVER = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


def test_all_reads_of_a_store_with_a_limit_end_together(store, database):
    """What a page asks for in many queries, as it does for a broadcast's receipts, has one time budget."""
    limited = EventStore.open(database, read_seconds=0.3)
    try:
        with (
            pytest.raises(StoreError, match=r"interrupted|statement timeout|in time"),
            limited.reading() as connection,
        ):
            connection.execute(sql(FOR_EVER))
        with pytest.raises(StoreError, match="did not answer in time"), limited.reading():
            pass
    finally:
        limited.close()
    with store.reading() as connection:  # and without one each query has its own time
        assert connection.execute(sql("SELECT 1")).scalar() == 1
