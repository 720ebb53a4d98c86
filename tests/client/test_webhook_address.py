"""Where webhooks go: nobody's address is taken away unasked, whatever stands there and whoever's app it is."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from airflow_provider_whatsapp import cli
from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.errors import APIError, ConfigurationError, PayloadError
from airflow_provider_whatsapp.client.resources.webhooks import check_url, shown
from airflow_provider_whatsapp.client.webhook_address import status, subscribe, unsubscribe
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

WABA, NUMBER, OWN, OTHER = "900000000000001", "900000000000002", "1111", "2222"
MINE, THEIRS = "https://mine.example/whatsapp", "https://theirs.example/hook"


class Graph:
    """An account with several apps, which the sandbox does not have; it does what facts about Graph say."""

    def __init__(self):
        self.apps = {}
        """The address of each subscribed app; None: its own."""
        self.number = None
        self.knows_app = True
        self.takes = True
        self.posts = []

    def answer(self, method, path, body):
        if path == f"/{WABA}/subscribed_apps":
            return self._subscribed(method, body)
        if path == f"/{NUMBER}":
            return self._of_number(method, body)
        if path == "/app" and self.knows_app:
            return 200, {"id": OWN, "name": "Maton"}
        return 400, {"error": {"code": 100, "message": "Unsupported get request"}}

    def _subscribed(self, method, body):
        if method == "GET":
            data = [
                {
                    "whatsapp_business_api_data": {"id": app, "name": f"App {app}"},
                    **({"override_callback_uri": url} if url else {}),
                }
                for app, url in self.apps.items()
            ]
            return 200, {"data": data}
        self.posts.append(("account", body))
        if body is None:
            self.apps[OWN] = None
        elif OWN not in self.apps:
            return 400, {"error": {"code": 100, "message": "must be subscribed before"}}
        elif "refused" in body["override_callback_uri"]:
            return 400, {"error": {"code": 2200, "message": "Callback verification failed"}}
        elif self.takes:
            self.apps[OWN] = body["override_callback_uri"]
        return 200, {"success": True}

    def _of_number(self, method, body):
        if method == "GET":
            levels = {"phone_number": self.number, "whatsapp_business_account": self.apps.get(OWN)}
            return 200, {
                "id": NUMBER,
                "webhook_configuration": {name: url for name, url in levels.items() if url},
            }
        self.posts.append(("number", body["webhook_configuration"]))
        self.number = body["webhook_configuration"]["override_callback_uri"] or None
        return 200, {"success": True}


@pytest.fixture(scope="module")
def server():
    class Handler(BaseHTTPRequestHandler):
        def _answer(self):
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            path = self.path.partition("?")[0].removeprefix("/whatsapp-business/v25.0")
            code, answer = self.server.graph.answer(self.command, path, body)
            content = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _answer  # noqa: N815

        def log_message(self, *_):
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def graph(server):
    server.graph = Graph()
    return server.graph


@pytest.fixture
def client(server, graph):
    config = ClientConfig(
        api_key="key",
        phone_number_id=NUMBER,
        waba_id=WABA,
        host=f"http://127.0.0.1:{server.server_port}",
        rate_limit=0,
    )
    with WhatsAppClient(config) as made:
        yield made


SUBSCRIBE = ("account", None)
SET = ("account", {"override_callback_uri": MINE, "verify_token": "token"})
SET_NUMBER = ("number", SET[1])


@pytest.mark.parametrize("knows_app", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("of_number", [False, True], ids=["account", "number"])
@pytest.mark.parametrize(
    ("apps", "number", "posts"),
    [
        ({}, None, ["subscribe", "set"]),
        ({OWN: None}, None, ["set"]),
        ({OWN: None, OTHER: None}, None, ["set"]),
        ({OTHER: None}, None, ["subscribe", "set"]),
    ],
    ids=["nothing", "subscribed", "both", "another-app"],
)
def test_where_nothing_stands_the_app_is_subscribed_and_the_address_set(
    client, graph, knows_app, of_number, apps, number, posts
):
    graph.apps, graph.number, graph.knows_app = dict(apps), number, knows_app

    said = subscribe(client, MINE, "token", of_number=of_number)

    # Where it is not known which app is the connection's, subscribing twice harms nobody: no override stands.
    wanted = ["subscribe", "set"] if not knows_app else posts
    steps = {"subscribe": SUBSCRIBE, "set": SET_NUMBER if of_number else SET}
    assert graph.posts == [steps[step] for step in wanted]
    assert f"go to {MINE} now" in said


STANDING = {
    "own": ({OWN: THEIRS}, None, False, True),
    "own-unknown": ({OWN: THEIRS}, None, False, False),
    "anybody-s-unknown": ({OTHER: THEIRS}, None, False, False),
    "number": ({OWN: None}, THEIRS, True, True),
    "number-unknown": ({OWN: None}, THEIRS, True, False),
}


@pytest.mark.parametrize("case", STANDING)
def test_another_s_address_is_refused_and_nothing_is_changed(client, graph, case):
    graph.apps, graph.number, of_number, graph.knows_app = STANDING[case]
    before = dict(graph.apps), graph.number

    with pytest.raises(
        ConfigurationError, match=r"go to https://theirs.example/hook\. There is only one.*--force"
    ):
        subscribe(client, MINE, "token", of_number=of_number)
    for url in (None, MINE):
        with pytest.raises(ConfigurationError, match=r"theirs\.example"):
            unsubscribe(client, url, of_number=of_number)

    assert graph.posts == []
    assert (graph.apps, graph.number) == before


@pytest.mark.parametrize("case", ["own", "own-unknown", "number"])
def test_force_replaces_it_without_a_moment_in_which_nothing_stands(client, graph, case):
    graph.apps, graph.number, of_number, graph.knows_app = STANDING[case]
    graph.apps = dict(graph.apps)

    subscribe(client, MINE, "token", of_number=of_number, force=True)

    assert graph.posts == ([SET_NUMBER] if of_number else [SET])


def test_an_app_that_cannot_be_told_is_never_subscribed_over_an_address(client, graph):
    graph.apps, graph.knows_app = {OTHER: THEIRS}, False

    with pytest.raises(APIError, match="give the connection its app_id"):
        subscribe(client, MINE, "token", force=True)
    assert SUBSCRIBE not in graph.posts
    assert graph.apps == {OTHER: THEIRS}


def test_another_app_s_address_does_not_stand_in_the_way_of_one_s_own(client, graph):
    graph.apps = {OTHER: THEIRS}

    subscribe(client, MINE, "token")

    assert graph.posts == [SUBSCRIBE, SET]
    assert graph.apps == {OTHER: THEIRS, OWN: MINE}


def test_an_app_id_of_the_connection_needs_no_question(server, graph):
    graph.apps, graph.knows_app = {OTHER: THEIRS, OWN: None}, False
    config = ClientConfig(
        api_key="key", waba_id=WABA, app_id=OWN, host=f"http://127.0.0.1:{server.server_port}", rate_limit=0
    )
    with WhatsAppClient(config) as client:
        subscribe(client, MINE, "token")

    assert graph.posts == [SET]


@pytest.mark.parametrize("of_number", [False, True], ids=["account", "number"])
def test_the_same_address_is_not_set_again(client, graph, of_number):
    graph.apps, graph.number = {OWN: MINE}, MINE

    assert "already" in subscribe(client, MINE, "token", of_number=of_number)
    assert graph.posts == []


@pytest.mark.parametrize(("url", "force"), [(MINE, False), (None, True), (THEIRS, True)])
@pytest.mark.parametrize("of_number", [False, True], ids=["account", "number"])
def test_one_s_own_address_is_removed(client, graph, of_number, url, force):
    graph.apps, graph.number = {OWN: MINE}, MINE

    said = unsubscribe(client, url, of_number=of_number, force=force)

    assert "no longer go to" in said
    assert graph.posts == [("number", {"override_callback_uri": ""}) if of_number else SUBSCRIBE]
    assert (graph.number if of_number else graph.apps[OWN]) is None


@pytest.mark.parametrize("of_number", [False, True], ids=["account", "number"])
def test_an_address_that_ends_with_one_s_path_secret_is_one_s_own(client, graph, of_number):
    secret = "s" * 40
    graph.apps, graph.number = {OWN: f"{MINE}/{secret}"}, f"{MINE}/{secret}"

    for path_secret in (None, "", "s" * 39, "another"):
        with pytest.raises(ConfigurationError, match="--force"):
            unsubscribe(client, None, of_number=of_number, path_secret=path_secret)
    with pytest.raises(ConfigurationError, match="--force"):  # another one is expected there
        unsubscribe(client, MINE, of_number=of_number, path_secret=secret)
    assert graph.posts == []
    said = unsubscribe(client, None, of_number=of_number, path_secret=secret)

    assert "no longer go to" in said
    assert secret not in said
    assert (graph.number if of_number else graph.apps[OWN]) is None


@pytest.mark.parametrize(
    "act",
    [
        lambda client: subscribe(client, MINE, "token", force=True),
        lambda client: unsubscribe(client, None, force=True),
    ],
    ids=["subscribe", "unsubscribe"],
)
@pytest.mark.parametrize("others", [{}, {OTHER: MINE}], ids=["absent", "another-app"])
def test_a_wrong_app_id_never_removes_the_address_of_the_key_s_app(server, graph, act, others):
    graph.apps = {OWN: THEIRS, **others}
    config = ClientConfig(
        api_key="key", waba_id=WABA, app_id=OTHER, host=f"http://127.0.0.1:{server.server_port}", rate_limit=0
    )
    with WhatsAppClient(config) as client, contextlib.suppress(ConfigurationError):
        act(client)

    assert graph.posts == []


def test_an_address_of_another_app_is_not_said_to_be_removed(client, graph):
    graph.apps, graph.knows_app = {OTHER: THEIRS}, False

    with pytest.raises(APIError, match="still go to"):
        unsubscribe(client, THEIRS)
    assert graph.apps[OTHER] == THEIRS


def test_with_several_apps_and_force_the_address_is_found_again(client, graph):
    graph.apps, graph.knows_app = {OTHER: THEIRS, OWN: None}, False

    assert "now" in subscribe(client, MINE, "token", force=True)
    assert graph.apps == {OTHER: THEIRS, OWN: MINE}


def test_a_change_that_cannot_be_read_again_says_so(client, graph, monkeypatch):
    graph.apps = {OWN: None}
    answer = graph.answer
    monkeypatch.setattr(
        graph,
        "answer",
        lambda method, path, body: (
            answer(method, path, body)
            if not graph.posts or method == "POST"
            else (400, {"error": {"code": 10, "message": "no"}})
        ),
    )

    with pytest.raises(APIError, match="confirmed the change, but the address could not be read afterwards"):
        subscribe(client, MINE, "token")
    assert graph.posts == [SET]


def test_where_nothing_stands_nothing_is_removed(client, graph):
    graph.apps = {OWN: None}

    assert "nothing to remove" in unsubscribe(client, None)
    assert graph.posts == []


def test_an_address_that_does_not_answer_is_explained(client, graph):
    graph.apps = {OWN: None}

    with pytest.raises(APIError, match=r"code 2200.*its verify token must be this one") as caught:
        subscribe(client, "https://mine.example/refused", "s3cret")
    assert "s3cret" not in str(caught.value)


def test_an_address_that_is_not_there_afterwards_is_an_error(client, graph):
    graph.apps, graph.takes = {OWN: None}, False

    with pytest.raises(APIError, match="names another one"):
        subscribe(client, MINE, "token")


def test_status_names_apps_and_the_address_that_counts(client, graph):
    graph.apps, graph.number = {OTHER: None, OWN: f"https://mine.example/{'s' * 40}"}, None

    assert status(client) == [
        "Subscribed: App 2222 (2222, an app), events go to its own address.",
        "Subscribed: App 1111 (1111, this connection's app), events go to https://mine.example/•••.",
        "Events of the number go to https://mine.example/••• (the account's address).",
    ]
    graph.number = MINE
    assert status(client)[-1] == f"Events of the number go to {MINE} (the number's own address)."
    assert graph.posts == []


def test_status_where_nothing_is_set(client):
    assert status(client) == [
        "No app is subscribed to this account: no event goes anywhere.",
        "Events of the number go nowhere: neither it, the account nor the app has an address.",
    ]


BAD = {
    "http://mine.example/": "must begin with https",
    "ftp://mine.example/": "must begin with https",
    "https://mine.example/a+b": "characters in its path",
    "https://mine.example/a%20b": "characters in its path",
    "https://mine.example/ä": "characters in its path",
    "https://mine.example/?a=1": "only host and path",
    "https://mine.example/#a": "only host and path",
    "https://me:secret@mine.example/": "only host and path",
    "mine.example": "only host and path",
    "https://[::1": "is not a web address",
    "https://mine.example:port/": "is not a web address",
    "https://:secret@mine.example/": "only host and path",
    "https://@mine.example/": "only host and path",
    "https://mine.example/?": "only host and path",
    "https://mine.example/#": "only host and path",
    "https://mine.example/a\nb": "a line break",
    " https://mine.example/": "a space",
    "https://mine.example/\x1b[2J": "a control character",
    "https://m\u00e4ine.example/": "ASCII form",
    "https://mine_1.example/": "a host with characters other",
    "https://mine.example\\.theirs.example/": "a host with characters other",
    "https://127.0.0.1/": "names this machine",
    "http://localhost:8426/": "names this machine",
    f"https://mine.example/{'a' * 200}": "limit: 200",
}


@pytest.mark.parametrize("url", BAD)
def test_an_address_that_meta_cannot_call_is_refused(url):
    with pytest.raises(PayloadError, match=BAD[url]) as caught:
        check_url(url)
    assert "secret@" not in str(caught.value)


@pytest.mark.parametrize(
    "url", [MINE, "https://mine.example", "https://mine.example:8443/a/b-c_D9", f"{MINE}/{'x' * 40}"]
)
def test_an_address_that_meta_can_call_is_taken(url):
    assert check_url(url) == url


def test_a_gateway_on_this_machine_calls_this_machine(client, graph):
    graph.apps = {OWN: None}

    assert "now" in subscribe(client, "http://127.0.0.1:8426/webhook", "token")
    assert check_url("http://localhost:8426/webhook", local=True)


def test_what_may_be_secret_in_an_address_is_not_shown():
    assert shown(f"https://a.example:8443/hook/{'p' * 32}?token=x") == "https://a.example:8443/hook/•••?•••"
    assert shown(f"https://a.example/{'p' * 32}/hook/") == "https://a.example/•••/hook/"
    assert shown("https://a.example/hook\x1b[2J") == "https://a.example/hook"
    assert shown("https://user:pass@a.example/") == "https://a.example/"


@pytest.fixture
def connection(server, graph, monkeypatch):
    extra = {"phone_number_id": NUMBER, "waba_id": WABA, "rate_limit": 0}
    made = {
        "conn_type": "maton_whatsapp",
        "password": "key",
        "host": f"http://127.0.0.1:{server.server_port}",
    }
    monkeypatch.setenv("AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT", json.dumps({**made, "extra": extra}))
    monkeypatch.delenv("WHATSAPP_VERIFY_TOKEN", raising=False)
    monkeypatch.delenv("WHATSAPP_PATH_SECRET", raising=False)


@pytest.mark.usefixtures("connection")
def test_the_commands(graph, capsys, monkeypatch):
    graph.apps = {OWN: THEIRS}

    assert cli.main(["webhook", "subscribe", "--url", MINE]) == 1
    assert "no verify token" in capsys.readouterr().err
    monkeypatch.setenv("WHATSAPP_VERIFY_TOKEN", "token")
    assert cli.main(["webhook", "subscribe", "--url", MINE]) == 1
    assert "--force" in capsys.readouterr().err
    assert cli.main(["webhook", "subscribe", "--url", MINE, "--force"]) == 0
    assert cli.main(["webhook", "subscribe", "--url", MINE, "--phone-number", "--verify-token", "other"]) == 0
    assert graph.posts == [SET, ("number", {**SET[1], "verify_token": "other"})]
    assert cli.main(["webhook", "status"]) == 0
    assert "(the number's own address)" in capsys.readouterr().out
    assert cli.main(["webhook", "unsubscribe", "--phone-number"]) == 1
    monkeypatch.setenv("WHATSAPP_PATH_SECRET", "whatsapp")
    assert cli.main(["webhook", "unsubscribe", "--phone-number"]) == 0
    monkeypatch.delenv("WHATSAPP_PATH_SECRET")
    assert cli.main(["webhook", "unsubscribe", "--force"]) == 0
    assert (graph.number, graph.apps) == (None, {OWN: None})


@pytest.mark.usefixtures("connection")
def test_the_number_of_the_command_line_wins(capsys):
    assert cli.main(["webhook", "status", "--phone-number-id", "900000000000009"]) == 1
    assert "Unsupported" in capsys.readouterr().err
