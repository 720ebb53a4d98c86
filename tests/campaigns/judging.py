"""What a round of a campaign has to hold, by what the sandbox got, what the store wrote and what Airflow said."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field

WINDOW = 0.3
"""Seconds within which what is claimed should leave."""
SENT = ("sent", "delivered", "read")
"""Statuses of a line whose message WhatsApp has accepted."""
CLEAR = ("could not be written", "could not be read")
ADVICE = "Nothing was sent that is not in the ledger."


@dataclass
class Round:
    """
    What one broadcast has left behind.

    :param people: All numbers, in their order.
    :param messages: Every message that the sandbox has accepted.
    :param lines: The lines of the file of results.
    :param tries: How many tries Airflow made.
    :param state: How the run ended.
    :param journal: What the failing store wrote down; None: the store is well.
    :param logs: The text of each try's log, where the store fails.
    :param rate: Messages per second; 0: no limit, so that twice the eight threads may be claimed.
    :param latency: Seconds until an answer comes.
    :param write: Seconds that a write to the ledger may take; what leaves meanwhile is claimed before.
    :param interrupted: Tries that could not write down what they knew; None: all but the last.
    :param doubted: Numbers whose answers the wire may have lost.
    :param ids: Each line that says sent has to hold the message's ID.
    """

    people: list[str]
    messages: list[dict]
    lines: list[dict]
    tries: int
    state: str
    journal: list[dict] | None = None
    logs: list[str] = field(default_factory=list)
    rate: float = 0.0
    latency: float = 0.0
    write: float = 0.0
    interrupted: int | None = None
    doubted: set[str] = field(default_factory=set)
    ids: bool = False

    @property
    def in_flight(self) -> int:
        """How many one interruption may leave unknown: a group of claims, and what is on the wire."""
        if not self.rate:
            return 16
        return math.ceil(self.rate * max(WINDOW, self.write)) + max(
            3, math.ceil(self.rate * (self.latency + 0.1))
        )

    @property
    def interruptions(self) -> int:
        """How many tries could not write down what they knew."""
        return max(1, self.tries - 1) if self.interrupted is None else self.interrupted

    def figures(self) -> dict[str, int]:
        """Count what is forbidden, and what merely happened."""
        counts = Counter(message["to"] for message in self.messages)
        status = {line["to"]: line["status"] for line in self.lines}
        unknown = {to for to, what in status.items() if what == "unknown"}
        reached = set(counts)
        found = {
            "runs that did not succeed": int(self.state != "success"),
            "got it twice": sum(count > 1 for count in counts.values()),
            "without a state": len(set(self.people) - set(status)),
            "with two states": len(self.lines) - len(status),
            "called sent, and were not": sum(
                what in SENT and to not in reached for to, what in status.items()
            ),
            "lost": sum(to not in reached and to not in unknown for to in self.people),
            "lines that do not agree with the sandbox": self._disagreeing(),
            "more unknown than in flight": max(
                0, len(unknown - self.doubted) - self.in_flight * self.interruptions
            ),
        }
        if self.journal is not None:
            found["sent before they were claimed"] = self._unclaimed()
            found["tries that failed without a clear error"] = self._unclear()
        found |= {f"{name} (forbidden)": found.pop(name) for name in list(found)}
        found |= {"messages": len(self.messages), "tries": self.tries, "interrupted": int(self.tries > 1)}
        found |= {"unknown": len(unknown), "unknown, but reached": len(unknown & reached)}
        happened = Counter(entry["what"] for entry in self.journal or ())
        return found | {f"store: {what}": count for what, count in happened.items()}

    def _disagreeing(self) -> int:
        """Count the lines that name another message than the sandbox has, or none where they must, or deny one."""
        accepted: dict[str, set[str]] = {}
        for message in self.messages:
            accepted.setdefault(message["to"], set()).add(message.get("id", ""))
        wrong = 0
        for line in self.lines:
            known, found = accepted.get(line["to"], set()), line.get("message_id")
            if line["status"] in SENT:
                wrong += found not in known if found or self.ids else not known
            elif line["status"] in ("failed", "skipped"):
                wrong += bool(known)
        return wrong

    def _unclaimed(self) -> int:
        """Count the messages that arrived before a write that claims them had come back."""
        claimed_at: dict[int, float] = {}
        for entry in self.journal or ():
            for position in entry["claimed"]:
                claimed_at.setdefault(position, entry["at"])
        position_of = {to: position for position, to in enumerate(self.people)}
        never = float("inf")
        return sum(
            claimed_at.get(position_of[message["to"]], never) > message["accepted_at"]
            for message in self.messages
        )

    def _unclear(self) -> int:
        """Count the tries that failed with anything but the ledger's own error and its advice."""
        missing = max(0, self.tries - 1 - len(self.logs))
        return missing + sum(
            not (any(words in log for words in CLEAR) and ADVICE in log)
            for log in self.logs[: self.tries - 1]
        )


def table(totals: Counter, most: Counter, rounds: int, seconds: float) -> str:
    """
    Return the figures of all rounds as a table.

    :param totals: Sums over the rounds.
    :param most: The highest of each in one round.
    :param rounds: How many there were.
    :param seconds: How long they took.
    """
    rows = [("rounds", rounds, ""), ("seconds", round(seconds), "")]
    rows += [
        (name, totals[name], most[name]) for name in sorted(totals, key=lambda name: "forbidden" not in name)
    ]
    lines = ["| figure | in all | most in a round |", "| --- | ---: | ---: |"]
    return "\n".join([*lines, *(f"| {name} | {count} | {high} |" for name, count, high in rows)])


def read_lines(path) -> list[dict]:
    """Return the objects of a file of JSON lines; none where there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
