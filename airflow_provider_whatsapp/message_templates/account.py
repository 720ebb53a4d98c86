"""Reading an account's templates, once and whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.message_templates.shape import OPTION_TYPES

if TYPE_CHECKING:
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

PAGE_SIZE = 250
"""Templates per request: 1,500 come in 6 requests of some hundred kilobytes each."""

FIELDS = ",".join(
    (
        "id", "name", "language", "status", "category", "previous_category", "correct_category", "components",
        "parameter_format", "quality_score", "rejected_reason", "last_updated_time", "source", *OPTION_TYPES,
    )
)  # fmt: skip
"""What a comparison needs."""


def read_account(client: WhatsAppClient, *, page_size: int = PAGE_SIZE) -> list[dict[str, Any]]:
    """
    Return all templates of the account.

    :param client: The account's client.
    :param page_size: Templates per request.
    :raises APIError: WhatsApp or the gateway refused.
    """
    return list(client.templates.list(fields=FIELDS, page_size=page_size))
