"""One rule for what a value becomes: in all operators, in rows, in alerts, with and without native rendering."""

from __future__ import annotations

import csv
import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest
from airflow.sdk import DAG, ObjectStoragePath

from airflow_provider_whatsapp._compat import AirflowFailException
from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import Template
from airflow_provider_whatsapp.client.messages.texts import text_of
from airflow_provider_whatsapp.delivery.fill import fill
from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook
from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier
from airflow_provider_whatsapp.operators.messages import (
    SendMediaOperator,
    SendMessageOperator,
    SendTemplateOperator,
    SendTextOperator,
)
from airflow_provider_whatsapp.operators.sql import SqlToWhatsAppOperator
from airflow_provider_whatsapp.sensors.messages import MessageStatusSensor

TO = "+15550100123"


class Scalar:
    """What NumPy's scalars are to those who do not import it."""

    shape = ()

    def __init__(self, value):
        self._value = value

    def item(self):
        return self._value

    def __repr__(self):
        return f"Scalar({self._value!r})"


WRITTEN = [
    ("12.50", "12.50"),
    (12, "12"),
    (12.5, "12.5"),
    (12.0, "12.0"),
    (0.1 + 0.2, "0.3"),
    (1e16, "10000000000000000"),
    (1e-7, "0.0000001"),
    (1234567.891, "1234567.891"),
    (Decimal("12.50"), "12.50"),
    (Decimal("1E+3"), "1000"),
    (True, "True"),
    (dt.date(2026, 11, 28), "2026-11-28"),
    (dt.datetime(2026, 11, 28, 20, 7, tzinfo=dt.UTC), "2026-11-28 20:07:00+00:00"),
    (dt.time(20, 7), "20:07:00"),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (Scalar(7), "7"),
    (Scalar(0.1 + 0.2), "0.3"),
]
REFUSED = [
    (float("nan"), "'nan'"),
    (float("inf"), "'nan'"),
    (Decimal("NaN"), "'nan'"),
    (Scalar(float("nan")), "'nan'"),
    ("nan", "'nan'"),
    ("None", "'None'"),
    ("NaT", "'NaT'"),
    (None, "missing"),
    ([1], "type list"),
    ({"a": 1}, "type dict"),
    (b"a", "type bytes"),
    ("half \ud83d", "half of a character"),
]


@pytest.mark.parametrize(("value", "text"), WRITTEN, ids=repr)
def test_each_value_is_written_by_one_rule(value, text):
    assert text_of(value, "x") == text
    assert fill("{x}!", {"x": value}) == f"{text}!"
    if not isinstance(value, dict):
        assert (
            Template("t", body=[value]).to_payload()["template"]["components"][0]["parameters"][0]["text"]
            == text
        )


@pytest.mark.parametrize(("value", "problem"), REFUSED, ids=repr)
def test_what_is_no_value_for_people_is_refused(value, problem):
    with pytest.raises(PayloadError, match=problem):
        text_of(value, "x")
    with pytest.raises(PayloadError):
        fill("{x}!", {"x": value})
    with pytest.raises(PayloadError):
        Template("t", body=[value])


@pytest.mark.parametrize("name", ["Nan", "Null", "NONE", "Inf", "none"])
def test_names_of_people_are_values(name):
    assert text_of(name, "x") == name


@pytest.mark.parametrize(("value", "text"), WRITTEN, ids=repr)
def test_operators_send_it_so(sandbox, value, text):
    SendTextOperator(task_id="task", to=TO, text=value).execute({})
    assert sandbox.messages[-1]["payload"]["text"]["body"] == text


@pytest.mark.parametrize(("value", "problem"), REFUSED, ids=repr)
def test_operators_refuse_it_before_any_request(sandbox, value, problem):
    if value is None:
        problem = "text.body: is missing"
    with pytest.raises(AirflowFailException, match=problem):
        SendTextOperator(task_id="task", to=TO, text=value).execute({})
    assert sandbox.requests == []


@pytest.mark.parametrize(
    "body", [{"2": "second", "1": "first"}, {2: "second", 1: "first"}, ["first", "second"]]
)
def test_places_are_places_in_whatever_order_they_stand(body):
    (component,) = Template("t", body=body).to_payload()["template"]["components"]
    assert component["parameters"] == [{"type": "text", "text": "first"}, {"type": "text", "text": "second"}]


