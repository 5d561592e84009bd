"""Read sides, views and topics from free text, such as the description of a series.

Whole words are compared with `vocabulary`. A description is less reliable than a coded attribute,
so it is compared with the codes, and used only if they are missing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from enum import Enum
from functools import cache, lru_cache
from typing import Final, NamedTuple

from mammolens.core import Laterality, ViewPosition
from mammolens.images.vocabulary import (
    BOTH_SIDES,
    NEGATIONS,
    ORDINARY,
    SIDES,
    TOPICS,
    VIEWS,
    Topic,
)

__all__ = ["Reading", "read_description", "read_laterality", "read_view_position"]


class Reading(NamedTuple):
    """Result of reading a text: side and view (``None`` if no or several), and all topics."""

    laterality: Laterality | None = None
    view_position: ViewPosition | None = None
    topics: frozenset[Topic] = frozenset()


@lru_cache(maxsize=1024)
def read_description(text: str) -> Reading:
    """Read a description, the name of a protocol or paddle, or the meaning of a code.

    Examples
    --------
    >>> read_description("L CC Spot Mag").topics == {Topic.SPOT, Topic.MAGNIFIED}
    True
    >>> read_description("Vergrößerungsaufnahme rechts cc").laterality.value
    'R'
    >>> read_description("Large focal spot, no magnification").topics
    frozenset()
    """
    words = _words(text)
    meanings = list(_meanings(words))
    sides = {value for value in meanings if isinstance(value, Laterality)}
    views = {value for value in meanings if isinstance(value, ViewPosition)}
    topics = {value for value in meanings if isinstance(value, Topic)}
    if _FACTOR.search(text):
        topics.add(Topic.MAGNIFIED)
    topics |= set(_separate_modifiers(words))
    if views:
        sides |= {_LETTERS[word] for word in words if word in _LETTERS}
    view = views.pop() if len(views) == 1 else None
    side = sides.pop() if len(sides) == 1 and _Other.BOTH not in meanings else None
    return Reading(side, view, frozenset(topics))


@lru_cache(maxsize=256)
def read_view_position(value: str) -> Reading:
    """Read one value of View Position (0018,5101): a view, with or without side and modifiers.

    Prefixes and suffixes are the abbreviations of the ACR (PS3.16 CID 4014 and 4015): M magnified,
    S spot, TAN tangential; RL, RM, RI, RS rolled, ID implant displaced, NP nipple in profile, AT
    axillary tail.

    Examples
    --------
    >>> found = read_view_position("M CC")
    >>> found.view_position.value, found.topics == {Topic.MAGNIFIED}
    ('CC', True)
    >>> read_view_position("RMLO").laterality.value
    'R'
    >>> read_view_position("oblique").view_position.value
    'MLO'
    """
    compact = re.sub("[^A-Z]", "", value.upper())
    if compact in ViewPosition.__members__:
        return Reading(None, ViewPosition(compact))
    label = _POSITION.fullmatch(compact)
    if label is None:
        alone = frozenset(_affix_topics(compact)) if _MODIFIERS.fullmatch(compact) else frozenset()
        found = read_description(value)
        return found._replace(topics=found.topics | alone)
    side = _LETTERS[label[1]] if label[1] else None
    topics = {*_affix_topics(label[2]), *_affix_topics(label[4])}
    return Reading(side, ViewPosition(label[3]), frozenset(topics))


def read_laterality(value: str) -> Laterality | None:
    """Read the value of an attribute for the side: a letter or a word.

    Examples
    --------
    >>> read_laterality(" l").value, read_laterality("RIGHT").value, read_laterality("B")
    ('L', 'R', None)
    """
    words = _words(value)
    sides = {_LETTERS[word] for word in words if word in _LETTERS}
    sides |= {value for value in _meanings(words) if isinstance(value, Laterality)}
    return sides.pop() if len(sides) == 1 else None


class _Other(Enum):
    """Meanings of a phrase besides side, view and topic."""

    BOTH = "both sides"
    ORDINARY = "an ordinary phrase"


_Value = Topic | ViewPosition | Laterality | _Other
_LETTERS: Final = {
    **dict.fromkeys(("L", "LT"), Laterality.LEFT),
    **dict.fromkeys(("R", "RT"), Laterality.RIGHT),
}
"""Letters of a side count only in a text with a view: alone, they have too many other meanings."""
_AFFIXES: Final = {
    "MAG": Topic.MAGNIFIED,
    "M": Topic.MAGNIFIED,
    "SPOT": Topic.SPOT,
    "SP": Topic.SPOT,
    "S": Topic.SPOT,
    "TAN": Topic.TANGENTIAL,
    **dict.fromkeys(("RL", "RM", "RI", "RS"), Topic.ROLLED),
    "ID": Topic.IMPLANT,
    "NP": Topic.NIPPLE,
    "NIP": Topic.NIPPLE,
    "AC": Topic.MODIFIED,
    "IMF": Topic.MODIFIED,
    "AX": Topic.AXILLA,
    "AT": Topic.TAIL,
}
_AFFIX: Final = "|".join(sorted(_AFFIXES, key=len, reverse=True))
_PREFIXES: Final = "((?:MAG|SPOT|TAN|M|S)*)"
_LONG_SUFFIXES: Final = "|".join(word for word in _AFFIX.split("|") if len(word) > 1)
_LABEL: Final = re.compile(
    rf"([LR])?{_PREFIXES}(XCCL|XCCM|CC|MLO|LMO|ML|LM)((?:{_LONG_SUFFIXES})*)"
)
"""A view within a text. The suffix S (spot) is not read there: it would be a plural."""
_POSITION: Final = re.compile(
    rf"([LR])?{_PREFIXES}(XCCL|XCCM|CC|MLO|LMO|ML|LM|FB|SIO|ISO)((?:{_AFFIX})*)"
)
_MODIFIERS: Final = re.compile(rf"(?:{_AFFIX})+")
_FACTOR: Final = re.compile(r"\b1[.,][3-9]\d?\s?[xX×]\b|\b[xX×]\s?1[.,][3-9]")
"""A magnification factor of 1.3 or more."""


class _Vocabulary(NamedTuple):
    """The vocabulary in a form for fast search.

    `phrases` gives the meaning of each phrase. `longest` gives, for a first word, the number of
    words of the longest phrase. `beginnings` are beginnings of words with their topics, the longest
    first; `starts` are the same beginnings without topics.
    """

    phrases: dict[str, _Value]
    longest: dict[str, int]
    starts: tuple[str, ...]
    beginnings: tuple[tuple[str, Topic], ...]


def _words(text: str) -> list[str]:
    """Words and numbers of a text in upper case, without accents."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss")).upper()
    return re.findall(r"[A-Z]+|\d+", "".join(c for c in plain if not unicodedata.combining(c)))


