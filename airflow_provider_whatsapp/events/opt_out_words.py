# ruff: noqa: RUF001  (words of many scripts)
"""
Words with which people say that they want no more messages, or want them again.

A reply counts as a whole: "Stop!" is an opt-out, "please don't stop" is not. Case, accents, spaces and punctuation
around it do not matter.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.events.kinds import OWN_BUTTONS, Preference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

LONGEST = 64
"""The most characters of a reply that may be a word; a longer reply is not compared."""
MOST = 5_000
"""The most words of a list."""
MOST_BYTES = 1_000_000
"""The most bytes of a file of words."""
KINDS = ("text", "button", "interactive")
"""Types of messages that may contain a word."""

Scope = Literal["all", "marketing"]
Meaning = Literal["all", "marketing", "start"]
MEANINGS: tuple[Meaning, ...] = ("all", "marketing", "start")

STOP_WORDS: Mapping[str, str] = {
    "en": "STOP, STOP ALL, STOPALL, UNSUBSCRIBE, CANCEL, END, QUIT, OPT OUT, OPT-OUT, OPTOUT",
    "es": "BAJA, DAR DE BAJA, DARME DE BAJA, ALTO, CANCELAR, PARA, PARAR, DETENER",
    "pt": "PARAR, PARE, SAIR, CANCELAR, DESCADASTRAR, REMOVER",
    "fr": "ARRET, ARRETER, ARRETEZ, DESABONNER, DESINSCRIRE, DESINSCRIPTION, ANNULER",
    "de": "STOPP, STOPPEN, ABMELDEN, ABBESTELLEN, AUSTRAGEN, ABBRECHEN",
    "it": "FERMA, BASTA, CANCELLA, CANCELLAMI, DISISCRIVI, DISISCRIVIMI, ANNULLA",
    "nl": "AFMELDEN, UITSCHRIJVEN, STOPPEN, ANNULEREN",
    "pl": "WYPISZ, WYPISZ MNIE, REZYGNUJĘ, ANULUJ",
    "tr": "DUR, DURDUR, İPTAL, ÇIK, ÇIKIŞ",
    "ru": "СТОП, ОТПИСАТЬСЯ, ОТПИСКА, ОТМЕНА",
    "uk": "СТОП, ВІДПИСАТИСЯ, ВІДПИСКА, СКАСУВАТИ",
    "ar": "إيقاف, ايقاف, توقف, إلغاء, الغاء, إلغاء الاشتراك, الغاء الاشتراك",
    "he": "הסר, הסרה, עצור",
    "hi": "रोकें, बंद करें, बंद करो, स्टॉप",
    "id": "BERHENTI, BERHENTI LANGGANAN, HENTIKAN, BATAL",
    "ja": "停止, 配信停止, 解除, ストップ",
    "ko": "수신거부, 중지, 그만",
    "zh": "停止, 退订, 退訂, 取消订阅, 取消訂閱",
}
START_WORDS: Mapping[str, str] = {
    "en": "START, UNSTOP, SUBSCRIBE, OPT IN, OPT-IN, OPTIN, RESUME",
    "es": "ALTA, DARME DE ALTA, INICIAR, REANUDAR, SUSCRIBIR",
    "pt": "INICIAR, VOLTAR, RETOMAR, CADASTRAR",
    "fr": "DEBUT, REPRENDRE, ABONNER, INSCRIRE",
    "de": "ANMELDEN, FORTSETZEN, ABONNIEREN",
    "it": "INIZIA, RIPRENDI, ISCRIVI, ISCRIVIMI",
    "nl": "AANMELDEN, INSCHRIJVEN, HERVATTEN",
    "pl": "ZAPISZ MNIE, WZNÓW",
    "tr": "BAŞLA, BAŞLAT, ABONE OL",
    "ru": "СТАРТ, ПОДПИСАТЬСЯ, ВОЗОБНОВИТЬ",
    "uk": "СТАРТ, ПІДПИСАТИСЯ",
    "ar": "ابدأ, ابدا, بدء, اشتراك",
    "he": "התחל, הצטרף",
    "hi": "शुरू, शुरू करें",
    "id": "MULAI, LANGGANAN",
    "ja": "開始, 再開",
    "ko": "시작, 수신동의",
    "zh": "开始, 開始, 订阅, 訂閱",
}
_TYPED_ONLY = (
    "CANCEL, END, QUIT, CANCELAR, ANNULER, ABBRECHEN, ANNULLA, CANCELLA, ANNULEREN, ANULUJ, İPTAL, "
    "ÇIK, ÇIKIŞ, ОТМЕНА, СКАСУВАТИ, إلغاء, الغاء, BATAL, 解除, SAIR, VOLTAR, REMOVER"
)
_ACCENTS = re.compile(
    "[\u0300-\u036f"  # Latin, Greek, Cyrillic
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"  # the points of Hebrew
    "\u0610-\u061a\u0640\u064b-\u065f\u0670]"  # the vowels of Arabic, its hamza, and the line that stretches a word
)
_DASH = re.compile("[ ]?[\u2010-\u2015\u2212-][ ]?")
_ADVICE = (
    'It is a JSON object of "all", "marketing" and "start", each with a list of words, or with lists by language: '
    '{"all": {"de": ["STOPP", "ABMELDEN"]}}.'
)


def bare(text: str) -> str:
    """Return a text without case, accents and other differences that do not count in a comparison."""
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text)).casefold()
    plain = unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFKD", plain)))
    kept = "".join(char for char in plain if unicodedata.category(char) != "Cf").replace("ı", "i")
    start, end = 0, len(kept)
    while start < end and _around(kept[start]):
        start += 1
    while end > start and _around(kept[end - 1]):
        end -= 1
    return _DASH.sub("-", " ".join(kept[start:end].split()))


def _around(char: str) -> bool:
    """Return whether a character is punctuation, a space, a symbol, or a modifier of an emoji."""
    return unicodedata.category(char)[0] in "PZSC" or char in "\ufe0e\ufe0f\u20e3"


@dataclass(frozen=True)
class OptOutWords:
    """The words and their meaning."""

    all: frozenset[str]  # words that end all messages
    marketing: frozenset[str]  # words that end only marketing
    start: frozenset[str]  # words that allow messages again

    def meaning(self, message: Any) -> Meaning | None:
        """Return what an Inbound, or a row of ``whatsapp_messages``, means; None: neither an opt-out nor its end."""
        typed = message.kind == "text"
        # A press below this package's question or alert is its answer, regardless of the label: "Stop" may stop a run.
        if message.kind not in KINDS or (not typed and (message.payload or "").startswith(OWN_BUTTONS)):
            return None
        for text in (message.text,) if typed else (message.text, message.payload):
            word = bare(text) if text and len(text) <= LONGEST else ""
            # As a button, words such as "Cancel" and "Start" end an appointment or begin a survey.
            if word and (typed or word not in _typed_only):
                for meaning in MEANINGS if typed else MEANINGS[:2]:
                    if word in getattr(self, meaning):
                        return meaning
        return None

    def wishes(self, message: Any) -> Iterator[Preference]:
        """Yield the preferences that a message (see :meth:`meaning`) expresses."""
        meaning = self.meaning(message)
        if meaning is None or not (message.sender or message.sender_user_id):
            return
        scopes: tuple[Scope, ...] = ("all", "marketing") if meaning == "start" else (meaning,)
        for scope in scopes:
            yield Preference(
                account_id=message.account_id,
                number=message.sender,
                user_id=message.sender_user_id,
                scope=scope,
                opted_out=meaning != "start",
                source="reply",
                occurred_at=message.occurred_at,
            )

    @cached_property
    def digest(self) -> int:
        """A number of 64 bits that changes with the words."""
        import hashlib

        held = json.dumps([sorted(getattr(self, meaning)) for meaning in MEANINGS])
        return int.from_bytes(hashlib.sha256(held.encode()).digest()[:7])


def opt_out_words(file: Path | None = None) -> OptOutWords:
    """Return the words that count: the default ones, with the changes of a JSON file if one is given."""
    words: dict[str, Mapping[str, Iterable[str]]] = {
        "all": _split(STOP_WORDS),
        "marketing": {},
        "start": _split(START_WORDS),
    }
    given = {} if file is None else _load(file)
    # A list replaces all words of its kind, lists by language replace that language's words.
    for kind, found in given.items():
        words[kind] = {"": found} if isinstance(found, list) else {**words[kind], **found}
    sets = {kind: frozenset(filter(None, map(bare, _each(lists)))) for kind, lists in words.items()}
    # A word that is listed twice ends messages rather than allowing them, and ends all rather than some.
    return OptOutWords(
        all=sets["all"],
        marketing=sets["marketing"] - sets["all"],
        start=sets["start"] - sets["all"] - sets["marketing"],
    )


def _each(lists: Mapping[str, Iterable[str]]) -> Iterator[str]:
    for words in lists.values():
        yield from words


def _load(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
        found = json.loads(content.decode("utf-8-sig")) if len(content) <= MOST_BYTES else None
    except OSError as error:
        raise ConfigurationError(
            f"the opt-out words cannot be read from {file.name} ({error.strerror})", advice="Check the path."
        ) from None
    except (ValueError, RecursionError):
        raise ConfigurationError(f"{file.name} is not JSON in UTF-8", advice=_ADVICE) from None
    if not isinstance(found, dict) or not found.keys() <= set(MEANINGS):
        raise ConfigurationError(f"{file.name} does not contain opt-out words", advice=_ADVICE)
    for kind, lists in found.items():
        for words in (
            [lists] if isinstance(lists, list) else lists.values() if isinstance(lists, dict) else [None]
        ):
            _check(file.name, kind, words)
    return found


def _check(name: str, kind: str, words: Any) -> None:
    if not isinstance(words, list) or len(words) > MOST:
        raise ConfigurationError(f"{name}: {kind!r} is not a list of at most {MOST:,} words", advice=_ADVICE)
    for word in words:
        if not isinstance(word, str) or not bare(word) or len(word) > LONGEST:
            raise ConfigurationError(
                f"{name}: {kind!r} has an item that is not a word of 1 to {LONGEST} characters",
                advice=_ADVICE,
            )


def _split(lists: Mapping[str, str]) -> dict[str, Sequence[str]]:
    return {language: words.split(", ") for language, words in lists.items()}


_typed_only = frozenset(map(bare, _TYPED_ONLY.split(", ")))
