"""Every argument may be a template, whose text is taken for what it says; what it cannot say is refused at once."""

from __future__ import annotations

import inspect

import pytest
from airflow.sdk import BaseOperator

from airflow_provider_whatsapp._compat import AirflowFailException
from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.operators import _arguments, broadcast, messages, sql, templates

TO = "+15550001111"
OPERATORS = [
    messages.SendTemplateOperator,
    messages.SendMediaOperator,
    messages.SendTextOperator,
    messages.SendMessageOperator,
    broadcast.BroadcastTemplateOperator,
    sql.SqlToWhatsAppOperator,
    templates.SyncTemplatesOperator,
]
NOT_TEMPLATED = {
    # Definitions hold WhatsApp's {{1}}, which Jinja would empty.
    ("SyncTemplatesOperator", "templates"),
    # As in Airflow's own operators: it belongs to the DAG, and its default to Airflow's configuration.
    *((operator.__name__, "deferrable") for operator in OPERATORS),
    # An expression about the rows, which are not there yet when fields are rendered.
    ("SqlToWhatsAppOperator", "only_if"),
}


def arguments(operator):
    """Return the names of all arguments that an operator adds to Airflow's."""
    names = set()
    for base in operator.__mro__[: operator.__mro__.index(BaseOperator)]:
        if "__init__" in vars(base):
            names |= set(inspect.signature(base.__init__).parameters) - {"self", "args", "kwargs"}
    return names


def make(operator, **arguments):
    needed = {
        messages.SendTemplateOperator: {"to": TO, "template_name": "hello_world"},
        messages.SendMediaOperator: {"to": TO, "media": b"%PDF-1.7"},
        messages.SendTextOperator: {"to": TO, "text": "hello"},
        messages.SendMessageOperator: {"to": TO, "message": {"type": "text", "text": "hello"}},
        broadcast.BroadcastTemplateOperator: {"recipients": [TO], "template_name": "hello_world"},
        sql.SqlToWhatsAppOperator: {"to": TO, "sql": "SELECT 1", "conn_id": "nowhere"},
        templates.SyncTemplatesOperator: {"templates": []},
    }
    return operator(task_id="task", **needed[operator] | arguments)


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)
def test_every_argument_is_a_template_field_but_for_a_few(operator):
    missing = {(operator.__name__, name) for name in arguments(operator) - set(operator.template_fields)}

    assert missing == {pair for pair in NOT_TEMPLATED if pair[0] == operator.__name__}
    assert set(operator.template_fields) <= arguments(operator), (
        "a template field is named as its argument is"
    )


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)
def test_what_is_read_is_a_template_field(operator):
    assert set(operator.readers) <= set(operator.template_fields)


READABLE = [
    (messages.SendTextOperator, "on_unknown", "resend", "resend"),
    (messages.SendTextOperator, "resend_on_clear", "True", True),
    (messages.SendTextOperator, "log_pii", "false", False),
    (messages.SendTextOperator, "max_failed", "0.05", 0.05),
    (messages.SendTextOperator, "preview_url", "yes", True),
    (messages.SendTemplateOperator, "check_template", "0", False),
    (messages.SendTemplateOperator, "skip_if_empty", " true ", True),
    (messages.SendMediaOperator, "skip_if_empty", 1, True),
    (broadcast.BroadcastTemplateOperator, "shard", " 0 ", 0),
    (broadcast.BroadcastTemplateOperator, "shards", "3", 3),
    (broadcast.BroadcastTemplateOperator, "scope", "failed", "failed"),
    (broadcast.BroadcastTemplateOperator, "dry_run", "FALSE", False),
    (broadcast.BroadcastTemplateOperator, "check_template", False, False),
    (broadcast.BroadcastTemplateOperator, "check_health", "no", False),
    (broadcast.BroadcastTemplateOperator, "send_window", "09:00-20:00", ["09:00", "20:00"]),
    (broadcast.BroadcastTemplateOperator, "send_window", "['09:00', '20:00']", ["09:00", "20:00"]),
    (broadcast.BroadcastTemplateOperator, "send_window", "", None),
    (broadcast.BroadcastTemplateOperator, "send_window", ["09:00", "20:00"], ["09:00", "20:00"]),
    (sql.SqlToWhatsAppOperator, "max_rows", "40", 40),
    (sql.SqlToWhatsAppOperator, "max_rows", "None", None),
    (sql.SqlToWhatsAppOperator, "skip_if_empty", "no", False),
    (templates.SyncTemplatesOperator, "prune", "true", True),
    (templates.SyncTemplatesOperator, "direction", "pull", "pull"),
    (templates.SyncTemplatesOperator, "max_deletions", "12", 12),
    (templates.SyncTemplatesOperator, "poke_interval", "0.5", 0.5),
]


