"""What tasks report, and what the event store says of it, for the tests of the tab."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow_provider_whatsapp.events.receipts import Receipt

AT = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
RUN = ("sales", "manual__2026-11-28T09:00:00+00:00", "send", -1)
PATH = "task/sales/manual__2026-11-28T09:00:00+00:00/send/{MAP_INDEX}"
SAME = {"sec_fetch_site": "same-origin", "origin": "http://airflow.example"}
ERROR = {
    "type": "RecipientError",
    "message": "refused",
    "details": "no such user",
    "advice": "Ask.",
    "code": 131026,
}
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
NOW_FAILURE = {"cooldown": 300.0, "run": "r1", "token": "me"}


def outcome(status="sent", to="15550001111", **more):
    return {"to": to, "status": status, **more}


def report(*outcomes, total=None, **more):
    counts = {
        name: sum(each["status"] == name for each in outcomes)
        for name in ("sent", "failed", "unknown", "skipped")
    }
    return {"total": len(outcomes) if total is None else total, **counts, "results": list(outcomes), **more}


def receipt(status, position=0, message_id="wamid.1", epoch=1, **more):
    return Receipt(
        send_hash="h", epoch=epoch, position=position, message_id=message_id, recipient="15550001111",
        status=status, verified=True, **{f"{status}_at": AT, **more},
    )  # fmt: skip
