"""Draws rows of a query as a chart or as figures that people can read on a phone."""

from __future__ import annotations
