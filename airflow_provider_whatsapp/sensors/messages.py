"""The sensor that waits until messages have been sent, delivered or read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import PokeReturnValue

from airflow_provider_whatsapp._compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    conf,
)
from airflow_provider_whatsapp.sensors._deferring import DeferringSensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_provider_whatsapp.triggers.messages import MessageStatusTrigger


class MessageStatusSensor(DeferringSensor):
    """
    Wait until messages have been sent, delivered or read, as their receipts or WhatsApp's message history say.

    The sensor asks the event store first, if ``[whatsapp] events_conn_id`` names one, and the history for messages
    without a receipt. Meta opens the history to some apps only; if it is closed and there is no store, the task fails
    and says so. The sensor returns status, time and error of each message by its wamid. If a message failed, the task
    fails at once, without retries (or is skipped, with ``soft_fail``). ``read`` may never come: recipients can switch
    read receipts off.

    :param message_ids: One wamid or a list, from the report of a sending task. (templated)
    :param status: ``sent``, ``delivered`` or ``read``. (templated)
    :param maton_conn_id: The Airflow connection. (templated)
    :param phone_number_id: Sender; None: the connection's. (templated)
    :param deferrable: Wait in the triggerer, without a worker slot; the default is Airflow's ``[operators]
        default_deferrable``.
    """

    template_fields: Sequence[str] = ("message_ids", "status", "maton_conn_id", "phone_number_id")
    ui_color = "#d9fdd3"

    def __init__(
        self,
        *,
        message_ids: str | Sequence[str],
        status: str = "delivered",
        maton_conn_id: str = "maton_whatsapp_default",
        phone_number_id: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.message_ids = message_ids
        self.status = status
        self.maton_conn_id = maton_conn_id
        self.phone_number_id = phone_number_id
        self.deferrable = deferrable
        self._revealed: tuple[Any] | None = None

    def _do_render_template_fields(self, parent: Any, *args: Any, **kwargs: Any) -> None:
        # Airflow stores and shows the fields right after this, and a message's ID contains the recipient's number.
        super()._do_render_template_fields(parent, *args, **kwargs)
        if parent is self:
            from airflow_provider_whatsapp.client.masking import mask_id

            given: Any = self.message_ids  # after rendering, it may be of any type
            given = _listed(given) if isinstance(given, str) else given
            several = isinstance(given, list | tuple)
            shown: Any = [mask_id(each) for each in given] if several else given and mask_id(given)
            self._revealed, self.message_ids = (given,), shown

    def _checked(self) -> list[str]:
        from airflow_provider_whatsapp.triggers.messages import STATUSES

        if self.status not in STATUSES:
            msg = f"status is {self.status!r}; wait for one of {', '.join(STATUSES)}."
            raise AirflowFailException(msg)
        given: Any = self._revealed[0] if self._revealed else self.message_ids
        if isinstance(given, str):
            given = _listed(given)
        ids = list(given) if isinstance(given, list | tuple | set) else [given]
        if not ids or not all(isinstance(each, str) and each for each in ids):
            msg = "No message to wait for: give message_ids, the wamids of a sending task's report."
            raise AirflowFailException(msg)
        return ids

    def poke(self, context: Context) -> PokeReturnValue:
        """Check each message once, and return whether the wait is over."""
        from airflow_provider_whatsapp.hooks.receipts_first import receipts_first
        from airflow_provider_whatsapp.triggers.messages import look

        ids = self._checked()
        status_of = receipts_first(self.hook.get_message_status)
        status_of.load(ids)
        progress = self._look(lambda: look(status_of, ids, self.status))
        if progress is None:
            return PokeReturnValue(is_done=False)
        self.log.info(progress.message)
        if progress.state == "failed":
            raise AirflowFailException(progress.message)
        return PokeReturnValue(is_done=progress.state == "reached", xcom_value=progress.statuses)

    def _trigger(self, *, poke_interval: float, end_time: float) -> MessageStatusTrigger:
        from airflow_provider_whatsapp.hooks.event_store import events_conn_id
        from airflow_provider_whatsapp.triggers.messages import MessageStatusTrigger

        return MessageStatusTrigger(
            message_ids=self._checked(),
            status=self.status,
            maton_conn_id=self.maton_conn_id,
            phone_number_id=self.phone_number_id,
            poke_interval=poke_interval,
            end_time=end_time,
            events_conn_id=events_conn_id(),
        )

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Return the sensor's value after the trigger's event."""
        event = self._event(event)
        self.log.info(event["message"])
        if event["state"] == "reached":
            return event["statuses"]
        if event["state"] == "timeout":
            raise AirflowSensorTimeout(event["message"])
        raise AirflowFailException(event["message"])


def _listed(text: str) -> list[str]:
    """Return the IDs in a text, a list or separated by commas; an empty list if the text is a broken list."""
    from airflow_provider_whatsapp.client.errors import PayloadError
    from airflow_provider_whatsapp.delivery.suppression import listed

    if text.lstrip().startswith("["):
        try:
            found = listed(text, field="message_ids")
        except PayloadError:
            return []
        return [each.strip() if isinstance(each, str) else each for each in found]
    return [part.strip() for part in text.split(",") if part.strip()]
