"""
What a retry does, as tables: how a try begins, whom it sends to, and what a receipt proves about a message.

The ledger knows the states and the engine sends; both look up in these tables what to do.
``docs/explanation/ledger.md`` shows :data:`BEGINS` and :data:`ACTIONS` to users, and a test compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from airflow_provider_whatsapp.delivery.notes import Note

    Known = Note | Literal["sent"] | None

OnUnknown = Literal["report", "resend"]
"""The operator's argument of that name: only report unknown messages, or send them again."""
Cause = Literal["retry", "clear", "resend"]
"""Why there is another try: Airflow retries, or somebody cleared the task, without or with ``resend_on_clear``."""
Found = Literal["nothing", "same", "changed", "changed_after_sends", "mark"]
"""What a try finds: no ledger; one of the same list and message; one of others, before or after a message may have
left; or no ledger, but the mark of a try that had begun to send."""
Begin = Literal["first", "again", "cleared", "fresh"]
"""How a try begins: with an empty ledger (``first``; ``fresh``: although there was one), or with the existing one."""
State = Literal["new", "stopped", "retryable", "permanent", "suppressed", "unknown", "sent"]
"""What the ledger knows of a recipient: never claimed; not sent to, because the delivery ended before; refused, for now
or permanently; left out by the suppression list; sent to without an answer; accepted by WhatsApp."""
Action = Literal["send", "keep", "on_unknown"]
"""Send a message; keep the state and report it; or let the argument ``on_unknown`` decide."""

BEGINS: dict[Found, dict[Cause, Begin | Literal["refuse"]]] = {
    "nothing": {"retry": "first", "clear": "first", "resend": "first"},
    "same": {"retry": "again", "clear": "cleared", "resend": "fresh"},
    "changed": {"retry": "first", "clear": "first", "resend": "fresh"},
    "changed_after_sends": {"retry": "refuse", "clear": "refuse", "resend": "fresh"},
    "mark": {"retry": "refuse", "clear": "refuse", "resend": "fresh"},
}
"""How a try begins, or that it is refused, because nobody could know who would get a second message."""

STARTS_OVER: frozenset[Begin] = frozenset({"first", "fresh"})
"""The beginnings in which nothing counts that earlier tries have left: everybody is ``new``."""

ACTIONS: dict[State, dict[Literal["retry", "clear"], Action]] = {
    "new": {"retry": "send", "clear": "send"},
    "stopped": {"retry": "send", "clear": "send"},
    "retryable": {"retry": "send", "clear": "send"},
    "permanent": {"retry": "keep", "clear": "send"},
    "suppressed": {"retry": "keep", "clear": "keep"},
    "unknown": {"retry": "on_unknown", "clear": "on_unknown"},
    "sent": {"retry": "keep", "clear": "keep"},
}
"""Whom a try sends to. People on the suppression list are never sent to."""

EVIDENCE: dict[Literal["accepted", "failed"], dict[Literal["signed", "unsigned"], State | None]] = {
    "accepted": {"signed": "sent", "unsigned": "sent"},
    "failed": {"signed": "permanent", "unsigned": None},
}
"""What a receipt proves; None: nothing. An unsigned failure never causes a resend, because anyone may forge it."""

_STATES: dict[str, tuple[State, State]] = {
    "sent": ("sent", "sent"),
    "unknown": ("unknown", "unknown"),
    "failed": ("permanent", "retryable"),
    "skipped": ("suppressed", "stopped"),
}


def cause_of(*, cleared: bool, resend_on_clear: bool) -> Cause:
    """Return why there is another try."""
    if not cleared:
        return "retry"
    return "resend" if resend_on_clear else "clear"


def state_of(known: Known) -> State:
    """Return a recipient's state, from the ledger's answer."""
    if known is None or known == "sent":
        return known or "new"
    return _STATES[known.status][known.again]


def sendable(begin: Begin, on_unknown: OnUnknown) -> frozenset[State]:
    """Return the states in which a recipient is sent to."""
    # A try that starts over finds only its own notes, and never repeats what it has sent itself.
    column: Literal["retry", "clear"] = "clear" if begin == "cleared" else "retry"
    wanted = {"send"} | ({"on_unknown"} if on_unknown == "resend" else set())
    return frozenset(state for state, row in ACTIONS.items() if row[column] in wanted)


def sends_late_failures(begin: Begin) -> bool:
    """Return whether a try sends again messages that WhatsApp accepted and could not deliver."""
    return begin not in STARTS_OVER and "permanent" in sendable(begin, "report")


def proven(status: str, *, signed: bool, accepted: bool) -> State | None:
    """Return the state that a receipt proves for its message; None: it proves nothing."""
    found = EVIDENCE["failed" if status == "failed" else "accepted"]["signed" if signed else "unsigned"]
    return "sent" if found is None and accepted else found  # accepted: another receipt says it was sent


def can_retry_help(*, retryable: int, unknown: int, on_unknown: OnUnknown, has_receipts: bool) -> bool:
    """Return whether another try could end better than this one."""
    ends_doubt = has_receipts or "unknown" in sendable("again", on_unknown)  # receipts may give the outcome
    return retryable > 0 or (unknown > 0 and ends_doubt)
