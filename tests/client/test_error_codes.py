from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_whatsapp.client import errors as e
from airflow_provider_whatsapp.client.error_codes import RANGES, TABLE, CodeInfo, Retry, look_up

FACTS = json.loads((Path(__file__).parents[1] / "data" / "error_codes.json").read_text("utf-8"))

NO, AUTH, WAIT, AMBIGUOUS = Retry.NO, Retry.AUTH, Retry.WAIT, Retry.AMBIGUOUS

# Written from the fact sheet, apart from the table under test: class to raise, retry, codes.
EXPECTED = [
    (e.AuthenticationError, AUTH, [0, 102, 104, 190]),
    (e.PermissionDeniedError, NO, [3, 10, 131005]),
    (e.ServerError, AMBIGUOUS, [1, 2, 131000, 131016, 133004]),
    (e.NotFoundError, NO, [33, 803, 131041]),
    (
        e.InvalidRequestError,
        NO,
        [
            100,
            506,
            131008,
            131009,
            131051,
            131052,
            131053,
            131059,
            135000,
            136025,
            132068,
            132069,
            200005,
            200006,
            200007,
        ],
    ),
    (e.RateLimitError, WAIT, [4, 17, 32, 613, 341, 80007, 80008, 130429, 131056, 131208]),
    (
        e.RecipientError,
        NO,
        [
            130472,
            130497,
            131020,
            131021,
            131026,
            131030,
            131043,
            131047,
            131049,
            131050,
            131062,
            131207,
            137000,
        ],
    ),
    (
        e.AccountError,
        NO,
        [
            368,
            131031,
            131037,
            131042,
            131044,
            131045,
            131048,
            131063,
            131064,
            131215,
            133000,
            133005,
            133006,
            133008,
            133009,
            133010,
            134011,
            1752041,
            2593107,
            2593108,
        ],
    ),
    (e.AccountError, WAIT, [131057, 133015, 133016, 2494100]),
    (
        e.TemplateError,
        NO,
        [
            132000,
            132001,
            132005,
            132007,
            132008,
            132012,
            132015,
            132016,
            132018,
            131055,
            131061,
            134100,
            134102,
        ],
    ),
    (e.TemplateError, WAIT, [134101]),
]
SUBCODES = [
    (100, 33, e.NotFoundError, NO),
    *[(190, subcode, e.AuthenticationError, AUTH) for subcode in (458, 459, 460, 463, 464, 467, 492)],
    *[(4, subcode, e.RateLimitError, WAIT) for subcode in (2446079, 2446080)],
    *[(200, subcode, e.PermissionDeniedError, NO) for subcode in (1349174, 1349175, 1349176)],
    (130429, 2494055, e.RateLimitError, WAIT),
    *[
        (100, subcode, e.TemplateError, NO)
        for subcode in (
            2388019,
            2388040,
            2388047,
            2388072,
            2388073,
            2388293,
            2388299,
            2388023,
            2388024,
            2388046,
            2388155,
            2388043,
        )
    ],
    *[(100, subcode, e.AccountError, NO) for subcode in (2388001, 2388012, 2388091, 2388093, 2388103)],
]


@pytest.mark.parametrize(
    ("code", "error", "retry"),
    [pytest.param(code, error, retry, id=str(code)) for error, retry, codes in EXPECTED for code in codes],
)
def test_code(code, error, retry):
    info = look_up(code)
    assert (info.code, info.error, info.retry, info.known) == (code, error, retry, True)


@pytest.mark.parametrize(
    ("code", "subcode", "error", "retry"), [pytest.param(*row, id=f"{row[0]} ({row[1]})") for row in SUBCODES]
)
def test_subcode(code, subcode, error, retry):
    info = look_up(code, subcode)
    assert (info.code, info.subcode, info.error, info.retry, info.known) == (
        code,
        subcode,
        error,
        retry,
        True,
    )


