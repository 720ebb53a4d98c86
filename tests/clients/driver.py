"""What the drivers share: where the sandbox is, and a line of JSON about every call."""

from __future__ import annotations

import json
import os
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PLACE: dict[str, str] = json.loads(os.environ["SANDBOX_PLACE"])
"""``graph`` (the data plane), ``token``, ``number``, ``waba``, ``to``, ``incoming`` (a message's id), ``png``."""

HOST = "https://graph.facebook.com"


def run(name: str, call: Callable[[], Any]) -> Any:
    """Make a call and report it; its answer, an empty dict where it failed."""
    try:
        answer = call()
    except Exception:
        print(json.dumps({"call": name, "failed": traceback.format_exc(limit=-3)}), flush=True)
        return {}
    failed = answer is None or (isinstance(answer, dict) and "error" in answer)
    print(json.dumps({"call": name, "failed": repr(answer) if failed else None}), flush=True)
    return answer


def redirect_requests() -> None:
    """Let requests ask the sandbox whatever is meant for Graph; any other page of Meta's is empty."""
    import requests

    ask = requests.Session.request

    def elsewhere(self: Any, method: str, url: str, **options: Any) -> Any:
        if not url.startswith(HOST):
            empty = requests.Response()
            empty.status_code = 200
            return empty
        return ask(self, method, url.replace(HOST, PLACE["graph"]), **options)

    requests.Session.request = elsewhere  # type: ignore[method-assign]
