"""One message of a question: its text, where its buttons lead, and its own ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_whatsapp.answering.request_id import ANSWERED_BY
from airflow_provider_whatsapp.approvals.link import PREFIX, Answer
from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.client.hosts import is_loopback, parse_base_url
from airflow_provider_whatsapp.delivery.stores import MarkedMemory, attempt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_whatsapp.delivery.stores import Store

STOCK_TEMPLATE = "airflow_approval"
REPLY_TEMPLATE = "airflow_approval_reply"
OUTCOME_TEMPLATE = "airflow_approval_outcome"
"""The stock templates, whose definitions are beside this module."""
MAX_VALUE = 300
"""The most characters of one value; a body may have 1,024 with all of them (Meta, template components)."""
KEY = "asking"
"""
Key under which a task's store has the number of times that the question was asked.

``complete`` says that all of its messages were sent; it is False if an earlier version stopped in the middle.
"""


@dataclass(frozen=True, slots=True)
class Question:
    """One of the messages of an approval."""

    kind: Literal["ask", "remind", "outcome"]
    number: int = 1  # how often it was asked: a retry or clear of a task that had asked asks again
    reminder: int = 0  # its number; 0: it is none

    @classmethod
    def first(cls, store: Store) -> Question:
        """Return what an earlier try was about to ask, or the next one; raises LedgerError if the store fails."""
        found = attempt(lambda: store.get(KEY), f"{store.name} could not be read")
        number, complete = (found["number"], found["complete"]) if isinstance(found, dict) else (1, False)
        return cls("ask", int(number) + bool(complete))

    def close(self, store: Store) -> None:
        """Record that the question was asked; raises LedgerError if the store fails."""
        value = {"number": self.number, "complete": True}
        attempt(lambda: store.set(KEY, value), f"{store.name} could not be written")

    @property
    def name(self) -> str:
        """The name of the question among the task's questions."""
        return "-".join([self.kind, str(self.number), *([str(self.reminder)] if self.reminder else [])])

    def store(self, whole: Store) -> Store:
        """Return this ledger's part of a task's store; a store that ends with the process is returned itself."""
        return _Part(whole, self.name) if self.outlives(whole) else whole

    @staticmethod
    def outlives(store: Store) -> bool:
        """Return whether a later try continues a question that this one was about to ask."""
        # A store that ends with the process does not know how far it got.
        return store.durable and not isinstance(store, MarkedMemory)

    def buttons(self, ti: Any, options: Sequence[str], *, with_plugin: bool) -> list[str]:
        """Return the ends of the buttons' URLs, one for each option; raises PayloadError if one would be too long."""
        # Without the plugin, they lead to Airflow's page itself instead of the redirect.
        answers = [Answer(ti.dag_id, ti.run_id, ti.task_id, ti.map_index, option) for option in options]
        return [PREFIX + answer.to_id() if with_plugin else answer.path() for answer in answers]


class _Part:
    """A part of a store, under its own names."""

    def __init__(self, whole: Store, name: str) -> None:
        self._whole, self._prefix = whole, f"{name}/"
        self.name, self.durable, self.exclusive = whole.name, whole.durable, whole.exclusive

    def get(self, key: str) -> Any:
        return self._whole.get(self._prefix + key)

    def set(self, key: str, value: Any) -> None:
        self._whole.set(self._prefix + key, value)


def check_base_url(given: str, *, sandbox: str | None) -> str:
    """Return Airflow's address for buttons; raises ConfigurationError if it is missing or phones cannot reach it."""
    if not given.strip():
        raise ConfigurationError(
            "the buttons need Airflow's public address, and neither [api] base_url nor base_url= is set",
            advice="Set [api] base_url to the address at which phones reach Airflow, or give it as base_url=.",
        )
    found = parse_base_url(given)
    # With a sandbox on this machine, Airflow's address may be on it too.
    if is_loopback(found) and not is_loopback(sandbox):
        raise ConfigurationError(
            f"the buttons would lead to {found}, which phones cannot reach",
            advice="Set [api] base_url to Airflow's public address, or give base_url=.",
        )
    return found


def values_for(subject: str, context: Mapping[str, Any]) -> dict[str, str]:
    """Return the values of the stock template."""
    from airflow_provider_whatsapp.notifications.facts import fit

    ti: Any = context["ti"]
    return {
        "subject": fit(subject, MAX_VALUE),
        "dag": fit(ti.dag_id, MAX_VALUE),
        "run": fit(ti.run_id, MAX_VALUE),
    }


def outcome_values(subject: str, event: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, str]:
    """Return the values of the message that says how a question was answered."""
    from airflow_provider_whatsapp.notifications.facts import fit

    user = event.get("responded_by_user")
    by = str(
        (user.get("name") or user.get("id")) if isinstance(user, dict) else getattr(user, "name", "") or ""
    )
    answer = ", ".join(map(str, event.get("chosen_options") or ()))
    by = by or ("time-out" if event.get("timedout") else "-")
    pressed = (event.get("params_input") or {}).get(ANSWERED_BY)
    if pressed:  # Airflow's user comes first, because on Airflow's page anybody can fill in the other
        by = f"{by} for {pressed}"
    return {**values_for(subject, context), "answer": fit(answer, MAX_VALUE), "by": fit(by, MAX_VALUE)}
