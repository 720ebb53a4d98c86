"""The sensor that waits until number, account and template may send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import PokeReturnValue

from airflow_provider_whatsapp._compat import AirflowFailException, AirflowSensorTimeout, conf
from airflow_provider_whatsapp.sensors._deferring import DeferringSensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_provider_whatsapp.triggers.health import HealthTrigger


class WhatsAppHealthSensor(DeferringSensor):
    """
    Wait until number, account, business, app and, if named, a template may send, as Meta's ``health_status`` says.

    .. code-block:: python

        from airflow_provider_whatsapp.sensors.health import WhatsAppHealthSensor

        WhatsAppHealthSensor(task_id="may_send", template_name="hello_world", mode="reschedule", timeout=6 * 3600)

    It judges each of them separately: it waits while one is ``BLOCKED``, succeeds with a warning if one is
    ``LIMITED``, and ignores Meta's overall value, which blocked calls make ``BLOCKED`` too. It returns what it
    found: ``{"state": ..., "overall": ..., "entities": [...]}``. If Meta does not let this connection read health, it
    succeeds in the first poll, with ``state`` ``UNKNOWN``; if the gateway does not answer, it polls again until the
    sensor's ``timeout``. If a number or template does not exist, the task fails without retries (or is skipped, with
    ``soft_fail``). One request per poll, two with a template.

    :param template_name: Name of the template; None: only number, account, business and app. (templated)
    :param language: Its language. (templated)
    :param maton_conn_id: The Airflow connection. (templated)
    :param phone_number_id: Sender; None: the connection's. (templated)
    :param waba_id: WhatsApp Business Account of the template; None: the connection's. (templated)
    :param deferrable: Wait in the triggerer, without a worker slot; the default is Airflow's ``[operators]
        default_deferrable``.
    """

    template_fields: Sequence[str] = (
        "template_name",
        "language",
        "maton_conn_id",
        "phone_number_id",
        "waba_id",
    )
    ui_color = "#d9fdd3"

    def __init__(
        self,
        *,
        template_name: str | None = None,
        language: str = "en_US",
        maton_conn_id: str = "maton_whatsapp_default",
        phone_number_id: str | None = None,
        waba_id: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.template_name = template_name
        self.language = language
        self.maton_conn_id = maton_conn_id
        self.phone_number_id = phone_number_id
        self.waba_id = waba_id
        self.deferrable = deferrable

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once, and return whether messages can be sent."""
        from airflow_provider_whatsapp.triggers.health import look

        readiness = self._look(lambda: look(self.hook.client, self.template_name or None, self.language))
        if readiness is None:
            return PokeReturnValue(is_done=False)
        self._say(readiness.message, readiness.health)
        return PokeReturnValue(is_done=readiness.ready, xcom_value=readiness.health)

    def _say(self, message: str, health: dict[str, Any]) -> None:
        say = self.log.info if health.get("state") == "AVAILABLE" else self.log.warning
        say(message)

    def _trigger(self, *, poke_interval: float, end_time: float) -> HealthTrigger:
        from airflow_provider_whatsapp.triggers.health import HealthTrigger

        return HealthTrigger(
            template_name=self.template_name or None,
            language=self.language,
            maton_conn_id=self.maton_conn_id,
            phone_number_id=self.phone_number_id,
            waba_id=self.waba_id,
            poke_interval=poke_interval,
            end_time=end_time,
        )

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Return the sensor's value after the trigger's event."""
        event = self._event(event)
        if event["state"] == "timeout":
            raise AirflowSensorTimeout(event["message"])
        if event["state"] != "ready":
            raise AirflowFailException(event["message"])
        self._say(event["message"], event["health"])
        return event["health"]
