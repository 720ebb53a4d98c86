"""Prevents other sites' web pages from using the sandbox through the user's browser."""

from __future__ import annotations

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_EVERYWHERE = frozenset({"0.0.0.0", "::", ""})  # noqa: S104  (named to be recognised, not to bind to)
_FOREIGN_SITES = (b"cross-site", b"same-site")
_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})


def is_loopback(host: str) -> bool:
    """Return whether an address to listen on lets only this machine connect."""
    return host in _LOOPBACK or host.startswith("127.")


def host_name(header: bytes) -> str:
    """Return the name in a Host header, without port and brackets."""
    text = header.decode("latin-1").strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]


class Guard:
    """Checks Host against DNS rebinding, unless ``host`` is a wildcard, and Origin against forged requests."""

    def __init__(self, host: str) -> None:
        self._any = host in _EVERYWHERE
        self._names = _LOOPBACK | {host.lower()}
        self._seen: set[bytes] = set()

    def refusal(self, method: str, headers: dict[bytes, bytes], *, scheme: str, page: bool) -> str | None:
        """Return why a request is refused, or None; the names of the headers are in lower case."""
        host = headers.get(b"host", b"")
        if host not in self._seen:
            if not self._any and host_name(host) not in self._names:
                return (
                    "The sandbox does not answer to this Host name: use 127.0.0.1 or localhost, or start it with "
                    "--host"
                )
            if len(self._seen) < 100:
                self._seen.add(host)
        origin = headers.get(b"origin")
        foreign = origin is not None and origin != b"%b://%b" % (scheme.encode(), host)
        # A page of another site may link to the sandbox's own pages. The sandbox refuses its other requests, because
        # even a GET whose answer nobody reads uses up rate limits and fault rules.
        followed = page and method == "GET" and headers.get(b"sec-fetch-mode") == b"navigate"
        if headers.get(b"sec-fetch-site") in _FOREIGN_SITES and not followed:
            foreign = True
        elif method in _HARMLESS:
            foreign = False
        return "The sandbox refuses requests from pages of another origin" if foreign else None
