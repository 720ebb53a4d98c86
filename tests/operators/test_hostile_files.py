"""Attacks by values: no cell of a list and, where media_roots is set, no text of an XCom makes a file leave."""

from __future__ import annotations

import contextlib
import os
import sys
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_whatsapp._compat import AirflowFailException
from airflow_provider_whatsapp.client.errors import ConfigurationError, PayloadError
from airflow_provider_whatsapp.hooks.file_policy import RowFiles, media_roots, place_of
from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook
from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator
from airflow_provider_whatsapp.operators.messages import SendMediaOperator, SendTemplateOperator
from airflow_provider_whatsapp.operators.templates import SyncTemplatesOperator
from tests.examples import examples

PDF = b"%PDF-1.7\n1 0 obj\nendobj\n%%EOF\n"
SECRET = b"%PDF-1.7\nwages of everybody\n"
GOOD = "+15550000999"


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """Give a folder of invoices among things that nobody may have, a home and a store."""
    import fsspec
    from airflow.sdk.io import attach

    home, invoices = tmp_path / "home", tmp_path / "invoices"
    for folder in (home / ".ssh", invoices, tmp_path / "invoices-old", tmp_path / "%2e%2e"):
        folder.mkdir(parents=True)
    for secret in (tmp_path / "secret.pdf", home / ".ssh" / "id.pdf", tmp_path / "invoices-old" / "1.pdf"):
        secret.write_bytes(SECRET)
    (invoices / "4711.pdf").write_bytes(PDF)
    (invoices / "link.pdf").symlink_to(tmp_path / "secret.pdf")
    (invoices / "folder").symlink_to(tmp_path)
    (invoices / "loop.pdf").symlink_to(invoices / "loop.pdf")
    os.mkfifo(invoices / "pipe.pdf")
    (invoices / "zero.pdf").symlink_to("/dev/zero")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(invoices)
    store = fsspec.filesystem("memory")
    attach("memory", fs=store)
    store.pipe({"/bucket/invoices/4711.pdf": PDF, "/bucket/secret.pdf": SECRET, "/other/secret.pdf": SECRET})
    store.pipe({"/bucket/invoices-old/1.pdf": SECRET})
    yield tmp_path
    store.rm("/", recursive=True)


def hostile(disk):
    """Return cells that name, or lead to, files that nobody may have."""
    up = os.path.relpath(disk, "/").count("/") + 4
    secret = str(disk / "secret.pdf")
    texts = [
        "secret.pdf",
        "/secret.pdf",
        "link.pdf",
        "link",
        "folder/secret.pdf",
        "loop.pdf",
        "pipe.pdf",
        "pipe",
    ]
    texts += [
        "zero.pdf",
        "zero",
        ".",
        "..",
        "/",
        "./",
        "../",
        "",
        " ",
        "~",
        "~/.ssh/id.pdf",
        "~root/.bashrc",
        "~nobody/x",
    ]
    texts += [
        secret,
        f"//{secret}",
        f"/.{secret}",
        f"file://{secret}",
        f"FILE://{secret}",
        f"local://{secret}",
    ]
    texts += [
        f"file://other_conn@{secret}",
        f"file://localhost{secret}",
        f"file:{secret}",
        f"Local://x@{secret}",
    ]
    texts += [
        f"{'../' * up}{secret}",
        f"{'../' * up}etc/passwd",
        "../secret.pdf",
        "../secret",
        "..//secret.pdf",
    ]
    texts += [
        "x/../../secret.pdf",
        "./../secret.pdf",
        "folder/../secret.pdf",
        "../invoices-old/1.pdf",
        "-old/1.pdf",
    ]
    texts += [
        "%2e%2e/secret.pdf",
        "%2e%2e%2fsecret.pdf",
        "..%2fsecret.pdf",
        "%252e%252e%252fsecret.pdf",
        "..\\secret.pdf",
    ]
    texts += [
        "..%5csecret.pdf",
        "../secret.pdf\x00",
        "\x00",
        "../secret.pdf\n",
        "/etc/passwd",
        "/etc/hostname",
    ]
    texts += [
        "/proc/self/environ",
        "/proc/self/cmdline",
        "/dev/stdin",
        "/dev/zero",
        "/dev/fd/0",
        "/etc/hosts.pdf",
    ]
    texts += ["memory://bucket/secret.pdf", "memory://other/secret.pdf", "memory://conn@bucket/secret.pdf"]
    texts += [
        "memory://bucket/invoices/../secret.pdf",
        "MEMORY://bucket/secret.pdf",
        "s3://bucket/secret.pdf",
    ]
    texts += [
        "::file:///etc/passwd",
        "simplecache::memory://bucket/secret.pdf",
        f"zip://x.pdf::file://{secret}",
    ]
    texts += ["@bucket/secret.pdf", "x@/../secret.pdf", "?a=/../../secret.pdf", "#/../secret.pdf"]
    return [*texts, "{doc}", "{{doc}}"]


