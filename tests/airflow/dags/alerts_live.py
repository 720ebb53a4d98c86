"""DAGs that a running Airflow schedules by itself: callbacks of every kind, deadlines that have passed, bad input."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import dag, task
from airflow.sdk.definitions.deadline import AsyncCallback, DeadlineAlert, DeadlineReference

from airflow_provider_whatsapp._compat import AirflowFailException, AirflowSkipException
from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

LIVE = bool(os.environ.get("WHATSAPP_TEST_LIVE"))
WHEN = datetime(2026, 1, 1, tzinfo=UTC)
OPTIONS = {
    "schedule": "@once" if LIVE else None,
    "catchup": False,
    "start_date": WHEN,
    "is_paused_upon_creation": not LIVE,
    "tags": ["finance"],
}

LATE = "Run {{ dag_run.run_id }} of {{ dag_run.dag_id }} is late"


def missed(**kwargs):
    """Give a deadline that has passed before its run began."""
    return DeadlineAlert(
        reference=DeadlineReference.FIXED_DATETIME(WHEN),
        interval=timedelta(seconds=1),
        callback=AsyncCallback(WhatsAppNotifier, kwargs=kwargs),
    )


def plain(last_digits):
    """Give a notifier with the default text, and a number that shows whose message it is."""
    return WhatsAppNotifier(to=f"+1555000{last_digits}")


@dag("alerts_live", deadline=[missed(routes="oncall", text=LATE)], **OPTIONS)
def alerts_live():
    @task(on_failure_callback=WhatsAppNotifier(routes="oncall", text="{{ ti.task_id }}: {{ exception }}"))
    def load():
        raise ValueError("no rows")

    @task
    def without_a_callback():
        raise ValueError("no rows either")

    load()
    without_a_callback()
    link = "{{ task.generate_link_to_ui(task_instance=ti) }}"
    ask = WhatsAppNotifier(to="+15550004444", text=f"Publish the report? {link}")
    ApprovalOperator(task_id="approve", subject="Publish the report?", notifiers=[ask, plain(6010)])


alerts_live()


@dag(
    "callback_kinds",
    on_failure_callback=plain(6006),
    deadline=[missed(to="+15550006008")],
    **OPTIONS,
)
def callback_kinds():
    @task(on_execute_callback=plain(6001), on_success_callback=plain(6002))
    def well():
        pass

    @task(on_skipped_callback=plain(6003))
    def skips():
        raise AirflowSkipException("nothing to do")

    @task(on_retry_callback=plain(6004), on_failure_callback=plain(6005), retries=1, retry_delay=0)
    def fails():
        raise ValueError("no rows")

    well()
    skips()
    fails()


callback_kinds()


@dag("callback_kinds_well", on_success_callback=plain(6007), **OPTIONS)
def callback_kinds_well():
    @task
    def well():
        pass

    well()


callback_kinds_well()


@dag("worker_lost", **OPTIONS)
def worker_lost():
    @task(on_failure_callback=plain(6011))
    def load():
        """What a machine that goes down does: neither the task nor what watches it says another word."""
        if LIVE:
            os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)

    load()


worker_lost()

TWO_DAYS = {"start_date": WHEN, "end_date": WHEN + timedelta(days=1)}


@dag(
    "escalates",
    **{**OPTIONS, **TWO_DAYS, "schedule": "@daily" if LIVE else None, "catchup": True},
    max_active_runs=1,
)
def escalates():
    """Fail in two runs in a row."""

    @task(
        on_failure_callback=WhatsAppNotifier(
            to="+15550006021",
            escalate_to="+15550006022",
            escalate_after=2,
            text="{{ ti.task_id }}: {{ exception }}",
        )
    )
    def load():
        raise ValueError("no rows")

    load()


escalates()

TASKS_OF_THE_STORM = 7


@dag("storm", **OPTIONS)
def storm():
    """Fail in many mapped tasks, which are not to be tried again."""

    @task(on_failure_callback=WhatsAppNotifier(to="+15550008001", template_name="airflow_alert"), retries=3)
    def load(number):
        raise AirflowFailException(f"no rows in {number}")

    load.expand(number=list(range(TASKS_OF_THE_STORM)))


storm()

ROUTES = {"high": ["+15550007001"], "default": ["+15550007002"]}
UNKNOWN_SEVERITY = WhatsAppNotifier(routes=ROUTES, severity="hihg")
MISFIT = WhatsAppNotifier(to="+15550007003", template_name="something_wrong", body=["one", "two"])


def unreachable_by(last_digits):
    """Give a notifier whose gateway does not answer, and a number of its own: nobody else is to tell of it."""
    return WhatsAppNotifier(to=f"+1555000{last_digits}", maton_conn_id="away")


@dag("bad_input", on_failure_callback=unreachable_by(7004), **OPTIONS)
def bad_input():
    @task(on_failure_callback=UNKNOWN_SEVERITY)
    def unknown_severity():
        raise ValueError("no rows")

    @task(on_failure_callback=MISFIT)
    def misfit():
        raise ValueError("no rows")

    @task(on_failure_callback=unreachable_by(7005))
    def unreachable():
        raise ValueError("no rows")

    @task(on_failure_callback=WhatsAppNotifier(to="+15550007008"), retries=3)
    def unanswered():
        raise AirflowFailException("no rows")

    unknown_severity()
    misfit()
    unreachable()
    unanswered()


bad_input()


@dag("bad_input_well", on_success_callback=unreachable_by(7006), **OPTIONS)
def bad_input_well():
    @task(on_success_callback=[MISFIT, unreachable_by(7007)])
    def well():
        pass

    well()


bad_input_well()
