"""Every resource against the sandbox, over a real socket."""

from __future__ import annotations

import io

import pytest
import requests

from airflow_provider_whatsapp.client.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionMissingError,
    NotFoundError,
    PayloadError,
    TemplateError,
)
from airflow_provider_whatsapp.client.messages import Document, RawMessage, Template, Text

TO = "+1 (555) 000-1111"
PDF = b"%PDF-1.7\n"


def test_a_text(client, sandbox):
    sent = client.messages.send(TO, Text("Hi"), callback_data="run-1")

    (message,) = sandbox.messages
    assert (sent.message_id, sent.to, sent.wa_id) == (message["id"], "15550001111", "15550001111")
    assert sent.message_id.startswith("wamid.")
    assert sent.message_status is None
    assert (message["to"], message["type"]) == ("15550001111", "text")
    assert message["payload"]["to"] == "+15550001111"
    assert message["payload"]["recipient_type"] == "individual"
    assert message["payload"]["biz_opaque_callback_data"] == "run-1"


def test_digits_alone_where_that_is_asked_for(sandbox, make_client):
    client = make_client(
        api_key=sandbox.connection["password"], host=sandbox.url, plus_prefix=False, **sandbox.extra
    )
    client.messages.send(TO, Text("Hi"))

    assert sandbox.messages[0]["payload"]["to"] == "15550001111"


def test_a_reply(client, sandbox):
    first = client.messages.send(TO, Text("One"))
    client.messages.send(TO, Text("Two"), reply_to=first.message_id)

    assert sandbox.messages[1]["payload"]["context"] == {"message_id": first.message_id}


def test_a_template_is_accepted(client, sandbox):
    assert client.messages.send(TO, Template("hello_world")).message_status == "accepted"


@pytest.mark.parametrize(
    ("template", "code"),
    [
        pytest.param(Template("nobody_made_it"), 132001, id="missing"),
        pytest.param(Template("hello_world", "en"), 132001, id="other language"),
        pytest.param(Template("hello_world", body=["x"]), 132000, id="parameter too many"),
    ],
)
def test_a_template_that_does_not_fit(client, sandbox, template, code):
    with pytest.raises(TemplateError) as caught:
        client.messages.send(TO, template)

    assert caught.value.code == code
    assert sandbox.messages == []


@pytest.mark.parametrize(
    ("call", "words"),
    [
        pytest.param(
            lambda client: client.messages.send("", Text("x")), "to: is empty", id="empty recipient"
        ),
        pytest.param(
            lambda client: client.messages.send("0155512345", Text("x")), "no country code", id="national"
        ),
        pytest.param(
            lambda client: client.messages.send(TO, Text("x"), callback_data="x" * 513),
            "513",
            id="callback data",
        ),
        pytest.param(lambda client: client.messages.mark_as_read(""), "message_id", id="nothing read"),
        pytest.param(lambda client: client.templates.delete(name="Big"), "template.name", id="capitals"),
        pytest.param(lambda client: client.templates.edit("1"), "nothing to change", id="no change"),
        pytest.param(lambda client: client.media.get("../1"), "media_id", id="path in an id"),
        pytest.param(
            lambda client: client.business_profile.update(about=""), "profile.about", id="empty about"
        ),
        pytest.param(lambda client: client.business_profile.update(nose=1), "nose", id="unknown field"),
        pytest.param(
            lambda client: client.connections.get("a/b"), "connection_id", id="path in a connection id"
        ),
        pytest.param(lambda client: client.media.upload("/nowhere.pdf"), "does not exist", id="missing file"),
        pytest.param(
            lambda client: client.media.upload_sample(b"text", filename="a.txt"),
            "Convert it to one of",
            id="text as sample",
        ),
        pytest.param(
            lambda client: client.templates.create(
                name="x", language="en_US", category="NEWS", components=[]
            ),
            "category",
            id="category",
        ),
    ],
)
def test_bad_input_is_refused_before_any_request(client, sandbox, call, words):
    with pytest.raises(PayloadError, match=words):
        call(client)

    assert sandbox.requests == []


