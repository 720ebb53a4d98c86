"""Finds an error's row in the table of Meta's error codes, and its place in the documentation."""

from __future__ import annotations

from airflow_provider_whatsapp.client.error_table import OTHER_PROBLEM, PROBLEMS, RANGES, TABLE, Row

_BY_CODE = {(row.code, row.subcode): row for row in TABLE}


def find_row(code: int | None, subcode: int | None = None) -> Row | None:
    """Return the row of a code and its subcode; None: no document of Meta's names the code."""
    exact = _BY_CODE.get((code, subcode))
    if exact is not None:
        return exact
    for problem in (subcode, code):
        # Meta gives these as the subcode of 100; some calls return them as the code itself.
        if problem in PROBLEMS:
            return PROBLEMS[problem]
        if problem is not None and problem // 1000 == 2388:
            return OTHER_PROBLEM
    if (code, None) in _BY_CODE:
        return _BY_CODE[code, None]
    for first, last, row in RANGES:
        if code is not None and first <= code <= last:
            return row
    return None


def anchor_of(code: int | None, subcode: int | None = None) -> str | None:
    """Return the anchor of an error's row in the documentation's page of errors; None: it has no row."""
    # Problems with a template's definition have their own anchors.
    for problem in (subcode, code):
        if problem in PROBLEMS:
            return str(problem)
    row = find_row(code, subcode)
    return None if row is None else str(row.code)
