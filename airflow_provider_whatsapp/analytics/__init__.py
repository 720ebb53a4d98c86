"""Meta's analytics in files that grow: read, merged and written without Airflow."""

from __future__ import annotations
