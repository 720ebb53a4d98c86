"""A backend for Airflow's task state store that refuses, loses answers and dawdles, at random; it keeps a journal."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

from airflow.sdk.state import BaseStoreBackend

REFUSES, LOSES, SLOW = 0.25, 0.10, 0.05


class FailingBackend(BaseStoreBackend):
    """Keeps values in files; a share of the calls fails before anything is done, a share of the writes after it."""

    def __init__(self):
        self._folder = Path(os.environ["CAMPAIGN_STORE"])

    def _path(self, scope, key):
        return self._folder / f"{scope.run_id}-{scope.task_id}-{scope.map_index}-{key}".replace("/", "_")

    def _note(self, what, value=None):
        """Write down what was done and when, and who is claimed in what was written."""
        claimed = value.get("claimed", []) if isinstance(value, dict) else []
        with (self._folder / "journal").open("a") as journal:
            journal.write(json.dumps({"at": time.time(), "what": what, "claimed": claimed}) + "\n")

    def serialize_task_state_store_to_ref(self, *, value, key, scope):
        # The first write is refused in any case: luck must not let a round pass in which nothing fails.
        chance = random.random() if (self._folder / "journal").exists() else 0.0
        if chance < REFUSES:
            self._note("refused")
            raise ConnectionError("the store refuses")
        if chance > 1 - SLOW:
            self._note("slow")
            time.sleep(1)
        path = self._path(scope, key)
        fresh = path.with_name(f"{path.name}.new")
        fresh.write_text(json.dumps(value))
        fresh.replace(path)
        if chance < REFUSES + LOSES:
            self._note("answer lost")
            raise TimeoutError("the store's answer was lost")
        self._note("written", value)
        return str(path)

    def deserialize_task_state_store_from_ref(self, stored):
        if random.random() < REFUSES:
            self._note("refused")
            raise ConnectionError("the store refuses")
        return json.loads(Path(stored).read_text())

    def get(self, scope, key, **kwargs): ...
    def set(self, scope, key, value, **kwargs): ...
    def delete(self, scope, key, **kwargs): ...
    def clear(self, scope, **kwargs): ...
    async def aget(self, scope, key, **kwargs): ...
    async def aset(self, scope, key, value, **kwargs): ...
    async def adelete(self, scope, key, **kwargs): ...
    async def aclear(self, scope, **kwargs): ...
