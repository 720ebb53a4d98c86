"""The operator that loads analytics: from the sandbox into files, and what ends it before any request."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote_plus
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_whatsapp._compat import AirflowFailException
from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook
from airflow_provider_whatsapp.operators.analytics import WhatsAppAnalyticsOperator

DAY = 86_400


@pytest.fixture
def today(sandbox):
    now = sandbox.control("GET", "clock")["now"]
    begin = (now // DAY + 1) * DAY
    sandbox.clock.advance(begin - now)
    return datetime.fromtimestamp(begin, UTC).date()


def load(today, **arguments):
    given = {"start": "{{ day }}", "end": "{{ following }}", **arguments}
    task = WhatsAppAnalyticsOperator(task_id="load", **given)
    task.render_template_fields({"day": f"{today}", "following": f"{today + timedelta(days=1)}"})
    return task.execute({})


def test_a_load_of_every_day_keeps_what_meta_takes_away(sandbox, today, tmp_path):
    """The day's reads fall back to zero eight days later; the file does not."""
    sandbox.control("POST", "accounts", insights=True)
    MatonWhatsAppHook().send_template("+15550001111", "hello_world")
    sandbox.clock.advance(60)
    path = tmp_path / "templates" / "{day}.jsonl"
    first = load(today, kind="template", destination=str(path))
    sandbox.clock.advance(8 * DAY)
    second = load(today, kind="template", destination=str(path))

    file = tmp_path / "templates" / f"{today}.jsonl"
    times = {"start": f"{today}T00:00:00+00:00", "end": f"{today + timedelta(days=1)}T00:00:00+00:00"}
    counts = {"rows": 1, "added": 1, "raised": 0, "unchanged": 0}
    counts |= {"files": [str(file)], "written": [str(file)]}
    assert first == {"kind": "template", **times, **counts}
    assert second == first | {"added": 0, "unchanged": 1, "written": []}
    found = json.loads(file.read_text())
    assert (found["template_name"], found["sent"], found["read"]) == ("hello_world", 1, 1)


def test_the_hook_s_iterator_gives_the_same_rows(sandbox, today, tmp_path):
    hook = MatonWhatsAppHook()
    hook.send_template("+4915112345678", "hello_world")
    sandbox.clock.advance(60)
    load(today, kind="pricing", destination=tmp_path / "a.jsonl", country_codes="DE,US")
    (row,) = hook.analytics("pricing", today, today + timedelta(days=1), country_codes=["DE"])
    line = json.loads((tmp_path / "a.jsonl").read_text())

    assert {**line, "start": None, "end": None, "read_at": None} == {
        **row,
        "start": None,
        "end": None,
        "read_at": None,
    }
    assert line["start"] == f"{today}T00:00:00Z"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kind": "billing"}, "kind: 'billing' is not known"),
        ({"granularity": "week"}, "granularity: 'week' is not known"),
        ({"start": "2020-01-01"}, "no data is older than"),
        ({"destination": "a.xlsx"}, "destination: 'a.xlsx' has no suffix"),
        ({"destination": "/proc/none/a.csv"}, "destination: /proc/none/a.csv cannot be written"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"templates": ["a"]}, "templates: pricing analytics cannot be filtered by template"),
        ({"country_codes": ["Germany"]}, "country_codes"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_input_ends_the_task_before_any_request(sandbox, tmp_path, arguments, words):
    given = {"kind": "pricing", "destination": str(tmp_path / "a.jsonl"), **arguments}
    with pytest.raises(AirflowFailException, match=words):
        load(datetime.now(UTC).date(), **given)
    assert sandbox.requests == []
    assert list(tmp_path.iterdir()) == []


def test_an_account_without_insights_fails_without_a_retry_and_leaves_no_file(sandbox, tmp_path):
    with pytest.raises(AirflowFailException, match="insights are not switched on"):
        load(datetime.now(UTC).date(), kind="template", destination=str(tmp_path / "a.csv"))
    assert list(tmp_path.iterdir()) == []


def test_a_failure_that_may_pass_is_retried_and_leaves_the_files_as_they_were(
    sandbox, change_connection, today, tmp_path
):
    from airflow_provider_whatsapp.client.errors import ServerError

    MatonWhatsAppHook().send_template("+15550001111", "hello_world")
    sandbox.clock.advance(60)
    path = tmp_path / "a.csv"
    load(today, kind="pricing", destination=str(path))
    before = path.read_bytes()
    change_connection(extra={"max_retries": 0})
    sandbox.fail_next("status", status=503, times=20, method="GET")
    with pytest.raises(ServerError):
        load(today, kind="pricing", destination=str(path))
    assert path.read_bytes() == before


def test_a_load_without_any_cost_says_why_in_the_log(sandbox, today, tmp_path, monkeypatch, capsys):
    from airflow_provider_whatsapp.client import analytics_points

    MatonWhatsAppHook().send_template("+15550001111", "hello_world")
    sandbox.clock.advance(60)
    load(today, kind="pricing", destination=str(tmp_path / "a.csv"))
    assert "no cost" not in capsys.readouterr().out
    keep = analytics_points._values
    monkeypatch.setattr(analytics_points, "_values", lambda kind, point: keep(kind, {**point, "cost": None}))
    load(today, kind="pricing", destination=str(tmp_path / "b.csv"))
    assert "Meta returned no costs" in capsys.readouterr().out


def test_every_argument_is_part_of_what_is_asked(sandbox, today, tmp_path):
    """The month's midnight in the account's zone, and the filters."""
    # Of the last month: this one may not have begun in New York.
    first = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    load(
        today,
        kind="messaging",
        start=f"{first}",
        granularity="month",
        timezone="America/New_York",
        phone_numbers=["+15550101000"],
        country_codes="{{ day and 'DE' }}",
        destination=tmp_path / "a.csv",
    )
    (request,) = sandbox.requests
    start = int(datetime(first.year, first.month, 1, tzinfo=ZoneInfo("America/New_York")).timestamp())
    asked = unquote_plus(request["query"])
    assert f"analytics.start({start})" in asked
    assert 'granularity(MONTH).phone_numbers(["15550101000"]).country_codes(["DE"])' in asked
    assert request["path"].endswith(f"/{sandbox.extra['waba_id']}")

    sandbox.control("POST", "accounts", insights=True)
    with pytest.raises(AirflowFailException, match="the account has no template gone"):
        load(today, kind="template", templates="gone", destination=tmp_path / "b.csv")
    with pytest.raises(AirflowFailException, match="Object with ID '77'"):
        load(today, kind="pricing", waba_id="77", destination=tmp_path / "c.csv")
