"""
The transport, and what passes between it and pacer, retry rule and wire: each test fails when its call is left out.

The gateway is a socket of the test's own that keeps its connections, so that what each request used can be counted.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import socket
import threading
import time
from dataclasses import replace
from datetime import date

import pytest
from requests.exceptions import InvalidSchema

from airflow_provider_whatsapp.client import transport as transport_module
from airflow_provider_whatsapp.client import wire
from airflow_provider_whatsapp.client.bounds import AnswerError, LargeAnswerError
from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.errors import (
    AnswerTooLargeError,
    ConfigurationError,
    NotSentError,
    OutcomeUnknownError,
    PayloadError,
    RateLimitError,
    ServerError,
    WhatsAppError,
)
from airflow_provider_whatsapp.client.rate_limit import Departure, Pacer
from airflow_provider_whatsapp.client.redis_pacing import RedisPacer
from airflow_provider_whatsapp.client.redis_server import RedisServer
from airflow_provider_whatsapp.client.retry import RequestRetry
from airflow_provider_whatsapp.client.transport import Call, Transport, _reason
from tests.hostile import read_request
from tests.ports import free_port

OK = (200, {"done": True})
TOO_FAST = (429, {"message": "Too Many Requests"})
THROTTLED = (400, {"error": {"message": "no", "type": "OAuthException", "code": 80007}})
DENIED = (401, {"message": "no"})
DOWN = (503, {"message": "no"})


class Gateway:
    """Answers each request with the next of its answers, and keeps the connection; None: closes it unanswered."""

    def __init__(self, *answers):
        self.answers = iter(answers)
        self.connections = 0
        self.bodies = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        with connection, contextlib.suppress(OSError, StopIteration):
            while True:
                body = read_request(connection)
                if not body:
                    return
                self.bodies.append(body)
                answer = next(self.answers)
                if answer is None:
                    return
                status, content = answer
                text = json.dumps(content).encode()
                connection.sendall(
                    f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(text)}\r\n\r\n".encode()
                    + text
                )


class Rule(RequestRetry):
    """The rule itself, which keeps what it was asked with."""

    def delay(self, error, **asked):
        object.__getattribute__(self, "asked").append((type(error), asked))
        return super().delay(error, **asked)


class Paced:
    """In the pacer's place: gives a leave at once, and keeps what it hears."""

    def __init__(self):
        self.given, self.refused_ones, self.budget = [], [], []

    def acquire(self, budget=None, stop=None):
        self.budget.append(budget)
        self.given.append(Departure(self, len(self.given), stop))
        return self.given[-1]

    def left(self, place):
        return float(place + 1)

    def refused(self, departure):
        self.refused_ones.append(departure)


@pytest.fixture
def start():
    """Make a gateway that answers so, and a transport to it whose pacer and rule can be looked at."""
    made = []

    def make(*answers, until=None, timeout=(2, 5), **rule):
        gateway, pacer = Gateway(*answers), Paced()
        retry = Rule(**{"base": 0.001, "max_retries": 2, **rule})
        object.__setattr__(retry, "asked", [])
        config = ClientConfig(api_key="key", host=gateway.url, rate_limit=0, timeout=timeout)
        transport = Transport(config, retry=retry, pacer=pacer, until=until)
        made.append((gateway, transport))
        return gateway, transport, pacer, retry

    yield make
    for gateway, transport in made:
        transport.close()
        gateway.listener.close()


def post(gateway, **options):
    return Call(
        method="POST", url=f"{gateway.url}/x/messages", **{"json": {"a": 1}, "doubt": "look", **options}
    )


BODIES = {
    "JSON": ({"json": {"a": "b"}}, b'{"a":"b"}', "application/json"),
    "a body": ({"json": None, "open_body": lambda: b"12345"}, b"12345", None),
    "both": ({"json": {"a": 1}, "open_body": lambda: b"12345"}, b"12345", None),
    "nothing": ({"json": None}, None, None),
}


