"""
The rules by which alerts of one key are sent or suppressed: pure functions that get the time as an argument.

Only one alert of a key sends at a time. The failures in its message count as reported only when the gateway has
answered: if its process dies before that, the next message reports them. An unknown outcome begins a pause, not a
cooldown.
"""

from __future__ import annotations

from dataclasses import replace

from airflow_provider_whatsapp.notifications.records import (
    AT_ONCE,
    Decision,
    Held,
    Record,
    Sending,
)

# Moments are Unix time in seconds; a token identifies an alert.


def on_failure(
    record: Record,
    *,
    name: str,  # what failed, for a message that reports several failures
    now: float,
    cooldown: float,  # seconds after a message in which no further one is sent, except the one that escalates
    succeeded_at: float | None = None,  # the last success, which ends a row of failures; None: not known
    run: str = "",  # empty: this failure counts as a run of its own
    dag: str = "",
    escalate_after: int = 0,  # runs in a row after which others are notified as well; 0: never
    token: str = "",
    waits: float = 0.0,  # seconds for which it can wait for others; 0: it cannot
    sending: Sending = AT_ONCE,
    in_hand: bool = False,  # somebody has the run in hand, by a button of an alert of this key
) -> Decision:
    """Decide about a failure."""
    record = without_the_dead(record, now, sending, name)
    row = _in_a_row(record, now, succeeded_at=succeeded_at, run=run).with_dag(dag)
    if row.is_muted(now) or in_hand:
        return Decision(False, row.with_more(1, (name,)), muted=row.is_muted(now), in_hand=in_hand)
    another = row.runs != record.runs or row.failures == 1
    escalated = 0 < escalate_after <= row.runs
    waiting = replace(row, waiter=token if waits else "", waits_until=now + waits)
    if row.is_paused(now):
        # The recipients' next message reports it, so it counts as reported: no summary counts it again.
        return Decision(False, replace(row, told=row.told + 1), escalated=escalated, paused=True)
    crossed = another and row.runs == escalate_after
    busy = row.is_sending(now)
    # A machine whose clock is ahead may have written a time in the future.
    if busy or (record.sent_at and abs(now - record.sent_at) < cooldown and not crossed):
        # If many failures come one after the other, one alert waits for the others. Airflow lets none wait for long, so
        # one that comes in the second half of that time takes its place; the last one reports them all.
        takes_over = waits > 0 and not record.summed_up and now >= record.waits_until - waits / 2
        kept = waiting if takes_over else row
        return Decision(False, kept.with_more(1, (name,)), waits=takes_over, busy=busy)
    reported = replace(
        waiting, sent_at=now, told=row.told + record.held + 1, summed_up=False, cooldown=cooldown
    )
    reported = _begun(reported, now, sending, held=record.held + 1, names=(*record.names, name))
    return Decision(True, reported, record.held, record.names, escalated, waits=waits > 0)


def _in_a_row(record: Record, now: float, *, succeeded_at: float | None, run: str) -> Record:
    """Count a failure; a success since the first failure of the row begins another row."""
    if succeeded_at is not None and succeeded_at > record.first_failed_at:
        record = replace(record, failures=0, runs=0, run="", named=())
    another = not run or run != record.run
    return replace(
        record,
        failures=record.failures + 1,
        first_failed_at=record.first_failed_at if record.failures else now,
        runs=record.runs + another,
        run=run,
        told=-record.held if another else record.told,
    )


def _begun(record: Record, now: float, sending: Sending, *, held: int, names: tuple[str, ...]) -> Record:
    """Let an alert send what is held; from then on it is not held, unless the alert dies."""
    begun = replace(record, held=0, names=(), paused_until=0.0)
    if not sending.lasts:
        return begun.with_named(names)
    return replace(
        begun,
        sender=sending.token,
        sends_until=now + sending.lasts,
        sending=held,
        sending_names=names,
        sending_try=sending.attempt,
    )


def _ended(record: Record) -> Record:
    return replace(record, sender="", sends_until=0.0, sending=0, sending_names=(), sending_try="")


def without_the_dead(record: Record, now: float, sending: Sending = AT_ONCE, name: str = "") -> Record:
    """Hold the failures again of an alert that has died before the gateway answered."""
    # `sending` and `name` are those of the alert that asks.
    # If the worker of the try that was sending was lost, that try's alert is certainly dead.
    same = bool(sending.attempt) and sending.attempt == record.sending_try
    if not record.sender or (record.is_sending(now) and not (same and sending.lost)):
        return record
    # The dead alert's own failure is the last of them, except in a summary; an alert about the same try reports it.
    own = same and record.sending_names[-1:] == (name,)
    held, names = record.sending - own, record.sending_names[:-1] if own else record.sending_names
    before = Held(held=held, names=names).with_more(record.held, record.names)
    return replace(
        _ended(record), sent_at=0.0, told=record.told - record.sending, held=before.held, names=before.names
    )


def on_sent(record: Record, *, now: float, token: str) -> Decision:
    """Note that an alert's message was accepted."""
    if record.sender != token:
        return Decision(False, record)
    return Decision(False, replace(_ended(record).with_named(record.sending_names), sent_at=now))


