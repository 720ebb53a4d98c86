from __future__ import annotations

import pytest

from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
from airflow_provider_whatsapp.delivery.engine import Delivery, Rules
from airflow_provider_whatsapp.delivery.ledger import Job, Ledger, Try
from airflow_provider_whatsapp.delivery.recipients import Recipients
from airflow_provider_whatsapp.delivery.report import Report
from airflow_provider_whatsapp.delivery.stores import MemoryStore
from tests.forks import run_module
from tests.time_limits import ends


class LastingStore(MemoryStore):
    """Outlives the tries of a test."""

    durable = True


@pytest.fixture
def store():
    return LastingStore()


@pytest.fixture
def client(sandbox):
    extra = sandbox.extra
    config = ClientConfig(
        api_key=sandbox.connection["password"],
        host=sandbox.url,
        phone_number_id=extra["phone_number_id"],
        waba_id=extra["waba_id"],
        rate_limit=0,
        max_retries=0,
    )
    with WhatsAppClient(config) as made:
        yield made


@pytest.fixture
def deliver(client, store):
    """Run one try of a delivery, and return its report."""

    def run(
        source,
        *,
        number=1,
        max_tries=0,
        resend_on_clear=False,
        prepare=None,
        send=None,
        stop=None,
        take=None,
        permit=None,
        callback_data=None,
        **rules,
    ):
        recipients = source if isinstance(source, Recipients) else Recipients(source)
        survey = recipients.survey()
        ledger = Ledger(store, pauses=())
        begin = ledger.begin(
            Job(survey.digest, "message", survey.total),
            Try(number, max_tries),
            resend_on_clear=resend_on_clear,
        )
        delivery = Delivery(
            ledger,
            prepare or (lambda row: Text("hello")),
            send or client.messages.send,
            rules=Rules(**({"begin": begin} | rules)),
            take=take,
            permit=permit,
            callback_data=callback_data,
        )
        if stop is not None:
            stop(delivery)
        with ends(delivery):
            return delivery.run(recipients, Report())

    return run


@pytest.fixture
def people():
    """Return so many numbers."""
    return lambda count: [f"1555{place:07}" for place in range(count)]


@pytest.fixture
def mark_results(command_forks, tmp_path):
    """Run the command that marks a results file."""

    def run(*arguments, forks=command_forks):
        return forks.run(run_module, "airflow_provider_whatsapp", "results", *arguments, cwd=tmp_path)

    return run
