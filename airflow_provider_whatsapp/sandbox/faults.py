"""Fault rules: what goes wrong with a request, on the network or at the service."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_whatsapp.sandbox.clock import Ids

KINDS = ("drop_before", "drop_after", "half", "status", "slow", "slow_headers", "tls")
_FIELDS = frozenset(
    {
        "kind",
        "status",
        "seconds",
        "times",
        "method",
        "path",
        "body",
        "headers",
        "to",
        "every",
        "skip",
        "share",
    }
)


@dataclass(slots=True)
class Fault:
    """One rule: what goes wrong, with which requests, and how often."""

    # The connection closes before the work (drop_before), after it (drop_after) or amid the answer (half); slow and
    # slow_headers work at once and answer late, or bit by bit; status answers instead; tls refuses the handshake.
    kind: str
    status: int = 503  # of a status fault
    seconds: float = 2.0  # of slow and slow_headers
    times: int = 1  # how often it applies; 0 for no limit
    method: str | None = None
    path: str | None = None  # a part of the request's path, or a pattern if it has a *
    body: Any = None  # of a status fault: a text as it is, anything else as JSON
    headers: dict[str, str] = field(default_factory=dict)  # of a status fault
    to: str | None = None  # recipient in the request's body: digits, or a user id
    every: int = 1  # only every n-th of the matching requests
    skip: int = 0  # matching requests to spare first
    share: float = 1.0  # of the matching requests, from 0 to 1, drawn from the seed
    id: int = 0
    matched: int = 0
    struck: int = 0

    def matches(self, method: str, path: str, body: bytes) -> bool:
        """Return whether the rule is about such a request; the path has no query."""
        if self.kind == "tls" or (self.method and self.method != method):
            return False
        if self.path and not (fnmatchcase(path, self.path) if "*" in self.path else self.path in path):
            return False
        return not self.to or self.to == _recipient(body)

    @property
    def spent(self) -> bool:
        """Whether it has applied ``times`` times."""
        return bool(self.times) and self.struck >= self.times

    def answer_body(self) -> bytes:
        """Return the body with which a ``status`` fault answers."""
        if self.body is None:
            return b""
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()

    def as_dict(self) -> dict[str, Any]:
        """Return the rule and its counts, for listing."""
        return {name: getattr(self, name) for name in Fault.__slots__}


class Faults:
    """The rules, in the order in which they were added; ``tls`` says whether the sandbox serves https."""

    def __init__(self, ids: Ids, *, tls: bool = False) -> None:
        self._ids = ids
        self._tls = tls
        self._rules: list[Fault] = []
        self._last = 0

    def add(self, spec: dict[str, Any]) -> Fault:
        """Add a rule from its fields; raises ValueError for an unknown kind or field, or a value out of range."""
        unknown = set(spec) - _FIELDS
        if unknown:
            raise ValueError(
                f"Unknown field {', '.join(sorted(unknown))}; the fields are {', '.join(sorted(_FIELDS))}"
            )
        if spec.get("kind") not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        fault = Fault(**{key: value for key, value in spec.items() if value is not None})
        _check(fault)
        if fault.kind == "tls":
            self._check_tls(fault)
        self._last += 1
        fault.id = self._last
        self._rules.append(fault)
        return fault

    def strike(self, method: str, path: str, body: bytes) -> Fault | None:
        """Return the first rule that applies to this request, and count it."""
        # drop_after and half need an accepted request: if the sandbox refuses it, `undo` takes the count back.
        for fault in self._rules:
            if not fault.spent and fault.matches(method, path, body) and self._due(fault):
                return fault
        return None

    def strike_handshake(self) -> Fault | None:
        """Return the first ``tls`` rule that applies, and count it."""
        for fault in self._rules:
            if fault.kind == "tls" and not fault.spent and self._due(fault):
                return fault
        return None

    def _due(self, fault: Fault) -> bool:
        fault.matched += 1
        turn = fault.matched - fault.skip
        if turn < 1 or turn % fault.every or (fault.share < 1 and self._ids.share() >= fault.share):
            return False
        fault.struck += 1
        return True

    def _check_tls(self, fault: Fault) -> None:
        if not self._tls:
            raise ValueError("tls needs a sandbox with a certificate: start it with --tls-cert and --tls-key")
        if fault.method or fault.path or fault.to:
            raise ValueError("tls applies before there is a request, so it does not allow method, path or to")

    @staticmethod
    def undo(fault: Fault) -> None:
        """Take back the count of a rule that found no accepted request."""
        fault.struck -= 1

    def listing(self) -> list[dict[str, Any]]:
        """Return every rule with its counts, spent ones included."""
        return [fault.as_dict() for fault in self._rules]

    def restore(self, rules: list[dict[str, Any]]) -> None:
        """Restore rules with their counts, from :meth:`listing`; ``tls`` rules only if the sandbox serves https."""
        self._rules = [Fault(**rule) for rule in rules if self._tls or rule["kind"] != "tls"]
        self._last = max((rule["id"] for rule in rules), default=0)

    def clear(self, fault_id: int | None = None) -> None:
        """Remove one rule, or all if the id is None."""
        self._rules = [fault for fault in self._rules if fault_id is not None and fault.id != fault_id]


def _check(fault: Fault) -> None:
    numbers = {"status": (100, 599), "times": (0, 10**9), "every": (1, 10**9), "skip": (0, 10**9)}
    for name, (low, high) in numbers.items():
        value = getattr(fault, name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"{name} must be a whole number from {low} to {high}")
    for name, top in (("seconds", 3600), ("share", 1)):
        value = getattr(fault, name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= top:
            raise ValueError(f"{name} must be a number from 0 to {top}")
    for name in ("method", "path", "to"):
        if not isinstance(getattr(fault, name), str | None):
            raise ValueError(f"{name} must be text")  # noqa: TRY004  (all of a rule's mistakes are one kind)
    headers: Any = fault.headers
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise ValueError("headers must be an object whose values are texts")
    if fault.method:
        fault.method = fault.method.upper()


def _recipient(body: bytes) -> str | None:
    try:
        params = json.loads(body)
        to = params.get("to", params.get("recipient"))
    except (ValueError, AttributeError, RecursionError):
        return None
    if isinstance(to, str) and "." in to and to[:2].isalpha():
        return to
    return "".join(filter(str.isdigit, to)) if isinstance(to, str) else None