@pytest.mark.parametrize(("given", "body", "kind"), BODIES.values(), ids=list(BODIES))
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_what_is_sent_says_how_long_and_of_what_kind_it_is(start, given, body, kind, method):
    gateway, transport, _, _ = start()
    found = transport._prepare(
        Call(method=method, url=gateway.url, query={"q": "x y"}, headers={"X": "1"}, doubt="", **given)
    )

    length = str(len(body)) if body is not None else "0" if method == "POST" else None
    assert (found.method, found.body) == (method, body)
    assert found.headers.get("Content-Length") == length
    assert found.headers.get("Content-Type") == kind
    assert found.headers["X"] == "1"
    assert found.url in (f"{gateway.url}?q=x%20y", f"{gateway.url}?q=x+y")


def test_each_request_has_a_leave_and_says_when_it_goes(start):
    gateway, transport, pacer, _ = start(TOO_FAST, OK)
    transport.request(post(gateway))

    assert [departure.at for departure in pacer.given] == [1.0, 2.0]


def test_a_connection_that_is_refused_uses_no_leave_up(start):
    gateway, transport, pacer, _ = start(max_retries=0)
    gateway.url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(NotSentError):
        transport.request(post(gateway))

    assert [departure.at for departure in pacer.given] == [None]


@pytest.mark.parametrize(
    ("answers", "refused"),
    [
        pytest.param([TOO_FAST, OK], [0], id="one 429"),
        pytest.param([TOO_FAST, TOO_FAST, OK], [0, 1], id="each 429, with its own leave"),
        pytest.param([TOO_FAST] * 3, [0, 1, 2], id="the one that ends it too"),
        pytest.param([THROTTLED, OK], [], id="Graph's limits are not the gateway's"),
        pytest.param([DENIED], [], id="another refusal"),
        pytest.param([OK], [], id="none"),
    ],
)
def test_the_pacer_hears_of_the_gateway_s_refusals(start, answers, refused):
    gateway, transport, pacer, _ = start(*answers)
    with contextlib.suppress(WhatsAppError):
        transport.request(post(gateway))

    assert pacer.refused_ones == [pacer.given[place] for place in refused]


def test_the_rule_is_asked_with_what_has_happened(start):
    gateway, transport, _, rule = start(*[TOO_FAST] * 3)
    with pytest.raises(RateLimitError):
        transport.request(post(gateway))

    assert [asked["attempt"] for _, asked in rule.asked] == [1, 2, 3]
    assert all(0 <= asked["jitter"] < 1 for _, asked in rule.asked)
    elapsed = [asked["elapsed"] for _, asked in rule.asked]
    assert 0 < elapsed[0] < elapsed[1] < elapsed[2] < 60
    assert len({asked["jitter"] for _, asked in rule.asked}) == 3


@pytest.mark.parametrize(
    "limit", [{"max_retries": 0}, {"max_elapsed": 0.0}], ids=lambda limit: next(iter(limit))
)
def test_the_rule_s_limits_hold(start, limit):
    gateway, transport, _, _ = start(TOO_FAST, OK, **limit)
    with pytest.raises(RateLimitError):
        transport.request(post(gateway))

    assert len(gateway.bodies) == 1


def test_the_configuration_s_retries_are_the_rule_s():
    config = ClientConfig(api_key="key", host="http://127.0.0.1:9", rate_limit=0, max_retries=7)
    assert Transport(config, pacer=Paced())._retry == RequestRetry(max_retries=7)


