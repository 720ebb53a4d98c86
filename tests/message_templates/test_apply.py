"""Report and account agree, whatever answers are lost on the way."""

from __future__ import annotations

import copy
import json
import os

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_whatsapp.cli import main
from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.connection import config_from_environment
from airflow_provider_whatsapp.client.errors import (
    InvalidRequestError,
    NotFoundError,
    NotSentError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
from airflow_provider_whatsapp.message_templates.apply import Applier
from airflow_provider_whatsapp.message_templates.files import TemplateSet, load_templates
from airflow_provider_whatsapp.message_templates.plan import (
    changed_fields,
    fetch_account,
    in_order,
    plan_templates,
)

OK, BEFORE, AFTER, NOT_SENT, TOO_FAST, REFUSED = "ok", "lost before", "lost after", "not sent", "429", "400"
FORBIDDEN, SAYS_NOTHING = "403", "{}"
FATES = st.lists(
    st.sampled_from([OK, OK, BEFORE, AFTER, NOT_SENT, TOO_FAST, REFUSED, FORBIDDEN, SAYS_NOTHING]),
    max_size=14,
)

EARLIER = ("edit_a", "edit_b", "delete_a", "delete_b")
LATER = ("create_a", "create_b", "edit_a", "edit_b")
MOVED = "moved"


def definition(name, body, category="UTILITY"):
    return {"name": name, "category": category, "languages": {"en_US": {"body": body}}}


WANTED = TemplateSet(
    load_templates(
        [*(definition(name, "It is very late.") for name in LATER), definition(MOVED, "It is late.")]
    ).definitions,
    prefixes=frozenset({"delete_"}),
)
BEFORE_ALL = [
    {
        "id": str(number),
        "status": "REJECTED" if each.name == MOVED else "APPROVED",
        **each.create_payload({}),
    }
    for number, each in enumerate(
        load_templates(
            [
                *(definition(name, "It is late.") for name in EARLIER),
                definition(MOVED, "It is late.", "MARKETING"),
            ]
        ).definitions.values(),
        1,
    )
]


class Account:
    """
    What Graph holds, in the transport's place: each request meets the next of the fates.

    Like the transport it repeats what may happen twice, and tells by ``doubt`` what may not.
    """

    def __init__(self, repeats):
        self.rows = {row["id"]: copy.deepcopy(row) for row in BEFORE_ALL}
        self.fates = iter(())
        self.repeats = repeats
        self.asked = []

    def request(self, call):
        for left in reversed(range(self.repeats + 1)):
            try:
                return self.once(call)
            except (ServerError, NotSentError, RateLimitError):
                if not left:
                    raise
        raise AssertionError

    def once(self, call):
        fate = next(self.fates, OK)
        if fate == NOT_SENT:
            raise NotSentError("no connection")
        if fate == TOO_FAST:
            raise RateLimitError("too fast", retry_after=1)
        if fate == REFUSED:
            raise InvalidRequestError("no", http_status=400, permanent=True)
        if fate == FORBIDDEN:
            raise PermissionDeniedError("no scope", http_status=403, permanent=True)
        if fate == SAYS_NOTHING and (call.doubt is not None or call.method == "GET"):
            return {}
        answer = self.carry_out(call) if fate != BEFORE else None
        if fate in (OK, SAYS_NOTHING) and answer is None:
            raise NotFoundError("there is none")
        if fate in (OK, SAYS_NOTHING):
            return answer
        raise ServerError("lost") if call.doubt is None else OutcomeUnknownError("lost", advice=call.doubt)

    def carry_out(self, call):
        node = call.url.rsplit("/", 1)[1]
        if call.method == "GET":
            of_the_name = [row for row in self.rows.values() if call.query.get("name") in (None, row["name"])]
            return {"data": of_the_name} if node == "message_templates" else self.rows.get(node)
        if call.method == "DELETE":
            self.asked.append(call.query["name"])
            return {"success": True} if self.rows.pop(call.query["hsm_id"], None) else None
        if node != "message_templates":
            self.asked.append(self.rows[node]["name"])
            self.rows[node] |= {**call.json, "status": "PENDING"}
            return {"success": True}
        self.asked.append(call.json["name"])
        row = {"id": str(100 + len(self.asked)), **call.json, "status": "PENDING"}
        self.rows[row["id"]] = row
        return {key: row[key] for key in ("id", "status", "category")}

    def named(self, name):
        return next((row for row in self.rows.values() if row["name"] == name), None)


def check(account, outcome):
    """Hold one outcome against what the account has."""
    change, row = outcome.change, account.named(outcome.change.name)
    was = next((row for row in BEFORE_ALL if row["name"] == change.name), None)
    if outcome.state == "done" and change.action == "delete":
        assert row is None
        assert (outcome.status, outcome.template_id) == ("DELETED", was["id"])
    elif outcome.state == "done":
        assert not changed_fields(change.definition, row)
        assert row["category"] == "UTILITY"
        assert (outcome.status, outcome.template_id) == (row["status"], row["id"])
    elif outcome.state != "unknown":
        assert row == was, f"{change.name} is {outcome.state}, and the account has changed"
    if outcome.state == "not tried":
        assert change.name not in account.asked
        assert (outcome.status, outcome.template_id) == (None, None)


@given(fates=FATES, repeats=st.integers(0, 2))
@example(fates=[OK, OK, AFTER], repeats=0)  # an edit that was carried out, and three changes after it
@example(fates=[AFTER, BEFORE], repeats=0)  # a creation that was carried out, and a look that fails
@example(fates=[*[OK] * 5, AFTER, BEFORE], repeats=0)  # the same of a deletion
@example(fates=[*[OK] * 5, AFTER, NOT_SENT], repeats=1)  # a deletion whose repetition does not leave
@example(fates=[*[OK] * 5, AFTER, TOO_FAST], repeats=1)
@example(fates=[*[OK] * 5, AFTER, FORBIDDEN, FORBIDDEN], repeats=1)
@example(fates=[*[OK] * 4, REFUSED], repeats=0)  # an edit of the category alone
def test_report_and_account_agree_whatever_answers_are_lost(fates, repeats):
    account = Account(repeats)
    client = WhatsAppClient(ClientConfig(api_key="k", waba_id="1"), transport=account)
    plan = plan_templates(client, WANTED, prune=True)
    todo = in_order(plan.changes)
    assert [change.name for change in todo] == [*LATER, MOVED, *EARLIER[2:]]
    account.fates = iter(fates)

    report = Applier(client).apply(plan)
    assert [outcome.change for outcome in report.outcomes] == todo
    for outcome in report.outcomes:
        check(account, outcome)
    assert report.complete == all(outcome.state == "done" for outcome in report.outcomes)
    if report.of("unknown", "not tried"):
        assert report.failed
    changes = [name for name in account.asked if not name.startswith("delete_")]
    assert len(changes) == len(set(changes)), "a change that must not happen twice was asked for twice"

    account.fates = iter(())
    if not report.complete:
        Applier(client).apply(plan_templates(client, WANTED, prune=True))
    left = plan_templates(client, WANTED, prune=True)
    assert not left.of("create", "edit", "delete"), "the next run makes good what this one has not done"


@pytest.fixture
def files(sandbox, tmp_path, change_connection, capsys):
    """Give a file by which two templates are to be created, two edited and two deleted."""
    change_connection(extra={"max_retries": 0})
    file = tmp_path / "all.yaml"

    def write(names, body):
        parts = [{"prune": {"prefixes": ["delete_"]}}, *(definition(name, body) for name in names)]
        file.write_text(yaml.safe_dump_all(parts))

    write(EARLIER, "It is late.")
    assert main(["templates", "apply", str(file)]) == 0
    for name in EARLIER:
        sandbox.control("POST", "templates", name=name, language="en_US", status="APPROVED")
    write(LATER, "It is very late.")
    capsys.readouterr()
    return file


LOST = {"kind": "drop_after"}
CREATION = {"method": "POST", "path": "*/message_templates"}
EDIT = {"method": "POST", "path": "*v2?.0/[0-9]*[0-9]"}
DELETION = {"method": "DELETE"}
LOOK = {"method": "GET", "kind": "status", "status": 502, "skip": 1}
DONE, NOT_TRIED = "done", "not tried"


def account():
    with WhatsAppClient(config_from_environment("maton_whatsapp_default", os.environ)) as client:
        return fetch_account(client)


@pytest.mark.parametrize(
    ("faults", "states", "status"),
    [
        ([], [DONE] * 6, 0),
        ([CREATION | LOST, EDIT | LOST | {"times": 2}, DELETION | LOST], [DONE] * 6, 0),
        ([EDIT | LOST], [DONE] * 6, 0),
        ([EDIT | {"kind": "drop_before"}], [DONE, DONE, "failed", DONE, DONE, DONE], 1),
        ([EDIT | {"kind": "status", "status": 500, "skip": 1}], [DONE] * 3 + ["failed", DONE, DONE], 1),
        ([DELETION | {"kind": "status", "status": 503}], [DONE] * 4 + ["failed", DONE], 1),
        ([EDIT | LOST, LOOK], [DONE, DONE, "unknown", *[NOT_TRIED] * 3], 1),
        ([DELETION | LOST, LOOK], [DONE] * 4 + ["unknown", NOT_TRIED], 1),
        ([CREATION | LOST, LOOK], ["unknown", *[NOT_TRIED] * 5], 1),
    ],
)
def test_the_command_says_what_the_account_holds(files, sandbox, capsys, faults, states, status):
    before = {row["name"]: row for row in account()}
    for fault in faults:
        sandbox.fail_next(**fault)

    assert main(["templates", "apply", str(files), "--prune", "--json"]) == status
    outcomes = json.loads(capsys.readouterr().out)["outcomes"]
    assert [outcome["state"] for outcome in outcomes] == states
    now = {row["name"]: row for row in account()}
    for outcome in outcomes:
        was, row = before.get(outcome["name"]), now.get(outcome["name"])
        if outcome["state"] == "done" and outcome["action"] != "delete":
            assert (outcome["id"], outcome["status"]) == (row["id"], row["status"])
            assert row["components"][0]["text"] == "It is very late."
        elif outcome["state"] in ("failed", "not tried"):
            assert row == was
            assert "status" not in outcome or outcome["status"] == row["status"]