def headers(disk):
    return {
        "bare": "{doc}",
        "bare, said to be media": {"type": "document", "media": "{doc}"},
        "below a folder": f"{disk}/invoices/{{doc}}",
        "below a folder, with a suffix": f"{disk}/invoices/{{doc}}.pdf",
        "below the working folder": "./{doc}",
        "below the home": "~/{doc}.x/y",
        "below everything": "/{doc}",
        "below a URL of the disk": f"file://{disk}/invoices/{{doc}}",
        "below everything, as a URL": "file:///{doc}",
        "two columns": f"{disk}/invoices/{{doc}}/../{{doc}}",
        "in a store": "memory://bucket/invoices/{doc}",
        "in a store, with a suffix": "memory://bucket/invoices/{doc}.pdf",
        "in a store that the row names": "memory://{doc}",
        "a scheme that the row names": "{doc}://bucket/secret.pdf",
    }


def uploads(sandbox):
    return [request for request in sandbox.requests_to("/media") if request["method"] == "POST"]


def broadcast(header, cells, **arguments):
    rows = [{"to": f"+1555{place:07}", "doc": cell} for place, cell in enumerate(cells)]
    arguments = {"template_name": "report", "max_failed": len(rows), **arguments}
    return BroadcastTemplateOperator(task_id="send", recipients=rows, header=header, **arguments)


@pytest.mark.parametrize(
    "roots", ["", "{disk}/invoices", "memory://bucket/invoices", "{disk}/invoices, memory://conn@bucket/none"]
)
@pytest.mark.parametrize("form", headers(None))
def test_sixty_hostile_cells_make_no_file_leave(sandbox, report, disk, monkeypatch, form, roots):
    monkeypatch.setenv("AIRFLOW__WHATSAPP__MEDIA_ROOTS", roots.format(disk=disk))
    cells = hostile(disk)
    assert len(set(cells)) >= 60

    found = broadcast(headers(disk)[form], cells).execute({})

    assert uploads(sandbox) == []
    assert sandbox.messages == []
    assert found["failed"] == len(cells)
    said = str(found["results"])
    assert "wages" not in said
    assert "secret" not in said
    assert str(disk) not in said


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize(
    "header",
    ["{disk}/invoices/{{doc}}", "file://{disk}/invoices/{{doc}}", "memory://bucket/invoices/{{doc}}"],
)
def test_files_below_what_the_author_wrote_are_sent_beside_hostile_cells(
    sandbox, report, disk, header, checked
):
    cells = [*hostile(disk)[:30], "4711.pdf"]

    found = broadcast(header.format(disk=disk), cells, check_template=checked, log_pii=True).execute({})

    assert found["sent"] == 1
    assert len(uploads(sandbox)) == 1
    (message,) = sandbox.messages
    (parameter,) = message["payload"]["template"]["components"][0]["parameters"]
    assert parameter["document"]["filename"] == "4711.pdf"


@pytest.mark.parametrize(
    "roots", ["{disk}/invoices", "file://{disk}/invoices/", "/nowhere,{disk}", "~/../invoices"]
)
def test_a_bare_column_names_files_below_media_roots(sandbox, report, disk, monkeypatch, roots):
    monkeypatch.setenv("AIRFLOW__WHATSAPP__MEDIA_ROOTS", roots.format(disk=disk))
    cells = [
        f"{disk}/invoices/4711.pdf",
        f"file://{disk}/invoices/4711.pdf",
        "https://x.example/a.pdf",
        "./4711.pdf",
    ]

    found = broadcast("{doc}", cells).execute({})

    assert (found["sent"], found["failed"]) == (4, 0)


