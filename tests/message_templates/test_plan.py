"""The plan is pure: definitions and what the account lists go in."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from airflow_provider_whatsapp.message_templates.blocks import DAY, MONTH, Record
from airflow_provider_whatsapp.message_templates.definition import TemplateDefinition
from airflow_provider_whatsapp.message_templates.files import TemplateSet, load_data
from airflow_provider_whatsapp.message_templates.plan import ACTIONS, Change, Plan, changed_fields, make_plan
from airflow_provider_whatsapp.message_templates.render import render_plan

NOW = 1_800_000_000.0


def wanted(*languages, name="late", category="UTILITY", body="It is late.", **more):
    content = {"body": body}
    return load_data(
        [
            {
                "name": name,
                "category": category,
                **more,
                "languages": dict.fromkeys(languages or ["en"], content),
            }
        ]
    )


def row(name="late", language="en", **more):
    usual = {"id": f"{name}-{language}", "status": "APPROVED", "category": "UTILITY"}
    return {
        "name": name,
        "language": language,
        **usual,
        "components": [{"type": "BODY", "text": "It is late."}],
        **more,
    }


def only(*args, **options):
    (change,) = make_plan(*args, now=NOW, **options).changes
    return change


CHANGED = {"components": [{"type": "BODY", "text": "It was late."}]}


def test_create_edit_unchanged_in_one_plan():
    plan = make_plan(
        wanted("en", "de", "pt_BR"), [row(), row(language="de", **CHANGED), row("other")], now=NOW
    )

    assert [change.action for change in plan.changes] == ["unchanged", "edit", "create"]
    assert plan.has_changes
    assert plan.others == 1
    assert plan.changes[1].fields == ("components",)
    assert [line for line in plan.changes[1].diff if line[0] in "+-"] == [
        "-body: It was late.",
        "+body: It is late.",
    ]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (
            {"category": "MARKETING", "previous_category": "UTILITY"},
            "changed its category from UTILITY to MARKETING",
        ),
        ({"correct_category": "MARKETING"}, "going to change its category"),
        ({"quality_score": {"score": "RED"}}, "quality is low"),
        ({"status": "PAUSED"}, "paused it"),
        ({"status": "DISABLED"}, "disabled it"),
        ({"status": "ARCHIVED"}, "archived"),
        ({"status": "REJECTED", "rejected_reason": "SCAM"}, r"rejected it \(SCAM\)"),
    ],
)
def test_what_meta_changed_is_drift_and_no_change(facts, words):
    plan = make_plan(wanted(), [row(**facts)], now=NOW)

    (change,) = plan.changes
    assert change.action == "drifted"
    assert re.search(words, change.drift[0])
    assert not plan.has_changes


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"status": "PENDING"}, "in Meta's review"),
        ({"status": "IN_APPEAL"}, "appealed"),
        ({"status": "DISABLED"}, "new name"),
        ({"status": "ARCHIVED"}, "unarchive"),
        ({"status": "SOMETHING_NEW"}, "only APPROVED, REJECTED, PAUSED"),
        ({"source": "AUTO_GENERATED"}, "Meta made this template itself"),
        ({"category": "MARKETING"}, "category of an approved template cannot change"),
    ],
)
def test_an_edit_that_is_blocked(facts, words):
    change = only(wanted(), [row(**CHANGED, **facts)])

    assert (change.action, change.wanted) == ("blocked", "edit")
    assert words in change.reason


def test_the_category_of_a_rejected_template_can_change():
    change = only(wanted(), [row(status="REJECTED", category="MARKETING")])

    assert (change.action, change.fields) == ("edit", ("category",))


@pytest.mark.parametrize(
    ("edits", "until"),
    [
        ([NOW - 3600], NOW - 3600 + DAY),
        ([NOW - 2 * DAY * n for n in range(10, 0, -1)], NOW - 20 * DAY + MONTH),
        ([NOW - 31 * DAY] * 20, None),
        ([NOW - DAY - 1], None),
    ],
)
def test_the_quota_of_edits_blocks_until_a_known_time(edits, until):
    change = only(wanted(), [row(**CHANGED)], record=Record(edits={"late-en": edits}))

    assert change.action == ("blocked" if until else "edit")
    assert change.possible_at == until
    rejected = only(wanted(), [row(**CHANGED, status="REJECTED")], record=Record(edits={"late-en": edits}))
    assert rejected.action == "edit"


def test_a_recent_change_is_a_caution_since_it_may_have_been_an_edit():
    change = only(wanted(), [row(**CHANGED, last_updated_time="2027-01-15T07:00:00+0000")])

    assert change.action == "edit"
    assert "if that was an edit" in change.reason
    assert change.to_dict()["possible_at"] == "2027-01-16T07:00:00+00:00"


@pytest.mark.parametrize("status", ["PENDING_DELETION", "DELETED"])
def test_a_name_that_is_being_deleted_blocks(status):
    change = only(wanted(), [row(status=status, last_updated_time=NOW - DAY)])

    assert (change.action, change.wanted, change.possible_at) == ("blocked", "create", NOW - DAY + MONTH)


def test_a_name_whose_deletion_is_on_record_blocks():
    change = only(wanted(), [], record=Record(deletions={"late": NOW - DAY}))

    assert (change.action, change.possible_at) == ("blocked", NOW - DAY + MONTH)
    assert only(wanted(), [], record=Record(deletions={"late": NOW - MONTH})).action == "create"


def test_another_language_of_another_category_blocks():
    change = only(wanted("de"), [row(category="MARKETING")])

    assert change.action == "blocked"
    assert "as MARKETING" in change.reason


def test_what_meta_does_not_tell_again_blocks_until_it_is_filled_in():
    templates = [
        {
            "name": "late",
            "category": "UTILITY",
            "languages": {"en": {"header": {"image": None}, "body": "Hi"}},
        }
    ]
    header = {
        "type": "HEADER",
        "format": "IMAGE",
        "example": {"header_handle": ["https://scontent.example/1"]},
    }
    same = [header, {"type": "BODY", "text": "Hi"}]

    assert only(load_data(templates), [row(components=same)]).action == "unchanged"
    assert "needs a sample" in only(load_data(templates), []).reason
    assert (
        only(load_data(templates), [row(components=[header, {"type": "BODY", "text": "Ho"}])]).action
        == "blocked"
    )


def test_pruning_takes_languages_that_are_gone_and_covered_names_only():
    files = wanted("en")
    files = TemplateSet(files.definitions, prefixes=frozenset({"old_"}), names=frozenset({"unused"}))
    listed = [
        row(),
        row(language="de"),
        row("old_one"),
        row("unused"),
        row("foreign"),
        row("old_gone", status="DELETED"),
    ]

    plan = make_plan(files, listed, now=NOW, prune=True)
    assert [change.key for change in plan.of("delete")] == [
        ("late", "de"),
        ("old_one", "en"),
        ("unused", "en"),
    ]
    assert plan.others == 1
    without = make_plan(files, listed, now=NOW)
    assert without.of("delete") == []
    assert without.leftover == (("late", "de"), ("old_one", "en"), ("unused", "en"))
    assert not without.has_changes


@pytest.mark.parametrize("facts", [{"status": "DISABLED"}, {"source": "AUTO_GENERATED"}])
def test_a_deletion_that_is_blocked(facts):
    plan = make_plan(wanted(), [row(), row(language="de", **facts)], now=NOW, prune=True)

    assert [(change.action, change.wanted) for change in plan.changes] == [
        ("unchanged", None),
        ("blocked", "delete"),
    ]


def test_options_are_compared_where_the_files_state_them():
    assert only(wanted(message_send_ttl_seconds=60), [row()]).fields == ("message_send_ttl_seconds",)
    assert only(wanted(), [row(message_send_ttl_seconds=60)]).action == "unchanged"


def test_the_text_of_a_plan():
    listed = [row(**CHANGED), row(language="de", status="PENDING", **CHANGED)]
    text = render_plan(make_plan(wanted("en", "de", "es"), listed, now=NOW))

    assert "~ edit  late (en, APPROVED)" in text
    assert "      -body: It was late.\n      +body: It is late." in text
    assert "x blocked edit  late (de, PENDING)" in text
    assert text.endswith("1 create, 1 edit, 1 blocked.")


def test_a_record_survives_writing_and_is_empty_when_broken(tmp_path):
    path = tmp_path / "r.json"
    record = Record()
    record.save(path)
    assert not path.exists()
    record.edited("1", NOW)
    record.deleted("late", NOW)
    record.save(path)
    assert Record.load(path) == record
    for text in ("[", "[]", '{"edits": {"a": 1}, "deletions": {}}'):
        path.write_text(text)
        assert Record.load(path) == Record()


def test_two_records_of_one_file_both_stay(tmp_path):
    path = tmp_path / "r.json"
    first, second = Record.load(path), Record.load(path)
    first.edited("1", NOW)
    first.deleted("late", NOW)
    first.save(path)
    second.edited("1", NOW + 5)
    second.edited("2", NOW + 5)
    second.save(path)

    assert Record.load(path) == Record({"1": [NOW, NOW + 5], "2": [NOW + 5]}, {"late": NOW})
    assert [file.name for file in tmp_path.iterdir()] == ["r.json"]


def test_a_change_as_json_has_all_that_is_known_and_nothing_empty():
    assert Change(action="create", name="late", language="en").to_dict() == {
        "action": "create",
        "name": "late",
        "language": "en",
    }
    whole = Change(
        action="blocked",
        name="late",
        language="en",
        definition=next(iter(wanted().definitions.values())),
        wanted="edit",
        reason="too early",
        possible_at=0.0,
        status="APPROVED",
        drift=("a",),
        fields=("components",),
        diff=("+x",),
    ).to_dict()
    assert whole.pop("where")
    assert whole == {
        "action": "blocked",
        "name": "late",
        "language": "en",
        "wanted": "edit",
        "reason": "too early",
        "possible_at": "1970-01-01T00:00:00+00:00",
        "status": "APPROVED",
        "drift": ["a"],
        "fields": ["components"],
        "diff": ["+x"],
    }


def covered(*languages):
    return TemplateSet(wanted(*languages).definitions, prefixes=frozenset({"old_"}))


@pytest.mark.parametrize("prune", [True, False])
def test_what_is_covered_is_deleted_or_named_and_what_is_not_is_counted(prune):
    listed = [
        row(),
        row("old_a"),
        row("old_b", status="PENDING_DELETION"),
        row("other"),
        row("another", "de"),
    ]
    plan = make_plan(covered(), listed, now=NOW, prune=prune)

    assert plan.others == 2
    assert plan.leftover == (() if prune else (("old_a", "en"),))
    deleted = plan.of("delete")
    assert [(change.key, change.template_id, change.status) for change in deleted] == (
        [(("old_a", "en"), "old_a-en", "APPROVED")] if prune else []
    )
    assert plan.has_changes is prune
    assert plan.counts() == {
        "create": 0,
        "edit": 0,
        "delete": int(prune),
        "blocked": 0,
        "drifted": 0,
        "unchanged": 1,
    }
    if prune:
        assert deleted[0].diff


def test_a_deletion_that_is_blocked_says_what_was_wanted():
    (_, change) = make_plan(covered(), [row(), row("old_a", status="disabled")], now=NOW, prune=True).changes

    assert (change.action, change.wanted, change.key, change.status) == (
        "blocked",
        "delete",
        ("old_a", "en"),
        "DISABLED",
    )
    assert "cannot be deleted" in change.reason


def test_where_a_category_is_another_one_is_named_for_each_template():
    plan = make_plan(
        wanted("en", "de"),
        [
            row(category="MARKETING", previous_category="UTILITY"),
            row(language="de", quality_score={"score": "RED"}),
        ],
        now=NOW,
    )

    (line,) = plan.category_drift()
    assert line.startswith("late (en): ")
    assert "MARKETING" in line
    assert [change.action for change in plan.changes] == ["drifted", "drifted"]


def test_a_template_that_is_made_again_knows_the_one_that_was_there():
    change = only(wanted(), [row(status="DELETED", id=None)])
    assert change.template_id is None
    assert change.status == "DELETED"
    other = only(wanted(), [])
    assert (other.action, other.template_id, other.status) == ("create", None, None)
    assert other.diff


def test_a_name_of_another_template_and_one_that_is_gone_stand_in_nobody_s_way():
    listed = [
        row("other", "de", category="MARKETING"),
        row("late", "de", category="MARKETING", status="DELETED"),
        row("late", "fr"),
    ]

    assert only(wanted("en"), listed).action == "create"


def test_a_creation_that_is_blocked_says_what_was_wanted_and_shows_it():
    change = only(wanted("de"), [row(category="MARKETING")])

    assert (change.action, change.wanted, change.possible_at) == ("blocked", "create", None)
    assert [line for line in change.diff if line[0] in "+-"] == ["+category: UTILITY", "+body: It is late."]
    assert (change.key, change.template_id, change.status) == (("late", "de"), None, None)
    (made,) = wanted("de").definitions.values()
    assert change.definition == made


def test_what_drifts_is_named_beside_an_edit_and_a_block_too():
    facts = {**CHANGED, "quality_score": {"score": "RED"}, "correct_category": "MARKETING"}
    for status, action in (("APPROVED", "edit"), ("PENDING", "blocked")):
        change = only(wanted(), [row(**facts, status=status)])
        assert (change.action, len(change.drift), len(change.category_drift)) == (action, 2, 1)
        assert (change.fields, change.template_id, change.status) == (("components",), "late-en", status)
        assert change.diff


def listed(*, category="UTILITY", ttl=None, form="NAMED", **more):
    example = {"body_text_named_params": [{"param_name": "name", "example": "Ann"}]}
    body = {"type": "BODY", "text": "Late, {{name}}.", "example": example}
    return row(
        components=[body], category=category, message_send_ttl_seconds=ttl, parameter_format=form, **more
    )


@pytest.mark.parametrize(
    ("wanted", "now", "as_is", "fields"),
    [
        (listed(), listed(), False, ()),
        (listed(), listed(form="named"), False, ()),
        (listed(), listed(form=None), False, ("parameter_format",)),
        (listed(), listed(form=None), True, ()),
        (listed(category="MARKETING"), listed(), False, ("category",)),
        (listed(), listed(category=None), False, ("category",)),
        (listed(category=None), listed(category=None), False, ()),
        (listed(), listed(category="MARKETING", previous_category="UTILITY"), False, ()),
        (listed(ttl=60), listed(), False, ("message_send_ttl_seconds",)),
        (listed(ttl=60), listed(ttl=60), False, ()),
        (listed(), listed(ttl=60), False, ()),
        (
            listed(category="MARKETING", ttl=60),
            row(),
            False,
            ("components", "parameter_format", "category", "message_send_ttl_seconds"),
        ),
    ],
    ids=range(12),
)
def test_which_fields_an_edit_has_to_change(wanted, now, as_is, fields):
    definition = replace(TemplateDefinition.from_graph(wanted), as_is=as_is)

    assert changed_fields(definition, now) == fields


@pytest.mark.parametrize(
    ("action", "differs"),
    [
        ("create", True),
        ("edit", True),
        ("delete", True),
        ("blocked", True),
        ("drifted", False),
        ("unchanged", False),
    ],
)
def test_an_account_differs_by_what_is_to_do_or_blocked(action, differs):
    plan = Plan((Change(action=action, name="late", language="en"),))

    assert plan.has_changes is differs
    assert plan.counts() == {**dict.fromkeys(ACTIONS, 0), action: 1}
    assert plan.others == 0
