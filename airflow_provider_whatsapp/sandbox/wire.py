"""Requests and answers as the handlers see them, without a web framework."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from airflow_provider_whatsapp.sandbox.webhooks.sender import Sender

_CONTENT_TYPE = b"content-type"
_GRAPHS_OWN = frozenset(
    {"access_token", "appsecret_proof", "debug", "fields", "format", "locale", "method", "pretty"}
)


class MalformedBodyError(ValueError):
    """The body is not what its Content-Type says."""


@dataclass(slots=True)
class Call:
    """One request with its whole body."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[bytes, bytes]
    body: bytes
    version: tuple[int, int] = (25, 0)
    waba_id: str = ""  # the account that its Maton connection gives access to
    about: str = ""  # its message, for the log
    to: str = ""  # the message's recipient, for the log
    # Work to do before the answer; it returns another answer if it fails.
    pending: Callable[[Sender], Awaitable[Answer | None]] | None = None

    def header(self, name: str) -> str | None:
        """Return one header, or None; the name is in lower case."""
        value = self.headers.get(name.encode())
        return None if value is None else value.decode("latin-1")


@dataclass(slots=True)
class Answer:
    """One response, ready to send; ``code`` is Graph's code if it is a refusal."""

    status: int
    body: bytes
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    content_type: bytes = b"application/json; charset=UTF-8"
    code: int | None = None


@dataclass(slots=True)
class Part:
    """One part of a multipart form."""

    name: str = ""
    filename: str | None = None
    content_type: str | None = None
    data: bytes = b""


def as_json(value: Any, status: int = 200, headers: list[tuple[bytes, bytes]] | None = None) -> Answer:
    """Return a value as an answer in JSON."""
    return Answer(status, dump(value), headers or [])


def dump(value: Any) -> bytes:
    """Return a value as JSON in UTF-8, all in ASCII if it has half a surrogate pair, which UTF-8 cannot encode."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def read_query(raw: bytes) -> dict[str, str]:
    """Return the query's parameters; if one is repeated, the last counts, as in Graph."""
    return dict(parse_qsl(raw.decode("latin-1"), keep_blank_values=True)) if raw else {}


def read_params(call: Call) -> dict[str, Any]:
    """Return the parameters of a call that changes something; raises MalformedBodyError if its body is malformed."""
    # As in Graph, the body's parameters win over the query's, and one that is null is absent.
    return query_params(call) | _read_body(call)


def query_params(call: Call) -> dict[str, str]:
    """Return the query's parameters, without those that Graph accepts in every call."""
    return {name: value for name, value in call.query.items() if name not in _GRAPHS_OWN}


def _read_body(call: Call) -> dict[str, Any]:
    if not call.body:
        return {}
    kind = call.headers.get(_CONTENT_TYPE, b"application/json")
    if kind.startswith(b"application/json"):
        given = _object(call.body)
        return _without_nulls(given) if b"null" in call.body else given
    if kind.startswith(b"application/x-www-form-urlencoded"):
        return dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
    if kind.startswith(b"multipart/form-data"):
        return {part.name: part.data.decode("utf-8", "replace") for part in read_parts(call)}
    raise MalformedBodyError("The API does not read this Content-Type")


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return value


def _object(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedBodyError("The body is not valid JSON") from error
    if not isinstance(value, dict):
        raise MalformedBodyError("The body is not a JSON object")
    return value


def decoded(value: Any) -> Any:
    """Return an object or a list, parsed if it is JSON text, since Graph accepts both; any other value stays."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return _without_nulls(json.loads(value))
        except (ValueError, RecursionError):
            return value
    return value


def decoded_parts(value: Any, names: Collection[str]) -> Any:
    """Return a parameter in which :func:`decoded` has read each value with one of some names, at any depth."""
    if isinstance(value, dict):
        return {
            name: decoded_parts(decoded(each) if name in names else each, names)
            for name, each in value.items()
        }
    return [decoded_parts(each, names) for each in value] if isinstance(value, list) else value


class _Collector:
    """Collects the parts from the callbacks of the multipart parser."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self._field = b""
        self._value = b""
        self._data: list[bytes] = []

    def on_part_begin(self) -> None:
        self.parts.append(Part())
        self._data = []

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        part, name = self.parts[-1], self._field.lower()
        if name == b"content-disposition":
            _, options = parse_options_header(self._value)
            part.name = options.get(b"name", b"").decode("utf-8", "replace")
            filename = options.get(b"filename")
            part.filename = None if filename is None else filename.decode("utf-8", "replace")
        elif name == b"content-type":
            part.content_type = self._value.decode("latin-1")
        self._field = self._value = b""

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._data.append(data[start:end])

    def on_part_end(self) -> None:
        self.parts[-1].data = b"".join(self._data)


def read_parts(call: Call) -> list[Part]:
    """Return the parts of a multipart form; raises MalformedBodyError if the body does not follow a boundary."""
    _, options = parse_options_header(call.headers.get(_CONTENT_TYPE, b""))
    boundary = options.get(b"boundary")
    if not boundary:
        raise MalformedBodyError("The multipart body has no boundary")
    collector = _Collector()
    names = (
        "on_part_begin",
        "on_header_field",
        "on_header_value",
        "on_header_end",
        "on_part_data",
        "on_part_end",
    )
    try:
        parser = MultipartParser(boundary, {name: getattr(collector, name) for name in names})  # type: ignore[arg-type]
        parser.write(call.body)
        parser.finalize()
    except MultipartParseError as error:
        raise MalformedBodyError("The multipart body is broken") from error
    return collector.parts
