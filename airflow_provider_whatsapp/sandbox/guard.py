"""Keeps web pages elsewhere from driving the sandbox through the user's browser."""

from __future__ import annotations

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_EVERYWHERE = frozenset({"0.0.0.0", "::", ""})  # noqa: S104  (named to be recognised, not to bind to)
_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})


def is_loopback(host: str) -> bool:
    """
    Whether an address to listen on lets only this machine in.

    :param host: As given on the command line.
    """
    return host in _LOOPBACK or host.startswith("127.")


def host_name(header: bytes) -> str:
    """
    The name in a Host header, without port and brackets.

    :param header: The header.
    """
    text = header.decode("latin-1").strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]


class Guard:
    """
    Checks Host against DNS rebinding and Origin against forged requests.

    :param host: The address listened on; a wildcard means that any name may be used.
    """

    def __init__(self, host: str) -> None:
        self._any = host in _EVERYWHERE
        self._names = _LOOPBACK | {host.lower()}
        self._seen: set[bytes] = set()

    def refusal(self, method: str, headers: dict[bytes, bytes]) -> str | None:
        """
        Why a request is refused, or nothing.

        :param method: HTTP method.
        :param headers: Request headers, names in lower case.
        """
        host = headers.get(b"host", b"")
        if host not in self._seen:
            if not self._any and host_name(host) not in self._names:
                return (
                    "This Host name is not the sandbox's: use 127.0.0.1 or localhost, or start it with --host"
                )
            if len(self._seen) < 100:
                self._seen.add(host)
        origin = headers.get(b"origin")
        if origin is not None and method not in _HARMLESS and origin.partition(b"://")[2] != host:
            return "Requests from pages of another origin are refused"
        return None
