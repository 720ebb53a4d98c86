"""What the API offers, with one module per resource."""

from __future__ import annotations
