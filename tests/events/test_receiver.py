"""The receiver over a real socket: who is let in, what is stored, and what 200 promises."""

from __future__ import annotations

import json
import logging
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.events import connections, tables
from airflow_provider_whatsapp.events import receiver as module
from airflow_provider_whatsapp.events.receiver import MAX_BODY, Settings
from airflow_provider_whatsapp.events.serve import running
from airflow_provider_whatsapp.events.store import EventStore
from tests.events.bodies import SECRET, body, change, signed, status, statuses, text
from tests.events.test_store import LIVES, rows

PATH_SECRET = "p" * 32
TOKEN = "a verify token, ä"
GOOD = statuses(status("wamid.A"))


@pytest.fixture(scope="module")
def file_store(tmp_path_factory):
    made = EventStore.open(f"sqlite:///{tmp_path_factory.mktemp('events')}/events.db")
    made.create_or_upgrade()
    yield made
    made.close()


@pytest.fixture(scope="module")
def web():
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture(scope="module")
def checking(file_store):
    """Give the URL of a receiver that checks signatures."""
    with running(file_store, Settings(verify_token=TOKEN, app_secret=SECRET)) as url:
        yield url


@pytest.fixture(scope="module")
def hidden(file_store):
    """Give the URL of a receiver that has a secret path and cannot check signatures."""
    with running(file_store, Settings(verify_token=TOKEN, path_secret=PATH_SECRET)) as url:
        yield url


@pytest.fixture(autouse=True)
def _empty(file_store):
    with file_store._engine.begin() as connection:
        for table in (tables.statuses, tables.messages, tables.others, tables.opt_outs):
            connection.execute(table.delete())


def stored(store):
    return {row["message_id"]: row["verified"] for row in rows(store, tables.statuses)}


HANDSHAKE = {"hub.mode": "subscribe", "hub.verify_token": TOKEN, "hub.challenge": "1158201444"}


def test_the_handshake_answers_the_bare_challenge(checking, web):
    answer = web.get(f"{checking}/any/path", params=HANDSHAKE)

    assert (answer.status_code, answer.content) == (200, b"1158201444")
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("change_of", "status_code"),
    [
        ({"hub.verify_token": "another"}, 403),
        ({"hub.verify_token": ""}, 403),
        ({"hub.verify_token": "\udcff"}, 403),
        ({"hub.mode": "unsubscribe"}, 404),
        ({"hub.challenge": "<script>"}, 400),
        ({"hub.challenge": ""}, 400),
    ],
    ids=["token", "no-token", "bytes", "mode", "script", "no-challenge"],
)
def test_another_handshake_is_refused(checking, web, change_of, status_code):
    query = "&".join(
        f"{key}={value if value != chr(0xDCFF) else '%ff'}" for key, value in (HANDSHAKE | change_of).items()
    )
    answer = web.get(f"{checking}/?{query}")

    assert answer.status_code == status_code
    assert b"script" not in answer.content


def test_a_signed_delivery_is_stored_as_verified(checking, web, file_store):
    answer = web.post(f"{checking}/webhook", data=GOOD, headers=signed(GOOD))

    assert answer.status_code == 200
    assert stored(file_store) == {"wamid.A": True}


def test_the_signature_is_that_of_the_bytes_as_they_came(checking, web, file_store):
    # As Meta writes it: escaped, with its own spaces; parsed and written again, the hash would be another.
    content = body(change(messages=[text("wamid.R", "Olá, está bem?")])).replace(b'": ', b'" :  ')
    assert b"\\u00e1" in content

    assert web.post(f"{checking}/", data=content, headers=signed(content)).status_code == 200
    assert [row["text"] for row in rows(file_store, tables.messages)] == ["Olá, está bem?"]


