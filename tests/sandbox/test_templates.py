from __future__ import annotations

import json

import pytest

BODY = {"type": "BODY", "text": "Run {{1}} took {{2}} minutes.", "example": {"body_text": [["a", "5"]]}}
PLAIN = {"type": "BODY", "text": "Done."}


def texts(*values):
    return [{"type": "text", "text": value} for value in values]


def listed(sandbox, **query):
    return sandbox.call("GET", f"{sandbox.waba}/message_templates", params=query).json()


def test_review_takes_its_time(sandbox, tools):
    made = sandbox.create("late", BODY).json()
    assert (made["status"], made["category"]) == ("PENDING", "UTILITY")
    sandbox.clock.advance(58)
    assert sandbox.call("GET", made["id"]).json()["status"] == "PENDING"
    refused = sandbox.send_template("late", {"type": "body", "parameters": texts("a", "5")})
    assert (refused.status_code, tools.error(refused)["code"]) == (404, 132001)
    sandbox.clock.advance(3)
    assert sandbox.call("GET", made["id"]).json()["status"] == "APPROVED"
    assert sandbox.send_template("late", {"type": "body", "parameters": texts("a", "5")}).status_code == 200
    assert "Run a took 5 minutes." in sandbox.page()


def test_rejection_carries_its_reason(sandbox):
    made = sandbox.create("bad", PLAIN).json()["id"]
    sandbox.control("POST", "templates", name="bad", status="REJECTED", rejected_reason="SCAM")
    sandbox.clock.advance(120)
    found = sandbox.call("GET", made, params={"fields": "status,rejected_reason"}).json()
    assert found == {"status": "REJECTED", "rejected_reason": "SCAM", "id": made}


def test_pauses_end_by_themselves_and_the_third_disables(sandbox, tools):
    sandbox.approved("loud", PLAIN)
    move = {"name": "loud", "status": "PAUSED"}
    for hours in (3, 6):
        sandbox.control("POST", "templates", **move)
        assert tools.error(sandbox.send_template("loud"))["code"] == 132015
        sandbox.clock.advance(hours * 3600)
        assert sandbox.send_template("loud").status_code == 200
    sandbox.control("POST", "templates", **move)
    assert tools.error(sandbox.send_template("loud"))["code"] == 132016
    delete = sandbox.call("DELETE", f"{sandbox.waba}/message_templates", params={"name": "loud"})
    assert delete.status_code == 400


def test_lists_in_pages_without_next_on_the_last(sandbox):
    for index in range(4):
        sandbox.create(f"t{index}", PLAIN)
    names, query = [], {"limit": 2, "fields": "name"}
    for count in (2, 2, 1):
        page = listed(sandbox, **query)
        assert len(page["data"]) == count
        assert all(set(each) == {"name", "id"} for each in page["data"])
        names += [each["name"] for each in page["data"]]
        assert ("next" in page["paging"]) == (len(names) < 5)
        query["after"] = page["paging"]["cursors"]["after"]
    assert names == ["hello_world", "t0", "t1", "t2", "t3"]
    first = listed(sandbox, limit=2)
    assert first["paging"]["next"].startswith("https://graph.facebook.com/v25.0/")
    back = listed(sandbox, limit=2, before=query["after"])
    assert [each["name"] for each in back["data"]] == ["t1", "t2"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"status": "PENDING"}, ["alpha"]),
        ({"status": '["APPROVED","PENDING"]'}, ["hello_world", "alpha"]),
        ({"status": "approved"}, ["hello_world"]),
        ({"category": "MARKETING"}, []),
        ({"language": "en_US", "name": "alp"}, ["alpha"]),
        ({"content": "Done"}, ["alpha"]),
    ],
)
def test_filters(sandbox, query, names):
    sandbox.create("alpha", PLAIN)
    assert [each["name"] for each in listed(sandbox, **query)["data"]] == names


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"after": "nonsense"}, 131059),
        ({"limit": "0"}, 100),
        ({"status": "FINE"}, 100),
        ({"fields": "colour"}, 100),
    ],
)
def test_bad_queries(sandbox, query, code):
    assert listed(sandbox, **query)["error"]["code"] == code