NATIVE = [
    ("+15550100123", "+15550100123"),
    ("12.50", "12.50"),
    ("12,400", "12,400"),
    ("0x10", "0x10"),
    ("'quoted'", "'quoted'"),
    ("{{ number }}", "12"),
    ("{{ number }} of {{ price }}", "12 of 12.5"),
    ("{{ price }}", "12.5"),
    ("{{ text }}", "12.50"),
    ("{{ moment }}", "2026-11-28 00:00:00+00:00"),
    ("{{ yes }}", "True"),
    ("{{ items }}", ["a", 1]),
    ("{{ table }}", {"k": 1}),
    ("{{ nothing }}", None),
    ("{{ path }}", Path("/a")),
    ("{{ content }}", b"%PDF"),
    ("[1, 2]", [1, 2]),
    (["{{ number }}", "x{{ price }}"], ["12", "x12.5"]),
    ({"a": "{{ number }}"}, {"a": "12"}),
]
VALUES = {
    "number": 12,
    "price": 12.5,
    "text": "12.50",
    "moment": dt.datetime(2026, 11, 28, tzinfo=dt.UTC),
    "yes": True,
    "items": ["a", 1],
    "table": {"k": 1},
    "nothing": None,
    "path": Path("/a"),
    "content": b"%PDF",
}


@pytest.fixture
def native():
    with DAG("native", schedule=None, render_template_as_native_obj=True) as dag:
        yield dag


@pytest.mark.parametrize(("template", "value"), NATIVE, ids=repr)
def test_native_rendering_leaves_scalars_texts(native, template, value):
    task = SendTemplateOperator(task_id="task", to=TO, template_name="t", header=template, log_pii=True)
    task.render_template_fields(dict(VALUES))
    assert task.header == value
    assert type(task.header) is type(value)


@pytest.mark.parametrize(("template", "value"), NATIVE, ids=repr)
def test_in_alerts_too(native, template, value):
    notifier = WhatsAppNotifier(
        to=TO, template_name="t", header=template, dedupe_key="{{ number }}", severity=None
    )
    notifier.render_template_fields(dict(VALUES) | {"dag": native})
    assert notifier.header == ("-" if value is None else value)
    assert notifier.dedupe_key == "12"


def test_a_template_is_rendered_once(native):
    seen = []
    task = SendTextOperator(task_id="task", to=TO, text="{{ count() }}", log_pii=True)
    task.render_template_fields({"count": lambda: seen.append(1) or len(seen)})
    assert (task.text, seen) == ("1", [1])


def test_the_parameters_of_a_query_stay_native(native):
    task = SqlToWhatsAppOperator(
        task_id="task", to=TO, sql="SELECT 1", conn_id="c", parameters={"n": "{{ number }}"}, log_pii=True
    )
    task.render_template_fields(dict(VALUES))
    assert task.parameters == {"n": 12}


def test_only_the_query_is_read_from_a_file(tmp_path):
    (tmp_path / "query.sql").write_text("SELECT {{ number }}")
    with DAG("files", schedule=None, template_searchpath=str(tmp_path)) as dag:
        task = SqlToWhatsAppOperator(
            task_id="task",
            to=TO,
            sql="query.sql",
            conn_id="c",
            filename="query.sql",
            caption="see query.sql",
            title="query.sql",
            log_pii=True,
        )
    dag.resolve_template_files()
    task.render_template_fields(dict(VALUES))
    assert task.sql == "SELECT 12"
    assert (task.filename, task.caption, task.title) == ("query.sql", "see query.sql", "query.sql")
    assert "sql" in task.template_fields
    assert len(task.template_fields) > 10


@pytest.mark.parametrize(
    "to",
    [
        15550100123,
        15550100123.0,
        "15550100123.0",
        [15550100123, "+15550100123", "15550100123.0"],
        "['+15550100123', '15550100123.0']",
        '["+15550100123"]',
        "+15550100123; 15550100123",
    ],
    ids=repr,
)
def test_who_is_written_to(sandbox, to):
    report = SendTextOperator(task_id="task", to=to, text="hello").execute({})
    assert [(each["to"], each["status"]) for each in report["results"]] == [("15550100123", "sent")]
    assert len(sandbox.messages) == 1


@pytest.mark.parametrize(
    ("to", "problem"),
    [(None, "to: is None, so there is nobody"), ("", "is empty"), ([], "is empty"), ([None], "not NoneType")],
    ids=repr,
)
def test_nobody_is_one_clear_error(sandbox, to, problem):
    with pytest.raises(AirflowFailException, match=problem) as caught:
        SendTextOperator(task_id="task", to=to, text="hello").execute({})
    assert ".." not in str(caught.value)
    assert sandbox.requests == []


@pytest.mark.parametrize(
    "to",
    [15550100123, 15550100123.0, "13812345678", "(212) 555-0100", "tel:+15550100123", "['+15550100123']"],
)
def test_no_number_is_shown_among_the_fields(to):
    task = SendTextOperator(task_id="task", to=to, text="hello")
    task.render_template_fields({})
    shown = json.dumps(task.to, default=str)
    assert "5550100" not in shown
    assert "12345" not in shown
    assert "555-0100" not in shown


def test_media_that_was_rendered_natively_is_still_a_file(native, tmp_path):
    path = tmp_path / "a.csv"
    with path.open("w") as file:
        csv.writer(file).writerow(["a"])
    task = SendMediaOperator(task_id="task", to=TO, media="{{ path }}", log_pii=True)
    task.render_template_fields({"path": ObjectStoragePath(f"file://{path}")})
    assert isinstance(task.media, ObjectStoragePath)


