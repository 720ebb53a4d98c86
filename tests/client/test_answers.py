"""The gateway's five envelopes and Graph's one: whose error it is, and what it means for a send and for a read."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from airflow_provider_whatsapp.client.answers import Answer, read, to_error
from airflow_provider_whatsapp.client.errors import (
    APIError,
    AuthenticationError,
    ConnectionMissingError,
    InvalidRequestError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    TemplateError,
    WhatsAppError,
)
from airflow_provider_whatsapp.client.masking import Cleaner

DOUBT = "Look before you send again."


def answer(status, body=None, **headers):
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Answer(
        status, CaseInsensitiveDict({name.replace("_", "-"): value for name, value in headers.items()}), raw
    )


def graph(code, **fields):
    return {"error": {"message": f"(#{code}) words", "type": "OAuthException", "code": code, **fields}}


def sending(*args, **headers):
    return read(answer(*args, **headers), doubt=DOUBT)


def reading(*args, **headers):
    return read(answer(*args, **headers), doubt=None)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        pytest.param(401, {"message": "no", "code": 401}, AuthenticationError, id="a: message"),
        pytest.param(
            401, {"error": {"message": "Invalid API key"}}, AuthenticationError, id="b: error without a code"
        ),
        pytest.param(404, {"detail": "Not Found"}, NotFoundError, id="c: detail"),
        pytest.param(
            422, {"detail": [{"loc": ["query", "limit"], "msg": "bad"}]}, InvalidRequestError, id="d: list"
        ),
        pytest.param(405, None, APIError, id="e: empty"),
        pytest.param(403, b"<html>", PermissionDeniedError, id="e: HTML"),
        pytest.param(400, {"message": "No connection found"}, ConnectionMissingError, id="no connection"),
        pytest.param(
            404, {"message": "Connection x not found"}, ConnectionMissingError, id="foreign connection"
        ),
        pytest.param(412, None, ConnectionMissingError, id="412"),
        pytest.param(429, {"message": "slow down"}, RateLimitError, id="429"),
        pytest.param(302, None, APIError, id="redirect"),
        pytest.param(400, {"error": "text"}, InvalidRequestError, id="error as a string"),
        pytest.param(400, [1], InvalidRequestError, id="a list"),
        pytest.param(400, graph(132001), TemplateError, id="Graph"),
        pytest.param(400, graph(80007), RateLimitError, id="Graph's throttling, as a 400"),
        pytest.param(401, graph(190), AuthenticationError, id="Meta's token"),
    ],
)
def test_refusals_mean_that_nothing_was_sent(status, body, error):
    with pytest.raises(error) as caught:
        sending(status, body)

    assert type(caught.value) is error
    assert caught.value.sent == "no"
    assert caught.value.http_status == status
    assert caught.value.permanent is not isinstance(caught.value, RateLimitError)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(500, {"message": "Internal"}, id="gateway 500"),
        pytest.param(502, b"<html><h1>502 Bad Gateway</h1></html>", id="502 with HTML"),
        pytest.param(503, None, id="503 empty"),
        pytest.param(504, {"detail": "timeout"}, id="504"),
        pytest.param(408, None, id="408"),
        pytest.param(500, graph(131000), id="Graph 131000"),
        pytest.param(503, graph(2, is_transient=True), id="Graph 2"),
        pytest.param(400, graph(1), id="Graph 1, as a 400"),
        pytest.param(200, b"", id="success without a body"),
        pytest.param(200, b'{"messages": [', id="half a body"),
        pytest.param(200, b"[]", id="a list as success"),
        pytest.param(200, {"success": False}, id="a success that says it is none"),
    ],
)
def test_doubt_is_told_apart_for_sends_and_reads(status, body):
    with pytest.raises(OutcomeUnknownError) as caught:
        sending(status, body)

    assert caught.value.sent == "unknown"
    assert caught.value.permanent is False
    assert DOUBT in str(caught.value)
    if body != b"":  # an empty success is a success for what may be repeated, a delete say
        with pytest.raises(ServerError) as caught:
            reading(status, body)
        assert caught.value.sent == "no"
        assert caught.value.permanent is False


def test_success_is_the_json_object():
    assert sending(200, {"messages": [{"id": "wamid.x"}]}) == {"messages": [{"id": "wamid.x"}]}
    assert reading(200, b"") == {}


@pytest.mark.parametrize(("status", "accepted"), [(199, False), (200, True), (299, True), (300, False)])
def test_two_hundreds_alone_are_a_success(status, accepted):
    if accepted:
        assert sending(status, {"id": "1"}) == {"id": "1"}
    else:
        with pytest.raises(WhatsAppError) as caught:
            sending(status, {"id": "1"})
        assert caught.value.sent == "unknown"


def test_an_error_object_in_a_200_is_an_error():
    with pytest.raises(InvalidRequestError):
        sending(200, graph(100))


def test_facts_for_support_are_kept():
    body = graph(132000, error_data={"details": "expected 0, got 1"}, fbtrace_id="AbC")
    with pytest.raises(TemplateError) as caught:
        sending(400, body, X_Request_Id="req-1")

    error = caught.value
    assert (error.code, error.fbtrace_id, error.request_id) == (132000, "AbC", "req-1")
    for fact in ("132000", "AbC", "req-1", "expected 0, got 1"):
        assert fact in str(error)
    assert error.to_dict()["code"] == 132000


def test_stated_wait_wins_over_the_table():
    with pytest.raises(RateLimitError) as caught:
        sending(429, {"message": "slow"}, Retry_After="3")
    assert caught.value.retry_after == 3

    with pytest.raises(RateLimitError) as caught:
        sending(400, graph(130429))
    assert caught.value.retry_after > 0


def test_foreign_words_are_bounded_and_numbers_in_them_masked():
    with pytest.raises(APIError) as caught:
        sending(400, {"message": "to +15550001111 " + "x" * 5000})

    assert "15550001111" not in str(caught.value)
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize("body", [graph(132001), graph(999999), {"message": "no"}])
def test_errors_survive_pickling(body):
    with pytest.raises(WhatsAppError) as caught:
        sending(404, body)

    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is type(caught.value)
    assert str(copy) == str(caught.value)
    assert copy.to_dict() == caught.value.to_dict()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["error", "code", "message", "detail", "error_data", "details", "error_subcode", "loc", "msg"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(status=st.integers(100, 599), body=JSON | st.binary(max_size=40))
def test_no_answer_breaks_the_reader(status, body):
    """Whatever comes back is a JSON object or one of our errors; a send is never wrongly called not sent."""
    try:
        result = sending(status, body)
    except WhatsAppError as error:
        result = error
    if isinstance(result, WhatsAppError):
        assert str(result)
        assert (result.sent == "unknown") is isinstance(result, OutcomeUnknownError)
        assert isinstance(result, OutcomeUnknownError) or status < 500 or result.code is not None
    else:
        assert isinstance(result, dict)
        assert 200 <= status < 300


def _rows():
    from airflow_provider_whatsapp.client.error_codes import RANGES, TABLE

    rows = list(TABLE.values()) if isinstance(TABLE, dict) else list(TABLE)
    assert len(rows) > 100
    assert RANGES
    return rows


@pytest.mark.parametrize("info", _rows(), ids=lambda info: f"{info.code}/{info.subcode}")
def test_every_code_of_the_table_becomes_its_error(info):
    """What is raised follows from the row alone, for a send and for a read."""
    from airflow_provider_whatsapp.client.error_codes import Retry

    body = graph(info.code, **({"error_subcode": info.subcode} if info.subcode else {}))
    status = info.http_status or 400
    expected = {
        Retry.NO: (info.error, info.error),
        Retry.AUTH: (info.error, info.error),
        Retry.WAIT: (RateLimitError, RateLimitError),
        Retry.AMBIGUOUS: (OutcomeUnknownError, ServerError),
    }[info.retry]
    for call, cls in zip((sending, reading), expected, strict=True):
        with pytest.raises(cls) as caught:
            call(status, body)
        error = caught.value
        assert type(error) is cls
        assert (error.code, error.http_status) == (info.code, status)
        assert error.permanent is (info.retry in (Retry.NO, Retry.AUTH))
        assert error.sent == ("unknown" if cls is OutcomeUnknownError else "no")
        assert error.advice
        if info.retry is Retry.WAIT:
            assert error.retry_after == info.wait


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"message": "m", "detail": "d"}, "m"),
        ({"message": "m", "error": "e"}, "m"),
        ({"message": "m", "error": {"message": "e"}}, "e"),
        ({"message": 7, "error": "e", "detail": "d"}, "e"),
        ({"error": {"message": None}, "detail": "d"}, "d"),
        (
            {"detail": [{"loc": ["body", "to"], "msg": "bad"}, "x", {"loc": None, "msg": "odd"}]},
            "body.to: bad; : odd",
        ),
        ({"detail": [{"msg": str(number)} for number in range(7)]}, ": 0; : 1; : 2; : 3; : 4"),
        ({"error": {}}, ""),
        ([], ""),
        (None, ""),
    ],
    ids=str,
)
def test_the_gateway_s_words_are_found_in_any_of_its_envelopes(data, words):
    error = to_error(Answer(418, {}, b""), data, doubt=None)

    assert error.message == "the gateway refused" + (f": {words}" if words else "")


GATEWAY_SAYS = {
    400: (InvalidRequestError, "the gateway refused the request", None),
    401: (AuthenticationError, "Maton did not accept the API key", "maton.ai/settings"),
    402: (APIError, "the gateway refused", None),
    403: (PermissionDeniedError, "the Maton API key lacks the scope for this request", "maton.ai/settings"),
    404: (NotFoundError, "the gateway does not know this address", "api_version"),
    411: (APIError, "the gateway refused", None),
    412: (ConnectionMissingError, "Maton found no usable WhatsApp connection", "connection_id"),
    422: (InvalidRequestError, "the gateway refused a parameter", None),
    **dict.fromkeys(
        (301, 302, 307, 308), (APIError, "the gateway redirected; the API key is not", "Check host")
    ),
}


@pytest.mark.parametrize("status", GATEWAY_SAYS)
def test_what_the_gateway_s_status_means(status):
    error, words, advice = GATEWAY_SAYS[status]
    with pytest.raises(error) as caught:
        sending(status, {"message": "why"}, X_Request_Id="r-1")

    assert type(caught.value) is error
    assert caught.value.message.startswith(words)
    assert caught.value.message.endswith(": why")
    assert (caught.value.http_status, caught.value.request_id, caught.value.permanent) == (
        status,
        "r-1",
        True,
    )
    assert (advice is None and caught.value.advice is None) or advice in caught.value.advice


@pytest.mark.parametrize("status", [100, 300, 303, 304, 305, 309])
def test_what_may_have_been_carried_out_is_in_doubt(status):
    with pytest.raises(
        OutcomeUnknownError, match=f"HTTP {status} is not a valid answer to this request: why"
    ):
        sending(status, {"message": "why"})


@pytest.mark.parametrize("status", [400, 401, 403, 404, 412, 418])
def test_where_a_missing_connection_is_what_the_gateway_means(status):
    with pytest.raises(APIError) as caught:
        sending(status, {"message": "No Connection here"})

    assert (type(caught.value) is ConnectionMissingError) is (status in (400, 404, 412))


@pytest.mark.parametrize(
    ("status", "body", "wait"),
    [(429, None, 7.0), (503, None, 7.0), (408, None, 7.0), (400, graph(80007), 7.0), (500, graph(2), 7.0)],
    ids=["429", "503", "408", "throttled", "transient"],
)
def test_the_wait_that_is_asked_for_is_kept(status, body, wait):
    with pytest.raises(WhatsAppError) as caught:
        reading(status, body, Retry_After="7")

    assert caught.value.retry_after == wait


@pytest.mark.parametrize("name", ["messages", "contacts", "id", "success"])
@pytest.mark.parametrize("value", [["x"], None], ids=["there", "empty"])
def test_a_refusal_that_is_a_success_at_once_is_in_doubt(name, value):
    body = {"message": "no", name: value}
    error = OutcomeUnknownError if value else InvalidRequestError
    with pytest.raises(error):
        sending(400, body)
    with pytest.raises(InvalidRequestError):
        reading(400, body)


@pytest.mark.parametrize(
    "body", [{"error": {"message": "words"}}, {"error": "words"}], ids=["object", "text"]
)
def test_a_gateway_s_error_in_a_success_is_in_doubt_with_its_words(body):
    with pytest.raises(OutcomeUnknownError, match="HTTP 200 is not a valid answer to this request: words"):
        sending(200, body)


LONG = 500_000


@pytest.mark.parametrize(
    ("body", "read_at_all"),
    [
        (b"[" + b"1," * (LONG - 1) + b"1]", True),
        (b"[" + b"1," * LONG + b"1]", False),
        (b"[" + b"{}," * (LONG // 2) + b"1]", False),
        (b'["' + b"x" * LONG + b'"]', True),
        (b"[" * 3_000, False),
        (b"{", False),
    ],
    ids=["as many values as may be", "one more", "objects", "a long text", "deep", "cut off"],
)
def test_an_answer_is_read_unless_it_would_fill_the_memory(body, read_at_all):
    assert (Answer(200, {}, body).json() is not None) is read_at_all


class Hides:
    """Stands for what knows the message: replaces a word."""

    def text(self, text):
        return text.replace("secret", "...")

    def values(self, data):
        return json.loads(self.text(json.dumps(data)))


@pytest.mark.parametrize(
    ("status", "body", "hidden"),
    [
        (200, {"a": "secret"}, False),
        (299, {"a": "secret"}, False),
        (200, {"error": {"message": "secret"}}, True),
        (200, ["secret"], True),
        (199, {"a": "secret"}, True),
        (300, {"a": "secret"}, True),
        (400, {"a": "secret"}, True),
    ],
)
def test_an_answer_that_is_no_success_repeats_nothing_of_the_message(status, body, hidden):
    content = json.dumps(body).encode()
    assert ("secret" in json.dumps(Answer(status, {}, content, echo=Hides()).json())) is not hidden
    assert Answer(status, {}, content).json() == body


@pytest.mark.parametrize(
    ("stated", "found"),
    [(None, None), ("", None), ("r-1", "r-1"), ("a\nb", "a b"), ("x" * 128, "x" * 128), ("\n", None)],
    ids=["none", "empty", "plain", "lines", "longest", "blank"],
)
@pytest.mark.parametrize("cleaner", [None, Cleaner("a-key-of-ours")], ids=["no key", "key"])
def test_a_request_s_id(stated, found, cleaner):
    headers = CaseInsensitiveDict({} if stated is None else {"x-request-id": stated})

    assert Answer(200, headers, b"", cleaner=cleaner).request_id == found


def test_a_request_s_id_is_cut_and_cleaned():
    assert len(Answer(200, {"X-Request-Id": "x" * 129}, b"").request_id) <= 128
    hidden = Answer(
        200, {"X-Request-Id": "secret a-key-of-ours"}, b"", cleaner=Cleaner("a-key-of-ours"), echo=Hides()
    )
    assert "secret" not in hidden.request_id
    assert "a-key-of-ours" not in hidden.request_id


DETAILS = {
    "an object": ({"error_data": {"details": "d"}}, "d"),
    "a text": ({"error_data": "d"}, "d"),
    "title and words": ({"error_user_title": "t", "error_user_msg": "m"}, "t m"),
    "all": ({"error_data": {"details": "d"}, "error_user_title": "t", "error_user_msg": "m"}, "d t m"),
    "empty": ({"error_data": {"details": ""}, "error_user_title": 7}, None),
    "nothing": ({}, None),
    "an empty one before another": ({"error_data": "", "error_user_title": "t"}, "t"),
    "a number before a text": ({"error_data": {"details": 7}, "error_user_msg": "m"}, "m"),
}


@pytest.mark.parametrize(("fields", "details"), DETAILS.values(), ids=list(DETAILS))
def test_the_details_of_graph_s_error(fields, details):
    with pytest.raises(InvalidRequestError) as caught:
        sending(400, graph(100, **fields))

    assert caught.value.details == details


CODES = {
    "largest": (999_999_999, True),
    "too large": (1_000_000_000, False),
    "smallest": (-999_999_999, True),
    "too small": (-1_000_000_000, False),
    "boolean": (True, False),
    "text": ("100", False),
    "fraction": (100.0, False),
    "none": (None, False),
}


@pytest.mark.parametrize(("code", "graph_s"), CODES.values(), ids=list(CODES))
def test_whose_error_it_is_its_code_says(code, graph_s):
    error = to_error(answer(400), {"error": {"message": "m", "code": code}}, doubt=None)

    assert error.message.startswith(
        "WhatsApp refused: m" if graph_s else "the gateway refused the request: m"
    )
    subcode = to_error(answer(400), graph(100, error_subcode=code), doubt=None).subcode
    assert subcode == (code if graph_s else None)


@pytest.mark.parametrize(("transient", "error"), [(True, ServerError), (False, APIError), (1, APIError)])
def test_an_unknown_code_passes_only_where_graph_says_so(transient, error):
    with pytest.raises(error) as caught:
        reading(400, graph(987_654, is_transient=transient))

    assert type(caught.value) is error


def test_a_refusal_without_words_has_the_table_s():
    with pytest.raises(InvalidRequestError) as caught:
        sending(400, {"error": {"code": 100, "fbtrace_id": "trace"}})

    assert caught.value.message.startswith("WhatsApp refused: ")
    assert len(caught.value.message) > len("WhatsApp refused: ")
    assert caught.value.fbtrace_id == "trace"
    with pytest.raises(InvalidRequestError) as caught:
        sending(400, graph(100))
    assert (caught.value.fbtrace_id, caught.value.subcode, caught.value.request_id) == (None, None, None)


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        pytest.param(b"", OutcomeUnknownError, "success without a readable body", id="empty"),
        pytest.param(b"<html>", OutcomeUnknownError, "success without a readable body", id="HTML"),
        pytest.param({"error": {"code": 100}}, InvalidRequestError, "WhatsApp refused", id="only a code"),
    ],
)
def test_a_success_without_words_is_in_doubt_unless_graph_refused(body, error, words):
    with pytest.raises(error, match=words):
        sending(200, body)


UNDOCUMENTED = {
    401: (AuthenticationError, AuthenticationError),
    403: (PermissionDeniedError, PermissionDeniedError),
    404: (NotFoundError, NotFoundError),
    418: (APIError, APIError),
    429: (RateLimitError, RateLimitError),
    500: (OutcomeUnknownError, ServerError),
    503: (OutcomeUnknownError, ServerError),
}


@pytest.mark.parametrize("status", UNDOCUMENTED)
def test_the_status_decides_for_an_undocumented_code(status):
    for call, error in zip((sending, reading), UNDOCUMENTED[status], strict=True):
        with pytest.raises(WhatsAppError) as caught:
            call(status, graph(987_654))

        assert type(caught.value) is error
        assert caught.value.fbtrace_id is None


@pytest.mark.parametrize("code", [100, 131043], ids=["documented as a 400", "without a documented status"])
@pytest.mark.parametrize(("status", "doubted"), [(499, False), (500, True), (503, True)])
def test_a_send_that_ends_in_an_undocumented_5xx_is_in_doubt_whatever_its_code(code, status, doubted):
    with pytest.raises(WhatsAppError) as refused:
        reading(status, graph(code))
    with pytest.raises(WhatsAppError) as caught:
        sending(status, graph(code))

    assert refused.value.permanent
    assert type(caught.value) is (OutcomeUnknownError if doubted else type(refused.value))
    assert not isinstance(refused.value, OutcomeUnknownError | ServerError)
