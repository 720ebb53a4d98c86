"""Recipients in their order: normalised, each once, in shards, without suppressed people."""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.phone import canonical, is_bare, recipient_key
from airflow_provider_whatsapp.delivery.compact_sets import Seen
from airflow_provider_whatsapp.delivery.countries import country
from airflow_provider_whatsapp.delivery.ledger import SourceChangedError
from airflow_provider_whatsapp.delivery.result_lines import Scope, in_scope
from airflow_provider_whatsapp.delivery.rows import read_rows
from airflow_provider_whatsapp.delivery.suppression import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterator, Sequence

    from airflow_provider_whatsapp.delivery.rows import Raw

MAX_SHOWN = 5
"""The most malformed recipients that one error names."""
LONGEST_SHOWN = 60
"""The most characters of a malformed cell that the report keeps."""
_encode = json.JSONEncoder(default=str).encode  # made once, because it encodes each row of each reading
_SEPARATORS = re.compile(r"[,;\n]")


@dataclass(frozen=True, slots=True)
class Row:
    """
    One recipient.

    :param position: Position in the source, or in this shard of it.
    :param to: Digits of the number, or the ID; the given text if it is neither.
    :param values: The row's columns.
    :param group: Recipients of one group are sent to in the same hours.
    :param skip: Why nothing has to be sent: ``duplicate`` or ``suppressed``.
    :param error: Why nothing can be sent.
    :param where: Place of the row: ``people.csv:12``.
    :param given: The recipient as the row contains it.
    """

    position: int
    to: str = field(repr=False)
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    group: str = ""
    skip: Literal["duplicate", "suppressed"] | None = None
    error: PayloadError | None = None
    where: str = ""
    given: str = field(default="", repr=False)


@dataclass(slots=True)
class Survey:
    """
    What the first reading of all recipients found.

    :param total: Number of recipients, including those left out.
    :param digest: Digest of the list.
    :param open: Number of recipients that can be sent to.
    :param malformed: Number of rows that cannot be sent to.
    :param groups: Number of recipients that can be sent to, by group.
    :param first_error: What is wrong with the first malformed row.
    :param bare: Number of recipients, by country, whose numbers have no ``+``, so that only their digits say where
        they go.
    """

    total: int = 0
    digest: str = ""
    open: int = 0
    malformed: int = 0
    groups: Counter[str] = field(default_factory=Counter)
    first_error: PayloadError | None = None
    bare: Counter[str] = field(default_factory=Counter)


def _mark(before: int, values: list[Any]) -> int:
    """
    Return 4 bytes for a row and all before it, valid within this process; they cost less than a digest.

    :param before: The bytes of the row before.
    :param values: The row's values that count.
    """
    try:
        return hash((before, *values)) & 0xFFFFFFFF
    except TypeError:  # lists and dicts in JSON lines
        return hash((before, _encode(values))) & 0xFFFFFFFF