REFUSED = {
    "unsigned": ({}, 403),
    "forged": (signed(GOOD, "another secret"), 403),
    "of-another-body": (signed(b"{}"), 403),
    "upper-case": ({"X-Hub-Signature-256": signed(GOOD)["X-Hub-Signature-256"].upper()}, 403),
    "sha1": ({"X-Hub-Signature": "sha1=" + "0" * 40}, 403),
    "short": ({"X-Hub-Signature-256": "sha256=00"}, 403),
    "nonsense": ({"X-Hub-Signature-256": "\xff"}, 403),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_signed_is_refused(checking, web, file_store, case):
    headers, status_code = REFUSED[case]

    assert web.post(f"{checking}/", data=GOOD, headers=headers).status_code == status_code
    assert stored(file_store) == {}


def test_a_replay_changes_nothing(checking, web, file_store):
    for content in (GOOD, statuses(status("wamid.A", "read")), GOOD):
        assert web.post(f"{checking}/", data=content, headers=signed(content)).status_code == 200

    assert file_store.furthest(["wamid.A"])["wamid.A"]["status"] == "read"
    assert len(rows(file_store, tables.statuses)) == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"no json", b"[]", b"\xff", b'{"a":' + b"[" * 50_000],
    ids=["empty", "text", "list", "bytes", "deep"],
)
def test_what_is_signed_and_malformed_is_refused(checking, web, file_store, content):
    assert web.post(f"{checking}/", data=content, headers=signed(content)).status_code == 400
    assert rows(file_store, tables.others) == []


def test_what_is_signed_and_unknown_is_kept(checking, web, file_store):
    content = b'{"object": "of_next_year", "entry": 7}'

    assert web.post(f"{checking}/", data=content, headers=signed(content)).status_code == 200
    (row,) = rows(file_store, tables.others)
    assert json.loads(row["raw"]) == json.loads(content)


def test_the_largest_delivery_of_whatsapp_is_taken(checking, web, file_store):
    items = [status(f"wamid.{number}", biz_opaque_callback_data="x" * 500) for number in range(1_000)]
    content = statuses(*items, *[{"padding": "x" * 2_000_000}])
    assert 2_500_000 < len(content) < 3_200_000

    assert web.post(f"{checking}/", data=content, headers=signed(content)).status_code == 200
    assert len(stored(file_store)) == 1_000


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_body_that_is_too_large_is_refused(checking, web, file_store, chunked):
    content = statuses(status("wamid.A", padding="x" * MAX_BODY))
    data = iter([content[:100], content[100:]]) if chunked else content
    try:
        answer = web.post(f"{checking}/", data=data, headers=signed(content))
        assert answer.status_code == 413
    except requests.ConnectionError:
        pass  # the answer came, and the connection was closed, before all of it was sent
    assert stored(file_store) == {}


def test_without_an_app_secret_the_path_is_the_secret_and_nothing_is_verified(hidden, web, file_store):
    right = f"{hidden}/behind/a/proxy/{PATH_SECRET}"

    assert web.get(right, params=HANDSHAKE).status_code == 200
    assert web.post(right, data=GOOD, headers=signed(GOOD)).status_code == 200
    assert stored(file_store) == {"wamid.A": False}


@pytest.mark.parametrize(
    "path", ["", "q" * 32, PATH_SECRET[:-1], f"{PATH_SECRET}/", f"{PATH_SECRET}/x", "%ff" * 32]
)
def test_another_path_is_not_there(hidden, web, file_store, path):
    assert web.get(f"{hidden}/{path}", params=HANDSHAKE).status_code == 404
    assert web.post(f"{hidden}/{path}", data=GOOD).status_code == 404
    assert stored(file_store) == {}


