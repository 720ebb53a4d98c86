"""
The type of a file: by its first bytes, by its name's suffix, or by what a caller states.

The tables are part of this package because Python's ``mimetypes`` reads ``/etc/mime.types``, which differs between
machines.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

KIB, MIB = 1024, 1024 * 1024
HEAD = 4 * KIB
"""Bytes that :func:`type_of` reads from a file's beginning: PDF's mark may come late, and Office files list parts."""

_OFFICE = "application/vnd.openxmlformats-officedocument"
_DOCX = f"{_OFFICE}.wordprocessingml.document"
_XLSX = f"{_OFFICE}.spreadsheetml.sheet"
_PPTX = f"{_OFFICE}.presentationml.presentation"
_OLD_OFFICE = ("application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint")
TEXT = "text/plain"
UNKNOWN = "of an unknown type"

KINDS: dict[str, tuple[int, tuple[str, ...]]] = {
    "image": (5 * MIB, ("image/jpeg", "image/png")),
    "video": (16 * MIB, ("video/mp4", "video/3gpp")),
    "audio": (
        16 * MIB,
        ("audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg", "audio/opus"),
    ),
    "sticker": (500 * KIB, ("image/webp",)),
    "document": (100 * MIB, ("application/pdf", TEXT, *_OLD_OFFICE, _DOCX, _XLSX, _PPTX)),
}
"""Largest size in bytes, and the MIME types, of each kind (Meta, "Supported media types")."""

KIND_OF = {mime: kind for kind, (_, mimes) in KINDS.items() for mime in mimes}

_ALIASES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "audio/mp3": "audio/mpeg",
    "audio/m4a": "audio/mp4",
    "audio/x-m4a": "audio/mp4",
    "audio/x-aac": "audio/aac",
    "video/3gp": "video/3gpp",
    "application/x-pdf": "application/pdf",
}

_SUFFIXES = {
    "image/jpeg": "jpg jpeg jpe jfif",
    "image/png": "png",
    "image/webp": "webp",
    "video/mp4": "mp4",
    "video/3gpp": "3gp 3gpp",
    "audio/aac": "aac adts",
    "audio/amr": "amr",
    "audio/mpeg": "mp3 mpga",
    "audio/mp4": "m4a m4b",
    "audio/ogg": "ogg oga opus",
    "application/pdf": "pdf",
    TEXT: "txt",
    "application/msword": "doc dot",
    "application/vnd.ms-excel": "xls xlt",
    "application/vnd.ms-powerpoint": "ppt pps pot",
    _DOCX: "docx",
    _XLSX: "xlsx",
    _PPTX: "pptx",
    # Types that WhatsApp does not accept are listed so that errors can name them, even if the content is text.
    "image/gif": "gif",
    "image/bmp": "bmp dib",
    "image/tiff": "tif tiff",
    "image/svg+xml": "svg",
    "image/heic": "heic heif hif",
    "image/avif": "avif",
    "image/x-icon": "ico",
    "video/quicktime": "mov qt",
    "video/x-m4v": "m4v",
    "video/x-msvideo": "avi",
    "video/x-matroska": "mkv",
    "video/webm": "webm",
    "video/mpeg": "mpg mpeg",
    "video/x-ms-wmv": "wmv",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "audio/aiff": "aif aiff",
    "audio/x-ms-wma": "wma",
    "audio/midi": "mid midi",
    "application/zip": "zip",
    "application/gzip": "gz tgz",
    "application/x-bzip2": "bz2",
    "application/x-xz": "xz",
    "application/zstd": "zst",
    "application/x-7z-compressed": "7z",
    "application/vnd.rar": "rar",
    "application/x-tar": "tar",
    "application/rtf": "rtf",
    "application/postscript": "ps eps",
    "application/epub+zip": "epub",
    "application/java-archive": "jar",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    "application/vnd.oasis.opendocument.presentation": "odp",
    "application/vnd.ms-word.document.macroEnabled.12": "docm",
    "application/vnd.ms-excel.sheet.macroEnabled.12": "xlsm",
    "application/vnd.ms-excel.sheet.binary.macroEnabled.12": "xlsb",
    "application/vnd.ms-powerpoint.presentation.macroEnabled.12": "pptm",
    "application/vnd.ms-outlook": "msg",
    "application/vnd.apache.parquet": "parquet",
    "application/vnd.sqlite3": "sqlite sqlite3 db",
}
_TYPE_BY_SUFFIX = {f".{suffix}": mime for mime, listed in _SUFFIXES.items() for suffix in listed.split()}
_SUFFIX_LIKE = re.compile(r"\.(?=[0-9]*[A-Za-z])[A-Za-z0-9_~]{1,16}", re.ASCII)

_PROGRAMS = frozenset((".php", ".asp", ".aspx", ".ashx", ".jsp", ".do", ".cgi"))
"""Suffixes that make a link a document by its type, and suffixes that do not."""

_SIGNATURES: tuple[tuple[int, bytes, tuple[str, ...]], ...] = (
    (0, b"\xff\xd8\xff", ("image/jpeg",)),
    (0, b"\x89PNG\r\n\x1a\n", ("image/png",)),
    (0, b"#!AMR", ("audio/amr",)),
    (0, b"ID3", ("audio/mpeg", "audio/aac")),
    (0, b"ADIF", ("audio/aac",)),
    (0, b"GIF87a", ("image/gif",)),
    (0, b"GIF89a", ("image/gif",)),
    (0, b"II*\0", ("image/tiff",)),
    (0, b"MM\0*", ("image/tiff",)),
    (0, b"fLaC", ("audio/flac",)),
    (0, b"\x1aE\xdf\xa3", ("video/x-matroska", "video/webm")),
    (0, b"\x1f\x8b\x08", ("application/gzip",)),
    (0, b"7z\xbc\xaf\x27\x1c", ("application/x-7z-compressed",)),
    (0, b"Rar!\x1a\x07", ("application/vnd.rar",)),
    (0, b"SQLite format 3\0", ("application/vnd.sqlite3",)),
    # Office stores a password-protected file in the container of its old formats.
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ("application/x-ole-storage", *_OLD_OFFICE, _DOCX, _XLSX, _PPTX)),
)  # fmt: skip
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_OFFICE_PARTS = re.compile(rb"PK\x03\x04.{26}(word|xl|ppt)/", re.DOTALL)
_OFFICE_TYPES = {b"word": _DOCX, b"xl": _XLSX, b"ppt": _PPTX}

_BRANDS = {
    **dict.fromkeys(("M4A ", "M4B ", "M4P "), "audio/mp4"),
    **dict.fromkeys(("M4V ", "M4VH", "M4VP"), "video/x-m4v"),
    **dict.fromkeys(("heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs"), "image/heic"),
    **dict.fromkeys(("mif1", "mif2", "msf1"), "image/heif"),
    **dict.fromkeys(("avif", "avis"), "image/avif"),
    **dict.fromkeys(("jp2 ", "jpx "), "image/jp2"),
    "qt  ": "video/quicktime",
    "crx ": "image/x-canon-cr3",
}
"""Brands of ISO media files (``ftyp``) that belong to only one type; HEIC and MP4 share the container."""
_MP4_BRAND = re.compile(
    r"iso[m1-9a-f]|mp4[12]|avc1|hvc1|hev1|av01|mmp4|MSNV|dash|cmf.|XAVC|piff|f4v |ND..|3g.."
)


def type_by_suffix(name: str) -> str | None:
    """Return the MIME type of a file name's suffix, the same on every machine; None: the suffix has no type."""
    return _TYPE_BY_SUFFIX.get(PurePosixPath(name).suffix.lower())


