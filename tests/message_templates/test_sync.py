"""Plan, apply and pull against the sandbox, over a socket."""

from __future__ import annotations

import os

import pytest

from airflow_provider_whatsapp.client.connection import config_from_environment
from airflow_provider_whatsapp.client.errors import APIError, ConfigurationError, PayloadError
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
from airflow_provider_whatsapp.message_templates.apply import Applier
from airflow_provider_whatsapp.message_templates.blocks import DAY, Record
from airflow_provider_whatsapp.message_templates.documents import TemplateFileError
from airflow_provider_whatsapp.message_templates.files import TemplateSet, load_templates
from airflow_provider_whatsapp.message_templates.plan import fetch_account, plan_templates
from airflow_provider_whatsapp.message_templates.pull import pull

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


def template(name="late", body="It is late.", languages=("en_US",), category="UTILITY", **content):
    return {
        "name": name,
        "category": category,
        "languages": {language: {"body": body, **content} for language in languages},
    }


@pytest.fixture
def client(sandbox, change_connection):
    change_connection(extra={"max_retries": 0})
    with WhatsAppClient(config_from_environment("maton_whatsapp_default", os.environ)) as client:
        yield client


def sync(client, *templates, prune=False, folder=None, record=None, **options):
    wanted = load_templates(list(templates), folder=folder)
    plan = plan_templates(client, wanted, prune=prune, record=record)
    return Applier(client, record=record or Record(), **options).apply(plan)


def states(report):
    return [outcome.state for outcome in report.outcomes]


def actions(client, *templates, **options):
    plan = plan_templates(client, load_templates(list(templates)), **options)
    return [change.action for change in plan.changes]


def approve(sandbox, name="late", language="en_US", **fields):
    sandbox.control("POST", "templates", name=name, language=language, **{"status": "APPROVED", **fields})


def written(sandbox):
    return [request for request in sandbox.requests if request["method"] in ("POST", "DELETE")]


def test_create_edit_delete_and_nothing_the_second_time(client, sandbox):
    assert sync(client, template(languages=("en_US", "pt_BR")), template("old")).complete
    approve(sandbox, language="pt_BR")
    approve(sandbox)

    wanted = template(body="It is very late.")
    report = sync(client, wanted, prune=True)
    assert [outcome.change.action for outcome in report.outcomes] == ["edit", "delete"]
    assert report.complete
    before = len(written(sandbox))
    assert sync(client, wanted, prune=True).outcomes == ()
    assert len(written(sandbox)) == before
    assert [row["name"] for row in fetch_account(client)] == ["hello_world", "late", "old"]


def test_named_and_numbered_variables_and_buttons_come_back_unchanged(client):
    wanted = [
        {**template("named", "Hi {{who}}, it is late."), "parameters": {"who": {"example": "Ann"}}},
        {
            **template("numbered", "Hi {{1}}, it is {{2}} late."),
            "parameters": {"1": {"example": "Ann"}, "2": {"example": "5"}},
        },
        template(
            "press", buttons=[{"type": "url", "text": "a", "url": "https://x.example/{{1}}", "example": "b"}]
        ),
        template(
            "answer", buttons=[{"type": "quick_reply", "text": "Yes"}, {"type": "quick_reply", "text": "No"}]
        ),
        {
            "name": "code",
            "category": "AUTHENTICATION",
            "languages": {
                "en_US": {
                    "body": {"add_security_recommendation": True},
                    "footer": {"code_expiration_minutes": 5},
                    "buttons": [{"type": "otp", "otp_type": "copy_code"}],
                }
            },
        },
    ]

    assert sync(client, *wanted).complete
    assert actions(client, *wanted) == ["unchanged"] * 5


def test_a_media_header_s_sample_is_uploaded_once(client, sandbox, tmp_path):
    (tmp_path / "sample.png").write_bytes(PNG)
    wanted = template(languages=("en_US", "de"), header={"image": "sample.png"})

    assert sync(client, wanted, folder=str(tmp_path)).complete
    assert len(sandbox.requests_to("/uploads")) == 1
    plan = plan_templates(client, load_templates([wanted], folder=str(tmp_path)))
    assert plan.counts()["unchanged"] == 2


