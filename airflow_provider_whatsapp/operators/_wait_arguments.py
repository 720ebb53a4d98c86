"""How long a task waits for receipts or for an answer: the arguments and limits that these tasks share."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.operators._arguments import duration, one_of, seconds
from airflow_provider_whatsapp.operators._declare import Argument

if TYPE_CHECKING:
    from airflow_provider_whatsapp.operators._declare import Arguments

LEAST, MOST = 60.0, 30 * 86_400.0
"""The shortest and longest wait, in seconds, for receipts or an answer: both take some time to be read, and WhatsApp
keeps a message for 30 days."""
MARGIN = timedelta(minutes=5)
"""How long after its end a trigger may still run before Airflow ends it."""

WAITING: Arguments = {
    "wait_for": Argument(one_of("accepted", "sent", "delivered", "read"), shown=True),
    "wait_timeout": Argument(duration(LEAST, MOST), shown=True),
    "on_timeout": Argument(one_of("report", "fail"), shown=True),
    "poke_interval": Argument(seconds, shown=True),
    "deferrable": Argument(templated=False),
}
"""The arguments of all operators that wait for receipts."""