def test_the_expectations_cover_every_row():
    expected = {(code, None) for _, _, codes in EXPECTED for code in codes} | {row[:2] for row in SUBCODES}
    rows = [(row.code, row.subcode) for row in TABLE]
    assert set(rows) == expected
    assert len(rows) == len(expected)


ROWS = [*TABLE, *[info for _, _, info in RANGES]]


@pytest.mark.parametrize("row", [pytest.param(row, id=f"{row.code} ({row.subcode})") for row in ROWS])
def test_every_row_says_what_it_means_and_what_to_do(row):
    assert row.meaning
    assert not row.meaning.endswith(".")
    assert row.advice.endswith(".")
    assert "  " not in row.meaning + row.advice
    assert issubclass(row.error, e.APIError)
    assert (row.wait is not None) == (row.retry in {WAIT, AMBIGUOUS})
    if row.wait is not None:
        assert 0 < row.wait <= row.max_wait
    assert row.permanent == (row.retry in {NO, AUTH})
    assert row.http_status is None or 400 <= row.http_status < 600


@pytest.mark.parametrize("row", [pytest.param(row, id=f"{row.code} ({row.subcode})") for row in TABLE])
def test_every_row_makes_an_error(row):
    info = look_up(row.code, row.subcode)
    error = info.error(
        info.meaning, advice=info.advice, code=info.code, subcode=info.subcode, permanent=info.permanent
    )
    assert str(row.code) in str(error)
    assert info.advice in str(error)


# -- where the wanted-API document and Meta differ, Meta's meaning holds


@pytest.mark.parametrize(
    ("code", "words"),
    [
        pytest.param(131030, "allowed list of the test number", id="131030"),
        pytest.param(131031, "account is locked", id="131031"),
        pytest.param(132000, "number of parameters", id="132000"),
        pytest.param(132001, "does not exist in this language", id="132001"),
        pytest.param(133010, "not registered on the platform", id="133010"),
    ],
)
def test_metas_meaning(code, words):
    assert words in look_up(code).meaning


def test_advice_names_fields_of_the_connection():
    named = set(re.findall(r"extra\.\w+", " ".join(row.advice for row in ROWS)))
    assert named <= {"extra.phone_number_id", "extra.waba_id", "extra.connection_id", "extra.rate_limit"}
    assert named


# -- codes that no row names


@pytest.mark.parametrize(
    ("code", "error"),
    [
        pytest.param(200, e.PermissionDeniedError, id="200"),
        pytest.param(299, e.PermissionDeniedError, id="299"),
        pytest.param(131201, e.InvalidRequestError, id="131201"),
        pytest.param(131214, e.InvalidRequestError, id="131214"),
        pytest.param(138006, e.InvalidRequestError, id="138006"),
        pytest.param(139100, e.InvalidRequestError, id="139100"),
        pytest.param(147005, e.InvalidRequestError, id="147005"),
    ],
)
def test_ranges(code, error):
    info = look_up(code)
    assert (info.code, info.error, info.retry, info.known) == (code, error, NO, True)


@pytest.mark.parametrize(
    ("code", "options", "error", "retry"),
    [
        pytest.param(199999, {"http_status": 400}, e.APIError, NO, id="400"),
        pytest.param(199999, {"http_status": 401}, e.AuthenticationError, AUTH, id="401"),
        pytest.param(199999, {"http_status": 403}, e.PermissionDeniedError, NO, id="403"),
        pytest.param(199999, {"http_status": 404}, e.NotFoundError, NO, id="404"),
        pytest.param(199999, {"http_status": 429}, e.RateLimitError, WAIT, id="429"),
        pytest.param(199999, {"http_status": 500}, e.ServerError, AMBIGUOUS, id="500"),
        pytest.param(199999, {"http_status": 503}, e.ServerError, AMBIGUOUS, id="503"),
        pytest.param(
            199999, {"http_status": 400, "is_transient": True}, e.ServerError, AMBIGUOUS, id="transient"
        ),
        pytest.param(199999, {}, e.APIError, NO, id="no status"),
        pytest.param(None, {}, e.APIError, NO, id="nothing at all"),
        pytest.param(300, {"http_status": 400}, e.APIError, NO, id="just after a range"),
        pytest.param(147006, {"http_status": 400}, e.APIError, NO, id="just after the last range"),
        pytest.param(100, {"subcode": 2388999}, e.TemplateError, NO, id="new template problem"),
    ],
)
def test_unknown(code, options, error, retry):
    info = look_up(code, **options)
    assert (info.error, info.retry, info.known) == (error, retry, False)
    assert info.advice


