"""The WhatsApp Business Account: the fields of its node."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from airflow_provider_whatsapp.client.resources.base import Resource

ONBOARDED = "ONBOARDED"
MARKETING_FIELDS = "marketing_messages_onboarding_status,disable_marketing_messages_on_cloud_api"
_STATUS = re.compile(r"[A-Z][A-Z_]{0,79}", re.ASCII)


@dataclass(frozen=True, slots=True)
class MarketingStatus:
    """
    What an account may do with marketing templates.

    :param onboarding: ``marketing_messages_onboarding_status``: ``ONBOARDED``, ``ELIGIBLE``, ``PENDING_...`` or
        ``INELIGIBLE_...``; None: Graph does not say.
    :param off_cloud_api: Whether ``/messages`` refuses marketing templates
        (``disable_marketing_messages_on_cloud_api``).
    """

    onboarding: str | None
    off_cloud_api: bool = False

    @property
    def onboarded(self) -> bool:
        """Whether marketing templates are sent by the Marketing Messages API."""
        return self.onboarding == ONBOARDED


class BusinessAccount(Resource):
    """The configured WhatsApp Business Account."""

    def get(self, *, fields: str) -> dict[str, Any]:
        """
        Return fields of the account.

        :param fields: Names separated by commas; Graph has over twenty.
        :raises ConfigurationError: No ``waba_id`` is set.
        :raises NotFoundError: ``waba_id`` is wrong, or does not belong to this Maton connection.
        """
        return self._call("GET", self._config.require("waba_id"), query={"fields": fields})

    def marketing_status(self) -> MarketingStatus:
        """
        Return what the account may do with marketing templates.

        :raises ConfigurationError: No ``waba_id`` is set.
        :raises APIError: This connection may not read the fields.
        """
        found = self.get(fields=MARKETING_FIELDS)
        # On a business, a field of this name is an object, so only the account's form of it is read.
        status = found.get("marketing_messages_onboarding_status")
        known = isinstance(status, str) and _STATUS.fullmatch(status) is not None
        return MarketingStatus(
            status if known else None, found.get("disable_marketing_messages_on_cloud_api") is True
        )
