"""Whether number, account and template may send: Graph's ``health_status``, and the judgement of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_provider_whatsapp.client.errors import (
    AccountError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    WhatsAppError,
)
from airflow_provider_whatsapp.client.masking import clean_line
from airflow_provider_whatsapp.client.resources.base import Resource, graph_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

State = Literal["UNKNOWN", "AVAILABLE", "LIMITED", "BLOCKED"]
STATES: tuple[State, ...] = get_args(State)
"""The states of an entity, the worst last."""
FIELD = "health_status"
SECONDS = 5.0
"""Seconds after which a check of health before another request is given up."""
MAX_ENTITIES = 20
MAX_REASONS = 5
MAX_REASON = 250
"""The most characters of Meta's words that are quoted for each reason."""
MAX_LINE = 1_500
"""The most characters of a whole line."""
_CALLS = (138024, 138025)
"""Errors of an entity that concern calls by SIP and do not stop messages (Meta, "Messaging and calling health
status")."""
_ID = re.compile(r"[0-9]{1,32}", re.ASCII)
_KIND = re.compile(r"[A-Z][A-Z0-9_]{0,40}", re.ASCII)
_ADVICE = "Resolve it in WhatsApp Manager; WhatsAppHealthSensor waits until that is done."


@dataclass(frozen=True, slots=True)
class Entity:
    """
    One entity that a message needs: the number, the template, the account, its business or the app.

    :param kind: Meta's word for it: ``PHONE_NUMBER``, ``MESSAGE_TEMPLATE``, ``WABA``, ``BUSINESS`` or ``APP``.
    :param id: Meta's ID of the entity.
    :param state: Whether it may send.
    :param codes: Meta's error codes.
    :param reasons: Meta's reasons and solutions, as short lines.
    """

    kind: str
    id: str
    state: State
    codes: tuple[int, ...] = ()
    reasons: tuple[str, ...] = ()

    @classmethod
    def parse(cls, item: dict[str, Any]) -> Self:
        """Return an entity from Graph's JSON; parts of another form are left out."""
        listed = (each for each in _list(item.get("errors")) if isinstance(each, dict))
        errors = [error for error in listed if error.get("error_code") not in _CALLS][:MAX_REASONS]
        notes = [note for note in _list(item.get("additional_info")) if isinstance(note, str)]
        lines = [_reason(error) for error in errors] + [_line(note) for note in notes[:MAX_REASONS]]
        found, kind = item.get("id"), item.get("entity_type")
        return cls(
            kind=kind if isinstance(kind, str) and _KIND.fullmatch(kind) else "entity",
            id=str(found) if _ID.fullmatch(str(found)) else "",
            state=_state(item.get("can_send_message")),
            codes=tuple(error["error_code"] for error in errors if type(error.get("error_code")) is int),
            reasons=tuple(line for line in lines if line),
        )

    def describe(self, *, words: bool = True) -> str:
        """
        Return in words whether it may send, and why not.

        :param words: Quote Meta's words; False: only its codes.
        """
        why = "; ".join(self.reasons if words else map(str, self.codes))
        return f"{self.kind} {self.id}".rstrip() + f" is {self.state}" + (f" ({why})" if why else "")

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON primitives, with Graph's names."""
        named = {"entity_type": self.kind, "id": self.id, "can_send_message": self.state}
        return {**named, "reasons": list(self.reasons)}


