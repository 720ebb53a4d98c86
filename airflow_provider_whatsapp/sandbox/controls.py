"""The sandbox's own controls under ``/_sandbox``, for tests."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import Route

from airflow_provider_whatsapp import __version__
from airflow_provider_whatsapp.sandbox import controls_accounts, controls_templates, graph_messages, health
from airflow_provider_whatsapp.sandbox.control_fields import ControlError, flag, one_of, text, whole
from airflow_provider_whatsapp.sandbox.model import Message
from airflow_provider_whatsapp.sandbox.webhooks import controls as webhooks
from airflow_provider_whatsapp.sandbox.wire import dump

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from airflow_provider_whatsapp.sandbox.state import State

    Action = Callable[[dict[str, Any]], Any]

_MAX_BODY = 1_024 * 1_024


async def read_body(request: Request) -> dict[str, Any]:
    """Return the JSON object in a control request; raises ControlError for a body that is too large or no object."""
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > _MAX_BODY:
            raise ControlError("The body is too large", 413)
    try:
        body = json.loads(data or b"{}")
    except (ValueError, RecursionError) as error:
        raise ControlError("The body is not valid JSON") from error
    if not isinstance(body, dict):
        raise ControlError("The body is not a JSON object")
    return body


class Controls:
    """The controls that tests and the page use."""

    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[Route]:
        """Return the routes under ``/_sandbox``."""
        plain: list[tuple[str, str, Action]] = [
            ("GET", "health", self.health),
            ("GET", "health_status", self.list_health),
            ("POST", "health_status", self.set_health),
            ("GET", "messages", self.messages),
            ("GET", "requests", self.requests),
            ("GET", "faults", self.list_faults),
            ("POST", "faults", self.add_fault),
            ("DELETE", "faults", self.clear_faults),
            ("POST", "templates", self.move_template),
            ("PUT", "templates", self.put_template),
            ("POST", "reviews", self.review),
            ("GET", "connections", self.connections),
            ("GET", "clock", self.clock),
            ("POST", "clock", self.move_clock),
            ("POST", "replies", self.reply),
            ("GET", "webhooks", self.show_webhooks),
            ("POST", "webhooks", self.set_webhooks),
            ("POST", "recipients", self.recipient),
            ("POST", "accounts", self.account),
            ("POST", "reset", self.reset),
        ]
        return [
            Route(f"/_sandbox/{name}", _endpoint(action), methods=[method], name=f"{method} {name}")
            for method, name, action in plain
        ]

    def health(self, given: dict[str, Any]) -> dict[str, Any]:
        """``GET health``."""
        return {"status": "ok", "version": __version__, "now": self._state.clock.now()}

    def list_health(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        """``GET health_status``."""
        return health.listing(self._state)

    def set_health(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        """``POST health_status``."""
        return health.set_health(self._state, given)

    def messages(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        """``GET messages``, with ``?to=`` (digits) only those to one recipient."""
        to = given.get("to")
        found = self._state.messages.values()
        return [
            describe(self._state, item)
            for item in found
            if isinstance(item, Message) and (to is None or to in (item.to, item.wa_id))
        ]

    def requests(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        """``GET requests``."""
        return [
            {
                "method": each.method,
                "path": each.path,
                "query": each.query,
                "status": each.status,
                "at": each.at,
                "fault": each.fault,
                "ms": each.ms,
            }
            for each in self._state.requests
        ]

    def list_faults(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        """``GET faults``."""
        return self._state.faults.listing()

    def add_fault(self, given: dict[str, Any]) -> dict[str, Any]:
        """``POST faults``."""
        try:
            made = self._state.faults.add(given)
        except ValueError as error:
            raise ControlError(str(error)) from error
        self._state.changed()
        return made.as_dict()

    def clear_faults(self, given: dict[str, Any]) -> dict[str, Any]:
        """``DELETE faults``, with ``?id=`` only one."""
        raw = given.get("id")
        if raw is not None and not re.fullmatch(r"[0-9]{1,9}", str(raw)):
            raise ControlError("id must be the number of a fault")
        self._state.faults.clear(None if raw is None else int(raw))
        self._state.changed()
        return {"success": True}

    def move_template(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        """``POST templates``."""
        return controls_templates.move(self._state, given)

    def put_template(self, given: dict[str, Any]) -> dict[str, Any]:
        """``PUT templates``."""
        return controls_templates.put(self._state, given)

    def review(self, given: dict[str, Any]) -> dict[str, Any]:
        """``POST reviews``."""
        return controls_templates.review(self._state, given)

    def clock(self, given: dict[str, Any]) -> dict[str, Any]:
        """``GET clock``."""
        return {"now": self._state.clock.now(), "stopped": self._state.clock.stopped}

    def move_clock(self, given: dict[str, Any]) -> dict[str, Any]:
        """``POST clock``: move the clock ahead by ``advance`` seconds; stop it or let it run by ``stopped``."""
        clock, stopped = self._state.clock, flag(given, "stopped")
        seconds = given.get("advance", None if stopped is None else 0)
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds <= 10**9:
            raise ControlError("advance must be a number of seconds, 0 or more: the clock only moves ahead")
        if stopped is not None and stopped != clock.stopped:
            (clock.stop if stopped else clock.go)()
        clock.advance(seconds)
        self._state.changed()
        return self.clock({})

    def reply(self, given: dict[str, Any]) -> dict[str, Any]:
        """``POST replies``: the user writes, or presses a button (``pressed``); the customer service window opens."""
        user = graph_messages.digits(text(given, "from") or "")
        words, number_id = text(given, "text"), text(given, "phone_number_id", required=False)
        if user is None:
            raise ControlError("from must be a phone number with its country code")
        if number_id is None:
            number_id = next(iter(self._state.numbers))
        if number_id not in self._state.numbers:
            raise ControlError("There is no such phone_number_id", 404)
        pressed = text(given, "pressed", required=False)
        quoted = text(given, "context", required=False)  # id of a message
        made = self._state.reply(number_id, graph_messages.whatsapp_id(user), words or "", pressed, quoted)
        return {"id": made.id, "from": made.wa_id, "text": made.text, "at": made.accepted_at}

    def recipient(self, given: dict[str, Any]) -> dict[str, Any]:
        """``POST recipients``: set how messages to a user (``wa_id``) end; a field left out keeps its value."""
        name = text(given, "wa_id") or ""
        values = {
            "on_whatsapp": flag(given, "on_whatsapp"),
            "marketing": flag(given, "marketing"),
            "reaches": one_of(given, "reaches", ("sent", "delivered", "read")),
            "error": whole(given, "error", 0) if "error" in given else None,  # 0 removes the error
        }
        user = self._state.recipient(name)
        welcome = flag(given, "marketing")
        if welcome not in (None, user.marketing):
            webhooks.notify_preference(self._state, name, welcome=bool(welcome))
        for field, value in values.items():
            if value is not None:
                setattr(user, field, value or None if field == "error" else value)
        return {"success": True}

    def show_webhooks(self, given: dict[str, Any]) -> dict[str, Any]:
        """``GET webhooks``."""
        return webhooks.show(self._state)

    def set_webhooks(self, given: dict[str, Any]) -> dict[str, Any]:
        """``POST webhooks``."""
        return webhooks.change(self._state, given)

    def account(self, given: dict[str, Any]) -> dict[str, Any]:
        """``POST accounts``."""
        return controls_accounts.change(self._state, given)

    def connections(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        """``GET connections``: Maton's connections, and what each gives access to."""
        return [
            {
                "connection_id": each.id,
                "status": each.status,
                "waba_id": each.waba_id,
                "phone_number_ids": [
                    number.id for number in self._state.numbers.values() if number.waba_id == each.waba_id
                ],
            }
            for each in self._state.connections.values()
        ]

    def reset(self, given: dict[str, Any]) -> dict[str, Any]:
        """``POST reset``."""
        self._state.reset()
        return {"success": True}


def describe(state: State, message: Message) -> dict[str, Any]:
    """Return a message as the control shows it to tests."""
    return {
        "id": message.id,
        "to": message.to,
        "type": message.type,
        "payload": message.payload,
        "accepted_at": message.accepted_at,
        "wa_id": message.wa_id,
        "phone_number_id": message.number_id,
        "status": state.timeline(message)[-1][0],
        "error": message.failure,
        "endpoint": message.endpoint,
        "category": message.category,
    }


def _endpoint(action: Action) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            plain = request.method in {"GET", "HEAD", "DELETE"}
            given = dict(request.query_params) if plain else await read_body(request)
            body, status = dump(action(given)), 200
        except ControlError as error:
            body, status = dump({"message": str(error)}), error.status
        return Response(body, status, {"X-WhatsApp-Sandbox": "1"}, "application/json")

    return endpoint
