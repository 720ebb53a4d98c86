"""Parameters as Graph reads them, whatever form they come in, and what it does not need."""

from __future__ import annotations

import json

import pytest

NUMBER = "+15550001111"
BUTTON = {
    "type": "button",
    "body": {"text": "Go?"},
    "action": {"buttons": [{"type": "reply", "reply": {"id": "y", "title": "Yes"}}]},
}
TEMPLATE = {"name": "hello_world", "language": {"code": "en_US"}}
BODY = {"type": "BODY", "text": "Order {{1}} is on its way.", "example": {"body_text": [["A-1"]]}}


def as_text(value):
    """A value with every object and list in it as JSON text, innermost first."""
    if isinstance(value, dict):
        return json.dumps({name: as_text(each) for name, each in value.items()})
    if isinstance(value, list):
        return json.dumps([as_text(each) for each in value])
    return value


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("text", {"body": '{"not": "an object"}', "preview_url": False}),
        ("interactive", BUTTON),
        ("template", TEMPLATE),
        ("location", {"latitude": 1, "longitude": 2}),
        ("contacts", [{"name": {"formatted_name": "Ann"}, "phones": [{"phone": "+15550001111"}]}]),
    ],
)
@pytest.mark.parametrize("way", ["form", "json", "query"])
def test_an_object_may_be_json_text(sandbox, kind, content, way):
    whole = {"messaging_product": "whatsapp", "to": NUMBER, "type": kind, kind: as_text(content)}
    given = {"data": whole} if way == "form" else {"json": whole} if way == "json" else {"params": whole}
    answer = sandbox.call("POST", f"{sandbox.number}/messages", **given)
    assert answer.status_code == 200, answer.text
    assert sandbox.messages[0]["payload"][kind] == content


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ({"type": "text", "text": {"body": "a", "preview_url": None}}, {"body": "a"}),
        ({"type": "text", "text": {"body": "a"}, "context": None, "image": None}, {"body": "a"}),
        (
            {"type": "interactive", "interactive": {**BUTTON, "header": None, "footer": None}},
            BUTTON,
        ),
        ({"type": "template", "template": {**TEMPLATE, "components": None}}, TEMPLATE),
    ],
)
def test_null_is_absent(sandbox, message, kept):
    answer = sandbox.send(**message)
    assert answer.status_code == 200, answer.text
    assert sandbox.messages[0]["payload"][message["type"]] == kept


def test_null_does_not_stand_for_what_is_required(sandbox, tools):
    assert tools.error(sandbox.send(type="text", text={"body": None}))["code"] == 100
    assert tools.error(sandbox.send(type="text", text=None))["code"] == 100


@pytest.mark.parametrize("field", ["messaging_product", "to", "text", "body"])
def test_a_missing_parameter_is_code_100_and_named(sandbox, tools, field):
    message = {"messaging_product": "whatsapp", "to": NUMBER, "type": "text", "text": {"body": "a"}}
    del (message["text"] if field == "body" else message)[field]
    found = tools.error(sandbox.call("POST", f"{sandbox.number}/messages", json=message))
    assert found["code"] == 100
    assert field in found["message"]


def test_the_query_counts_and_the_body_wins(sandbox, tools):
    files = {"file": ("a.png", tools.png, "image/png")}
    path = f"{sandbox.number}/media"
    query = {"messaging_product": "whatsapp", "type": "image/png", "access_token": "x"}
    assert sandbox.call("POST", path, params=query, files=files).status_code == 200
    assert tools.error(sandbox.call("POST", path, files=files))["code"] == 100
    body = {"to": NUMBER, "type": "text", "text": {"body": "from the body"}}
    query = {"messaging_product": "whatsapp", "text": '{"body": "from the query"}'}
    assert sandbox.call("POST", f"{sandbox.number}/messages", params=query, json=body).status_code == 200
    assert sandbox.messages[0]["payload"]["text"] == {"body": "from the body"}


@pytest.mark.parametrize("way", ["json", "form", "query"])
def test_a_template_in_every_form(sandbox, way):
    whole = {"name": "late", "language": "en_US", "category": "UTILITY", "message_send_ttl_seconds": 60}
    whole["components"] = json.dumps([{**BODY, "example": json.dumps(BODY["example"])}])
    given = {"data": whole} if way == "form" else {"json": whole} if way == "json" else {"params": whole}
    answer = sandbox.call("POST", f"{sandbox.waba}/message_templates", **given)
    assert answer.status_code == 200, answer.text
    assert sandbox.call("GET", answer.json()["id"]).json()["components"] == [BODY]


@pytest.mark.parametrize("upload", ["app", "{app}"])
def test_the_app_of_the_token_has_an_alias(sandbox, tools, upload):
    query = {"file_length": len(tools.pdf), "file_type": "application/pdf"}
    made = sandbox.call("POST", f"{upload.format(app=sandbox.app)}/uploads", params=query).json()["id"]
    answer = sandbox.call("POST", made, data=tools.pdf, headers={"file_offset": "0"})
    assert answer.json()["h"]


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_received_message_is_marked_as_read_either_way(sandbox, tools, method):
    received = sandbox.control("POST", "replies", text="hi", **{"from": NUMBER})["id"]
    read = {"messaging_product": "whatsapp", "status": "read", "message_id": received}
    assert sandbox.call(method, f"{sandbox.number}/messages", json=read).json() == {"success": True}


