"""DAGs that test delivery: crashes, clears, shards, policies, windows."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import ObjectStoragePath, dag, task

from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator
from airflow_provider_whatsapp.operators.messages import (
    SendMediaOperator,
    SendTemplateOperator,
    SendTextOperator,
)

OPTIONS = {"schedule": None, "catchup": False, "start_date": pendulum.datetime(2026, 1, 1)}
PEOPLE = [f"+1555000{number:04}" for number in range(12)]
LEDGER = "{{ dag_run.conf.get('ledger') or '' }}"
RETRIES = {"retries": 2, "retry_delay": 0}


@dag("delivery_time_out", **OPTIONS)
def delivery_time_out():
    """The third answer comes after the task's time is over, in the first try."""
    SendTextOperator(
        task_id="send",
        to=PEOPLE,
        text="once",
        ledger_path=LEDGER,
        execution_timeout=timedelta(seconds=3),
        **RETRIES,
    )


delivery_time_out()


@dag("delivery_resend", **OPTIONS)
def delivery_resend():
    SendTextOperator(
        task_id="send", to=PEOPLE, text="again", ledger_path=LEDGER, on_unknown="resend", **RETRIES
    )


delivery_resend()


@dag("delivery_clear", **OPTIONS)
def delivery_clear():
    SendTextOperator(task_id="keep", to=PEOPLE[:3], text="kept", ledger_path=LEDGER)
    SendTextOperator(task_id="fresh", to=PEOPLE[3:6], text="fresh", ledger_path=LEDGER, resend_on_clear=True)


delivery_clear()


@dag("delivery_changed", **OPTIONS)
def delivery_changed():
    SendTextOperator(task_id="send", to=PEOPLE, text="try {{ ti.try_number }}", ledger_path=LEDGER, **RETRIES)


delivery_changed()


@dag("delivery_tolerant", **OPTIONS)
def delivery_tolerant():
    SendTextOperator(task_id="send", to=PEOPLE, text="hello", ledger_path=LEDGER, max_failed=0.1)


delivery_tolerant()


@dag("delivery_upload", **OPTIONS)
def delivery_upload():
    SendMediaOperator(
        task_id="send",
        to=PEOPLE[:3],
        media="{{ dag_run.conf['media'] }}",
        ledger_path=LEDGER,
        **RETRIES,
    )


delivery_upload()


@dag("delivery_header", **OPTIONS)
def delivery_header():
    SendTemplateOperator(
        task_id="send",
        to=PEOPLE[:3],
        template_name="report",
        header="{{ dag_run.conf['media'] }}",
        header_filename="Sales.pdf",
        ledger_path=LEDGER,
        **RETRIES,
    )


delivery_header()


@dag("delivery_xcom", **OPTIONS)
def delivery_xcom():
    """What a task has made goes out by the next: the path of a file, or the file of a store; XCom takes no bytes."""

    @task
    def make(form: str, path: str, content: str):
        ObjectStoragePath(path).write_bytes(content.encode())
        return path if form == "path" else ObjectStoragePath(path)

    made = make(
        "{{ dag_run.conf['form'] }}",
        "{{ dag_run.conf['path'] }}",
        "{{ dag_run.conf.get('content', '%PDF-1.7 report') }}",
    )
    skip = "{{ dag_run.conf.get('skip_if_empty', False) }}"
    SendMediaOperator(
        task_id="send", to=PEOPLE[:3], media=made, ledger_path=LEDGER, skip_if_empty=skip, **RETRIES
    )
    SendTemplateOperator(
        task_id="header",
        to=PEOPLE[:3],
        template_name="report",
        header={"type": "document", "media": made},
        skip_if_empty=skip,
    )


delivery_xcom()


@dag("broadcast_shards", **OPTIONS)
def broadcast_shards():
    BroadcastTemplateOperator.partial(
        task_id="send",
        recipients="{{ dag_run.conf['recipients'] }}",
        template_name="invitation",
        body=["{name}", "{{ run_id }}"],
        shards="{{ dag_run.conf.get('shards', 3) }}",
        ledger_path=LEDGER,
        results_path="{{ dag_run.conf['results'] }}",
        suppression="{{ dag_run.conf.get('opted_out', '[]') }}",
        max_failed="{{ dag_run.conf.get('max_failed', 0) }}",
    ).expand(shard=[0, 1, 2])


broadcast_shards()


