from __future__ import annotations

import pytest

from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.retry import RequestRetry
from airflow_provider_whatsapp.client.transport import Transport
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

QUICK = RequestRetry(max_retries=3, base=0.01, cap=0.05, max_elapsed=20)


@pytest.fixture
def make_client():
    """Make clients that repeat quickly and are closed at the end."""
    made = []

    def make(**fields):
        config = ClientConfig(**{"rate_limit": 0, "timeout": (2, 5), **fields})
        client = WhatsAppClient(config, transport=Transport(config, retry=QUICK))
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(sandbox, make_client):
    """A client of the sandbox."""
    return make_client(api_key=sandbox.connection["password"], host=sandbox.url, **sandbox.extra)