def stated_type(mime_type: str) -> str | None:
    """Return a MIME type in WhatsApp's form, without parameters; None if it says nothing."""
    bare = mime_type.partition(";")[0].strip().lower()
    return None if bare in ("", "application/octet-stream") else _ALIASES.get(bare, bare)


def type_of(head: bytes, *, named: str | None, kind: str | None = None) -> str:
    """Return a file's MIME type; if its content has a type that WhatsApp accepts, the content decides."""
    # The head is the first HEAD bytes; the kind matters because MP4's container holds video and audio. A ValueError
    # says that the named type has a signature that the content lacks.
    found = () if _only_begins_like_one(head, named) else _types_by_content(head, named)
    if not found:
        return _type_without_signature(head, named)
    wanted = kind or KIND_OF.get(named or "")
    if found[0] in KIND_OF:
        found = tuple(mime for mime in found if KIND_OF.get(mime) == wanted) or found
    if named in found:
        return str(named)
    if named is not None and named not in KIND_OF and found[0] not in KIND_OF:
        return named
    return found[0]


def _only_begins_like_one(head: bytes, named: str | None) -> bool:
    """Return whether a text only begins like a recording, as a table does whose first column is ID3."""
    if (named is not None and not _is_text_type(named)) or head.startswith((b"%PDF-", b"#!AMR")):
        return False
    return head[:16].isascii() and not _CONTROL.search(head)


def _type_without_signature(head: bytes, named: str | None) -> str:
    is_text = b"\0" not in head or head.startswith((b"\xff\xfe", b"\xfe\xff"))
    if named in KIND_OF and named != TEXT:
        page = re.match(rb"[\s\xef\xbb\xbf]*<(!doctype html|html|head|body)\b", head, re.IGNORECASE)
        raise ValueError("an HTML page" if page else "text" if is_text else "something else")
    if named is not None and named != TEXT and not _is_text_type(named):
        return named
    # The only text type that WhatsApp accepts; CSV, logs and JSON are sent as this type.
    return TEXT if is_text else UNKNOWN


