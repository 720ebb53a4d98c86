"""Files with right and wrong names: judged before any request, the same with and without a machine's MIME table."""

from __future__ import annotations

import io
import mimetypes
import zipfile
from pathlib import Path

import pytest

import airflow_provider_whatsapp
from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.media import looks_like_media, media_file
from airflow_provider_whatsapp.client.media_types import HEAD, KIND_OF, link_name
from airflow_provider_whatsapp.client.messages import Document, parse_message

OFFICE = "application/vnd.openxmlformats-officedocument"
DOCX, XLSX, PPTX = (
    f"{OFFICE}.{each}"
    for each in ("wordprocessingml.document", "spreadsheetml.sheet", "presentationml.presentation")
)


def ftyp(*brands):
    box = b"ftyp" + brands[0].encode() + b"\0\0\2\0" + "".join(brands[1:]).encode()
    return (len(box) + 4).to_bytes(4, "big") + box + b"\0\0\0\x08free" + b"\0" * 40


def ogg(packet):
    return b"OggS\0\2" + b"\0" * 20 + bytes([1, len(packet)]) + packet + b"\0" * 20


def zipped(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "<x/>")
    return file.getvalue()


PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 20
GIF = b"GIF89a" + b"\1\0" * 10
PDF = b"%PDF-1.7\n"
HTML = b"\n<!DOCTYPE html>\n<html><body>502 Bad Gateway</body></html>"
CSV = b"city,orders\nBerlin,3\n"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 40
OPUS = ogg(b"OpusHead\x01\x01" + b"\0" * 9)
MP4, M4A, HEIC = (
    ftyp("isom", "isom", "iso2", "avc1", "mp41"),
    ftyp("M4A ", "isom"),
    ftyp("heic", "mif1", "heic"),
)
SHEET = zipped("[Content_Types].xml", "xl/workbook.xml")

