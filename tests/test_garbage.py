"""Garbage fails no test that uses up the stack on purpose, and no process of the tests looks for it in vain."""

from __future__ import annotations

import gc
import json
import subprocess
import sys

import pytest

from tests.every_process import sitecustomize


class Garbage:
    """Goes with the garbage collector alone, and takes most of the stack when it goes."""

    def __init__(self):
        self.me = self

    def __del__(self):
        deep(700)


def deep(calls):
    return calls and deep(calls - 1)


def test_garbage_of_others_at_the_end_of_the_stack_fails_nothing():
    thresholds = gc.get_threshold()
    gc.collect()
    gc.set_threshold(300, 1, 1)
    Garbage()
    try:
        with pytest.raises(RecursionError):
            json.loads("[" * 50_000)
    finally:
        gc.set_threshold(*thresholds)


def test_a_process_that_a_test_starts_looks_for_garbage_as_rarely_as_this_one(tmp_path):
    code = "import gc, sitecustomize; print(gc.get_threshold()[0], sitecustomize.__file__, sep='|')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    threshold, file = done.stdout.strip().split("|")
    assert int(threshold) == gc.get_threshold()[0]
    assert file == sitecustomize.__file__
