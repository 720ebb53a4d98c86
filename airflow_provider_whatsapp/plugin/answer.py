"""Where an approval's buttons lead: on to Airflow's own page for the request, with the answer preselected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse

from airflow_provider_whatsapp.approvals.link import parse_id
from airflow_provider_whatsapp.plugin.html import HEADERS, page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


async def lead_on(request: Request) -> Response:
    """
    Answer ``whatsapp/a/<id>``; the question itself is answered by nobody but the page that it leads to.

    It asks for no user: a phone is often not logged in, and Airflow's page leads through the login and back. It says
    nothing that its caller has not said.

    :param request: Of anybody.
    """
    answer = parse_id(request.path_params["id"])
    if answer is None:
        sentence = (
            "This address does not lead to a request. Open the link in the message again, or look for the request in "
            "Airflow."
        )
        return page(request, "error.html", title="WhatsApp", status=404, sentence=sentence)
    # Relative, so that the path that Airflow is served at stays: from <base>/whatsapp/a/<id> to <base>/dags/...
    return RedirectResponse(f"../../{answer.path()}", 303, HEADERS | {"Referrer-Policy": "no-referrer"})