@dataclass(frozen=True, slots=True)
class Health:
    """
    Whether messages can be sent, as Meta says before a send.

    The entities decide: Meta's overall value is BLOCKED even if only calls are blocked.

    :param entities: What a message needs.
    :param overall: Meta's overall value.
    :param unread: Why the health could not be read; None: it was read.
    """

    entities: tuple[Entity, ...] = ()
    overall: State = "UNKNOWN"
    unread: str | None = field(default=None, kw_only=True)

    @classmethod
    def parse(cls, answer: Any) -> Self:
        """Return the health in Graph's ``health_status``; a value of another form gives no entities."""
        if not isinstance(answer, dict):
            return cls(unread="WhatsApp's answer contains no health_status")
        items = [item for item in _list(answer.get("entities")) if isinstance(item, dict)]
        if len(items) > MAX_ENTITIES:  # the cut drops no entity that blocks
            items.sort(key=lambda item: STATES.index(_state(item.get("can_send_message"))), reverse=True)
        entities = tuple(Entity.parse(item) for item in items[:MAX_ENTITIES])
        return cls(entities, _state(answer.get("can_send_message")))

    @property
    def state(self) -> State:
        """The worst state of an entity; UNKNOWN if there is none."""
        return _worst(entity.state for entity in self.entities)

    def of(self, state: State) -> tuple[Entity, ...]:
        """Return the entities with a state."""
        return tuple(entity for entity in self.entities if entity.state == state)

    def joined(self, other: Health | None) -> Health:
        """Return both together; for an entity in both, the worse state."""
        if other is None:
            return self
        found: dict[tuple[str, str], Entity] = {}
        for entity in (*self.entities, *other.entities):
            key = entity.kind, entity.id
            if key not in found or STATES.index(entity.state) > STATES.index(found[key].state):
                found[key] = entity
        unread = "; ".join(dict.fromkeys(why for why in (self.unread, other.unread) if why)) or None
        return Health(tuple(found.values()), _worst((self.overall, other.overall)), unread=unread)

    def describe(self, *, words: bool = True) -> str:
        """
        Return in one line what may send and what may not.

        :param words: Quote Meta's words; False: only its codes.
        """
        unread = f"not known: {self.unread}" if self.unread and words else ""
        if self.state == "UNKNOWN":
            return unread or "not known"
        bad = (*self.of("BLOCKED"), *self.of("LIMITED"))
        if bad:
            found = "; ".join(entity.describe(words=words) for entity in bad)
        else:
            kinds = ", ".join(dict.fromkeys(entity.kind for entity in self.of("AVAILABLE")))
            beside = f" (Meta's overall word is {self.overall})" if self.overall != self.state else ""
            found = f"{kinds} AVAILABLE{beside}"
        return "; ".join(filter(None, (_bounded(found), unread)))

    def check(self) -> None:
        """Raise AccountError, with Meta's reason and solution, if an entity is BLOCKED: a message would fail."""
        blocked = self.of("BLOCKED")
        if blocked:
            why = _bounded("; ".join(entity.describe() for entity in blocked))
            msg = f"WhatsApp blocks sending: {why}"
            code = next((code for entity in blocked for code in entity.codes), None)
            raise AccountError(msg, code=code, advice=_ADVICE)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON primitives: ``state``, ``overall`` and ``entities``."""
        entities = [entity.to_dict() for entity in self.entities]
        return {"state": self.state, "overall": self.overall, "entities": entities}


class HealthStatus(Resource):
    """Reads whether number, account or template may send; one request each."""

    def number(self) -> Health:
        """
        Return the health of the sending number, its account, business and app.

        :raises APIError: WhatsApp refused, for example because this connection may not read health.
        """
        return self._node(self._config.require("phone_number_id"))

    def account(self) -> Health:
        """
        Return the health of the account, its business and app.

        :raises APIError: WhatsApp refused, for example because this connection may not read health.
        """
        return self._node(self._config.require("waba_id"))

    def template(self, template_id: str) -> Health:
        """
        Return the health of a template, its account, business and app.

        :param template_id: ID of the template.
        :raises APIError: WhatsApp refused, for example because this connection may not read health.
        """
        return self._node(graph_id(template_id, "template_id"))

    def _node(self, node: str) -> Health:
        return Health.parse(self._call("GET", node, query={"fields": FIELD}).get(FIELD))


def is_refusal(error: WhatsAppError) -> bool:
    """Return whether an error means that this connection may not read health, which says nothing about messages."""
    return error.code is not None and isinstance(error, InvalidRequestError | PermissionDeniedError)


def number_health(client: WhatsAppClient, *, seconds: float = SECONDS) -> Health:
    """Return the sender's health before another request, within some seconds; an error makes it unknown."""
    try:
        with client.within(seconds) as brief:
            return brief.health.number()
    except WhatsAppError as error:
        return Health(unread=error.message)


def fetch_number_health(client: WhatsAppClient) -> Health:
    """Return the health of the sending number; it is unknown if this connection may not read it."""
    return _readable(client.health.number)


def fetch_template_health(client: WhatsAppClient, name: str, language: str) -> Health:
    """Return the health of a template; it is unknown if this connection may not read it."""
    return _readable(partial(_template, client, name, language))


def _template(client: WhatsAppClient, name: str, language: str) -> Health:
    row = client.templates.find(name, language, fields=f"id,name,language,{FIELD}")
    if row is None:
        raise NotFoundError(
            f"the account has no template {name} ({language})",
            advice="Check name and language: en and en_US are different templates.",
        )
    return Health.parse(row.get(FIELD))


def _readable(ask: Callable[[], Health]) -> Health:
    try:
        return ask()
    except WhatsAppError as error:
        if is_refusal(error):
            return Health(unread=error.message)
        raise


def _bounded(text: str) -> str:
    return text if len(text) <= MAX_LINE else f"{text[:MAX_LINE]}..."


def _worst(states: Iterable[State]) -> State:
    return max(states, key=STATES.index, default="UNKNOWN")


def _state(value: Any) -> State:
    word = value.upper() if isinstance(value, str) else ""
    return word if word in STATES else "UNKNOWN"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _line(value: Any) -> str:
    return clean_line(value, limit=MAX_REASON) if isinstance(value, str) else ""


def _reason(error: dict[str, Any]) -> str:
    code = error.get("error_code")
    said = [_line(error.get(name)).rstrip(".") for name in ("error_description", "possible_solution")]
    text = ". ".join(part for part in said if part)
    return ": ".join(part for part in (str(code) if type(code) is int else "", text) if part)
