"""The core: WhatsApp through Maton's gateway, without Airflow."""

from __future__ import annotations