class Recipients:
    """
    The recipients of a broadcast, read from the start in each iteration.

    After a :meth:`survey` each reading is compared with it: a recipient who differs from the survey's at this position
    is not returned.

    :param source: A path with ``open``, or a list of dicts or numbers.
    :param to_field: Column of the number.
    :param columns: Other columns with values for the message.
    :param shard: The shard, from 0.
    :param shards: Number of shards, which divide the list by number: a number is in only one of them.
    :param suppressed: Numbers on the suppression list.
    :param scope: Of a results file, only recipients who ``failed`` (or were never tried), or are ``unknown``.
    :param group: Returns the group of a recipient.
    :param default_country: ISO code of the country whose national numbers are read; None: numbers need a country
        code.
    :param part: Returns the shard's own rows, in the source's order, from an index; None: the whole source is
        read.
    :param marks: Marks recipients who have opted out, in each reading; None: opt-outs are not looked up.
    """

    def __init__(
        self,
        source: Any,
        *,
        to_field: str = "to",
        columns: Collection[str] = (),
        shard: int = 0,
        shards: int = 1,
        suppressed: Container[str] = (),
        scope: Scope = "all",
        group: Callable[[str], str] | None = None,
        default_country: str | None = None,
        part: Callable[[], Iterator[Raw]] | None = None,
        marks: Callable[[Iterator[Row]], Iterator[Row]] | None = None,
    ) -> None:
        if not 0 <= shard < shards:
            raise PayloadError(
                f"{shard} of {shards}", field="shard", limit="0 to shards - 1", advice="Count from 0."
            )
        self._source = source
        self._to_field = to_field
        self._columns = sorted(columns)
        self._shard, self._shards = shard, shards
        self._suppressed = suppressed
        self._scope = scope
        self._group = group
        self._surveyed: array[int] | None = None
        self._default_country = default_country
        self._part = part
        self._marks = marks

    def __iter__(self) -> Iterator[Row]:
        """
        Yield the recipients in their order.

        :raises SourceChangedError: The source differs from the survey, or can no longer be read.
        """
        if self._surveyed is None:
            yield from self._marked()
            return
        mark, count, rows = 0, 0, self._marked()
        while True:
            try:
                row = next(rows, None)
            except Exception as error:  # an object store's library raises errors of other types
                raise self._unreadable(error, count) from error
            if row is None:
                break
            mark = _mark(mark, self._counting(row))
            if count == len(self._surveyed) or mark != self._surveyed[count]:
                raise self._changed(row.where, count)
            count += 1
            yield row
        if count < len(self._surveyed):
            raise self._changed("its end", count)

    def _counting(self, row: Row) -> list[Any]:
        """Return the values that identify a row."""
        return [row.to, row.group, *(row.values.get(name) for name in self._columns)]

    def _changed(self, where: str, count: int) -> SourceChangedError:
        return SourceChangedError(
            f"{self._name} was changed while it was being sent: from {where} on, it differs from what the task read "
            f"at its start ({self._so_far(count)})",
            advice="Nothing was sent to the recipients after that place. Put the list back as it was and clear the "
            "task: recipients who have a message are left out. Write a new list to a separate file, and rename "
            "it when it is complete.",
        )

    def _unreadable(self, error: Exception, count: int) -> SourceChangedError:
        reason = error.message if isinstance(error, PayloadError) else type(error).__name__
        return SourceChangedError(
            f"{self._name} could be read when the task began, but can no longer be read ({self._so_far(count)}): "
            f"{reason.removeprefix('recipients: ')}",
            advice="Nothing was sent to the recipients after that place. Put the list back as it was: a retry "
            "continues there, and leaves out recipients who have a message.",
            permanent=False,
        )

    @property
    def _name(self) -> str:
        return str(getattr(self._source, "name", "the list of recipients"))

    def _so_far(self, count: int) -> str:
        return f"{count} of {len(self._surveyed or ())} recipients had been read"

    def _marked(self) -> Iterator[Row]:
        return self._read() if self._marks is None else self._marks(self._read())

    def _read(self) -> Iterator[Row]:
        seen, position = Seen(), 0
        for where, columns in self._whole() if self._part is None else self._part():
            row, same = self._row(position, where, columns)
            if self._shards > 1 and self._shard_of(same) != self._shard:  # without shards no row needs a hash
                continue
            position += 1
            if row.error is not None or seen.add(same):
                yield row
            else:
                yield Row(row.position, row.to, row.values, row.group, "duplicate", None, where, row.given)

    def _whole(self) -> Iterator[Raw]:
        needed = {self._to_field} if self._scope != "all" else {self._to_field, *self._columns}
        rows = read_rows(self._source, needed=needed, value_field=self._to_field)
        return in_scope(rows, self._source, self._scope, self._to_field)

    def _shard_of(self, same: str) -> int:
        """Return the shard of a recipient, which depends only on the number, not on its places in the list."""
        return zlib.crc32(same.encode()) % self._shards

    def by_shard(self) -> Iterator[tuple[int, Raw, tuple[str, str] | None]]:
        """
        Yield all rows of the source, each with its shard, and its recipient in the report's and in the canonical form.

        :return: The recipient is None if nothing can be sent.
        :raises PayloadError: The source cannot be read.
        """
        for where, columns in self._whole():
            row, same = self._row(0, where, columns)
            yield self._shard_of(same), (where, columns), None if row.error is not None else (row.to, same)

    def _row(self, position: int, where: str, columns: dict[str, Any] | PayloadError) -> tuple[Row, str]:
        """Return a row, and the canonical form that all rows of the same recipient share."""
        if isinstance(columns, PayloadError):
            return Row(position, where, error=columns, where=where), where
        given = columns.get(self._to_field)
        try:
            to = recipient_key("" if given is None else given, default_country=self._default_country)
        except PayloadError as error:
            problem = PayloadError(
                f"{where}: {error.message.removeprefix('to: ')}", field="to", advice=error.advice
            )
            shown = _cut("" if given is None else str(given))
            row = Row(position, shown or where, columns, error=problem, where=where, given=shown)
            return row, row.to
        group = self._group(to) if self._group is not None else ""
        same = canonical(to)
        skip: Literal["suppressed"] | None = "suppressed" if same in self._suppressed else None
        return Row(position, to, columns, group, skip, None, where, str(given)), same

    def survey(self) -> Survey:
        """
        Read all recipients once, before anything is sent, and return what was found.

        :raises PayloadError: The source cannot be read, is empty, or has no valid row.
        """
        found, digest, surveyed, mark = Survey(), hashlib.sha256(), array("I"), 0
        malformed = hashlib.sha256()
        for row in self._marked():
            found.total += 1
            values = self._counting(row)
            digest.update(_encode(values).encode())
            mark = _mark(mark, values)
            surveyed.append(mark)
            if row.error is not None:
                found.malformed += 1
                malformed.update(f"{row.position} ".encode())
                found.first_error = found.first_error or row.error
            elif row.skip is None:
                found.open += 1
                found.groups[row.group] += 1
                if not row.given.startswith("+") and is_bare(row.given):
                    found.bare[country(row.to)] += 1
        # The digest includes which rows are malformed: another version may accept a row that was never sent to.
        refused = malformed.hexdigest()[:16] if found.malformed else ""
        found.digest, self._surveyed = f"{digest.hexdigest()}.{refused}", surveyed
        if found.total and found.malformed == found.total and found.first_error is not None:
            raise PayloadError(
                f"all {found.total} rows are malformed; the first: {found.first_error.message}",
                field="recipients",
                advice=found.first_error.advice,
            )
        return found