@pytest.mark.parametrize(("name", "data"), [("empty.png", b""), ("song.mp3", b"ID3" + bytes(64))])
def test_samples_are_looked_at_before_anything_is_done(client, sandbox, tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(PayloadError):
        sync(client, template("first"), template(header={"image": name}), folder=str(tmp_path))
    assert written(sandbox) == []


def test_a_sample_needs_no_app_id(sandbox, change_connection, tmp_path):
    (tmp_path / "sample.png").write_bytes(PNG)
    change_connection(drop=["app_id"])
    with WhatsAppClient(config_from_environment("maton_whatsapp_default", os.environ)) as client:
        sync(client, template(header={"image": "sample.png"}), folder=str(tmp_path))
    assert any(each["path"].endswith("/app/uploads") for each in sandbox.requests)


def test_more_deletions_than_allowed_are_refused_before_anything_is_done(client, sandbox):
    sync(client, template(languages=("en_US", "de", "es")))
    before = len(written(sandbox))

    with pytest.raises(ConfigurationError, match="deletes 2 templates"):
        sync(client, template(), template("new"), prune=True, max_deletions=1)
    assert len(written(sandbox)) == before


def test_creations_beyond_the_hour_s_limit_are_postponed(client, sandbox):
    wanted = [template(f"t{number}") for number in range(5)]

    report = sync(client, *wanted, max_creations=3)
    assert states(report) == ["done"] * 3 + ["postponed"] * 2
    assert not report.failed
    assert not report.complete
    assert report.outcomes[3].possible_at
    assert states(sync(client, *wanted, max_creations=3)) == ["done"] * 2


def test_meta_s_own_refusal_for_being_too_fast_postpones(client, sandbox):
    sync(client, template("there"))
    body = {"error": {"message": "(#80008) Too many", "code": 80008, "type": "OAuthException"}}
    sandbox.fail_next(
        "status", status=400, body=body, method="POST", path="message_templates", skip=1, times=0
    )
    sandbox.fail_next("status", status=400, body=body, method="DELETE", path="nowhere")

    report = sync(client, template("a"), template("b"), template("c"))
    assert states(report) == ["done", "postponed", "postponed"]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"kind": "drop_before"}, ["done", "unknown", "not tried"]),
        ({"kind": "drop_after"}, ["done", "done", "done"]),
        ({"kind": "status", "status": 500}, ["done", "unknown", "not tried"]),
        ({"kind": "status", "status": 401}, ["done", "failed", "not tried"]),
    ],
)
def test_a_failure_half_way_is_told_truly_and_made_good_by_the_next_run(client, sandbox, fault, expected):
    wanted = [template("a"), template("b"), template("c")]
    kind = fault.pop("kind")
    sandbox.fail_next(kind, **fault, method="POST", path="message_templates", skip=1)

    report = sync(client, *wanted)
    assert states(report) == expected
    there = {row["name"] for row in fetch_account(client)} - {"hello_world"}
    assert there == {outcome.change.name for outcome in report.of("done")}
    assert sync(client, *wanted).complete
    assert actions(client, *wanted) == ["unchanged"] * 3


@pytest.mark.parametrize(("kind", "state"), [("drop_before", "failed"), ("drop_after", "done")])
def test_an_edit_whose_answer_is_lost_is_settled_by_looking(client, sandbox, kind, state):
    sync(client, template())
    approve(sandbox)
    sandbox.fail_next(kind, method="POST")

    assert states(sync(client, template(body="It is very late."))) == [state]


def test_a_deletion_whose_answer_is_lost_is_repeated(client, sandbox, change_connection):
    sync(client, template(languages=("en_US", "de")))
    change_connection(extra={"max_retries": 2})
    sandbox.fail_next("drop_after", method="DELETE")

    with WhatsAppClient(config_from_environment("maton_whatsapp_default", os.environ)) as client:
        assert states(sync(client, template(), prune=True)) == ["done"]


def test_one_refused_template_does_not_keep_the_others(client, sandbox):
    sync(client, template("gone"))
    approve(sandbox, "gone")
    sync(client, template("stays"), prune=True)
    client.templates.delete(name="gone")

    report = sync(client, template("gone"), template("new"))
    assert states(report) == ["blocked", "done"]
    assert "2388023" in report.outcomes[0].detail


def test_the_second_edit_within_a_day_is_blocked_by_the_record_or_by_meta(client, sandbox):
    record = Record()
    sync(client, template(), record=record)
    approve(sandbox)
    assert sync(client, template(body="It is very late."), record=record).complete
    approve(sandbox)

    again = template(body="It is much too late.")
    (change,) = plan_templates(client, load_templates([again]), record=record).changes
    assert (change.action, change.wanted) == ("blocked", "edit")
    assert 0 < change.possible_at - record.edits[change.template_id][0] <= DAY
    report = sync(client, again)  # without the record Meta is asked, and refuses
    assert states(report) == ["blocked"]
    assert report.outcomes[0].possible_at
    sandbox.control("POST", "clock", advance=DAY + 1)
    assert sync(client, again).complete


def test_a_template_in_review_blocks_its_edit(client):
    sync(client, template())

    assert states(sync(client, template(body="It is very late."))) == ["blocked"]


def test_a_category_that_meta_changes_is_drift(client, sandbox):
    sync(client, template())
    sandbox.control("POST", "templates", name="late", language="en_US", category="MARKETING")

    assert actions(client, template()) == ["drifted"]


def test_a_category_that_meta_gives_at_creation_is_told(client, sandbox):
    sandbox.control("POST", "reviews", name="late", category="MARKETING")

    report = sync(client, template())
    assert report.complete
    assert report.drift == ("late (en_US): Meta has made it MARKETING, not UTILITY",)


def test_an_account_that_cannot_be_read_is_an_error(client, sandbox):
    sandbox.fail_next("status", status=403, method="GET")
    with pytest.raises(APIError):
        sync(client, template())


