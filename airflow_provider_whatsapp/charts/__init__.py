"""Rows of a query as a chart or as figures that are understood on a phone's screen."""

from __future__ import annotations
