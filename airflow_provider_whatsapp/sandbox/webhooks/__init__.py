"""Webhooks: their addresses, their contents and their delivery."""