def test_with_both_secrets_both_are_needed(file_store, web):
    with running(file_store, Settings(verify_token=TOKEN, app_secret=SECRET, path_secret=PATH_SECRET)) as url:
        assert web.post(f"{url}/{PATH_SECRET}", data=GOOD).status_code == 403
        assert web.post(f"{url}/", data=GOOD, headers=signed(GOOD)).status_code == 404
        assert web.post(f"{url}/{PATH_SECRET}", data=GOOD, headers=signed(GOOD)).status_code == 200


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"verify_token": ""}, "no verify token"),
        ({"app_secret": None}, "anybody could post"),
        ({"app_secret": None, "path_secret": "x" * 31}, "31 characters"),
        ({"path_secret": "x" * 31 + "+"}, "32 characters, or some"),
        ({"keep_days": -1}, "keep_days is -1;"),
        ({"keep_days": float("nan")}, "keep_days is nan;"),
    ],
    ids=["token", "open", "short", "plus", "negative", "nan"],
)
def test_a_receiver_that_anybody_could_use_does_not_start(fields, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        Settings(**{"verify_token": "t", "app_secret": "s", **fields})


def test_no_repr_shows_a_secret():
    assert "s3cret" not in repr(
        Settings(verify_token="s3cret", app_secret="s3cret", path_secret="s3cret" * 8)
    )


def test_other_methods_are_refused(checking, web):
    assert {web.request(method, f"{checking}/").status_code for method in ("PUT", "DELETE", "PATCH")} == {405}


def raw(url, *parts, pause=None):
    """Send bytes, and return what comes back."""
    at = urlsplit(url)
    with socket.create_connection((at.hostname, at.port), timeout=10) as line:
        for part in parts:
            line.sendall(part)
        if pause is not None:
            return line
        return line.recv(65_536)


def test_a_body_that_does_not_arrive_is_given_up(checking, monkeypatch):
    monkeypatch.setattr(module, "BODY_SECONDS", 0.05)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\nX-Hub-Signature-256: sha256=%s\r\n\r\n" % (
        b"0" * 64
    )

    assert raw(checking, head, b"{").startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "before", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["first", "kept-alive"]
)
@pytest.mark.parametrize(
    "start", [b"POST / HTTP/1.1\r\nHost: x\r\nX-Drip: ", b"POS"], ids=["header", "method"]
)
def test_headers_that_do_not_arrive_are_given_up(checking, monkeypatch, before, start):
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.05)

    assert ends(checking, before, start)


def test_headers_without_end_are_given_up(checking, monkeypatch):
    monkeypatch.setattr(connections, "HEADER_SECONDS", 600.0)

    assert ends(checking, b"POST / HTTP/1.1\r\nHost: x\r\nX-Long: ", b"a" * (connections.MAX_HEADERS + 1))


def test_a_connection_that_has_delivered_stays_open(checking, monkeypatch):
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.02)
    at = urlsplit(checking)
    ask = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection((at.hostname, at.port), timeout=10) as idle:
        idle.sendall(ask)
        assert b" 200 " in idle.recv(65_536)
        assert ends(checking, b"POS")  # so long that a timer left behind would have closed the first one
        idle.sendall(ask)
        assert b" 200 " in idle.recv(65_536)


def ends(url, before, start=b""):
    """Send a request, wait for its answer, begin another; tell whether the receiver closes the connection."""
    at = urlsplit(url)
    with socket.create_connection((at.hostname, at.port), timeout=10) as line:
        if before and start:
            line.sendall(before)
            if before.endswith(b"\r\n\r\n"):
                assert line.recv(65_536).startswith(b"HTTP/1.1 200 ")
        line.sendall(start or before)
        try:
            while line.recv(65_536):
                pass
        except ConnectionResetError:
            pass
    return True


def test_bodies_fill_the_memory_only_so_far(checking, web, file_store, monkeypatch):
    monkeypatch.setattr(module, "MAX_HELD", 50)
    answer = web.post(f"{checking}/", data=GOOD, headers=signed(GOOD))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")

    monkeypatch.undo()
    assert web.post(f"{checking}/", data=GOOD, headers=signed(GOOD)).status_code == 200


@pytest.mark.parametrize(
    "length", [b"-1", b"1e3", b"9" * 30, b"\xb2"], ids=["negative", "exponent", "huge", "superscript"]
)
def test_a_length_that_is_none_is_no_error_of_ours(checking, length):
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %s\r\nX-Hub-Signature-256: sha256=%s\r\n\r\n"

    assert raw(checking, head % (length, b"0" * 64)).split()[1] in {b"400", b"413"}


def test_what_is_logged_names_nobody_and_no_secret(checking, hidden, web, caplog):
    caplog.set_level(logging.DEBUG)
    number = "15550100123"
    content = body(change(statuses=[status("wamid.A")], messages=[text("wamid.R", "a private text")]))
    web.post(f"{checking}/", data=content, headers=signed(content))
    web.post(f"{hidden}/{PATH_SECRET}", data=content)
    web.post(f"{checking}/{number}", data=content)
    web.get(f"{hidden}/{PATH_SECRET}", params=HANDSHAKE)

    lines = [
        record.getMessage() for record in caplog.records if record.name.startswith(("airflow_pro", "uvicorn"))
    ]
    assert any("1 statuses, 1 messages, 0 other" in line for line in lines)
    for secret in (number, "private", PATH_SECRET, SECRET, TOKEN):
        assert secret not in "".join(lines)


