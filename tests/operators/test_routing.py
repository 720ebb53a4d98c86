"""Templates by the endpoint that Meta has for their category, and the category that a task counts on."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp._compat import AirflowFailException
from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook
from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator
from airflow_provider_whatsapp.operators.messages import SendTemplateOperator
from airflow_provider_whatsapp.operators.sql import SqlToWhatsAppOperator

TO = "+15550001111"
PEOPLE = [f"+1555{place:07}" for place in range(40)]
BODY = {"type": "BODY", "text": "The summer sale begins today."}


@pytest.fixture
def template(sandbox):
    """Make an approved template of a category."""

    def make(category, name="sale", *components):
        MatonWhatsAppHook().create_template(name, "en_US", category, [*components, BODY])
        sandbox.control("POST", "templates", name=name, status="APPROVED")

    return make


def context(number=1):
    ti = SimpleNamespace(dag_id="dag", run_id="run", task_id="send", map_index=-1, try_number=number)
    ti.max_tries, ti.xcom_push = 3, lambda **_: None
    return {"ti": ti}


def one(**options):
    return SendTemplateOperator(task_id="send", **{"to": TO, "template_name": "sale", **options})


def many(**options):
    return BroadcastTemplateOperator(
        task_id="send", **{"recipients": PEOPLE[:4], "template_name": "sale", **options}
    )


def endpoints(sandbox):
    return {each["endpoint"] for each in sandbox.messages}


def beside(sandbox):
    """Requests that are no sends."""
    return [request for request in sandbox.requests if "messages" not in request["path"].rpartition("/")[2]]


@pytest.mark.parametrize("make", [one, many], ids=["one", "broadcast"])
@pytest.mark.parametrize(
    ("category", "onboarding", "options", "endpoint", "asked"),
    [
        ("MARKETING", "ONBOARDED", {}, "marketing_messages", True),
        ("MARKETING", "ELIGIBLE", {}, "messages", True),
        ("UTILITY", "ONBOARDED", {}, "messages", False),
        ("MARKETING", "ONBOARDED", {"marketing": "cloud_api"}, "messages", False),
        ("MARKETING", "ONBOARDED", {"marketing": "strict"}, "marketing_messages", True),
        ("MARKETING", "ONBOARDED", {"check_template": "false"}, "messages", False),
        ("MARKETING", "ONBOARDED", {"expect_category": "marketing"}, "marketing_messages", True),
    ],
    ids=["marketing", "not_onboarded", "utility", "cloud_api", "strict", "unchecked", "expected"],
)
def test_the_endpoint_is_that_of_the_category(
    sandbox, template, make, category, onboarding, options, endpoint, asked
):
    template(category)
    sandbox.control("POST", "accounts", onboarding=onboarding)
    before = len(beside(sandbox))

    report = make(**options).execute({})

    assert report["sent"] == len(sandbox.messages) > 0
    assert endpoints(sandbox) == {endpoint}
    assert report["endpoints"] == {endpoint: report["sent"]}
    assert report.get("category") == (None if "check_template" in options else category)
    requests = beside(sandbox)[before:]
    assert any("marketing_messages_onboarding_status" in request["query"] for request in requests) is asked
    assert len(requests) <= 3, "look-up, status and health cost three requests at most"
    policy = {each["payload"].get("product_policy") for each in sandbox.messages}
    strict = options.get("marketing") == "strict"
    expected = "STRICT" if strict else "CLOUD_API_FALLBACK"
    assert policy == {expected if endpoint == "marketing_messages" else None}


@pytest.mark.parametrize("make", [one, many], ids=["one", "broadcast"])
def test_a_status_that_cannot_be_read_stops_nothing(sandbox, template, make, capfd):
    template("MARKETING")
    sandbox.fail_next(
        "status",
        status=400,
        body={"error": {"code": 100}},
        method="GET",
        path=sandbox.extra["waba_id"],
        skip=1,
    )

    report = make(check_template=True).execute({})

    assert report["endpoints"] == {"messages": report["sent"]}
    assert "cannot read whether the account is onboarded" in capfd.readouterr().out


def test_an_account_that_is_slow_to_say_stops_nothing(sandbox, template, monkeypatch):
    template("MARKETING")
    monkeypatch.setattr("airflow_provider_whatsapp.operators._routing._SECONDS", 0.1)
    sandbox.fail_next("slow", seconds=2, method="GET", path=f"/{sandbox.extra['waba_id']}", skip=1)

    assert one().execute({})["endpoints"] == {"messages": 1}


def test_where_health_may_not_be_read_it_is_three_requests_still(sandbox, template):
    template("MARKETING")
    sandbox.control("POST", "health_status", refused=True)
    before = len(beside(sandbox))

    report = many().execute({})

    assert report["endpoints"] == {"marketing_messages": 4}
    assert len(beside(sandbox)) - before <= 3


def test_a_message_s_second_request_has_a_permit_of_its_own(sandbox, template):
    template("MARKETING")
    task = many()
    messages, permits = task.hook.client.messages, []
    permit = messages.permit
    messages.permit = lambda stop: permits.append(stop) or permit(stop)
    sandbox.control("POST", "templates", name="sale", correct_category="UTILITY", notice=3_600)

    class Late(BroadcastTemplateOperator):
        def _send_to(self, key, message, **options):
            sandbox.control("POST", "clock", advance=3_600)
            return super()._send_to(key, message, **options)

    late = Late(task_id="send", recipients=PEOPLE[:4], template_name="sale")
    late.__dict__["hook"] = task.hook
    late.execute({})

    sends = [request for request in sandbox.requests if request["path"].endswith("messages")]
    assert len(sends) == len(permits) > 4


def test_an_account_that_is_not_onboarded_is_a_warning(sandbox, template, capfd):
    template("MARKETING")
    sandbox.control("POST", "accounts", onboarding="ELIGIBLE")

    one().execute({})

    assert "not onboarded to the Marketing Messages API (ELIGIBLE)" in capfd.readouterr().out


def test_activity_sharing_goes_with_it(sandbox, template):
    template("MARKETING")

    one(message_activity_sharing="false").execute({})
    one(message_activity_sharing=True, marketing="strict").execute({})
    one(message_activity_sharing="None").execute({})

    assert [each["payload"].get("message_activity_sharing") for each in sandbox.messages] == [
        False,
        True,
        None,
    ]


@pytest.mark.parametrize("make", [one, many], ids=["one", "broadcast"])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"marketing": "always"}, 'marketing: "always" is not known'),
        ({"message_activity_sharing": "perhaps"}, "message_activity_sharing"),
        ({"expect_category": "SALE"}, 'expect_category: "SALE" is not known'),
        (
            {"marketing": "cloud_api", "message_activity_sharing": True},
            "message_activity_sharing: needs the Marketing",
        ),
        (
            {"expect_category": "UTILITY", "check_template": False},
            "expect_category: needs a look-up of the template",
        ),
    ],
    ids=["mode", "sharing", "category", "contradiction", "unchecked"],
)
def test_arguments_that_cannot_be_right_are_one_error_before_any_request(sandbox, make, options, said):
    with pytest.raises(AirflowFailException) as caught:
        make(**options).execute({})

    assert said in str(caught.value)
    assert sandbox.requests == []


@pytest.mark.parametrize("make", [one, many], ids=["one", "broadcast"])
@pytest.mark.parametrize(
    ("options", "change", "said"),
    [
        (
            {"expect_category": "UTILITY"},
            {"category": "MARKETING"},
            "is MARKETING, not UTILITY (Meta has moved it)",
        ),
        ({"marketing": "strict"}, {}, "this one is UTILITY"),
        (
            {"marketing": "strict"},
            {"category": "MARKETING", "onboarding": "ELIGIBLE"},
            "this one is ELIGIBLE",
        ),
    ],
    ids=["moved", "strict_utility", "strict_not_onboarded"],
)
def test_what_is_certain_to_be_wrong_ends_before_the_first_message(
    sandbox, template, make, options, change, said
):
    template("UTILITY")
    sandbox.control("POST", "accounts", onboarding=change.get("onboarding", "ONBOARDED"))
    if "category" in change:
        sandbox.control("POST", "templates", name="sale", category=change["category"])

    with pytest.raises(AirflowFailException) as caught:
        make(**options).execute({})

    assert said in str(caught.value)
    assert sandbox.requests_to("messages") == []


def test_an_expected_category_has_to_be_known(sandbox, template, change_connection):
    template("UTILITY")
    sandbox.fail_next("status", status=503, method="GET", path="message_templates", times=0)
    change_connection(extra={"max_retries": 0})
    with pytest.raises(WhatsAppError) as caught:
        one(expect_category="UTILITY").execute({})
    assert not caught.value.permanent, "a retry may find it"

    sandbox.clear_faults()
    change_connection(drop=("waba_id",))
    with pytest.raises(AirflowFailException, match="waba_id"):
        one(expect_category="UTILITY").execute({})
    assert sandbox.requests_to("messages") == []


def test_a_category_that_is_announced_is_a_warning(sandbox, template, capfd):
    template("UTILITY")
    sandbox.control("POST", "templates", name="sale", correct_category="MARKETING")

    assert one(expect_category="UTILITY").execute({})["sent"] == 1

    assert "announced that it will move the template from UTILITY to MARKETING" in capfd.readouterr().out


def test_a_dry_run_tells_the_endpoint(sandbox, template):
    template("MARKETING")

    found = many(dry_run=True).execute({})

    assert (found["category"], found["endpoint"]) == ("MARKETING", "marketing_messages")
    assert sandbox.messages == []


class MovedHalfWay(BroadcastTemplateOperator):
    """Lets the sandbox's clock pass the moment of a change once so many messages have left."""

    half, sandbox = 0, None

    def _send_to(self, key, message, **options):
        with _lock:
            type(self).half -= 1
            if self.half == 0:
                self.sandbox.control("POST", "clock", advance=3_600)
        return super()._send_to(key, message, **options)


