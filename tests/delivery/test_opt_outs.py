"""Opt-outs are looked up as a list is read: in chunks, by one spelling, and for whoever the message concerns."""

from __future__ import annotations

import pytest

from airflow_provider_whatsapp.delivery.opt_outs import AT_ONCE, OptOuts, scopes_of
from airflow_provider_whatsapp.delivery.recipients import Recipients, SourceChangedError
from airflow_provider_whatsapp.events.store import StoreError


class Store:
    """What a store answers, and what it was asked."""

    def __init__(self, **out):
        self.out = {name.removeprefix("n"): scopes for name, scopes in out.items()}
        self.asked = []
        self.away = False

    def __call__(self, names):
        self.asked.append(list(names))
        if self.away:
            raise StoreError("the event store does not answer")
        return {name: self.out[name] for name in names if name in self.out}


def skips(recipients):
    return [row.skip for row in recipients]


def test_a_long_list_is_looked_up_in_chunks_while_it_is_read():
    store = Store()
    numbers = (f"+1555{number:07}" for number in range(10 * AT_ONCE))
    marked = OptOuts(store).mark(Recipients(numbers))
    next(marked)

    assert len(store.asked) == 1
    assert sum(1 for _ in marked) == 10 * AT_ONCE - 1
    assert {len(names) for names in store.asked} == {AT_ONCE}


SPELLINGS = {
    "Mexico": ("+5215512345678", "525512345678"),
    "Argentina": ("+5491123456789", "541123456789"),
    "Brazil": ("+5511987654321", "551187654321"),
    "user ID": ("US.13491208655302741918", "US.13491208655302741918"),
}


@pytest.mark.parametrize(("given", "name"), SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_is_one_person(given, name):
    opt_outs = OptOuts(Store(**{f"n{name}": {"all"}}))
    recipients = Recipients([given, "+15550000001"], marks=opt_outs.mark)

    assert skips(recipients) == ["suppressed", None]
    assert opt_outs.left_out == 1


def test_malformed_rows_duplicates_and_listed_people_are_not_looked_up():
    store = Store()
    numbers = ["+15550000001", "+15550000001", "nobody", "+15550000002"]
    recipients = Recipients(numbers, marks=OptOuts(store).mark, suppressed={"15550000002"})

    assert skips(recipients) == [None, "duplicate", None, "suppressed"]
    assert store.asked == [["15550000001"]]
    assert skips(Recipients(["+15550000002"], marks=OptOuts(store).mark, suppressed={"15550000002"}))
    assert len(store.asked) == 1, "where nobody is left to ask for, nobody is asked"


CATEGORIES = {
    "MARKETING": ["suppressed", "suppressed"],
    "UTILITY": ["suppressed", None],
    "AUTHENTICATION": ["suppressed", None],
    None: ["suppressed", "suppressed"],
    "SOMETHING_NEW": ["suppressed", "suppressed"],
}


@pytest.mark.parametrize(("category", "found"), CATEGORIES.items(), ids=map(str, CATEGORIES))
def test_whom_a_template_concerns_its_category_says(category, found):
    opt_outs = OptOuts(Store(n15550000001={"all"}, n15550000002={"marketing"}))
    recipients = Recipients(["+15550000001", "+15550000002"], marks=opt_outs.mark)
    recipients.survey()
    opt_outs.scopes = scopes_of(category)

    assert skips(recipients) == found


def test_an_opt_out_counts_while_a_broadcast_runs():
    store = Store()
    recipients = Recipients(["+15550000001"], marks=OptOuts(store).mark)
    recipients.survey()
    store.out["15550000001"] = {"all"}

    assert skips(recipients) == ["suppressed"]


def test_a_store_that_is_away_at_the_start_ends_it():
    store = Store()
    store.away = True

    with pytest.raises(StoreError):
        Recipients(["+15550000001"], marks=OptOuts(store).mark).survey()


def test_a_store_that_goes_away_later_ends_nothing_and_nobody_known_gets_a_message(caplog):
    store = Store(n15550000001={"marketing"})
    opt_outs = OptOuts(store)
    recipients = Recipients([f"+1555000000{number}" for number in range(3)], marks=opt_outs.mark)
    assert recipients.survey().open == 3
    opt_outs.scopes = scopes_of("MARKETING")
    store.away = True

    assert skips(recipients) == skips(recipients) == [None, "suppressed", None]
    assert [line for line in caplog.messages if "no longer sees new opt-outs" in line] == [
        caplog.messages[-1]
    ]


def test_a_list_that_changes_is_still_noticed():
    numbers = ["+15550000001", "+15550000002"]
    recipients = Recipients(numbers, marks=OptOuts(Store()).mark)
    recipients.survey()
    numbers[1] = "+15550000003"

    with pytest.raises(SourceChangedError):
        list(recipients)


def test_each_reading_counts_those_who_are_left_out_from_the_start():
    opt_outs = OptOuts(Store(n15550000001={"all"}))
    recipients = Recipients(["+15550000001", "+15550000002"], marks=opt_outs.mark)
    for _ in range(2):
        list(recipients)
        assert opt_outs.left_out == 1
