"""Reads a page's form, up to a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.requests import Request

MOST_BODY = 4_096
"""The most bytes of a form that are read."""
MOST_FIELDS = 10


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a URL-encoded form, the last value of each."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BODY:
            raise HTTPException(413, "This form is too long. Nothing was changed.")
    try:
        fields = parse_qs(body.decode(), max_num_fields=MOST_FIELDS)
    except ValueError:
        raise HTTPException(400, "This form cannot be read. Nothing was changed.") from None
    return {name: values[-1] for name, values in fields.items()}