def header(text, **more):
    return {"type": "HEADER", "format": "TEXT", "text": text, **more}


def body(text, **more):
    return {"type": "BODY", "text": text, **more}


def buttons(*each):
    return {"type": "BUTTONS", "buttons": list(each)}


QUICK = {"type": "QUICK_REPLY", "text": "Yes"}
URL = {"type": "URL", "text": "Open", "url": "https://example.com/{{1}}", "example": ["x"]}
IMAGE = {"type": "HEADER", "format": "IMAGE"}
BAD = [
    (2388046, {"name": "With Capitals"}, [PLAIN]),
    (None, {"language": "english"}, [PLAIN]),
    (None, {"category": "SPAM"}, [PLAIN]),
    (None, {"colour": "red"}, [PLAIN]),
    (None, {"message_send_ttl_seconds": 5}, [PLAIN]),
    (None, {"components": []}, []),
    (2388072, {}, [header("only")]),
    (2388072, {}, [PLAIN, PLAIN]),
    (2388040, {}, [body("b" * 1025)]),
    (2388040, {}, [PLAIN, header("h" * 61)]),
    (2388047, {}, [PLAIN, header("two {{1}} and {{2}}", example={"header_text": ["a", "b"]})]),
    (2388047, {}, [PLAIN, header("*bold*")]),
    (2388047, {}, [PLAIN, {"type": "HEADER", "format": "MUSIC"}]),
    (2388043, {}, [PLAIN, IMAGE]),
    (2388047, {}, [PLAIN, {**IMAGE, "example": {"header_handle": ["4::never-issued"]}}]),
    (2388043, {}, [body("Run {{1}} is late.")]),
    (2388043, {}, [body("Run {{1}} is late.", example={"body_text": ["flat"]})]),
    (2388043, {}, [body("Run {{1}} is late.", example={"body_text": [["a", "b"]]})]),
    (2388299, {}, [body("{{1}} is late", example={"body_text": [["a"]]})]),
    (2388299, {}, [body("late is {{1}}", example={"body_text": [["a"]]})]),
    (2388072, {}, [body("Run {{2}} is late", example={"body_text": [["a"]]})]),
    (2388072, {}, [body("Run {{name}} is late", example={"body_text": [["a"]]})]),
    (2388072, {}, [body("Run {{1}} {{2}} is late", example={"body_text": [["a", "b"]]})]),
    (2388293, {}, [body("a {{1}}, {{2}}, {{3}}!", example={"body_text": [["a", "b", "c"]]})]),
    (2388072, {}, [body("a\n\n\nb")]),
    (2388073, {}, [PLAIN, {"type": "FOOTER", "text": "by {{1}}"}]),
    (2388040, {}, [PLAIN, {"type": "FOOTER", "text": "f" * 61}]),
    (None, {}, [PLAIN, buttons()]),
    (None, {}, [PLAIN, buttons(URL, URL, URL)]),
    (None, {}, [PLAIN, buttons(QUICK, URL, QUICK)]),
    (None, {}, [PLAIN, buttons({**QUICK, "text": "t" * 26})]),
    (None, {}, [PLAIN, buttons({key: value for key, value in URL.items() if key != "example"})]),
    (None, {}, [PLAIN, buttons({**URL, "url": "https://example.com/{{1}}/x"})]),
    (None, {}, [PLAIN, {"type": "HOLOGRAM"}]),
    (None, {"parameter_format": "ODD"}, [PLAIN]),
]


