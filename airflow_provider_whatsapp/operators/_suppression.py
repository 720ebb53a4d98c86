"""The argument ``suppression``: lists of people to leave out, and the opt-outs of the event store."""

from __future__ import annotations

import contextlib
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.operators._private import SHOWN, hidden_recipients

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from airflow_provider_whatsapp.client.config import ClientConfig
    from airflow_provider_whatsapp.delivery.compact_sets import Seen
    from airflow_provider_whatsapp.delivery.opt_outs import OptOuts
    from airflow_provider_whatsapp.delivery.recipients import Row
    from airflow_provider_whatsapp.events.store import EventStore

EVENTS = "events"
"""The value that names the opt-outs of the event store."""
MOST_HEARD = 100_000
"""The most opt-outs that one task records from refusals; the next task learns of any others."""


def hidden_suppression(value: Any) -> Any:
    """Return what Airflow may show of the argument: whether it reads the store, and masked numbers."""
    if _is_events(value):
        return value
    if isinstance(value, list | tuple):
        shown = [hidden_suppression(item) for item in value[:SHOWN]]
        return [*shown, f"... {len(value)} in all"] if len(value) > SHOWN else shown
    return hidden_recipients(value)


def _is_events(value: Any) -> bool:
    return isinstance(value, str) and value.strip().lower() == EVENTS


class Suppression:
    """People whom a task leaves out; a list that is not valid, or a store that cannot be reached, is an error."""

    def __init__(self, given: Any, *, to_field: str, config: ClientConfig, log: Any) -> None:
        from airflow_provider_whatsapp.operators._lists import suppression_list

        self._log = log
        # The argument is "events", a path, a list, a text of numbers, or a list of several of them.
        of_store, lists = _sources(given)
        country = config.default_country
        self.listed = _Listed(
            [suppression_list(each, to_field=to_field, default_country=country, log=log) for each in lists]
        )
        self.opt_outs = _opt_outs(config) if of_store else None

    @property
    def marks(self) -> Any:
        """Marks the rows of people who have opted out; None: the task does not read the store."""
        return self.opt_outs.mark if self.opt_outs is not None else None

    def concern(self, operator: Any) -> None:
        """Leave out, from now on, the people whose opt-out applies to the operator's message."""
        from airflow_provider_whatsapp.delivery.opt_outs import FREE_FORM, scopes_of

        if self.opt_outs is None:
            return
        if not getattr(operator, "template_name", None):
            self.opt_outs.scopes = FREE_FORM
            return
        approved = getattr(operator, "_approved", None)  # the operator has looked it up, if it does so at all
        category = approved.known_category if approved is not None else None
        if category is None:
            self._log.warning(
                "WhatsApp: the template's category is not known, so the task also leaves out people who opted out of "
                "marketing"
            )
        self.opt_outs.scopes = scopes_of(category)

    def say(self) -> None:
        """Log how many recipients were left out because they have opted out."""
        if self.opt_outs is not None:
            self._log.info("WhatsApp: %d recipients have opted out and were left out", self.opt_outs.left_out)


def suppression_of(operator: Any, *, to_field: str) -> Suppression | None:
    """Return the people whom a task leaves out; None: the argument is not given."""
    if not operator.has_suppression and operator.suppression is None:
        return None
    config = operator.hook.client.config
    return Suppression(operator.suppression, to_field=to_field, config=config, log=operator.log)


def rows_of(recipients: Iterable[str], suppression: Suppression | None, operator: Any) -> list[Row]:
    """Return the rows of few recipients, given in canonical form, and mark those to leave out."""
    from airflow_provider_whatsapp.client.phone import canonical
    from airflow_provider_whatsapp.delivery.recipients import Row

    if suppression is None:
        return [Row(position, to) for position, to in enumerate(recipients)]
    suppression.concern(operator)
    rows = [
        Row(position, to, skip="suppressed" if canonical(to) in suppression.listed else None)
        for position, to in enumerate(recipients)
    ]
    return rows if suppression.opt_outs is None else list(suppression.opt_outs.mark(rows))


class _Listed:
    """The members of several lists."""

    def __init__(self, lists: Sequence[Seen]) -> None:
        self._lists = lists

    def __contains__(self, name: object) -> bool:
        return any(name in each for each in self._lists)


def _sources(given: Any) -> tuple[bool, list[Any]]:
    """Return whether the store is a source, and the other sources."""
    from airflow_provider_whatsapp.delivery.suppression import SEPARATORS, is_path, listed

    if isinstance(given, str):
        if given.lstrip().startswith("["):
            return _sources(listed(given, field="suppression"))
        parts = [part for part in SEPARATORS.split(given) if part.strip()]
        if is_path(given) or not any(map(_is_events, parts)):
            return False, [given]
        given = parts
    if not isinstance(given, list | tuple) or not given:
        return False, [given]
    of_store = False
    lists: list[Any] = []
    entries: list[Any] = []
    for item in given:
        if _is_events(item):
            of_store = True
        elif isinstance(item, str):
            (lists if is_path(item) else entries).append(item)
        else:
            of_many = isinstance(item, list | tuple | set | frozenset) or hasattr(item, "open")
            (lists if of_many else entries).append(item)
    return of_store, [*lists, entries] if entries else lists


def _opt_outs(config: ClientConfig) -> OptOuts:
    from airflow_provider_whatsapp.client.errors import ConfigurationError
    from airflow_provider_whatsapp.delivery.opt_outs import OptOuts
    from airflow_provider_whatsapp.events.opt_outs import opted_out

    account, store = config.require("waba_id"), _store()
    if store is None:
        raise ConfigurationError(
            'suppression="events" needs the event store, and [whatsapp] events_conn_id is empty',
            advice="Set it to a connection to the receiver's database. Nothing was sent.",
        )
    store.check()
    return OptOuts(lambda names: opted_out(store, account, names))


def _store() -> EventStore | None:
    from airflow_provider_whatsapp.events.store import EventStore
    from airflow_provider_whatsapp.hooks.event_store import event_store_url

    url = event_store_url()
    return EventStore.open(url, pool_size=1) if url is not None else None


class OptOutsHeard:
    """Recipients whom the gateway refuses because they have stopped marketing messages; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard: list[tuple[str, datetime]] = []

    def listen(self, to: str, error: Any) -> None:
        """Record a refusal if it is an opt-out; the recipient is the digits of a number, or an ID."""
        from airflow_provider_whatsapp.events.kinds import OPTED_OUT_OF_MARKETING

        if getattr(error, "code", None) == OPTED_OUT_OF_MARKETING and len(self._heard) < MOST_HEARD:
            with self._lock:
                self._heard.append((to, datetime.now(UTC)))

    def save(self, log: Any, config_of: Callable[[], ClientConfig]) -> None:
        """Write the opt-outs to the event store, if there is one; if that fails, the next task learns them again."""
        heard, self._heard = self._heard, []
        if not heard:
            return
        from airflow_provider_whatsapp.client.errors import WhatsAppError
        from airflow_provider_whatsapp.events.opt_outs import record_refusals

        try:
            account, store = config_of().waba_id, _store()
            if store is None or not account:
                return
            with contextlib.closing(store):
                store.check()
                record_refusals(store, account, heard)
        except WhatsAppError as error:
            log.warning(
                "WhatsApp: %d opt-outs could not be written to the event store: %s", len(heard), error
            )
        else:
            log.info(
                "WhatsApp: %d recipients have stopped marketing messages; their opt-outs are in the event store",
                len(heard),
            )
