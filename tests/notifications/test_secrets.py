"""An alert tells nobody what Airflow's logs hide, nor what has a secret's form."""

from __future__ import annotations

import time

import pytest

from airflow_provider_whatsapp.notifications.secrets import hidden

pytestmark = pytest.mark.airflow

HIDDEN = {
    "a URL's password": ("postgresql://etl:hunter2pw@db/x failed", "postgresql://etl:***@db/x failed"),
    "with an @ in it": ("mysql://u:p@ss@db:3306/x", "mysql://u:***@db:3306/x"),
    "with a slash in it": ("mysql://u:p/a?s@db:3306/x", "mysql://u:***@db:3306/x"),
    "without a user": ("redis://:hunter2pw@cache:6379/0", "redis://:***@cache:6379/0"),
    "in quotes": ("('postgres://u:hunter2@db', 1)", "('postgres://u:***@db', 1)"),
    "a token as a user": ("https://ghp0a1b2c3d4@github.example/x", "https://***@github.example/x"),
    "a bearer token": ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
    "basic credentials": ("sent Basic dXNlcjpodW50ZXIy to", "sent Basic *** to"),
    "a parameter": ("https://x.example/a?token=abcdef&b=1", "https://x.example/a?token=***&b=1"),
    "a signed link": (
        "https://b.example/k?X-Amz-Signature=ab12cd&x=1",
        "https://b.example/k?X-Amz-Signature=***&x=1",
    ),
    "JSON": ('{"client_secret": "correct horse", "b": 1}', '{"client_secret": ***, "b": 1}'),
    "a DSN": ("dbname=x password=hunter user=etl", "dbname=x password=*** user=etl"),
    "a dict": ("{'api_key': 'maton-k3y', 'b': 1}", "{'api_key': ***, 'b': 1}"),
    "a colon": ("password: 0pen-5esame.", "password: ***"),
    "an account key": ("AccountName=x;AccountKey=Zm9v==;", "AccountName=x;AccountKey=***;"),
    "AWS": ("no access for AKIAIOSFODNN7EXAMPLE", "no access for ***"),
    "GitHub": ("ghp_" + "a1B2" * 9, "***"),
    "Slack": ("xoxb-1234567890-abcdef", "***"),
    "Meta": ("token EAAG" + "a1B2" * 9, "token ***"),
    "a web token": ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln is no", "*** is no"),
    "a private key": ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nab\n-----END RSA PRIVATE KEY-----.", "***."),
    "JSON in JSON": ('{\\"password\\": \\"hunter2\\", 1}', '{\\"password\\": ***, 1}'),
    "bytes": ("{'password': b'hunter2'}", "{'password': ***}"),
    "an arrow": ("password => hunter2", "password => ***"),
    "XML": ("<db:password x='1'>hunter2</db:password>", "<db:password x='1'>***</db:password>"),
    "a command line": ("psql --password hunter2 --host x", "psql --password *** --host x"),
    "a cookie": ("Set-Cookie: session=hunter2; Path=/", "Set-Cookie: ***"),
    "a key in a link": ("https://x.example/v1?key=hunter2&b=1", "https://x.example/v1?key=***&b=1"),
    "a webhook": (
        "https://hooks.slack.com/services/T0/B0/xyz failed",
        "https://hooks.slack.com/services/*** failed",
    ),
    "a bot's link": ("https://api.telegram.org/bot12:hunter2/getMe", "https://api.telegram.org/bot***/getMe"),
    "a URL in a URL": ("postgresql%3A%2F%2Fetl%3Ahunter2%40db%2Fx", "postgresql%3A%2F%2Fetl%3A***%40db%2Fx"),
    "a key cut off": ("-----BEGIN PRIVATE KEY-----\nMIIE", "***"),
}


@pytest.mark.parametrize(("text", "shown"), [pytest.param(*case, id=name) for name, case in HIDDEN.items()])
def test_what_has_a_secrets_form_is_hidden(text, shown):
    assert hidden(text) == shown
    assert hidden(shown) == shown
    assert hidden({"a": [text, 1, None], "b": (text,)}) == {"a": [shown, 1, None], "b": [shown]}


@pytest.mark.parametrize(
    "text",
    [
        "Task orders.load, try 2, run scheduled__2026-11-22T20:07:00+00:00: ValueError: no rows",
        "https://airflow.example.com:8080/dags/orders/runs/r1?try=1&user=a@b.example",
        "invalid token: unexpected end; secret: not found",
        "KeyError: 'password'",
        "max_tokens=4096, tokens: 12",
        "Basic authentication failed for anna@example.com",
        "s3://aws_default@bucket/key.csv",
        "<p>The password is wrong</p>, cookies: none, see --password-file or ?monkey=1",
        "https%3A%2F%2Fairflow.example%3A8080%2Fdags%3Fuser%3Da%40b.example",
        "+1 555 000 1111 and 15550001111",
    ],
)
def test_what_is_no_secret_is_told(text):
    assert hidden(text) == text


def test_long_texts_are_searched_in_no_time():
    # Each would take minutes if a pattern went back and forth over it.
    started = time.process_time()
    for part in (
        "a",
        "token",
        "token=",
        "://",
        "://a:",
        "Bearer ",
        "cookie:",
        "<token",
        "--token ",
        "a%3a%2f%2f",
        "a%3a%2f%2fb%3a",
        '\\"token\\":\\"',
        "eyJ",
        "sk-",
        "-----BEGIN PRIVATE KEY-----",
        '"',
    ):
        hidden(part * (100_000 // len(part)))
    assert time.process_time() - started < 60