def _affix_topics(affixes: str) -> Iterator[Topic]:
    """Give the topics of joined prefixes or suffixes, such as SPOTMAG."""
    return (_AFFIXES[part] for part in re.findall(_AFFIX, affixes))


def _meanings(words: list[str]) -> Iterator[_Value]:
    """Give the meaning of each phrase, the longest match first; skip phrases after a negation."""
    phrases, longest, starts, beginnings = _vocabulary()
    at = 0
    while at < len(words):
        word, length = words[at], 1
        values: tuple[_Value, ...] = ()
        for length in range(longest.get(word, 0), 0, -1):
            value = phrases.get(" ".join(words[at : at + length]))
            if value is not None:
                values = (value,)
                break
        else:
            length = 1
            if word.startswith(starts):
                values = (next(topic for start, topic in beginnings if word.startswith(start)),)
            elif (label := _LABEL.fullmatch(word)) is not None:
                values = tuple(_label_meanings(label))
        if values and not _is_negated(words, at, values[0]):
            yield from values
        at += length


def _separate_modifiers(words: list[str]) -> Iterator[Topic]:
    """Give modifiers that are separate words beside their view, as in M CC, MLO ID, CC RL."""
    for at, word in enumerate(words):
        if _LABEL.fullmatch(word):
            yield from (_AFFIXES[w] for w in words[max(at - 1, 0) : at] if w in ("M", "S"))
            yield from (_AFFIXES[w] for w in words[at + 1 : at + 2] if w in _AFFIXES and len(w) > 1)


def _label_meanings(label: re.Match[str]) -> Iterator[_Value]:
    """Give view, side and modifiers of one word such as RMCC or LCCID."""
    yield ViewPosition(label[3])
    if label[1]:
        yield _LETTERS[label[1]]
    yield from _affix_topics(label[2])
    yield from _affix_topics(label[4])


def _is_negated(words: list[str], at: int, value: _Value) -> bool:
    """Return whether a word before the phrase at `at` negates it, or makes it a volume."""
    before = words[max(at - 2, 0) : at]
    if isinstance(value, ViewPosition) and before and before[-1].isdigit():
        return True  # "100 ml" is a volume.
    return isinstance(value, Topic) and (
        any(w in NEGATIONS for w in before) or before == ["W", "O"]
    )


@cache
def _vocabulary() -> _Vocabulary:
    written: dict[_Value, str] = {_Other.ORDINARY: ORDINARY, _Other.BOTH: BOTH_SIDES}
    for table in (SIDES, VIEWS, TOPICS):
        written.update(table.items())
    phrases: dict[str, _Value] = {}
    longest: dict[str, int] = {}
    beginnings: list[tuple[str, Topic]] = []
    for value, listed in written.items():
        for phrase in map(str.strip, listed.split(",")):
            if phrase.endswith("*") and isinstance(value, Topic):
                beginnings.append((phrase[:-1], value))
                continue
            phrases.setdefault(phrase, value)
            first, length = phrase.split()[0], len(phrase.split())
            longest[first] = max(longest.get(first, 0), length)
    beginnings.sort(key=lambda pair: -len(pair[0]))
    return _Vocabulary(phrases, longest, tuple(s for s, _ in beginnings), tuple(beginnings))