@pytest.mark.parametrize(("subcode", "fields", "components"), BAD)
def test_refused_at_creation(sandbox, tools, subcode, fields, components):
    answer = sandbox.create(fields.pop("name", "fine"), *components, **fields)
    assert answer.status_code == 400, answer.text
    assert tools.error(answer)["code"] in (100, 131008, 131009)
    assert tools.error(answer).get("error_subcode") == subcode
    assert len(listed(sandbox)["data"]) == 1


def test_a_name_is_taken_per_language_and_keeps_its_category(sandbox, tools):
    sandbox.create("taken", PLAIN)
    assert tools.error(sandbox.create("taken", PLAIN))["error_subcode"] == 2388024
    assert sandbox.create("taken", PLAIN, language="de").status_code == 200
    other = sandbox.create("taken", PLAIN, language="fr", category="MARKETING")
    assert tools.error(other)["code"] == 100


def test_deleting_blocks_an_approved_name_for_thirty_days(sandbox, tools):
    path = f"{sandbox.waba}/message_templates"
    sandbox.approved("gone", PLAIN)
    german = sandbox.create("gone", PLAIN, language="de").json()["id"]
    assert sandbox.call("DELETE", path, params={"name": "gone", "hsm_id": german}).json() == {"success": True}
    assert [each["language"] for each in listed(sandbox, name="gone")["data"]] == ["en_US"]
    assert sandbox.call("DELETE", path, params={"name": "gone"}).json() == {"success": True}
    assert sandbox.call("DELETE", path, params={"name": "gone"}).status_code == 400
    assert tools.error(sandbox.create("gone", PLAIN))["error_subcode"] == 2388023
    sandbox.clock.advance(30 * 86_400)
    assert sandbox.create("gone", PLAIN).status_code == 200


def test_delete_by_ids(sandbox):
    ids = [sandbox.create(f"n{index}", PLAIN).json()["id"] for index in range(3)]
    path = f"{sandbox.waba}/message_templates"
    assert sandbox.call("DELETE", path, params={"hsm_ids": json.dumps([ids[0], "1"])}).status_code == 400
    assert sandbox.call("DELETE", path, params={"hsm_ids": json.dumps(ids[:2])}).status_code == 200
    assert [each["name"] for each in listed(sandbox)["data"]] == ["hello_world", "n2"]


def test_edit_starts_a_review_and_has_a_quota(sandbox, tools):
    made = sandbox.create("draft", PLAIN).json()["id"]
    change = {"components": [body("Changed.")]}
    assert sandbox.call("POST", made, json=change).status_code == 400
    sandbox.clock.advance(61)
    assert sandbox.call("POST", made, json=change).json()["success"] is True
    assert sandbox.call("GET", made).json()["status"] == "PENDING"
    sandbox.clock.advance(61)
    assert sandbox.call("GET", made).json()["components"] == [body("Changed.")]
    assert sandbox.call("POST", made, json=change).status_code == 400
    sandbox.clock.advance(86_400)
    assert sandbox.call("POST", made, json={"name": "other"}).status_code == 400
    assert sandbox.call("POST", made, json={"category": "MARKETING"}).status_code == 400
    assert sandbox.call("POST", made, json=change).status_code == 200


def test_handles_make_media_headers_and_come_back_as_addresses(sandbox):
    document = {"type": "HEADER", "format": "DOCUMENT", "example": {"header_handle": [sandbox.handle()]}}
    wrong = {**IMAGE, "example": document["example"]}
    assert sandbox.create("wrong", PLAIN, wrong).json()["error"]["error_subcode"] == 2388047
    made = sandbox.approved("report", document, PLAIN)
    back = sandbox.call("GET", made).json()["components"][0]["example"]["header_handle"][0]
    assert back.startswith("https://scontent.whatsapp.net/")


def sample(sandbox):
    document = {"type": "HEADER", "format": "DOCUMENT", "example": {"header_handle": [sandbox.handle()]}}
    phone = {"type": "PHONE_NUMBER", "text": "Call", "phone_number": "+15550001111"}
    sandbox.approved("report", document, BODY, buttons(URL, phone, QUICK))


