"""One survey for all shards: the first shard divides the list, and the others wait for the result."""

from __future__ import annotations

import json
import logging
import time
import uuid
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.delivery.shard_index import CLAIM

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_whatsapp.delivery.shard_index import Head, ShardIndex

logger = logging.getLogger(__name__)

POLL = 1.0
"""Seconds between two checks whether another shard has divided the list."""
SETTLE = 0.5
"""Seconds after which a claim is read again: of two that were written together, the later one counts."""
BEAT = 5.0
"""Seconds between two signs of life of the shard that divides the list."""
STALE = 60.0
"""Seconds without a sign of life after which another shard takes over: the process was killed."""


class SharedSurvey:
    """The survey of one shard."""

    def __init__(
        self,
        index: ShardIndex,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._index = index
        self._sleep = sleep
        self._clock = clock
        self._token = uuid.uuid4().hex
        self._beats = 0
        self._beaten = 0.0

    def is_claimed(self) -> bool:
        """Return whether a shard divides the list, or has begun to and was killed."""
        return self._index.read(CLAIM) is not None

    def head(self, *, instead_of: Head | None = None) -> Head:
        """Return the head of the index: another shard's, or this one's own if no other shard makes it."""
        last, since = self._index.read(CLAIM), self._clock()
        if last is not None:
            logger.info("Another shard divides the list of recipients; this one waits for it.")
        # An index whose head is ``instead_of`` is of another list, and is replaced.
        while (head := self._index.load()) is None or head == instead_of:
            claim = self._index.read(CLAIM)
            if claim != last:
                last, since = claim, self._clock()
            if (claim is None or self._clock() - since > STALE) and self._take():
                return self._build()
            self._sleep(POLL)
        return head

    # Claims prevent two shards from doing the same work; the index is right even without them, because both would
    # write the same files.
    def _take(self) -> bool:
        self._claim()
        self._sleep(SETTLE)
        return self._is_own()

    def _claim(self) -> None:
        self._beaten = self._clock()
        self._beats += 1
        self._index.write(CLAIM, json.dumps({"survey": self._token, "beat": self._beats}).encode())

    def _is_own(self) -> bool:
        return self._token.encode() in (self._index.read(CLAIM) or b"")

    def _build(self) -> Head:
        began = self._clock()
        try:
            head = self._index.build(self._beat)
        finally:
            if self._is_own():  # so that the next shard need not wait until the claim is stale
                self._index.delete(CLAIM)
        logger.info(
            "WhatsApp: %s was divided into %d shards in %.1f s; each reads its own part.",
            self._index.source.name,
            self._index.shards,
            self._clock() - began,
        )
        return head

    def _beat(self) -> None:
        if self._clock() - self._beaten >= BEAT:
            self._claim()
