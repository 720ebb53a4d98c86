"""From the plan to the account and to the record, one wire at a time: each test fails when its call is left out."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    OutcomeUnknownError,
    PayloadError,
    RateLimitError,
    ServerError,
)
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
from airflow_provider_whatsapp.message_templates import apply
from airflow_provider_whatsapp.message_templates.apply import Applier
from airflow_provider_whatsapp.message_templates.blocks import Record
from airflow_provider_whatsapp.message_templates.files import TemplateSet, load_templates
from airflow_provider_whatsapp.message_templates.plan import FIELDS, Change, Plan, plan_templates

NOW = 1_800_000_000.0


def definition(name, body, category="UTILITY", **more):
    return {"name": name, "category": category, "languages": {"en_US": {"body": body, **more}}}


def row(number, name, status="APPROVED", body="It is late."):
    made = next(iter(load_templates([definition(name, body)]).definitions.values()))
    return {"id": str(number), "status": status, **made.create_payload({})}


class Account:
    """What Graph holds, in the transport's place; whoever asks for a change may meet an error before it or after."""

    def __init__(self, *rows):
        self.rows = {one["id"]: one for one in rows}
        self.before, self.after, self.asked, self.fields = {}, {}, [], set()

    def request(self, call):
        node = call.url.rsplit("/", 1)[1]
        if call.method == "GET":
            self.fields.add(call.query.get("fields"))
            found = [
                one
                for one in self.rows.values()
                if all(call.query.get(name) in (None, one[name]) for name in ("name", "language"))
            ]
            return {"data": found} if node == "message_templates" else self.rows[node]
        name = call.query.get("name") or (call.json or {}).get("name") or self.rows[node]["name"]
        kind = "delete" if call.method == "DELETE" else "create" if node == "message_templates" else "edit"
        self.asked.append(f"{kind} {name}")
        if name in self.before:
            raise self.before[name]
        answer = {"success": True}
        if kind == "delete":
            del self.rows[call.query["hsm_id"]]
        elif kind == "edit":
            self.rows[node] |= {**call.json, "status": "PENDING"}
        else:
            answer = {"id": f"1{len(self.asked)}", **call.json, "status": "PENDING"}
            self.rows[answer["id"]] = answer
        if name in self.after:
            raise self.after[name]
        return answer


NEW, EDITED, GONE = ("new_a", "new_b"), ("old_a", "old_b"), ("gone_a", "gone_b")
ALL = (
    [f"create {name}" for name in NEW]
    + [f"edit {name}" for name in EDITED]
    + [f"delete {name}" for name in GONE]
)


def changes(account, *, status="APPROVED"):
    """Plan two creations, two edits and two deletions."""
    for number, name in enumerate((*EDITED, *GONE), 1):
        account.rows[str(number)] = row(number, name, status)
    wanted = TemplateSet(
        load_templates([definition(name, "It is very late.") for name in (*NEW, *EDITED)]).definitions,
        prefixes=frozenset({"gone_"}),
    )
    client = WhatsAppClient(ClientConfig(api_key="k", waba_id="1"), transport=account)
    return client, plan_templates(client, wanted, prune=True, now=NOW)


def applied(account, *, status="APPROVED", **options):
    client, plan = changes(account, status=status)
    record = Record()
    report = Applier(client, record=record, now=lambda: NOW, **options).apply(plan)
    return report, record


def states(report):
    return {outcome.change.name: outcome.state for outcome in report.outcomes}


@pytest.mark.parametrize(
    ("status", "edits", "deletions"),
    [
        ("APPROVED", {"1": [NOW], "2": [NOW]}, dict.fromkeys(GONE, NOW)),
        ("REJECTED", {}, {}),
    ],
)
def test_what_was_approved_is_on_record_when_it_is_changed(status, edits, deletions):
    account = Account()
    report, record = applied(account, status=status)

    assert account.asked == ALL
    assert report.complete
    assert (record.edits, record.deletions) == (edits, deletions)


@pytest.mark.parametrize("status", ["APPROVED", "REJECTED"])
def test_an_edit_that_only_a_look_has_confirmed_is_on_record_too(status):
    account = Account()
    account.after["old_a"] = OutcomeUnknownError("lost")
    report, record = applied(account, status=status)

    assert report.complete
    assert account.fields == {FIELDS}, "what is compared has to be asked for"
    assert ("1" in record.edits) is (status == "APPROVED")
    (found,) = [outcome for outcome in report.outcomes if outcome.change.name == "old_a"]
    assert (found.detail, found.status, found.category, found.template_id) == (
        None,
        "PENDING",
        "UTILITY",
        "1",
    )


