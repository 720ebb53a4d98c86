"""What a question with answers on the phone needs besides its message, and what its receipts say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param

from airflow_provider_whatsapp.answering.request_id import ANSWERED_BY, RequestId

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow.sdk import Context

    from airflow_provider_whatsapp.events.receipts import Counts


def declare_presser(task: Any) -> None:
    """Add to a request the parameter in which Airflow's page shows who pressed; the task's own parameters stay."""
    # The page sends null for an emptied field.
    task.params[ANSWERED_BY] = Param(
        "",
        type=["string", "null"],
        title="Answered by",
        description="The person who pressed a button on the phone. Leave it empty.",
    )


def open_replies(
    context: Context, send_hash: str, options: Sequence[str], *, expires_at: float | None, resumed: bool
) -> list[str]:
    """Write a question to the event store, and return the payloads of its buttons, in the order of the options."""
    # It is written before any of its messages leaves, so that the store knows it when a press comes.
    # expires_at is Unix time in seconds; None: an answer counts without a limit.
    from airflow_provider_whatsapp.events.requests import Request, open_request
    from airflow_provider_whatsapp.hooks.event_store import opened_event_store

    ti: Any = context["ti"]
    made = RequestId.new()
    asked = Request(
        request_hash=made.hash,
        send_hash=send_hash,
        ti_id=str(ti.id),
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        map_index=ti.map_index,
        options=tuple(options),
        asked_at=datetime.now(UTC),
        expires_at=None if expires_at is None else datetime.fromtimestamp(expires_at, UTC),
    )
    with opened_event_store() as store:
        if store is not None:
            open_request(store, asked, resumed=resumed)  # an earlier try may have stopped while it sent it
    return [made.payload(place) for place in range(len(options))]


def receipts_of(send_hashes: Iterable[str]) -> Counts:
    """Return the counts of receipts for several sends together."""
    from airflow_provider_whatsapp.events.receipts import Counts, count_receipts
    from airflow_provider_whatsapp.hooks.event_store import opened_event_store

    with opened_event_store() as store:
        found = [] if store is None else list(count_receipts(store, send_hashes).values())
    return Counts(*(sum(getattr(each, name) for each in found) for name in Counts.__slots__))
