"""A digest of arguments, by which a retry knows whether an earlier try had the same ones."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def digest(*values: Any) -> str:  # JSON primitives, paths and other objects whose text identifies them
    """Return a digest that differs if the arguments differ."""
    return hashlib.sha256(json.dumps(values, default=_named, sort_keys=True).encode()).hexdigest()


def _named(value: Any) -> str:
    if isinstance(value, bytes | bytearray):
        return hashlib.sha256(value).hexdigest()
    text = str(value)
    return type(value).__name__ if " at 0x" in text else text  # the address differs in each try
