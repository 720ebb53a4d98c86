"""Pulling whatever an account may list: it stays in the folder, plans clean, and replaces nobody's file."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.message_templates.files import load
from airflow_provider_whatsapp.message_templates.plan import make_plan
from airflow_provider_whatsapp.message_templates.pull import file_stem, is_own, pull
from airflow_provider_whatsapp.message_templates.render import render_plan
from tests.examples import examples

BODY = {"type": "BODY", "text": "It is late."}
BUTTONS = [
    {"type": "QUICK_REPLY", "text": "Yes"},
    {"type": "URL", "text": "Open", "url": "https://x.example/{{1}}", "example": ["https://x.example/a"]},
    {"type": "URL", "text": "Open \U0001f680", "url": "https://x.example/a b", "track": True},
    {"type": "URL", "text": "Open", "url": "HTTPS://x.example/{{token}}", "example": ["HTTPS://x.example/a"]},
    {"type": "PHONE_NUMBER", "text": "Call", "phone_number": "+15550100"},
    {"type": "COPY_CODE", "text": "Copy", "example": ["SAVE-20"]},
    {"type": "COPY_CODE", "example": "SAVE20"},
    {"type": "FLOW", "text": "Go", "flow_id": 1234567890123456, "flow_action": "NAVIGATE", "navigate_screen": "A"},
    {"type": "OTP", "otp_type": "COPY_CODE", "text": "Copy"},
    *(
        {"type": kind, "text": "Go"}
        for kind in (
            "CATALOG", "MPM", "SPM", "VOICE_CALL", "CALL_PERMISSION_REQUEST", "REQUEST_CONTACT_INFO", "APP",
            "ORDER_DETAILS", "REMINDER", "BOOKING_CONFIRMATION", "EXTENSION", "POSTBACK", "SEND_LOCATION", "NEW",
        )
    ),
]  # fmt: skip
CATEGORIES = [
    "AUTHENTICATION", "MARKETING", "UTILITY", "FREE_SERVICE", "TRANSACTIONAL", "OTP", "ACCOUNT_UPDATE",
    "PAYMENT_UPDATE", "PERSONAL_FINANCE_UPDATE", "SHIPPING_UPDATE", "RESERVATION_UPDATE", "ISSUE_RESOLUTION",
    "APPOINTMENT_UPDATE", "TRANSPORTATION_UPDATE", "TICKET_UPDATE", "ALERT_UPDATE", "AUTO_REPLY", "", None,
]  # fmt: skip
HOSTILE = [
    "../../victim/x", "/etc/cron.d/x", "..", ".", "a/b", "a\\b", "C:x", "Late", "LATE", "late", "con", ".hidden",
    "x\nwrote /etc/passwd", "x\x1b[2J", "%2e%2e", "é", "x" * 512, "~root", "a\u2028b", "name: [", "- 'a'",
]  # fmt: skip


def row(name="late", language="en_US", category="UTILITY", components=(BODY,), **facts):
    made = {
        "id": "1",
        "name": name,
        "language": language,
        "category": category,
        "components": components and list(components),
    }
    return {"status": "APPROVED", **made, **facts}


def listing():
    """Every button, every category, and what else old and new accounts list."""
    rows = [
        row(f"button_{index}", components=[BODY, {"type": "BUTTONS", "buttons": [button]}])
        for index, button in enumerate(BUTTONS)
    ]
    rows += [row(f"category_{index}", category=category) for index, category in enumerate(CATEGORIES)]
    code = {
        "type": "BODY",
        "text": "*{{1}}* is your code. Do not share it.",
        "example": {"body_text": [["1"]]},
    }
    button = {
        "type": "URL",
        "text": "Copy",
        "url": "https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE&code=otp{{1}}",
    }
    old = {
        "type": "BODY",
        "text": "Acme: {{1}} is the code for {{2}}.",
        "example": {"body_text": [["1", "a"]]},
    }
    buttons = {"type": "BUTTONS", "buttons": [{**button, "example": [button["url"]]}]}
    media = {
        "type": "HEADER",
        "format": "IMAGE",
        "example": {"header_handle": ["https://scontent.example/x"]},
    }
    path = {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["/etc/passwd"]}}
    card = {
        "components": [
            media,
            BODY,
            {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "a", "url": "https://x.example"}]},
        ]
    }
    return [
        *rows,
        row("Upper_Case"),
        row("code", category="AUTHENTICATION", components=[code, buttons]),
        row("old_code", category="AUTHENTICATION", components=[old, buttons]),
        row("picture", components=[media, BODY]),
        row("stolen", components=[path, BODY]),
        row("cards", category="MARKETING", components=[BODY, {"type": "CAROUSEL", "cards": [card, card]}]),
        row("emojis", components=[{"type": "BODY", "text": "\U0001f600" * 11}]),
        row("crlf", components=[{"type": "BODY", "text": "a\r\n\r\n\r\n\r\nb"}]),
        row("unsafe", components=[{"type": "BODY", "text": "a # b: {c} !!str\t\x07\u2028"}]),
        row("empty", components=[]),
        row("none", components=None),
        row("no_status", status=None),
        row("ttl", message_send_ttl_seconds="600"),
        row("sub", sub_category="ORDER_DETAILS", display_format="ORDER_DETAILS"),
        row("tongues", language="zh_Hant_HK"),
        row("tongues", language="en_US", category="MARKETING"),
        row("numbers", components=[BODY, {"type": "NEW", "big": 10**50, "float": 1e20, "list": [1.5, True]}]),
        row("malformed", components=[{"type": "BODY", "text": 7}, {"type": "BUTTONS", "buttons": "x"}, "x"]),
        *(
            row(f"{name}_{number}", components=[{"type": "BODY", "text": text}], parameter_format=form)
            for number, text in enumerate(("It is {{1}} late.", "It is {{minutes}} late.", "It is late."))
            for name, form in (("n", "NAMED"), ("p", "POSITIONAL"), ("l", "named"), ("o", "NEW"), ("u", None))
        ),
        row("twice"),
        row("twice", components=[{"type": "BODY", "text": "The last one counts."}]),
    ]  # fmt: skip


def clean(rows, path):
    plan = make_plan(load(path), rows, now=0)
    dirty = [change.to_dict() for change in plan.changes if change.action not in ("unchanged", "drifted")]
    assert dirty == []
    assert plan.others == 0
    return plan


@pytest.mark.parametrize("target", ["folder", "all.yaml", "all.json"])
def test_a_pull_of_everything_plans_clean_twice(tmp_path, target):
    rows, path = listing(), tmp_path / target

    assert pull(rows, path)["written"]
    clean(rows, path)
    assert pull(rows, path)["written"] == []
    clean(rows, path)
    texts = "".join(file.read_text() for file in ([path] if path.is_file() else path.iterdir()))
    assert "/etc/passwd" not in texts
    assert "Do not share it." in texts
    assert "Acme: {{1}} is the code" in texts


def test_what_the_form_can_say_is_said_in_it_and_can_be_submitted(tmp_path):
    rows = listing()
    kept = set(pull(rows, tmp_path)["as_is"])
    sound = {
        "button_0",
        "button_1",
        "button_4",
        "button_6",
        "button_7",
        "code",
        "picture",
        "no_status",
        "cards",
    }

    assert not {f"{name} (en_US)" for name in sound} & kept
    assert {"Upper_Case (en_US)", "button_2 (en_US)", "category_3 (en_US)", "old_code (en_US)"} <= kept
    assert (
        load(tmp_path).definitions["button_7", "en_US"].components[1]["buttons"][0]["flow_id"]
        == "1234567890123456"
    )


def test_a_code_s_text_is_kept_and_never_submitted(tmp_path):
    rows = [each for each in listing() if each["name"] == "code"]
    pull(rows, tmp_path)
    (definition,) = load(tmp_path).definitions.values()

    assert definition.create_payload()["components"][0] == {
        "type": "BODY",
        "add_security_recommendation": True,
    }


def test_a_plan_never_prints_an_empty_status(tmp_path):
    pull([row(components=[{"type": "BODY", "text": "Other."}])], tmp_path)

    said = render_plan(make_plan(load(tmp_path), [row(status=None)], now=0))
    assert "Graph does not list its status" in said
    assert "(en_US)" in said


def test_nothing_that_is_listed_forges_a_line_of_a_plan(tmp_path):
    forged = "x\n+ create  forged (en_US)\x1b[2J"
    rows = [
        row(forged, forged, category=forged),
        row("a", status="REJECTED", rejected_reason=forged),
        row("b", status=forged, correct_category=forged),
        row("c", previous_category="UTILITY", category=forged),
    ]
    texts = ["UTILITY\nlanguages: {en_US: {body: Other.}}"] * 3
    for name, text in zip("abc", texts, strict=True):
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}\ncategory: {text}\n")

    plan = render_plan(make_plan(load(tmp_path), rows, now=0))
    assert not any(line.startswith("+ create  forged") for line in plan.split("\n"))
    assert all(line.isprintable() for line in plan.split("\n"))


@pytest.mark.parametrize("language", ["en_US", "../../x", "a\nb"])
def test_hostile_names_stay_in_the_folder_and_on_their_line(tmp_path, language):
    folder = tmp_path / "deep" / "folder"
    rows = [row(name, language, category="../x") for name in HOSTILE]
    result = pull(rows, folder)

    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {file.parent for file in files} == {folder}
    assert len({file.name.casefold() for file in files}) == len(files) == len(HOSTILE)
    clean(rows, folder)
    plan = make_plan(load(folder), [], now=0)
    for line in [*result["written"], *result["as_is"], *render_plan(plan).split("\n")]:
        assert line.isprintable()


@given(st.text(max_size=600))
def test_a_file_stem_is_one_part_of_a_path_everywhere(name):
    stem = file_stem(name)

    assert 0 < len(stem) < 120
    assert stem == stem.lower()
    assert set(stem) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
parts = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["HEADER", "BODY", "FOOTER", "BUTTONS", "CAROUSEL", "LIMITED_TIME_OFFER", "X", 7]
        )
    },
    optional=dict.fromkeys(
        ("text", "format", "example", "buttons", "cards", "limited_time_offer"), json_values
    ),
)


# Python calls each of them a digit, and its int() refuses them.
@pytest.mark.parametrize("name", ["²", "①", "1" * 5_000, "፩"], ids=["raised", "circled", "long", "Ethiopic"])
@pytest.mark.parametrize("key", ["body_text", "header_text"])
def test_a_variable_that_is_no_number_plans_clean(tmp_path, name, key):
    examples = ["Ana", "7"]
    part = {
        "type": key.removesuffix("_text").upper(),
        "format": "TEXT",
        "text": f"Hi {{{{{name}}}}} and {{{{1}}}}.",
    }
    part["example"] = {key: [examples] if key == "body_text" else examples}
    rows = [row(components=[part, BODY] if key == "header_text" else [part])]

    pull(rows, tmp_path / "a.yaml")
    clean(rows, tmp_path / "a.yaml")


@settings(
    max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    components=st.lists(parts, max_size=3) | json_values,
    category=st.sampled_from(CATEGORIES),
    as_json=st.booleans(),
)
@example(components=[{"type": "HEADER", "format": [math.inf, -math.inf]}], category="UTILITY", as_json=False)
def test_whatever_is_listed_plans_clean(tmp_path, components, category, as_json):
    path = tmp_path / ("a.json" if as_json else "a.yaml")
    path.unlink(missing_ok=True)
    rows = [{**row(category=category), "components": components}]

    pull(rows, path)
    clean(rows, path)


CHANGED = [{"type": "BODY", "text": "It is very late."}]


def test_many_files_do_not_wait_for_the_disk_one_by_one(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)

    pull([row(f"late_{number}") for number in range(3)], tmp_path)
    assert (sorted(file.name for file in tmp_path.iterdir()), synced) == (
        ["late_0.yaml", "late_1.yaml", "late_2.yaml"],
        [],
    )


def test_a_file_that_no_pull_wrote_is_replaced_by_force_alone(tmp_path):
    theirs = tmp_path / "late.yaml"
    theirs.write_text("# by hand\nname: late\ncategory: UTILITY\nlanguages: {en_US: {body: It is late.}}\n")
    before = theirs.read_text()

    assert pull([row()], tmp_path)["written"] == []
    with pytest.raises(ConfigurationError, match=r"late\.yaml"):
        pull([row(components=CHANGED), row("other")], tmp_path)
    assert theirs.read_text() == before
    assert not (tmp_path / "other.yaml").exists()
    assert pull([row(components=CHANGED)], tmp_path, force=True)["written"] == [str(theirs)]


@pytest.mark.parametrize("target", ["folder", "all.yaml", "all.JSON"])
def test_a_pulled_file_is_replaced_until_somebody_edits_it(tmp_path, target):
    path = tmp_path / target
    pull([row()], path)
    (file,) = [path] if path.is_file() else path.iterdir()
    assert is_own(file.read_text())

    assert pull([row(components=CHANGED)], path)["written"]
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))  # as Git may check it out
    assert pull([row()], path)["written"]
    file.write_text(file.read_text().replace("It is late", "It is too late"))
    with pytest.raises(ConfigurationError, match="--force"):
        pull([row(components=CHANGED)], path)


@pytest.mark.parametrize("exists", [True, False], ids=["a link", "a dangling link"])
def test_a_link_is_not_written_through(tmp_path, exists):
    victim, folder = tmp_path / "victim", tmp_path / "folder"
    folder.mkdir()
    (folder / "late.txt").write_text("not looked at")
    if exists:
        victim.write_text("name: late\ncategory: UTILITY\nlanguages: {en_US: {body: a}}\n")
    (folder / "late.yaml").symlink_to(victim)
    before = victim.read_text() if exists else None

    with pytest.raises(ConfigurationError):
        pull([row()], folder)
    if exists:
        assert pull([row()], folder, force=True)["written"]
        assert not (folder / "late.yaml").is_symlink()
        assert victim.read_text() == before
    else:
        assert not victim.exists()


def test_a_folder_behind_a_link_is_read_and_not_written_to(tmp_path):
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "folder"
    folder.mkdir()
    pull([row()], elsewhere)
    (folder / "linked").symlink_to(elsewhere)
    (folder / "linked" / "again").symlink_to(folder)

    assert pull([row()], folder)["written"] == []
    with pytest.raises(ConfigurationError, match="lies outside"):
        pull([row(components=CHANGED)], folder, force=True)
    assert make_plan(load(folder), [row()], now=0, prune=True).counts()["delete"] == 0


def test_languages_in_files_of_their_own_stay_there(tmp_path):
    for language in ("en_US", "de"):
        text = f"name: late\ncategory: UTILITY\nlanguages: {{{language}: {{body: It is late.}}}}\n"
        (tmp_path / f"{language}.yaml").write_text(text)
    rows = [row(language=language, components=CHANGED) for language in ("en_US", "de", "fr")]

    pull(rows, tmp_path, force=True)
    clean(rows, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["de.yaml", "en_US.yaml"]


def test_every_suffix_and_no_file_in_silence(tmp_path):
    (tmp_path / "b.YML").write_text(
        "name: late\ncategory: UTILITY\nlanguages: {en_US: {body: It is late.}}\n"
    )
    (tmp_path / "c.JSON").write_text(
        json.dumps({"name": "c", "category": "UTILITY", "languages": {"en": {"body": "a"}}})
    )
    assert {name for name, _ in load(tmp_path).definitions} == {"late", "c"}

    (tmp_path / "gone.yaml").symlink_to(Path("nowhere.yaml"))
    with pytest.raises(ConfigurationError, match=r"gone\.yaml: is not a file"):
        load(tmp_path)


BEFORE = {
    "order.yaml": """\
name: order
category: UTILITY
languages:
  en_US:
    body: It is late.
    buttons:
    - type: order_details
      text: Copy
    as_is: true
""",
    "rocket.yaml": """\
name: rocket
category: UTILITY
languages:
  en_US:
    body: It is late.
    buttons:
    - type: quick_reply
      text: "Go \\U0001F680"
""",
}
"""As version 0.1 pulled them: it could not read the first again, and knew no rule against the second."""


def test_files_of_an_earlier_pull_stay_usable(tmp_path):
    for name, text in BEFORE.items():
        (tmp_path / name).write_text(text)
    rows = [
        row(
            "order",
            components=[BODY, {"type": "BUTTONS", "buttons": [{"type": "ORDER_DETAILS", "text": "Copy"}]}],
        ),
        row(
            "rocket",
            components=[
                BODY,
                {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Go \U0001f680"}]},
            ],
        ),
    ]
    with pytest.raises(ConfigurationError, match=r"rocket\.yaml:8: .*emojis"):
        pull(rows, tmp_path)

    assert pull(rows, tmp_path, force=True)["written"] == [str(tmp_path / "rocket.yaml")]
    assert (tmp_path / "order.yaml").read_text() == BEFORE["order.yaml"]
    clean(rows, tmp_path)
