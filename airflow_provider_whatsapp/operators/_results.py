"""The results file of a broadcast: opened for a try, and put together when the try ends, for any reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_whatsapp.delivery.callback_data import CallbackData
    from airflow_provider_whatsapp.delivery.ledger import Begin
    from airflow_provider_whatsapp.delivery.report import Report
    from airflow_provider_whatsapp.delivery.results import Results
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook


def run_key(context: Context) -> str:
    """Return a key that distinguishes a task run's parts from those of other runs that write to the same file."""
    from airflow_provider_whatsapp.operators._digest import digest

    ti: Any = context.get("ti")
    return digest([getattr(ti, name, "") for name in ("dag_id", "run_id", "task_id", "map_index")])[:12]


def shard_file(path: Any, shard: int, shards: int) -> Any:
    """Return the path of a shard's outcomes, ``results-1-of-4.jsonl`` for shard 0, without opening it."""
    if shards == 1:
        return path
    folder, slash, name = path.rpartition("/") if isinstance(path, str) else ("", "", path.name)
    stem, dot, suffix = name.partition(".")
    name = f"{stem}-{shard + 1}-of-{shards}{dot}{suffix}"
    return f"{folder}{slash}{name}" if isinstance(path, str) else path.parent / name


def open_results(
    context: Context,
    path: Any,
    begin: Begin,
    *,
    total: int,
    earlier: str | None = None,  # the file that an earlier try of the task run put together
    carried: CallbackData | None = None,  # None: the task sends no messages
) -> Results:
    """Return the results to which a try writes its outcomes; raises ResultsError if the file cannot be written."""
    from airflow_provider_whatsapp.delivery.results import Results
    from airflow_provider_whatsapp.delivery.retry_policy import STARTS_OVER
    from airflow_provider_whatsapp.hooks.event_store import events_conn_id

    results = Results(
        path,
        key=run_key(context),
        number=getattr(context.get("ti"), "try_number", 1),
        total=total,
        resumed=earlier == str(path),
        send_hash=carried.key if carried is not None and carried.given is None else None,
        # With receipts a message may turn out to have failed later, and a resend needs its values.
        keep_sent=carried is not None and events_conn_id() is not None,
        dag_id=getattr(context.get("ti"), "dag_id", None),
    )
    results.begin(start_over=begin in STARTS_OVER)
    return results


def put_together(context: Context, results: Results, report: Report, log: Any) -> None:
    """Write the results file; if that fails, mark the report as stopped, so that Airflow retries the task."""
    try:
        _write(results, report, log)
    except BaseException as error:  # such as Airflow's time-out of the task, which is raised only once
        report_early_end(context, report, results, error, log)
        raise


def _write(results: Results, report: Report, log: Any) -> None:
    from airflow_provider_whatsapp.delivery.result_parts import ResultsError

    failure = results.failure
    try:
        lines = results.finish()
    except ResultsError as error:
        failure = results.failure = failure or error
    else:
        log.info("WhatsApp: the outcomes of %d recipients are in %s", lines, results.path)
    if results.failure is not None or report.reasons["stopped"]:
        report.stopped = report.stopped or failure


def write_what_arrived(path: str, wait_for: str, hook: MatonWhatsAppHook, log: Any) -> None:
    """Bring a results file up to date as a delivery report does; if that fails, a delivery report can still do it."""
    from airflow_provider_whatsapp.client.errors import WhatsAppError
    from airflow_provider_whatsapp.delivery.delivery_report import DeliveryCounts, rewrite
    from airflow_provider_whatsapp.delivery.report_sources import HistorySource, StoreSource
    from airflow_provider_whatsapp.hooks.event_store import opened_event_store
    from airflow_provider_whatsapp.hooks.object_stores import as_object_path

    try:
        with opened_event_store() as store:
            source = StoreSource(store) if store is not None else HistorySource(hook.get_message_status)
            rewrite(as_object_path(path), source, DeliveryCounts(wait_for))
    except WhatsAppError as error:
        log.warning("WhatsApp: the results file could not be updated with what arrived: %s", error)


def report_early_end(
    context: Context, report: Report, results: Results | None, error: BaseException, log: Any
) -> None:
    """Write what is known when the task's time is over or the ledger has failed, since no later try may come."""
    from airflow_provider_whatsapp.delivery.stores import LedgerError

    log.warning("WhatsApp: %s ended the task: %s", type(error).__name__, report.summary())
    if isinstance(error, LedgerError) and error.permanent:
        if results is not None:
            results.flush()  # the newer try, which now owns the ledger, writes the rest
        return
    if results is not None:
        _write(results, report, log)
        if results.failure is not None:
            log.error("%s", results.failure)
    ti: Any = context.get("ti")
    if ti is not None:
        try:
            ti.xcom_push(key="report", value=report.to_dict())
        except Exception as problem:  # the task's own error has to stay visible
            log.warning("The XCom 'report' could not be written: %s", problem)