def on_left(record: Record, *, now: float, token: str, pause: float) -> Decision:
    """Note that an alert has reached nobody yet, and that the next message notifies its recipients."""
    # `pause` is in seconds; 0: the message was certainly not sent.
    if record.sender == token:
        record = _ended(record)
    row = replace(record, sent_at=0.0, waiter="", waits_until=0.0, held=0, names=())
    row = replace(row, told=row.told + record.held, paused_until=now + pause if pause else 0.0)
    # What came meanwhile is to be left to the recipients as well.
    return Decision(False, row, record.held, record.names)


def on_unsent(record: Record, *, held: int, names: tuple[str, ...], token: str = "") -> Decision:
    """Hold the failures again of a message that was certainly not sent: the next failure reports them."""
    if record.sender == token:
        record = _ended(record)
    again = replace(
        record, sent_at=0.0, waiter="", waits_until=0.0, held=0, names=(), told=record.told - held
    )
    return Decision(False, again.with_more(held, names).with_more(record.held, record.names))


def on_claimed(record: Record, *, token: str, waits_until: float) -> Decision:
    """Record that the alert whose claim stands sends and waits, even if another has recorded itself meanwhile."""
    sender = token if record.sender else ""
    return Decision(
        True, replace(record, sender=sender, waiter=token if waits_until else "", waits_until=waits_until)
    )


def on_overtaken(record: Record, *, name: str, held: int, names: tuple[str, ...]) -> Decision:
    """Suppress a failure after all: an alert on another machine is sent, or the last message may have arrived."""
    # What counts as reported stays: both alerts have recorded that, and the record is one of theirs. The other one may
    # have its answer already, so the record does not say that it sends.
    return Decision(False, _ended(record).with_more(held + 1, (name, *names)))


def on_summary(
    record: Record,
    *,
    now: float,
    token: str,
    failed: int = 0,  # the run's failures, as Airflow counts them; 0: nobody asked Airflow
    sending: Sending = AT_ONCE,
    alone: bool = True,  # all alerts share one machine's lock, or Redis: the record's sender is certain
    in_hand: bool = False,
) -> Decision:
    """Decide about a summary of the suppressed failures, when there was no other failure for a while."""
    if record.waiter != token:
        return Decision(send=False, record=record)
    quiet = replace(record, waiter="", waits_until=0.0)
    if record.is_muted(now) or in_hand:
        return Decision(send=False, record=quiet, muted=record.is_muted(now), in_hand=in_hand)
    if record.is_paused(now):
        return Decision(send=False, record=quiet, paused=True)
    if alone and record.sender != token and record.is_sending(now):
        return Decision(send=False, record=quiet, busy=True)
    # If machines write at the same time, the record loses what one of them has written.
    held = max(record.held, failed - record.told)
    if not held:
        return Decision(send=False, record=quiet)
    reported = replace(quiet, sent_at=now, told=record.told + held, summed_up=True)
    reported = _begun(reported, now, sending, held=held, names=record.names)
    return Decision(True, reported, held, record.names)


def on_success(record: Record, *, now: float = 0.0, sending: Sending = AT_ONCE) -> Decision:
    """Decide about a success: it gets a message if there were failures before."""
    if not record.failures:
        return Decision(False, record)
    if record.is_muted(now):
        return Decision(False, record.emptied(), muted=True)
    if not sending.lasts:
        return Decision(True, record.emptied(), record.failures)
    record = without_the_dead(record, now)
    if record.is_sending(now):
        return Decision(False, record, busy=True)
    if record.is_paused(now):
        return Decision(False, record, paused=True)
    # Those that no message has named are being sent until `on_recovered`; the decision has all failures in a row.
    undelivered = record.unnamed()
    begun = _begun(record, now, sending, held=undelivered.held, names=undelivered.names)
    return Decision(True, begun, record.failures)


def on_recovered(record: Record, *, failures: int, token: str) -> Decision:
    """Note that a success was reported, which ends the row of failures before it."""
    if record.sender != token:
        return Decision(False, record)
    since = max(0, record.failures - failures)
    if not since:
        return Decision(False, record.emptied())
    return Decision(False, replace(_ended(record), failures=since, sent_at=0.0))


def on_unsent_success(
    record: Record, *, failures: int, token: str = "", now: float = 0.0, pause: float = 0.0
) -> Decision:
    """Note that a success was not reported: the next success will be."""
    # `pause` is in seconds; 0: the message was certainly not sent.
    if not token or record.sender != token:
        return Decision(False, replace(record, failures=record.failures + failures))
    before = Held(held=record.sending, names=record.sending_names).with_more(record.held, record.names)
    row = replace(_ended(record), held=before.held, names=before.names)
    return Decision(False, replace(row, paused_until=now + pause if pause else 0.0))


def on_mute(record: Record, *, until: float, by: str, at: float = 0.0) -> Decision:
    """Mute or unmute a key; failures meanwhile are counted, and the first message afterwards reports them."""
    # `until` 0: unmute it.
    set_at = max(at, record.mute_set_at)  # earlier requests no longer count
    return Decision(
        False, replace(record, muted_until=until, muted_by=by if until else "", mute_set_at=set_at)
    )
