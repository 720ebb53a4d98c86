"""The retry policy: waits as long as it is asked to, and does not retry what is hopeless."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_whatsapp._compat import RetryPolicy
from airflow_provider_whatsapp.client.errors import RateLimitError, TemplateError
from airflow_provider_whatsapp.operators.messages import SendTextOperator
from airflow_provider_whatsapp.policies import WhatsAppRetryPolicy

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
