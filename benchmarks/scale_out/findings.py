"""What a run has come to: out of what the sandbox has seen, what the results say and what Airflow has noted."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

RATE_TOLERANCE = 0.05
REFUSED_TOLERANCE = 0.01
_SUMMARY = re.compile(r"DAG .*?: (\d+) more failures?: ")
_ALONG = re.compile(r"\((\d+) more failures?: ")
FAR_REFUSED_TOLERANCE = 0.03
"""Where one machine is further away than the others: what it sends arrives closer to what they send."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """
    The facts of one run.

    :param recipients: Everybody in the list, digits alone.
    :param accepted: Recipient and moment of every message that the sandbox took, in its order.
    :param refused: Requests that the sandbox answered with 429.
    :param requests: Requests that it saw at all.
    :param results: Recipient and status of every line in the results files.
    :param state: How Airflow's DAG run ended.
    :param tries: Tries of each mapped task.
    :param rate: The limit, per second.
    :param killed: Mapped tasks that ran on the killed worker; 0: none was killed.
    :param in_flight: Recipients that one task has claimed without a result at most.
    :param far: One machine is further away than the others.
    """

    recipients: list[str]
    accepted: list[tuple[str, float]]
    refused: int
    requests: int
    results: list[tuple[str, str]]
    state: str
    tries: list[int]
    rate: float
    killed: int = 0
    in_flight: int = 0
    far: bool = False


@dataclass(frozen=True)
class Finding:
    """
    One line of the table.

    :param what: What is wanted.
    :param found: What was found.
    :param good: Whether it is as wanted.
    """

    what: str
    found: str
    good: bool


@dataclass
class _Sides:
    """The two sides of the story: whom the sandbox has sent to, and what the results say."""

    facts: Facts
    arrived: Counter[str] = field(init=False)
    said: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.arrived = Counter(to for to, _ in self.facts.accepted)
        self.said = dict(self.facts.results)

    def having(self, status: str) -> set[str]:
        return {to for to, each in self.said.items() if each == status}


def judge(facts: Facts) -> list[Finding]:
    """Return the table of a run."""
    sides = _Sides(facts)
    findings = [_ended(facts), _twice(facts), _lost(facts), _agree(sides), _unknown(sides)]
    if facts.killed:
        findings.append(_retried(facts))
    return [*findings, _refused(facts), _rate(facts)]


def _ended(facts: Facts) -> Finding:
    return Finding("the DAG run ends well", facts.state, facts.state == "success")


def twice(facts: Facts) -> int:
    """Return how many recipients have more than one message."""
    return sum(count > 1 for count in _Sides(facts).arrived.values())


def lost(facts: Facts) -> int:
    """Return how many have neither a message nor an `unknown` in the results, or are left out of these."""
    sides = _Sides(facts)
    return sum(
        to not in sides.said or (to not in sides.arrived and sides.said[to] != "unknown")
        for to in set(facts.recipients)
    )


def _twice(facts: Facts) -> Finding:
    found = twice(facts)
    return Finding("nobody is sent to twice", f"{found} of {len(facts.recipients)}", not found)


def _lost(facts: Facts) -> Finding:
    found = lost(facts)
    return Finding("nobody is lost", f"{found} of {len(facts.recipients)}", not found)


def _agree(sides: _Sides) -> Finding:
    """Each has one line, and whoever the results call sent is whom the sandbox has sent to."""
    sent, arrived = sides.having("sent"), set(sides.arrived)
    wrong = len(sent - arrived) + len(arrived - sent - sides.having("unknown"))
    repeated = len(sides.facts.results) - len(sides.said)
    return Finding(
        "the results files agree with the sandbox",
        f"{len(sent)} sent, {wrong} wrong, {repeated} lines too many",
        not wrong and not repeated,
    )


def _unknown(sides: _Sides) -> Finding:
    facts, unknown = sides.facts, sides.having("unknown")
    limit = facts.killed * facts.in_flight
    reached = len(unknown & set(sides.arrived))
    return Finding(
        f"unknown: at most what was in flight, {limit}",
        f"{len(unknown)}, of whom {reached} have the message" if unknown else "0",
        len(unknown) <= limit,
    )


def _retried(facts: Facts) -> Finding:
    again = sum(tries > 1 for tries in facts.tries)
    return Finding(
        "Airflow tries the killed worker's tasks again",
        f"{again} of {facts.killed}",
        again == facts.killed > 0,
    )


def _refused(facts: Facts) -> Finding:
    share = facts.refused / max(1, facts.requests)
    most = FAR_REFUSED_TOLERANCE if facts.far else REFUSED_TOLERANCE
    return Finding(
        f"refused for coming too fast (429): at most {most:.0%}",
        f"{facts.refused} of {facts.requests} requests",
        share <= most,
    )


def _rate(facts: Facts) -> Finding:
    found = rate(facts.accepted)
    ratio = found / facts.rate
    return Finding(
        f"combined rate within {RATE_TOLERANCE:.0%} of the limit, {facts.rate:g}/s",
        f"{found:.2f}/s, {ratio:.3f} of it",
        abs(ratio - 1) <= RATE_TOLERANCE,
    )


def rate(accepted: list[tuple[str, float]]) -> float:
    """Return the messages per second from the first to the last, whatever happened between them."""
    times = sorted(at for _, at in accepted)
    if len(times) < 2 or times[-1] == times[0]:
        return 0.0
    return (len(times) - 1) / (times[-1] - times[0])


def judge_alerts(bodies: list[str], *, tasks: int, lasted: float, cooldown: float) -> list[Finding]:
    """
    Return what the messages of a storm come to.

    :param bodies: Their texts, in their order.
    :param tasks: Tasks that have failed.
    :param lasted: Seconds from the first failure to the last.
    :param cooldown: Seconds after which a further failure is told.
    """
    summaries = [int(found[1]) for body in bodies if (found := _SUMMARY.match(body))]
    messages = [body for body in bodies if not _SUMMARY.match(body)]
    along = [int(found[1]) for body in messages if (found := _ALONG.search(body))]
    allowed = 1 + int(lasted // cooldown)
    known = len(messages) + sum(along) + sum(summaries)
    return [
        Finding(
            f"one message, and one more for each {cooldown:g} s of the storm, which lasted {lasted:.0f} s: {allowed}",
            str(len(messages)),
            len(messages) == allowed,
        ),
        Finding(
            f"a summary when it is over, and at most one for each message: {allowed}",
            str(len(summaries)),
            1 <= len(summaries) <= allowed,
        ),
        Finding("messages and summaries count each failure once", f"{known} of {tasks}", known == tasks),
    ]
