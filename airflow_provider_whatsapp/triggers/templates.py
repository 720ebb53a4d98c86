"""The triggers that wait for templates: for approval (sensor), and for a change of status (asset watcher)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_whatsapp.triggers._arguments import StoresArguments
from airflow_provider_whatsapp.triggers.polls import (
    MAX_BACK_OFF,
    Account,
    Poll,
    Subscriber,
    first_news,
    subscription,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from airflow_provider_whatsapp.message_templates.approval import Verdict, Wanted

PAGE_SIZE = 1_000
"""Templates per request: with the few fields that the poll reads, one request lists most accounts completely."""


class Listing:
    """
    An account's templates, by name.

    :param rows: Templates as Graph lists them.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._by_name: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            self._by_name.setdefault(str(row.get("name")), []).append(row)

    def of(self, names: Iterable[str]) -> list[Mapping[str, Any]]:
        """
        Return the templates with these names.

        :param names: The names.
        """
        return [row for name in dict.fromkeys(names) for row in self._by_name.get(name, ())]


class TemplatePoll(Poll):
    """Lists an account's templates once for all waiting triggers; filters by name if all wait for the same one."""

    kind: ClassVar[str] = "templates"

    def ask(self, subscribers: Sequence[Subscriber]) -> list[tuple[Subscriber, Any]]:
        """
        List the templates, let every trigger judge them, and return the news.

        :param subscribers: The waiting triggers.
        """
        from airflow_provider_whatsapp.message_templates.approval import FIELDS

        names = {name for subscriber in subscribers for name in getattr(subscriber, "names", ())}
        only = next(iter(names)) if len(names) == 1 else None
        listing = Listing(self.client.templates.list(name=only, fields=FIELDS, page_size=PAGE_SIZE))
        judged = ((subscriber, subscriber.judge(listing)) for subscriber in subscribers)
        return [(subscriber, news) for subscriber, news in judged if news is not None]


class _Approval(Subscriber):
    def __init__(self, wanted: list[Wanted], *, fail_on_drift: bool) -> None:
        super().__init__()
        self.wanted = wanted
        self.names = [pair[0] for pair in wanted]
        self.fail_on_drift = fail_on_drift

    def judge(self, found: Listing) -> Verdict | None:
        from airflow_provider_whatsapp.message_templates.approval import judge

        verdict = judge(found.of(self.names), self.wanted)
        self.last = verdict.message
        if verdict.state == "waiting" and not (self.fail_on_drift and verdict.drift):
            return None
        return verdict


