"""Files of every form, as a message of their own and in a template's header: one upload for all recipients."""

from __future__ import annotations

import io

import pytest

from airflow_provider_whatsapp._compat import AirflowFailException, AirflowSkipException
from airflow_provider_whatsapp.operators.messages import SendMediaOperator, SendTemplateOperator

PEOPLE = ["+15550000001", "+15550000002", "+15550000003"]
PDF = b"%PDF-1.7\nreport\n"


@pytest.fixture
def attach():
    """Give Airflow a store in memory, beside the disk."""
    import fsspec
    from airflow.sdk.io import attach

    attach("memory", fs=fsspec.filesystem("memory"))


def on_disk(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def in_memory(content, name):
    from airflow.sdk import ObjectStoragePath

    path = ObjectStoragePath(f"memory://bucket/{name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


OPENED = []
"""Files that tests have opened, as a user's task does: whoever opened them closes them."""


def file_object(tmp_path, content, name):
    OPENED.append(on_disk(tmp_path, content, name).open("rb"))
    return OPENED[-1]


@pytest.fixture(autouse=True)
def _closed():
    yield
    while OPENED:
        OPENED.pop().close()


FORMS = {
    "path": lambda tmp_path, content, name: str(on_disk(tmp_path, content, name)),
    "pathlib": on_disk,
    "file:// as text": lambda tmp_path, content, name: f"file://{on_disk(tmp_path, content, name)}",
    "file://": lambda tmp_path, content, name: _stored(f"file://{on_disk(tmp_path, content, name)}"),
    "memory:// as text": lambda tmp_path, content, name: str(in_memory(content, name)),
    "memory://": lambda tmp_path, content, name: in_memory(content, name),
    "bytes": lambda tmp_path, content, name: content,
    "bytearray": lambda tmp_path, content, name: bytearray(content),
    "file object": file_object,
    "stream in memory": lambda tmp_path, content, name: io.BytesIO(content),
}
NAMED = {"bytes", "bytearray", "stream in memory"}
"""Forms that have no name of their own."""


def _stored(url):
    from airflow.sdk import ObjectStoragePath

    return ObjectStoragePath(url)


def media_message(source, **options):
    return SendMediaOperator(task_id="send", to=PEOPLE, media=source, **options)


def template_header(source, filename=None, **options):
    return SendTemplateOperator(
        task_id="send",
        to=PEOPLE,
        template_name="report",
        header=source,
        header_filename=filename,
        check_template=False,
        **options,
    )


def document(message):
    """Return the document that a message carries, in its header or as itself."""
    payload = message["payload"]
    if payload["type"] == "document":
        return payload["document"]
    (header,) = [part for part in payload["template"]["components"] if part["type"] == "header"]
    return header["parameters"][0]["document"]


@pytest.fixture(params=[media_message, template_header], ids=["message", "header"])
def make(request, sandbox):
    if request.param is template_header:
        request.getfixturevalue("report")
    return request.param


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_uploaded_once_for_all(make, sandbox, tmp_path, attach, form):
    source = FORMS[form](tmp_path, PDF, "report.pdf")

    report = make(source).execute({})

    assert report["sent"] == 3
    assert len(sandbox.requests_to("/media")) == 1
    ids = {document(message)["id"] for message in sandbox.messages}
    assert len(ids) == 1
    shown = {document(message).get("filename") for message in sandbox.messages}
    assert shown == {"file.pdf" if form in NAMED else "report.pdf"}


@pytest.mark.parametrize("form", ["path", "memory://", "bytes", "file object"])
def test_the_name_that_is_shown(make, sandbox, tmp_path, attach, form):
    source = FORMS[form](tmp_path, PDF, "7f3a.pdf")

    make(source, filename="Sales July.pdf").execute({})

    assert {document(message)["filename"] for message in sandbox.messages} == {"Sales July.pdf"}


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_sent_of_an_empty_file_when_so_told(make, sandbox, tmp_path, attach, form, capsys, caplog):
    caplog.set_level("INFO")
    source = FORMS[form](tmp_path, b"", "report.pdf")
    before = len(sandbox.requests)

    with pytest.raises(AirflowSkipException, match=r"is empty \(0 bytes\), and skip_if_empty is set"):
        make(source, skip_if_empty=True).execute({})

    assert len(sandbox.requests) == before
    # Airflow writes its tasks' logs itself from 3.2 on.
    assert "the task sends nothing" in caplog.text + "".join(capsys.readouterr())


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_file_is_an_error_otherwise(make, sandbox, tmp_path, attach, form):
    source = FORMS[form](tmp_path, b"", "report.pdf")
    before = len(sandbox.requests)

    with pytest.raises(AirflowFailException, match="is empty"):
        make(source).execute({})

    assert len(sandbox.requests) == before


def test_a_line_of_titles_alone_is_not_empty(sandbox, tmp_path):
    path = on_disk(tmp_path, b"city,orders\n", "report.csv")

    assert media_message(str(path), skip_if_empty=True).execute({})["sent"] == 3


def test_what_is_no_file_here_is_not_looked_at(sandbox):
    assert media_message("https://example.com/report.pdf", skip_if_empty=True).execute({})["sent"] == 3


def test_a_missing_file_is_no_reason_to_skip(make, sandbox, tmp_path):
    with pytest.raises(AirflowFailException, match="does not exist"):
        make(str(tmp_path / "nowhere.pdf"), skip_if_empty=True).execute({})


def test_a_header_s_text_is_sent_whatever_skip_if_empty_says(sandbox):
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

    components = [
        {"type": "HEADER", "format": "TEXT", "text": "Sales of {{1}}", "example": {"header_text": ["July"]}},
        {"type": "BODY", "text": "The report is here."},
    ]
    MatonWhatsAppHook().create_template("report", "en_US", "UTILITY", components)
    sandbox.control("POST", "templates", name="report", language="en_US", status="APPROVED")

    assert template_header("July", skip_if_empty=True).execute({})["sent"] == 3


def invite(tmp_path, rows):
    from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator

    return BroadcastTemplateOperator(
        task_id="invite",
        recipients=rows,
        template_name="report",
        header=f"{tmp_path}/{{doc}}.pdf",
        ledger_path=str(tmp_path / "ledger"),
        max_failed=10,
    )


def test_a_row_s_file_is_uploaded_once_and_shared_by_rows_that_name_it(sandbox, report, tmp_path):
    for name in ("a", "b"):
        on_disk(tmp_path, PDF, f"{name}.pdf")
    rows = [{"to": to, "doc": doc} for to, doc in zip(PEOPLE, "aab", strict=True)]

    assert invite(tmp_path, rows).execute({})["sent"] == 3
    assert len(sandbox.requests_to("/media")) == 2


def test_holding_a_row_against_the_template_uploads_nothing(sandbox, report, tmp_path):
    on_disk(tmp_path, PDF, "a.pdf")
    operator = invite(tmp_path, [{"to": PEOPLE[0], "doc": "a"}])
    operator.body = ["a value that the template has no variable for"]

    with pytest.raises(AirflowFailException):
        operator.execute({})
    assert sandbox.requests_to("/media") == []


@pytest.mark.parametrize("source", ["a file", "https://bucket.example/sales.png"])
def test_a_picture_shows_no_name(sandbox, tmp_path, source):
    """Graph would refuse one; an operator's ``filename`` may be set for whatever a run has made."""
    if source == "a file":
        source = str(on_disk(tmp_path, b"\x89PNG\r\n\x1a\n" + b"0" * 50, "sales.png"))

    assert media_message(source, filename="Sales July.png").execute({})["sent"] == 3
    assert {frozenset(message["payload"]["image"]) for message in sandbox.messages} <= {
        frozenset(["id"]),
        frozenset(["link"]),
    }


@pytest.mark.parametrize(
    ("link", "filename", "shown"),
    [
        ("https://bucket.example/July%20report.pdf?Signature=x&Expires=1", None, "July report.pdf"),
        ("https://bucket.example/7f3a.pdf?Signature=x", "Sales July", "Sales July.pdf"),
        ("https://bucket.example/a.pdf", "/tmp/out/Sales.pdf", "Sales.pdf"),
    ],
)
def test_a_document_behind_a_link_shows_a_name(make, sandbox, link, filename, shown):
    make(link, filename=filename).execute({})

    assert {document(message)["filename"] for message in sandbox.messages} == {shown}


@pytest.mark.parametrize(
    ("link", "kind"),
    [
        ("https://x.example/a.3gp", "video"),
        ("https://x.example/a.AMR?x=1", "audio"),
        ("https://x.example/a.webp", "sticker"),
    ],
)
def test_a_link_s_suffix_says_what_it_is(sandbox, link, kind):
    assert media_message(link).execute({})["sent"] == 3
    assert {message["payload"]["type"] for message in sandbox.messages} == {kind}