def test_who_posts_nonsense_does_not_fill_the_log(file_store, web, caplog):
    with running(file_store, Settings(verify_token=TOKEN, app_secret=SECRET)) as url:
        for _ in range(20):
            web.post(f"{url}/", data=b"{}")

    assert [record.getMessage() for record in caplog.records if "Refused" in record.getMessage()] == [
        "Refused a delivery: signature"
    ]


def test_health_and_metrics(file_store, web):
    with running(file_store, Settings(verify_token=TOKEN, app_secret=SECRET)) as url:
        content = body(change(statuses=[status("wamid.A")], messages=[text("wamid.R")], errors=[{"code": 1}]))
        web.post(f"{url}/", data=content, headers=signed(content))
        web.post(f"{url}/", data=content)

        assert web.get(f"{url}/healthz").text == "ok\n"
        lines = set(web.get(f"{url}/metrics").text.splitlines())
    assert lines >= {
        'whatsapp_receiver_answers_total{status="200"} 1',
        'whatsapp_receiver_answers_total{status="403"} 1',
        'whatsapp_receiver_events_total{kind="status"} 1',
        'whatsapp_receiver_events_total{kind="message"} 1',
        'whatsapp_receiver_events_total{kind="other"} 1',
        "whatsapp_receiver_commits_total 1",
    }


def deliver(web, url, contents, *, workers=4):
    """Deliver as WhatsApp does: several at a time, and again whatever was not answered with 200."""

    def until_taken(content):
        for _ in range(1_000):
            try:
                if web.post(url, data=content, headers=signed(content), timeout=30).status_code == 200:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.02)
        raise AssertionError("never taken")

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(until_taken, contents))


class Refusing:
    """Lets a share of deliveries pass into the store, but no answer out: they are delivered again."""

    def __init__(self, store, share):
        self._store, self._write = store, store.write
        self._chance, self._share = random.Random(3), share

    def write(self, deliveries):
        from airflow_provider_whatsapp.events.store import StoreError

        fate = self._chance.random()
        if fate < self._share / 2:
            raise StoreError("refused before it was written")
        self._write(deliveries)
        if fate < self._share:
            raise StoreError("refused after it was written")


