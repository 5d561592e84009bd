"""Decode DICOM text: by the declared character set, or by the set that fits the bytes.

Some writers declare one character set and use another. A wrongly decoded name must not reach a
hospital. Two patients must not become one because a byte of each identifier was replaced.
Therefore text that cannot be decoded keeps its bytes, written as ``\\xNN``.

Source: PS3.3 C.12.1.1.2 and PS3.5 6.1 (character repertoires).
"""

from __future__ import annotations

import codecs
import re
import unicodedata
import warnings
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

__all__ = ["Decoded", "TextUse", "decode", "python_codecs"]


class TextUse(str, Enum):
    """Purpose of a text; an important text must not be guessed."""

    WORDS = "words"
    """A description that is searched for words: a wrong letter does no harm."""
    NAME = "name"
    """A person's name: decoded by the one character set that fits its bytes."""
    IDENTIFIER = "identifier"
    """It distinguishes patients: two byte strings of one file must never give the same text."""


class Decoded(NamedTuple):
    """A decoded text.

    `charset` names the character set that was used if the declared one does not fit. `is_sound` is
    false if no set fits; then the text has escaped bytes.
    """

    text: str
    charset: str | None = None
    is_sound: bool = True


ESCAPE: Final = b"\x1b"
ASCII_SETS: Final = frozenset(("", "ISO_IR 6", "ISO-IR 6", "ISO 2022 IR 6", "ASCII", "US-ASCII"))
MULTI_BYTE: Final = frozenset(
    ("utf8", "utf-8", "gb18030", "gbk", "gb2312", "iso_ir_58", "euc_kr", "shift_jis", "iso2022_jp")
)
APOSTROPHES: Final = "´’‘·・ー"
DELIMITERS: Final = frozenset(b"\\^=\r\n\f")
"""After these, code extensions start again from the first set (PS3.5 6.1.2.5.3)."""


@lru_cache(maxsize=64)
def python_codecs(declared: tuple[str, ...]) -> tuple[str, ...]:
    """Give the Python codecs of Specific Character Set (0008,0005).

    The first is "" if only ASCII or an unknown set is declared.

    Examples
    --------
    >>> python_codecs(("ISO_IR 100",)), python_codecs(()), python_codecs(("ISO-IR 192",))
    (('latin_1',), ('',), ('UTF8',))
    """
    from pydicom.charset import convert_encodings, python_encoding

    values = [value.strip().upper().replace("ISO-IR", "ISO_IR") for value in declared] or [""]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = list(convert_encodings(values))
    if values[0] in ASCII_SETS or not (values[0] in python_encoding or _is_codec(values[0])):
        found[0] = ""
    return tuple(found)


def decode(raw: bytes, declared: tuple[str, ...], use: TextUse) -> Decoded:
    """Decode the bytes of one text, without its padding.

    Parameters
    ----------
    declared
        The codecs of the data set, from `python_codecs`.
    use
        The purpose of the text.

    Examples
    --------
    >>> latin = "Müller".encode("latin-1")
    >>> decode(latin, ("latin_1",), TextUse.NAME)
    Decoded(text='Müller', charset=None, is_sound=True)
    >>> decode(latin, ("UTF8",), TextUse.NAME)
    Decoded(text='Müller', charset='Western European', is_sound=True)
    >>> decode(b"P\\xe912", ("UTF8",), TextUse.IDENTIFIER)
    Decoded(text='P\\\\xe912', charset=None, is_sound=False)
    """
    if raw.isascii() and ESCAPE not in raw:
        return Decoded(raw.decode("ascii"))
    text = _as_declared(raw, declared)
    utf8 = _as_utf8(raw) if text is None or declared[0].lower() not in MULTI_BYTE else None
    if utf8 is not None:
        return Decoded(utf8, "UTF-8")
    if text is not None and not (declared[0] == "latin_1" and _is_cyrillic(raw)):
        return Decoded(text)
    if use is TextUse.WORDS:
        return Decoded(raw.decode("cp1252", "replace"))
    likely = _likely(raw)
    if likely is not None and (use is TextUse.NAME or _is_bijective(likely, declared)):
        return likely
    return Decoded("".join(chr(b) if 0x20 <= b < 0x7F else f"\\x{b:02x}" for b in raw), None, False)


def _is_codec(name: str) -> bool:
    try:
        codecs.lookup(name)
    except LookupError:
        return False
    return True