_lock = threading.Lock()


@pytest.mark.parametrize(
    ("count", "before", "after", "refused", "by"),
    [
        (1_000, "MARKETING", "UTILITY", False, ("marketing_messages", "messages")),
        (60, "UTILITY", "MARKETING", True, ("messages", "marketing_messages")),
        (60, "UTILITY", "MARKETING", False, ("messages",)),
    ],
    ids=["to_utility", "to_marketing_2027", "to_marketing"],
)
def test_a_template_that_meta_moves_half_way_reaches_everybody_once(
    sandbox, template, tmp_path, count, before, after, refused, by
):
    template(before)
    sandbox.control("POST", "templates", name="sale", correct_category=after, notice=1_800)
    sandbox.control("POST", "accounts", refuse_marketing=refused)
    MovedHalfWay.half, MovedHalfWay.sandbox = count // 2, sandbox
    people = [f"+1555{place:07}" for place in range(count)]
    results, requests = tmp_path / "results.jsonl", len(beside(sandbox))

    report = MovedHalfWay(
        task_id="send",
        recipients=people,
        template_name="sale",
        results_path=f"file://{results}",
        ledger_path=f"file://{tmp_path}/ledgers",
    ).execute(context())

    messages = sandbox.messages
    assert sorted(each["to"] for each in messages) == [to.lstrip("+") for to in people], "each once"
    assert (report["sent"], report["failed"], report["unknown"]) == (count, 0, 0)
    assert report["category"] == before, "the category that it knew"
    assert set(report["endpoints"]) == set(by)
    assert sum(report["endpoints"].values()) == count
    lines = {line["to"]: line for line in map(json.loads, results.read_text().splitlines())}
    for each in messages:
        assert lines[each["to"]].get("endpoint", "messages") == each["endpoint"]
        assert lines[each["to"]]["callback_data"] == each["payload"]["biz_opaque_callback_data"]
    assert len(beside(sandbox)) - requests <= 3
    sends = [request for request in sandbox.requests if request["path"].endswith("messages")]
    assert len(sends) == count + sum(report.get("rerouted", {}).values())
    if len(by) == 2:
        assert min(report["endpoints"].values()) >= count // 2 - 32, "about half by each"
        assert 1 <= sum(report["rerouted"].values()) <= 32, "who was on the way, and nobody after them"
    assert sorted(each["accepted_at"] for each in messages) == [each["accepted_at"] for each in messages]


