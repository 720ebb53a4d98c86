"""What a request's error code means, and what to do about it: looked up in the table of Meta's codes."""

from __future__ import annotations

from dataclasses import replace

from airflow_provider_whatsapp.client.error_table import (
    BY_STATUS,
    OTHER_PROBLEM,
    PROBLEMS,
    RANGES,
    SERVER_FAULT,
    TABLE,
    UNDOCUMENTED,
    CodeInfo,
    Retry,
)

__all__ = ["RANGES", "TABLE", "CodeInfo", "Retry", "anchor_of", "look_up"]

_BY_CODE = {(row.code, row.subcode): row for row in TABLE}


def look_up(
    code: int | None,
    subcode: int | None = None,
    *,
    http_status: int | None = None,
    is_transient: bool = False,
) -> CodeInfo:
    """
    Return what is known of an error; always something that helps.

    A code that nobody documents follows Meta's general rule: ``is_transient`` is as code 2, a 5xx is
    ambiguous, HTTP 429 may be repeated after a wait, anything else is permanent.

    :param code: Graph's ``error.code``.
    :param subcode: Graph's ``error.error_subcode``; it distinguishes the template problems.
    :param http_status: Status of the answer; decides for unknown codes only.
    :param is_transient: Graph's ``error.is_transient``; decides for unknown codes only.
    """
    found = _documented(code, subcode)
    if found is not None:
        return replace(found, code=code, subcode=subcode)
    if is_transient:
        found = replace(_BY_CODE[2, None], known=False)
    elif http_status is not None and http_status >= 500:
        found = SERVER_FAULT
    else:
        found = BY_STATUS.get(http_status or 0, UNDOCUMENTED)
    return replace(found, code=code, subcode=subcode, http_status=http_status)


def anchor_of(code: int | None, subcode: int | None = None) -> str | None:
    """
    Return the anchor of an error's row in the documentation's page of errors; None for one that it does not have.

    :param code: Graph's ``error.code``.
    :param subcode: Graph's ``error.error_subcode``; problems with a template's definition have anchors of their own.
    """
    for problem in (subcode, code):
        if problem in PROBLEMS:
            return str(problem)
    found = _documented(code, subcode)
    return None if found is None else str(found.code)


def _documented(code: int | None, subcode: int | None) -> CodeInfo | None:
    exact = _BY_CODE.get((code, subcode))
    if exact is not None:
        return exact
    for problem in (subcode, code):
        # Meta gives these as the subcode of 100; some calls carry them as the code itself.
        if problem in PROBLEMS:
            return PROBLEMS[problem]
        if problem is not None and problem // 1000 == 2388:
            return OTHER_PROBLEM
    if (code, None) in _BY_CODE:
        return _BY_CODE[code, None]
    for first, last, info in RANGES:
        if code is not None and first <= code <= last:
            return info
    return None
