"""Delivery: one message to one or many recipients, and what became of each."""

from __future__ import annotations
