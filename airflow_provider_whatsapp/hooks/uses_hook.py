"""What operators and sensors share: the hook of their connection."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook


class UsesHook:
    """A task with a connection, and optionally its own sender and account."""

    maton_conn_id: str
    phone_number_id: str | None = None
    waba_id: str | None = None

    @cached_property
    def hook(self) -> MatonWhatsAppHook:
        """The hook of the task's connection."""
        from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

        return MatonWhatsAppHook(
            self.maton_conn_id, phone_number_id=self.phone_number_id, waba_id=self.waba_id
        )