def _as_declared(raw: bytes, declared: tuple[str, ...]) -> str | None:
    """Decode by the declared sets; ``None`` if the bytes do not fit."""
    if ESCAPE not in raw:
        return _strictly(raw, declared[0]) if declared[0] else None
    from pydicom.charset import decode_bytes

    try:
        text = decode_bytes(raw, [name or "iso8859" for name in declared], set(DELIMITERS))
    except (LookupError, ValueError):
        return None
    return None if "\ufffd" in text or "\x1b" in text else text


def _strictly(raw: bytes, codec: str) -> str | None:
    try:
        text = raw.decode(codec)
    except (LookupError, UnicodeError):
        return None
    return None if "\ufffd" in text else text


def _as_utf8(raw: bytes) -> str | None:
    """Decode as UTF-8; ``None`` if it fails. Text of another set is hardly ever valid UTF-8."""
    text = _strictly(raw, "utf-8")
    return text if text is not None and _is_lettered(text) else None


def _is_bijective(found: Decoded, declared: tuple[str, ...]) -> bool:
    """Return whether an identifier may be decoded: in the usual set, each byte is one letter."""
    return declared[0] == "" and found.charset == WESTERN


WESTERN: Final = "Western European"
_WORD: Final = re.compile(rb"[A-Za-z\x80-\xff]+")
_CYRILLIC: Final = re.compile(rb"[\xc0-\xdf\xa8](?:[\xe0-\xff\xb8]{2,}|[\xc0-\xdf\xa8]{2,})")
"""A word of three or more letters in Windows-1251, with a capital first or all in capitals."""
_A_OR_YA: Final = re.compile(rb"[\xe0\xff]|(?<![\xe0-\xff])[\xc0\xdf](?![\xe0-\xff])")
"""Almost every Russian name has one of these two letters. Greek words do not have these bytes in
these places."""
_KOI8: Final = re.compile(rb"[\xe0-\xff\xb3][\xc0-\xdf\xa3]{2,}")
_HANZI: Final = re.compile(rb"(?:[\xb0-\xd7][\xa1-\xfe]){1,3}")
"""Common characters, at most three in a part of a name; longer words belong to other scripts."""
_HANGUL: Final = re.compile(rb"(?:[\xb0-\xc8][\xa1-\xfe])+")
_ACCENT: Final = rb"[\x8a\x8c\x8e\x92\x9a\x9c\x9e\x9f\xaa\xb4\xba\xc0-\xff]"
_WESTERN_WORD: Final = re.compile(
    rb"[A-Za-z]*(?:" + _ACCENT + rb"{1,2}[A-Za-z]+)*" + _ACCENT + rb"{0,2}"
)
"""Few accented letters among plain letters; a Western name never has three in a row."""


def _likely(raw: bytes) -> Decoded | None:
    """Decode by the first character set that fits every word; ``None`` if no set fits."""
    mixed = any(re.search(rb"[A-Za-z]", word) for word in _high_words(raw))
    single = all(len(word) == 1 for word in _high_words(raw))
    candidates = (
        ("Windows-1251", "cp1251", _is_cyrillic(raw)),
        ("KOI8-R", "koi8_r", _fits(raw, _KOI8)),
        ("GB 2312", "gb2312", _fits(raw, _HANZI) and not _fits(raw, _HANGUL)),
        (WESTERN, "cp1252", _fits(raw, _WESTERN_WORD) and (mixed or single)),
        ("Shift JIS", "shift_jis", re.search(rb"[\x81-\x9f]", raw) is not None),
    )
    for name, codec, fits in candidates:
        text = _strictly(raw, codec) if fits else None
        if text is not None and _is_lettered(text) and (codec != "shift_jis" or _is_kanji(text)):
            return Decoded(text, name)
    return None


def _is_cyrillic(raw: bytes) -> bool:
    return _fits(raw, _CYRILLIC) and _A_OR_YA.search(raw) is not None


def _is_kanji(text: str) -> bool:
    """Return whether no word mixes Japanese and Latin letters; a wrong guess would."""
    return not any(
        re.search("[A-Za-z]", word) and not word.isascii() for word in re.split(r"\W+", text)
    )


def _high_words(raw: bytes) -> list[bytes]:
    return [word for word in _WORD.findall(raw) if not word.isascii()]


def _fits(raw: bytes, pattern: re.Pattern[bytes]) -> bool:
    words = _high_words(raw)
    return bool(words) and all(pattern.fullmatch(word) for word in words)


def _is_lettered(text: str) -> bool:
    """Return whether all non-ASCII characters are letters, marks of letters, or apostrophes."""
    return "\x1b" not in text and all(
        letter.isascii()
        or letter.isalnum()
        or letter in APOSTROPHES
        or unicodedata.category(letter).startswith("M")
        for letter in text
    )
