from __future__ import annotations

import io
import os
from dataclasses import replace
from email.parser import BytesParser
from email.policy import HTTP
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.media import (
    KIND_OF,
    KINDS,
    FileBody,
    file_size,
    form_body,
    looks_like_media,
    media_file,
    source_form,
)

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 20
PDF = b"%PDF-1.7\n"
OPUS = b"OggS" + b"\0" * 22 + b"\x01\x13OpusHead\x01\x01"
MP4 = b"\0\0\0\x18ftypmp42"
WEBP = b"RIFF\x10\0\0\0WEBPVP8 "
ANIMATED_WEBP = b"RIFF\x10\0\0\0WEBPVP8X\x0a\0\0\0\x02"


@pytest.mark.parametrize(
    ("name", "content", "mime", "kind"),
    [
        pytest.param("a.png", PNG, "image/png", "image", id="png"),
        pytest.param("a.dat", JPEG, "image/jpeg", "image", id="by content"),
        pytest.param("wrong.png", JPEG, "image/jpeg", "image", id="content wins over the name"),
        pytest.param("a.mp4", MP4, "video/mp4", "video", id="mp4"),
        pytest.param("a.ogg", OPUS, "audio/ogg", "audio", id="ogg"),
        pytest.param("a.webp", WEBP, "image/webp", "sticker", id="sticker"),
        pytest.param("sales.csv", b"a,b\n1,2\n", "text/plain", "document", id="csv goes as text"),
        pytest.param("run.log", "läuft\n".encode(), "text/plain", "document", id="log goes as text"),
    ],
)
def test_type_and_kind_are_found(tmp_path, name, content, mime, kind):
    path = tmp_path / name
    path.write_bytes(content)
    file = media_file(path)

    assert (file.mime_type, file.kind, file.name, file.size) == (mime, kind, name, len(content))
    assert media_file(str(path)).mime_type == mime
    with file.open() as stream:
        assert stream.read() == content


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        pytest.param(b"", {"filename": "a.txt"}, "is empty", id="empty"),
        pytest.param(
            b"PK\x03\x04\0\0",
            {"filename": "a.zip"},
            "application/zip, which WhatsApp does not accept",
            id="zip",
        ),
        pytest.param(
            PDF,
            {"filename": "a.pdf", "kind": "image"},
            "WhatsApp sends as a document, not as an image",
            id="kind",
        ),
        pytest.param(
            PNG + b"\0" * KINDS["image"][0], {"filename": "a.png"}, "too large for an image", id="image"
        ),
        pytest.param(
            WEBP + b"\0" * 100 * 1024, {"filename": "a.webp"}, "too large for a sticker", id="static sticker"
        ),
        pytest.param(
            ANIMATED_WEBP + b"\0" * 500 * 1024, {"filename": "a.webp"}, "too large", id="animated sticker"
        ),
    ],
)
def test_what_does_not_fit_is_refused(content, options, words):
    with pytest.raises(PayloadError, match=words) as caught:
        media_file(content, **options)

    assert caught.value.advice


@pytest.mark.parametrize(("kind", "taken"), [("image", ["image"]), (None, list(KINDS))])
def test_what_is_not_taken_is_told_with_what_is(kind, taken):
    with pytest.raises(PayloadError) as caught:
        media_file(b"PK\x03\x04\0\0", filename="a.zip", kind=kind)

    named = set(caught.value.advice.removeprefix("Convert it to one of ").rstrip(".").split(", "))
    assert named == {mime for mime, its_kind in KIND_OF.items() if its_kind in taken}


def test_an_animated_sticker_may_be_larger():
    assert media_file(ANIMATED_WEBP + b"\0" * 200 * 1024, filename="a.webp").kind == "sticker"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        pytest.param("/nowhere/report.pdf", "does not exist", id="missing"),
        pytest.param("/", "is a folder", id="folder"),
        pytest.param("", "is empty", id="empty string"),
        pytest.param(3.5, "cannot read a float", id="other type"),
        pytest.param(io.StringIO("text"), "text mode", id="text mode"),
        pytest.param(SimpleNamespace(read=None), "cannot read a SimpleNamespace", id="it cannot seek"),
        pytest.param(SimpleNamespace(seek=None), "cannot read a SimpleNamespace", id="it cannot be read"),
    ],
)
def test_what_cannot_be_read_is_told(source, words):
    with pytest.raises(PayloadError, match=words):
        media_file(source)