def test_without_media_roots_a_bare_column_is_refused_with_the_ways_out(sandbox, report, disk):
    found = broadcast("{doc}", [f"{disk}/invoices/4711.pdf", "https://x.example/a.pdf"]).execute({})

    assert (found["sent"], found["failed"]) == (1, 1)
    (bad,) = found["results"]
    assert '"s3://bucket/invoices/{number}.pdf"' in bad["error"]["advice"]
    assert "[whatsapp] media_roots" in bad["error"]["advice"]


@pytest.fixture
def opened_files():
    """Give the paths that this process opens."""
    seen, active = [], [True]

    def hook(event, arguments):
        if active and event == "open":
            seen.append(str(arguments[0]))

    sys.addaudithook(hook)
    yield seen
    active.clear()


@pytest.mark.parametrize("header", ["{doc}", "{{doc}}"])
def test_a_header_of_text_is_text_whatever_it_looks_like(sandbox, disk, opened_files, header):
    hook = MatonWhatsAppHook()
    parts = [
        {"type": "HEADER", "format": "TEXT", "text": "For {{1}}", "example": {"header_text": ["Ann"]}},
        {"type": "BODY", "text": "Your report is here."},
    ]
    hook.create_template("greeting", "en_US", "UTILITY", parts)
    sandbox.control("POST", "templates", name="greeting", language="en_US", status="APPROVED")
    names = [
        "/etc/hostname",
        "../s.pdf",
        "~/.ssh/id.pdf",
        "1555000111222",
        "file:///etc/hostname",
        "4711.pdf",
    ]
    names += ["https://x.example/a.pdf", "./pipe.pdf", "memory://bucket/secret.pdf"]
    (disk / "s.pdf").write_bytes(SECRET)
    opened_files.clear()

    for place, name in enumerate(names):
        if header == "{doc}":
            broadcast(header, [name], template_name="greeting").execute({})
        else:
            task = SendTemplateOperator(
                task_id="send", to=f"+1555{place:07}", template_name="greeting", header=header
            )
            task.render_template_fields({"doc": name})
            task.execute({})

    assert uploads(sandbox) == []
    sent = [message["payload"]["template"]["components"][0]["parameters"][0] for message in sandbox.messages]
    assert [parameter["text"] for parameter in sent] == names
    assert not [path for path in opened_files if path.endswith(("hostname", ".pdf"))]


def test_a_file_for_a_header_of_text_is_not_opened(sandbox, disk, opened_files):
    task = broadcast(
        {"type": "document", "media": f"{disk}/invoices/{{doc}}"}, ["4711.pdf"], template_name="hello_world"
    )

    found = task.execute({})

    assert found["failed"] == 1
    assert uploads(sandbox) == []
    assert not [path for path in opened_files if "4711" in path]


# Where media_roots is set it bounds what a DAG's author, Jinja and XComs name as well.


def media(value):
    return SendMediaOperator(task_id="send", to=GOOD, media=value)


def header(value):
    return SendTemplateOperator(task_id="send", to=GOOD, template_name="report", header=value)


def said_header(value):
    return header({"type": "document", "media": value})


def recipients(value):
    return BroadcastTemplateOperator(task_id="send", recipients=value, template_name="hello_world")


def suppression(value):
    return BroadcastTemplateOperator(
        task_id="send", recipients=[GOOD], template_name="hello_world", suppression=value
    )


def fixed_header(value):
    return BroadcastTemplateOperator(task_id="send", recipients=[GOOD], template_name="report", header=value)


OPERATORS = [media, header, said_header, recipients, suppression, fixed_header]


