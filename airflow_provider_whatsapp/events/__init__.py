"""Receipts and replies: what WhatsApp's webhooks say, and the store that keeps it."""

from __future__ import annotations
