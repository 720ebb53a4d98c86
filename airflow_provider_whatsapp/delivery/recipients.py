"""Recipients in their order: normalised, each once, in shards, without those who are to be left alone."""

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
from airflow_provider_whatsapp.delivery.countries import country
from airflow_provider_whatsapp.delivery.ledger import SourceChangedError
from airflow_provider_whatsapp.delivery.result_lines import Scope, in_scope
from airflow_provider_whatsapp.delivery.rows import read_rows
from airflow_provider_whatsapp.delivery.seen import Seen
from airflow_provider_whatsapp.delivery.suppression import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterator, Sequence

    from airflow_provider_whatsapp.delivery.rows import Raw

MAX_SHOWN = 5
"""Bad recipients that one error names."""
LONGEST_SHOWN = 60
"""Characters of a cell that is no number which the report keeps."""
_encode = json.JSONEncoder(default=str).encode  # made once, for it is asked for each row of each reading
_SEPARATORS = re.compile(r"[,;\n]")


@dataclass(frozen=True, slots=True)
class Row:
    """
    One recipient.

    :param position: Place in the source, or in this shard of it.
    :param to: Digits of the number, or the id; as it was given, where it is neither.
    :param values: The row's columns.
    :param group: Recipients of one group have their turn together.
    :param skip: Why nothing is to be sent: ``duplicate`` or ``suppressed``.
    :param error: Why nothing can be sent.
    :param where: Where it stands: ``people.csv:12``.
    :param given: The recipient as it stands there.
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
    What a first reading of all recipients has found.

    :param total: Recipients, those left out included.
    :param digest: Tells this list from any other.
    :param open: Recipients that can be sent to.
    :param malformed: Rows that cannot be sent to.
    :param groups: Recipients that can be sent to, by group.
    :param first_error: What is wrong with the first malformed row.
    :param bare: Recipients by country whose numbers stand without ``+``, so that their digits alone say where they go.
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
    Return 4 bytes that stand for a row and all before it, in this process; they cost less than a digest.

    :param before: The same for the row before.
    :param values: What counts of the row.
    """
    try:
        return hash((before, *values)) & 0xFFFFFFFF
    except TypeError:  # lists and dicts of JSON lines
        return hash((before, _encode(values))) & 0xFFFFFFFF


class Recipients:
    """
    The recipients of a broadcast, read from the start each time they are iterated over.

    After a :meth:`survey` each reading is held against it: who is not, in this place, who was there at the survey, is
    not handed out.

    :param source: A path with ``open``, or a list of dicts or numbers.
    :param to_field: Column of the number.
    :param columns: Other columns that the message takes values from.
    :param shard: Which part of them, from 0.
    :param shards: In how many parts they are divided, by number: a number is in one part only.
    :param suppressed: Numbers on the suppression list.
    :param scope: Of a results file, only those who ``failed`` (or were never tried), or are ``unknown``.
    :param group: Gives the group of a recipient.
    :param default_country: ISO code of the country whose national numbers are read; None: none are.
    :param part: Gives the shard's own rows of the source, in its order, where an index holds them; None: the whole
        source is read.
    :param marks: Marks those who have opted out, each time the recipients are read; None: nobody is asked.
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

        :raises SourceChangedError: The source is not what it was at the survey, or can no longer be read.
        """
        if self._surveyed is None:
            yield from self._marked()
            return
        mark, count, rows = 0, 0, self._marked()
        while True:
            try:
                row = next(rows, None)
            except Exception as error:  # an object store's library has errors of its own
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
        """Return what makes a row another one."""
        return [row.to, row.group, *(row.values.get(name) for name in self._columns)]

    def _changed(self, where: str, count: int) -> SourceChangedError:
        return SourceChangedError(
            f"{self._name} was changed while it was being sent: from {where} on, it differs from what the task read "
            f"at its start ({self._so_far(count)})",
            advice="Nothing was sent to the recipients after that place. Put the list back as it was and clear the "
            "task: recipients who have a message are left out. Write a new list to a file of its own, and rename "
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
            if self._shards > 1 and self._shard_of(same) != self._shard:  # without shards no row costs a hash
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
        """Return the shard of a recipient: of the number alone, wherever and however often it stands in the list."""
        return zlib.crc32(same.encode()) % self._shards

    def by_shard(self) -> Iterator[tuple[int, Raw, tuple[str, str] | None]]:
        """
        Yield all rows of the source, each with its shard, and its recipient in the report's form and the canonical one.

        :return: The recipient is None where nothing can be sent.
        :raises PayloadError: The source cannot be read.
        """
        for where, columns in self._whole():
            row, same = self._row(0, where, columns)
            yield self._shard_of(same), (where, columns), None if row.error is not None else (row.to, same)

    def _row(self, position: int, where: str, columns: dict[str, Any] | PayloadError) -> tuple[Row, str]:
        """Return a row, and what it shares with all others of the same recipient."""
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
        Read all recipients once, before anything is sent.

        :raises PayloadError: The source cannot be read, is empty, or has no good row at all.
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
        # Which rows are malformed is part of it: another version's rules may take a row that was never sent to.
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
    Check recipients before anything is sent, and drop those that are named twice.

    :param to: One number or user id, or several: a list, or a string that separates them by commas or semicolons, or
        holds a list as JSON or as Python writes it.
    :param default_country: ISO code of the country whose national numbers are read; None: none are.
    :return: Each once, in the form that reports use: digits, or the id.
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
    """Return a cell that is no recipient as the report keeps it: written down whole it can be a file of its own."""
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
