"""
What a Python of the tests does when it starts: it imports a module of this name from its path, PYTHONPATH.

Looking for garbage takes a third of a short process that imports Airflow: while it imports, and most of it at the
end, when the memory is given back anyway.
"""

from __future__ import annotations

import atexit
import gc

gc.set_threshold(20_000)
atexit.register(gc.freeze)
