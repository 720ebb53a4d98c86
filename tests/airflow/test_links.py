"""The links on a task's page."""

from __future__ import annotations

import inspect
import json
from importlib import import_module
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from airflow.sdk import BaseOperator

from airflow_provider_whatsapp.get_provider_info import get_provider_info
from airflow_provider_whatsapp.links import ResultsLink, WhatsAppManagerLink, file_page, xcom_page
from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator
from airflow_provider_whatsapp.operators.messages import SendTemplateOperator, SendTextOperator
from airflow_provider_whatsapp.operators.templates import SyncTemplatesOperator
from airflow_provider_whatsapp.sensors.templates import TemplateApprovalSensor

pytestmark = pytest.mark.airflow

TO = "+1 555 010 0199"
LINKS = {
    "SendTemplateOperator": {WhatsAppManagerLink, ResultsLink},
    "SendTextOperator": {ResultsLink},
    "SendMediaOperator": {ResultsLink},
    "SendMessageOperator": {ResultsLink},
    "SqlToWhatsAppOperator": {WhatsAppManagerLink, ResultsLink},
    "BroadcastTemplateOperator": {WhatsAppManagerLink, ResultsLink},
    "SyncTemplatesOperator": {WhatsAppManagerLink},
    "TemplateApprovalSensor": {WhatsAppManagerLink},
    "MessageStatusSensor": set(),
    "DeliveryReportOperator": {ResultsLink},
    "WhatsAppApprovalOperator": {WhatsAppManagerLink},
    "WhatsAppChoiceOperator": set(),
    "WhatsAppAnalyticsOperator": set(),
    "WhatsAppHealthSensor": set(),
}
"""What has to do with templates leads to WhatsApp Manager, what sends to its results."""
TI = SimpleNamespace(
    dag_id="sales", run_id="manual__2026-01-01T00:00:00+00:00", task_id="group.send", map_index=-1
)


def connect(monkeypatch, **parts):
    connection = {
        "conn_type": "maton_whatsapp",
        "password": "a-key",
        "extra": {"waba_id": "102290129340398"},
    } | parts
    monkeypatch.setenv("AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT", json.dumps(connection))


def task_classes():
    """Return what Airflow is told of that makes a task, by name."""
    info = get_provider_info()
    modules = [
        module
        for kind in ("operators", "sensors")
        for entry in info[kind]
        for module in entry["python-modules"]
    ]
    return {
        name: cls
        for module in modules
        for name, cls in inspect.getmembers(import_module(module), inspect.isclass)
        if cls.__module__ == module and issubclass(cls, BaseOperator) and not name.startswith("_")
    }


def manager(operator):
    return WhatsAppManagerLink().get_link(operator, ti_key=TI)


def broadcast(**arguments):
    return BroadcastTemplateOperator(task_id="send", recipients=[], template_name="hello_world", **arguments)


@pytest.mark.parametrize("name", LINKS)
def test_the_links_of_each_task(name):
    links = task_classes()[name].operator_extra_links

    assert len(links) == len(LINKS[name])
    assert {type(link) for link in links} == LINKS[name]


def test_no_task_is_left_out_and_airflow_knows_each_link():
    assert set(task_classes()) == set(LINKS)
    # One that Airflow is not told of would not be shown.
    known = {f"{link.__module__}.{link.__qualname__}" for links in LINKS.values() for link in links}
    assert known == set(get_provider_info()["extra-links"])


@pytest.mark.parametrize("host", [None, "https://api.maton.ai"])
def test_the_account_s_templates_in_whatsapp_manager(monkeypatch, host):
    connect(monkeypatch, host=host)

    url = urlsplit(manager(TemplateApprovalSensor(task_id="wait", template_name="late")))

    assert (url.scheme, url.hostname) == ("https", "business.facebook.com")
    assert parse_qs(url.query) == {"asset_id": ["102290129340398"]}


def test_the_task_s_account_and_template(monkeypatch):
    connect(monkeypatch)
    operator = SendTemplateOperator(task_id="send", to=TO, template_name="late", waba_id="77")
    operator.template_id = "4711"

    assert parse_qs(urlsplit(manager(operator)).query) == {"asset_id": ["77"], "id": ["4711"]}


def test_the_look_up_before_sending_finds_the_template_s_id(sandbox):
    operator = SendTemplateOperator(task_id="send", to=TO, template_name="hello_world")
    operator.execute({})

    (template,) = operator.hook.list_templates(name="hello_world")
    assert operator.template_id == template["id"]


def test_an_account_that_is_not_known_has_no_page(monkeypatch):
    connect(monkeypatch, extra={"phone_number_id": "106540352242922"})

    assert manager(SyncTemplatesOperator(task_id="sync", templates=[])) == ""


def test_a_connection_that_is_not_there_adds_no_error(monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT", raising=False)

    assert manager(SendTemplateOperator(task_id="send", to=TO, template_name="late")) == ""


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("s3://reports/2026/sent day.jsonl", "https://console.aws.amazon.com/s3/object/reports?prefix=2026/sent%20day.jsonl"),
        ("s3://aws_default@reports/a.jsonl", "https://console.aws.amazon.com/s3/object/reports?prefix=a.jsonl"),
        ("gs://reports/a.jsonl", "https://console.cloud.google.com/storage/browser/_details/reports/a.jsonl"),
        ("https://files.example.com/a.jsonl", "https://files.example.com/a.jsonl"),
        ("file:///var/reports/a.jsonl", ""),
        ("/var/reports/a.jsonl", ""),
    ],
)  # fmt: skip
def test_a_store_s_page_of_a_file(path, page):
    assert file_page(path) == page


def test_the_results_file_of_a_shard():
    operator = broadcast(results_path="gs://reports/a.jsonl", shard=1, shards=8)

    assert ResultsLink().get_link(operator, ti_key=TI).endswith("/reports/a-2-of-8.jsonl")


@pytest.mark.parametrize(
    "operator",
    [
        broadcast(),
        broadcast(results_path="/tmp/a.jsonl"),
        SendTextOperator(task_id="send", to=TO, text="Hello"),
    ],
    ids=["no file", "a local file", "no broadcast"],
)
def test_other_results_are_in_xcom(operator):
    assert ResultsLink().get_link(operator, ti_key=TI) == xcom_page(TI)


def test_the_address_of_xcom(monkeypatch):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com/team/")
    mapped = SimpleNamespace(**{**vars(TI), "map_index": 3})

    page = "https://airflow.example.com/team/dags/sales/runs/manual__2026-01-01T00%3A00%3A00%2B00%3A00/tasks/group.send"
    assert xcom_page(TI) == f"{page}/xcom"
    assert xcom_page(mapped) == f"{page}/mapped/3/xcom"


def test_airflow_keeps_the_links_of_a_task_that_has_run(run_dag, dag_bag, sandbox):
    dag_run = dag_bag.dags["scheduled_notification"].test()
    (task,) = (ti for ti in dag_run.get_task_instances() if ti.state == "success")

    def kept(link):
        return task.xcom_pull(task_ids=task.task_id, key=link.xcom_key)

    assert kept(WhatsAppManagerLink()) == f"{sandbox.url}/"
    assert kept(ResultsLink()) == xcom_page(task)
