"""The target of an approval's buttons: redirects to Airflow's page for the request, with the answer preselected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse

from airflow_provider_whatsapp.approvals.link import parse_id
from airflow_provider_whatsapp.plugin.html import HEADERS, page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


async def lead_on(request: Request) -> Response:
    """Answer ``whatsapp/a/<id>``; only the page to which it redirects can answer the question."""
    # No user is required: a phone is often not logged in, and Airflow's page leads through the login and back. The
    # response reveals nothing that its caller has not sent.
    answer = parse_id(request.path_params["id"])
    if answer is None:
        sentence = (
            "This address does not lead to a request. Open the link in the message again, or look for the request in "
            "Airflow."
        )
        return page(request, "error.html", title="WhatsApp", status=404, sentence=sentence)
    # Relative, so that Airflow's base path is kept: from <base>/whatsapp/a/<id> to <base>/dags/...
    return RedirectResponse(f"../../{answer.path()}", 303, HEADERS | {"Referrer-Policy": "no-referrer"})