def test_a_deletion_that_only_a_look_has_confirmed_is_on_record_too():
    account = Account()
    account.after["gone_a"] = InvalidRequestError("no such template", permanent=True)
    report, record = applied(account)

    assert report.complete
    assert record.deletions == dict.fromkeys(GONE, NOW)


def test_an_edit_that_a_look_finds_not_made_has_failed_and_says_why():
    account = Account()
    account.before["old_a"] = OutcomeUnknownError("the answer was lost")
    report, record = applied(account)

    (found,) = report.of("failed")
    assert (found.change.name, found.status, found.template_id) == ("old_a", "APPROVED", "1")
    assert "the answer was lost" in found.detail
    assert list(record.edits) == ["2"]
    assert account.asked == ALL, "the next are tried, for looking has settled it"


def test_a_change_that_was_not_made_is_not_on_record():
    account = Account()
    for name in ("old_a", "gone_a"):
        account.before[name] = InvalidRequestError("no", permanent=True)
    report, record = applied(account)

    assert states(report) == dict.fromkeys((*NEW, *EDITED, *GONE), "done") | {
        "old_a": "failed",
        "gone_a": "failed",
    }
    assert (list(record.edits), list(record.deletions)) == (["2"], ["gone_b"])


def test_whoever_keeps_the_record_is_called_after_each_change_that_was_made():
    account = Account()
    account.before["old_a"] = InvalidRequestError("no", permanent=True)
    called = []
    applied(account, changed=lambda: called.append(len(account.asked)))

    assert called == [1, 2, 4, 5, 6]


# Meta's subcodes, as it documents them.
BEING_DELETED, TEMPLATE_LIMIT, EXISTS = 2388023, 2388019, 2388024
LIMIT = InvalidRequestError("no more", permanent=True, subcode=TEMPLATE_LIMIT)


@pytest.mark.parametrize(
    ("error", "state", "possible_at"),
    [
        pytest.param(RateLimitError("too fast", retry_after=60), "postponed", NOW + 60, id="a stated wait"),
        pytest.param(RateLimitError("too fast"), "postponed", NOW + 3600, id="an hour, where none is stated"),
        pytest.param(LIMIT, "blocked", None, id="the account's number of templates"),
    ],
)
@pytest.mark.parametrize("kind", ["create", "edit", "delete"])
def test_a_limit_ends_the_changes_of_its_kind_alone(error, state, possible_at, kind):
    first, second = {"create": NEW, "edit": EDITED, "delete": GONE}[kind]
    account = Account()
    account.before[first] = error
    report, _ = applied(account)

    assert account.asked == [asked for asked in ALL if asked != f"{kind} {second}"]
    assert states(report) == dict.fromkeys((*NEW, *EDITED, *GONE), "done") | {first: state, second: state}
    assert {outcome.possible_at for outcome in report.of(state)} == {possible_at}
    assert {outcome.detail for outcome in report.of(state)} == {str(error)}
    assert not report.failed
    assert not report.complete


def test_no_more_are_created_than_the_hour_allows():
    account = Account()
    report, _ = applied(account, max_creations=1)

    assert account.asked == [asked for asked in ALL if asked != "create new_b"]
    assert states(report)["new_b"] == "postponed"
    assert report.of("postponed")[0].possible_at == NOW + 3600
    assert (
        report.of("postponed")[0].detail == "Meta allows 1 new templates in an hour: run it again after that"
    )


def test_what_every_change_would_meet_ends_them_all():
    account = Account()
    account.before["new_b"] = AuthenticationError("no key", permanent=True)
    report, _ = applied(account)

    assert account.asked == ALL[:2]
    assert list(states(report).values()) == ["done", "failed", *["not tried"] * 4]
    assert report.of("failed")[0].detail == str(account.before["new_b"])
    assert {outcome.detail for outcome in report.of("not tried")} == {"the run ended with an earlier failure"}
    assert report.failed


