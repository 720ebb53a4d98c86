"""Health is judged by the entities, and never in the way of what it precedes."""

from __future__ import annotations

import pytest

from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.errors import (
    AccountError,
    APIError,
    NotFoundError,
    PermissionDeniedError,
    ServerError,
    WhatsAppError,
)
from airflow_provider_whatsapp.client.resources.health import (
    MAX_ENTITIES,
    MAX_REASON,
    MAX_REASONS,
    Entity,
    Health,
    fetch_number_health,
    fetch_template_health,
    is_refusal,
    number_health,
)
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

SIP = {"error_code": 138024, "error_description": "SIP is not set up"}
PAY = {"error_code": 141006, "error_description": "Payment failed.", "possible_solution": "Pay by card."}


def entity(state, kind="WABA", **more):
    return {"entity_type": kind, "id": "102290129340398", "can_send_message": state, **more}


def answer(*entities, overall="AVAILABLE"):
    return {"can_send_message": overall, "entities": list(entities)}


@pytest.mark.parametrize(
    ("given", "state"),
    [
        (answer(entity("AVAILABLE")), "AVAILABLE"),
        (answer(entity("AVAILABLE"), entity("LIMITED", "BUSINESS"), overall="LIMITED"), "LIMITED"),
        (answer(entity("BLOCKED"), entity("LIMITED", "BUSINESS"), overall="BLOCKED"), "BLOCKED"),
        (answer(entity("AVAILABLE", errors=[SIP]), overall="BLOCKED"), "AVAILABLE"),
        (answer(entity("AVAILABLE", can_receive_call_sip="BLOCKED"), overall="BLOCKED"), "AVAILABLE"),
        (answer(entity("BLOCKED", "A_NEW_KIND"), overall="AVAILABLE"), "BLOCKED"),
        (answer(entity("available")), "AVAILABLE"),
        (answer(entity("SOMETHING_NEW"), overall="BLOCKED"), "UNKNOWN"),
        (answer(overall="BLOCKED"), "UNKNOWN"),
        (None, "UNKNOWN"),
        ("BLOCKED", "UNKNOWN"),
        ({"entities": {"0": entity("BLOCKED")}}, "UNKNOWN"),
        ({"entities": [None, "BLOCKED", 3, entity(["BLOCKED"])]}, "UNKNOWN"),
    ],
    ids=[
        *("available", "limited", "blocked", "SIP errors", "SIP state", "new kind", "lower case", "new word"),
        *("no entities", "nothing", "text", "no list", "odd items"),
    ],
)
def test_the_entities_decide(given, state):
    found = Health.parse(given)

    assert found.state == state
    if state == "BLOCKED":
        with pytest.raises(AccountError):
            found.check()
    else:
        found.check()


def test_the_refusal_has_meta_s_reason_and_solution():
    found = Health.parse(answer(entity("BLOCKED", errors=[SIP, PAY]), entity("AVAILABLE", "APP")))

    with pytest.raises(AccountError) as caught:
        found.check()

    assert str(caught.value).startswith(
        "WhatsApp blocks sending: WABA 102290129340398 is BLOCKED (141006: Payment failed. Pay by card) "
        "[code 141006] Resolve it in WhatsApp Manager; WhatsAppHealthSensor waits until that is done."
    )
    assert caught.value.permanent


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (answer(entity("AVAILABLE"), entity("AVAILABLE", "APP")), "WABA, APP AVAILABLE"),
        (answer(entity("AVAILABLE"), overall="BLOCKED"), "WABA AVAILABLE (Meta's overall word is BLOCKED)"),
        (
            answer(entity("LIMITED", additional_info=["Not verified"]), overall="LIMITED"),
            "WABA 102290129340398 is LIMITED (Not verified)",
        ),
        (None, "not known: WhatsApp's answer contains no health_status"),
    ],
    ids=["available", "overall", "limited", "unknown"],
)
def test_it_is_said_in_a_line(given, words):
    assert Health.parse(given).describe() == words


def test_without_words_the_codes_stay():
    found = Health.parse(answer(entity("BLOCKED", errors=[PAY]), overall="BLOCKED"))

    assert found.describe(words=False) == "WABA 102290129340398 is BLOCKED (141006)"
    assert Health(unread="a secret of somebody").describe(words=False) == "not known"


def test_foreign_words_are_cleaned_and_bounded():
    hostile = "\x1b[31mRed\x1b[0m\n" + "+1 555 000 1111 " + "x" * 5_000
    errors = [{"error_code": 141006, "error_description": hostile, "possible_solution": hostile}] * 50
    many = [entity("BLOCKED", hostile, errors=errors, additional_info=[hostile] * 50, id=hostile)] * 200

    found = Health.parse({"can_send_message": "BLOCKED", "entities": many})

    assert len(found.entities) == MAX_ENTITIES
    one = found.entities[0]
    assert (one.id, len(one.reasons)) == ("", 2 * MAX_REASONS)
    assert max(map(len, one.reasons)) <= 2 * MAX_REASON + 20
    text = found.describe() + str(found.to_dict())
    assert not {"\x1b", "\n"} & set(text)
    assert "5550001111" not in text.replace(" ", "")


