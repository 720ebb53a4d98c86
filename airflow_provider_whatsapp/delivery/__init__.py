"""Delivery: one message to one or many recipients, and the outcome of each."""

from __future__ import annotations
