"""A refusal that repeats the message: what it says about somebody is hidden, what says what is wrong stays."""

from __future__ import annotations

import json
import time
from urllib.parse import quote

import pytest

from airflow_provider_whatsapp.client.answers import Answer, read
from airflow_provider_whatsapp.client.echo import Echo
from airflow_provider_whatsapp.client.errors import APIError, TemplateError

SENT = {
    "messaging_product": "whatsapp",
    "recipient_type": "individual",
    "to": "+15550001111",
    "type": "template",
    "template": {
        "name": "order_late",
        "language": {"code": "en_US"},
        "components": [
            {
                "type": "header",
                "parameters": [{"type": "image", "image": {"link": "https://x.example/a?token=abc123"}}],
            },
            {
                "type": "body",
                "parameters": [
                    {"type": "text", "text": "Jürgen Müller-Lüdenscheidt\nApartment 12"},
                    {"type": "text", "text": "Anna"},
                    {"type": "text", "text": "4711"},
                    {"type": "text", "text": "Bo"},
                ],
            },
        ],
    },
}
LONG = SENT["template"]["components"][1]["parameters"][0]["text"]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        pytest.param(f"Bad value {LONG}!", "Bad value •••!", id="whole"),
        pytest.param(f"Bad value {' '.join(LONG.split())}", "Bad value •••", id="on one line"),
        pytest.param(f"Bad value {LONG[:17]}...", "Bad value •••...", id="cut"),
        pytest.param(f"Bad value {json.dumps(LONG)}", 'Bad value "•••"', id="escaped"),
        pytest.param(f"Bad value {quote(LONG)}", "Bad value •••", id="percent"),
        pytest.param("Anna, 4711: bad", "•••, •••: bad", id="short ones"),
        pytest.param("no file at https://x.example/a?token=abc123", "no file at •••", id="link"),
        pytest.param(
            "(#132001) Template name (order_late) does not exist in en_US, parameter 1 of body, type text",
            "(#132001) Template name (order_late) does not exist in en_US, parameter 1 of body, type text",
            id="what is wrong",
        ),
        pytest.param("Annapurna, 47110", "Annapurna, 47110", id="parts of other words"),
        pytest.param(json.dumps(SENT), None, id="the whole message"),
    ],
)
def test_the_texts_of_a_message_are_hidden(said, shown):
    found = Echo(SENT).text(said)

    assert shown is None or found == shown
    for secret in ("Jürgen", "Lüdenscheidt", "Apartment", "Anna,", '"4711"', "abc123"):
        assert secret not in found


def test_a_refusal_is_read_without_them_and_a_success_as_it_is():
    refused = {"error": {"code": 100, "message": f"no {LONG}", "error_data": {"details": "Anna"}}}
    answer = Answer(400, {"X-Request-Id": "Anna"}, json.dumps(refused).encode(), None, Echo(SENT))
    with pytest.raises(APIError) as caught:
        read(answer, doubt="Look.")
    assert "Jürgen" not in str(caught.value)
    assert "Anna" not in str(caught.value.to_dict())

    accepted = {"messages": [{"id": "wamid.Anna"}], "said": "Anna"}
    assert read(Answer(200, {}, json.dumps(accepted).encode(), None, Echo(SENT)), doubt="Look.") == accepted


@pytest.mark.parametrize("word", ["error", "code", "message", "error_data", "details", "error_subcode"])
def test_a_message_that_says_a_word_of_graph_s_leaves_the_refusal_readable(word):
    """The stock template of alerts has a parameter of the name ``error``."""
    named = {"type": "text", "parameter_name": word, "text": "Anna"}
    said = {"type": "text", "text": word}
    parts = [{"type": "body", "parameters": [named, said]}]
    sent = {**SENT, "template": {**SENT["template"], "components": parts}}
    refused = {"code": 132015, "message": "paused for Anna", "error_data": {"details": "no Anna"}}
    answer = Answer(400, {}, json.dumps({"error": refused}).encode(), None, Echo(sent))

    with pytest.raises(TemplateError) as caught:
        read(answer, doubt="Look.")

    assert (caught.value.code, caught.value.details) == (132015, "no •••")
    assert "Anna" not in str(caught.value)


@pytest.mark.parametrize("payload", [None, [], {"name": "order_late", "components": []}, "Anna"])
def test_what_is_no_message_hides_nothing(payload):
    assert Echo(payload).text("Anna order_late components") == "Anna order_late components"


def test_long_messages_are_found_in_long_answers_in_no_time():
    sent = {"messaging_product": "whatsapp", "text": {"body": "ab" * 2048}}
    started = time.process_time()
    assert "ababab" not in Echo(sent).text("ab" * 50_000)
    assert time.process_time() - started < 30
