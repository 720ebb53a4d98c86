"""Maton: the check of the key, the rate limit, and the control plane."""

from __future__ import annotations

import hmac
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox.errors import GatewayError
from airflow_provider_whatsapp.sandbox.wire import Answer, Call, MalformedBodyError, as_json, read_params

if TYPE_CHECKING:
    from airflow_provider_whatsapp.sandbox.model import Connection
    from airflow_provider_whatsapp.sandbox.state import State

APP = "whatsapp-business"
_STATUSES = frozenset({"ACTIVE", "PENDING", "FAILED"})
_METHODS = frozenset({"API_KEY", "BASIC", "OAUTH1", "OAUTH2", "MCP", "JWT"})


def admit(state: State, call: Call) -> None:
    """Check the key, then the rate, so that a request with a wrong key does not use up the account's limit."""
    scheme, _, key = call.headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"bearer" or not key.strip():
        raise GatewayError(401, {"error": {"message": "Missing API key: send it as a bearer token"}})
    if not hmac.compare_digest(key.strip(), state.settings.api_key.encode()):
        raise GatewayError(401, {"error": {"message": "Invalid API key"}})
    wait = state.limiter.wait(state.clock.now())
    if wait > 0:
        headers = [(b"retry-after", b"%d" % math.ceil(wait))]
        limit = state.settings.rate_limit
        raise GatewayError(429, {"message": f"Rate limit exceeded: {limit} requests per second"}, headers)


def choose_connection(state: State, call: Call) -> Connection:
    """Return the connection of a call: the one that it names, else the oldest active one."""
    wanted = call.header("maton-connection")
    if wanted is None:
        for connection in state.connections.values():
            if connection.status == "ACTIVE":
                return connection
        raise GatewayError(400, {"message": f"No active connection found for app {APP}"})
    found = _find(state, wanted)
    if found.status != "ACTIVE":
        raise GatewayError(400, {"message": f"Connection {found.id} is not active"})
    return found


def control(state: State, call: Call) -> Answer:
    """Answer a request under ``/connections``."""
    segments = call.path.strip("/").split("/")
    if len(segments) == 1:
        if call.method == "GET":
            return as_json({"connections": [_describe(state, found) for found in _matching(state, call)]})
        if call.method == "POST":
            return _create(state, call)
    elif len(segments) == 2:
        found = _find(state, segments[1]) if call.method in {"GET", "DELETE"} else None
        if found and call.method == "GET":
            return as_json({"connection": _describe(state, found)})
        if found:
            del state.connections[found.id]
            state.changed()
            return as_json({"message": "Connection deleted"})
    else:
        raise GatewayError(404, {"detail": "Not Found"})
    raise GatewayError(405)


def activate(state: State, token: str, waba_id: str | None = None) -> Connection | None:
    """Finish the browser step of the connection with this token, and return it; None if no connection has it."""
    for found in state.connections.values():
        if hmac.compare_digest(found.token.encode(), token.encode()):
            if found.status == "PENDING" and waba_id in state.accounts:
                found.waba_id = waba_id
            if found.status == "PENDING":
                found.status, found.updated_at = "ACTIVE", state.clock.now()
                state.changed()
            return found
    return None


def _find(state: State, connection_id: str) -> Connection:
    found = state.connections.get(connection_id)
    if found is None:
        text = f"Connection {connection_id[:64]} not found"
        raise GatewayError(404, {"message": text, "type": "Not Found", "code": 404})
    return found


def _invalid(where: list[str], text: str, kind: str) -> GatewayError:
    return GatewayError(422, {"detail": [{"loc": where, "msg": text, "type": kind}]})


def _matching(state: State, call: Call) -> list[Connection]:
    query = call.query
    if "status" in query and query["status"] not in _STATUSES:
        raise _invalid(["query", "status"], f"Input should be one of {', '.join(sorted(_STATUSES))}", "enum")
    if "method" in query and query["method"] not in _METHODS:
        raise _invalid(["query", "method"], f"Input should be one of {', '.join(sorted(_METHODS))}", "enum")
    found = [
        connection
        for connection in state.connections.values()
        if query.get("app", APP) == APP
        and query.get("status", connection.status) == connection.status
        and query.get("method", connection.method) == connection.method
    ]
    limit = query.get("limit")
    if limit is None:
        return found
    if not (limit.isascii() and limit.isdigit() and len(limit) < 10):
        raise _invalid(["query", "limit"], "Input should be a whole number of at least 0", "int_parsing")
    return found[: int(limit)]


def _create(state: State, call: Call) -> Answer:
    try:
        params = read_params(call)
    except MalformedBodyError as error:
        raise _invalid(["body"], str(error), "json_invalid") from error
    app = params.get("app")
    if app is None:
        raise _invalid(["body", "app"], "Field required", "missing")
    if app != APP:
        raise GatewayError(400, {"message": "Invalid app name"})
    if str(params.get("method", "OAUTH2")) not in _METHODS:
        raise _invalid(["body", "method"], "Input should be a known method", "enum")
    made = state.add_connection("PENDING", state.settings.waba_id)
    state.changed()
    return as_json({"connection_id": made.id})


def _describe(state: State, connection: Connection) -> dict[str, Any]:
    return {
        "connection_id": connection.id,
        "status": connection.status,
        "creation_time": _iso(connection.created_at),
        "last_updated_time": _iso(connection.updated_at),
        "url": f"{state.base_url}/connect/{connection.token}",
        "app": APP,
        "method": connection.method,
        "metadata": {},
    }


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
