from __future__ import annotations

import pytest

from airflow_provider_whatsapp.message_templates.approval import judge
from airflow_provider_whatsapp.message_templates.statuses import STATUSES


def row(name="report", language="en_US", status="APPROVED", **more):
    return {"id": "1", "name": name, "language": language, "status": status, **more}


WANTED = [("report", "en_US")]
LASTING = set(STATUSES) - {"PENDING", "IN_APPEAL"}


def test_approved():
    verdict = judge([row(), row(name="other", status="REJECTED")], WANTED)

    assert verdict.state == "approved"
    assert verdict.templates == [row()]


@pytest.mark.parametrize("status", ["PENDING", "IN_APPEAL", "SOMETHING_NEW", ""])
def test_other_statuses_are_waited_out(status):
    assert judge([row(status=status)], WANTED).state == "waiting"


@pytest.mark.parametrize("status", sorted(LASTING))
def test_hopeless_statuses_say_what_to_do(status):
    verdict = judge([row(status=status, rejected_reason="SCAM")], WANTED)

    assert verdict.state == "refused"
    assert f"report (en_US) is {status} (SCAM). {STATUSES[status].advice}" in verdict.message


def test_no_reason_is_not_shown_as_one():
    assert "NONE" not in judge([row(status="DISABLED", rejected_reason="NONE")], WANTED).message


def test_another_language_is_another_template():
    verdict = judge([row(language="en")], WANTED)

    assert verdict.state == "missing"
    assert "report (en_US)" in verdict.message


def test_without_a_language_every_one_counts():
    listed = [row(), row(language="pt_BR", status="PENDING")]

    assert judge(listed, [("report", None)]).state == "waiting"
    assert judge(listed, WANTED).state == "approved"


def test_the_worst_of_several_decides():
    wanted = [("a", None), ("b", None), ("c", None)]
    approved, pending, rejected = row("a"), row("b", status="PENDING"), row("c", status="REJECTED")

    assert judge([approved, pending, rejected], wanted).state == "refused"
    assert judge([approved, pending], wanted).state == "missing"
    assert judge([approved, pending], wanted[:2]).state == "waiting"
    assert judge([approved], wanted[:1]).state == "approved"


def test_a_category_that_differs_is_told_beside_the_state():
    listed = [row(category="MARKETING"), row("other", category="UTILITY")]
    wanted = [("report", "en_US", "UTILITY"), ("other", "en_US", "UTILITY")]

    verdict = judge(listed, wanted)
    assert verdict.state == "approved"
    assert verdict.drift == ["report (en_US) has the category MARKETING, not UTILITY"]
    assert judge(listed, [("report", None, None)]).drift == []
