"""Requests made up from Meta's description by schemathesis: whatever comes, no answer is a 500."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.examples import examples

schemathesis = pytest.importorskip("schemathesis")


def load() -> Any:
    """The module that reads the description and corrects it."""
    spec = importlib.util.spec_from_file_location("description", Path(__file__).with_name("test_openapi.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


OPENAPI = load()
MADE_UP = settings(
    max_examples=examples(60),
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
FEW = settings(MADE_UP, max_examples=examples(20))
"""For what has a query alone, and therefore little to make up."""
HINTS = {
    "to": ["+15550001111", "not a number", "US.13491208655302741918"],
    "recipient_type": ["individual", "group"],
    "messaging_product": ["whatsapp"],
    "name": ["hello_world", "made", "A Name"],
    "code": ["en_US", "pt_BR"],
    "language": ["en_US", "pt_BR"],
    "category": ["UTILITY", "MARKETING", "AUTHENTICATION", "OTHER"],
    "format": ["TEXT", "DOCUMENT", "LOCATION"],
    "link": ["https://example.com/a.png", "example.com"],
    "type": ["BODY", "HEADER", "FOOTER", "BUTTONS", "QUICK_REPLY", "URL", "text", "body", "button"],
}
"""Texts that are worth more than made-up ones, since nothing behind them is reached with those."""


def hinted(value: Any, key: str = "") -> Any:
    """The description without its examples, closed to unknown fields, its texts narrowed to the hints."""
    if isinstance(value, dict):
        if key in HINTS and value.get("type") == "string" and "enum" not in value:
            return {"type": "string", "enum": HINTS[key]}
        made = {
            name: hinted(each, name) for name, each in value.items() if name not in ("examples", "example")
        }
        if isinstance(made.get("properties"), dict):
            made["additionalProperties"] = False
        return made
    return [hinted(each) for each in value] if isinstance(value, list) else value


def named(tree: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The description with the names of things that are there in its paths."""
    shared = tree["components"]["parameters"]
    for path in tree["paths"].values():
        for holder in (path, *path.values()):
            if not isinstance(holder, dict) or "parameters" not in holder:
                continue
            full = [
                shared[each["$ref"].rpartition("/")[2]] if "$ref" in each else each
                for each in holder["parameters"]
            ]
            holder["parameters"] = [
                {**each, "schema": {"type": "string", "enum": [names[each["name"]]]}}
                if each["in"] == "path"
                else each
                for each in full
                if each["in"] != "header"
            ]
    return tree


@pytest.fixture
def operations(sandbox):
    """Every operation of the description, about this sandbox."""
    sandbox.send_template("hello_world")
    media = sandbox.upload().json()["id"]
    sent = sandbox.messages[0]["id"]
    history = sandbox.call("GET", f"{sandbox.number}/message_history", params={"message_id": sent}).json()
    names = {
        "Version": "v25.0",
        "Phone-Number-ID": sandbox.number,
        "WABA-ID": sandbox.waba,
        "TEMPLATE_ID": sandbox.approved("made", {"type": "BODY", "text": "Done."}),
        "Media-ID": media,
        "Media-URL": "none",
        "Message-History-ID": history["data"][0]["id"],
    }
    schema = schemathesis.openapi.from_dict(named(hinted(OPENAPI.corrected()), names))
    schema.config.update(base_url=f"{sandbox.url}/whatsapp-business")
    return [result.ok() for result in schema.get_all_operations()]


def test_no_request_breaks_it(operations, sandbox):
    statuses: dict[str, Counter[int]] = {}
    codes: Counter[int] = Counter()
    headers = {"Authorization": f"Bearer {sandbox.connection['password']}"}

    def ask(case: Any) -> None:
        answer = case.call(headers=headers, session=sandbox.session)
        statuses.setdefault(case.operation.label, Counter())[answer.status_code] += 1
        assert answer.status_code in (200, 400, 404), (case.as_curl_command(), answer.text)
        codes[answer.json().get("error", {}).get("code", 0)] += 1

    for operation in operations:
        how = MADE_UP if operation.body else FEW
        how(given(case=operation.as_strategy())(ask))()

    paths = OPENAPI.DESCRIPTION["paths"].values()
    assert len(statuses) == sum(len(set(path) & {"get", "post", "delete"}) for path in paths)
    for name in ("Phone-Number-ID", "WABA-ID", "TEMPLATE_ID"):
        assert statuses[f"GET /{{Version}}/{{{name}}}"][200]
    print(statuses, codes)
