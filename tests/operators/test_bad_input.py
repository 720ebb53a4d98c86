"""Bad input of the sending operators: one clear error before any request, and no retry by Airflow."""

from __future__ import annotations

import pytest

from airflow_provider_whatsapp._compat import AirflowFailException
from airflow_provider_whatsapp.operators.messages import (
    SendMediaOperator,
    SendTemplateOperator,
    SendTextOperator,
)

TO = "+15550001111"


class TaskInstance:
    """What an operator asks of Airflow when there is none."""

    dag_id, task_id, run_id, map_index, try_number, max_tries = "dag", "task", "run", -1, 1, 0

    def xcom_push(self, key, value):
        raise AssertionError("nothing was sent, so there is nothing to report")


def large(tmp_path):
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.truncate(6 * 1024 * 1024)
    return str(path)


@pytest.mark.parametrize(
    ("change", "operator", "options", "words"),
    [
        pytest.param(
            {"drop": ["password"]}, SendTextOperator, {"text": "x"}, "no Maton API key. Put it", id="no key"
        ),
        pytest.param(
            {"drop": ["phone_number_id"]},
            SendTextOperator,
            {"text": "x"},
            "phone_number_id is not set",
            id="no sender",
        ),
        pytest.param(
            {}, SendTemplateOperator, {"template_name": "Hello_World"}, "template.name", id="capitals"
        ),
        pytest.param({}, SendTextOperator, {"text": "x", "to": ""}, "to: is empty", id="empty recipient"),
        pytest.param({}, SendTextOperator, {"text": "x", "to": []}, "to: is empty", id="no recipients"),
        pytest.param(
            {}, SendTextOperator, {"text": "x", "to": [TO, "0155"]}, r"to\[1\]", id="one is malformed"
        ),
        pytest.param({}, SendTextOperator, {"text": ""}, "text.body", id="empty text"),
        pytest.param({}, SendMediaOperator, {"media": "/nowhere.pdf"}, "does not exist", id="missing file"),
        pytest.param({}, SendMediaOperator, {"media": large}, "too large for an image", id="too large"),
        pytest.param(
            {},
            SendTemplateOperator,
            {"template_name": "report", "header": "/nowhere.pdf", "check_template": False},
            "does not exist",
            id="missing header",
        ),
        pytest.param(
            {},
            SendTemplateOperator,
            {"template_name": "report", "header": large, "check_template": False},
            "too large for an image",
            id="large header",
        ),
        # Whatever the template is: so it is not looked up.
        pytest.param(
            {},
            SendTemplateOperator,
            {"template_name": "report", "header": {"type": "document", "media": "/nowhere.pdf"}},
            "does not exist",
            id="missing header of a stated kind",
        ),
        pytest.param(
            {},
            SendTemplateOperator,
            {"template_name": "report", "body": "x"},
            "template.body",
            id="body as text",
        ),
    ],
)
def test_it_is_told_before_any_request(
    sandbox, change_connection, tmp_path, change, operator, options, words
):
    change_connection(**change)
    made = {name: value(tmp_path) if callable(value) else value for name, value in options.items()}
    task = operator(task_id="send", **{"to": TO, **made})

    with pytest.raises(AirflowFailException, match=words):
        task.execute({"ti": TaskInstance()})

    assert sandbox.requests == []


def test_what_the_template_takes_is_asked_before_a_header_is_opened(sandbox, report, tmp_path):
    task = SendTemplateOperator(
        task_id="send", to=TO, template_name="report", header=str(tmp_path / "none.pdf")
    )

    with pytest.raises(AirflowFailException, match="does not exist"):
        task.execute({"ti": TaskInstance()})

    before = sandbox.requests[-1]
    assert (before["method"], before["path"].rpartition("/")[2]) == ("GET", "message_templates")
    assert sandbox.messages == []