RIGHT = [
    ("a.png", PNG, "image/png"),
    ("A.PNG", PNG, "image/png"),
    ("a.jpg", JPEG, "image/jpeg"),
    ("a.jpeg", JPEG, "image/jpeg"),
    ("photo.png", JPEG, "image/jpeg"),
    ("IMG_1.heic", JPEG, "image/jpeg"),
    ("a.webp", b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
    ("a.mp4", MP4, "video/mp4"),
    ("camera.mp4", ftyp("mp42", "mp42", "isom"), "video/mp4"),
    ("camera.mp4", ftyp("XAVC", "mp42", "iso2"), "video/mp4"),
    ("a.mov", MP4, "video/mp4"),
    ("a.3gp", ftyp("3gp4", "isom"), "video/3gpp"),
    ("a.m4a", M4A, "audio/mp4"),
    ("android.m4a", ftyp("mp42", "mp42", "isom"), "audio/mp4"),
    ("android.m4a", ftyp("isom", "isom", "3gp4"), "audio/mp4"),
    ("android.m4a", ftyp("3gp4", "isom", "3gp4"), "audio/mp4"),
    ("a.ogg", OPUS, "audio/ogg"),
    ("a.opus", OPUS, "audio/ogg"),
    ("a.amr", b"#!AMR\n" + b"\0" * 9, "audio/amr"),
    ("a.mp3", b"ID3\x04" + b"\0" * 9, "audio/mpeg"),
    ("a.mp3", b"\xff\xfb\x90\x44" + b"\0" * 9, "audio/mpeg"),
    ("a.mp3", b"\0" * 30 + b"\xff\xf3\x90\x44", "audio/mpeg"),
    ("a.aac", b"\xff\xf1\x50\x80" + b"\0" * 9, "audio/aac"),
    ("a.aac", b"ID3\x04" + b"\0" * 9, "audio/aac"),
    ("a.pdf", PDF, "application/pdf"),
    ("a.pdf", b"\xef\xbb\xbf\n" + PDF, "application/pdf"),
    ("a.xlsx", SHEET, XLSX),
    ("protected.xlsx", OLE, XLSX),
    ("a.docx", zipped("word/document.xml"), DOCX),
    ("a.pptx", zipped("ppt/presentation.xml"), PPTX),
    ("a.xls", OLE, "application/vnd.ms-excel"),
    ("a.doc", OLE, "application/msword"),
    ("a.ppt", OLE, "application/vnd.ms-powerpoint"),
    ("a.txt", b"text", "text/plain"),
    ("a.csv", CSV, "text/plain"),
    ("a.csv", CSV.decode().encode("utf-16"), "text/plain"),
    ("a.log", b"about %PDF-1.7", "text/plain"),
    ("a.json", b"{}", "text/plain"),
    ("page.html", HTML, "text/plain"),
    ("a.sql", b"SELECT 1", "text/plain"),
]
WRONG = [
    ("report.pdf", HTML, "contains an HTML page"),
    ("report.pdf", CSV, "is named as application/pdf, but contains text"),
    ("report.pdf", b"\0\1\2\3", "contains something else"),
    ("table.png", CSV, "contains text"),
    ("table.png", GIF, "is image/gif, which WhatsApp does not accept"),
    ("photo.jpg", HEIC, "is image/heic"),
    ("photo.jpeg", HTML, "contains an HTML page"),
    ("a.gif", GIF, "image/gif"),
    ("a.heic", HEIC, "image/heic"),
    ("a.avif", ftyp("avif", "mif1", "miaf"), "image/avif"),
    ("a.mp4", ftyp("mif1", "heic"), "image/heif"),
    ("a.mov", ftyp("qt  ", "qt  "), "video/quicktime"),
    ("a.mp4", ftyp("qt  ", "qt  "), "video/quicktime"),
    ("a.m4v", ftyp("M4V ", "M4V ", "mp42"), "video/x-m4v"),
    ("a.mp4", HTML, "contains an HTML page"),
    ("a.webm", b"\x1aE\xdf\xa3" + b"\0" * 9, "video/webm"),
    ("a.avi", b"RIFF\x10\0\0\0AVI LIST", "video/x-msvideo"),
    ("a.ogg", ogg(b"\x01vorbis" + b"\0" * 20), "without Opus"),
    ("a.ogg", b"OggS" + b"\0" * 9, "without Opus"),
    ("a.opus", ogg(b"OpusHead\x01\x02" + b"\0" * 9), "more than one channel"),
    ("a.mp3", HTML, "contains an HTML page"),
    ("a.mp3", b"RIFF\x10\0\0\0WAVEfmt ", "audio/wav"),
    ("a.wav", b"RIFF\x10\0\0\0WAVEfmt ", "audio/wav"),
    ("a.webp", b"RIFF\x10\0\0\0WAVEfmt ", "audio/wav"),
    ("a.xlsx", HTML, "contains an HTML page"),
    ("a.xlsx", CSV, "contains text"),
    ("a.xls", HTML, "contains an HTML page"),
    ("a.xlsm", SHEET, "macroEnabled"),
    ("a.pdf", SHEET, "application/zip"),
    ("a.docx", CSV, "contains text"),
    ("a.zip", zipped("a.csv"), "application/zip"),
    ("a.csv.gz", b"\x1f\x8b\x08\0\0\0\0", "application/gzip"),
    ("a.csv", b"\x1f\x8b\x08\0\0\0\0", "application/gzip"),
    ("a.svg", b"<svg/>", "image/svg"),
    ("a.parquet", b"PAR1\0\0", "parquet"),
    ("a.bin", b"\0\1\2", "of an unknown type"),
]


@pytest.fixture(params=["no table", "a table that says otherwise"])
def mime_table(request, monkeypatch):
    """Give Python's ``mimetypes`` what a slim image has, and what a machine with odd tables has."""
    odd = {".pdf": "text/x-odd", ".png": "application/pdf", ".sql": "application/sql", ".csv": "image/png"}
    monkeypatch.setattr(mimetypes, "inited", True)
    monkeypatch.setattr(mimetypes, "guess_type", lambda *_, **__: (None, None))
    if request.param != "no table":
        monkeypatch.setattr(
            mimetypes, "guess_type", lambda name, *_, **__: (odd.get(Path(str(name)).suffix), None)
        )


@pytest.mark.usefixtures("mime_table")
@pytest.mark.parametrize(("name", "content", "mime"), RIGHT)
def test_a_right_file_is_taken(tmp_path, name, content, mime):
    path = tmp_path / name
    path.write_bytes(content)

    assert media_file(path).mime_type == mime
    assert media_file(content, filename=name).kind == KIND_OF[mime]


@pytest.mark.usefixtures("mime_table")
@pytest.mark.parametrize(("name", "content", "words"), WRONG)
def test_a_wrong_file_is_refused(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(PayloadError, match=words) as caught:
        media_file(path)

    assert caught.value.advice
    assert "=" not in caught.value.advice  # operators and hook give these arguments other names


def test_nothing_reads_the_machines_mime_table():
    root = Path(airflow_provider_whatsapp.__file__).parent

    assert [str(file) for file in root.rglob("*.py") if "import mimetypes" in file.read_text()] == []


@pytest.mark.parametrize(
    ("stated", "content", "mime"),
    [
        ("audio/ogg; codecs=opus", OPUS, "audio/ogg"),
        ("audio/opus", OPUS, "audio/opus"),
        ("text/plain; charset=utf-8", b"text", "text/plain"),
        ("Text/CSV", CSV, "text/plain"),
        ("image/JPEG", JPEG, "image/jpeg"),
        ("image/jpg", JPEG, "image/jpeg"),
        ("image/png", JPEG, "image/jpeg"),
        ("audio/x-m4a", ftyp("mp42"), "audio/mp4"),
        ("application/octet-stream", PDF, "application/pdf"),
        (XLSX.upper(), SHEET, XLSX),
    ],
)
def test_mime_types_as_they_are_written(stated, content, mime):
    assert media_file(content, mime_type=stated).mime_type == mime


@pytest.mark.parametrize(
    ("stated", "content"), [("application/pdf", HTML), ("application/pdf", PNG), ("audio/ogg", b"OggS0000")]
)
def test_a_stated_type_that_the_content_is_not_of_is_refused(stated, content):
    with pytest.raises(PayloadError):
        media_file(content, mime_type=stated)


@pytest.mark.parametrize("source", [ftyp("mp42"), ftyp("3gp4", "isom")])
def test_sound_in_a_container_of_videos_goes_as_what_it_is_meant_to(source):
    assert media_file(source).kind == "video"
    assert media_file(source, kind="audio").mime_type == "audio/mp4"


@pytest.mark.parametrize(
    ("name", "content", "shown"),
    [
        (None, PDF, "file.pdf"),
        (None, SHEET, "file.xlsx"),
        (None, CSV, "file.txt"),
        ("report", PDF, "report.pdf"),
        ("report v1.2", PDF, "report v1.2.pdf"),
        ("/srv/out/July.pdf", PDF, "July.pdf"),
        (r"C:\reports\July", PDF, "July.pdf"),
        ("July.PDF", PDF, "July.PDF"),
        ("sales.csv", CSV, "sales.csv"),
        ("28.11", CSV, "28.11.txt"),
        ("wrong.png", PDF, "wrong.png.pdf"),
        ("two\nlines.pdf", PDF, "two lines.pdf"),
    ],
)
def test_a_document_shows_a_name_that_opens_it(name, content, shown):
    assert media_file(content, filename=name).name == shown


def test_a_title_takes_the_suffix_of_the_file_that_it_stands_for(tmp_path):
    path = tmp_path / "7f3a.xlsx"
    path.write_bytes(zipped("docProps/app.xml"))

    assert media_file(path, filename="Sales July").name == "Sales July.xlsx"


@pytest.mark.parametrize(
    ("path", "name", "shown"),
    [
        ("/out/July%20report.pdf", None, "July report.pdf"),
        ("/out/July.pdf", "Sales", "Sales.pdf"),
        ("/out/July.pdf", "Sales.pdf", "Sales.pdf"),
        ("/download/77", None, None),
        ("/download/77", "/tmp/Sales.pdf", "Sales.pdf"),
        ("/July%20report.pdf?X-Amz-Signature=a.b", None, "July report.pdf"),
        ("/download.php?file=7", None, None),
        ("/download.ASPX", "Sales", "Sales"),
    ],
)
def test_the_name_of_a_document_behind_a_link(path, name, shown):
    link = f"https://files.example{path}"

    assert link_name(link, name) == shown
    document = Document(link=link, filename=name).to_payload()
    assert document["document"].get("filename") == shown
    assert parse_message(document).to_payload() == document


def test_the_name_of_a_document_that_is_an_upload():
    assert Document(id="1", filename="/tmp/out/Sales.pdf").content() == {"id": "1", "filename": "Sales.pdf"}
    assert Document(id="1").content() == {"id": "1"}


@pytest.mark.parametrize("content", [b"ID3,Name\n1,x\n", b"GIF89a,1\n", b"RIFF report\n", b"OggS\n"])
@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.log", "a.json"])
def test_a_table_that_begins_like_a_signature_is_text(name, content):
    """A column may be called ID3."""
    assert media_file(content, filename=name).mime_type == "text/plain"


@pytest.mark.parametrize("header", ["a.xlsx", "a.DOCX", "a.pptx", "clip.3gp", "photo.jpeg"])
@pytest.mark.usefixtures("mime_table")
def test_a_header_is_recognised_on_every_machine(header):
    assert looks_like_media(header)


class _Counting(io.BytesIO):
    count = 0

    def read(self, size=-1):
        piece = super().read(size)
        self.count += len(piece)
        return piece


def test_checking_reads_no_more_than_the_beginning():
    stream = _Counting(PDF + b"x" * 1_000_000)
    media_file(stream, filename="a.pdf")

    assert stream.count <= HEAD


def test_checking_fetches_no_more_than_the_beginning_of_an_object_store(monkeypatch):
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    store.pipe_file("/bucket/a.pdf", PDF + b"x" * 100_000)
    ranges = []
    fetch = store.cat_file

    def cat_file(path, start=None, end=None, **options):
        ranges.append((start, end))
        return fetch(path, start=start, end=end, **options)

    monkeypatch.setattr(type(store), "cat_file", staticmethod(cat_file))

    class Stored:
        name, path, fs = "a.pdf", "/bucket/a.pdf", store

        def open(self, mode):
            raise AssertionError("opened, so a block of megabytes would be fetched")

        def stat(self):
            return type("Stat", (), {"st_size": 100_009})

    assert media_file(Stored()).mime_type == "application/pdf"
    assert ranges == [(0, HEAD)]
