"""The send hours of a broadcast, and the wait for them without a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.operators._columns import TakesColumns

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.sdk import Context

    from airflow_provider_whatsapp.delivery.ledger import Ledger
    from airflow_provider_whatsapp.delivery.recipients import Survey
    from airflow_provider_whatsapp.delivery.report import Report
    from airflow_provider_whatsapp.delivery.windows import Gate, Window


class WaitsForWindow(TakesColumns):
    """A broadcast that sends within the hours of ``send_window`` and defers outside them."""

    send_window: Any
    timezone: Any

    def _window(self, context: Context) -> Window | None:
        from airflow_provider_whatsapp.delivery.windows import OWN, window

        if not self.send_window:
            return None
        dag: Any = context.get("dag")
        own = str(getattr(dag, "timezone", None) or "UTC")
        found = window(self.send_window, str(self.timezone or own), fallback=own)
        if found.zone == OWN and not (self.ledger_path or context.get("task_state_store") is not None):
            from airflow_provider_whatsapp.client.errors import ConfigurationError

            raise ConfigurationError(
                'timezone="recipient" needs a ledger, because the task resumes for each time zone',
                advice="Give ledger_path=, or use Airflow 3.3.",
            )
        return found

    def _wait_before(self, context: Context, window: Window, survey: Survey) -> None:
        """Wait without a worker if nobody may be sent to now."""
        from airflow_provider_whatsapp.delivery.windows import present

        now = present()
        opens = [window.opens(group, now) for group in survey.groups]
        if opens and min(opens) > now:
            self._wait_until(min(opens), survey.open)

    def _wait_for_the_rest(self, gate: Gate, ledger: Ledger, report: Report) -> None:
        if not ledger.durable:
            from airflow_provider_whatsapp.client.errors import ConfigurationError

            raise ConfigurationError(
                f"the send hours ended before the task had sent to everybody ({report.summary()}), and no ledger "
                "knows whom to leave out later",
                advice="Give ledger_path=, or use Airflow 3.3.",
            )
        self._wait_until(gate.opens(), gate.closed.total())

    def _wait_until(self, moment: datetime, count: int) -> None:
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger

        self.log.info("WhatsApp: outside the send hours; %d recipients wait until %s", count, moment)
        self.defer(trigger=DateTimeTrigger(moment=moment), method_name="execute_complete")

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Continue once the send hours have begun."""
        return self.execute(context)