@pytest.mark.parametrize("target", ["folder", "one.yaml", "one.json"])
def test_a_pull_followed_by_a_plan_shows_no_change(client, sandbox, tmp_path, target):
    (tmp_path / "sample.png").write_bytes(PNG)
    sync(
        client,
        template("late", languages=("en_US", "de")),
        template("picture", header={"image": "sample.png"}),
        {**template("named", "Hi {{who}}, hello."), "parameters": {"who": {"example": "Ann"}}},
        folder=str(tmp_path),
    )
    path = tmp_path / target

    result = pull(fetch_account(client), path)
    assert result["templates"] == 5
    assert len(result["written"]) == (4 if target == "folder" else 1)
    plan = plan_templates(client, load_templates(path))
    assert plan.counts()["unchanged"] == 5
    assert pull(fetch_account(client), path)["written"] == []


def test_a_pull_keeps_what_is_the_same_and_the_path_of_a_sample(client, sandbox, tmp_path):
    (tmp_path / "sample.png").write_bytes(PNG)
    content = "{header: {image: sample.png}, body: It is late.}"
    text = f"# ours\nname: late\ncategory: UTILITY\nlanguages: {{en_US: {content}}}\n"
    (tmp_path / "ours.yaml").write_text(text)
    plan = plan_templates(client, load_templates(tmp_path))
    assert Applier(client).apply(plan).complete

    assert pull(fetch_account(client), tmp_path)["written"] == [str(tmp_path / "hello_world.yaml")]
    assert (tmp_path / "ours.yaml").read_text() == text
    approve(sandbox)
    made = client.templates.find("late", "en_US")
    client.templates.edit(made["id"], components=_edited(client, plan))
    with pytest.raises(ConfigurationError, match=r"no pull wrote .*ours\.yaml"):
        pull(fetch_account(client), tmp_path)
    assert (tmp_path / "ours.yaml").read_text() == text
    assert pull(fetch_account(client), tmp_path, force=True)["written"] == [str(tmp_path / "ours.yaml")]
    assert "image: sample.png" in (tmp_path / "ours.yaml").read_text()
    assert plan_templates(client, load_templates(tmp_path)).counts()["unchanged"] == 2


def _edited(client, plan):
    handle = client.media.upload_sample(PNG, filename="a.png")
    payload = plan.changes[0].definition.payload_components({"sample.png": handle})
    return [part if part["type"] != "BODY" else {"type": "BODY", "text": "Later."} for part in payload]


def test_what_today_s_rules_refuse_is_pulled_as_it_is(client, sandbox, tmp_path, monkeypatch):
    rows = fetch_account(client)
    old = {
        **rows[0],
        "name": "old",
        "components": [{"type": "BODY", "text": "{{1}} is late", "example": {"body_text": [["a"]]}}],
    }

    assert pull([*rows, old], tmp_path)["as_is"] == ["old (en_US)"]
    found = load_templates(tmp_path)
    assert found.definitions["old", "en_US"].as_is
    (tmp_path / "old.yaml").write_text((tmp_path / "old.yaml").read_text().replace("as_is: true", ""))
    with pytest.raises(TemplateFileError):
        load_templates(tmp_path)


def planned(client, *templates, **options):
    return plan_templates(client, load_templates(list(templates)), **options)


def test_the_second_of_two_applies_says_what_the_account_holds(client, sandbox):
    sync(client, template("edited"), template("gone"))
    approve(sandbox, "edited")
    plan = planned(client, template("new"), template("edited", "It is very late."))

    assert states(Applier(client).apply(plan)) == ["done", "done"]
    report = Applier(client).apply(plan)

    assert states(report) == ["done", "done"]
    assert all("since the plan" in outcome.detail for outcome in report.outcomes)
    assert [outcome.status for outcome in report.outcomes] == ["PENDING", "PENDING"]
    assert report.outcomes[0].template_id == client.templates.find("new", "en_US")["id"]


def test_the_second_of_two_applies_does_not_take_other_content_for_its_own(client, sandbox):
    sync(client, template("edited"))
    approve(sandbox, "edited")
    ours = planned(client, template("new"), template("edited", "It is very late."))
    theirs = planned(client, template("new", "Theirs."), template("edited", "It is theirs."))

    assert states(Applier(client).apply(theirs)) == ["done", "done"]
    report = Applier(client).apply(ours)

    assert states(report) == ["failed", "failed"]
    assert all("plan again" in outcome.detail for outcome in report.outcomes)


def test_two_applies_that_delete(client, sandbox):
    sync(client, template("late_old"), template("late"))
    found = load_templates([template("late")])
    plan = plan_templates(client, TemplateSet(found.definitions, frozenset(["late"])), prune=True)

    assert states(Applier(client).apply(plan)) == ["done"]
    assert states(Applier(client).apply(plan)) == ["done"]


def test_the_account_comes_in_pages_of_the_size_that_was_asked_for(client, sandbox):
    sync(client, template("late"), template("later"))
    before = len(sandbox.requests_to("message_templates"))

    assert [row["name"] for row in fetch_account(client, page_size=1)] == ["hello_world", "late", "later"]
    assert len(sandbox.requests_to("message_templates")) - before == 3
