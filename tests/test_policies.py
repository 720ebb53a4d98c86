"""The retry policy: waits as long as it is asked to, and does not retry what is hopeless."""

from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.sdk import DAG

from airflow_provider_whatsapp import _suggest
from airflow_provider_whatsapp._compat import RetryPolicy
from airflow_provider_whatsapp.client.errors import RateLimitError, TemplateError
from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier
from airflow_provider_whatsapp.operators.messages import SendTemplateOperator, SendTextOperator
from airflow_provider_whatsapp.policies import WhatsAppRetryPolicy
from airflow_provider_whatsapp.sensors.messages import MessageStatusSensor

needs_policies = pytest.mark.skipif(RetryPolicy is None, reason="Airflow before 3.3 has no retry policies")


@needs_policies
@pytest.mark.parametrize(
    ("error", "action", "delay"),
    [
        (RateLimitError("slow", retry_after=60), "retry", timedelta(seconds=61)),
        (RateLimitError("slow", retry_after=10**6), "retry", timedelta(hours=6)),
        (RateLimitError("slow"), "default", None),
        (TemplateError("gone"), "fail", None),
        (ValueError("other"), "default", None),
    ],
)
def test_what_it_decides(error, action, delay):
    decision = WhatsAppRetryPolicy().evaluate(error, 1, 3)

    assert (decision.action.value, decision.retry_delay) == (action, delay)


@needs_policies
def test_it_is_the_operators_own_unless_another_is_given():
    other = WhatsAppRetryPolicy(longest=None)

    assert isinstance(SendTextOperator(task_id="a", to="1", text="x").retry_policy, WhatsAppRetryPolicy)
    assert SendTextOperator(task_id="b", to="1", text="x", retry_policy=other).retry_policy is other
    assert SendTextOperator(task_id="c", to="1", text="x", retry_policy=None).retry_policy is None
    assert WhatsAppRetryPolicy.deserialize(other.serialize()).longest is None


@pytest.mark.skipif(RetryPolicy is not None, reason="Airflow from 3.3 on has retry policies")
def test_before_3_3_there_is_none():
    assert not hasattr(SendTextOperator(task_id="a", to="1", text="x"), "retry_policy")
    with pytest.raises(RuntimeError, match=r"need Airflow 3\.3"):
        WhatsAppRetryPolicy()


@needs_policies
@pytest.mark.parametrize(
    ("defaults", "arguments", "own"),
    [
        ({}, {}, True),
        ({"retries": 2}, {"retries": 3}, True),
        ({"retry_policy": None}, {}, False),
        ({}, {"retry_policy": None}, False),
        ({}, {"default_args": {"retry_policy": None}}, False),
    ],
)
def test_a_mapped_task_has_it_too(defaults, arguments, own):
    with DAG("mapped", schedule=None, default_args=defaults):
        mapped = SendTextOperator.partial(task_id="a", to="+15550001111", **arguments).expand(text=["x", "y"])

    assert isinstance(mapped.retry_policy, WhatsAppRetryPolicy) is own
    task = mapped.unmap({"text": "x"})
    assert isinstance(task.retry_policy, WhatsAppRetryPolicy) is own


@needs_policies
def test_a_mapped_task_with_it_is_serialized():
    from airflow.serialization.serialized_objects import DagSerialization

    with DAG("serialized", schedule=None) as dag:
        SendTextOperator.partial(task_id="a", to="+15550001111").expand(text=["x", "y"])

    restored = DagSerialization.from_dict(DagSerialization.to_dict(dag))

    assert restored.get_task("a").has_retry_policy


@pytest.mark.parametrize(
    ("make", "meant"),
    [
        (lambda: SendTemplateOperator(task_id="a", to="1", template="t"), "'template_name'"),
        (lambda: SendTextOperator(task_id="a", to="1", text="x", conn_id="c"), "'maton_conn_id'"),
        (lambda: SendTextOperator(task_id="a", to="1", txt="x"), "'text'"),
        (lambda: SendTextOperator.partial(task_id="a", to="1", conn_id="c"), "'maton_conn_id'"),
        (lambda: WhatsAppNotifier(to="1", template="t"), "'template_name'"),
        (lambda: MessageStatusSensor(task_id="a", message_id="wamid.x"), "'message_ids'"),
    ],
)
def test_another_name_says_what_was_meant(make, meant):
    with pytest.raises(TypeError, match=f"Did you mean {meant}"):
        make()


def test_a_class_s_names_are_read_once(monkeypatch):
    """A DAG file makes thousands of tasks of one class, and reading its signatures costs more than making one."""
    SendTextOperator(task_id="a", to="1", text="x")
    monkeypatch.setattr("inspect.signature", lambda *_: pytest.fail("the signature is read again"))

    assert "task_id" in _suggest._names(SendTextOperator)
    _suggest.refuse_unknown(SendTextOperator, {"to": "1"})


def test_a_class_of_ones_own_may_take_what_it_likes():
    class Own(SendTextOperator):
        def __init__(self, **kwargs):
            super().__init__(text=kwargs.pop("texts"), **kwargs)

    assert Own(task_id="a", to="1", texts="x").text == "x"
