"""Which endpoint a template's messages go by, and what sends one by the other endpoint: nothing but Meta's own word."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import get_args

import pytest

from airflow_provider_whatsapp.client.error_codes import TABLE
from airflow_provider_whatsapp.client.errors import (
    APIError,
    NotSentError,
    OutcomeUnknownError,
    PayloadError,
    TemplateError,
)
from airflow_provider_whatsapp.client.messages import Template
from airflow_provider_whatsapp.client.resources.accounts import MarketingStatus
from airflow_provider_whatsapp.client.resources.messages import Marketing, SentMessage
from airflow_provider_whatsapp.delivery.approved import Approved
from airflow_provider_whatsapp.delivery.report import Report
from airflow_provider_whatsapp.delivery.routing import Mode, Router, choose_endpoint

TO = "15550001111"
SALE = [{"type": "BODY", "text": "The summer sale begins today."}]
ONBOARDED, ELIGIBLE, SILENT = MarketingStatus("ONBOARDED"), MarketingStatus("ELIGIBLE"), MarketingStatus(None)


def approved(category):
    return Approved({"category": category}, "sale", "en_US")


# -- the choice before the first message


@pytest.mark.parametrize(
    ("mode", "category", "status", "endpoint"),
    [
        ("auto", "MARKETING", ONBOARDED, "marketing_messages"),
        ("auto", "marketing", ONBOARDED, "marketing_messages"),
        ("auto", "MARKETING", ELIGIBLE, "messages"),
        ("auto", "MARKETING", SILENT, "messages"),
        ("auto", "MARKETING", None, "messages"),
        ("auto", "UTILITY", ONBOARDED, "messages"),
        ("auto", "AUTHENTICATION", ONBOARDED, "messages"),
        ("auto", "TRANSACTIONAL", ONBOARDED, "messages"),
        ("auto", None, ONBOARDED, "messages"),
        ("cloud_api", "MARKETING", ONBOARDED, "messages"),
        ("cloud_api", None, None, "messages"),
        ("strict", "MARKETING", ONBOARDED, "marketing_messages"),
        ("strict", "MARKETING", SILENT, "marketing_messages"),
        ("strict", "MARKETING", None, "marketing_messages"),
        ("strict", None, None, "marketing_messages"),
        ("strict", "UTILITY", None, None),
        ("strict", "MARKETING", ELIGIBLE, None),
    ],
    ids=range(17),
)
def test_the_endpoint_follows_mode_category_and_onboarding(mode, category, status, endpoint):
    template = approved(category)
    if endpoint is None:
        with pytest.raises(PayloadError, match=r"marketing: .*strict.*(UTILITY|ELIGIBLE)"):
            choose_endpoint(mode, template, status)
    else:
        assert choose_endpoint(mode, template, status) == endpoint


@pytest.mark.parametrize("mode", get_args(Mode))
def test_a_template_that_was_not_looked_up_has_no_category(mode):
    assert choose_endpoint(mode, None, None) == ("marketing_messages" if mode == "strict" else "messages")


def test_a_category_that_is_announced_changes_nothing_yet():
    template = Approved({"category": "UTILITY", "correct_category": "MARKETING"}, "sale", "en_US")

    assert template.announced_category == "MARKETING"
    assert choose_endpoint("auto", template, ONBOARDED) == "messages"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (
            {"category": "MARKETING", "previous_category": "UTILITY"},
            "MARKETING, not UTILITY .Meta has moved it",
        ),
        ({"category": "MARKETING"}, r"MARKETING, not UTILITY\. "),
        ({}, "a category that WhatsApp does not report"),
    ],
    ids=["moved", "other", "unknown"],
)
def test_an_expected_category_has_to_be_there(template, said):
    with pytest.raises(PayloadError, match=said) as caught:
        Approved(template, "sale", "en_US").check_category("UTILITY")

    assert caught.value.field == "expect_category"
    Approved({"category": "utility"}, "sale", "en_US").check_category("UTILITY")


# -- by the other endpoint


class Wire:
    """Refuses by the endpoints that are given a code, and takes the rest."""

    def __init__(self, **codes):
        self.codes = codes
        self.tried = []
        self.options = []

    def __call__(self, to, message, *, marketing=None, **options):
        endpoint = "messages" if marketing is None else "marketing_messages"
        self.tried.append(endpoint)
        self.options.append(options)
        error = self.codes.get(endpoint)
        if isinstance(error, int):
            error = TemplateError("WhatsApp refused", code=error, http_status=400)
        if error is not None:
            raise error
        return SentMessage(message_id="wamid.1", wa_id=to, to=to, endpoint=endpoint)


OTHER = {"messages": "marketing_messages", "marketing_messages": "messages"}
MEANS_THE_OTHER = {
    ("messages", 131061),
    ("messages", 131063),
    ("marketing_messages", 131055),
    ("marketing_messages", 134100),
    ("marketing_messages", 134102),
}


@pytest.mark.parametrize("mode", get_args(Mode))
@pytest.mark.parametrize("endpoint", ["messages", "marketing_messages"])
def test_only_the_codes_that_say_so_go_by_the_other_endpoint_and_only_once(mode, endpoint):
    for code in sorted({row.code for row in TABLE}):
        wire = Wire(**{endpoint: code})
        router = Router(wire, mode=mode, endpoint=endpoint)
        if mode == "auto" and (endpoint, code) in MEANS_THE_OTHER:
            assert router(TO, "message").endpoint == OTHER[endpoint]
            assert wire.tried == [endpoint, OTHER[endpoint]]
        else:
            with pytest.raises(TemplateError) as caught:
                router(TO, "message")
            assert (caught.value.code, wire.tried) == (code, [endpoint])


@pytest.mark.parametrize("code", [131055, 134100, 134102])
def test_what_may_have_been_sent_never_goes_by_the_other_endpoint(code):
    wire = Wire(marketing_messages=OutcomeUnknownError("lost", code=code, http_status=500))

    with pytest.raises(OutcomeUnknownError):
        Router(wire, endpoint="marketing_messages")(TO, "message")

    assert wire.tried == ["marketing_messages"]


def test_where_both_refuse_the_second_refusal_counts_and_nothing_is_learned():
    wire = Wire(marketing_messages=134102, messages=131063)
    router = Router(wire, endpoint="marketing_messages")

    with pytest.raises(APIError) as caught:
        router(TO, "message")

    assert caught.value.code == 131063
    assert caught.value.__context__.code == 134102
    assert (wire.tried, router.endpoint) == (["marketing_messages", "messages"], "marketing_messages")
    assert router.to_dict() == {}


def test_what_comes_after_a_message_that_went_by_the_other_endpoint_goes_there_at_once():
    wire = Wire(marketing_messages=131055)
    router = Router(wire, endpoint="marketing_messages", category="MARKETING")

    for _ in range(5):
        router(TO, "message")

    assert wire.tried == ["marketing_messages", *["messages"] * 5]
    assert router.to_dict() == {
        "category": "MARKETING",
        "endpoints": {"messages": 5},
        "rerouted": {"131055": 1},
    }


def test_several_threads_whose_messages_are_on_their_way_count_each_of_them(caplog):
    barrier = threading.Barrier(4)
    wire = Wire(marketing_messages=134100)

    def send(to, message, *, marketing=None, **options):
        if marketing is not None:
            barrier.wait(timeout=60)
        return wire(to, message, marketing=marketing, **options)

    router = Router(send, endpoint="marketing_messages")
    threads = [threading.Thread(target=router, args=(TO, "message")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert router.to_dict() == {"endpoints": {"messages": 4}, "rerouted": {"134100": 4}}
    assert router.endpoint == "messages", "not back and forth with each of them"
    (said,) = caplog.messages
    assert "on /marketing_messages" in said
    assert "its messages go by /messages" in said


def test_the_second_request_waits_for_a_permit_of_its_own_and_carries_the_same():
    wire, stop, asked = Wire(messages=131063), threading.Event(), []

    def permit(event):
        asked.append(event)
        return "second"

    router = Router(wire, permit=permit)
    router(TO, "message", permit=SimpleNamespace(stop=stop), callback_data="mine")

    assert asked == [stop]
    assert wire.options[1] == {"permit": "second", "callback_data": "mine"}
    assert wire.options[0]["callback_data"] == "mine"


@pytest.mark.parametrize(
    "permit", [None, SimpleNamespace(stop=None)], ids=["the sender's", "the router has none"]
)
def test_without_a_permit_to_ask_for_the_sender_waits(permit):
    """A message without a permit waits in ``send``; a router that has none to give sends with the one it was given."""
    wire, given = Wire(messages=131063), {} if permit is None else {"permit": permit}
    router = Router(wire, permit=(lambda _: "second") if permit is None else None)

    assert router(TO, "message", **given).endpoint == "marketing_messages"
    assert wire.options == [given, given]


def test_a_task_that_is_stopped_meanwhile_sends_nothing_and_may_be_retried():
    wire = Wire(messages=131063)

    with pytest.raises(NotSentError) as caught:
        Router(wire, permit=lambda _: None)(TO, "message", permit=SimpleNamespace(stop=threading.Event()))

    assert (caught.value.sent, caught.value.permanent, wire.tried) == ("no", False, ["messages"])


@pytest.mark.parametrize(
    ("mode", "sharing", "expected"),
    [
        ("auto", None, Marketing()),
        ("auto", True, Marketing(activity_sharing=True)),
        ("strict", False, Marketing(strict=True, activity_sharing=False)),
    ],
    ids=["auto", "sharing", "strict"],
)
def test_policy_and_sharing_follow_the_mode(mode, sharing, expected):
    found = []
    router = Router(
        lambda to, message, *, marketing: (
            found.append(marketing) or SentMessage(message_id="1", wa_id=to, to=to)
        ),
        mode=mode,
        endpoint="marketing_messages",
        activity_sharing=sharing,
    )
    router(TO, "message")

    assert found == [expected]


# -- against the sandbox


@pytest.fixture
def sale(client, sandbox):
    client.templates.create(name="sale", language="en_US", category="MARKETING", components=SALE)
    sandbox.control("POST", "templates", name="sale", status="APPROVED")
    return Template("sale")


@pytest.mark.parametrize(
    ("endpoint", "change", "requests"),
    [
        ("marketing_messages", {"category": "UTILITY"}, ["marketing_messages", "messages"]),
        ("messages", {"refuse_marketing": True}, ["messages", "marketing_messages"]),
        ("marketing_messages", {}, ["marketing_messages"]),
    ],
    ids=["moved", "2027", "neither"],
)
def test_a_delivery_sends_each_message_once_whichever_endpoint_takes_it(
    deliver, client, people, sandbox, sale, endpoint, change, requests
):
    if "category" in change:
        sandbox.control("POST", "templates", name="sale", **change)
    elif change:
        sandbox.control("POST", "accounts", **change)
    router = Router(client.messages.send, endpoint=endpoint, permit=client.messages.permit)

    report = deliver(
        people(12), send=router, prepare=lambda row: sale, permit=client.messages.permit, threads=4
    )

    assert report.counts == {"sent": 12}
    assert sorted(each["to"] for each in sandbox.messages) == people(12)
    assert {each["endpoint"] for each in sandbox.messages} == {requests[-1]}
    tried = [request["path"].rpartition("/")[2] for request in sandbox.requests_to("messages")]
    assert tried[: len(requests)] == requests
    assert len(tried) == 12 + len(requests) - 1, "one refusal teaches all that come after it"


def test_the_report_names_the_endpoints():
    router = Router(Wire(), endpoint="marketing_messages", category="MARKETING")
    router(TO, "message")
    report = Report(route=router)

    assert report.to_dict()["endpoints"] == {"marketing_messages": 1}
    assert report.to_dict()["category"] == "MARKETING"
    assert report.summary().endswith("(1 by /marketing_messages)")
    assert "endpoints" not in Report().to_dict()


def test_threads_count_one_after_the_other():
    class Lock:
        """Notes what is counted when it is taken and when it is given back."""

        def __init__(self):
            self.seen = []

        def __enter__(self):
            self.seen.append(router.to_dict())

        def __exit__(self, *error):
            self.seen.append(router.to_dict())

    router = Router(Wire(messages=131061))
    lock = router._lock = Lock()
    router(TO, "message")

    rerouted = {"rerouted": {"131061": 1}}
    assert lock.seen == [{}, rerouted, rerouted, {**rerouted, "endpoints": {"marketing_messages": 1}}]
