"""What a request's error code means, what to do about it, and which error to raise."""

from __future__ import annotations

from airflow_provider_whatsapp.client import error_table, errors
from airflow_provider_whatsapp.client.error_rows import anchor_of, find_row
from airflow_provider_whatsapp.client.error_table import Retry, Row

__all__ = ["RANGES", "TABLE", "CodeInfo", "Retry", "anchor_of", "look_up"]


class CodeInfo(Row):
    """The facts about one error code, with the class to raise."""

    __slots__ = ()

    @property
    def error(self) -> type[errors.APIError]:
        """The class to raise."""
        found: type[errors.APIError] = getattr(errors, self.error_name)
        return found


#: Every code in Meta's documents; one row per code, or per code and subcode.
TABLE = tuple(CodeInfo(*row) for row in error_table.TABLE)

#: Codes that Meta names by a range: first, last, and the facts if :data:`TABLE` has no row.
RANGES = tuple((first, last, CodeInfo(*row)) for first, last, row in error_table.RANGES)


def look_up(
    code: int | None,
    subcode: int | None = None,  # Graph's error_subcode, which distinguishes the template problems
    *,
    http_status: int | None = None,  # decides only for unknown codes, as does is_transient
    is_transient: bool = False,
) -> CodeInfo:
    """Return the facts about an error, with advice in any case."""
    # A code that is not documented follows Meta's general rule: is_transient is treated as code 2, a 5xx is
    # ambiguous, HTTP 429 may be repeated after a wait, anything else is permanent.
    row = find_row(code, subcode) or _undocumented(http_status, is_transient=is_transient)
    return CodeInfo(*row._replace(code=code, subcode=subcode))


def _undocumented(http_status: int | None, *, is_transient: bool) -> Row:
    if is_transient:
        row = error_table.TRANSIENT
    elif http_status is not None and http_status >= 500:
        row = error_table.SERVER_FAULT
    else:
        row = error_table.BY_STATUS.get(http_status or 0, error_table.UNDOCUMENTED)
    return row._replace(http_status=http_status)