def test_two_thousand_messages_with_receipts_twice_reordered_and_refused_at_first(postgres_database, web):
    store = EventStore.open(postgres_database)
    store.create_or_upgrade()
    chance = random.Random(7)
    ends = dict(zip([tuple(life) for life, _ in LIVES], [end for _, end in LIVES], strict=True))
    lives = {f"wamid.{number}": chance.choice(list(ends)) for number in range(2_000)}
    items = [status(name, kind) for name, life in lives.items() for kind in life]
    items += chance.sample(items, len(items) // 10)
    chance.shuffle(items)
    contents = [statuses(*items[start : start + 100]) for start in range(0, len(items), 100)]
    store.write = Refusing(store, 0.2).write

    with running(store, Settings(verify_token=TOKEN, app_secret=SECRET)) as url:
        deliver(web, f"{url}/", contents)

    found = store.furthest(list(lives))
    assert {name: row["status"] for name, row in found.items()} == {
        name: ends[life] for name, life in lives.items()
    }
    with store._engine.connect() as connection:
        count = connection.execute(tables.statuses.select().with_only_columns(tables.statuses.c.id)).all()
    assert len(count) == sum(map(len, lives.values()))
    store.close()


def test_a_database_that_is_gone_gives_5xx_and_then_all_is_well(
    postgres, postgres_database, web, monkeypatch
):
    monkeypatch.setattr(module, "HEALTH_SECONDS", 0.01)
    store = EventStore.open(postgres_database)
    store.create_or_upgrade()
    numbers = iter(range(10_000))
    taken = []

    def post(url):
        content = statuses(status(name := f"wamid.{next(numbers)}"))
        answer = web.post(f"{url}/", data=content, headers=signed(content), timeout=30)
        taken.extend([name] * (answer.status_code == 200))
        return answer.status_code

    with running(store, Settings(verify_token=TOKEN, app_secret=SECRET)) as url:
        assert [post(url) for _ in range(5)] == [200] * 5
        assert web.get(f"{url}/healthz").status_code == 200
        postgres.stop()
        try:
            assert {post(url) for _ in range(5)} == {503}
            poll(lambda: web.get(f"{url}/healthz").status_code == 503)
        finally:
            postgres.start()
        assert [post(url) for _ in range(5)] == [200] * 5
        poll(lambda: web.get(f"{url}/healthz").status_code == 200)

    assert sorted(store.furthest(taken)) == sorted(taken)
    store.close()


def test_a_database_that_hangs_gives_503_in_time(postgres_database, web, monkeypatch):
    monkeypatch.setattr(module, "STORE_SECONDS", 0.2)
    store = EventStore.open(postgres_database)
    store.create_or_upgrade()
    with running(store, Settings(verify_token=TOKEN, app_secret=SECRET)) as url:
        with store._engine.begin() as connection:
            connection.exec_driver_sql("LOCK TABLE whatsapp_statuses")
            assert web.post(f"{url}/", data=GOOD, headers=signed(GOOD)).status_code == 503
        monkeypatch.undo()
        assert web.post(f"{url}/", data=GOOD, headers=signed(GOOD)).status_code == 200
    assert stored(store) == {"wamid.A": True}
    store.close()


def test_one_delivery_that_the_database_refuses_keeps_no_other_from_being_stored(postgres_database, web):
    store = EventStore.open(postgres_database)
    store.create_or_upgrade()
    with store._engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE whatsapp_statuses ADD CHECK (message_id <> 'wamid.bad')")
    contents = [statuses(status(f"wamid.{name}")) for name in ("bad", *range(8))]
    go = threading.Barrier(len(contents))

    def post(content):
        go.wait()
        return requests.post(f"{url}/", data=content, headers=signed(content), timeout=30).status_code

    with (
        running(store, Settings(verify_token=TOKEN, app_secret=SECRET)) as url,
        ThreadPoolExecutor(9) as pool,
    ):
        codes = list(pool.map(post, contents))
    assert codes == [503] + [200] * 8
    assert set(stored(store)) == {f"wamid.{number}" for number in range(8)}
    store.close()


def test_a_stop_stores_what_it_has_taken(postgres_database):
    store = EventStore.open(postgres_database)
    store.create_or_upgrade()
    codes = []
    served = running(store, Settings(verify_token=TOKEN, app_secret=SECRET))
    url = served.__enter__()
    post = threading.Thread(
        target=lambda: codes.append(requests.post(f"{url}/", data=GOOD, headers=signed(GOOD)).status_code)
    )
    stop = threading.Thread(target=served.__exit__, args=(None, None, None))
    with store._engine.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE whatsapp_statuses")
        post.start()
        poll(lambda: _waits(connection))
        stop.start()
        poll(lambda: refuses(url))
        assert codes == []
    post.join()
    stop.join()
    assert codes == [200]
    assert stored(store) == {"wamid.A": True}
    store.close()


def poll(ready):
    until = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < until
        time.sleep(0.005)


def refuses(url):
    at = urlsplit(url)
    with socket.socket() as caller:
        return caller.connect_ex((at.hostname, at.port)) != 0


def _waits(connection):
    """Say whether somebody waits for a lock in this database; other tests share the server."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return connection.exec_driver_sql(waiting).scalar()


def test_a_fault_of_this_program_is_5xx_and_shows_nothing(file_store, web, monkeypatch, caplog):
    def fails(_):
        raise KeyError("15550100123")

    monkeypatch.setattr(module, "parse", fails)
    with running(file_store, Settings(verify_token=TOKEN, app_secret=SECRET)) as url:
        answer = web.post(f"{url}/", data=GOOD, headers=signed(GOOD))
    assert answer.status_code == 503
    assert "15550100123" not in answer.text + caplog.text
    assert "a bug in this program" in caplog.text


def test_old_events_go_while_it_runs(tmp_path):
    from tests.events.test_store import make_older, write

    store = EventStore.open(f"sqlite:///{tmp_path}/events.db")
    store.create_or_upgrade()
    write(store, GOOD)
    make_older(store, 91)
    with running(store, Settings(verify_token=TOKEN, app_secret=SECRET, keep_days=90)):
        poll(lambda: not stored(store))
    store.close()