def test_the_configuration_s_rate_is_the_pacer_s(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = [
        Transport(ClientConfig(api_key=key, host="http://127.0.0.1:9", rate_limit=rate))._pacer
        for key, rate in (("one", 5), ("one", 5), ("other", 5), ("one", 6))
    ]
    assert made[0] is made[1]
    assert len({id(pacer) for pacer in made}) == 3
    assert made[3].rate() == pytest.approx(6, rel=0.01)


def test_the_first_try_goes_with_the_leave_that_was_taken_before(start):
    gateway, transport, pacer, _ = start(TOO_FAST, OK)
    stop = threading.Event()
    permit = transport.permit(stop)
    transport.request(post(gateway, permit=permit))

    assert pacer.refused_ones == [permit]
    assert len(pacer.given) == 2
    assert permit.stop is pacer.given[1].stop is stop, "its repetition is stopped by the same"


class Body(io.BytesIO):
    """A body that can be streamed once."""

    def __len__(self):
        return len(self.getvalue()) if not self.closed else 0


@pytest.mark.parametrize(
    ("answers", "opened"),
    [
        pytest.param([OK], 1, id="accepted"),
        pytest.param([TOO_FAST, OK], 2, id="repeated"),
        pytest.param([DENIED], 1, id="refused"),
        pytest.param([None], 1, id="lost"),
    ],
)
def test_each_body_is_opened_for_its_try_and_closed_after_it(start, answers, opened):
    gateway, transport, _, _ = start(*answers)
    bodies = []

    def open_body():
        assert all(body.closed for body in bodies)
        bodies.append(Body(b"content"))
        return bodies[-1]

    with contextlib.suppress(WhatsAppError):
        transport.request(post(gateway, json=None, open_body=open_body))

    assert len(bodies) == opened
    assert gateway.bodies == [b"content"] * opened
    assert all(body.closed for body in bodies)


def test_what_may_happen_twice_is_repeated_and_what_may_not_is_said_to_be_open(start):
    gateway, transport, _, _ = start(DOWN, OK, DOWN, OK)

    assert transport.request(post(gateway, doubt=None)) == {"done": True}
    with pytest.raises(OutcomeUnknownError, match="look"):
        transport.request(post(gateway))
    assert len(gateway.bodies) == 3


def test_the_size_of_each_answer_is_told_and_may_be_refused(start):
    gateway, transport, _, _ = start(OK, OK)
    told = []
    transport.request(post(gateway, on_size=told.append))
    assert told == [len(json.dumps(OK[1]))]


class TestUntil:
    """A transport whose caller has so much time."""

    def test_a_wait_that_is_too_long_is_left_to_the_caller(self, start):
        gateway, transport, _, _ = start(TOO_FAST, OK, until=time.monotonic() + 20, base=100.0, cap=100.0)
        rule = transport._retry
        object.__setattr__(rule, "delay", lambda error, **asked: 30.0)
        with pytest.raises(RateLimitError):
            transport.request(post(gateway))
        assert len(gateway.bodies) == 1

    def test_the_pacer_is_given_what_is_left(self, start):
        gateway, transport, pacer, _ = start(OK, until=time.monotonic() + 20)
        transport.request(post(gateway))
        assert 0 < pacer.budget[0] <= 20

    def test_nothing_leaves_when_it_is_over(self, start):
        gateway, transport, pacer, _ = start(OK, until=time.monotonic())
        with pytest.raises(NotSentError, match="no time was left"):
            transport.request(post(gateway))
        assert (gateway.bodies, pacer.given) == ([], [])

    @pytest.mark.parametrize(
        ("left", "connect", "read"),
        [
            pytest.param(100, 2, 5, id="the configuration's, while there is time"),
            pytest.param(4, 1, 4, id="what is left, and a quarter for each address"),
            pytest.param(0.1, 0.125, 0.5, id="a little, for what goes at the very end"),
        ],
    )
    def test_its_time_outs_fit_into_it(self, start, monkeypatch, left, connect, read):
        _, transport, _, _ = start(until=1000.0 + left)
        monkeypatch.setattr("airflow_provider_whatsapp.client.transport.time.monotonic", lambda: 1000.0)
        timeout = transport._timeout()
        monkeypatch.undo()

        assert (timeout._connect, timeout._read) == (pytest.approx(connect), pytest.approx(read))
        assert timeout.total == pytest.approx(max(left, 0.5))


class TestIdle:
    """How long a connection is used again."""

    @pytest.mark.parametrize(("idle", "connections"), [(4.0, 1), (0.0, 2)], ids=["young", "old"])
    def test_a_connection_is_used_again_while_it_is_young(self, start, monkeypatch, idle, connections):
        monkeypatch.setattr(wire, "MAX_IDLE", idle)
        gateway, transport, _, _ = start(OK, OK)
        for _ in range(2):
            transport.request(post(gateway))

        assert gateway.connections == connections

    def test_each_use_makes_it_young_again(self, start, monkeypatch):
        now = itertools.count(1000.0, 1.5)
        gateway, transport, _, _ = start(*[OK] * 6)
        transport.request(post(gateway))
        connection = next(iter(transport._adapter._pools.values())).pool.queue[-1]
        monkeypatch.setattr("airflow_provider_whatsapp.client.wire.time.monotonic", lambda: next(now))
        before = connection._last_used
        connection.send(b"")
        monkeypatch.undo()

        assert connection._last_used != before

    def test_closing_closes_what_is_kept(self, start):
        gateway, transport, _, _ = start(OK, OK)
        transport.request(post(gateway))
        connection = next(iter(transport._adapter._pools.values())).pool.queue[-1]
        transport.close()

        assert connection.sock is None
        transport.request(post(gateway))
        assert gateway.connections == 2


def test_a_repetition_waits_for_as_long_as_the_rule_says(start, monkeypatch):
    slept = []
    gateway, transport, _, rule = start(TOO_FAST, OK)
    object.__setattr__(rule, "delay", lambda error, **asked: 7.5)
    monkeypatch.setattr("airflow_provider_whatsapp.client.transport.time.sleep", slept.append)
    transport.request(post(gateway))

    assert slept == [7.5]


def chained(outer, *, reason=None, cause=None, context=None, suppressed=False):
    """Return an error with what Python and the libraries hang on it."""
    outer.reason, outer.__cause__, outer.__context__ = reason, cause, context
    outer.__suppress_context__ = suppressed
    return outer


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError("no route"), "OSError: no route"),
        (OSError(113, "no route"), "OSError: no route"),
        (OSError(), "OSError"),
        (ValueError("<Thing object at 0x7f>: odd"), "ValueError"),
        (chained(ValueError("a"), reason=OSError("b")), "OSError: b"),
        (chained(ValueError("a"), reason="words"), "ValueError: a"),
        (chained(ValueError("a"), cause=OSError("b")), "OSError: b"),
        (chained(ValueError("a"), cause=OSError("b"), context=KeyError("c")), "OSError: b"),
        (chained(ValueError("a"), context=OSError("b")), "OSError: b"),
        (chained(ValueError("a"), context=OSError("b"), suppressed=True), "ValueError: a"),
        (chained(ValueError("a"), cause=OSError("b"), suppressed=True), "OSError: b"),
        (chained(ValueError("a"), reason=chained(KeyError("b"), context=OSError("c"))), "OSError: c"),
    ],
    ids=range(12),
)
def test_what_the_network_said_is_at_the_bottom_of_what_the_library_raises(error, words):
    assert _reason(error) == words


