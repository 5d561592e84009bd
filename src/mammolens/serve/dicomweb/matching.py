"""What a query asks for: its parameters, and whether an object fits them.

Source: PS3.18 8.3.4 (query parameters), PS3.4 C.2.2.2 (attribute matching).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mammolens.serve.dicomweb.attributes import COMPUTED, Attribute, Level, find_attribute
from mammolens.serve.dicomweb.json_model import Attributes

__all__ = ["BadQuery", "Criterion", "Query", "fits", "read_query", "wild_match"]

USUAL_LIMIT: Final = 100
MOST_LIMIT: Final = 1000
MOST_OFFSET: Final = 1_000_000
MOST_PARAMETERS: Final = 64
LONGEST_VALUE: Final = 1024
MOST_UIDS: Final = 500
_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
_DATE: Final = re.compile(r"\d{8}")
_TIME: Final = re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")
_NUMBER: Final = re.compile(r"[+-]?\d{1,10}")
_NAME_PARTS: Final = re.compile(r"[\s^=]+")
_LEVELS: Final = {
    Level.STUDY: (Level.STUDY,),
    Level.SERIES: (Level.STUDY, Level.SERIES),
    Level.INSTANCE: (Level.STUDY, Level.SERIES, Level.INSTANCE),
}
_UNSEARCHED: Final = COMPUTED - {"ModalitiesInStudy"}
"""Attributes that are computed for an answer, so a query cannot search by them."""


class BadQuery(Exception):
    """A parameter that cannot be understood; its text is fit to be shown."""


@dataclass(frozen=True)
class Criterion:
    """One attribute, the value that is asked for, and what tells whether one value fits."""

    attribute: Attribute
    value: str
    fits: Callable[[Any], bool]


@dataclass(frozen=True)
class Query:
    """Everything that a query asks for; `included` are tags that are given beside the usual ones,
    ``None`` stands for all."""

    level: Level
    criteria: tuple[Criterion, ...]
    included: frozenset[str] | None
    limit: int
    offset: int


def read_query(level: Level, parameters: Iterable[tuple[str, str]]) -> Query:
    """Read the parameters of a query.

    Raises
    ------
    BadQuery
        One of them is unknown, repeated or not valid.
    """
    given = list(parameters)
    if len(given) > MOST_PARAMETERS or any(len(v) > LONGEST_VALUE for _, v in given):
        raise BadQuery("the query has too many or too long parameters")
    asked: dict[str, str] = {}
    included: list[str] = []
    for name, value in given:
        if name == "includefield":
            included += value.split(",")
        elif name in asked:
            raise BadQuery("a parameter stands twice")
        elif name != "accept":
            asked[name] = value
    fuzzy = asked.pop("fuzzymatching", "false")
    if fuzzy not in ("true", "false"):
        raise BadQuery("fuzzymatching is true or false")
    limit = _count(asked.pop("limit", str(USUAL_LIMIT)), "limit", 1)
    offset = _count(asked.pop("offset", "0"), "offset", 0)
    if offset > MOST_OFFSET:
        raise BadQuery(f"offset is at most {MOST_OFFSET}")
    made = (_criterion(level, name, value, fuzzy == "true") for name, value in asked.items())
    criteria = tuple(criterion for criterion in made if criterion is not None)
    tags = {criterion.attribute.tag for criterion in criteria}
    if len(tags) < len(criteria):
        raise BadQuery("an attribute stands twice")
    return Query(level, criteria, _included(included, tags), min(limit, MOST_LIMIT), offset)


def fits(criterion: Criterion, attributes: Attributes) -> bool:
    """Return whether one of the values of an object fits."""
    values = attributes.get(criterion.attribute.tag, {}).get("Value") or []
    return any(criterion.fits(value) for value in values if value is not None)


def wild_match(pattern: str, text: str) -> bool:
    """Return whether a text fits a pattern with ``*`` and ``?``, in linear memory.

    Examples
    --------
    >>> wild_match("D?e^J*", "Doe^Jane"), wild_match("Doe", "Doe^Jane")
    (True, False)
    """
    at = read = 0
    star, mark = -1, 0  # The last * in the pattern, and where in the text what it matches ends.
    while at < len(text):
        if read < len(pattern) and pattern[read] == "*":
            star, mark = read, at
            read += 1
        elif read < len(pattern) and pattern[read] in ("?", text[at]):
            at, read = at + 1, read + 1
        elif star >= 0:
            mark += 1
            at, read = mark, star + 1
        else:
            return False
    return not pattern[read:].strip("*")


def _count(text: str, name: str, least: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) >= least):
        raise BadQuery(f"{name} is a whole number of at least {least}")
    return int(text)


def _included(names: Sequence[str], asked: set[str]) -> frozenset[str] | None:
    if "all" in names:
        return None
    tags = set(asked)  # what was asked for by its value is given back
    for name in names:
        attribute = find_attribute(name)
        if attribute is not None:
            tags.add(attribute.tag)
        elif not _is_known(name):
            raise BadQuery("includefield names an attribute that DICOM does not have")
    return frozenset(tags)


def _is_known(name: str) -> bool:
    from pydicom.datadict import tag_for_keyword

    if re.fullmatch(r"[0-9A-Fa-f]{8}", name):
        return True
    return all(tag_for_keyword(part) is not None for part in name.split("."))


def _criterion(level: Level, name: str, value: str, fuzzy: bool) -> Criterion | None:
    attribute = find_attribute(name)
    if attribute is None or attribute.level not in _LEVELS[level]:
        raise BadQuery(
            "the query has a parameter that nothing is searched by at this level"
            if _is_known(name)
            else "the query has an unknown parameter"
        )
    if attribute.keyword in _UNSEARCHED:
        raise BadQuery(f"nothing is searched by {attribute.keyword}")
    if value in ("", "*"):
        return None  # universal matching (PS3.4 C.2.2.2.3)
    return Criterion(attribute, value, _matcher(attribute, value, fuzzy))


def _matcher(attribute: Attribute, value: str, fuzzy: bool) -> Callable[[Any], bool]:
    match attribute.vr:
        case "UI":
            return _among(value, attribute.keyword)
        case "DA":
            return _within(value, _DATE, attribute.keyword)
        case "TM":
            return _within(value, _TIME, attribute.keyword)
        case "PN":
            return _named(value, fuzzy)
        case "US" | "UL" | "IS":
            if not _NUMBER.fullmatch(value):
                raise BadQuery(f"{attribute.keyword} is a whole number")
            return lambda found: found == int(value)
    wanted = re.split(r"[,\\]", value) if attribute.keyword == "ModalitiesInStudy" else [value]
    return lambda found: any(wild_match(one.strip(), str(found).strip()) for one in wanted)


def _among(value: str, keyword: str) -> Callable[[Any], bool]:
    uids = frozenset(re.split(r"[,\\]", value))
    if len(uids) > MOST_UIDS or not all(len(u) <= 64 and _UID.fullmatch(u) for u in uids):
        raise BadQuery(f"{keyword} is a list of UIDs")
    return lambda found: found in uids


def _within(value: str, form: re.Pattern[str], keyword: str) -> Callable[[Any], bool]:
    first, dash, last = value.partition("-")
    if not dash:
        last = first
    if not (first or last) or not all(form.fullmatch(end) for end in (first, last) if end):
        raise BadQuery(f"{keyword} is a value or a range FIRST-LAST as DICOM writes them")

    def is_within(found: Any) -> bool:
        text = str(found).replace(":", "").replace(".", "") if form is _DATE else str(found)
        text = text.strip()
        # A short end of a range holds all values that begin with it: 12 is all of 12:00 to 12:59.
        return (
            bool(text)
            and (not first or text >= first or text.startswith(first))
            and (not last or text <= last or text.startswith(last))
        )

    return is_within


def _named(value: str, fuzzy: bool) -> Callable[[Any], bool]:
    """Match names without regard to case and accents; fuzzily: every word begins a part of it."""
    wanted = _plain(value)
    words = [word for word in _NAME_PARTS.split(wanted.replace("*", " ")) if word]

    def is_named(found: Any) -> bool:
        spellings = found.values() if isinstance(found, dict) else [found]
        names = [_plain(str(name)) for name in spellings]
        if any(wild_match(wanted, name) or wild_match(wanted, name.rstrip("^")) for name in names):
            return True
        parts = [part for name in names for part in _NAME_PARTS.split(name) if part]
        return fuzzy and all(any(wild_match(f"{w}*", p) for p in parts) for w in words)

    return is_named


def _plain(name: str) -> str:
    """Give a name in small letters, without accents."""
    apart = unicodedata.normalize("NFKD", name.strip())
    return "".join(c for c in apart if not unicodedata.combining(c)).casefold()
