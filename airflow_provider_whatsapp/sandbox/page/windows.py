"""The part of a long list that one view shows: the newest entries, or those before an entry."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox.page.bubbles import bubble

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_whatsapp.sandbox.model import Conversation, Message, Reply, Request
    from airflow_provider_whatsapp.sandbox.state import State
    from airflow_provider_whatsapp.sandbox.webhooks.hooks import Delivery

CHATS, MESSAGES, REQUESTS = 60, 60, 60
"""Entries that a view shows at first; it loads older ones when people scroll."""

KINDS = ("messages", "media", "templates", "numbers", "webhooks", "connections", "other")
"""Kinds of requests, to filter by."""
OUTCOMES = ("accepted", "refused", "failed")
"""Outcomes of requests, to filter by: 2xx, 4xx, and 5xx or no answer."""

_EDGES = {
    "messages": "messages",
    "marketing_messages": "messages",
    "media": "media",
    "uploads": "media",
    "message_templates": "templates",
    "unpause": "templates",
    "message_template_library": "templates",
    "phone_numbers": "numbers",
    "subscribed_apps": "webhooks",
    "whatsapp_business_profile": "numbers",
}

_CUT = {
    "drop_before": "not done, and the connection closed without an answer",
    "drop_after": "done, but the connection closed before the answer: the sender cannot know",
    "half": "done, but the connection closed in the middle of the answer: the sender cannot know",
}
"""The outcome of a request whose answer a fault cut off, by the fault's kind."""


def key_of(conversation: Conversation) -> str:
    """Return the key of a conversation in the page's addresses."""
    return f"{conversation.wa_id}~{conversation.number_id}"


def find_chats(state: State, text: str) -> list[Conversation]:
    """Return the conversations with users whose number contains a text, the latest first."""
    wanted = "".join(each for each in text if each.isalnum() or each == ".").lower()
    return [
        each
        for each in reversed(state.conversations.values())
        if each.items and (not wanted or wanted in each.wa_id.lower())
    ]


def chats(state: State, found: list[Conversation], before: str) -> tuple[list[dict[str, Any]], str]:
    """Return one part of a list of conversations, and the ``before`` of the next part ("" at the end)."""
    start = (
        next((place + 1 for place, each in enumerate(found) if key_of(each) == before), 0) if before else 0
    )
    shown = found[start : start + CHATS]
    more = key_of(shown[-1]) if len(found) > start + CHATS else ""
    return [_chat(state, each) for each in shown], more


def _chat(state: State, conversation: Conversation) -> dict[str, Any]:
    return {
        "wa_id": conversation.wa_id,
        "number_id": conversation.number_id,
        "last": bubble(state, conversation.items[-1]),
        "hue": sum(map(ord, conversation.wa_id)) * 47 % 360,
    }


def thread(conversation: Conversation, before: str) -> tuple[list[Message | Reply], str]:
    """Return one part of a conversation, the oldest first, and the ``before`` of the older part ("" at the end)."""
    newest_first: Iterator[Message | Reply] = reversed(conversation.items)
    if before:
        for each in newest_first:
            if each.id == before:
                break
    shown = list(islice(newest_first, MESSAGES))
    more = shown[-1].id if shown and next(newest_first, None) is not None else ""
    return shown[::-1], more


@dataclass(frozen=True, slots=True)
class Row:
    """One request in the log."""

    number: int  # its place among all requests that ever arrived, from 1
    it: Request
    kind: str  # one of KINDS
    words: str  # the request in words, such as the type of its message
    short: str  # the part of its path that distinguishes it from others
    outcome: str  # one of OUTCOMES

    @property
    def cut(self) -> str:
        """Its outcome in words if a fault cut off its answer; else empty."""
        return _CUT.get(self.it.fault or "", "")

    @property
    def sent(self) -> str:
        """Its body, readable."""
        return readable(self.it.sent)

    @property
    def answered(self) -> str:
        """Its answer, readable."""
        return readable(self.it.answered)


def requests(state: State, *, kind: str, outcome: str, before: int | None) -> tuple[list[Row], int | None]:
    """Return one part of the log, the latest first, and the ``before`` of the older part (None at the end)."""
    matching = (
        row
        for row in _rows(state.requests, state.logged, before)
        if kind in ("", row.kind) and outcome in ("", row.outcome)
    )
    shown = list(islice(matching, REQUESTS))
    more = shown[-1].number if shown and next(matching, None) is not None else None
    return shown, more


def deliveries(state: State, before: int | None) -> tuple[list[Delivery], int | None]:
    """Return one part of the deliveries, the latest first, and the ``before`` of the older part (None at the end)."""
    found = [each for each in reversed(state.webhooks.log) if before is None or each.number < before]
    return found[:REQUESTS], found[REQUESTS - 1].number if len(found) > REQUESTS else None


def readable(body: bytes) -> str:
    """Return a body for people: JSON indented, another text as it is, anything else as its size."""
    if not body:
        return ""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = body[:2_000].decode("utf-8", "replace")
        return text if text.isprintable() or "\n" in text else f"{len(body)} bytes"


def _rows(entries: Iterable[Request], last: int, before: int | None) -> Iterator[Row]:
    newest_first = reversed(entries)  # type: ignore[call-overload]  # a deque
    skipped = 0 if before is None else max(0, last - before + 1)
    for number, each in zip(range(last - skipped, 0, -1), islice(newest_first, skipped, None), strict=False):
        yield row_of(number, each)


def row_of(number: int, request: Request) -> Row:
    """Return a request as a row of the log."""
    parts = request.path.strip("/").split("/")
    rest = parts[2:] if len(parts) > 1 and parts[1][:1] == "v" and parts[1][1:2].isdigit() else parts[1:]
    kind = "connections" if parts[0] == "connections" else _EDGES.get(rest[-1] if rest else "", "other")
    if kind == "other" and len(rest) == 1:
        kind = "media" if rest[0].startswith("upload:") else "numbers" if request.method == "GET" else "other"
    words = request.about or f"{_VERBS.get(request.method, request.method)} {kind}"
    short = "/".join(rest[1:] if len(rest) > 1 else rest) or request.path
    return Row(number, request, kind, words, short, _outcome(request.status))


_VERBS = {"GET": "read", "POST": "change", "DELETE": "delete", "PUT": "change"}


def _outcome(status: int | None) -> str:
    if status is None or status >= 500:
        return "failed"
    return "refused" if status >= 400 else "accepted"
