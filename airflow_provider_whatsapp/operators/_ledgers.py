"""Where a task's ledger is stored, and what the log says about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_whatsapp.delivery.ledger import Begin, Ledger, Try
    from airflow_provider_whatsapp.delivery.stores import Store


def names_of(context: Context) -> list[str]:
    """Return the key of a task's ledger: DAG, run, task and map index."""
    ti: Any = context.get("ti")
    return [] if ti is None else [ti.dag_id, ti.run_id, ti.task_id, str(ti.map_index)]


def store_of(context: Context, ledger_path: Any) -> Store:
    """Return the store of a task's ledger."""
    from airflow_provider_whatsapp._compat import in_task
    from airflow_provider_whatsapp.delivery.stores import FileStore, MarkedMemory, MemoryStore, StateStore

    names = names_of(context)
    if ledger_path:
        from airflow_provider_whatsapp.hooks.object_stores import as_object_path

        return FileStore(as_object_path(ledger_path), *names)
    accessor = context.get("task_state_store")
    if accessor is not None:
        return StateStore(accessor)
    if names and in_task():
        from airflow.sdk import Variable

        return MarkedMemory(Variable, names)
    return MemoryStore()


def log_beginning(begin: Begin, this: Try, ledger: Ledger, total: int, log: Any) -> None:
    """Log how this try begins, given what earlier tries have done."""
    name, done = ledger.store.name, f"{ledger.sent} of {total} sent, {ledger.unknown} unknown"
    if begin == "again":
        log.info("Try %d continues where an earlier one ended: %s (%s).", this.number, done, name)
    elif begin == "cleared":
        log.info(
            "This task was cleared (Airflow allows it %d tries now). %s (%s). resend_on_clear is False, so the task "
            "sends only to people who certainly have no message.",
            this.max_tries + 1,
            done,
            name,
        )
    elif begin == "fresh":
        log.info(
            "This task was cleared, and resend_on_clear is True: the task sends to everybody again (%s).",
            name,
        )
