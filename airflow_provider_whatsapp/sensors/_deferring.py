"""What the sensors share: they poll once before they wait in the triggerer, and ``soft_fail`` works there too."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from airflow.sdk import BaseSensorOperator

from airflow_provider_whatsapp._compat import AirflowFailException, AirflowSkipException
from airflow_provider_whatsapp.hooks.uses_hook import UsesHook
from airflow_provider_whatsapp.policies import failing_at_once
from airflow_provider_whatsapp.rendering import TextFields

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Context, PokeReturnValue
    from airflow.triggers.base import BaseTrigger

Found = TypeVar("Found")


class DeferringSensor(TextFields, UsesHook, BaseSensorOperator):
    """A sensor that waits in the triggerer if it is ``deferrable``; the subclass sets that attribute."""

    deferrable: bool

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once, and return whether the wait is over; raises AirflowFailException if waiting cannot help."""
        raise NotImplementedError

    def execute(self, context: Context) -> Any:
        """Wait here, or in the triggerer if deferrable; return the sensor's value."""
        if not self.deferrable:
            return super().execute(context)
        try:
            first = self.poke(context)
        except AirflowFailException as error:
            if self.soft_fail or self.never_fail:
                msg = f"Skipped: {error}"
                raise AirflowSkipException(msg) from error
            raise
        if not first.is_done:
            self._wait_in_triggerer()
        return first.xcom_value

    def _look(self, look: Callable[[], Found]) -> Found | None:
        """Return what a poll finds; None: it failed, and the sensor polls again."""
        from airflow_provider_whatsapp.client.errors import WhatsAppError

        try:
            with failing_at_once():
                return look()
        except WhatsAppError as error:
            self.log.warning("The poll failed; the sensor polls again: %s", error)
            return None

    def _trigger(self, *, poke_interval: float, end_time: float) -> BaseTrigger:
        """Return the trigger that waits in the triggerer."""
        raise NotImplementedError

    def _wait_in_triggerer(self) -> NoReturn:
        seconds = float(self.timeout)
        # The trigger ends at the timeout; Airflow's own limit comes a little later, in case the trigger hangs.
        self.defer(
            trigger=self._trigger(poke_interval=float(self.poke_interval), end_time=time.time() + seconds),
            method_name="execute_complete",
            timeout=timedelta(seconds=seconds + 60),
        )

    def _event(self, event: Any) -> dict[str, Any]:
        """Return a trigger's event; refuse one that another version may have made."""
        if not isinstance(event, dict) or "state" not in event:
            msg = f"The trigger ended with an event that this version does not know: {event!r}"
            raise AirflowFailException(msg)
        return event
