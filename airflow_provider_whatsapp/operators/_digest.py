"""What distinguishes arguments, so that a retry knows whether they are the ones that an earlier try had."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def digest(*values: Any) -> str:
    """
    Return what tells arguments from others.

    :param values: JSON primitives, paths and other things with a text of their own.
    """
    return hashlib.sha256(json.dumps(values, default=_named, sort_keys=True).encode()).hexdigest()


def _named(value: Any) -> str:
    if isinstance(value, bytes | bytearray):
        return hashlib.sha256(value).hexdigest()
    text = str(value)
    return type(value).__name__ if " at 0x" in text else text  # an address is another one at each try