def test_the_status_does_not_change_what_is_known():
    assert look_up(131030, http_status=500, is_transient=True).retry is NO
    assert look_up(131030, http_status=500).error is e.RecipientError


def test_a_subcode_that_says_nothing_leaves_the_code_its_meaning():
    assert look_up(132000, 2494073).meaning == look_up(132000).meaning
    assert look_up(132000, 2494073).subcode == 2494073


def test_a_template_problem_may_come_as_the_code():
    assert look_up(2388024).meaning == look_up(100, 2388024).meaning


@given(
    st.none() | st.integers(-(10**7), 10**7),
    st.none() | st.integers(0, 10**7),
    st.none() | st.integers(100, 599),
    st.booleans(),
)
def test_always_something_that_helps(code, subcode, http_status, is_transient):
    info = look_up(code, subcode, http_status=http_status, is_transient=is_transient)
    assert isinstance(info, CodeInfo)
    assert info.meaning
    assert info.advice
    assert (info.code, info.subcode) == (code, subcode)


# -- complete against the fact sheet


def _codes(row):
    return [(code, subcode) for first, last, subcode in row["codes"] for code in range(first, last + 1)]


def test_every_code_of_the_fact_sheet_is_known():
    codes = [pair for row in FACTS["rows"] for pair in _codes(row)]
    assert len(codes) > 150
    assert [pair for pair in codes if not look_up(*pair).known] == []
    assert {
        (100, 33),
        (4, 2446080),
        (200, 1349175),
        (130429, 2494055),
        (2593108, None),
        (138999, None),
    } <= set(codes)


def test_the_subcodes_of_190_are_known():
    subcodes = FACTS["subcodes_of_190"]
    assert len(subcodes) == 7
    assert [subcode for subcode in subcodes if look_up(190, subcode).meaning == look_up(190).meaning] == []


def test_every_template_problem_of_the_fact_sheet_is_known():
    subcodes = FACTS["template_subcodes"]
    assert len(subcodes) == 17
    assert [subcode for subcode in subcodes if not look_up(100, subcode).known] == []


def test_status_and_asynchronous_delivery_are_the_fact_sheets():
    wrong = []
    compared = 0
    for row in FACTS["rows"]:
        codes = [code for code, subcode in _codes(row) if subcode is None and look_up(code).known]
        statuses, asynchronous = row["statuses"], row["asynchronous"]
        for code in codes:
            if code in {137000, 136025}:  # one row, and only the second is asynchronous by its meaning
                continue
            info = look_up(code)
            compared += 1
            if statuses and info.http_status not in statuses:
                wrong.append((code, "status", info.http_status, statuses))
            if info.asynchronous != asynchronous:
                wrong.append((code, "asynchronous", info.asynchronous))
    assert wrong == []
    assert compared > 150


def test_the_retry_class_is_the_fact_sheets():
    words = {"no": NO, "auth": AUTH, "wait": WAIT, "ambig": AMBIGUOUS}
    wrong = []
    compared = 0
    for row in FACTS["rows"]:
        if row["retry"] is None:
            continue
        for code, subcode in _codes(row):
            compared += 1
            if look_up(code, subcode).retry is not words[row["retry"]]:
                wrong.append((code, subcode, look_up(code, subcode).retry, row["retry"]))
    assert wrong == []
    assert compared > 120
