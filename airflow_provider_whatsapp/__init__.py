"""WhatsApp for Apache Airflow. Every airflow command imports this module: it holds the version and no more."""

from __future__ import annotations

__version__ = "0.1.0"
