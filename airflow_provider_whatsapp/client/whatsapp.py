"""The client: one transport, and the resources of the API that use it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.client.resources.accounts import BusinessAccount
from airflow_provider_whatsapp.client.resources.analytics import Analytics
from airflow_provider_whatsapp.client.resources.connections import Connections
from airflow_provider_whatsapp.client.resources.graph import Graph
from airflow_provider_whatsapp.client.resources.health import HealthStatus
from airflow_provider_whatsapp.client.resources.media import Media
from airflow_provider_whatsapp.client.resources.messages import Messages
from airflow_provider_whatsapp.client.resources.numbers import BusinessProfile, MessageHistory, PhoneNumbers
from airflow_provider_whatsapp.client.resources.templates import Templates
from airflow_provider_whatsapp.client.resources.webhooks import Webhooks
from airflow_provider_whatsapp.client.transport import Transport

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from airflow_provider_whatsapp.client.config import ClientConfig


class WhatsAppClient:
    """
    WhatsApp through Maton's gateway; one client may be used from many threads.

    .. code-block:: python

        from airflow_provider_whatsapp.client.config import ClientConfig
        from airflow_provider_whatsapp.client.messages import Text
        from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

        config = ClientConfig(api_key="<Maton API key>", phone_number_id="106540352242922")
        with WhatsAppClient(config) as client:
            client.messages.send("+15550001111", Text("The nightly run is done."))

    :param config: Key, hosts, ids and limits.
    :param transport: Sends the requests; None: the client makes its own.
    """

    def __init__(self, config: ClientConfig, *, transport: Transport | None = None) -> None:
        self.config = config
        self._transport = transport or Transport(config)
        self.messages = Messages(self._transport, config)
        self.media = Media(self._transport, config)
        self.templates = Templates(self._transport, config)
        self.analytics = Analytics(self._transport, config)
        self.account = BusinessAccount(self._transport, config)
        self.phone_numbers = PhoneNumbers(self._transport, config)
        self.business_profile = BusinessProfile(self._transport, config)
        self.health = HealthStatus(self._transport, config)
        self.history = MessageHistory(self._transport, config)
        self.connections = Connections(self._transport, config)
        self.webhooks = Webhooks(self._transport, config)
        self.graph = Graph(self._transport, config)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def within(self, seconds: float) -> WhatsAppClient:
        """
        Return a client of the same account for optional requests: it repeats none, and gives up when the time is
        over.

        :param seconds: Seconds from now on, for all its requests together.
        """
        config = replace(self.config, max_retries=0)
        return WhatsAppClient(config, transport=Transport(config, until=time.monotonic() + seconds))

    def close(self) -> None:
        """Close the connections that are kept alive; do not use the client afterwards."""
        self._transport.close()
