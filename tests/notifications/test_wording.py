from __future__ import annotations

import pytest

from airflow_provider_whatsapp.notifications.memory import Decision, Record
from airflow_provider_whatsapp.notifications.turns import Turn
from airflow_provider_whatsapp.notifications.wording import MAX_VALUE, fitted, others, stock_values

NAMES = tuple(f"load_orders_into_the_warehouse[{number}]" for number in range(5))


def kept_back(held, names):
    return Decision(send=True, record=Record(runs=3), held=held, names=names, escalated=True)


def test_the_counts_survive_long_names_and_errors():
    more = others(kept_back(120, NAMES), Turn(held=40, names=NAMES))
    context = {"exception": ValueError("no rows " * 40)}
    said = fitted(stock_values(context, more, summary=False))["error"]

    assert len(said) == MAX_VALUE
    assert "(3 runs in a row have failed; 120 more failures; 40 other alerts: load_orders" in said


@pytest.mark.parametrize(
    ("held", "names", "words"),
    [
        (1, ("load",), "1 more failure; 1 other alert: load; crm.sync"),
        (3, ("load",), "3 more failures; 1 other alert: load, ...; crm.sync"),
        (3, (), "3 more failures; 1 other alert: crm.sync"),
    ],
)
def test_those_that_are_counted_are_named_as_far_as_their_names_are_known(held, names, words):
    decision = Decision(send=True, record=Record(), held=held, names=names)

    assert others(decision, Turn(held=1, names=("crm.sync",))) == words


def test_failures_without_names_are_a_number():
    assert others(Decision(send=True, record=Record(), held=2), Turn()) == "2 more failures"
