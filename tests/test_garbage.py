"""Tests that use up the stack on purpose fail for no garbage of others that Python collects just then."""

from __future__ import annotations

import gc
import json

import pytest


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