class TestFailures:
    """What is said of a request that got no answer, and what it means."""

    @pytest.fixture
    def failure(self):
        """Return what a transport makes of an error, before or after the first byte has left."""

        def make(error, *, left, doubt=None, host="https://proxy.example"):
            wire.start_record(Pacer(0).acquire(), progress_timeout=1.0)
            wire._record.began = left
            with contextlib.closing(Transport(ClientConfig(api_key="key-of-ours", host=host))) as transport:
                found = transport._failure(
                    error, Call(method="POST", url="https://x", json={"a": "b"}, doubt=doubt)
                )
            wire.end_record()
            return found

        return make

    LOST = (
        (OSError("reset"), None, ServerError, "no answer from the gateway: OSError: reset"),
        (
            OSError("reset"),
            "look",
            OutcomeUnknownError,
            "the request left but its answer was lost: OSError: reset",
        ),
        (AnswerError("odd"), None, ServerError, "the gateway's answer cannot be used: odd"),
        (
            AnswerError("odd"),
            "look",
            OutcomeUnknownError,
            "the request left but its answer cannot be used: odd",
        ),
        (LargeAnswerError("big"), None, AnswerTooLargeError, "the gateway's answer cannot be used: big"),
        (
            LargeAnswerError("big"),
            "look",
            OutcomeUnknownError,
            "the request left but its answer cannot be used: big",
        ),
        (ValueError("odd"), None, ServerError, "no answer from the gateway: ValueError: odd"),
    )

    @pytest.mark.parametrize(("error", "doubt", "kind", "said"), LOST, ids=range(len(LOST)))
    def test_after_the_first_byte(self, failure, error, doubt, kind, said):
        found = failure(error, left=True, doubt=doubt)

        assert type(found) is kind
        assert found.message == said
        assert found.advice == (
            doubt or ("Ask for less." if kind is AnswerTooLargeError else "Try again later.")
        )

    NEVER_LEFT = (
        (OSError("refused"), NotSentError, "no connection to the gateway: OSError: refused"),
        (
            OSError("no CA certificate there"),
            ConfigurationError,
            "the CA bundle of the connection's verify does not",
        ),
        (KeyError("CA certificate"), NotSentError, "no connection to the gateway: KeyError: CA certificate"),
        (ValueError("user:secret@host"), ConfigurationError, "the request could not be made: ValueError"),
        (
            InvalidSchema("no adapter"),
            ConfigurationError,
            "the request could not be made: InvalidSchema: no adapter",
        ),
    )

    @pytest.mark.parametrize("doubt", [None, "look"])
    @pytest.mark.parametrize(("error", "kind", "said"), NEVER_LEFT, ids=range(len(NEVER_LEFT)))
    def test_before_the_first_byte(self, failure, error, kind, said, doubt):
        found = failure(error, left=False, doubt=doubt)

        assert type(found) is kind
        assert found.message.startswith(said)
        assert "secret" not in str(found)
        assert found.sent == "no"

    def test_neither_the_key_nor_the_message_is_repeated(self, failure):
        found = failure(OSError("key-of-ours"), left=True)

        assert "key-of-ours" not in str(found)

    @pytest.mark.parametrize(
        ("host", "words"),
        [
            ("https://proxy.example", "that the server is running"),
            ("http://127.0.0.1:8425", "start the sandbox: `python -m airflow_provider_whatsapp.sandbox`"),
            (None, "Maton's older hosts"),
        ],
    )
    def test_what_to_do_depends_on_whose_host_it_is(self, failure, host, words):
        assert words in failure(OSError("refused"), left=False, host=host).advice


