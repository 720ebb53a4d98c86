"""The refusals of Meta and of the gateway, each in its own form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox.wire import Answer, as_json

if TYPE_CHECKING:
    from airflow_provider_whatsapp.sandbox.clock import Ids

CODES: dict[int, tuple[int, str]] = {
    2: (503, "Service temporarily unavailable"),
    100: (400, "Invalid parameter"),
    80008: (400, "There have been too many calls to this WhatsApp Business account"),
    130429: (400, "Rate limit hit"),
    131000: (500, "Something went wrong"),
    131008: (400, "Required parameter is missing"),
    131009: (400, "Parameter value is not valid"),
    131021: (400, "Recipient cannot be sender"),
    131026: (400, "Message undeliverable"),
    131047: (400, "Re-engagement message"),
    131050: (400, "User has stopped marketing messages from this business"),
    131051: (400, "Unsupported message type"),
    131053: (400, "Media upload error"),
    131055: (400, "Method not allowed"),
    131056: (400, "(Business account, consumer account) pair rate limit hit"),
    131059: (400, "Invalid cursor"),
    131061: (400, "Template has a max price"),
    131062: (400, "Business-scoped user id not allowed for this message"),
    131063: (400, "Marketing templates are disabled on Cloud API"),
    132000: (400, "Number of parameters does not match the expected number of params"),
    132001: (404, "Template name does not exist in the translation"),
    132005: (400, "Translated text too long"),
    132012: (400, "Parameter format does not match format in the created template"),
    132015: (400, "Template is paused"),
    132016: (400, "Template is disabled"),
    132018: (400, "Template parameters failed validation"),
    134100: (400, "Only marketing messages are supported"),
    134102: (500, "Template cannot be used"),
}
"""HTTP status and title of each of Graph's codes."""


class GraphError(Exception):
    """A refusal in Meta's form: its code gives the status and the title, unless ``message`` replaces the title."""

    def __init__(
        self,
        code: int,
        details: str | None = None,
        *,
        subcode: int | None = None,
        message: str | None = None,
        user: tuple[str, str] | None = None,  # error_user_title and error_user_msg
        kind: str = "OAuthException",
    ) -> None:
        self.status, title = CODES.get(code, (400, "Invalid request"))
        self.code = code
        self.details = details
        self.subcode = subcode
        self.title = message or f"(#{code}) {title}"
        self.user = user
        self.kind = kind
        super().__init__(f"{self.title}: {details}" if details else self.title)

    def answer(self, ids: Ids) -> Answer:
        """Return the response for this refusal."""
        error: dict[str, Any] = {"message": self.title, "type": self.kind, "code": self.code}
        if self.details is not None:
            error["error_data"] = {"messaging_product": "whatsapp", "details": self.details}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        if self.user is not None:
            error["is_transient"] = False
            error["error_user_title"], error["error_user_msg"] = self.user
        error["fbtrace_id"] = "A" + ids.token(22)
        answer = as_json({"error": error}, self.status)
        answer.code = self.code
        return answer


def unknown_object(name: str, method: str) -> GraphError:
    """Return the error for an id that does not exist, or whose object does not support the request."""
    verb = {"GET": "get", "POST": "post", "DELETE": "delete"}.get(method, method.lower())
    text = f"Unsupported {verb} request. Object with ID '{name}' does not exist or this connection may not use it"
    return GraphError(100, subcode=33, message=text, kind="GraphMethodException")


def unknown_path(rest: str) -> GraphError:
    """Return the error for a path that Graph does not have."""
    return GraphError(2500, message=f"Unknown path components: /{rest}")


class GatewayError(Exception):
    """A refusal by Maton itself; ``body`` is a value for JSON, or None for an empty body."""

    def __init__(
        self, status: int, body: Any = None, headers: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        self.status = status
        self.body = body
        self.headers = headers or []
        super().__init__(f"gateway {status}")

    def answer(self) -> Answer:
        """Return the response for this refusal."""
        if self.body is None:
            return Answer(self.status, b"", self.headers)
        answer = as_json(self.body, self.status, self.headers)
        answer.content_type = b"application/json"
        return answer
