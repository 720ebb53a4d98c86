"""A set of positions in a list that needs little memory: one bit each."""

from __future__ import annotations


class Places:
    """A set of small numbers."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, place: int) -> None:
        """
        Add a number.

        :param place: The number, from 0.
        """
        byte, bit = divmod(place, 8)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 1 - len(self._bits)))
        self._bits[byte] |= 1 << bit

    def __contains__(self, place: int) -> bool:
        byte, bit = divmod(place, 8)
        return byte < len(self._bits) and bool(self._bits[byte] & (1 << bit))
