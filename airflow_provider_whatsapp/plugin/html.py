"""Pages: HTML from templates that escape everything, and headers that restrict their use."""

from __future__ import annotations

import secrets
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse

from airflow_provider_whatsapp.preview.render import environment, style

if TYPE_CHECKING:
    from jinja2 import Environment
    from starlette.requests import Request
    from starlette.responses import Response

_HERE = Path(__file__).parent
_POLICY = (
    "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Headers of every answer."""


@cache
def _jinja() -> Environment:
    made = environment(_HERE / "templates")
    made.globals["css"] = style() + "".join(
        (_HERE / "static" / name).read_text("utf-8") for name in ("page.css", "browse.css")
    )
    made.globals["js"] = (_HERE / "static" / "page.js").read_text("utf-8")
    made.globals["theme_js"] = (_HERE / "static" / "theme.js").read_text("utf-8")
    made.filters["moment"] = _moment
    return made


def _moment(at: Any) -> str:
    """Return a time for people, in UTC, to the second."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else ""


def page(request: Request, template: str, /, *, title: str, status: int = 200, **values: Any) -> Response:
    """Return a page from a file in ``plugin/templates`` that extends ``base.html`` and escapes the values."""
    nonce = secrets.token_urlsafe(12)
    root = request.scope.get("root_path", "")
    html = _jinja().get_template(template).render(title=title, nonce=nonce, root=root, **values)
    headers = HEADERS | {"Content-Security-Policy": _POLICY.format(nonce=nonce)}
    return HTMLResponse(html.encode("utf-8", "replace"), status, headers)