@pytest.mark.parametrize("make", OPERATORS)
def test_no_hostile_text_of_an_xcom_makes_a_file_leave(
    sandbox, report, disk, monkeypatch, opened_files, make
):
    monkeypatch.setenv("AIRFLOW__WHATSAPP__MEDIA_ROOTS", f"{disk}/invoices,memory://bucket/invoices")
    texts = [text for text in hostile(disk) if text.strip() and "doc" not in text]
    assert len(texts) >= 60

    for text in texts:
        task = make("{{ ti_said }}")
        if make is said_header:
            task.header = {"type": "document", "media": "{{ ti_said }}"}
        task.render_template_fields({"ti_said": text})
        with contextlib.suppress(AirflowFailException):
            task.execute({})

    assert uploads(sandbox) == []
    assert not [
        path for path in opened_files if path.endswith((str(disk / "secret.pdf"), "id.pdf", "passwd"))
    ]


@pytest.mark.parametrize("source", ["{disk}/secret.pdf", "memory://bucket/secret.pdf"])
def test_every_door_for_files_is_bounded(sandbox, disk, monkeypatch, source):
    monkeypatch.setenv("AIRFLOW__WHATSAPP__MEDIA_ROOTS", f"{disk}/invoices")
    hook, source = MatonWhatsAppHook(), source.format(disk=disk)

    for door in (
        lambda: hook.upload_media(source),
        lambda: hook.upload_template_sample(source),
        lambda: hook.send_media(GOOD, source),
        lambda: hook.send_template(GOOD, "report", header=source),
    ):
        with pytest.raises(PayloadError, match=r"outside the folders of \[whatsapp\] media_roots"):
            door()

    assert sandbox.requests == []


@pytest.mark.parametrize("make", [recipients, suppression])
def test_a_list_is_not_fetched_from_a_host_outside_of_media_roots(sandbox, disk, monkeypatch, make):
    monkeypatch.setenv("AIRFLOW__WHATSAPP__MEDIA_ROOTS", f"{disk}, https://lists.example/people")
    for url in (f"{sandbox.url}/_sandbox/messages", "https://lists.example/other.csv"):
        with pytest.raises(AirflowFailException, match="outside the folders of"):
            make(url).execute({})

    assert sandbox.requests == []


def test_a_notifier_is_bounded(sandbox, report, disk, monkeypatch, caplog):
    from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

    monkeypatch.setenv("AIRFLOW__WHATSAPP__MEDIA_ROOTS", f"{disk}/invoices")
    for header in ("{{ said }}", f"file://{disk}/secret.pdf", "/etc/passwd"):
        notifier = WhatsAppNotifier(to=GOOD, template_name="report", header=header, cooldown=0)
        notifier({"said": str(disk / "secret.pdf")})

    assert uploads(sandbox) == []
    assert sandbox.messages == []
    assert caplog.text.count("outside the folders of [whatsapp] media_roots") == 3


def test_folders_and_samples_of_templates_are_bounded(sandbox, disk, monkeypatch):
    from airflow.sdk import DAG

    monkeypatch.setenv("AIRFLOW__WHATSAPP__MEDIA_ROOTS", f"{disk}/invoices")
    sample = {"header": {"document": "../secret.pdf"}, "body": "Here."}
    listed = [{"name": "x", "category": "UTILITY", "languages": {"en_US": sample}}]
    (disk / "templates").mkdir()
    with DAG("templates"):
        tasks = [
            SyncTemplatesOperator(task_id=f"sync_{place}", templates=templates, direction=direction)
            for place, (templates, direction) in enumerate(
                [(str(disk / "templates"), "push"), (str(disk / "templates"), "pull"), (listed, "push")]
            )
        ]
    for task in tasks:
        task._folder = lambda: str(disk / "invoices")
        with pytest.raises(AirflowFailException, match=r"outside the folders of \[whatsapp\] media_roots"):
            task.execute({})

    assert uploads(sandbox) == []


