"""A backend for Airflow's task state store that refuses, loses answers and dawdles, at random."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

from airflow.sdk.state import BaseStoreBackend

REFUSES, LOSES, SLOW = 0.25, 0.10, 0.05


class FailingBackend(BaseStoreBackend):
    """Keeps values in files; of the writes a share fails before, a share after they are done."""

    def _path(self, scope, key):
        name = f"{scope.run_id}-{scope.task_id}-{scope.map_index}-{key}".replace("/", "_")
        return Path(os.environ["CAMPAIGN_STORE"]) / name

    def serialize_task_state_store_to_ref(self, *, value, key, scope):
        chance = random.random()
        if chance < REFUSES:
            raise ConnectionError("the store refuses")
        if chance > 1 - SLOW:
            time.sleep(1)
        path = self._path(scope, key)
        fresh = path.with_name(f"{path.name}.new")
        fresh.write_text(json.dumps(value))
        fresh.replace(path)
        if chance < REFUSES + LOSES:
            raise TimeoutError("the store's answer was lost")
        return str(path)

    def deserialize_task_state_store_from_ref(self, stored):
        return json.loads(Path(stored).read_text())

    def get(self, scope, key, **kwargs): ...
    def set(self, scope, key, value, **kwargs): ...
    def delete(self, scope, key, **kwargs): ...
    def clear(self, scope, **kwargs): ...
    async def aget(self, scope, key, **kwargs): ...
    async def aset(self, scope, key, value, **kwargs): ...
    async def adelete(self, scope, key, **kwargs): ...
    async def aclear(self, scope, **kwargs): ...
