"""How well machines have kept a limit together, out of what the sandbox has seen: pure rules."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """
    What is wanted of a run.

    :param rate: The least share of the limit; None: whatever comes.
    :param refused: The share of the requests answered 429 has to be below it.
    :param fair: The least that the slowest machine may have of the fastest one's messages.
    """

    rate: float | None = None
    refused: float | None = None
    fair: float | None = None


@dataclass(frozen=True, kw_only=True)
class Kept:
    """
    What a run has come to.

    :param share: Accepted messages per second, as a share of the limit.
    :param refused: Share of the requests that were answered 429.
    :param fair: Messages of the slowest machine for one of the fastest.
    :param failed: Messages that failed.
    :param most_accepted: Accepted messages in the fullest second, wherever it begins.
    :param most_arrived: The same of all requests, the refused ones included.
    :param limit: Requests that a second may hold.
    """

    share: float
    refused: float
    fair: float
    failed: int
    most_accepted: int
    most_arrived: int
    limit: int

    def faults(self, bounds: Bounds) -> list[str]:
        """
        Return what is not as wanted.

        :param bounds: What is.
        """
        found = [f"{self.failed} failed"] if self.failed else []
        if self.most_accepted > self.limit:
            found.append(f"{self.most_accepted} in a second")
        if bounds.rate is not None and self.share < bounds.rate:
            found.append(f"rate below {bounds.rate:g}")
        if bounds.refused is not None and self.refused >= bounds.refused:
            found.append(f"429: {bounds.refused:.1%} or more")
        if bounds.fair is not None and self.fair < bounds.fair:
            found.append(f"slowest/fastest below {bounds.fair:g}")
        return found


def kept(requests: list[dict], messages: list[dict], *, machines: int, limit: int, failed: int) -> Kept:
    """
    Return what a run has come to.

    :param requests: The sandbox's log of requests.
    :param messages: Its accepted messages; the digits after 1555 say which machine sent them.
    :param machines: How many have sent.
    :param limit: Requests that a second may hold.
    :param failed: Messages that failed.
    """
    sends = [row for row in requests if row["method"] == "POST" and row["path"].endswith("/messages")]
    accepted = sorted(row["at"] for row in sends if row["status"] == 200)
    by_machine = Counter(message["to"][4:6] for message in messages)
    counts = sorted(by_machine.values())
    return Kept(
        share=_rate(accepted) / limit,
        refused=sum(row["status"] == 429 for row in sends) / max(1, len(sends)),
        fair=counts[0] / counts[-1] if len(counts) == machines else 0.0,
        failed=failed,
        most_accepted=fullest(accepted),
        most_arrived=fullest(sorted(row["at"] for row in sends)),
        limit=limit,
    )


def fullest(times: list[float], span: float = 1.0) -> int:
    """
    Return how many the fullest second holds, wherever it begins.

    :param times: Seconds, rising.
    :param span: Its length; what lies exactly so far apart is not within it.
    """
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= span:
            first += 1
        most = max(most, last - first + 1)
    return most


def _rate(accepted: list[float]) -> float:
    """Return messages per second after the first second, which begins with a burst or with a pause."""
    later = [at for at in accepted if at > accepted[0] + 1]
    if len(later) < 2 or later[-1] == later[0]:
        return 0.0
    return (len(later) - 1) / (later[-1] - later[0])
