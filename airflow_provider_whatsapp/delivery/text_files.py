"""The text of a list's file, compressed or not, in UTF-8 or UTF-16, or the reason why it cannot be read."""

from __future__ import annotations

import gzip
import io
import stat
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.delivery.stores import local_path

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = 4096
"""Bytes of a file that are read to recognise its type."""

_GZIP = b"\x1f\x8b"
_AS_CSV = "Save it as CSV UTF-8 (comma delimited), or as JSON lines."
_NOT_TEXT: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "is an Excel workbook or a ZIP archive", f"{_AS_CSV} Unpack an archive first."),
    (b"\xd0\xcf\x11\xe0", "is an Excel workbook", _AS_CSV),
    (b"PAR1", "is a Parquet file", _AS_CSV),
    (b"Obj\x01", "is an Avro file", _AS_CSV),
    (b"ORC", "is an ORC file", _AS_CSV),
    (b"SQLite format 3\0", "is a SQLite database", _AS_CSV),
    (b"%PDF", "is a PDF", _AS_CSV),
    (b"BZh", "is compressed by bzip2", "Unpack it, or compress it by gzip."),
    (b"\xfd7zXZ\0", "is compressed by xz", "Unpack it, or compress it by gzip."),
    (b"\x28\xb5\x2f\xfd", "is compressed by zstd", "Unpack it, or compress it by gzip."),
)
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_NOT_UTF8 = (
    "Save it as CSV UTF-8, or convert it with: iconv -f WINDOWS-1252 -t UTF-8 (Excel's plain CSV is in the machine's "
    "old encoding)."
)


@contextmanager
def open_text(path: Any, *, field: str) -> Iterator[io.TextIOWrapper]:
    """Open a list's file as text, with its line ends as they are; errors during reading are PayloadErrors too."""
    name = path.name
    try:
        _check_regular(path, name, field)
        with path.open("rb") as file:
            raw = file if isinstance(file, io.BufferedReader) else io.BufferedReader(file, HEAD)
            if raw.peek(HEAD).startswith(_GZIP):
                raw = io.BufferedReader(gzip.GzipFile(fileobj=raw), HEAD)
            yield io.TextIOWrapper(raw, encoding=_encoding(raw.peek(HEAD), name, field), newline="")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise PayloadError(
            f"{name} is damaged: its gzip compression is broken",
            field=field,
            advice="Nothing was sent. Write the file again; it may have been copied while it was written.",
        ) from error
    except UnicodeError as error:
        raise PayloadError(f"{name} is not UTF-8 text", field=field, advice=_NOT_UTF8) from error
    except FileNotFoundError as error:
        raise PayloadError(
            f"{name} does not exist",
            field=field,
            advice="Check the path; a relative one begins in the folder in which the worker runs.",
        ) from error
    except OSError as error:
        raise PayloadError(
            f"{name} cannot be read: {type(error).__name__}",
            field=field,
            advice="Check the path, and that the worker may read it.",
        ) from error


def _check_regular(path: Any, name: str, field: str) -> None:
    """Refuse a pipe or a device, because opening one can block without end."""
    local = local_path(path)
    if local is not None and not stat.S_ISREG(local.stat().st_mode):
        raise PayloadError(f"{name} is not a regular file", field=field, advice="Give the path of a file.")


def _encoding(head: bytes, name: str, field: str) -> str:
    for start, what, advice in _NOT_TEXT:
        if head.startswith(start):
            raise PayloadError(f"{name} {what}", field=field, advice=advice)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if b"\0" in head:
        raise PayloadError(
            f"{name} is not text, or is UTF-16 without a byte order mark", field=field, advice=_AS_CSV
        )
    return "utf-8"
