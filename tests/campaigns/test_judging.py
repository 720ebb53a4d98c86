"""The campaigns' judge sees each thing that must not be."""

from __future__ import annotations

import pytest

from tests.campaigns.judging import ADVICE, Round

PEOPLE = [f"1555{place:07}" for place in range(4)]


def well():
    """Give a round in which the store failed once, and all is as it must be: the last is unknown."""
    return Round(
        people=PEOPLE,
        messages=[{"to": to, "accepted_at": 10.0 + place} for place, to in enumerate(PEOPLE[:3])],
        lines=[{"to": to, "status": "sent"} for to in PEOPLE[:3]] + [{"to": PEOPLE[3], "status": "unknown"}],
        tries=2,
        state="success",
        journal=[
            {"at": 9.0, "what": "written", "claimed": [0, 1, 2]},
            {"at": 12.5, "what": "refused", "claimed": []},
        ],
        logs=[f"LedgerError: the store could not be written. {ADVICE}", "fine"],
    )


def forbidden(found):
    return {
        name.partition(" (")[0]: count
        for name, count in found.figures().items()
        if "forbidden" in name and count
    }


def test_a_good_round_has_nothing_forbidden():
    assert forbidden(well()) == {}
    assert well().figures()["store: refused"] == 1


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("runs that did not succeed", lambda found: setattr(found, "state", "failed")),
        ("got it twice", lambda found: found.messages.append(found.messages[0])),
        ("without a state", lambda found: found.lines.pop()),
        ("with two states", lambda found: found.lines.append(found.lines[0])),
        ("called sent, and were not", lambda found: found.lines[3].update(status="sent")),
        ("called sent, and were not", lambda found: found.lines[3].update(status="read")),
        (
            "lines that do not agree with the sandbox",
            lambda found: found.lines[0].update(status="delivered", message_id="another"),
        ),
        (
            "lines that do not agree with the sandbox",
            lambda found: found.lines[0].update(status="failed"),
        ),
        (
            "lines that do not agree with the sandbox",
            lambda found: found.lines[0].update(message_id="another"),
        ),
        ("lines that do not agree with the sandbox", lambda found: setattr(found, "ids", True)),
        ("lost", lambda found: found.lines[3].update(status="skipped")),
        ("sent before they were claimed", lambda found: found.journal[0].update(at=11.5)),
        ("sent before they were claimed", lambda found: found.journal[0]["claimed"].remove(1)),
        ("tries that failed without a clear error", lambda found: found.logs.__setitem__(0, "KeyError: 'x'")),
        ("tries that failed without a clear error", lambda found: found.logs.clear()),
    ],
)
def test_each_fault_is_seen(name, spoil):
    found = well()
    spoil(found)

    assert name in forbidden(found)


def test_too_many_unknown_are_seen():
    people = [f"1555{place:07}" for place in range(40)]
    lines = [{"to": to, "status": "unknown"} for to in people]
    found = Round(people=people, messages=[], lines=lines, tries=2, state="success")

    assert forbidden(found) == {"more unknown than in flight": 24}


@pytest.mark.parametrize(
    ("rate", "latency", "bound"), [pytest.param(10, 0.1, 6, id="10"), pytest.param(20, 0.1, 10, id="20")]
)
def test_the_rate_bounds_how_many_an_interruption_leaves_unknown(rate, latency, bound):
    people = [f"1555{place:07}" for place in range(40)]
    lines = [{"to": to, "status": "unknown"} for to in people]
    found = Round(
        people=people, messages=[], lines=lines, tries=3, state="success", rate=rate, latency=latency
    )

    found.interrupted = 2
    assert forbidden(found) == {"more unknown than in flight": 40 - 2 * bound}
    found.interrupted, found.doubted = 0, set(people[:30])
    assert forbidden(found) == {"more unknown than in flight": 10}