@pytest.mark.parametrize(("allowed", "refused"), [(2, False), (1, True)])
def test_more_deletions_than_allowed_are_refused_before_anything_is_done(allowed, refused):
    account = Account()
    if refused:
        with pytest.raises(ConfigurationError, match=r"deletes 2 templates, more than max_deletions \(1\)"):
            applied(account, max_deletions=allowed)
    else:
        applied(account, max_deletions=allowed)
    assert account.asked == ([] if refused else ALL)


def test_a_sample_that_is_none_is_refused_before_anything_is_done(tmp_path):
    (tmp_path / "page.html").write_text("<p>")
    account = Account()
    wanted = load_templates(
        [definition("new", "Here it is."), definition("other", "Here.", header={"document": "page.html"})],
        folder=str(tmp_path),
    )
    client = WhatsAppClient(ClientConfig(api_key="k", waba_id="1"), transport=account)
    with pytest.raises(PayloadError, match=r"page\.html"):
        Applier(client).apply(plan_templates(client, wanted))
    assert account.asked == []


def test_a_sample_of_several_templates_goes_up_once_and_each_names_it(tmp_path):
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.7\n")
    account, uploads = Account(), []
    wanted = load_templates(
        [definition(name, "Here it is.", header={"document": "report.pdf"}) for name in NEW],
        folder=str(tmp_path),
    )
    client = WhatsAppClient(ClientConfig(api_key="k", waba_id="1"), transport=account)
    plan = plan_templates(client, wanted)
    client.media = SimpleNamespace(
        upload_sample=lambda path: uploads.append(path) or f"handle {len(uploads)}"
    )
    report = Applier(client).apply(plan)

    assert report.complete
    assert uploads == [tmp_path / "report.pdf"]
    assert all("handle 1" in str(one["components"]) for one in account.rows.values())


def test_a_plan_and_a_report_as_json():
    """What the command prints with --json, and what the operator returns: other programs read it."""
    account = Account(row(8, "unused"), row(9, "late", "APPROVED"))
    account.before["new_b"] = RateLimitError("too fast", retry_after=60)
    account.rows["8"]["name"] = "other"
    client, plan = changes(account)
    report = Applier(client, now=lambda: NOW).apply(plan)

    found = plan.to_dict()
    listed = found.pop("changes")
    assert found == {
        "create": 2,
        "edit": 2,
        "delete": 2,
        "blocked": 0,
        "drifted": 0,
        "unchanged": 0,
        "leftover": [],
        "others": 2,
        "warnings": [],
    }
    assert [(each["action"], each["name"], each["language"]) for each in listed] == [
        *(("create", name, "en_US") for name in NEW),
        *(("edit", name, "en_US") for name in EDITED),
        *(("delete", name, "en_US") for name in GONE),
    ]
    assert set(listed[0]) == {"action", "name", "language", "diff", "where"}
    assert set(listed[2]) == {"action", "name", "language", "status", "fields", "diff", "where"}
    assert (listed[2]["status"], listed[2]["fields"]) == ("APPROVED", ["components"])
    assert set(listed[4]) == {"action", "name", "language", "status", "diff"}

    found = report.to_dict()
    listed = found.pop("outcomes")
    counts = {"done": 5, "failed": 0, "unknown": 0, "blocked": 0, "postponed": 1, "not_tried": 0}
    assert found == {**counts, "drift": []}
    assert report.summary() == "5 done, 1 postponed"
    usual = {"language": "en_US", "state": "done"}
    made = next(one for one in account.rows.values() if one["name"] == "new_a")
    assert listed[0] == usual | {
        "action": "create",
        "name": "new_a",
        "status": "PENDING",
        "category": "UTILITY",
        "id": made["id"],
        "diff": ["+category: UTILITY", "+body: It is very late."],
    }
    late = {
        "state": "postponed",
        "detail": str(account.before["new_b"]),
        "possible_at": "2027-01-15T08:01:00+00:00",
    }
    assert [each.pop("diff") for each in listed[1:]] == [list(change.diff) for change in plan.changes[1:]]
    assert listed[1] == usual | {"action": "create", "name": "new_b"} | late
    assert listed[2] == usual | {"action": "edit", "name": "old_a", "status": "PENDING", "id": "1"}
    assert listed[4] == usual | {"action": "delete", "name": "gone_a", "status": "DELETED", "id": "3"}


