"""The trigger that waits for templates' approval."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MAX_BACK_OFF = 8
"""How many poll intervals lie between two polls at most, while the gateway does not answer."""


class TemplateApprovalTrigger(BaseTrigger):
    """
    Poll the account until templates are approved, refused, or the time is over.

    It ends with one event: ``{"state": ..., "message": ..., "templates": [...]}``, where the state is ``approved``,
    ``refused``, ``missing``, ``error`` or ``timeout``. While the gateway does not answer it polls less often.

    :param wanted: Names and languages, as lists of two; a language of None means every one.
    :param maton_conn_id: The Airflow connection.
    :param waba_id: WhatsApp Business Account; None: the connection's.
    :param poke_interval: Seconds between two polls.
    :param end_time: Unix time in seconds at which to give up.
    """

    def __init__(
        self,
        wanted: list[list[str | None]],
        maton_conn_id: str,
        waba_id: str | None,
        poke_interval: float,
        end_time: float,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.wanted = wanted
        self.maton_conn_id = maton_conn_id
        self.waba_id = waba_id
        self.poke_interval = poke_interval
        self.end_time = end_time

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow stores to make this trigger again; no secret is among it."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "wanted": self.wanted,
                "maton_conn_id": self.maton_conn_id,
                "waba_id": self.waba_id,
                "poke_interval": self.poke_interval,
                "end_time": self.end_time,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll, and yield the one event."""
        from airflow_provider_whatsapp.client.errors import WhatsAppError
        from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook, in_thread

        failures = 0
        last = "not polled yet"
        try:
            hook = MatonWhatsAppHook(self.maton_conn_id, waba_id=self.waba_id)
            await hook.aclient()
            while time.time() < self.end_time:
                try:
                    verdict = await in_thread(poll, hook, self.wanted)
                except WhatsAppError as error:
                    if error.permanent:
                        raise
                    failures += 1
                    last = str(error)
                    self.log.warning("The poll failed and will be repeated: %s", error)
                else:
                    failures = 0
                    last = verdict.message
                    if verdict.state != "waiting":
                        yield _event(verdict.state, verdict.message, verdict.templates)
                        return
                    self.log.info(last)
                interval = self.poke_interval * min(2**failures, MAX_BACK_OFF)
                await asyncio.sleep(max(0.0, min(interval, self.end_time - time.time())))
        except Exception as error:
            yield _event("error", f"{error}" or type(error).__name__)
            return
        yield _event("timeout", f"Not approved in time. {last}")


def poll(hook: Any, wanted: list[list[str | None]]) -> Any:
    """
    Ask the account once and judge what it lists.

    :param hook: A ``MatonWhatsAppHook``.
    :param wanted: Names and languages, as lists of two.
    """
    from airflow_provider_whatsapp.message_templates.approval import FIELDS, judge

    pairs = [(str(name), language) for name, language in wanted]
    name = pairs[0][0] if len({name for name, _ in pairs}) == 1 else None
    return judge(hook.list_templates(name=name, fields=FIELDS), pairs)


def _event(state: str, message: str, templates: list[dict[str, Any]] | None = None) -> TriggerEvent:
    payload = {"state": state, "message": message, "templates": templates or []}
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow's