@pytest.mark.parametrize(
    ("head", "name", "limit"),
    [
        (PNG, "a.png", 5 * 1024 * 1024),
        (MP4, "a.mp4", 16 * 1024 * 1024),
        (OPUS, "a.ogg", 16 * 1024 * 1024),
        (WEBP, "a.webp", 100 * 1024),
        (ANIMATED_WEBP, "a.webp", 500 * 1024),
        (PDF, "a.pdf", 100 * 1024 * 1024),
    ],
    ids=["image", "video", "audio", "sticker", "animated sticker", "document"],
)
def test_each_kind_may_have_so_many_bytes_and_not_one_more(tmp_path, head, name, limit):
    path = tmp_path / name
    path.write_bytes(head)
    os.truncate(path, limit)
    assert media_file(path).size == limit
    os.truncate(path, limit + 1)
    with pytest.raises(PayloadError, match=f"too large.*limit: {limit:,} bytes"):
        media_file(path)


def test_size_is_checked_without_reading_the_file(tmp_path):
    path = tmp_path / "huge.pdf"
    with path.open("wb") as stream:
        stream.write(PDF)
        stream.truncate(200 * 1024 * 1024)

    with pytest.raises(PayloadError, match="209,715,200 bytes"):
        media_file(path)


def test_a_borrowed_stream_is_read_from_its_place_and_stays_open():
    stream = io.BytesIO(b"skip" + PDF)
    stream.seek(4)
    file = media_file(stream, filename="a.pdf")
    for _ in range(2):
        with file.open() as opened:
            assert opened.read() == PDF

    assert not stream.closed


@given(
    content=st.binary(min_size=1, max_size=3000),
    name=st.text(min_size=1, max_size=30).filter(lambda name: "/" not in name and "\0" not in name),
    step=st.integers(1, 700),
)
def test_a_form_reads_the_same_in_pieces_of_any_size(content, name, step):
    file = media_file(content, filename=name, mime_type="text/plain")
    body = form_body({"messaging_product": "whatsapp", "type": "text/plain"}, file, "line")
    raw = b""
    while piece := body.read(step):
        assert len(piece) <= step
        raw += piece

    assert len(raw) == len(body)
    head = b"Content-Type: multipart/form-data; boundary=line\r\n\r\n"
    parts = list(BytesParser(policy=HTTP).parsebytes(head + raw).iter_parts())
    assert [part.get_param("name", header="content-disposition") for part in parts] == [
        "messaging_product",
        "type",
        "file",
    ]
    assert b"\r\n\r\n" + content + b"\r\n--line--\r\n" in raw