def test_what_is_left_over_is_named_where_it_is_not_deleted():
    account = Account()
    client, _ = changes(account)
    wanted = TemplateSet(
        load_templates([definition("new", "It is late.")]).definitions, prefixes=frozenset({"gone_"})
    )
    plan = plan_templates(client, wanted, now=NOW)

    assert plan.to_dict()["leftover"] == [{"name": name, "language": "en_US"} for name in GONE]
    assert plan.to_dict()["others"] == 2


@pytest.mark.parametrize(
    ("category", "asked", "drift"),
    [
        ("MARKETING", "UTILITY", ["new (en_US): Meta has made it MARKETING, not UTILITY"]),
        ("UTILITY", "UTILITY", []),
        (None, "UTILITY", []),
    ],
    ids=str,
)
def test_a_category_that_meta_gives_instead_is_told(category, asked, drift):
    account = Account()
    client = WhatsAppClient(ClientConfig(api_key="k", waba_id="1"), transport=account)
    plan = plan_templates(client, load_templates([definition("new", "It is late.", asked)]), now=NOW)
    answer = account.request

    def request(call):
        found = answer(call)
        return found if call.method == "GET" else {**found, "category": category, "status": "APPROVED"}

    account.request = request
    report = Applier(client, now=lambda: NOW).apply(plan)

    assert list(report.drift) == drift
    assert (report.outcomes[0].category, report.outcomes[0].status) == (category, "APPROVED")


@pytest.mark.parametrize(
    ("now", "state", "words"),
    [
        pytest.param({"body": "It is very late."}, "done", "already holds this", id="just as wanted"),
        pytest.param(
            {"body": "Quite another."}, "failed", "it was created with other content", id="otherwise"
        ),
        pytest.param(None, "failed", "exists", id="not to be found"),
    ],
)
def test_a_template_that_another_apply_has_created_meanwhile(now, state, words):
    account = Account()
    client, plan = changes(account)
    account.rows["76"] = row(76, "new_a", "REJECTED", body="Es ist spät.") | {"language": "de"}
    if now is not None:
        account.rows["77"] = row(77, "new_a", "PENDING", **now)
    account.before["new_a"] = InvalidRequestError("it exists", permanent=True, subcode=EXISTS)
    report = Applier(client, now=lambda: NOW).apply(plan)

    (found,) = [outcome for outcome in report.outcomes if outcome.change.name == "new_a"]
    assert found.state == state
    assert words in found.detail
    facts = (found.status, found.category, found.template_id)
    assert facts == (("PENDING", "UTILITY", "77") if now is not None else (None, None, None))


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        (("components",), set()),
        (("category",), {"category"}),
        (("parameter_format",), {"parameter_format"}),
        (("message_send_ttl_seconds",), {"message_send_ttl_seconds"}),
        (("category", "parameter_format"), {"category", "parameter_format"}),
    ],
    ids=lambda value: "+".join(sorted(value)) or "nothing",
)
def test_an_edit_asks_for_what_has_changed_and_for_nothing_else(fields, names):
    """Meta refuses the category of an approved template, also where it is the one that the template has."""
    wanted = {**definition("late", "It is late."), "message_send_ttl_seconds": 60}
    made = next(iter(load_templates([wanted]).definitions.values()))
    payload = Applier._edit_payload(SimpleNamespace(fields=fields), made, {})

    assert set(payload) == {"components", *names}
    assert {name: payload[name] for name in names} == {
        name: value
        for name, value in {"category": "UTILITY", "parameter_format": "POSITIONAL", **made.options}.items()
        if name in names
    }


def test_what_meta_does_not_allow_yet_is_told_with_its_reason_and_not_asked_for():
    account = Account(row(1, "late", body="It was late."))
    wanted = load_templates([definition("late", "It is late.")])
    client = WhatsAppClient(ClientConfig(api_key="k", waba_id="1"), transport=account)
    record = Record()
    record.edited("1", NOW - 60)
    plan = plan_templates(client, wanted, record=record, now=NOW)
    report = Applier(client, record=record, now=lambda: NOW).apply(plan)

    (found,) = report.of("blocked")
    assert (found.detail, found.possible_at) == (plan.changes[0].reason, NOW - 60 + 86_400)
    assert found.detail
    assert account.asked == []


