"""The page on the sandbox names what there is, and nothing else."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from airflow_provider_whatsapp.sandbox.__main__ import parser
from airflow_provider_whatsapp.sandbox.controls import Controls
from airflow_provider_whatsapp.sandbox.faults import KINDS, Fault
from airflow_provider_whatsapp.sandbox.settings import Settings
from airflow_provider_whatsapp.sandbox.state import State
from airflow_provider_whatsapp.sandbox.webhooks import controls as webhooks

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "sandbox.md").read_text("utf-8")


def section(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)[1]


def test_every_option_is_told_and_no_other():
    options = {
        name for action in parser()._actions for name in action.option_strings if name.startswith("--")
    }
    assert set(re.findall(r"--[a-z][a-z-]+", section("Options"))) == options - {"--help"}


def test_the_defaults_told_are_the_defaults():
    told, usual = section("Options"), Settings()
    for text in (
        f"{usual.host} and {usual.port}",
        f"Maton account, {usual.rate_limit}.",
        f"from one number to one user ({usual.user_limit})",
        f"and number ({usual.number_limit})",
        f"is reviewed, {usual.approve_after:g} ",
        ",".join(f"{each:g}" for each in usual.status_delays),
        f"to failed ({usual.fail_after:g})",
        f"to keep, {usual.keep:,};",
    ):
        assert text in told


def test_every_control_is_told_and_no_other():
    there = {
        (method, route.path) for route in Controls(State(Settings())).routes() for method in route.methods
    }
    told = set()
    for methods, path in re.findall(
        r"^\| ((?:`[A-Z]+`, )*`[A-Z]+) (/_sandbox/\w+)`", section("Controls"), re.MULTILINE
    ):
        told |= {(method, path) for method in re.findall(r"[A-Z]+", methods)}
    assert told == {(method, path) for method, path in there if method != "HEAD"}


def test_every_field_of_the_control_of_webhooks_is_told():
    told = set(re.findall(r"^\| `(\w+)` \| ", section("Webhooks"), re.MULTILINE))
    assert told == set(webhooks.FIELDS)


def test_every_kind_and_field_of_a_fault_is_told():
    told = section("Faults")
    assert set(re.findall(r"^\| `(\w+)` \| ", told, re.MULTILINE)) & set(KINDS) == set(KINDS)
    counted = {"id"}
    for field in {each.name for each in dataclasses.fields(Fault)} - counted - {"kind"}:
        assert f"`{field}`" in told, field
