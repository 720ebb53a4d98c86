"""The limiter of an account: one for all clients of a process that share the account."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, cast

from airflow_provider_whatsapp.client.pace_board import open_board
from airflow_provider_whatsapp.client.pace_model import SIZE
from airflow_provider_whatsapp.client.rate_limit import Pacer, board_size

if TYPE_CHECKING:
    from airflow_provider_whatsapp.client.rate_limit import Limiter
    from airflow_provider_whatsapp.client.redis_server import RedisServer

_pacers: dict[tuple[object, ...], Limiter] = {}
_pacers_lock = threading.RLock()


def shared_pacer(api_key: str, host: str, rate: float) -> Pacer:
    """Return the pacer of an account, one for all clients on this machine; ``rate`` 0: no limit."""
    # Maton counts per account, not per client. The rate is in requests per second; a file has only a hash of the key.
    key = (api_key, host, rate)
    with _pacers_lock:
        if key not in _pacers:
            board = (
                open_board(f"{api_key} {host} {rate}", board_size(rate) - SIZE, more=SIZE) if rate else None
            )
            _pacers[key] = Pacer(rate, board=board)
        return cast("Pacer", _pacers[key])


def limiter(api_key: str, host: str, rate: float, *, redis: RedisServer | None, share: float) -> Limiter:
    """Return the limiter of an account: this machine's pacer, or the one that paces several machines by Redis."""
    # share: the share of the rate that each machine uses while Redis cannot be reached.
    if redis is None or not rate:
        return shared_pacer(api_key, host, rate)
    from airflow_provider_whatsapp.client.redis_pacing import RedisPacer

    key = (api_key, host, rate, redis, share)
    with _pacers_lock:
        if key not in _pacers:
            alone = shared_pacer(api_key, host, rate * share)
            _pacers[key] = RedisPacer(rate, redis, f"{api_key} {host} {rate}", alone=alone)
        return _pacers[key]
