"""How a human-in-the-loop task waits for its answer, on every supported Airflow and standard provider."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.standard.operators import hitl

from airflow_provider_whatsapp._compat import TaskDeferred

if TYPE_CHECKING:
    from datetime import timedelta

# Airflow 3.3 has a task state for this wait, which needs neither a worker nor a triggerer.
_AwaitingInput: Any = getattr(hitl, "TaskAwaitingInput", None)

PARKED: tuple[type[BaseException], ...] = (TaskDeferred, *filter(None, [_AwaitingInput]))
"""The exceptions that the standard provider's operators raise to wait."""

TAKES_RESPONSE_TIMEOUT = "response_timeout" in inspect.signature(hitl.HITLOperator.__init__).parameters
"""Whether this standard provider has ``response_timeout`` beside ``execution_timeout``."""


def park(task: Any, ti: Any, *, seconds: timedelta | None, defaults: list[str] | None) -> NoReturn:
    """Wait for an answer, with which Airflow calls ``execute_complete``."""
    # Without seconds there is no limit. Without defaults, the end of the time comes as an event of type "timeout".
    if _AwaitingInput is not None:
        raise _AwaitingInput(method_name="execute_complete", timeout=seconds)
    from airflow.providers.standard.triggers.hitl import HITLTrigger
    from airflow.sdk.timezone import utcnow

    trigger = HITLTrigger(
        ti_id=ti.id,
        options=task.options,
        defaults=defaults,
        params=task.serialized_params,
        multiple=task.multiple,
        timeout_datetime=None if seconds is None else utcnow() + seconds,
    )
    task.defer(trigger=trigger, method_name="execute_complete")
    raise AssertionError
