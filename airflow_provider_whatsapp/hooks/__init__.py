"""Airflow hooks: they turn an Airflow connection into a client."""

from __future__ import annotations
