"""Airflow triggers: deferred tasks wait with them. A trigger polls and never sends."""

from __future__ import annotations
