"""A line of a results file and its message's receipt: whether they belong together, and what the line then says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.delivery.callback_data import parse_callback_data
from airflow_provider_whatsapp.delivery.evidence import error_of
from airflow_provider_whatsapp.events.kinds import RANKS

if TYPE_CHECKING:
    from airflow_provider_whatsapp.events.receipts import Receipt

Line = dict[str, Any]

STEPS = ("accepted", "sent", "delivered", "read")
"""The steps of a message; a message that has reached one has reached all before it."""
LEFT = ("sent", "delivered", "read")
"""Statuses of a line whose message WhatsApp accepted, and which has not failed."""
_ORDER = ("unknown", "accepted", *sorted(RANKS, key=RANKS.__getitem__))
"""The statuses in rising order of what they say."""
_TIMES = ("sent_at", "delivered_at", "read_at", "failed_at")


def id_of(line: Line) -> str | None:
    """Return the ID of a line's message; None: it is not known."""
    found = line.get("message_id")
    return found if isinstance(found, str) and found else None


def send_of(line: Line) -> tuple[str, int | None] | None:
    """Return the send and the epoch in which a line's message left; None: it carried the user's own callback data."""
    found = parse_callback_data(str(line.get("callback_data", "")))
    if found is not None:
        return found[:2] if found[2] == line["n"] else None
    return (
        # An earlier try lost the message's ID, and with it the epoch.
        (line["send_hash"], None) if line.get("earlier") and isinstance(line.get("send_hash"), str) else None
    )


def has_left(line: Line) -> bool:
    """Return whether a message left, or may have left, so that receipts may be about it."""
    return line["status"] in (*LEFT, "unknown") or (line["status"] == "failed" and id_of(line) is not None)


def reached(line: Line) -> str | None:
    """Return how far a message has got; None: it has failed, or it is unknown whether it left."""
    if line["status"] == "sent":
        return "sent" if "sent_at" in line else "accepted"
    return line["status"] if line["status"] in LEFT else None


def updated(line: Line, receipt: Receipt) -> Line:
    """Return a line with what a receipt says about its message, unless the line says as much already."""
    status = receipt.status
    if status == "failed" and line["status"] == "unknown" and not receipt.verified:
        status = "accepted"  # it certainly left; no signed receipt says that it failed
    if _ORDER.index(status) < _ORDER.index(reached(line) or line["status"]):
        return line
    now = {name: value for name, value in line.items() if name not in ("error", "earlier")}
    now["status"] = "sent" if status in ("accepted", "sent") else status
    now["message_id"] = id_of(line) or receipt.message_id
    if status == "failed":
        now["error"] = error_of(receipt).to_dict()
    for name in _TIMES:
        moment = getattr(receipt, name)
        if moment is not None:
            now[name] = moment.isoformat(timespec="seconds")
    if receipt.price_category is not None:
        now["price_category"] = receipt.price_category
    if receipt.billable is not None:
        now["billable"] = receipt.billable
    now["verified"] = receipt.verified
    return line if now == line else now
