"""Airflow hooks: an Airflow connection becomes a client."""

from __future__ import annotations
