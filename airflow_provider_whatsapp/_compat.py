"""Every difference between the Airflow versions that are supported, 3.1 to 3.3, and nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook, Connection

if TYPE_CHECKING:
    from concurrent.futures import Executor

try:  # 3.2+
    from airflow.sdk.configuration import conf
    from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException
except ImportError:  # 3.1
    from airflow.configuration import conf
    from airflow.exceptions import (  # type: ignore[no-redef]
        AirflowFailException,
        AirflowSensorTimeout,
        AirflowSkipException,
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
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "RetryDecision",
    "RetryPolicy",
    "Stats",
    "aget_connection",
    "conf",
]

# Before 3.3.2 the asynchronous look-up masks secrets with a blocking call to the supervisor, which can deadlock
# when two look-ups run at once. `aextra_dejson` came with the cure.
_SAFE_ASYNC_LOOKUP = hasattr(Connection, "aextra_dejson")


async def aget_connection(conn_id: str, executor: Executor) -> Connection:
    """
    Look up a connection from a coroutine without blocking its loop.

    :param conn_id: The connection's id.
    :param executor: Threads to look it up in, where this Airflow cannot do it asynchronously.
    :raises AirflowNotFoundException: There is none of this id.
    """
    if _SAFE_ASYNC_LOOKUP:
        return await BaseHook.aget_connection(conn_id)
    return await asyncio.get_running_loop().run_in_executor(executor, BaseHook.get_connection, conn_id)