class TemplateApprovalTrigger(StoresArguments):
    """
    Wait until templates are approved or refused, or the time is over. Triggers for the same account share its polls.

    It ends with one event: ``{"state": ..., "message": ..., "templates": [...], "drift": [...]}``, where the state is
    ``approved``, ``waiting`` (a category differs, and ``fail_on_drift`` is set), ``refused``, ``missing``, ``error``
    or ``timeout``. While the gateway does not answer, it polls less often.

    :param wanted: Names, languages (None: all) and expected categories (None: any), as lists of three.
    :param maton_conn_id: The Airflow connection.
    :param waba_id: WhatsApp Business Account; None: the connection's.
    :param poke_interval: Seconds between two polls.
    :param end_time: Unix time in seconds at which to give up.
    :param fail_on_drift: End as soon as Meta's category is not the expected one.
    """

    def __init__(
        self,
        *,
        wanted: list[list[str | None]],
        maton_conn_id: str,
        waba_id: str | None,
        poke_interval: float,
        end_time: float,
        fail_on_drift: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.wanted = wanted
        self.maton_conn_id = maton_conn_id
        self.waba_id = waba_id
        self.poke_interval = poke_interval
        self.end_time = end_time
        self.fail_on_drift = fail_on_drift

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield one event."""
        subscriber = _Approval(pairs(self.wanted), fail_on_drift=self.fail_on_drift)
        account = Account(self.maton_conn_id, self.waba_id)
        state, news = await first_news(
            TemplatePoll,
            account,
            subscriber,
            interval=self.poke_interval,
            end_time=self.end_time,
            late="Meta did not approve all templates within the timeout.",
        )
        if state:
            yield _event(state, news)
        else:
            yield _event(news.state, news.message, news.templates, news.drift)


class _Status(Subscriber):
    def __init__(self, name: str, language: str) -> None:
        super().__init__()
        self.names = [name]
        self.language = language
        self.seen: str | None = None

    def judge(self, found: Listing) -> dict[str, Any] | None:
        row = next((row for row in found.of(self.names) if row.get("language") == self.language), None)
        status = str(row.get("status", "")).upper() if row is not None else "MISSING"
        if status == self.seen:
            return None
        self.seen = status
        return {"status": status, "template": dict(row) if row is not None else None}


class TemplateStatusTrigger(StoresArguments, BaseEventTrigger):
    """
    For an ``AssetWatcher``: an event whenever a template's status changes to one of the given ones.

    It is edge-triggered: the first status that it sees is its starting point and makes no event. On Airflow 3.3 and
    later it stores the last status with the asset, so it notices a change that happened while the triggerer was down;
    on earlier versions it does not know the status from before a restart. Watchers of one account share its polls.

    The event: ``{"name", "language", "status", "previous_status", "template"}``.

    :param template_name: Name of the template.
    :param language: Its language.
    :param statuses: Statuses that make an event; None: every change makes one. ``MISSING``: no such template exists.
    :param maton_conn_id: The Airflow connection.
    :param waba_id: WhatsApp Business Account; None: the connection's.
    :param poke_interval: Seconds between two polls.
    """

    def __init__(
        self,
        *,
        template_name: str,
        language: str = "en_US",
        statuses: list[str] | None = None,
        maton_conn_id: str = "maton_whatsapp_default",
        waba_id: str | None = None,
        poke_interval: float = 60.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.template_name = template_name
        self.language = language
        self.statuses = statuses
        self.maton_conn_id = maton_conn_id
        self.waba_id = waba_id
        self.poke_interval = poke_interval

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each change, without end: Airflow would restart a trigger that ended."""
        from airflow_provider_whatsapp._compat import AssetMemory

        memory = AssetMemory(self, f"whatsapp:{self.template_name}:{self.language}")
        previous = await memory.read()
        account = Account(self.maton_conn_id, self.waba_id)
        while True:
            subscriber = _Status(self.template_name, self.language)
            subscriber.seen = previous
            try:
                async with subscription(TemplatePoll, account, self.poke_interval, subscriber):
                    while True:
                        news = await subscriber.news.get()
                        if isinstance(news, Exception):
                            raise news
                        event = self._event(news, previous)
                        previous = news["status"]
                        await memory.write(previous)
                        if event is not None:
                            yield event
            except Exception as error:
                self.log.warning("Watching %s failed; the trigger tries again: %s", self.template_name, error)
            await asyncio.sleep(self.poke_interval * MAX_BACK_OFF)

    def _event(self, news: dict[str, Any], previous: str | None) -> TriggerEvent | None:
        if previous is None or (self.statuses is not None and news["status"] not in self.statuses):
            return None
        named = {"name": self.template_name, "language": self.language, "previous_status": previous}
        return TriggerEvent({**named, **news})  # type: ignore[no-untyped-call]  # Airflow's


def poll(hook: Any, wanted: list[list[str | None]]) -> Verdict:
    """Poll the account once, and return the judgement."""
    from airflow_provider_whatsapp.message_templates.approval import FIELDS, judge

    three = pairs(wanted)
    name = three[0][0] if len({each[0] for each in three}) == 1 else None
    return judge(hook.list_templates(name=name, fields=FIELDS, page_size=PAGE_SIZE), three)


def pairs(wanted: list[list[str | None]]) -> list[Wanted]:
    """Return the wanted templates as triples; triggers of an earlier version stored lists of two."""
    return [(str(each[0]), each[1], each[2] if len(each) > 2 else None) for each in wanted]


def _event(
    state: str, message: str, templates: list[dict[str, Any]] | None = None, drift: list[str] | None = None
) -> TriggerEvent:
    payload = {"state": state, "message": message, "templates": templates or [], "drift": drift or []}
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow's
