"""Every difference between the Airflow versions that are supported, 3.1 to 3.4, and nothing else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseHook, Connection

# Private, but the same in all of them; Airflow has no public way to mask a text.
from airflow.sdk._shared.secrets_masker import redact

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

try:  # 3.2+
    from airflow.sdk.configuration import conf
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
        TaskDeferred,
    )
except ImportError:  # 3.1
    from airflow.configuration import conf
    from airflow.exceptions import (  # type: ignore[no-redef,attr-defined]
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
        TaskDeferred,
    )

try:  # 3.2+
    from airflow.sdk.observability.stats import Stats
except ImportError:  # 3.1
    from airflow.stats import Stats

try:  # 3.3+
    from airflow.sdk import RetryDecision, RetryPolicy
except ImportError:
    RetryDecision = RetryPolicy = None  # type: ignore[assignment,misc]

__all__ = [
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "RetryDecision",
    "RetryPolicy",
    "Stats",
    "TaskDeferred",
    "aget_connection",
    "amask_secret",
    "ask_airflow",
    "can_give_up_asking",
    "conf",
    "in_task",
    "redact",
    "several_machines",
]

# Before 3.3.2 the asynchronous look-up masks secrets with a blocking call to the supervisor, which can deadlock
# when two look-ups run at once. `aextra_dejson` came with the cure.
_SAFE_ASYNC_LOOKUP = hasattr(Connection, "aextra_dejson")


async def aget_connection(conn_id: str, executor: ThreadPoolExecutor) -> Connection:
    """Look up a connection from a coroutine without blocking its loop."""
    if _SAFE_ASYNC_LOOKUP:
        return await BaseHook.aget_connection(conn_id)
    return cast("Connection", await ask_airflow(executor, BaseHook.get_connection, conn_id))


async def ask_airflow(executor: ThreadPoolExecutor, function: Callable[..., Any], *args: Any) -> Any:
    """Ask Airflow for something from a coroutine, by a function that blocks."""
    # In a plain thread Airflow 3.1 would speak to its supervisor beside the triggerer's loop, read the answer of
    # somebody else and end the triggerer; asgiref's threads know their loop.
    from asgiref.sync import sync_to_async

    return await sync_to_async(function, thread_sensitive=False, executor=executor)(*args)


async def amask_secret(secret: str, executor: ThreadPoolExecutor) -> None:
    """Have Airflow mask a secret in its logs, from a coroutine."""
    from airflow.sdk import log

    if hasattr(log, "amask_secret"):  # 3.3.2+
        await log.amask_secret(secret)
    else:
        await ask_airflow(executor, log.mask_secret, secret)


def can_give_up_asking() -> bool:
    """Say whether a question to Airflow may be left to a thread that nobody waits for any more."""
    # On Airflow 3.1 threads have no lock between them and the supervisor: the next question would get its answer.
    from airflow.sdk.execution_time.comms import CommsDecoder

    return not in_task() or hasattr(CommsDecoder, "_thread_lock")


def in_task() -> bool:
    """Say whether this process runs a task, so that Airflow answers questions and takes orders."""
    runner = sys.modules.get("airflow.sdk.execution_time.task_runner")
    return getattr(runner, "SUPERVISOR_COMMS", None) is not None


def several_machines() -> bool:
    """Say whether tasks may run on several machines, by the executors that Airflow is configured with."""
    executors = conf.get("core", "executor", fallback="LocalExecutor").split(",")
    return any(executor.strip() != "LocalExecutor" for executor in executors)


class AssetMemory:
    """What an asset watcher's trigger remembers beside its asset, from Airflow 3.3 on; before, nothing."""

    def __init__(self, trigger: Any, key: str) -> None:
        self._store = getattr(trigger, "asset_state_store", None)
        self._key = key

    async def read(self) -> str | None:
        """Return what was remembered, or None."""
        if self._store is None:
            return None
        try:
            return cast("str | None", await self._store.aget(self._key))
        except ValueError:  # the trigger watches several assets, none of them its own
            self._store = None
            return None

    async def write(self, value: str) -> None:
        """Remember a value."""
        if self._store is not None:
            await self._store.aset(self._key, value)
