"""WhatsApp for Apache Airflow. Every airflow command imports this module: it holds two constants and no more."""

from __future__ import annotations

__version__ = "0.1.0"

DOCUMENTATION_URL = "https://airflow-provider-whatsapp.readthedocs.io"
"""Where the documentation is published; ``[project.urls]`` of pyproject.toml says the same, which a test checks."""