@pytest.mark.parametrize("stopped", [True, False])
def test_a_wait_is_ended_by_whoever_wants_no_more_of_it(monkeypatch, stopped):
    slept, stop = [], threading.Event()
    monkeypatch.setattr("airflow_provider_whatsapp.client.transport.time.sleep", slept.append)
    if stopped:
        stop.set()

    assert transport_module._paused(0.001, stop) is stopped
    assert slept == []
    assert transport_module._paused(7.0, None) is False
    assert slept == [7.0]


QUERIES = {
    "nothing": ({}, ""),
    "none": ({"a": None}, ""),
    "texts and numbers": ({"a": "x y", "b": 7, "c": None}, "?a=x%20y&b=7"),
    "JSON": (
        {"a": ["x", 1], "b": {"c": True}, "d": False},
        "?a=%5B%22x%22%2C1%5D&b=%7B%22c%22%3Atrue%7D&d=false",
    ),
    "a tuple": ({"a": (1, 2)}, "?a=%5B1%2C2%5D"),
    "a date": ({"a": [date(2026, 1, 2)]}, "?a=%5B%222026-01-02%22%5D"),
}


@pytest.mark.parametrize(("given", "query"), QUERIES.values(), ids=list(QUERIES))
def test_a_query_as_graph_reads_it(given, query):
    assert transport_module.encode_query(given) == query


