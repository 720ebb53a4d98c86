"""A column is what the DAG's file writes as one: braces that come by Jinja or XCom take nothing from the rows."""

from __future__ import annotations

import pytest

from airflow_provider_whatsapp.operators._columns import AuthorsColumns
from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator

ROW = {"to": "+15550000001", "name": "Ann", "iban": "DE89 3704"}


def rendered(context, *, native=False, **arguments):
    task = BroadcastTemplateOperator(
        task_id="send", recipients=[ROW], template_name="invitation", log_pii=True, **arguments
    )
    task.render_template_as_native_obj = native
    if native:
        from airflow.sdk.definitions._internal.templater import NativeEnvironment

        task.render_template_fields(context, NativeEnvironment())
    else:
        task.render_template_fields(context)
    return task


def filled(task, name):
    from airflow_provider_whatsapp.delivery.fill import fill

    return fill(getattr(task, name), ROW)


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("Dear {name}", "Dear Ann"),
        ("{name}", "Ann"),
        ("{name} {{ evil }}", "Ann {iban}"),
        ("{{ evil }}", "{iban}"),
        ("{{ evil }}{name}{{ evil }}", "{iban}Ann{iban}"),
        ("{% if evil %}{name}{% endif %}", "Ann"),
        ("{# {iban} #}{name}", "Ann"),
        ("{{ '{iban}' }}", "{iban}"),
        ("{{ evil_open }}iban{{ evil_close }}", "{iban}"),
        ("{{ doubled }}", "{{iban}}"),
        ("a {} {name} }", "a {} Ann }"),
        ("100 %} {name}", "100 %} Ann"),
        ("{{ '}}' }}{name}", "}}Ann"),
    ],
)
def test_only_the_authors_columns_are_filled(given, said, native):
    context = {"evil": "{iban}", "evil_open": "{", "evil_close": "}", "doubled": "{{iban}}"}
    task = rendered(context, native=native, body=[given], header=given, buttons=[{"text": given}])

    assert filled(task, "body") == [said]
    assert filled(task, "header") == said
    assert filled(task, "buttons") == [{"text": said}]


def test_values_of_an_xcom_are_no_columns():
    class XCom:
        def resolve(self, context):
            return ["{iban}", {"a": "{name}"}]

    task = rendered({}, body=XCom())

    assert filled(task, "body") == ["{iban}", {"a": "{name}"}]
    assert task._columns() == set()


def test_what_a_mapped_task_got_from_an_xcom_is_no_column():
    value = ["{iban}"]
    columns = AuthorsColumns({id(value)})

    assert columns.unmark(columns.mark(value)) == ["{{iban}}"]
    assert columns.unmark(columns.mark(["{iban}"])) == ["{iban}"]


def test_marks_cannot_be_made_by_somebody_else():
    other = AuthorsColumns()
    forged = other.mark("{iban}")

    assert AuthorsColumns().unmark(forged) == forged
    assert "{" not in forged


def test_a_task_that_was_not_rendered_has_its_columns():
    task = BroadcastTemplateOperator(
        task_id="send", recipients=[ROW], template_name="invitation", body=["{name}"]
    )

    assert filled(task, "body") == ["Ann"]


def test_a_template_that_cannot_be_rendered_leaves_the_arguments_as_they_were():
    task = BroadcastTemplateOperator(
        task_id="send", recipients=[ROW], template_name="invitation", header="{name}", body=["{{ 1/0 }}"]
    )
    with pytest.raises(ZeroDivisionError):
        task.render_template_fields({})

    assert (task.header, task.body) == ("{name}", ["{{ 1/0 }}"])
