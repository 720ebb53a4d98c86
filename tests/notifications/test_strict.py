"""A strict notifier, for tasks that wait for an answer: a question that nobody got is an error."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp._compat import AirflowFailException
from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier, _as_task_failure

ADA, BOB = "+15550001111", "+15550002222"
REFUSED = {"error": {"message": "no", "type": "OAuthException", "code": 131026}}


def ask(**options):
    """Notify as a human-in-the-loop task does: nothing has failed."""
    ti = SimpleNamespace(
        dag_id="orders", task_id="ask", run_id="r1", try_number=1, map_index=-1, state="running", log_url=""
    )
    notifier = WhatsAppNotifier(template_name="hello_world", gap=0, **options)
    notifier({"ti": ti, "run_id": "r1"})


@pytest.mark.parametrize(
    ("fault", "to", "raised"),
    [
        pytest.param({"kind": "status", "status": 400, "times": 0, "body": REFUSED}, ADA, True, id="refused"),
        pytest.param(
            {"kind": "status", "status": 400, "body": REFUSED}, [ADA, BOB], False, id="one is enough"
        ),
        pytest.param({"kind": "drop_after"}, ADA, False, id="its answer was lost"),
        pytest.param({"kind": "slow", "seconds": 0}, ADA, False, id="sent"),
    ],
)
@pytest.mark.parametrize("strict", [True, False], ids=["strict", "not strict"])
def test_it_raises_where_nobody_was_reached(sandbox, fault, to, raised, strict):
    sandbox.fail_next(path="/messages", **fault)
    if raised and strict:
        with pytest.raises(AirflowFailException, match="did not reach everybody") as caught:
            ask(to=to, strict=strict)
        assert ADA[1:] not in str(caught.value)
    else:
        ask(to=to, strict=strict)


def test_an_error_that_does_not_say_whether_it_is_permanent_may_be_tried_again():
    error = _as_task_failure(ValueError("no"), "The alert did not reach everybody")
    assert isinstance(error, WhatsAppError)
    assert not error.permanent


def test_what_may_work_later_may_be_tried_again(sandbox, change_connection):
    change_connection(host="http://127.0.0.1:9", extra={"max_retries": 0})
    with pytest.raises(WhatsAppError) as caught:
        ask(to=ADA, strict=True)
    assert not caught.value.permanent
