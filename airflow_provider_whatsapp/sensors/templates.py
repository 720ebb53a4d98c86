"""The sensor that waits until Meta has approved a template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import PokeReturnValue

from airflow_provider_whatsapp._compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    conf,
)
from airflow_provider_whatsapp.assets import emit_templates
from airflow_provider_whatsapp.links import WhatsAppManagerLink
from airflow_provider_whatsapp.sensors._deferring import DeferringSensor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_whatsapp.triggers.templates import TemplateApprovalTrigger


class TemplateApprovalSensor(DeferringSensor):
    """
    Wait until Meta has approved one template or several.

    One list request per poll serves all sensors. It returns the approved templates (``id``, ``name``, ``language``,
    ``status``, ``category``), and emits an asset event for each (see :mod:`airflow_provider_whatsapp.assets`). If a
    template is rejected, paused, disabled or deleted, the task fails at once, without retries (or is skipped, with
    ``soft_fail``). If the gateway does not answer, the sensor polls again until its ``timeout``.

    :param template_name: Name of the template. (templated)
    :param language: Its language; None: all of the template's languages in the account. (templated)
    :param templates: Several instead: a list of names, or of ``{"name": ..., "language": ..., "category": ...}``.
        (templated)
    :param category: The expected category: Meta may change it, and with it the price. None: any. (templated)
    :param on_drift: What to do when Meta's category is not the expected one: ``"fail"`` (at once, without retries) or
        ``"warn"``.
    :param maton_conn_id: The Airflow connection. (templated)
    :param waba_id: WhatsApp Business Account; None: the connection's. (templated)
    :param deferrable: Wait in the triggerer, without a worker slot; the default is Airflow's ``[operators]
        default_deferrable``.
    """

    template_fields: Sequence[str] = (
        "template_name",
        "language",
        "templates",
        "category",
        "maton_conn_id",
        "waba_id",
    )
    operator_extra_links = (WhatsAppManagerLink(),)
    ui_color = "#d9fdd3"

    def __init__(
        self,
        *,
        template_name: str | None = None,
        language: str | None = None,
        templates: Sequence[str | Mapping[str, str]] | None = None,
        category: str | None = None,
        on_drift: Literal["fail", "warn"] = "fail",
        maton_conn_id: str = "maton_whatsapp_default",
        waba_id: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.template_name = template_name
        self.language = language
        self.templates = templates
        self.category = category
        self.on_drift = on_drift
        self.maton_conn_id = maton_conn_id
        self.waba_id = waba_id
        self.deferrable = deferrable

    def wanted(self) -> list[list[str | None]]:
        """Return the names, languages and expected categories to wait for, as a list of lists of three."""
        items: Sequence[Any] = self.templates or [{"name": self.template_name, "language": self.language}]
        wanted: list[list[str | None]] = []
        for item in items:
            fields = {"name": item} if isinstance(item, str) else item
            if not isinstance(fields, dict) or not fields.get("name"):
                msg = "No template to wait for: give template_name, or templates as a list of names."
                raise AirflowFailException(msg)
            wanted.append([fields["name"], fields.get("language"), fields.get("category") or self.category])
        return wanted

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once, and return whether Meta has approved the templates."""
        from airflow_provider_whatsapp.triggers.templates import poll

        verdict = self._look(lambda: poll(self.hook, self.wanted()))
        if verdict is None:
            return PokeReturnValue(is_done=False)
        self._conclude(context, verdict.state, verdict.message, verdict.templates, verdict.drift)
        return PokeReturnValue(is_done=verdict.state == "approved", xcom_value=verdict.templates)

    def _conclude(
        self, context: Context, state: str, message: str, templates: list[Any], drift: list[str]
    ) -> None:
        """Log what was found, fail if waiting cannot help, and emit the assets of approved templates."""
        self.log.info(message)
        for line in drift:
            self.log.warning(line)
        if drift and self.on_drift == "fail":
            msg = f"{'; '.join(drift)}. Change the DAG's category, or appeal in WhatsApp Manager within 60 days."
            raise AirflowFailException(msg)
        if state in ("refused", "missing", "error"):
            raise AirflowFailException(message)
        if state == "approved":
            emit_templates(self, context, self.hook, templates)

    def _trigger(self, *, poke_interval: float, end_time: float) -> TemplateApprovalTrigger:
        from airflow_provider_whatsapp.triggers.templates import TemplateApprovalTrigger

        return TemplateApprovalTrigger(
            wanted=self.wanted(),
            maton_conn_id=self.maton_conn_id,
            waba_id=self.waba_id,
            poke_interval=poke_interval,
            end_time=end_time,
            fail_on_drift=self.on_drift == "fail",
        )

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Return the approved templates after the trigger's event."""
        event = self._event(event)
        if event["state"] == "timeout":
            raise AirflowSensorTimeout(event["message"])
        templates = event["templates"]
        self._conclude(context, event["state"], event["message"], templates, event.get("drift") or [])
        return templates
