"""Secrets that an alert does not show: what Airflow masks in its logs, and what has the form of a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_whatsapp._compat import redact

STARS = "***"

_NAMES = (
    r"pass(?:word|wd|phrase)|pwd|secret|token(?!s|_?count|iz)|api[_-]?key|account[_-]?key|access[_-]?key(?![_-]?id)"
    r"|private[_-]?key|credentials?|authorization|signature|\bsig"
)
_QUOTE = r"b?\\{0,4}[\"']"  # also escaped, in JSON within JSON, and of bytes
_VALUE = (
    r"(?:b?\\{1,4}[\"'][^\"'\\]*\\{1,4}[\"']|b?\"(?:[^\"\\]|\\.)*\"|b?'(?:[^'\\]|\\.)*'|[^\s,;&\"'(){}\[\]]+)"
)
_KEYS = (
    r"(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{35}|EAA[A-Za-z0-9]{20,}|gh[opsru]_[A-Za-z0-9]{20,}|github_pat_\w{20,}"
    r"|glpat-[\w-]{16,}|xox[abeoprs]-[\w-]{10,}|[rs]k[-_][\w-]{16,}|dapi[0-9a-f]{32}|npm_[A-Za-z0-9]{30,}"
    r"|hf_[A-Za-z0-9]{30,}|ya29\.[\w-]{20,}|pypi-[\w-]{30,}|SG\.[\w-]{16,}\.[\w-]{16,}"
)
_PATTERNS = [
    # postgresql://user:p@ss/word@host, https://token@host; a port with an @ further on is not a password.
    r"(?P<kept>\b[a-z][a-z0-9+.-]{1,20}://[^\s/?#:@]*:)(?!\d{1,5}(?:[/?#]|$))[^\s\"'<>]{0,512}(?=@)",
    r"(?P<kept>\b[a-z][a-z0-9+.-]{1,20}://)(?=[^\s@]*\d)[^\s/?#:@]{8,512}(?=@)",
    r"(?P<kept>\bauthorization[\"']?\s*[:=]\s*[\"']?(?:[a-z]+\s+)?)[^\s\"',;]+",
    r"(?P<kept>\b(?:bearer|basic)\s+)(?=\S*\d|\S{20})[\w.~+/=-]{8,}",
    # token=..., "client_secret": "..."; after a colon, a plain word may be part of a sentence: "token: expired".
    rf"(?P<kept>(?:{_NAMES})[\w-]{{0,32}}(?:\\{{0,4}}[\"'])?\s*(?:=>?|:(?=\s*{_QUOTE})|:(?=\s*\S*\d))\s*){_VALUE}",
    rf"(?P<kept><[\w:.-]{{0,32}}(?:{_NAMES})[\w-]{{0,32}}(?:\s[^<>]{{0,200}})?>)[^<>]+",  # <password>...</password>
    # --password word, as command lines have it
    rf"(?P<kept>(?<!\S)--[\w-]{{0,32}}(?:{_NAMES})\s+)(?!-){_VALUE}",
    r"(?P<kept>\b(?:set-)?cookie[\"']?\s*[:=]\s*[\"']?)[^\s\"'=]{1,128}=[^\r\n\"']+",
    r"(?P<kept>[?&](?:api_?)?key=)[^\s&\"'<>#]+",
    r"(?P<kept>\bhooks\.slack\.com/(?:services|workflows|triggers)/)[^\s\"'<>]+",
    r"(?P<kept>\bapi\.telegram\.org/(?:file/)?bot)[^\s/\"'<>]+",
    (
        r"(?P<kept>\b[a-z][a-z0-9+.-]{1,20}%3a%2f%2f(?:(?!%(?:2f|40))[^\s\"'<>])*?%3a)"
        r"(?!\d{1,5}(?:%2f|%3f|$))(?:(?!%40)[^\s\"'<>]){1,512}(?=%40)"
    ),
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?",  # a JSON web token
]
_SECRETS = [re.compile(pattern, re.IGNORECASE | re.DOTALL) for pattern in _PATTERNS]
_SECRETS.append(re.compile(rf"\b(?:{_KEYS})"))


def hidden(value: Any) -> Any:
    """Replace the secrets in a text, or in the texts of a list or mapping, with stars; anything else stays."""
    if isinstance(value, str):
        return _without_secrets(value)
    if isinstance(value, Mapping):
        return {name: hidden(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [hidden(item) for item in value]
    return value


def _without_secrets(text: str) -> str:
    # If Airflow cannot mask a text, it returns another one that says so, never the text itself.
    text = str(redact(text))
    for secret in _SECRETS:
        text = secret.sub(lambda found: f"{found.groupdict().get('kept') or ''}{STARS}", text)
    return text