def test_what_lies_below_media_roots_stays_valid(sandbox, report, disk, monkeypatch):
    monkeypatch.setenv("AIRFLOW__WHATSAPP__MEDIA_ROOTS", f"{disk}, memory://bucket/invoices")
    (disk / "people.csv").write_text(f"to\n{GOOD}\n")
    (disk / "out.csv").write_text("to\n")

    for value in (str(disk / "invoices" / "4711.pdf"), f"file://{disk}/invoices/link.pdf", "./link.pdf", PDF):
        assert header(value).execute({})["sent"] == 1
    assert media("memory://bucket/invoices/4711.pdf").execute({})["sent"] == 1
    assert recipients(str(disk / "people.csv")).execute({})["sent"] == 1
    assert suppression(str(disk / "out.csv")).execute({})["sent"] == 1
    names = [
        message["payload"]["template"]["components"][0]["parameters"][0]["document"]["filename"]
        for message in sandbox.messages[:3]
    ]
    assert names == ["4711.pdf", "link.pdf", "link.pdf"], "a link shows its own name"


@pytest.mark.parametrize("roots", ["invoices", "./x", "s3:/x", "s3://bucket/../other"])
def test_a_root_that_is_no_place_is_refused(monkeypatch, roots):
    monkeypatch.setenv("AIRFLOW__WHATSAPP__MEDIA_ROOTS", f"/srv,{roots}")
    with pytest.raises(ConfigurationError, match="is neither an absolute path nor the URL"):
        media_roots()


@pytest.mark.parametrize(
    ("root", "inside", "outside"),
    [
        ("s3://b/m", "s3://b/m/x", "s3://b/mm/x"),
        ("s3://b/m/", "s3a://b/m", "gs://b/m/x"),
        ("s3://aws@b", "s3://aws@b/x", "s3://b/x"),
        ("s3://b", "s3://b/x/y", "s3://other@b/x"),
        ("gs://b/m", "gcs://b/m/x", "gs://bb/m/x"),
        ("/srv", "/srv/x/../y", "/srv/../etc/x"),
        ("/srv", "file:///srv/x", "/srvx/y"),
        ("~", "~/x", "/"),
    ],
)
def test_a_place_holds_what_is_below_it(root, inside, outside):
    assert place_of(root).holds(place_of(inside))
    assert not place_of(root).holds(place_of(outside))


def test_an_object_storage_path_is_where_its_url_is():
    from airflow.sdk import ObjectStoragePath

    for url in ("memory://bucket/a/b.pdf", "file:///etc/x", "local:///etc/x"):
        assert place_of(ObjectStoragePath(url)) == place_of(url)
    assert place_of(ObjectStoragePath("memory://b/x", conn_id="aws")) == place_of("memory://aws@b/x")


PIECES = [
    "..",
    ".",
    "",
    "/",
    "4711.pdf",
    "folder",
    "link.pdf",
    "pipe.pdf",
    "%2e%2e",
    "%2f",
    "..%2f",
    "\\",
    "~",
    "~root",
]
PIECES += [
    "secret.pdf",
    "invoices",
    "-old",
    "file://",
    "memory://",
    "@",
    "::",
    "\x00",
    "\n",
    "etc/passwd",
    "?",
    "#",
    "%",
]


@given(
    prefix=st.sampled_from(
        ["{disk}/invoices/", "./", "file://{disk}/invoices/", "memory://bucket/invoices/", "{disk}/folder/"]
    ),
    pieces=st.lists(st.sampled_from(PIECES), max_size=8),
    glue=st.sampled_from(["/", ""]),
)
@example(prefix="memory://bucket/invoices/", pieces=["..", "?"], glue="")
@example(prefix="memory://bucket/invoices/", pieces=["..", "#"], glue="")
@settings(
    max_examples=examples(400), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_value_leads_out_of_the_folder_in_front_of_it(disk, prefix, pieces, glue):
    prefix = prefix.format(disk=disk)
    (disk / "folder").mkdir(exist_ok=True)
    try:
        found = RowFiles(prefix).open(prefix + glue.join(pieces))
    except PayloadError:
        return
    if prefix.startswith("memory"):
        key = os.path.normpath(unquote(found.path)).lstrip("/")
        assert key.startswith("bucket/invoices/") or key == "bucket/invoices"
    else:
        folder = disk / "invoices" if "invoices" in prefix or prefix == "./" else disk / "folder"
        assert found.resolve().is_relative_to(folder.resolve())
        assert found.is_file()
