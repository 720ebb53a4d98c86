"""
Writes the facts in tests/data with which the tests compare: shapes and numbers, without the descriptions' own words.

    python scripts/reference_facts.py FOLDER        reads the description and the table of errors in FOLDER

It is needed only if Meta publishes a newer description; the tests read its results.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

DATA = Path(__file__).parents[1] / "tests" / "data"
DESCRIPTION, ERRORS = "meta-openapi-v23-trimmed.yaml", "whatsapp-cloud-api.md"

WORDS = {"description", "summary", "example", "examples", "title", "externalDocs", "tags", "operationId"}
MAPS = {"properties", "schemas", "paths", "mapping", "responses", "headers", "parameters", "content"}
"""Keys whose children are names and not keywords, so that a property called "description" is kept."""

KEPT = {
    "messaging_product", "recipient_type", "type", "sub_type", "currency", "mode", "flow_action", "index",
    "flow_message_version", "policy", "calendar", "payment_type", "status",
}  # fmt: skip
KEPT_NAMES = {"flow", "catalog_message", "review_and_pay", "review_order", "hello_world"}
OURS: dict[str, Any] = {
    "to": "+15550001111", "phone": "+15550001111", "wa_id": "15550001111", "link": "https://example.com/file",
    "url": "https://example.com/file", "email": "ann@example.com", "birthday": "2001-02-03", "emoji": "👍",
    "message_id": "wamid.EARLIER", "latitude": 52.5, "longitude": 13.4, "country_code": "de",
    "catalog_id": "1234567", "amount_1000": 12500, "year": 2026, "month": 3, "day_of_month": 4,
    "day_of_week": 3, "hour": 9, "minute": 30,
}  # fmt: skip
"""Values of our own, by key. Every other text becomes ``sample 1``, ``sample 2``, ..."""


def shapes(node: Any, *, names: bool = False) -> Any:
    """Return the description without its words."""
    if isinstance(node, list):
        return [shapes(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        key: shapes(value, names=not names and key in MAPS)
        for key, value in node.items()
        if names or key not in WORDS
    }


def ours(value: Any, key: str, counter: list[int]) -> Any:
    """Return our own value in the shape of an example's."""
    if isinstance(value, dict):
        return {
            "field" if name.startswith("<") else name: ours(each, name, counter)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [ours(each, key, counter) for each in value]
    if not isinstance(value, str) or (key in KEPT and "<" not in value):
        return OURS.get(key, value)
    return OURS.get(key) or _our_text(value, key, counter)


def _our_text(value: str, key: str, counter: list[int]) -> str:
    if key == "name" and value in KEPT_NAMES:
        return value
    if key == "code":
        return "USD" if value.isupper() else "en_US"
    if "<" in value and key in ("type", "id") and (key == "type" or "OBJECT_ID" in value):
        return "<OBJECT_ID>" if key == "id" else "<type>"
    counter[0] += 1
    return f"sample {counter[0]}"


def label(name: str) -> str:
    """Return our own name for an example."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\b(Send|Message)\b", "", name).lower()).strip("-")


def description(folder: Path) -> dict[str, Any]:
    """Return the shapes, with our own examples of messages."""
    tree = yaml.load((folder / DESCRIPTION).read_text("utf-8"), Loader=yaml.CSafeLoader)
    made = {key: shapes(tree[key]) if key == "components" else tree[key] for key in ("openapi", "components")}
    made |= {"info": {"title": "Shapes", "version": "23"}, "paths": shapes(tree["paths"], names=True)}
    for responses in (made["components"].get("responses", {}), *_responses(made["paths"])):
        for response in responses.values():
            if "$ref" not in response:
                response["description"] = ""  # OpenAPI requires one
    path = "/{Version}/{Phone-Number-ID}/messages"
    examples = tree["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"]
    made["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"] = {
        label(name): {"value": ours(example["value"], "", [0])} for name, example in examples.items()
    }
    return made


def _responses(paths: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        operation["responses"]
        for path in paths.values()
        for operation in path.values()
        if isinstance(operation, dict) and "responses" in operation
    ]


# -- errors


def _cells(text: str, section: str) -> list[list[str]]:
    part = text.split(f"\n### {section} ", 1)[1].split("\n### ", 1)[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def _codes(text: str) -> list[list[int | None]]:
    """Return first and last code, and subcode: of ``17, 32``, ``200-299 (1349174)``, ``2593107-8``, ``138xxx``."""
    found: list[list[int | None]] = []
    for match in re.finditer(r"(\d+)(xxx)?(?:-(\d+))?(?:\s*\(([^)]*)\))?", text):
        first, thousand, last, inner = match.groups()
        start = int(first) * (1000 if thousand else 1)
        end = start + 999 if thousand else int(first[: len(first) - len(last)] + last) if last else start
        found.append([start, end, None])
        if inner and "calling" in inner:
            code = int(re.findall(r"\d+", inner)[0])
            found.append([code, code, None])
        elif inner:
            found += [[start, start, int(subcode)] for subcode in re.findall(r"\b\d+\b", inner)]
    return found


def _retry(text: str) -> str | None:
    """Return the verdict for the whole row; None if it differs from code to code."""
    verdict = re.match(r"(no|never|restart|auth|wait|ambig)\b(?! \d)", text)
    one_for_some = re.match(r"(wait )?\d{3,}|.*\d{6} wait", text)
    if verdict is None or one_for_some or "/" in text:
        return None
    return {"never": "no", "restart": "no"}.get(verdict[1], verdict[1])


def errors(folder: Path) -> dict[str, Any]:
    """Return the codes, with their statuses and what a retry may do."""
    text = (folder / ERRORS).read_text("utf-8")
    rows = _cells(text, "7.2")
    (tokens,) = [cells[2] for cells in rows if "190 subcodes" in cells[2]]
    return {
        "rows": [
            {
                "codes": _codes(cells[0]),
                "statuses": [int(status) for status in re.findall(r"\b[45]\d\d\b", cells[1])],
                "asynchronous": "**A**" in cells[0] or "(A " in cells[1],
                "retry": _retry(cells[3]),
            }
            for cells in rows
        ],
        "subcodes_of_190": [int(found) for found in re.findall(r"\b4\d\d\b", tokens)],
        "template_subcodes": [
            int(found) for cells in _cells(text, "7.3") for found in re.findall(r"\d{7}", cells[0])
        ],
    }


MADE = {"graph_shapes.json": description, "error_codes.json": errors}


def text(made: dict[str, Any]) -> str:
    """Return the file's text."""
    return json.dumps(made, indent=1, sort_keys=False, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, make in MADE.items():
        (DATA / name).write_text(text(make(Path(sys.argv[1]))), "utf-8")
