"""What all resources share: paths on the data plane, pages by cursor, and checked IDs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.bounds import LargeAnswerError
from airflow_provider_whatsapp.client.errors import PayloadError, ServerError
from airflow_provider_whatsapp.client.transport import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_whatsapp.client.config import ClientConfig
    from airflow_provider_whatsapp.client.rate_limit import Departure
    from airflow_provider_whatsapp.client.transport import Transport

APP = "whatsapp-business"
MAX_PAGES = 10_000
"""The most pages of one list; the longest list, an account's templates, has 6,000 items."""
MAX_LIST = 64 * 1024 * 1024
"""The most bytes of all pages of one list, as JSON: those 6,000 templates with 10 kB each."""
_GRAPH_ID = re.compile(r"[0-9]{1,32}", re.ASCII)


class Resource:
    """
    A part of Graph's API behind the gateway.

    :param transport: Sends the requests.
    :param config: IDs, version and hosts.
    """

    def __init__(self, transport: Transport, config: ClientConfig) -> None:
        self._transport = transport
        self._config = config
        self._base = f"{config.data_url}/{APP}/{config.api_version}/"
        self._headers = {"Maton-Connection": config.connection_id} if config.connection_id else {}

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        json: Any = None,
        open_body: Callable[[], Any] | None = None,
        headers: Mapping[str, str] | None = None,
        doubt: str | None = None,
        permit: Departure | None = None,
        on_size: Callable[[int], None] | None = None,
    ) -> dict[str, Any]:
        return self._transport.request(
            Call(
                method=method,
                url=self._base + path,
                query=query or {},
                json=json,
                open_body=open_body,
                headers={**self._headers, **(headers or {})},
                doubt=doubt,
                permit=permit,
                on_size=on_size,
            )
        )

    def _pages(self, path: str, query: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the items of a list; a page is requested when you reach it."""
        after: str | None = None
        seen: set[str | None] = set()
        count = _Size().count
        while after not in seen:
            if len(seen) >= MAX_PAGES:
                raise ServerError(
                    f"the list does not end after {MAX_PAGES:,} pages",
                    advice="Ask for fewer fields or larger pages.",
                )
            seen.add(after)
            page = self._call("GET", path, query={**query, "after": after}, on_size=count)
            if "data" not in page:  # an answer without a list is not an empty list
                raise ServerError("the gateway's answer contains no list", advice="Try again later.")
            yield from objects(page["data"])
            # The answer's own paging.next points to another host with a token in it, so only its cursor is used.
            paging = page.get("paging")
            cursors = paging.get("cursors") if isinstance(paging, dict) and paging.get("next") else None
            after = cursors.get("after") if isinstance(cursors, dict) else None
            if not isinstance(after, str) or not after:
                return


class _Size:
    """Adds up the sizes of one list's answers, and refuses more than a real list can have."""

    def __init__(self) -> None:
        self._total = 0

    def count(self, size: int) -> None:
        """Add the size of one answer, in bytes; raises LargeAnswerError if all answers together are too large."""
        self._total += size
        if self._total > MAX_LIST:
            raise LargeAnswerError(f"all pages of the list together are larger than {MAX_LIST // 2**20} MiB")


def objects(items: Any) -> list[dict[str, Any]]:
    """Return the objects of a list in an answer; an empty list if there is none."""
    if items is None or items == {}:
        return []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ServerError(
            "the gateway's answer contains something other than a list of objects", advice="Try again later."
        )
    return items


def graph_id(value: str | int, field: str) -> str:
    """Return an ID after checking that it can be put into a path."""
    text = str(value) if not isinstance(value, bool) else ""
    if _GRAPH_ID.fullmatch(text):
        return text
    problem = "is not a numeric ID" if text else "is empty"
    raise PayloadError(problem, field=field, advice="Pass the ID as Graph gave it: only digits.")