def test_a_change_as_json_leaves_out_what_is_empty():
    made = next(iter(load_templates([definition("late", "It is late.")]).definitions.values()))
    whole = Change(
        action="blocked",
        name="late",
        language="en_US",
        wanted="edit",
        reason="edited today",
        possible_at=NOW,
        drift=("a",),
        fields=("category",),
        diff=("- b",),
        definition=replace(made, where="late.yaml:3"),
        status="APPROVED",
        template_id="1",
    )

    assert whole.to_dict() == {
        "action": "blocked",
        "name": "late",
        "language": "en_US",
        "wanted": "edit",
        "reason": "edited today",
        "possible_at": "2027-01-15T08:00:00+00:00",
        "status": "APPROVED",
        "drift": ["a"],
        "fields": ["category"],
        "diff": ["- b"],
        "where": "late.yaml:3",
    }
    assert whole.key == ("late", "en_US")
    bare = Change(action="delete", name="late", language="en_US", diff=())
    assert bare.to_dict() == {"action": "delete", "name": "late", "language": "en_US"}


@pytest.mark.parametrize(("name", "number"), [("new_a", None), ("gone_a", "3")])
def test_what_the_client_has_looked_for_in_vain_stays_unknown_and_is_not_looked_for_again(name, number):
    """Only an edit is looked up here: it has an id, and the client does not know what it was to make."""
    account = Account()
    account.before[name] = OutcomeUnknownError("the answer was lost")
    looked = account.request

    def request(call):
        assert "None" not in call.url
        return looked(call)

    client, plan = changes(account)
    account.request = request
    report = Applier(client, record=Record(), now=lambda: NOW).apply(plan)

    (found,) = report.of("unknown")
    assert (found.change.name, found.template_id) == (name, number)
    assert "the answer was lost" in found.detail


def test_a_creation_that_is_refused_for_another_reason_is_not_looked_for():
    account = Account()
    client, plan = changes(account)
    account.rows["77"] = row(77, "new_a", "PENDING", body="It is very late.")
    account.before["new_a"] = InvalidRequestError("no", permanent=True, subcode=1)
    report = Applier(client, now=lambda: NOW).apply(plan)

    (found,) = [outcome for outcome in report.outcomes if outcome.change.name == "new_a"]
    assert (found.state, found.template_id) == ("failed", None)


def test_without_a_change_there_is_nothing_to_do():
    _, plan = changes(Account())

    assert apply.ApplyReport((), plan).summary() == "nothing to do"
    assert apply.ApplyReport((), plan).complete


def test_meta_s_limits_hold_where_no_others_are_given():
    client = WhatsAppClient(ClientConfig(api_key="k", waba_id="1"), transport=Account())
    (made,) = load_templates([definition("new", "It is late.")]).definitions.values()
    gone = Change(action="delete", name="old", language="en_US", template_id="1")
    with pytest.raises(ConfigurationError, match=r"11 templates, more than max_deletions \(10\)"):
        Applier(client).apply(Plan((gone,) * 11))
    creations = Plan((Change(action="create", name="new", language="en_US", definition=made),) * 101)
    report = Applier(client).apply(creations)

    assert report.summary() == "100 done, 1 postponed"


def test_a_creation_that_failed_is_none_of_the_hour_s():
    account = Account()
    account.before["new_a"] = InvalidRequestError("no", permanent=True)
    report, _ = applied(account, max_creations=1)

    assert (states(report)["new_a"], states(report)["new_b"]) == ("failed", "done")


@pytest.mark.parametrize("name", ["new_a", "old_a", "gone_a"])
def test_a_name_that_is_being_deleted_blocks_its_own_change_alone(name):
    account = Account()
    account.before[name] = InvalidRequestError("still there", permanent=True, subcode=BEING_DELETED)
    report, _ = applied(account)

    assert account.asked == ALL
    (found,) = report.of("blocked")
    assert (found.change.name, found.detail) == (name, str(account.before[name]))
    assert len(report.of("done")) == 5


def test_a_deletion_that_the_service_does_not_answer_has_failed_alone():
    account = Account()
    account.before["gone_a"] = ServerError("down")
    report, record = applied(account)

    (found,) = report.of("failed")
    assert (found.change.name, found.detail, found.template_id) == (
        "gone_a",
        str(account.before["gone_a"]),
        "3",
    )
    assert (len(report.of("done")), list(record.deletions)) == (5, ["gone_b"])


