"""``whatsapp/a/<id>``: from an approval's button to Airflow's page for the request."""

from __future__ import annotations

from urllib.parse import urljoin

import pytest

from airflow_provider_whatsapp.approvals.link import Answer

ANSWER = Answer("orders", "manual__2026-06-01T09:00:00+00:00", "ask", 3, "Approve")


@pytest.mark.parametrize("role", [None, "viewer"], ids=["not logged in", "logged in"])
def test_it_leads_to_the_request_below_the_base_path(look, role):
    answered = look(f"a/{ANSWER.to_id()}", role, follow=False)
    assert answered.status_code == 303
    found = urljoin("http://airflow.example/airflow/whatsapp/a/x", answered.headers["location"])
    assert found == f"http://airflow.example/airflow/{ANSWER.path()}"
    assert answered.headers["referrer-policy"] == "no-referrer"
    assert answered.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("text", ["AAAA", "%2e%2e%2f", "x" * 3000])
def test_what_is_no_id_leads_nowhere(look, text):
    answered = look(f"a/{text}", "viewer", follow=False)
    assert answered.status_code in (401, 404)
    assert "location" not in answered.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_it_takes_no_answer(look, method):
    answered = look(f"a/{ANSWER.to_id()}", "admin", method, follow=False)
    assert answered.status_code in (403, 405)


def test_everything_beside_it_still_asks_for_the_user(look):
    assert look("browse", None).status_code == 401
    assert look("a", None).status_code == 401
    assert look(f"a/{ANSWER.to_id()}/more", None).status_code == 401