@dag("broadcast_one", **OPTIONS)
def broadcast_one():
    BroadcastTemplateOperator(
        task_id="send",
        recipients="{{ dag_run.conf['recipients'] }}",
        template_name="invitation",
        body=["{name}", "10:00"],
        ledger_path=LEDGER,
        results_path="{{ dag_run.conf.get('results', '') }}",
        scope="{{ dag_run.conf.get('scope', 'all') }}",
        max_failed="{{ dag_run.conf.get('max_failed', 0) }}",
        dry_run="{{ dag_run.conf.get('dry_run', False) }}",
        **RETRIES,
    )


broadcast_one()


@dag("broadcast_changed", **OPTIONS)
def broadcast_changed():
    """Each try finds another list."""
    BroadcastTemplateOperator(
        task_id="send",
        recipients="{{ dag_run.conf['folder'] }}/{{ ti.try_number }}.csv",
        template_name="hello_world",
        ledger_path=LEDGER,
        **RETRIES,
    )


broadcast_changed()


@dag("broadcast_xcom", **OPTIONS)
def broadcast_xcom():
    @task
    def people():
        return [{"to": number, "name": f"P{place}"} for place, number in enumerate(PEOPLE)]

    BroadcastTemplateOperator(
        task_id="send",
        recipients=people(),
        template_name="invitation",
        body=["{name}", "10:00"],
        suppression="{{ var.value.opted_out }}",
        ledger_path=LEDGER,
    )


broadcast_xcom()


@dag("broadcast_kill", **OPTIONS)
def broadcast_kill():
    BroadcastTemplateOperator(
        task_id="send",
        recipients=[f"1555{number:07}" for number in range(200)],
        template_name="hello_world",
        ledger_path=LEDGER,
        results_path="{{ dag_run.conf['results'] }}",
        max_failed=16,
        retries=1,
        retry_delay=0,
    )


broadcast_kill()


@dag("broadcast_hello", **OPTIONS)
def broadcast_hello():
    BroadcastTemplateOperator(
        task_id="send",
        recipients="{{ dag_run.conf['recipients'] }}",
        template_name="hello_world",
        ledger_path=LEDGER,
        results_path="{{ dag_run.conf['results'] }}",
        scope="{{ dag_run.conf['scope'] }}",
    )


broadcast_hello()


@dag("broadcast_time_out", **OPTIONS)
def broadcast_time_out():
    """One try, whose time is over long before everybody is sent to."""
    BroadcastTemplateOperator(
        task_id="send",
        recipients=[f"1555{number:07}" for number in range(200)],
        template_name="hello_world",
        ledger_path=LEDGER,
        results_path="{{ dag_run.conf['results'] }}",
        execution_timeout=timedelta(seconds=3),
    )


broadcast_time_out()


@dag("broadcast_unlucky", **OPTIONS)
def broadcast_unlucky():
    BroadcastTemplateOperator(
        task_id="send",
        recipients=[f"1555{number:07}" for number in range(60)],
        template_name="hello_world",
        results_path="{{ dag_run.conf['results'] }}",
        max_failed=100,
        retries=30,
        retry_delay=0,
    )


broadcast_unlucky()


@dag("broadcast_window", **OPTIONS)
def broadcast_window():
    BroadcastTemplateOperator(
        task_id="send",
        recipients="{{ dag_run.conf['recipients'] | tojson }}",
        template_name="hello_world",
        ledger_path=LEDGER,
        results_path="{{ dag_run.conf.get('results', '') }}",
        send_window="{{ dag_run.conf.get('window', '') }}",
        timezone="{{ dag_run.conf.get('timezone', 'UTC') }}",
    )


broadcast_window()


@dag("delivery_shown", **OPTIONS)
def delivery_shown():
    SendTextOperator(task_id="hidden", to=PEOPLE[:2], text="secret words")
    SendTextOperator(task_id="shown", to=PEOPLE[:2], text="secret words", log_pii=True)
    SendTextOperator.partial(task_id="mapped", text="secret words").expand(to=PEOPLE[:2])


delivery_shown()


@dag("delivery_waits", **OPTIONS)
def delivery_waits():
    """A message that is no template to five people, whose fate the task waits for without a worker."""
    SendTextOperator(
        task_id="send",
        to=PEOPLE[:5],
        text="hello",
        ledger_path=LEDGER,
        wait_for="delivered",
        wait_timeout=timedelta(minutes=10),
        poke_interval=0.2,
        deferrable=True,
        **RETRIES,
    )


delivery_waits()
