"""Message templates as the account holds them, without Airflow (where "template" means Jinja)."""

from __future__ import annotations
