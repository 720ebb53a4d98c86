"""What the receipts say of each message of a send, and how many have got how far; in SQLite and in PostgreSQL."""

from __future__ import annotations

import collections
import random
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy

from airflow_provider_whatsapp.delivery.callback_data import key_hash, make_callback_data
from airflow_provider_whatsapp.events import receipts
from airflow_provider_whatsapp.events.parse import parse
from airflow_provider_whatsapp.events.receipts import (
    MOST_MESSAGES,
    PAGE,
    Counts,
    count_receipts,
    read_receipts,
    receipts_at,
    receipts_of,
)
from tests.events.bodies import T0, status, statuses

OURS, OTHER = key_hash("dag", "run", "send", "-1"), key_hash("dag", "run", "send", "0")


def said(position, kind, message_id=None, *, epoch=1, send_hash=OURS, **fields):
    carried = make_callback_data(send_hash, epoch, position)
    name = message_id or f"wamid.{send_hash}.{epoch}.{position}"
    return status(name, kind, biz_opaque_callback_data=carried, **fields)


def write(store, *items, verified=True):
    store.write(
        [(parse(statuses(*items[start : start + 500])), verified) for start in range(0, len(items), 500)]
    )


def counts(store, send_hash=OURS, **options):
    return count_receipts(store, [send_hash], **options)[send_hash]


LIVES = [
    (["sent"], "sent"),
    (["sent", "delivered"], "delivered"),
    (["sent", "delivered", "read"], "read"),
    (["read", "sent"], "read"),
    (["sent", "delivered", "played"], "read"),
    (["sent", "failed"], "failed"),
    (["sent", "failed", "delivered"], "delivered"),
    (["of_next_year"], "accepted"),
    (["of_next_year", "sent"], "sent"),
    (["failed", "of_next_year"], "failed"),
]


def test_each_life_of_a_message_is_read_and_counted_by_how_far_it_got(store):
    for position, (life, _) in enumerate(LIVES):
        for kind in life:
            write(store, said(position, kind))

    assert [receipt.status for receipt in read_receipts(store, OURS)] == [end for _, end in LIVES]
    assert counts(store) == Counts(**collections.Counter(end for _, end in LIVES))
    assert counts(store).total == len(LIVES)


RESENT = [
    ("failed, then sent again", [(1, "failed"), (2, "sent")], "sent"),
    ("failed, then delivered", [(1, "failed"), (2, "delivered")], "delivered"),
    ("delivered after all, and the second one failed", [(1, "delivered"), (2, "failed")], "delivered"),
    ("failed twice", [(1, "failed"), (2, "failed")], "failed"),
    ("both arrived", [(1, "delivered"), (2, "read")], "read"),
    ("the latest has a word of next year", [(1, "sent"), (2, "of_next_year")], "accepted"),
    ("epochs as high as the form allows", [(999_999_998, "failed"), (999_999_999, "sent")], "sent"),
]


@pytest.mark.parametrize(
    ("epochs", "counted"), [case[1:] for case in RESENT], ids=[case[0] for case in RESENT]
)
def test_of_a_position_with_several_messages_one_that_arrived_counts_and_then_the_latest(
    store, epochs, counted
):
    for epoch, kind in reversed(epochs):
        write(store, said(7, kind, epoch=epoch))
    found = list(read_receipts(store, OURS))

    assert [(receipt.epoch, receipt.position) for receipt in found] == [(epoch, 7) for epoch, _ in epochs]
    assert max(found, key=lambda receipt: receipt.order).status == counted
    assert counts(store) == Counts(**{counted: 1})


def test_what_left_before_a_clear_that_sends_to_everybody_again_can_be_left_out_of_the_counts(store):
    write(store, said(0, "delivered"), said(0, "sent", epoch=2), said(1, "read"))
    write(store, said(0, "failed", send_hash=OTHER))

    found = count_receipts(store, [OURS, OTHER, "A" * 22], since={OURS: 2})

    assert found == {OURS: Counts(sent=1), OTHER: Counts(failed=1), "A" * 22: Counts()}


def statements(store):
    """Collect what a store is asked."""
    found = []
    sqlalchemy.event.listen(
        store._engine, "before_cursor_execute", lambda _, __, text, *___: found.append(text)
    )
    return found


@pytest.mark.parametrize(
    ("sends", "epochs", "queries"),
    [(1, 9, 1), (1_000, 9, 1), (receipts.SENDS, 9, 1), (receipts.SENDS + 1, 9, 2), (1_200, 1_200, 3)],
)
def test_so_many_sends_are_counted_by_so_many_queries(store, sends, epochs, queries):
    many = [key_hash(str(number)) for number in range(sends)]
    write(store, *(said(0, "failed", send_hash=each) for each in {many[0], many[-1]}))
    write(store, *(said(0, "read", send_hash=each, epoch=epochs) for each in {many[0], many[-1]}))
    asked = statements(store)

    found = count_receipts(store, many, since={each: number % epochs for number, each in enumerate(many)})

    assert len([text for text in asked if "whatsapp_statuses" in text]) == queries
    assert list(found) == many
    assert {each for each in found if found[each] != Counts()} == {many[0], many[-1]}
    assert (found[many[0]], found[many[-1]]) == (Counts(read=1), Counts(read=1))


