"""Read the receptors of a carcinoma: oestrogen, progesterone, HER2, and the Ki-67 index."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from mammolens.pathology.layout import Section
from mammolens.pathology.mentions import Marked
from mammolens.pathology.titles import TELLING
from mammolens.pathology.values import Property, Statement

__all__ = ["receptors_of"]

_NAME: Final = re.compile(
    r"\b(?P<triple>triple[- ]negative)\b|"
    r"\b(?P<her2>her ?-?2(?:[/ -]?neu)?|c-?erb-?b-?2|erbb2|(?:reflex )?\b[fcs]?ish\b|"
    r"\bd-?ish\b)(?:\(?(?:fish|ish)\)?)?(?![a-z])|"
    r"\b(?P<er>er(?:alpha)?|o?estrogen(?: receptors?)?(?: \(er\))?|"
    r"oestrogen(?: receptors?)?(?: \(er\))?)(?= |[:+,/&=(-]|$|\d|\.)|"
    r"\b(?P<pr>pr|pgr|progesterone(?: receptors?)?(?: \(pg?r\))?)(?= |[:+,/&=(-]|$|\d|\.)|"
    r"\b(?P<ki67>ki ?-?67|mib ?-?1)|"
    r"\b(?P<both>hormone receptors?|receptors?)(?= (?:positive|negative|pos\b|neg\b))"
)
_NONE: Final = re.compile(
    r"pending|to follow|awaited|not (?:performed|assessed|done|available|tested|possible)|"
    r"insufficient|will be|requested|deferred|sent for|not evaluable|cannot be|recommended"
)
_LOW: Final = re.compile(r"low[- ]positive|weakly positive in [1-9] ?%|low expression")
_POSITIVE: Final = re.compile(
    r"\bpositiv(?:e|ity)\b|\bpos\b|(?:^|(?<=[\w)])) ?\+(?!\d)|\+ve|\bpresent\b"
)
_NEGATIVE: Final = re.compile(
    r"\bnegativ(?:e|ity)\b|\bneg\b|-ve\b|"
    r"^ ?-(?=(?: (?!\W*(?:\d|pos|neg|[a-z]{4}))|,|;|\.|$|\)|/))|\(-\)|\babsent\b|"
    r"\bno (?:nuclear )?staining\b|\bnil\b"
)
_PERCENT: Final = re.compile(
    r"(<|>|~)? ?=? ?(\d{1,3}(?:\.\d)?)(?: ?(?:-|to) ?(\d{1,3}))? ?(?:%|per ?cent)"
)
_ALLRED: Final = re.compile(
    r"(?:allred|quick ?score|\bqs|h-?score)?[^\d%]{0,12}\b([0-8]) ?/ ?8|(?:allred|"
    r"quick ?score|\bqs)[^\d]{0,12}([0-8])\b(?!\d|%)"
)
_BARE_SCORE: Final = re.compile(
    r"^(?: status| score)?[ :=]{0,3}([0-8])(?= ?(?:[,;.)&]|$|and\b|\())(?!\.\d)"
)
_IHC: Final = re.compile(r"(?<![\d.])([0-3])(?: ?\+|(?= ?(?:\(|by ihc|,|;|\.|$|/3)))")
_EQUIVOCAL: Final = re.compile(r"\bequivocal\b|\bborderline\b|\bindeterminate\b")
_AMPLIFIED: Final = re.compile(
    r"(?P<not>\bnot |\bnon-?|\bno |\bun|\bnegative for (?:gene )?)?(?:\w+ )?\bamplifi(?:ed|cation)"
)
_ISH: Final = re.compile(r"\b(?:d?-?f?ish|fish|cish|sish|ddish|in situ hybridi[sz]ation)\b")
_NOT_OURS: Final = re.compile(
    r"\bprevious|\bprior\b|\bhistory\b|\bon the (?:core|biopsy)\b.*\bwas\b"
)


def receptors_of(rows: Iterable[Marked]) -> dict[Property, Statement]:
    """Give what the sentences state about receptors; the addendum overrules, ISH overrules IHC."""
    seen: dict[Property, list[tuple[int, str | float | None, str]]] = {}
    for row in rows:
        text = row.sentence.text
        if row.section not in TELLING or row.is_rule or _NOT_OURS.search(text):
            continue
        weight = 2 if row.section is Section.ADDENDUM else 1
        for kind, value, strength in _read(text):
            seen.setdefault(kind, []).append((weight * 10 + strength, value, row.sentence.shown))
    return {kind: _settle(found) for kind, found in seen.items()}


def _settle(found: list[tuple[int, str | float | None, str]]) -> Statement:
    strongest = max(weight for weight, _, _ in found)
    used = [(value, line) for weight, value, line in found if weight == strongest]
    lines = tuple(dict.fromkeys(line for _, line in used))[:3]
    values = {value for value, _ in used}
    if values == {"positive", "low positive"}:
        values = {"low positive"}
    value = next(iter(values))
    if len(values) > 1 or value is None:
        return Statement(None, 0.0, lines, "the value is a range, or two values are given")
    return Statement(value, 0.95, lines)


_VERDICT_FIRST: Final = re.compile(
    r"\b(positive|negative) for (?P<list>(?:(?:o?estrogen|progesterone|receptors?|er|pr|pgr|"
    r"her ?-?2(?:/neu)?|and|or|/|,)[ ,/]*){1,12}+)"
)
_H_SCORE: Final = re.compile(r"\bh-?score\W{0,4}(?:of )?(\d{1,3})\b")


def _verdicts_first(text: str) -> list[tuple[Property, str | float | None, int]]:
    """Read "positive for ER and PR": the verdict stands before the names."""
    names = ((Property.ER, r"\b(?:er|o?estrogen)\b"), (Property.PR, r"\b(?:pgr|pr|progesterone)\b"))
    return [
        (kind, match[1], 0)
        for match in _VERDICT_FIRST.finditer(text)
        for kind, name in (*names, (Property.HER2, r"\bher ?-?2"))
        if re.search(name, match["list"])
    ]


def _read(text: str) -> list[tuple[Property, str | float | None, int]]:
    names = list(_NAME.finditer(text))
    found = _verdicts_first(text)
    ends = [*(match.start() for match in names[1:]), len(text)][: len(names)]
    waiting: list[Property] = []
    for match, end in zip(names, ends, strict=True):
        tail = text[match.end() : end]
        if match["triple"]:
            trio = (Property.ER, Property.PR, Property.HER2)
            found += [(kind, "negative", 0) for kind in trio]
            continue
        kinds = (
            [Property.ER, Property.PR]
            if match["both"]
            else [Property(match.lastgroup if match.lastgroup != "ki67" else "ki67_percent")]
        )
        if not re.search(
            r"[a-z]{3}|[\d+%-]",
            tail.replace("and", "")
            .replace("receptors", "")
            .replace("receptor", "")
            .replace("status", ""),
        ):
            waiting += kinds  # "ER and PR: positive": the value follows the last name.
            continue
        for kind in [*waiting, *kinds]:
            value = _value(kind, tail)
            if value is not _ABSENT:
                strength = (
                    2
                    if kind is Property.HER2
                    and (_ISH.search(match[0] + tail) or _AMPLIFIED.search(tail))
                    else 0
                )
                found.append((kind, value, strength))  # type: ignore[arg-type]
        waiting = []
    return found


_ABSENT: Final = object()


def _value(kind: Property, tail: str) -> object:
    """Read the words behind the name of a receptor."""
    if kind is Property.KI67:
        return _index(tail)
    if _NONE.search(tail):
        return _ABSENT
    if kind is Property.HER2:
        return _her2(tail)
    if _LOW.search(tail):
        return "low positive"
    positive, negative = _POSITIVE.search(tail), _NEGATIVE.search(tail)
    if positive and not (negative and negative.start() < positive.start()):
        return "positive"
    if negative:
        return "negative"
    if match := _H_SCORE.search(tail):
        return "positive" if int(match[1]) > 10 else "negative" if match[1] == "0" else _ABSENT
    if match := _ALLRED.search(tail):
        return "positive" if int(match[1] or match[2]) > 2 else "negative"  # Harvey 1999
    if match := _BARE_SCORE.match(tail):
        return "positive" if int(match[1]) > 2 else "negative"
    if match := _PERCENT.search(tail):
        share = float(match[2])
        if match[1] == "<" and share <= 1:
            share = 0.0
        if share < 1:  # 1 %, and 10 % for a low oestrogen receptor: ASCO/CAP 2020.
            return "negative"
        return "low positive" if share <= 10 and kind is Property.ER else "positive"
    return _ABSENT


def _index(tail: str) -> object:
    match = _PERCENT.search(tail)
    if not match:
        return _ABSENT
    if match[3] or match[1] in ("<", ">") or float(match[2]) > 100:
        return None
    return float(match[2])


def _her2(tail: str) -> object:
    if match := _AMPLIFIED.search(tail):
        return "negative" if match["not"] else "positive"
    if _EQUIVOCAL.search(tail):
        return "equivocal"
    if re.search(r"her2-?low|\blow\b", tail):
        return "negative"
    if match := _IHC.search(tail):
        return ("negative", "negative", "equivocal", "positive")[int(match[1])]  # ASCO/CAP
    negative, positive = _NEGATIVE.search(tail), _POSITIVE.search(tail)
    if negative and not (positive and positive.start() < negative.start()):
        return "negative"
    return "positive" if positive else _ABSENT