@pytest.mark.parametrize(
    "given",
    [float("nan"), [float("inf")], {"a": object()}, "\ud800"],
    ids=["nan", "infinity", "object", "half"],
)
def test_what_json_cannot_hold_is_no_body(given):
    with pytest.raises(PayloadError) as caught:
        transport_module.encode_json({"x": given}, field="text.body")
    assert caught.value.field == "text.body"


def test_a_body_that_holds_itself_is_none():
    body = []
    body.append(body)
    with pytest.raises(PayloadError, match="cannot be written as JSON") as caught:
        transport_module.encode_json(body)
    assert caught.value.field == "message"


def test_a_body_is_as_short_as_json_can_be():
    assert transport_module.encode_json({"a": ["Grüße", 1]}) == '{"a":["Grüße",1]}'.encode()


class ReasonedError(OSError):
    """An error of a library that names its reason."""

    def __init__(self, words, reason=None):
        super().__init__(words)
        self.reason = reason


def caused(error, cause):
    error.__cause__ = cause
    return error


def hidden(error, context):
    error.__context__, error.__suppress_context__ = context, True
    return error


def within(error, context):
    error.__context__ = context
    return error


REASONS = {
    "itself": (OSError("reset"), "OSError: reset"),
    "its reason": (ReasonedError("outer", TimeoutError("inner")), "TimeoutError: inner"),
    "a reason that is a text": (ReasonedError("outer", "inner"), "ReasonedError: outer"),
    "its cause": (caused(OSError("outer"), KeyError("inner")), "KeyError: inner"),
    "its context": (within(OSError("outer"), KeyError("inner")), "KeyError: inner"),
    "a context that is hidden": (hidden(OSError("outer"), KeyError("inner")), "OSError: outer"),
    "without words": (OSError(), "OSError"),
    "an object's address": (OSError("<x object at 0x1>"), "OSError"),
    "the last of its words": (OSError(111, "refused"), "ConnectionRefusedError: refused"),
}


@pytest.mark.parametrize(("error", "words"), REASONS.values(), ids=list(REASONS))
def test_what_the_network_said_in_a_few_words(error, words):
    assert _reason(error) == words


def test_what_no_query_can_hold_is_named():
    with pytest.raises(PayloadError) as caught:
        transport_module.encode_query({"fields": "id", "tags": [object()]})
    assert caught.value.field == "tags"


PROXY = {"https": "http://proxy.example:3128"}
MADE = {
    "usual": ({}, {}, True),
    "by a proxy": ({"proxies": PROXY}, PROXY, True),
    "this machine, by no proxy": ({"proxies": PROXY, "host": "http://127.0.0.1:9"}, {}, True),
    "not verified": ({"verify": False}, {}, False),
    "another bundle": ({"verify": "/ca.pem"}, {}, "/ca.pem"),
}


@pytest.mark.parametrize(("given", "proxies", "verify"), MADE.values(), ids=list(MADE))
def test_the_configuration_s_ways_are_the_connections(monkeypatch, given, proxies, verify):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    transport = Transport(
        ClientConfig(api_key="key", **{"host": "https://a.example", **given}), pacer=Paced()
    )

    assert {name: url for name, url in transport._proxies.items() if name != "no"} == proxies
    assert transport._verify == verify
    assert transport._headers["Accept-Encoding"] == "identity", "nothing is unpacked beyond its bounds"