def read_recipients(to: object, *, default_country: str | None = None) -> list[str]:
    """
    Check recipients before anything is sent, and return them without duplicates.

    :param to: One number or user ID, or several: a list, or a text that separates them by commas or semicolons, or
        contains a list as JSON or as Python writes it.
    :param default_country: ISO code of the country whose national numbers are read; None: numbers need a country
        code.
    :return: Each once, in the form that reports use: digits, or the ID.
    :raises PayloadError: There is none, or some are malformed; the error names their places, masked.
    """
    if to is None:
        raise PayloadError(
            "is None, so there is nobody to send to",
            field="to",
            advice="Pass a number or a list. If it is another task's output, see whether that task returned one.",
        )
    if isinstance(to, str) and to.lstrip().startswith("["):
        to = listed(to, field="to")
    if isinstance(to, str):
        given: list[Any] = [part for part in _SEPARATORS.split(to) if part.strip()]
    else:
        given = list(to) if isinstance(to, Iterable) and not isinstance(to, Mapping | bytes) else [to]
    if not given:
        raise PayloadError(
            "is empty", field="to", advice="Pass a number in international form, or a list of them."
        )
    recipients: dict[str, str] = {}
    wrong: list[tuple[int, PayloadError]] = []
    for place, number in enumerate(given):
        try:
            key = recipient_key(number, default_country=default_country)
            recipients.setdefault(canonical(key), key)
        except PayloadError as error:
            wrong.append((place, error))
    if wrong:
        raise _all_wrong(wrong, len(given))
    return list(recipients.values())


def _cut(cell: str) -> str:
    """Return a malformed cell as the report keeps it, shortened because a cell may be as long as a file."""
    return cell if len(cell) <= LONGEST_SHOWN else f"{cell[:LONGEST_SHOWN]}... ({len(cell)} characters)"


def _all_wrong(wrong: Sequence[tuple[int, PayloadError]], total: int) -> PayloadError:
    first = wrong[0][1]
    if total == 1:
        return first
    places = ", ".join(f"to[{place}]" for place, _ in wrong[:MAX_SHOWN]) + (
        ", ..." if len(wrong) > MAX_SHOWN else ""
    )
    problem = f"{len(wrong)} of {total} recipients are malformed ({places}); the first: {first.message}"
    return PayloadError(problem, field="to", advice=first.advice)
