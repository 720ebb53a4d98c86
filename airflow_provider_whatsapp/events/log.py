"""The log of a server process."""

from __future__ import annotations

import logging
import sys
import time


def log_to_stderr() -> None:
    """Send the log to standard error, each line with its time in UTC."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
