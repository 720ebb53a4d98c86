"""The fields of a notifier that the steps of an alert read, once they are rendered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class AlertFields:
    """The arguments of :class:`~airflow_provider_whatsapp.notifications.whatsapp.WhatsAppNotifier`, described there."""

    to: str | Sequence[str] | None
    template_name: str | None
    language: str
    header: Any
    body: Sequence[Any] | Mapping[str, Any] | None
    buttons: Sequence[Any] | None
    text: str | None
    text_wait: float
    severity: str | None
    routes: str | Mapping[str, Any] | None
    escalate_to: str | Sequence[str] | None
    escalate_after: int
    dedupe_key: str | None
    cooldown: float
    roll_up: float
    gap: float
    recovery: bool
    acknowledge: bool
    names: str | Mapping[str, Any] | None
    callback_data: str | None
