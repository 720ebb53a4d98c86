"""What stands in for Airflow's API server where it has to misbehave, or a real one would cost too much."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

USER, PASSWORD = "bot", "a password of the tests"


class FakeAirflow:
    """Requests of task instances as Airflow 3.3 keeps them, behind a token; ``strict`` as 3.3 checks options."""

    def __init__(self):
        self.tasks, self.calls, self.strict = {}, [], True
        self.token, self.tokens = "token-1", 1
        self.failing, self.refusal = None, None
        self.lose_answer = False

    def ask(self, ti, options=("Approve", "Reject"), params=None):
        """Put a request up, as a task does that begins to wait."""
        self.tasks[ti.dag_id, ti.run_id, ti.task_id, ti.map_index] = {
            "task_instance": {"id": str(ti.id), "state": "deferred"},
            "options": list(options),
            "params": params or {},
            "created_at": "2026-06-01T09:00:00Z",
            "response_received": False,
            "responded_by_user": None,
            "chosen_options": None,
            "params_input": {},
        }

    def request(self, ti):
        return self.tasks[ti.dag_id, ti.run_id, ti.task_id, ti.map_index]

    def expire(self):
        """Let the token that is out be refused from now on."""
        self.tokens += 1
        self.token = f"token-{self.tokens}"

    def handle(self, method, path, headers, body):
        self.calls.append((method, path, body))
        if self.failing is not None:
            return self.failing
        if path == "/air/auth/token":
            good = (body["username"], body["password"]) == (USER, PASSWORD)
            return (201, {"access_token": self.token}) if good else (401, {"detail": "Invalid credentials"})
        if not path.startswith("/air/api/v2/"):
            return 404, {"detail": "Not Found"}
        if headers["Authorization"] != f"Bearer {self.token}":
            return 401, {"detail": "Token Expired"}
        parts = [unquote(part) for part in path.partition("?")[0].split("/")[4:]]
        if parts[1] == "~":
            return 200, {"hitl_details": [], "total_entries": 0}
        found = self.tasks.get((parts[1], parts[3], parts[5], int(parts[6])))
        if found is None:
            return 404, {"detail": "The Task Instance was not found"}
        if method == "GET":
            return 200, found
        return self.patch(found, body)

    def patch(self, found, body):
        if self.refusal is not None:
            return self.refusal
        if found["response_received"]:
            return 409, {"detail": "has already been updated"}
        if self.strict and not set(body["chosen_options"]) <= set(found["options"]):
            return 400, {"detail": "Invalid options"}
        chosen = {name: body[name] for name in ("chosen_options", "params_input")}
        found.update(response_received=True, responded_by_user={"id": USER, "name": USER}, **chosen)
        return None if self.lose_answer else (200, chosen)


@contextmanager
def serving(fake):
    """Serve it; give its address, which has a path."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def take(self):
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = fake.handle(self.command, self.path, self.headers, json.loads(raw or b"null"))
            if answer is None:
                self.close_connection = True
                return
            status, content = answer
            raw = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PATCH = take  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/air"
    finally:
        server.shutdown()
        server.server_close()