def after(account, name, change):
    """Let a change of a template be refused, for somebody else has changed it a moment ago."""

    error = InvalidRequestError("refused", permanent=True, subcode=EXISTS if name in NEW else None)
    client, plan = changes(account)
    answer = account.request

    def request(call):
        if call.method != "GET":
            node = call.url.rsplit("/", 1)[1]
            asked = call.query.get("name") or (call.json or {}).get("name") or account.rows[node]["name"]
            if asked == name:
                change(account)
                raise error
        return answer(call)

    account.request = request
    report = Applier(client, record=Record(), now=lambda: NOW).apply(plan)
    (found,) = [outcome for outcome in report.outcomes if outcome.change.name == name]
    assert all(outcome.state == "done" for outcome in report.outcomes if outcome is not found)
    assert name in GONE or account.fields == {FIELDS}, "what is compared has to be asked for"
    return found, report, str(error)


def with_row(number, **facts):
    return lambda account: account.rows[number].update(facts)


def created(**facts):
    return lambda account: account.rows.update(
        {"77": row(77, "new_a", "PENDING", "It is very late.") | facts}
    )


WANTED = {"components": [{"type": "BODY", "text": "It is very late."}]}
CHANGED_SINCE = "Since the plan it was changed with other content: plan again."
REFUSALS = {
    "nothing has changed": ("old_a", with_row("1"), "failed", "refused"),
    "another status": (
        "old_a",
        with_row("1", status="PAUSED"),
        "failed",
        CHANGED_SINCE,
    ),
    "no status": ("old_a", with_row("1", status=None), "failed", "refused"),
    "the wanted content": ("old_a", with_row("1", **WANTED), "done", "already holds this"),
    "the wanted content in another category": (
        "old_a",
        with_row("1", **WANTED, category="MARKETING"),
        "done",
        "already holds this",
    ),
    "an edited one is gone": ("old_a", with_row("1", status="DELETED"), "failed", "refused"),
    "a created one is gone": ("new_a", created(status="PENDING_DELETION"), "failed", "refused"),
    "a created one is of another category": ("new_a", created(category="MARKETING"), "done", "holds this"),
    "a deleted one is being deleted": ("gone_a", with_row("3", status="PENDING_DELETION"), "done", None),
    "a deleted one is there": ("gone_a", with_row("3"), "failed", "refused"),
}


@pytest.mark.parametrize(("name", "change", "state", "words"), REFUSALS.values(), ids=list(REFUSALS))
def test_a_refusal_is_held_against_what_the_account_holds_by_now(name, change, state, words):
    account = Account()
    found, report, error = after(account, name, change)

    assert found.state == state
    if words == "refused":
        assert found.detail == error, "WhatsApp's own error, and nothing that was not looked up"
        assert (found.status, found.category) == (None, None)
    elif words is not None:
        assert words in found.detail
        now = account.rows["77" if name in NEW else "1"]
        assert (found.status, found.category, found.template_id) == (
            now["status"],
            now["category"],
            now["id"],
        )
        if state == "done" and found.category == "MARKETING":
            assert len(report.drift) == 1


def test_what_has_failed_is_no_drift():
    found, report, _ = after(Account(), "old_a", with_row("1", status="PAUSED", category="MARKETING"))

    assert (found.state, found.category, report.drift) == ("failed", "MARKETING", ())


@pytest.mark.parametrize(("name", "subcode"), [("old_a", None), ("new_a", EXISTS)])
def test_a_look_that_fails_leaves_the_refusal_as_it_is(name, subcode):
    account = Account()
    client, plan = changes(account)
    account.before[name] = InvalidRequestError("refused", permanent=True, subcode=subcode)
    answer = account.request

    def request(call):
        if call.method == "GET":
            raise ServerError("down")
        return answer(call)

    account.request = request
    report = Applier(client, now=lambda: NOW).apply(plan)
    (found,) = report.of("failed")
    assert (found.change.name, found.detail) == (name, str(account.before[name]))