@pytest.mark.parametrize(
    "given",
    [
        ["wamid.a", "wamid.b"],
        "['wamid.a', 'wamid.b']",
        '["wamid.a", "wamid.b"]',
        "wamid.a, wamid.b",
        " wamid.a,wamid.b ",
    ],
)
def test_a_sensor_reads_a_list_that_was_rendered_as_text(given):
    sensor = MessageStatusSensor(
        task_id="task", message_ids="{{ given }}" if isinstance(given, str) else given
    )
    sensor.render_template_fields({"given": given})
    assert sensor._checked() == ["wamid.a", "wamid.b"]


@pytest.mark.parametrize("given", ["['wamid.a'", "[]", "", " , ", "[1]"])
def test_a_sensor_refuses_a_text_that_holds_no_message(given):
    sensor = MessageStatusSensor(task_id="task", message_ids="{{ given }}")
    sensor.render_template_fields({"given": given})
    with pytest.raises(AirflowFailException, match="No message to wait for"):
        sensor._checked()


def components(value):
    return [{"type": "body", "parameters": [{"type": "text", "text": value}]}]


RAW = [pair for pair in WRITTEN if isinstance(pair[0], Decimal | dt.date | dt.time | UUID | Scalar)]


@pytest.mark.parametrize(("value", "text"), RAW, ids=repr)
def test_graphs_own_json_holds_values_by_the_same_rule(sandbox, value, text):
    MatonWhatsAppHook().create_template(
        "raw",
        "en_US",
        "UTILITY",
        [{"type": "BODY", "text": "It is {{1}} now.", "example": {"body_text": [["x"]]}}],
    )
    sandbox.control("POST", "templates", name="raw", language="en_US", status="APPROVED")
    SendTemplateOperator(task_id="task", to=TO, template_name="raw", components=components(value)).execute({})
    (message,) = sandbox.messages
    assert message["payload"]["template"]["components"][0]["parameters"][0]["text"] == text


@pytest.mark.parametrize(
    "value", [b"a", {1}, float("nan"), float("inf"), object()], ids=["bytes", "set", "nan", "inf", "object"]
)
def test_what_json_cannot_hold_is_failed_and_not_unknown(sandbox, value):
    task = SendTemplateOperator(
        task_id="task",
        to=[TO, "+15550100124"],
        template_name="raw",
        components=components(value),
        check_template=False,
        max_failed=2,
    )
    report = task.execute({})
    assert (report["failed"], report["unknown"], report["sent"]) == (2, 0, 0)
    assert sandbox.messages == []


@pytest.mark.parametrize("native_dag", [False, True])
def test_a_message_of_templates_is_sent_alike_with_and_without_native_rendering(sandbox, native_dag):
    with DAG("messages", schedule=None, render_template_as_native_obj=native_dag):
        task = SendMessageOperator(
            task_id="text",
            to="{{ to }}",
            message={"type": "text", "body": "{{ text }} of 12,400", "preview_url": "{{ yes }}"},
        )
        place = SendMessageOperator(
            task_id="place",
            to=TO,
            message={"type": "location", "latitude": "{{ price }}", "longitude": "{{ number }}"},
        )
    for each in (task, place):
        each.render_template_fields(dict(VALUES) | {"to": "+15550100123"})
        each.execute({})
    text, location = (message["payload"] for message in sandbox.messages)
    assert text["text"] == {"body": "12.50 of 12,400", "preview_url": True}
    assert location["location"] == {"latitude": 12.5, "longitude": 12.0}


@pytest.mark.parametrize("native_dag", [False, True])
def test_a_template_of_which_nothing_comes_is_not_sent_itself(native_dag):
    with DAG("empty", schedule=None, render_template_as_native_obj=native_dag):
        task = SendMediaOperator(
            task_id="task",
            to=TO,
            media="https://x.example/a.png",
            caption="{% if no %}x{% endif %}",
            log_pii=True,
        )
    task.render_template_fields({"no": False})
    assert not task.caption
    assert task.media == "https://x.example/a.png"


@pytest.mark.parametrize("native_dag", [False, True])
def test_the_values_of_a_mapped_task_stay(native_dag):
    with DAG("mapped", schedule=None, render_template_as_native_obj=native_dag):
        mapped = SendTextOperator.partial(task_id="task", to="{{ to }}", log_pii=True).expand(
            text=["{{ x }}", "b"]
        )
    context = {"ti": SimpleNamespace(map_index=0, task=mapped), "to": TO, "expanded_ti_count": 2}
    text = "{{ x }}"
    task = mapped.unmap({"text": text})
    task._do_render_template_fields(task, task.template_fields, context, task.get_template_env(), {id(text)})
    assert (task.text, task.to) == ("{{ x }}", TO)