def test_a_receipt_holds_times_price_error_and_whether_it_was_signed(store):
    price = {"category": "marketing", "type": "regular", "billable": True, "pricing_model": "PMP"}
    error = {"code": 131026, "title": "Message undeliverable", "error_data": {"details": "Not on WhatsApp."}}
    write(
        store,
        said(0, "sent", at=T0, pricing=price),
        said(0, "delivered", at=T0 + 5),
        said(0, "failed", at=T0 + 9, errors=[error]),
    )
    write(store, said(1, "failed", at=T0 + 7, errors=[error]), said(2, "sent"), verified=False)
    write(store, said(2, "delivered"))
    first, second, third = read_receipts(store, OURS)

    begin = datetime.fromtimestamp(T0, UTC)
    assert (first.status, first.recipient, first.price_category, first.price_type, first.billable) == (
        ("delivered", "15550100123", "marketing", "regular", True)
    )
    assert (first.sent_at, first.delivered_at, first.read_at, first.failed_at) == (
        begin,
        begin + timedelta(seconds=5),
        None,
        begin + timedelta(seconds=9),
    )
    assert first.error_code is None, "it has arrived: with one of several devices it failed"
    assert (second.error_code, second.error_title, second.error_details) == (
        (131026, "Message undeliverable", "Not on WhatsApp.")
    )
    assert [first.verified, second.verified, third.verified] == [True, False, True]
    assert "15550100123" not in repr(first)


def test_a_group_has_got_as_far_as_it_has_with_any_participant(store):
    def group(kind, participant):
        return said(0, kind, "wamid.G", recipient_type="group", recipient_participant_id=participant)

    write(store, group("sent", "15550100001"), group("failed", "15550100002"), group("read", "15550100003"))

    assert [receipt.status for receipt in read_receipts(store, OURS)] == ["read"]
    assert counts(store) == Counts(read=1)


def test_positions_and_messages_are_looked_up(store):
    write(store, said(0, "sent"), said(5, "failed"), said(5, "read", epoch=2), said(600, "sent"))
    write(
        store,
        said(5, "sent", send_hash=OTHER),
        status("wamid.own", "delivered", biz_opaque_callback_data="mine"),
    )

    at = receipts_at(store, OURS, range(5, 601))
    of = receipts_of(store, ["wamid.own", "wamid.none", f"wamid.{OURS}.2.5"])

    assert {position: [each.status for each in found] for position, found in at.items()} == {
        5: ["failed", "read"],
        600: ["sent"],
    }
    assert {name: (found.status, found.position) for name, found in of.items()} == {
        "wamid.own": ("delivered", None),
        f"wamid.{OURS}.2.5": ("read", 5),
    }


def test_pages_follow_each_other_without_a_gap_and_agree_with_the_counts(store):
    chance = random.Random(11)
    # More rows than a page, and more than a page of one position: the border falls within it.
    items = [said(position, kind) for position in range(PAGE // 2) for kind in chance.choice(LIVES)[0]] + [
        said(
            PAGE // 2, "sent", "wamid.G", recipient_type="group", recipient_participant_id=f"1555{number:07}"
        )
        for number in range(PAGE + 1)
    ]
    chance.shuffle(items)
    write(store, *items, said(3, "failed", send_hash=OTHER))

    found = list(read_receipts(store, OURS))

    assert [receipt.position for receipt in found] == list(range(PAGE // 2 + 1))
    assert counts(store) == Counts(**collections.Counter(receipt.status for receipt in found))


def test_a_position_that_somebody_floods_takes_no_more_memory(store):
    write(
        store, *(said(0, "sent", f"wamid.{number}") for number in range(MOST_MESSAGES + 50)), verified=False
    )

    assert sum(1 for _ in read_receipts(store, OURS)) == MOST_MESSAGES
    assert counts(store) == Counts(sent=1)


def test_reading_takes_the_memory_of_a_page(tmp_path):
    from airflow_provider_whatsapp.events.store import EventStore

    store = EventStore.open(f"sqlite:///{tmp_path}/events.db")
    store.create_or_upgrade()
    write(store, *(said(position, "sent") for position in range(6 * PAGE)))
    next(read_receipts(store, OURS))  # what SQLAlchemy keeps for good

    tracemalloc.start()
    count = sum(1 for _ in read_receipts(store, OURS))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    store.close()

    assert count == 6 * PAGE
    assert peak < 5_000_000, f"{peak:,} bytes"