LINK = {"link": "https://example.com/a.pdf", "filename": "a.pdf"}
HEAD = {"type": "header", "parameters": [{"type": "document", "document": LINK}]}
FILLED = {"type": "body", "parameters": texts("orders", "5")}
PRESSED = {"type": "button", "sub_type": "url", "index": "0", "parameters": texts("run/1")}


def test_a_full_template_is_shown_filled(sandbox):
    sample(sandbox)
    answer = sandbox.send_template("report", HEAD, FILLED, PRESSED)
    assert answer.status_code == 200, answer.text
    page = sandbox.page()
    for text in ("Run orders took 5 minutes.", "a.pdf", "https://example.com/run/1", "Open", "Yes"):
        assert text in page


@pytest.mark.parametrize(
    ("code", "components"),
    [
        (132012, [FILLED, PRESSED]),
        (
            132012,
            [
                {**HEAD, "parameters": [{"type": "image", "image": {"link": "https://example.com/a"}}]},
                FILLED,
                PRESSED,
            ],
        ),
        (100, [{**HEAD, "parameters": [{"type": "document", "document": {}}]}, FILLED, PRESSED]),
        (131009, [{**HEAD, "parameters": [{"type": "document", "document": {"id": "12"}}]}, FILLED, PRESSED]),
        (132000, [HEAD, PRESSED]),
        (132000, [HEAD, {**FILLED, "parameters": texts("a")}, PRESSED]),
        (132000, [HEAD, {**FILLED, "parameters": texts("a", "b", "c")}, PRESSED]),
        (132012, [HEAD, {**FILLED, "parameters": [HEAD["parameters"][0], *texts("b")]}, PRESSED]),
        (132018, [HEAD, {**FILLED, "parameters": texts("a\nb", "c")}, PRESSED]),
        (132018, [HEAD, {**FILLED, "parameters": texts("a\tb", "c")}, PRESSED]),
        (132018, [HEAD, {**FILLED, "parameters": texts("a     b", "c")}, PRESSED]),
        (100, [HEAD, {**FILLED, "parameters": texts("", "c")}, PRESSED]),
        (132005, [HEAD, {**FILLED, "parameters": texts("x" * 1010, "c")}, PRESSED]),
        (131008, [HEAD, FILLED]),
        (131009, [HEAD, FILLED, {**PRESSED, "index": "7"}]),
        (131009, [HEAD, FILLED, {**PRESSED, "index": "0.5"}]),
        (132012, [HEAD, FILLED, {**PRESSED, "sub_type": "quick_reply"}]),
        (131009, [HEAD, FILLED, PRESSED, PRESSED]),
        (131009, [HEAD, FILLED, FILLED, PRESSED]),
        (100, [HEAD, {**FILLED, "colour": "red"}, PRESSED]),
        (100, [HEAD, {"parameters": []}, PRESSED]),
        (
            132012,
            [HEAD, FILLED, PRESSED, {"type": "carousel", "cards": [{"card_index": 0, "components": []}]}],
        ),
    ],
)
def test_refused_at_sending(sandbox, tools, code, components):
    sample(sandbox)
    answer = sandbox.send_template("report", *components)
    assert tools.error(answer)["code"] == code, answer.text
    assert sandbox.messages == []


def test_four_spaces_pass_and_old_versions_say_132012(sandbox, tools):
    sandbox.approved("late", BODY)
    assert (
        sandbox.send_template("late", {"type": "body", "parameters": texts("a    b", "c")}).status_code == 200
    )
    broken = {"type": "body", "parameters": texts("a\nb", "c")}
    assert tools.error(sandbox.send_template("late", broken, version="v22.0"))["code"] == 132012


