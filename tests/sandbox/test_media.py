from __future__ import annotations

import hashlib

import pytest

OFFICE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def test_upload_get_send_delete(sandbox, tools):
    media = sandbox.upload().json()["id"]
    found = sandbox.call("GET", media, params={"phone_number_id": sandbox.number}).json()
    assert (found["mime_type"], found["file_size"], found["id"]) == ("image/png", len(tools.png), media)
    assert found["sha256"] == hashlib.sha256(tools.png).hexdigest()
    assert found["url"].startswith("https://lookaside.fbsbx.com/")
    assert sandbox.send(type="image", image={"id": media}).status_code == 200
    assert "data:image/png;base64," in sandbox.page()
    assert sandbox.call("DELETE", media).json() == {"success": True}
    assert tools.error(sandbox.call("GET", media))["error_subcode"] == 33
    assert tools.error(sandbox.send(type="image", image={"id": media}))["code"] == 131009


def test_media_expires_after_thirty_days(sandbox):
    media = sandbox.upload().json()["id"]
    sandbox.clock.advance(30 * 86_400 - 60)
    assert sandbox.call("GET", media).status_code == 200
    sandbox.clock.advance(120)
    assert sandbox.call("GET", media).status_code == 400


@pytest.mark.parametrize(
    ("mime", "size", "code"),
    [
        ("image/png", 5 * 1024 * 1024, None),
        ("image/png", 5 * 1024 * 1024 + 1, 131053),
        ("image/webp", 500 * 1024 + 1, 131053),
        ("audio/ogg; codecs=opus", 10, None),
        ("audio/opus", 10, None),
        ("video/mp4", 16 * 1024 * 1024 + 1, 131053),
        (OFFICE, 10, None),
        ("text/csv", 10, 100),
        ("image/gif", 10, 100),
        ("application/octet-stream", 10, 100),
        ("text/plain", 0, 131053),
    ],
)
def test_types_and_sizes(sandbox, tools, mime, size, code):
    answer = sandbox.upload(b"x" * size, mime)
    assert answer.status_code == (400 if code else 200), answer.text
    if code:
        assert tools.error(answer)["code"] == code
    if code == 100:
        assert "audio/opus" in tools.error(answer)["message"]
        assert mime in tools.error(answer)["message"]


def test_type_must_agree_with_the_file(sandbox, tools):
    form = {"messaging_product": "whatsapp", "type": "image/jpeg"}
    files = {"file": ("a.png", tools.png, "image/png")}
    answer = sandbox.call("POST", f"{sandbox.number}/media", data=form, files=files)
    assert tools.error(answer)["code"] == 131053


@pytest.mark.parametrize(
    ("form", "files"),
    [
        ({"type": "image/png"}, {"file": ("a.png", b"x", "image/png")}),
        ({"messaging_product": "whatsapp"}, {"other": ("a.png", b"x", "image/png")}),
        ({"messaging_product": "whatsapp"}, {"file": (None, b"x", "image/png")}),
        ({"messaging_product": "whatsapp"}, {"file": ("a.png", b"x")}),
        ({"messaging_product": "whatsapp", "colour": "red"}, {"file": ("a.png", b"x", "image/png")}),
        ({"messaging_product": "whatsapp"}, None),
    ],
)
def test_incomplete_forms(sandbox, form, files):
    answer = sandbox.call("POST", f"{sandbox.number}/media", data=form, files=files)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] in (100, 131053)


def test_broken_multipart(sandbox):
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = sandbox.call("POST", f"{sandbox.number}/media", data=b"nonsense", headers=headers)
    assert answer.json()["error"]["code"] == 100


@pytest.mark.parametrize(
    ("kind", "mime", "content", "arrives"),
    [
        ("image", "image/png", b"this is no picture", False),
        ("document", OFFICE, b"<html>502</html>", False),
        ("document", OFFICE, b"PK\x03\x04" + b"\0" * 30, True),
        ("document", "application/pdf", b"<html>502</html>", False),
        ("video", "video/mp4", b"\0\0\0\x18ftypheic", False),
        ("video", "video/mp4", b"\0\0\0\x18ftypisom", True),
        ("audio", "audio/ogg", b"OggS" + b"\0" * 22 + b"\x01\x1e\x01vorbis", False),
        ("audio", "audio/ogg", b"OggS" + b"\0" * 22 + b"\x01\x13OpusHead\x01\x02", False),
        ("audio", "audio/ogg", b"OggS" + b"\0" * 22 + b"\x01\x13OpusHead\x01\x01", True),
        ("document", "text/plain", b"a,b", True),
    ],
)
def test_content_that_is_not_its_type_fails_later(sandbox, kind, mime, content, arrives):
    media = sandbox.upload(content, mime).json()["id"]
    sandbox.control("POST", "replies", text="hi", **{"from": "15550001111"})
    assert sandbox.send(type=kind, **{kind: {"id": media}}).status_code == 200
    assert sandbox.messages[0].get("error") == (None if arrives else 131053)


def test_resumable_upload_continues_where_it_stopped(sandbox, tools):
    query = {"file_name": "a.pdf", "file_length": len(tools.pdf), "file_type": "application/pdf"}
    upload = sandbox.call("POST", f"{sandbox.app}/uploads", params=query).json()["id"]
    assert upload.startswith("upload:")
    sandbox.call("POST", upload, data=tools.pdf[:20], headers={"file_offset": "0"})
    assert sandbox.call("GET", upload).json() == {"id": upload, "file_offset": 20}
    wrong = sandbox.call("POST", upload, data=tools.pdf[10:], headers={"file_offset": "10"})
    assert wrong.status_code == 400
    done = sandbox.call("POST", upload, data=tools.pdf[20:], headers={"file_offset": "20"}).json()
    assert done["h"].startswith("4::")


@pytest.mark.parametrize("change", [{"file_type": "text/plain"}, {"file_length": "0"}, {"file_length": "x"}])
def test_resumable_upload_refusals(sandbox, change):
    query = {"file_name": "a", "file_length": "10", "file_type": "image/png", **change}
    assert sandbox.call("POST", f"{sandbox.app}/uploads", params=query).status_code == 400