def test_a_long_list_hides_no_entity_that_blocks():
    found = Health.parse(
        answer(*[entity("AVAILABLE", "APP")] * MAX_ENTITIES, entity("BLOCKED", errors=[PAY]))
    )

    assert (found.state, len(found.entities)) == ("BLOCKED", MAX_ENTITIES)


def test_two_nodes_together_say_what_is_worse():
    number = Health.parse(answer(entity("AVAILABLE"), entity("AVAILABLE", "PHONE_NUMBER")))
    template = Health.parse(
        answer(entity("BLOCKED"), entity("LIMITED", "MESSAGE_TEMPLATE"), overall="BLOCKED")
    )

    for found in (number.joined(template), template.joined(number)):
        assert {each.kind: each.state for each in found.entities} == {
            "WABA": "BLOCKED",
            "PHONE_NUMBER": "AVAILABLE",
            "MESSAGE_TEMPLATE": "LIMITED",
        }
        assert (found.state, found.overall) == ("BLOCKED", "BLOCKED")
    assert number.joined(None) is number
    partly = number.joined(Health(unread="it was refused"))
    assert partly.describe() == "WABA, PHONE_NUMBER AVAILABLE; not known: it was refused"


def test_it_is_given_on_as_primitives():
    found = Health((Entity("WABA", "1", "BLOCKED", (141006,), ("why",)),), "BLOCKED")

    assert found.to_dict() == {
        "state": "BLOCKED",
        "overall": "BLOCKED",
        "entities": [{"entity_type": "WABA", "id": "1", "can_send_message": "BLOCKED", "reasons": ["why"]}],
    }


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (PermissionDeniedError("no", code=200), True),
        (PermissionDeniedError("no", code=10), True),
        (PermissionDeniedError("the gateway's own", http_status=403), False),
        (NotFoundError("no such number", code=100, subcode=33), False),
        (ServerError("slow"), False),
        (APIError("something", code=4), False),
    ],
    ids=["code 200", "code 10", "gateway", "id", "server", "other"],
)
def test_what_is_a_refusal_of_the_field(error, refused):
    assert is_refusal(error) is refused


@pytest.fixture
def client(sandbox):
    config = ClientConfig(
        api_key=sandbox.connection["password"],
        host=sandbox.url,
        rate_limit=0,
        timeout=(5.0, 3_600.0),
        phone_number_id=sandbox.extra["phone_number_id"],
        waba_id=sandbox.extra["waba_id"],
    )
    with WhatsAppClient(config) as client:
        yield client


def test_each_node_is_asked_by_one_request(client, sandbox):
    template = client.templates.find("hello_world", "en_US")["id"]
    before = len(sandbox.requests)

    assert [each.kind for each in client.health.number().entities] == [
        "PHONE_NUMBER",
        "WABA",
        "BUSINESS",
        "APP",
    ]
    assert [each.kind for each in client.health.account().entities] == ["WABA", "BUSINESS", "APP"]
    assert client.health.template(template).entities[0].kind == "MESSAGE_TEMPLATE"
    assert len(sandbox.requests) == before + 3


def test_a_template_is_found_by_name_and_language(client, sandbox):
    sandbox.control(
        "POST",
        "health_status",
        entity_type="MESSAGE_TEMPLATE",
        name="hello_world",
        can_send_message="LIMITED",
    )

    found = fetch_template_health(client, "hello_world", "en_US")

    assert [each.kind for each in found.of("LIMITED")] == ["MESSAGE_TEMPLATE"]
    with pytest.raises(NotFoundError, match=r"no template hello_world \(de\)"):
        fetch_template_health(client, "hello_world", "de")


def test_a_field_that_may_not_be_read_is_unknown(client, sandbox):
    sandbox.control("POST", "health_status", refused=True)

    for found in (fetch_number_health(client), fetch_template_health(client, "hello_world", "en_US")):
        assert found.state == "UNKNOWN"
        assert "nonexisting field" in found.unread


def test_a_number_that_is_not_there_is_no_refused_field(sandbox):
    config = ClientConfig(api_key=sandbox.connection["password"], host=sandbox.url, phone_number_id="1")
    with WhatsAppClient(config) as client, pytest.raises(NotFoundError):
        fetch_number_health(client)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "slow", "seconds": 3_600},
        {"kind": "status", "status": 500},
        {"kind": "drop_after"},
        {"kind": "half"},
    ],
    ids=lambda fault: fault["kind"],
)
def test_on_the_way_nothing_of_it_stops_anything(client, sandbox, fault):
    sandbox.fail_next(**fault, times=0, method="GET")

    # The client itself would wait for an hour.
    found = number_health(client, seconds=3.0)

    sandbox.clear_faults()
    assert (found.state, bool(found.unread)) == ("UNKNOWN", True)
    assert len(sandbox.requests_to(sandbox.extra["phone_number_id"])) == 1


def test_a_brief_client_is_of_the_same_account(client):
    with client.within(5) as brief:
        assert (brief.config.phone_number_id, brief.config.host) == (
            client.config.phone_number_id,
            client.config.host,
        )
        assert brief.config.max_retries == 0
    with client.within(-1) as brief, pytest.raises(WhatsAppError, match="no time was left"):
        brief.health.number()
