"""Webhooks: where they go, what they say, and how they get there."""
