"""The recipients in the tab: what reports and receipts say of each, and which a search finds."""

from __future__ import annotations

import pytest

from tests.plugin.reports import AT, ERROR, outcome, receipt


@pytest.mark.parametrize(
    ("written", "outcome_", "why"),
    [
        (outcome(message_id="wamid.1"), "accepted", ""),
        (outcome("failed", error=ERROR), "failed", "refused no such user"),
        (outcome("unknown", error={"message": "lost"}), "unknown", "lost"),
        (
            outcome("skipped", reason="duplicate"),
            "skipped",
            "A duplicate: the list has the same recipient further up.",
        ),
        (
            outcome("skipped", reason="stopped"),
            "pending",
            "The task ended before it sent to them. A retry or a clear does.",
        ),
        (outcome("skipped", reason="of another version"), "skipped", "of another version"),
    ],
    ids=["sent", "failed", "unknown", "duplicate", "stopped", "another-reason"],
)
def test_what_a_report_says_of_a_recipient(written, outcome_, why):
    from airflow_provider_whatsapp.plugin.recipients import from_outcome

    made = from_outcome(written, 3)

    assert (made.position, made.outcome, made.why) == (3, outcome_, why)


@pytest.mark.parametrize(
    "written",
    [{}, {"to": 1, "status": "sent"}, {"to": "1", "status": "lost"}, {"to": "1", "status": ["sent"]}],
    ids=["nothing", "number", "word", "list"],
)
def test_what_is_no_outcome_is_none(written):
    from airflow_provider_whatsapp.plugin.recipients import from_outcome

    assert from_outcome(written, 0) is None


def test_receipts_say_how_far_a_message_got_whatever_the_task_knew():
    from airflow_provider_whatsapp.plugin.recipients import count, from_outcome, merged

    known = [
        from_outcome(outcome(message_id="wamid.1"), 0),
        from_outcome(outcome("unknown", error={}), 1),
        from_outcome(outcome("skipped", reason="duplicate"), 2),
        from_outcome(outcome(message_id="wamid.new"), 3),
    ]
    found = merged(
        known,
        {
            0: [receipt("read", delivered_at=AT)],
            1: [
                receipt("failed", 1, error_code=131026, epoch=1),
                receipt("delivered", 1, "wamid.2", epoch=2),
            ],
            2: [receipt("read", 2)],
            3: [receipt("read", 3, "wamid.old")],
            7: [receipt("failed", 7, error_code=131026)],
        },
        {},
    )

    assert [(each.position, each.outcome) for each in found] == [
        (0, "read"), (1, "delivered"), (2, "skipped"), (3, "accepted"), (7, "failed"),
    ]  # fmt: skip
    assert count(found)["accepted"] == 1
    assert (found[-1].code, found[-1].at) == (131026, AT)
    assert found[-1].advice
    assert merged(known[:1], {}, {"wamid.1": receipt("delivered")})[0].outcome == "delivered"


@pytest.mark.parametrize(
    ("show", "find", "positions"),
    [
        ("", "", [0, 1, 2]), ("failed", "", [1]), ("", "+1 (555) 000-2222", [1]), ("", "131026", [1]),
        ("", "NO SUCH user", [1]), ("accepted", "131026", []), ("", "999", []), ("", "US.13", [2]),
    ],
)  # fmt: skip
def test_recipients_are_chosen_by_outcome_number_code_and_reason(show, find, positions):
    from airflow_provider_whatsapp.plugin.recipients import chosen, from_outcome

    rows = [outcome(), outcome("failed", "15550002222", error=ERROR), outcome(to="US.1349125389")]
    all_of_them = [from_outcome(row, place) for place, row in enumerate(rows)]

    assert [each.position for each in chosen(all_of_them, show, find)] == positions


@pytest.mark.parametrize(
    ("find", "positions"),
    [
        ("15550002222", [1]), ("+1 555 000 2222", [1]), ("2222", [1]), ("15", [0, 1]), ("1555", []), ("0002222", []),
        ("5000", []), ("02222", []), ("131026", [1]), ("no such user", [1]), ("US.1349125389", [2]),
        ("US.13491253", []),
    ],
)  # fmt: skip
def test_a_hidden_number_cannot_be_found_piece_by_piece(find, positions):
    from airflow_provider_whatsapp.client.phone import mask
    from airflow_provider_whatsapp.plugin.recipients import chosen, from_outcome

    rows = [outcome(), outcome("failed", "15550002222", error=ERROR), outcome(to="US.1349125389")]
    found = chosen([from_outcome(row, place) for place, row in enumerate(rows)], "", find, shown=mask)

    assert [each.position for each in found] == positions
