"""Commands, receiver and store with the sandbox: what is subscribed arrives, once, however it is delivered."""

from __future__ import annotations

import time

import pytest

from airflow_provider_whatsapp.client.errors import APIError, ConfigurationError
from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.client.webhook_address import status, subscribe, unsubscribe
from airflow_provider_whatsapp.events import tables
from airflow_provider_whatsapp.events.receiver import Settings
from airflow_provider_whatsapp.events.serve import running
from airflow_provider_whatsapp.events.store import EventStore
from tests.events.test_store import rows


@pytest.fixture
def events(tmp_path):
    store = EventStore.open(f"sqlite:///{tmp_path}/events.db")
    store.create_or_upgrade()
    yield store
    store.close()


def delivered(sandbox):
    """Move the sandbox's clock until every status is out, and wait until it has told all of them."""
    until = time.monotonic() + 60
    while True:
        sandbox.control("POST", "clock", advance=30)
        if sandbox.control("GET", "webhooks")["waiting"] == 0:
            return
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize("of_number", [False, True], ids=["account", "number"])
def test_what_is_subscribed_arrives_once(sandbox, events, of_number):
    settings = Settings(verify_token="token", app_secret="sandbox-app-secret")
    with running(events, settings) as url, sandbox.client() as client:
        assert subscribe(client, f"{url}/whatsapp", "token", of_number=of_number).endswith("now.")
        sandbox.control("POST", "webhooks", duplicate=0.5, reorder=True, drop=0.2, batch=7)
        sent = [
            client.messages.send(
                f"+1555010{number:04}", Text("hello"), callback_data=f"mine {number}"
            ).message_id
            for number in range(20)
        ]
        sandbox.reply("+15550100003", "Yes")
        delivered(sandbox)

        furthest = events.furthest(sent)
        assert sorted(furthest) == sorted(sent)
        assert {furthest[name]["callback_data"] for name in sent} == {
            f"mine {number}" for number in range(20)
        }
        assert all(row["verified"] for row in furthest.values())
        assert [(row["text"], row["sender"]) for row in rows(events, tables.messages)] == [
            ("Yes", "15550100003")
        ]

        assert any(f"{url}/whatsapp" in line for line in status(client))
        with pytest.raises(ConfigurationError, match="--force"):
            subscribe(client, f"{url}/another", "token", of_number=of_number)
        assert "no longer" in unsubscribe(client, f"{url}/whatsapp", of_number=of_number)
        assert not any(f"{url}/whatsapp" in line for line in status(client))


def test_an_address_with_another_verify_token_is_not_taken(sandbox, events):
    settings = Settings(verify_token="token", app_secret="sandbox-app-secret")
    with running(events, settings) as url, sandbox.client() as client:
        with pytest.raises(APIError, match="its verify token must be this one"):
            subscribe(client, f"{url}/whatsapp", "another")
        assert not any(url in line for line in status(client))


def test_another_app_secret_stores_nothing(sandbox, events):
    with (
        running(events, Settings(verify_token="token", app_secret="another")) as url,
        sandbox.client() as client,
    ):
        subscribe(client, f"{url}/whatsapp", "token")
        client.messages.send("+15550100001", Text("hello"))
        sandbox.control("POST", "clock", advance=10)
        until = time.monotonic() + 60
        while not any(each["status"] == 403 for each in sandbox.control("GET", "webhooks")["deliveries"]):
            assert time.monotonic() < until
            time.sleep(0.02)
    assert rows(events, tables.statuses) == []
