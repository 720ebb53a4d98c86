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
    """One recipient."""

    position: int  # in the source, or in this shard of it
    to: str = field(repr=False)  # digits of the number, or the ID; the given text if it is neither
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    group: str = ""  # recipients of one group are sent to in the same hours
    skip: Literal["duplicate", "suppressed"] | None = None  # why nothing has to be sent
    error: PayloadError | None = None  # why nothing can be sent
    where: str = ""  # such as people.csv:12
    given: str = field(default="", repr=False)  # as the row contains it


@dataclass(slots=True)
class Survey:
    """What the first reading of all recipients found."""

    total: int = 0  # including those left out
    digest: str = ""
    open: int = 0  # recipients that can be sent to
    malformed: int = 0  # rows that cannot be sent to
    groups: Counter[str] = field(default_factory=Counter)  # of recipients that can be sent to
    first_error: PayloadError | None = None
    bare: Counter[str] = field(default_factory=Counter)  # numbers without a plus sign, by country


def _mark(before: int, values: list[Any]) -> int:
    """Return 4 bytes for a row and all before it, valid within this process; they cost less than a digest."""
    try:
        return hash((before, *values)) & 0xFFFFFFFF
    except TypeError:  # lists and dicts in JSON lines
        return hash((before, _encode(values))) & 0xFFFFFFFF


class Recipients:
    """The recipients of a broadcast, read from the start in each iteration."""

    def __init__(
        self,
        source: Any,  # a path with open, or a list of dicts or numbers
        *,
        to_field: str = "to",
        columns: Collection[str] = (),  # other columns with values for the message
        shard: int = 0,  # from 0
        shards: int = 1,  # they divide the list by number, so a number is in only one of them
        suppressed: Container[str] = (),
        scope: Scope = "all",  # of a results file: failed (or never tried), or unknown
        group: Callable[[str], str] | None = None,
        default_country: str | None = None,  # ISO code, for national numbers; None: they need a country code
        part: Callable[[], Iterator[Raw]] | None = None,  # the shard's rows, by an index; None: whole source
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
        """Yield the recipients in their order; raises SourceChangedError if the source differs from the survey."""
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
            # A recipient who differs from the survey's at this position is not returned.
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
        """Yield all rows of the source, each with its shard, and its recipient; None: nothing can be sent."""
        for where, columns in self._whole():
            row, same = self._row(0, where, columns)
            # The recipient is in the report's form and in the canonical one.
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
        """Read all recipients once, before anything is sent, and return what was found."""
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
    """Check recipients before anything is sent, and return them without duplicates, as digits or IDs."""
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
