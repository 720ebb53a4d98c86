"""
What a retry does, as tables: how a try begins, whom it sends to, and what a receipt makes of a message.

The ledger finds the states, the engine sends; both look up here what follows. ``docs/explanation/ledger.md`` shows
:data:`BEGINS` and :data:`ACTIONS` to users, and a test compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from airflow_provider_whatsapp.delivery.notes import Note

    Known = Note | Literal["sent"] | None

OnUnknown = Literal["report", "resend"]
"""What the operator's argument of that name says: leave the unknown alone, or send to them again."""
Cause = Literal["retry", "clear", "resend"]
"""Why there is another try: Airflow retries, or somebody cleared the task, without ``resend_on_clear`` or with it."""
Found = Literal["nothing", "same", "changed", "changed_after_sends", "mark"]
"""What a try finds: no ledger; that of the same list and message; that of others, before or after a message may have
left; or no ledger, and the mark of a try that had begun to send."""
Begin = Literal["first", "again", "cleared", "fresh"]
"""How a try begins: with an empty ledger (``first``; ``fresh``: though there was one), or with what is there."""
State = Literal["new", "stopped", "retryable", "permanent", "suppressed", "unknown", "sent"]
"""What the ledger knows of a recipient: never claimed; not sent to, as the delivery ended before; refused, for now or
for good; left out, as the suppression list named them; sent to without an answer; accepted by WhatsApp."""
Action = Literal["send", "keep", "on_unknown"]
"""Send a message; keep the state and report it; or what the argument ``on_unknown`` says: send, or keep."""

BEGINS: dict[Found, dict[Cause, Begin | Literal["refuse"]]] = {
    "nothing": {"retry": "first", "clear": "first", "resend": "first"},
    "same": {"retry": "again", "clear": "cleared", "resend": "fresh"},
    "changed": {"retry": "first", "clear": "first", "resend": "fresh"},
    "changed_after_sends": {"retry": "refuse", "clear": "refuse", "resend": "fresh"},
    "mark": {"retry": "refuse", "clear": "refuse", "resend": "fresh"},
}
"""How a try begins, or that it is refused, since nobody could say who would get a second message."""

STARTS_OVER: frozenset[Begin] = frozenset({"first", "fresh"})
"""Where nothing counts that an earlier try has left: to this try everybody is ``new``."""

ACTIONS: dict[State, dict[Literal["retry", "clear"], Action]] = {
    "new": {"retry": "send", "clear": "send"},
    "stopped": {"retry": "send", "clear": "send"},
    "retryable": {"retry": "send", "clear": "send"},
    "permanent": {"retry": "keep", "clear": "send"},
    "suppressed": {"retry": "keep", "clear": "keep"},
    "unknown": {"retry": "on_unknown", "clear": "on_unknown"},
    "sent": {"retry": "keep", "clear": "keep"},
}
"""Whom a try sends to. Those whom the suppression list names now are sent to in no case."""

EVIDENCE: dict[Literal["accepted", "failed"], dict[Literal["signed", "unsigned"], State | None]] = {
    "accepted": {"signed": "sent", "unsigned": "sent"},
    "failed": {"signed": "permanent", "unsigned": None},
}
"""What a receipt proves; None: nothing. An unsigned failure lets nobody be sent to again: anyone may forge it."""

_STATES: dict[str, tuple[State, State]] = {
    "sent": ("sent", "sent"),
    "unknown": ("unknown", "unknown"),
    "failed": ("permanent", "retryable"),
    "skipped": ("suppressed", "stopped"),
}


def cause_of(*, cleared: bool, resend_on_clear: bool) -> Cause:
    """
    Return why there is another try.

    :param cleared: The task was cleared; False: Airflow retries it.
    :param resend_on_clear: What the operator's argument says.
    """
    if not cleared:
        return "retry"
    return "resend" if resend_on_clear else "clear"


def state_of(known: Known) -> State:
    """
    Return a recipient's state.

    :param known: What the ledger returns of them.
    """
    if known is None or known == "sent":
        return known or "new"
    return _STATES[known.status][known.again]


def sendable(begin: Begin, on_unknown: OnUnknown) -> frozenset[State]:
    """
    Return the states of those that a try sends to.

    :param begin: How it begins.
    :param on_unknown: What the operator's argument says.
    """
    # A try that starts over finds nobody's note but its own, and repeats none of what it sends itself.
    column: Literal["retry", "clear"] = "clear" if begin == "cleared" else "retry"
    wanted = {"send"} | ({"on_unknown"} if on_unknown == "resend" else set())
    return frozenset(state for state, row in ACTIONS.items() if row[column] in wanted)


def sends_late_failures(begin: Begin) -> bool:
    """
    Say whether a try sends again the messages that WhatsApp accepted and could not deliver.

    :param begin: How it begins.
    """
    return begin not in STARTS_OVER and "permanent" in sendable(begin, "report")


def proven(status: str, *, signed: bool, accepted: bool) -> State | None:
    """
    Return the state that a receipt proves of its message; None: it proves nothing.

    :param status: The receipt's.
    :param signed: Its signature was checked.
    :param accepted: It is known, too, that WhatsApp sent the message before.
    """
    found = EVIDENCE["failed" if status == "failed" else "accepted"]["signed" if signed else "unsigned"]
    return "sent" if found is None and accepted else found


def can_retry_help(*, retryable: int, unknown: int, on_unknown: OnUnknown, has_receipts: bool) -> bool:
    """
    Say whether another try could end better than this one.

    :param retryable: How many certainly have nothing and may get it yet.
    :param unknown: How many are unknown.
    :param on_unknown: What the operator's argument says.
    :param has_receipts: A receipt may say what became of the unknown.
    """
    ends_doubt = has_receipts or "unknown" in sendable("again", on_unknown)
    return retryable > 0 or (unknown > 0 and ends_doubt)
