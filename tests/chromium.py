"""The browser of the tests: where it is, and how it starts."""

from __future__ import annotations

import os
import shutil

import pytest

NAMES = ("chromium-headless-shell", "chromium", "google-chrome")
"""Programs of the same browser. The first has no window to draw, and takes half the time to start."""
# Whoever sets CHROMIUM means it: then a browser that is missing is a failure and no reason to skip.
ASKED = os.environ.get("CHROMIUM")
CHROMIUM = ASKED or next(filter(None, map(shutil.which, NAMES)), None)
OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
needs_chromium = pytest.mark.skipif(
    not CHROMIUM, reason="there is no Chromium (Debian: apt-get install chromium-headless-shell)"
)