@pytest.mark.parametrize("missing", ["phone_number_id", "waba_id"])
def test_what_is_not_configured_is_told_before_any_request(sandbox, make_client, missing):
    extra = {name: value for name, value in sandbox.extra.items() if name != missing}
    client = make_client(api_key=sandbox.connection["password"], host=sandbox.url, **extra)
    calls = {
        "phone_number_id": lambda: client.messages.send(TO, Text("x")),
        "waba_id": lambda: list(client.templates.list()),
    }

    with pytest.raises(ConfigurationError, match=f"{missing} is not set"):
        calls[missing]()

    assert sandbox.requests == []


def test_media(client, sandbox):
    media_id = client.media.upload(io.BytesIO(PDF), filename="report.pdf")
    metadata = client.media.get(media_id)

    assert (metadata["mime_type"], int(metadata["file_size"])) == ("application/pdf", len(PDF))
    client.messages.send(TO, Document(id=media_id, filename="report.pdf"))
    assert sandbox.messages[0]["payload"]["document"] == {"id": media_id, "filename": "report.pdf"}
    client.media.delete(media_id)
    with pytest.raises(NotFoundError):
        client.media.get(media_id)


def test_a_template_s_life(client, sandbox):
    handle = client.media.upload_sample(PDF, filename="sample.pdf")
    components = [
        {"type": "HEADER", "format": "DOCUMENT", "example": {"header_handle": [handle]}},
        {"type": "BODY", "text": "Report of {{1}}.", "example": {"body_text": [["May"]]}},
    ]
    made = client.templates.create(name="report", language="en_US", category="UTILITY", components=components)

    assert made["status"] == "PENDING"
    assert client.templates.find("report", "en_US")["id"] == made["id"]
    assert client.templates.find("report", "pt_BR") is None
    sandbox.control("POST", "clock", advance=3600)
    assert client.templates.get(made["id"])["status"] == "APPROVED"
    client.templates.delete(name="report", template_id=made["id"])
    assert client.templates.find("report", "en_US") is None


def test_a_lost_answer_of_a_creation_is_made_good_by_looking(client, sandbox):
    sandbox.fail_next("drop_after", times=1, method="POST", path="message_templates")
    components = [{"type": "BODY", "text": "No variables here."}]
    made = client.templates.create(name="lost", language="en_US", category="UTILITY", components=components)

    assert made["id"] == client.templates.find("lost", "en_US")["id"]


def test_lists_read_pages_when_they_are_reached(client, sandbox):
    for number in range(5):
        client.templates.create(
            name=f"t{number}",
            language="en_US",
            category="UTILITY",
            components=[{"type": "BODY", "text": "No variables here."}],
        )
    before = len(sandbox.requests_to("message_templates"))
    templates = client.templates.list(page_size=2)
    first = [next(templates), next(templates)]

    assert len(sandbox.requests_to("message_templates")) == before + 1
    rest = list(templates)
    assert len({template["name"] for template in first + rest}) == 6
    assert len(sandbox.requests_to("message_templates")) == before + 3


def test_number_and_profile(client, sandbox):
    assert client.phone_numbers.get()["id"] == sandbox.extra["phone_number_id"]
    assert [number["id"] for number in client.phone_numbers.list()] == [sandbox.extra["phone_number_id"]]
    client.business_profile.update(about="Nightly reports", websites=["https://example.com"])
    assert client.business_profile.get()["about"] == "Nightly reports"


def test_what_became_of_a_message(client, sandbox):
    sent = client.messages.send(TO, Template("hello_world"))

    assert client.history.status(sent.message_id)["status"] in ("accepted", "sent")
    sandbox.control("POST", "clock", advance=3600)
    assert client.history.status(sent.message_id)["status"] in ("delivered", "read")
    with pytest.raises(NotFoundError):
        client.history.status("wamid.nobody")


def test_maton_connections(client, sandbox):
    (active,) = client.connections.list(status="ACTIVE")
    made = client.connections.create()

    assert made["status"] == "PENDING"
    assert {row["connection_id"] for row in client.connections.list()} == {
        active["connection_id"],
        made["connection_id"],
    }
    with pytest.raises(ConnectionMissingError, match="still PENDING"):
        client.connections.wait_until_active(made["connection_id"], timeout=0)
    client.connections.delete(made["connection_id"])
    with pytest.raises((NotFoundError, ConnectionMissingError)):
        client.connections.get(made["connection_id"])


