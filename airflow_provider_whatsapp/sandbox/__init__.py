"""
A WhatsApp that lives on a laptop: Maton's gateway and Meta's Cloud API, answered as the real services answer.

Start it with ``python -m airflow_provider_whatsapp.sandbox``. It stands apart from the rest of the package and
shares no code with the client, so that a mistake in one shows up against the other.
"""

from __future__ import annotations
