"""Airflow notifiers: callbacks that send."""

from __future__ import annotations