def _is_text_type(mime: str) -> bool:
    return mime.startswith("text/") or mime in ("application/json", "application/x-ndjson", "application/xml")


def _types_by_content(head: bytes, named: str | None) -> tuple[str, ...]:
    """Return the types that the content may have, the most likely first; empty if its signature is not known."""
    for offset, signature, types in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return types
    container = _CONTAINERS.get(head[4:8] if head[4:8] == b"ftyp" else head[:4])
    if container is not None:
        return container(head, named)
    # PDF readers look for the mark within the first 1,024 bytes.
    if head.startswith(b"%PDF-") or (named == "application/pdf" and b"%PDF-" in head[:KIB]):
        return ("application/pdf",)
    return _frame_types(head.lstrip(b"\0")[:2]) if named in (None, "audio/mpeg", "audio/aac") else ()


def _zip_types(head: bytes, named: str | None) -> tuple[str, ...]:
    part = None if named else _OFFICE_PARTS.search(head)
    return (_OFFICE_TYPES[part[1]] if part else "application/zip", _DOCX, _XLSX, _PPTX)


def _riff_types(head: bytes, named: str | None) -> tuple[str, ...]:  # noqa: ARG001
    types = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
    return (types.get(head[8:12], "of a RIFF type"),)


def _iso_types(head: bytes, named: str | None) -> tuple[str, ...]:  # noqa: ARG001
    end = min(int.from_bytes(head[:4], "big"), len(head))
    major, *others = (head[at : at + 4].decode("latin-1") for at in (8, *range(16, max(end - 3, 16), 4)))
    if major in _BRANDS:
        return (_BRANDS[major],)
    if major.startswith("3g"):
        return ("video/3gpp", "audio/mp4")
    if not any(_MP4_BRAND.fullmatch(brand) for brand in (major, *others)):
        return (next((_BRANDS[brand] for brand in others if brand in _BRANDS), "application/mp4"),)
    return ("audio/mp4", "video/mp4") if "M4A " in others else ("video/mp4", "audio/mp4")


def _ogg_types(head: bytes, named: str | None) -> tuple[str, ...]:  # noqa: ARG001
    """Read the first packet: WhatsApp plays Opus with one channel, and no other sound in Ogg."""
    # A page's header has 27 bytes, and one more byte for each segment.
    first = head[27 + head[26] :] if len(head) > 26 else b""
    if not first.startswith(b"OpusHead"):
        return ("audio/ogg without Opus",)
    return ("audio/ogg", "audio/opus") if first[9:10] < b"\x02" else ("audio/ogg with more than one channel",)


def _frame_types(start: bytes) -> tuple[str, ...]:
    """Return the type of AAC or MPEG frames, which begin with eleven set bits and a layer."""
    if len(start) < 2 or start[0] != 0xFF or start[1] & 0xE0 != 0xE0:
        return ()
    layer = start[1] >> 1 & 3
    return {0: ("audio/aac",), 1: ("audio/mpeg",), 2: ("audio/mpeg",)}.get(layer, ())


_CONTAINERS: dict[bytes, Callable[[bytes, str | None], tuple[str, ...]]] = {
    b"PK\x03\x04": _zip_types,
    b"PK\x05\x06": _zip_types,
    b"RIFF": _riff_types,
    b"ftyp": _iso_types,
    b"OggS": _ogg_types,
}


def shown_name(name: str, mime_type: str) -> str:
    """Return a document's name as its recipient sees it: without folders, and with the suffix that opens it."""
    last = _last(name) or "file"
    suffix = PurePosixPath(last).suffix
    own = _TYPE_BY_SUFFIX.get(suffix.lower())
    if own == mime_type or (mime_type == TEXT and _SUFFIX_LIKE.fullmatch(suffix)):
        return last
    return f"{last}.{_SUFFIXES[mime_type].split()[0]}"


def link_name(link: str | None, name: str | None = None) -> str | None:
    """Return the name that a linked or uploaded document shows; None: no suffix is known that would open it."""
    try:
        last = _last(unquote(urlsplit(link or "").path))
    except ValueError:
        last = ""
    suffix = PurePosixPath(last).suffix
    if not _SUFFIX_LIKE.fullmatch(suffix) or suffix.lower() in _PROGRAMS:
        return _last(name) if name else None
    if not name:
        return last
    shown = _last(name)
    return shown if _SUFFIX_LIKE.fullmatch(PurePosixPath(shown).suffix) else shown + suffix


def _last(path: str) -> str:
    """Return the last part of a path with slashes or backslashes, without line breaks."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", re.split(r"[/\\]", path.rstrip("/\\"))[-1]).strip()
