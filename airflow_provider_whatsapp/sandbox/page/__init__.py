"""The sandbox's page: the phone, and what reached the sandbox."""

from __future__ import annotations