def test_the_maton_connection_goes_with_data_requests_alone(sandbox, make_client):
    (active,) = make_client(
        api_key=sandbox.connection["password"], host=sandbox.url, **sandbox.extra
    ).connections.list()
    fields = {"api_key": sandbox.connection["password"], "host": sandbox.url, **sandbox.extra}

    right = make_client(connection_id=active["connection_id"], **fields)
    right.messages.send(TO, Text("x"))
    wrong = make_client(connection_id="00000000-0000-0000-0000-000000000000", **fields)
    with pytest.raises(ConnectionMissingError):
        wrong.messages.send(TO, Text("x"))
    assert wrong.connections.list()
    assert len(sandbox.messages) == 1


def test_a_wrong_key_is_told_from_a_dead_token(sandbox, make_client):
    client = make_client(api_key="wrong", host=sandbox.url, **sandbox.extra)

    with pytest.raises(AuthenticationError, match="Maton did not accept the API key"):
        client.messages.send(TO, Text("x"))


def test_what_meta_adds_later_can_be_sent_raw(client, sandbox):
    from airflow_provider_whatsapp.client.errors import InvalidRequestError

    with pytest.raises(InvalidRequestError):
        client.messages.send(TO, RawMessage("hologram", {"shape": "cat"}))


def test_a_business_scoped_user_id(client, sandbox):
    sent = client.messages.send("US.13491208655302741918", Text("Hi"))

    assert (sent.to, sent.wa_id) == ("US.13491208655302741918", None)
    assert sandbox.messages[0]["payload"]["recipient"] == "US.13491208655302741918"


def test_read_receipt_and_typing(client, sandbox):
    received = sandbox.control("POST", "replies", **{"from": "15550001111", "text": "Hello"})
    client.messages.mark_as_read(received["id"], typing=True)

    assert [request["status"] for request in sandbox.requests_to("/messages")] == [200]


@pytest.mark.parametrize(
    ("filters", "query"),
    [
        ({"name": "hello_world"}, "name=hello_world"),
        ({"name_or_content": "hello"}, "name_or_content=hello"),
        ({"content": "hello"}, "content=hello"),
        ({"status": "APPROVED"}, "status=APPROVED"),
        ({"status": ["APPROVED", "PENDING"]}, "status=%5B%22APPROVED%22%2C%22PENDING%22%5D"),
        ({"category": "UTILITY"}, "category=UTILITY"),
        ({"language": ["en_US"]}, "language=%5B%22en_US%22%5D"),
        ({"quality_score": "GREEN"}, "quality_score=GREEN"),
        ({"source": "MANUAL"}, "source=MANUAL"),
        ({"since": 1, "until": 2}, "since=1&until=2"),
    ],
)
def test_every_filter_of_the_list_goes_out(client, sandbox, filters, query):
    list(client.templates.list(**filters))

    assert query in sandbox.requests_to("message_templates")[0]["query"]


def test_filters_that_meta_may_not_honour_are_applied_here_as_well(client):
    client.templates.create(
        name="hello_world_2",
        language="en_US",
        category="UTILITY",
        components=[{"type": "BODY", "text": "No variables here."}],
    )

    assert [row["name"] for row in client.templates.list(name="hello_world")] == ["hello_world"]
    assert [row["name"] for row in client.templates.list(status="PENDING")] == ["hello_world_2"]


def test_a_template_is_edited_and_all_its_languages_are_deleted(client, sandbox):
    components = [{"type": "BODY", "text": "No variables here."}]
    for language in ("en_US", "pt_BR"):
        client.templates.create(
            name="bilingual", language=language, category="UTILITY", components=components
        )
    sandbox.control("POST", "clock", advance=3600)
    found = client.templates.find("bilingual", "en_US")
    client.templates.edit(found["id"], components=[{"type": "BODY", "text": "Other words."}])

    assert client.templates.get(found["id"])["components"][0]["text"] == "Other words."
    client.templates.delete(name="bilingual")
    assert list(client.templates.list(name="bilingual", status=["APPROVED", "PENDING"])) == []


def test_a_connection_becomes_active_when_somebody_logs_in(client, sandbox):
    made = client.connections.create()
    requests.get(made["url"], timeout=10).raise_for_status()
    waits = []

    assert (
        client.connections.wait_until_active(made["connection_id"], sleep=waits.append)["status"] == "ACTIVE"
    )
    assert waits == []
