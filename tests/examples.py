"""How many examples a test with random ones tries: all of them with the newest Airflow, fewer where a run says so."""

from __future__ import annotations

import os

SHARE = float(os.environ.get("SHARE_OF_EXAMPLES", "1"))
"""Which share of its examples each test tries: most of what is random is the same with any version of a library."""


def examples(number: int) -> int:
    """Return how many examples to try of so many."""
    return max(5, round(number * SHARE))