def test_a_retry_sends_to_nobody_again_whichever_endpoint_took_it(sandbox, template, tmp_path):
    template("MARKETING")
    sandbox.fail_next("drop_after", path="/marketing_messages", to=PEOPLE[1].lstrip("+"))
    sandbox.fail_next("status", status=429, path="/marketing_messages", to=PEOPLE[2].lstrip("+"))
    options = {"ledger_path": f"file://{tmp_path}/ledgers", "results_path": f"file://{tmp_path}/r.jsonl"}

    with pytest.raises(AirflowFailException, match="3 sent, 1 unknown"):
        many(**options).execute(context())
    report = many(**options, max_failed=1).execute(context(2))

    assert (report["sent"], report["unknown"]) == (3, 1)
    assert sorted(each["to"] for each in sandbox.messages) == [to.lstrip("+") for to in PEOPLE[:4]]
    assert endpoints(sandbox) == {"marketing_messages"}
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [line.get("endpoint") for line in lines if line["status"] == "sent"] == ["marketing_messages"] * 3


@pytest.mark.parametrize(
    "options",
    [{"marketing": "strict"}, {"expect_category": "UTILITY"}, {"message_activity_sharing": True}],
    ids=["marketing", "category", "sharing"],
)
def test_a_query_s_file_without_a_template_takes_none_of_them(sandbox, options):
    task = SqlToWhatsAppOperator(task_id="send", to=TO, sql="SELECT 1", conn_id="db", **options)

    with pytest.raises(AirflowFailException, match=f"{next(iter(options))}: works only with a template"):
        task.execute({})

    assert sandbox.requests == []
