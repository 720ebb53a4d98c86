"""What the API offers, a module per resource."""

from __future__ import annotations
