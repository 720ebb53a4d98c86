"""The phone to look at."""

from __future__ import annotations