def test_a_proxy_that_cannot_be_read_is_refused_before_a_request(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://user:p ss@:x")
    with pytest.raises(ConfigurationError, match="the proxy's address is not a valid URL"):
        Transport(ClientConfig(api_key="key", host="https://a.example"), pacer=Paced())


def test_redis_and_the_share_of_the_configuration_are_the_pacer_s(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    server = RedisServer(nodes=(("127.0.0.1", 9),))
    config = ClientConfig(
        api_key="key", host="http://127.0.0.1:9", rate_limit=10, pace_redis=server, pace_share=0.5
    )
    pacer = Transport(config)._pacer

    assert isinstance(pacer, RedisPacer)
    assert pacer._alone.rate() == pytest.approx(5, rel=0.01)
    assert type(Transport(replace(config, rate_limit=0))._pacer) is Pacer, "without a limit nothing is asked"


def test_a_message_that_is_stopped_while_it_waits_ends_with_its_refusal(start):
    gateway, transport, _, rule = start(TOO_FAST, OK)
    stop = threading.Event()
    object.__setattr__(rule, "delay", lambda error, **asked: stop.set() or 30.0)
    with pytest.raises(RateLimitError):
        transport.request(post(gateway, permit=transport.permit(stop)))

    assert len(gateway.bodies) == 1


def test_the_time_of_all_tries_is_counted_from_the_first_one(start):
    gateway, transport, _, rule = start(TOO_FAST, TOO_FAST, OK)
    elapsed = []
    object.__setattr__(rule, "delay", lambda error, **asked: elapsed.append(asked["elapsed"]) or 0.05)
    transport.request(post(gateway))

    assert elapsed[1] >= elapsed[0] + 0.05


@pytest.mark.parametrize(("wait", "requests"), [(19.9, 2), (20.0, 1)])
def test_a_wait_has_to_end_before_the_time_does(start, monkeypatch, wait, requests):
    gateway, transport, _, rule = start(TOO_FAST, OK)
    transport._left = lambda: 20.0
    object.__setattr__(rule, "delay", lambda error, **asked: wait)
    monkeypatch.setattr(transport_module, "_paused", lambda seconds, stop: False)
    with contextlib.suppress(RateLimitError):
        transport.request(post(gateway))

    assert len(gateway.bodies) == requests


@pytest.mark.parametrize(("left", "asked"), [(0.0, []), (0.5, [0.5])])
def test_a_moment_is_asked_for_while_there_is_time(start, left, asked):
    _, transport, pacer, _ = start()
    transport._left = lambda: left
    with contextlib.suppress(NotSentError):
        transport._leave(None)

    assert pacer.budget == asked


@pytest.mark.parametrize("stopped", [True, False, None])
def test_it_says_why_a_request_had_no_leave(start, monkeypatch, stopped):
    _, transport, pacer, _ = start()
    stop = None if stopped is None else threading.Event()
    if stopped:
        stop.set()
    monkeypatch.setattr(pacer, "acquire", lambda budget, stop: None)
    with pytest.raises(NotSentError) as caught:
        transport._leave(stop)

    assert ("the task was stopped" in str(caught.value)) is bool(stopped)
    assert ("no time was left" in str(caught.value)) is not bool(stopped)


@pytest.mark.parametrize("left", [None, 20.0, 0.0])
def test_what_is_begun_late_has_a_little_time(start, left):
    until = None if left is None else time.monotonic() + left
    _, transport, _, _ = start(until=until)
    before = time.monotonic()
    found = transport._given_up()

    if left == 0.0:
        assert before + 0.5 <= found <= time.monotonic() + 0.5
    else:
        assert found == (until or float("inf"))


def test_the_connection_knows_the_time_and_what_to_clean_while_the_request_lasts(start):
    until = time.monotonic() + 60
    gateway, transport, _, _ = start(OK, until=until, timeout=(2, 5))
    during = []
    transport.request(post(gateway, on_size=lambda size: during.append(vars(wire._record).copy())))

    (record,) = during
    assert (record["progress_timeout"], record["until"]) == (5, until)
    assert record["cleaner"] is transport._cleaner
    assert wire._record.cleaner is None