@pytest.mark.parametrize(("operator", "name", "text", "value"), READABLE)
def test_a_rendered_text_is_taken_for_what_it_says(operator, name, text, value):
    task = make(operator, **{name: "{{ value }}" if isinstance(text, str) else text})
    task.render_template_fields({"value": text})

    found = task.readers[name](name, getattr(task, name))

    assert found == value
    assert type(found) is type(value)


REFUSED = [
    (messages.SendTextOperator, "on_unknown", "retry", "Give one of: report, resend"),
    (messages.SendTextOperator, "resend_on_clear", "maybe", "neither true nor false"),
    (messages.SendTextOperator, "resend_on_clear", "", "neither true nor false"),
    (messages.SendTextOperator, "max_failed", "few", 'max_failed: "few" is not a number'),
    (messages.SendTextOperator, "max_failed", -1, "Give a count"),
    (messages.SendTextOperator, "log_pii", "{{ who }}", "neither true nor false"),
    (messages.SendTextOperator, "preview_url", 2, "neither true nor false"),
    (messages.SendTemplateOperator, "check_template", None, "neither true nor false"),
    (messages.SendTemplateOperator, "skip_if_empty", [], "neither true nor false"),
    (broadcast.BroadcastTemplateOperator, "shard", "one", "not a whole number"),
    (broadcast.BroadcastTemplateOperator, "shard", True, "not a whole number"),
    (broadcast.BroadcastTemplateOperator, "shard", "3", "3 of 1"),
    (broadcast.BroadcastTemplateOperator, "shards", "2.5", "not a whole number"),
    (broadcast.BroadcastTemplateOperator, "shards", "0", "0 of 0"),
    (broadcast.BroadcastTemplateOperator, "scope", "some", "Give one of: all, failed, unknown"),
    (broadcast.BroadcastTemplateOperator, "dry_run", "perhaps", "neither true nor false"),
    (broadcast.BroadcastTemplateOperator, "send_window", "at night", "is not a window"),
    (broadcast.BroadcastTemplateOperator, "send_window", "09:00-20:00-22:00", "is not a window"),
    (broadcast.BroadcastTemplateOperator, "send_window", "25:00-26:00", "is not a window"),
    (sql.SqlToWhatsAppOperator, "max_rows", "many", "not a whole number"),
    (templates.SyncTemplatesOperator, "direction", "sideways", "Give one of: push, pull"),
    (templates.SyncTemplatesOperator, "on_drift", "ignore", "Give one of: fail, warn"),
    (templates.SyncTemplatesOperator, "max_deletions", "x", "not a whole number"),
    (templates.SyncTemplatesOperator, "approval_timeout", "-1", "not a number of seconds"),
    (templates.SyncTemplatesOperator, "poke_interval", "inf", "not a number of seconds"),
]


@pytest.mark.parametrize(("operator", "name", "value", "words"), REFUSED)
def test_what_it_cannot_say_is_refused_before_any_request(sandbox, operator, name, value, words):
    with pytest.raises(AirflowFailException, match=words) as caught:
        make(operator, **{name: value}).execute({})

    assert name in str(caught.value)
    assert sandbox.requests == []


def test_a_long_value_is_cut_in_the_error():
    with pytest.raises(ConfigurationError) as caught:
        _arguments.whole("shard", "9" * 500)

    assert len(caught.value.message) < 130


@pytest.mark.parametrize("log_pii", ["{{ open }}", "nonsense"])
@pytest.mark.parametrize("value", ["false", "what"])
def test_nothing_private_is_shown_unless_the_rendered_log_pii_says_so(log_pii, value):
    task = make(messages.SendTextOperator, text="for {{ who }}", log_pii=log_pii)
    task.render_template_fields({"who": "Ann", "open": value})

    assert "Ann" not in task.text
    assert "5550001" not in task.to


def test_a_rendered_log_pii_shows_everything():
    task = make(messages.SendTextOperator, text="for {{ who }}", log_pii="{{ open }}")
    task.render_template_fields({"who": "Ann", "open": True})

    assert (task.text, task.to) == ("for Ann", TO)


def test_after_a_refusal_private_arguments_are_hidden_again(sandbox):
    """Callbacks and links that come after the failure see the task."""
    task = make(messages.SendTextOperator, on_unknown="never")
    task.render_template_fields({})

    with pytest.raises(AirflowFailException):
        task.execute({})

    assert "5550001" not in task.to


def test_bytes_are_not_shown():
    task = make(messages.SendMediaOperator, media=b"%PDF-1.7 secret")
    task.render_template_fields({})

    assert task.media == "••• (15 bytes)"