@pytest.mark.parametrize("early", [True, False])
def test_an_edit_that_may_have_been_too_early_is_blocked_until_it_is_not(early):
    changed = {"last_updated_time": "2027-01-15T07:59:00+0000"} if early else {}
    account = Account(row(1, "late", body="It was late.") | changed)
    client = WhatsAppClient(ClientConfig(api_key="k", waba_id="1"), transport=account)
    plan = plan_templates(client, load_templates([definition("late", "It is late.")]), now=NOW)
    account.before["late"] = InvalidRequestError("no", permanent=True)
    (found,) = Applier(client, now=lambda: NOW).apply(plan).outcomes

    said = str(account.before["late"])
    limit = " Meta allows one edit of an approved template in 24 hours and 10 in 30 days."
    assert (found.state, found.detail, found.possible_at) == (
        ("blocked", said + limit, NOW - 60 + 86_400) if early else ("failed", said, None)
    )


CATEGORIES = {
    "asked for, and not answered": ("MARKETING", "It is late.", None, "UTILITY", 0),
    "asked for, and answered": ("MARKETING", "It is late.", "UTILITY", "UTILITY", 0),
    "asked for, and refused": ("MARKETING", "It is late.", "MARKETING", "MARKETING", 1),
    "not asked for": ("UTILITY", "It was late.", None, None, 0),
}


@pytest.mark.parametrize(
    ("was", "body", "given", "found", "drifts"), CATEGORIES.values(), ids=list(CATEGORIES)
)
def test_the_category_of_an_edit_is_what_meta_answers_or_what_was_asked_for(was, body, given, found, drifts):
    account = Account(row(1, "late", "REJECTED", body) | {"category": was})
    client = WhatsAppClient(ClientConfig(api_key="k", waba_id="1"), transport=account)
    plan = plan_templates(client, load_templates([definition("late", "It is late.")]), now=NOW)
    answer = account.request
    account.request = lambda call: (
        answer(call) | ({"category": given} if given and call.method == "POST" else {})
    )
    report = Applier(client, now=lambda: NOW).apply(plan)

    assert (report.outcomes[0].category, len(report.drift)) == (found, drifts)


@pytest.mark.parametrize(
    ("body", "category", "lacks"),
    [
        ("It was late.", "UTILITY", True),
        ("It is late.", "UTILITY", False),
        ("It is late.", "MARKETING", False),
    ],
)
def test_meta_may_give_an_edited_template_another_category_than_was_asked_for(body, category, lacks):
    (made,) = load_templates([definition("late", "It is late.")]).definitions.values()
    now = row(1, "late", "PENDING", body) | {"category": category}
    for fields in (("components",), ("components", "category")):
        change = Change(action="edit", name="late", language="en_US", definition=made, fields=fields)
        assert apply._differs(change, now) is lacks
    change = replace(change, fields=("category",))
    assert apply._differs(change, now) is (lacks or category == "MARKETING"), "nothing else was asked for"


@pytest.mark.parametrize(("wanted", "action"), [("edit", "edit"), (None, "blocked")])
def test_an_outcome_as_json_says_what_was_wanted_and_nothing_empty(wanted, action):
    change = Change(action="blocked", wanted=wanted, name="late", language="en_US")

    assert apply.Outcome(change=change, state="blocked").to_dict() == {
        "action": action,
        "name": "late",
        "language": "en_US",
        "state": "blocked",
    }


def test_the_account_is_listed_in_large_pages_and_planned_for_by_the_machine_s_clock():
    account = Account(row(1, "late", body="It was late."))
    client = WhatsAppClient(ClientConfig(api_key="k", waba_id="1"), transport=account)
    asked, answer = [], account.request
    account.request = lambda call: asked.append(call.query) or answer(call)
    record = Record()
    record.edited("1", time.time() - 60)
    (change,) = plan_templates(
        client, load_templates([definition("late", "It is late.")]), record=record
    ).changes

    assert [query["limit"] for query in asked] == [250]
    assert (change.action, change.wanted) == ("blocked", "edit")


@pytest.mark.parametrize(
    ("state", "failed"),
    [
        ("done", False),
        ("failed", True),
        ("unknown", True),
        ("blocked", False),
        ("postponed", False),
        ("not tried", True),
    ],
)
def test_a_report_has_failed_by_what_went_wrong_and_not_by_what_has_to_wait(state, failed):
    change = Change(action="create", name="late", language="en_US")
    done, other = (apply.Outcome(change=change, state=each) for each in ("done", state))
    report = apply.ApplyReport((done, other), Plan((change, change)))

    assert (report.failed, report.complete) == (failed, state == "done")
    assert report.of(state) == ([done, other] if state == "done" else [other])
    assert report.summary() == ("2 done" if state == "done" else f"1 done, 1 {state}")
