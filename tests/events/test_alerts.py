"""Presses of an alert's buttons: which of them count, and what the store keeps of alerts."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_whatsapp.delivery.callback_data import make_callback_data
from airflow_provider_whatsapp.events import alerts
from airflow_provider_whatsapp.events.alerts import AlertId, Judged, Notified, SentAlert, judge
from airflow_provider_whatsapp.events.kinds import ALERT_BUTTON, Inbound, Status
from airflow_provider_whatsapp.events.presses import Press, presses_after
from airflow_provider_whatsapp.events.tables import alerts as table

SENT = datetime(2026, 11, 2, 8, tzinfo=UTC)
ANN, BOB, EVE = "15550000001", "15550000002", "15550000009"
ID, OTHER_ID = AlertId("a" * 32), AlertId("b" * 32)
ALERT = SentAlert(
    alert_hash=ID.hash,
    send_hash="h" * 22,
    alert_key="orders.load",
    dag_id="orders",
    run_id="r1",
    task="load",
    names=("Ann", ""),
    language="en_US",
    phone_number_id="11",
    sent_at=SENT,
)
SECOND_ALERT = replace(ALERT, alert_hash=OTHER_ID.hash, send_hash="i" * 22)
KNOWN = {each.alert_hash: each for each in (ALERT, SECOND_ALERT)}
NOTIFIED = {
    "h" * 22: [Notified(0, ANN, "US.1"), Notified(1, BOB, None)],
    "i" * 22: [Notified(0, BOB, None)],
}


def press(number=1, sender=ANN, button="on-it", *, alert=ID, minutes=1.0, **more):
    at = SENT + timedelta(minutes=minutes)
    given = {"id": number, "sender": sender, "sender_user_id": None, "payload": alert.payload(button)}
    given |= {"message_id": "wamid.1", "context_id": None}
    given |= {"occurred_at": at, "received_at": at, "verified": True}
    return Press(**given | more)


@pytest.mark.parametrize(
    ("presses", "refusals"),
    [
        pytest.param([press()], [""], id="on it"),
        pytest.param([press(button="mute")], [""], id="mute"),
        pytest.param([press(sender=None, sender_user_id="US.1")], [""], id="by user ID alone"),
        pytest.param([press(sender=None, sender_user_id="US.2")], [alerts.UNASKED], id="another user ID"),
        pytest.param([press(sender=None)], [alerts.UNASKED], id="by nobody"),
        pytest.param([press(sender=EVE)], [alerts.UNASKED], id="somebody who was not notified"),
        pytest.param([press(verified=False)], [alerts.UNSIGNED], id="not signed"),
        pytest.param([press(verified=False, payload="awa1.x")], [alerts.UNSIGNED], id="forged, not signed"),
        pytest.param([press(alert=AlertId("c" * 32))], [alerts.UNKNOWN], id="an ID of no alert"),
        pytest.param([press(payload=f"awa1.{'a' * 32}.reboot")], [alerts.UNKNOWN], id="no such button"),
        pytest.param([press(payload=f"xawa1.{'a' * 32}.mute")], [alerts.UNKNOWN], id="something before it"),
        pytest.param([press(minutes=24 * 60)], [""], id="just in time"),
        pytest.param([press(minutes=24 * 60 + 0.1)], [alerts.LATE], id="late"),
        pytest.param([press(), press(2)], ["", alerts.REPEATED], id="twice"),
        pytest.param([press(), press(2, BOB)], ["", alerts.SECOND], id="another person too"),
        pytest.param([press(), press(2, BOB, alert=OTHER_ID)], ["", alerts.SECOND], id="on the next alert"),
        pytest.param([press(sender=EVE), press(2, BOB)], [alerts.UNASKED, ""], id="a refused one is none"),
        pytest.param([press(), press(2, button="mute")], ["", ""], id="on it, and muted"),
        pytest.param(
            [press(button="mute"), press(2, button="mute")], ["", alerts.REPEATED], id="muted twice"
        ),
        pytest.param([press(button="mute"), press(2, BOB, "mute")], ["", ""], id="muted by both"),
    ],
)
def test_which_presses_count(presses, refusals):
    assert [one.refusal for one in judge(presses, KNOWN, NOTIFIED)] == refusals


def test_a_press_waits_for_the_first_signed_receipt():
    assert [one.refusal for one in judge([press()], KNOWN, {})] == [alerts.UNRECEIPTED]


def test_the_same_key_in_another_run_is_another_s_to_take():
    other = replace(SECOND_ALERT, run_id="r2")
    known = {ALERT.alert_hash: ALERT, other.alert_hash: other}

    assert [one.refusal for one in judge([press(), press(2, BOB, alert=OTHER_ID)], known, NOTIFIED)] == [
        "",
        "",
    ]


@pytest.mark.parametrize(("sender", "who"), [(ANN, "Ann"), (BOB, "15•••0002")], ids=["named", "masked"])
def test_who_pressed_is_known_by_the_alert_s_name_or_the_number_masked(sender, who):
    (one,) = judge([press(sender=sender)], KNOWN, NOTIFIED)

    assert one.who == who
    assert one.muted_until == (SENT + timedelta(minutes=61)).timestamp()


def test_a_user_id_and_a_place_beyond_the_names_are_masked_too():
    assert "US.1" not in Notified(7, None, "US.1349000000").name(ALERT)
    assert Judged(press()).who == ""


def test_an_id_cannot_be_guessed_and_is_in_no_repr():
    first, second = AlertId.new(), AlertId.new()

    assert first != second
    assert len(first.secret) == 32
    assert first.secret not in repr(first)
    assert alerts.parse_payload(first.payload("mute")) == (first, "mute")
    shown = repr(press()) + repr(ALERT) + repr(NOTIFIED)
    assert not [each for each in (ID.secret, ID.hash, ANN, "Ann") if each in shown]


def event(of, /, **given):
    """Make an event whose other fields say nothing."""
    fields = dict.fromkeys(item.name for item in dataclasses.fields(of))
    return of(**fields | {"account_id": "22", "phone_number_id": "11", "raw": "{}"} | given)


def status(alert=ALERT, place=0, to=ANN, name="sent"):
    return event(
        Status,
        message_id=f"wamid.{alert.send_hash}.{place}",
        status=name,
        participant="",
        recipient=to,
        occurred_at=SENT,
        callback_data=make_callback_data(alert.send_hash, 1, place),
    )


def inbound(number, sender=ANN, button="on-it", *, minutes=1, alert=ID):
    return event(
        Inbound,
        message_id=f"wamid.press{number}",
        kind="button",
        sender=sender,
        payload=alert.payload(button),
        occurred_at=SENT + timedelta(minutes=minutes),
    )


class TestInTheStore:
    def judged(self, store, **options):
        found = alerts.judged_presses(store, now=SENT + timedelta(minutes=5), **options)
        return [(one.press.id, one.button, one.who, one.refusal) for one in found]

    @pytest.fixture
    def sent(self, store):
        alerts.record_alert(store, ALERT)
        alerts.record_alert(store, replace(SECOND_ALERT, alert_key="orders.clean"))
        store.write([([status(), status(place=1, to=BOB), status(name="read")], True)])
        return store

    def test_presses_are_judged_in_their_order_by_signed_receipts(self, sent):
        assert self.judged(sent) == []
        sent.write([([inbound(1), inbound(2, BOB), inbound(3, BOB, "mute")], True)])

        assert self.judged(sent) == [
            (1, "on-it", "Ann", ""),
            (2, "on-it", "15•••0002", alerts.SECOND),
            (3, "mute", "15•••0002", ""),
        ]
        assert self.judged(sent, key="orders.load") == self.judged(sent)
        assert self.judged(sent, key="orders.clean") == []

    def test_a_receipt_that_is_not_signed_makes_nobody_a_recipient(self, sent):
        sent.write([([status(place=2, to=EVE)], False), ([inbound(1, EVE)], True)])

        assert self.judged(sent) == [(1, "on-it", "", alerts.UNASKED)]

    def test_an_unsigned_press_is_read_by_whoever_logs_it_alone(self, sent):
        sent.write([([inbound(1)], False)])

        (one,) = presses_after(sent, ALERT_BUTTON, 0)
        assert (alerts.judged_press(sent, one).refusal, self.judged(sent)) == (alerts.UNSIGNED, [])
        sent.write([([inbound(1)], True)])
        (one,) = presses_after(sent, ALERT_BUTTON, 0)
        assert alerts.judged_press(sent, one).who == "Ann"
        assert presses_after(sent, ALERT_BUTTON, one.id) == []

    def test_a_late_press_and_one_of_no_alert_say_so(self, sent):
        late = inbound(1, minutes=24 * 60 + 1)
        later, nobody_s = inbound(2, minutes=48 * 60), inbound(3, alert=AlertId("c" * 32))
        sent.write([([late, later, nobody_s], True)])

        found = [alerts.judged_press(sent, one).refusal for one in presses_after(sent, ALERT_BUTTON, 0)]
        assert found == [alerts.LATE, alerts.LATE, alerts.UNKNOWN]

    def test_alerts_count_for_a_day_and_a_mute_of_the_last_minute_for_its_hour(self, sent):
        sent.write([([inbound(1, minutes=24 * 60)], True)])

        def at(hours):
            return len(alerts.judged_presses(sent, now=SENT + timedelta(hours=hours)))

        assert (at(24.9), at(25.1)) == (1, 0)

    def test_the_others_are_those_of_all_alerts_of_the_run_each_once(self, sent):
        again = replace(SECOND_ALERT, names=("Carol",))
        sent.write([([inbound(1)], True)])
        with sent.writing() as connection:
            connection.execute(table.delete().where(table.c.alert_hash == again.alert_hash))
        alerts.record_alert(sent, again)
        alerts.record_alert(
            sent, replace(ALERT, run_id="r2", alert_hash=AlertId("d" * 32).hash, send_hash="j" * 22)
        )
        sent.write([([status(again, 0, "15550000003"), status(again, 1, BOB), status(again, 2, ANN)], True)])
        sent.write([([status(replace(ALERT, send_hash="j" * 22), 0, "15550000004")], True)])
        (found,) = alerts.judged_presses(sent, now=SENT)

        others = alerts.others_of(sent, found)

        assert sorted((one.number, one.position) for _, one in others) == [
            ("15550000002", 1),
            ("15550000003", 0),
        ]
        alert, bob = next(pair for pair in others if pair[1].number == BOB)
        assert alerts.claim_note(sent, alert, bob.position)
        assert not alerts.claim_note(sent, alert, bob.position)
        assert [one.number for _, one in alerts.others_of(sent, found)] == ["15550000003"]
        assert alerts.claim_note(sent, alert, bob.position, noted=False)
        assert len(alerts.others_of(sent, found)) == 2

    def test_the_store_holds_no_number_and_not_the_id(self, sent):
        with sent.reading() as connection:
            text = json.dumps([list(map(str, row)) for row in connection.execute(table.select())])

        assert ID.hash in text
        assert not [each for each in (ID.secret, ANN, BOB) if each in text]
