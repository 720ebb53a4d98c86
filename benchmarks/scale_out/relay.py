"""
A TCP relay that may delay what it hands on: the cable between a machine of its own and the hub.

    python relay.py LISTEN TARGET SECONDS PORT [PORT...]

Each port of the address LISTEN leads to the same port of TARGET. What a caller sends arrives so many seconds later, and
so does the connection itself; what comes back is not delayed, so the seconds are those of a round trip.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from functools import partial

BLOCK = 1 << 16
UNDER_WAY = 64
"""Blocks that may be under way in one direction before the sender has to wait."""


async def main(listen: str, target: str, seconds: float, ports: list[int]) -> None:
    """
    Relay until the process is ended.

    :param listen: Address to listen on.
    :param target: Address to hand on to.
    :param seconds: Delay of what callers send.
    :param ports: Ports of both.
    """
    servers = [
        await asyncio.start_server(partial(relay, target=target, port=port, seconds=seconds), listen, port)
        for port in ports
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


async def relay(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, target: str, port: int, seconds: float
) -> None:
    """
    Relay one connection to its end.

    :param reader: What the caller sends.
    :param writer: What the caller gets.
    :param target: Address to hand on to.
    :param port: Its port.
    :param seconds: Delay of what the caller sends.
    """
    try:
        if seconds:
            await asyncio.sleep(seconds)
        there, back = await asyncio.open_connection(target, port)
    except OSError:
        writer.transport.abort()
        return
    try:
        await asyncio.gather(_pump(reader, back, seconds), _pump(there, writer, 0.0))
    except OSError:
        pass
    finally:
        for each in (writer, back):
            with contextlib.suppress(OSError):
                each.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """Hand on all that comes, each block later by so many seconds, and then the end."""
    loop, under_way = asyncio.get_running_loop(), asyncio.Queue[tuple[float, bytes]](UNDER_WAY)

    async def deliver() -> None:
        while True:
            due, block = await under_way.get()
            if (left := due - loop.time()) > 0:
                await asyncio.sleep(left)
            if not block:
                break
            writer.write(block)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()

    delivery = asyncio.ensure_future(deliver())
    try:
        block = b"-"
        while block and not delivery.done():
            block = await reader.read(BLOCK)
            await under_way.put((loop.time() + seconds, block))
        await delivery
    finally:
        delivery.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), [int(port) for port in sys.argv[4:]]))