def test_put_sends_nothing(sandbox, tools):
    message = {"messaging_product": "whatsapp", "to": NUMBER, "type": "text", "text": {"body": "a"}}
    assert tools.error(sandbox.call("PUT", f"{sandbox.number}/messages", json=message))["code"] == 100
    assert sandbox.messages == []


def test_a_path_without_a_version_is_answered_too(sandbox, tools):
    message = {"messaging_product": "whatsapp", "to": NUMBER, "type": "text", "text": {"body": "a"}}
    url = f"{sandbox.url}/whatsapp-business/{sandbox.number}"
    assert sandbox.session.post(f"{url}/messages", json=message, timeout=10).status_code == 200
    assert sandbox.session.get(url, timeout=10).json()["id"] == sandbox.number
    assert sandbox.session.get(f"{sandbox.url}/whatsapp-business", timeout=10).status_code == 400


@pytest.mark.parametrize(("body", "code"), [({"pin": "123456"}, None), ({"pin": "12"}, 131009), ({}, 100)])
def test_the_pin_of_a_number(sandbox, tools, body, code):
    answer = sandbox.call("POST", sandbox.number, json=body)
    assert answer.status_code == 200 if code is None else tools.error(answer)["code"] == code
    found = sandbox.call("GET", sandbox.number, params={"fields": "is_pin_enabled"}).json()
    assert found["is_pin_enabled"] is (code is None)


def test_what_is_not_offered_says_so(sandbox, tools):
    assert "sandbox offers" in tools.error(sandbox.call("POST", sandbox.number, json={"x": 1}))["message"]


# Fields that Meta's description of v23 and its SDK know, and that other clients ask for in one request.
NUMBER_FIELDS = (
    "id,verified_name,display_phone_number,conversational_automation,status,quality_rating,quality_score,"
    "webhook_configuration,name_status,new_name_status,code_verification_status,unified_cert_status,account_mode,"
    "is_on_biz_app,is_official_business_account,is_pin_enabled,is_preverified_number,search_visibility,platform_type,"
    "host_platform,throughput,eligibility_for_api_business_global_search,health_status,certificate,new_certificate,"
    "last_onboarded_time,country_code,country_dial_code,whatsapp_business_manager_messaging_limit,"
    "messaging_limit_tier,username"
)
ACCOUNT_FIELDS = (
    "id,name,account_review_status,analytics,audiences,business_verification_status,country,creation_time,currency,"
    "disable_marketing_messages_on_cloud_api,health_status,is_enabled_for_insights,marketing_messages_ad_account,"
    "marketing_messages_lite_api_status,marketing_messages_onboarding_status,message_template_namespace,"
    "on_behalf_of_business_info,owner_business_info,ownership_type,primary_business_location,purchase_order_number,"
    "schedules,status,subscribed_apps,template_auto_archival_enabled,timezone_id"
)
PROFILE_FIELDS = "about,address,description,email,profile_picture_url,websites,vertical"
TEMPLATE_FIELDS = (
    "id,name,language,category,status,components,parameter_format,message_send_ttl_seconds,correct_category,"
    "previous_category,rejected_reason,library_template_name,quality_score,cta_url_link_tracking_opted_out,"
    "sub_category,degrees_of_freedom_spec,optimization_spec,creative_sourcing_spec"
)


@pytest.mark.parametrize(
    ("node", "fields"),
    [
        ("{number}", NUMBER_FIELDS),
        ("{waba}", ACCOUNT_FIELDS),
        ("{waba}/phone_numbers", NUMBER_FIELDS),
        ("{waba}/message_templates", TEMPLATE_FIELDS),
        ("{number}/whatsapp_business_profile", PROFILE_FIELDS),
    ],
)
def test_fields_that_exist_are_known_and_left_out_where_they_have_no_value(sandbox, node, fields):
    path = node.format(number=sandbox.number, waba=sandbox.waba)
    answer = sandbox.call("GET", path, params={"fields": fields})
    assert answer.status_code == 200, answer.text
    one = answer.json()["data"][0] if "data" in answer.json() else answer.json()
    assert None not in one.values()
    assert set(one) <= {*fields.split(","), "messaging_product"}


def test_a_field_that_does_not_exist_is_still_refused(sandbox, tools):
    for node in (sandbox.number, sandbox.waba):
        found = tools.error(sandbox.call("GET", node, params={"fields": "id,colour"}))
        assert (found["code"], "colour" in found["message"]) == (100, True)


def test_a_profile_has_a_vertical_before_it_is_set(sandbox):
    profile = sandbox.call(
        "GET", f"{sandbox.number}/whatsapp_business_profile", params={"fields": "vertical"}
    )
    assert profile.json()["data"][0]["vertical"] == "UNDEFINED"


@pytest.mark.parametrize(
    ("kind", "code"), [("request_contact_info", None), ("contact_request", 100), ("hologram", 100)]
)
def test_the_question_for_contact_information_has_one_name(sandbox, tools, kind, code):
    question = {"type": kind, "body": {"text": "How may we call you?"}, "action": {"name": kind}}
    answer = sandbox.send(type="interactive", interactive=question)
    assert answer.status_code == 200 if code is None else tools.error(answer)["code"] == code


def test_two_examples_of_the_gateways_document_are_refused_as_by_meta(sandbox, tools):
    body = {"type": "body", "parameters": [{"type": "text", "text": "Ann"}]}
    assert tools.error(sandbox.send_template("hello_world", body))["code"] == 132000
    made = sandbox.create("order", {"type": "BODY", "text": "Hi {{1}}, order {{2}} is confirmed."})
    assert (tools.error(made)["code"], made.status_code) == (100, 400)
