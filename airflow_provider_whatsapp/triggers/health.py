"""The trigger that waits until number, account and template may send."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.triggers.base import TriggerEvent

from airflow_provider_whatsapp.triggers._arguments import StoresArguments
from airflow_provider_whatsapp.triggers.polls import Account, Poll, Subscriber, first_news

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from airflow_provider_whatsapp.client.resources.health import Health
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient


_SAID = {
    "BLOCKED": "Messages cannot be sent yet",
    "UNKNOWN": "WhatsApp does not say whether messages can be sent",
}


@dataclass(frozen=True)
class Readiness:
    """
    Whether messages can be sent.

    :param ready: Nothing is BLOCKED, as far as the health can be read.
    :param message: The finding as a sentence.
    :param health: The health, as JSON primitives.
    """

    ready: bool
    message: str
    health: dict[str, Any]


def judge(health: Health) -> Readiness:
    """Judge whether messages can be sent; health that this connection may not read does not prevent it."""
    said = f"{_SAID.get(health.state, 'Messages can be sent')}: {health.describe()}"
    return Readiness(health.state != "BLOCKED", said, health.to_dict())


def look(client: WhatsAppClient, name: str | None, language: str) -> Readiness:
    """Poll once, and return the judgement: one request, two with a template."""
    from airflow_provider_whatsapp.client.resources.health import (
        fetch_number_health,
        fetch_template_health,
    )

    found = fetch_number_health(client)
    return judge(found.joined(fetch_template_health(client, name, language)) if name else found)


class HealthPoll(Poll):
    """Reads the number's health once for all waiting triggers, and each of their templates' once."""

    kind: ClassVar[str] = "health"

    def ask(self, subscribers: Sequence[Subscriber]) -> list[tuple[Subscriber, Any]]:
        """
        Read the health, let every trigger judge it, and return the news.

        :param subscribers: The waiting triggers.
        """
        from airflow_provider_whatsapp.client.errors import WhatsAppError
        from airflow_provider_whatsapp.client.resources.health import (
            fetch_number_health,
            fetch_template_health,
        )

        number = fetch_number_health(self.client)

        @cache
        def health_of(name: str | None, language: str) -> Health:
            return number.joined(fetch_template_health(self.client, name, language)) if name else number

        news: list[tuple[Subscriber, Any]] = []
        for subscriber in subscribers:
            try:
                item = subscriber.judge(health_of)
            except WhatsAppError as error:
                if not error.permanent:
                    raise
                item = error  # a missing template does not concern the other triggers
            if item is not None:
                news.append((subscriber, item))
        return news


class _Ready(Subscriber):
    def __init__(self, name: str | None, language: str) -> None:
        super().__init__()
        self.name = name
        self.language = language

    def judge(self, found: Callable[[str | None, str], Health]) -> Readiness | None:
        readiness = judge(found(self.name, self.language))
        self.last = readiness.message
        return readiness if readiness.ready else None


class HealthTrigger(StoresArguments):
    """
    Wait until number, account and template may send, or the time is over. Triggers for the same number share their
    polls.

    It ends with one event: ``{"state": ..., "message": ..., "health": {...}}``, where the state is ``ready``, ``error``
    or ``timeout``. While the gateway does not answer, it polls less often.

    :param template_name: Name of the template; None: wait for no template.
    :param language: Its language.
    :param maton_conn_id: The Airflow connection.
    :param phone_number_id: Sender; None: the connection's.
    :param waba_id: WhatsApp Business Account; None: the connection's.
    :param poke_interval: Seconds between two polls.
    :param end_time: Unix time in seconds at which to give up.
    """

    def __init__(
        self,
        *,
        template_name: str | None,
        language: str,
        maton_conn_id: str,
        phone_number_id: str | None,
        waba_id: str | None,
        poke_interval: float,
        end_time: float,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.template_name = template_name
        self.language = language
        self.maton_conn_id = maton_conn_id
        self.phone_number_id = phone_number_id
        self.waba_id = waba_id
        self.poke_interval = poke_interval
        self.end_time = end_time

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield one event."""
        subscriber = _Ready(self.template_name, self.language)
        account = Account(self.maton_conn_id, self.waba_id, self.phone_number_id)
        state, news = await first_news(
            HealthPoll,
            account,
            subscriber,
            interval=self.poke_interval,
            end_time=self.end_time,
            late="Messages could not be sent within the timeout.",
        )
        if state:
            yield _event(state, news)
        else:
            yield _event("ready", news.message, news.health)


def _event(state: str, message: str, health: dict[str, Any] | None = None) -> TriggerEvent:
    payload = {"state": state, "message": message, "health": health or {}}
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow's