def test_wrong_language_and_the_parameter_hello_world_does_not_have(sandbox, tools):
    answer = sandbox.send_template("hello_world", language="en")
    assert (answer.status_code, tools.error(answer)["code"]) == (404, 132001)
    answer = sandbox.send_template("hello_world", {"type": "body", "parameters": texts("x")})
    found = tools.error(answer)
    assert found["code"] == 132000
    assert found["error_data"]["details"].endswith("(1) does not match the expected number of params (0)")


def test_named_parameters(sandbox, tools):
    example = {
        "body_text_named_params": [
            {"param_name": "dag", "example": "a"},
            {"param_name": "took", "example": "5"},
        ]
    }
    named = {"type": "BODY", "text": "Run {{dag}} took {{took}} minutes.", "example": example}
    sandbox.approved("named", named, parameter_format="NAMED")
    values = [
        {"type": "text", "parameter_name": "took", "text": "5"},
        {"type": "text", "parameter_name": "dag", "text": "orders"},
    ]
    assert sandbox.send_template("named", {"type": "body", "parameters": values}).status_code == 200
    assert "Run orders took 5 minutes." in sandbox.page()
    assert (
        tools.error(sandbox.send_template("named", {"type": "body", "parameters": texts("a", "b")}))["code"]
        == 100
    )
    wrong = [values[0], {**values[1], "parameter_name": "dags"}]
    assert (
        tools.error(sandbox.send_template("named", {"type": "body", "parameters": wrong}))["code"] == 132012
    )


def test_authentication_templates_have_fixed_texts(sandbox, tools):
    otp = buttons({"type": "OTP", "otp_type": "COPY_CODE", "text": "Copy"})
    footer = {"type": "FOOTER", "code_expiration_minutes": 5}
    fixed = {"type": "BODY", "add_security_recommendation": True}
    assert sandbox.create("code", PLAIN, otp, category="AUTHENTICATION").status_code == 400
    made = sandbox.approved("code", fixed, footer, otp, category="AUTHENTICATION")
    stored = sandbox.call("GET", made).json()["components"]
    assert stored[2]["buttons"][0]["type"] == "URL"
    code = [{"type": "body", "parameters": texts("123456")}, {**PRESSED, "parameters": texts("123456")}]
    assert sandbox.send_template("code", *code).status_code == 200
    assert "123456</strong> is your verification code" in sandbox.page()
    assert tools.error(sandbox.send_template("code", code[0]))["code"] == 131008


def test_carousels_match_card_by_card(sandbox, tools):
    handle = sandbox.handle(tools.png, "image/png")

    def card():
        return {
            "components": [
                {**IMAGE, "example": {"header_handle": [handle]}},
                body("Plan {{1}} here", example={"body_text": [["a"]]}),
                buttons(QUICK),
            ]
        }

    sandbox.approved("cards", PLAIN, {"type": "CAROUSEL", "cards": [card(), card()]}, category="MARKETING")
    media = sandbox.upload().json()["id"]

    def sent(index):
        parts = [
            {"type": "header", "parameters": [{"type": "image", "image": {"id": media}}]},
            {"type": "body", "parameters": texts(f"number {index}")},
        ]
        return {"card_index": index, "components": parts}

    assert (
        sandbox.send_template("cards", {"type": "carousel", "cards": [sent(0), sent(1)]}).status_code == 200
    )
    assert "Plan number 1 here" in sandbox.page()
    one = sandbox.send_template("cards", {"type": "carousel", "cards": [sent(0)]})
    assert tools.error(one)["code"] == 132012
    bare = sandbox.send_template("cards", {"type": "carousel", "cards": [sent(0), {"card_index": 1}]})
    assert tools.error(bare)["code"] == 132012


def test_creations_are_bounded_per_hour(limited):
    codes = []
    for index in range(101):
        limited.clock.advance(0.2)
        codes.append(limited.create(f"n{index}", PLAIN).status_code)
    limited.clock.advance(3600)
    assert codes == [200] * 100 + [400]
    assert limited.create("more", PLAIN).status_code == 200
