"""The facts in tests/data are what the script makes of the published description, and hold none of its words."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT.parent / "shared" / "reference"


def load():
    spec = importlib.util.spec_from_file_location("reference_facts", ROOT / "scripts" / "reference_facts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FACTS = load()


if REFERENCE.exists():  # a checkout has no copy of it, and needs none

    @pytest.mark.parametrize("name", FACTS.MADE)
    def test_the_facts_are_those_of_the_description(name):
        assert (FACTS.DATA / name).read_text("utf-8") == FACTS.text(FACTS.MADE[name](REFERENCE))


@pytest.mark.parametrize("name", FACTS.MADE)
def test_the_facts_are_compact_and_hold_no_sentence(name):
    text = (FACTS.DATA / name).read_text("utf-8")
    assert len(text) < 300_000

    def sentences(node):
        if isinstance(node, dict):
            return [found for each in node.values() for found in sentences(each)]
        if isinstance(node, list):
            return [found for each in node for found in sentences(each)]
        return [node] if isinstance(node, str) and node.count(" ") > 2 else []

    assert sentences(json.loads(text)) == []
