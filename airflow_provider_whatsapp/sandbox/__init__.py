"""
WhatsApp on your own machine: a server that answers as Maton's gateway and Meta's Cloud API do.

Start it with ``python -m airflow_provider_whatsapp.sandbox``. It stands apart from the rest of the package and
shares no code with the client, so that a mistake in one of them shows in a test with the other.
"""

from __future__ import annotations
