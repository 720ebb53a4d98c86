"""Airflow triggers: what deferred tasks wait with. A trigger polls and never sends."""

from __future__ import annotations
