"""DAGs that the tests run: each sensor mode, several recipients, failures, a notifier that serves twice."""

from __future__ import annotations

import os

import pendulum
from airflow.sdk import dag, task

from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook
from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier
from airflow_provider_whatsapp.operators.messages import (
    SendMediaOperator,
    SendMessageOperator,
    SendTemplateOperator,
    SendTextOperator,
)
from airflow_provider_whatsapp.sensors.templates import TemplateApprovalSensor

TO = "+15550001111"
SEVERAL = ["+15550001111", "+1 555 000 2222", "+1 (555) 000-1111", "+15550003333"]
OPTIONS = {"schedule": None, "catchup": False, "start_date": pendulum.datetime(2026, 1, 1)}


def approval_dag(name, **options):
    @dag(f"approval_{name}", **OPTIONS)
    def approval():
        TemplateApprovalSensor(
            task_id="wait",
            template_name="awaited",
            language="en_US",
            poke_interval=0.1,
            timeout=20,
            **options,
        )

    approval()


approval_dag("poke")
approval_dag("reschedule", mode="reschedule")
approval_dag("deferrable", deferrable=True)
approval_dag("soft_fail", soft_fail=True)
approval_dag("soft_fail_deferrable", soft_fail=True, deferrable=True)
approval_dag("retries", retries=3, retry_delay=0)


@dag("send_to_several", **OPTIONS)
def send_to_several():
    SendTemplateOperator(task_id="send", to=SEVERAL, template_name="hello_world", retries=2, retry_delay=0)


send_to_several()


@dag("send_rendered", **OPTIONS)
def send_rendered():
    SendTextOperator(task_id="text", to="{{ params.get('to', '+15550001111') }}", text="Run {{ run_id }}")
    SendMessageOperator(
        task_id="place",
        to=TO,
        message={"type": "location", "latitude": 52.5, "longitude": 13.4, "name": "{{ dag.dag_id }}"},
    )
    SendMediaOperator(
        task_id="file", to=TO, media=os.environ.get("TEST_MEDIA", "file:///nowhere.pdf"), caption="Report"
    )


send_rendered()


@dag("send_and_retry", **OPTIONS)
def send_and_retry():
    SendTextOperator(task_id="send", to=TO, text="once", retries=2, retry_delay=0)


send_and_retry()

shared = WhatsAppNotifier(to=TO, text="{{ ti.task_id }} failed")


@dag("notify_twice", **OPTIONS)
def notify_twice():
    @task(on_failure_callback=shared)
    def first():
        raise ValueError("first")

    @task(on_failure_callback=shared, trigger_rule="all_done")
    def second():
        raise ValueError("second")

    first() >> second()


notify_twice()


@dag("notify_with_long_words", **OPTIONS)
def notify_with_long_words():
    # Not of the exception, which `dag.test()` of Airflow 3.1 leaves out of the context.
    words = r"{{ 'line one\nline two\t' ~ 'x' * 5000 }}"

    @task(on_failure_callback=WhatsAppNotifier(to=TO, template_name="task_failed", body=[words, ""]))
    def fails():
        raise ValueError("no rows")

    fails()


notify_with_long_words()


@dag("acknowledge", **OPTIONS)
def acknowledge():
    @task(on_failure_callback=WhatsAppNotifier(to=TO, acknowledge=True, names="people", cooldown=0))
    def load():
        raise ValueError("no rows")

    load()


acknowledge()

WATCHED = WhatsAppNotifier(to=TO, text="{{ ti.task_id }} failed")
RECOVERED = WhatsAppNotifier(to=TO, text="{{ ti.task_id }} is well again", recovery=True)


@dag("notify_once", params={"well": False}, **OPTIONS)
def notify_once():
    @task(on_failure_callback=WATCHED, on_success_callback=RECOVERED)
    def load(params=None):
        if not params["well"]:
            raise ValueError("no rows")

    load()


notify_once()


@dag("notify_of_many", **OPTIONS)
def notify_of_many():
    @task(on_failure_callback=WhatsAppNotifier(to=TO, template_name="airflow_alert", roll_up=0.1))
    def load(part):
        raise ValueError(f"part {part} has no rows")

    load.expand(part=[1, 2, 3])


notify_of_many()


@dag("notify_by_default", on_failure_callback=WhatsAppNotifier(to=TO), **OPTIONS)
def notify_by_default():
    @task(on_failure_callback=WhatsAppNotifier(to=TO))
    def fails():
        raise ValueError("out of disk")

    fails()


notify_by_default()


@dag("hook_in_a_task", **OPTIONS)
def hook_in_a_task():
    @task
    def send():
        return MatonWhatsAppHook().send_text(TO, "from a task").message_id

    send()


hook_in_a_task()
