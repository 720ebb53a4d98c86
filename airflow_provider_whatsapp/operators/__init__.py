"""Airflow operators: tasks that send."""

from __future__ import annotations