def test_a_file_that_shrinks_is_told(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("long enough")
    file = media_file(path)
    path.write_text("short")
    body = form_body({}, file, "line")

    with pytest.raises(PayloadError, match="became shorter"):
        list(iter(body.read, b""))
    body.close()


@pytest.mark.parametrize(
    ("source", "form"),
    [
        pytest.param("https://x.example/a.pdf", "link", id="link"),
        pytest.param("HTTP://x.example/a.pdf", "link", id="capitals"),
        pytest.param("s3://bucket/a.pdf", "store", id="s3"),
        pytest.param("file:///tmp/a.pdf", "store", id="file URL"),
        pytest.param("4490709327384033", "id", id="media id"),
        pytest.param(4490709327384033, "id", id="media id as a number"),
        pytest.param("/tmp/a.pdf", "file", id="path"),
        pytest.param("2024.pdf", "file", id="relative path"),
        pytest.param(b"bytes", "file", id="bytes"),
        pytest.param(True, "file", id="switch"),
    ],
)
def test_source_form(source, form):
    assert source_form(source) == form


@pytest.mark.parametrize(
    ("header", "media"),
    [
        ("Pipeline late", False),
        ("2024", False),
        ("version 1.2", False),
        ("", False),
        ("report.pdf", True),
        ("/tmp/report", True),
        ("s3://bucket/report.pdf", True),
        ("https://x.example/a.png", True),
        ("4490709327384033", True),
        (b"bytes", True),
        ("see report.pdf ", False),
        pytest.param(io.BytesIO(b"bytes"), True, id="stream"),
        (7.5, False),
    ],
)
def test_a_header_is_text_unless_it_looks_like_media(header, media):
    assert looks_like_media(header) is media


def test_a_body_gives_what_it_was_looked_at_with_and_no_more(tmp_path):
    """Also where the file has grown meanwhile: the head has promised its length."""
    path = tmp_path / "a.txt"
    path.write_text("text")
    file = media_file(path)
    path.write_text("text and more")
    body = FileBody(file, head=b"<", tail=b">")
    assert len(body) == 6
    assert [body.read(2) for _ in range(5)] == [b"<", b"te", b"xt", b">", b""]
    body.close()
    with pytest.raises(ValueError, match="closed"):
        body.read(1) or body._stream.read(1)
    assert len(FileBody(media_file(b"x", filename="a.txt"), head=b"x" * 70_000).read()) == 65_536


def test_a_stream_is_left_where_it_was():
    stream = io.BytesIO(b"skip" + PDF)
    stream.name = "/some/where/report.pdf"
    stream.seek(4)
    assert (file_size(stream), stream.tell()) == (len(PDF), 4)
    file = media_file(stream)
    assert (file.name, file.size, stream.tell()) == ("report.pdf", len(PDF), 4)
    opened = file.open()
    opened.read(3)
    opened.close()
    assert stream.tell() == 4


def test_a_form_s_file_name_breaks_no_header():
    file = replace(media_file(b"text", filename="a.txt"), name='a"b\r\nX: y.txt')
    body = form_body({"type": "x"}, file, "line")

    assert body.read(500) == (
        b'--line\r\nContent-Disposition: form-data; name="type"\r\n\r\nx\r\n'
        b'--line\r\nContent-Disposition: form-data; name="file"; filename="a%22b  X: y.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\n"
    )


def test_a_stream_that_its_owner_has_moved_is_read_from_its_place():
    stream = io.BytesIO(b"skip" + PDF)
    stream.seek(4)
    file = media_file(stream)
    stream.seek(0)
    with file.open() as opened:
        assert opened.read() == PDF


def test_an_entry_of_a_folder_is_a_path_too(tmp_path):
    (tmp_path / "a.pdf").write_bytes(PDF)
    (entry,) = os.scandir(tmp_path)
    assert media_file(entry).size == file_size(entry) == len(PDF)


def test_a_stream_without_a_name_is_a_file():
    assert media_file(io.BytesIO(PDF)).name == "file.pdf"


def test_a_stream_with_a_file_system_and_no_path_is_read_as_a_stream():
    class Archived(io.BytesIO):
        fs = object()

    assert media_file(Archived(PDF)).size == len(PDF)


WITHOUT_MARK, WITHOUT_CHUNK = bytearray(ANIMATED_WEBP), bytearray(ANIMATED_WEBP)
WITHOUT_MARK[20] &= 0xFD
WITHOUT_CHUNK[12:16] = b"VP8 "


@pytest.mark.parametrize("head", [WITHOUT_MARK, WITHOUT_CHUNK], ids=["without the mark", "of another kind"])
def test_a_sticker_that_does_not_say_that_it_moves_is_a_static_one(head):
    with pytest.raises(PayloadError, match="too large for a sticker"):
        media_file(bytes(head) + b"\0" * 100 * 1024, filename="a.webp", kind="sticker")


def test_a_sticker_that_says_no_more_than_its_kind_is_a_static_one():
    assert media_file(ANIMATED_WEBP[:20], filename="a.webp", kind="sticker").size == 20
