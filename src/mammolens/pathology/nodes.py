"""Count the lymph nodes of a specimen: how many were examined, how many have a metastasis."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from mammolens.pathology.mentions import Marked
from mammolens.pathology.titles import TELLING
from mammolens.pathology.values import Property, Statement

__all__ = ["nodes_of"]

_COUNTED: Final = (
    *("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    *("nineteen", "twenty"),
)
_NUMBER: Final = {
    **{word: n for n, word in enumerate(_COUNTED)},
    **dict.fromkeys(("none", "zero", "nil"), 0),
    **{
        f"{tens}{sign}{word}": n + m
        for tens, n in (("twenty", 20), ("thirty", 30), ("forty", 40))
        for m, word in enumerate(_COUNTED[1:10], 1)
        for sign in "- "
    },
    "thirty": 30,
    "forty": 40,
    "single": 1,
    "both": 2,
    "all": -1,  # The other number of the count takes its place.
}
_N: Final = r"(\d{1,2}|" + "|".join(sorted(_NUMBER, key=len)[::-1]) + r")"
_FRACTION: Final = re.compile(
    rf"(?<![\w/.])(\d{{1,2}}) ?/ ?(\d{{1,2}})(?![\d/+]|\.\d| ?%)|\b{_N} (?:out )?of (?:the |"
    rf"further |these |a total of )?{_N}\b"
)
_EXAMINED: Final = re.compile(
    r"\bn ?= ?(\d{1,2})\b|total(?: number)?:? (\d{1,2})\b|number:? (\d{1,2})\b|"
    rf"(?:nodes? |number )(?:examined|identified|found|retrieved|sampled|submitted|"
    rf"received|present|seen)\D{{0,24}}?(\d{{1,2}})\b|"
    rf"(?:number|total|no\.?) (?:of )?(?:sentinel |axillary |"
    rf"lymph )*nodes?(?: examined| identified| found| retrieved|"
    rf" sampled)?[^\d:]{{0,20}}:? ?(\d{{1,2}})\b|"
    r"\bnodes?:? (\d{1,2})(?= ?[(,;])|"
    rf"\b{_N} (?:benign |negative |reactive |sentinel |axillary |lymph |unremarkable |"
    rf"positive |small |intramammary |non-sentinel )*(?:nodes?|slns?)\b"
)
_POSITIVE_NODES: Final = re.compile(
    r"(\d{1,2}) of which (?:contain|show|have|are|is|were)|"
    r"(?:positive|involved)(?: nodes?)?:? (\d{1,2})\b|"
    r"(?:positive|involved|metasta[a-z]{1,4}|with (?:tumour|metasta[a-z]{1,4}|"
    r"macro\w+|carcinoma))[^\d:/]{0,30}: ?(\d{1,2})\b|"
    rf"(?:number|no\.?)(?: of)? (?:positive|involved)(?: nodes)?:? ?(\d{{1,2}})\b|"
    rf"\b(?<!no )(?<!without )(?:metasta[a-z]{{1,4}}|metastatic carcinoma|macromet\w+|"
    rf"tumour deposits?) in "
    rf"{_N}\b(?! ?(?:[/%.]\d|out\b|of\b|blocks?|levels?|mm))|"
    rf"\b{_N} (?:positive|involved|contain|with (?:\w+ )?(?:macro|micro)?metast|show)\w*"
)
_NO_METASTASIS: Final = re.compile(
    r"negative|\bno (?:evidence of )?(?:\w+ )?(?:metasta|malignan|carcinoma|tumour)|"
    r"free of|benign|reactive|"
    r"clear of|uninvolved|not involved|no nodal"
)
_NODE_WORD: Final = re.compile(r"\bnodes?\b|\bsln|\bsentinel|\bln\b|\blns\b|axilla|nodal|\balnd\b")
_ITC: Final = re.compile(r"isolated tumour cells|\bitcs?\b|pn0 ?\(?i\+")
"""Isolated tumour cells, pN0(i+): alone, they do not make a node positive (UICC TNM)."""


def nodes_of(rows: Sequence[Marked], *, only_nodes: bool) -> dict[Property, Statement]:
    """Give how many lymph nodes were examined and how many have a metastasis.

    Parameters
    ----------
    rows
        Sentences about the specimen.
    only_nodes
        Whether the specimen holds lymph nodes alone; else a sentence must speak of nodes.
    """
    if only_nodes and any(row.sentence.starts_line and _PIECE.search(row.text) for row in rows):
        piece = _count_unnumbered(rows)
        return {} if piece is None else _stated(*piece[1:])
    best: tuple[int, int | None, int | None, str] | None = None  # (*_count(…), its sentence)
    line = -1  # The last line that spoke of nodes: the rest of it does too.
    for row in rows:
        text = row.text
        if row.section not in TELLING or row.is_rule or "previous" in text:
            continue
        speaks = only_nodes or bool(_NODE_WORD.search(text))
        if not (speaks or row.sentence.line == line) or "intramammary" in text:
            continue
        line = row.sentence.line
        weight, examined, positive = _count(text)
        if weight and (best is None or weight > best[0]):
            if best is not None and weight == 2 and positive is None:
                positive = best[2]  # An earlier sentence gave only the positive nodes.
            best = (weight, examined, positive, row.sentence.shown)
        elif best and weight and None in best[1:3]:
            examined = best[1] if best[1] is not None else examined
            positive = best[2] if best[2] is not None else positive
            best = (best[0], examined, positive, best[3])
    if best is None and only_nodes:
        best = _count_unnumbered(rows)
    if best is None:
        return {}
    return _stated(*best[1:])


def _stated(examined: int | None, positive: int | None, shown: str) -> dict[Property, Statement]:
    pairs = ((Property.NODES_EXAMINED, examined), (Property.NODES_POSITIVE, positive))
    return {kind: Statement(value, 0.9, (shown,)) for kind, value in pairs if value is not None}


_PIECE: Final = re.compile(r"\bcores?\b|\bfnac?\b|aspirat|\bneedle\b|\bsmears?\b")
"""A sample of a node: it is one node, however many cores or smears it has."""
_ONE: Final = re.compile(r"\bnode\b|\bln\b|\bsln\b")
_AXILLA: Final = re.compile(r"\baxilla\w*[ ,]{1,2}(?:\w+ )?(?:cores?\b|fna)")
_TWO: Final = re.compile(r"\bboth\b|\bsecond\b|\bplus (?:a|one|another)\b")
_DOUBTFUL: Final = re.compile(
    r"suspicious|suspected|not diagnostic|cannot be excluded|equivocal|\batypical\b|possible"
)
_METASTASIS: Final = re.compile(
    r"(?<!micro)metasta|\bmicromet|\bdeposits?\b|\bpositive\b|malignant cells|carcinoma"
)


def _count_unnumbered(rows: Sequence[Marked]) -> tuple[int, int | None, int | None, str] | None:
    """Count the node of a specimen that names one node (or "both") without a number."""
    used = [row for row in rows if row.section in TELLING and not row.is_rule]
    text = " ".join(row.text for row in used)[:2000]
    taken = " ".join(row.text for row in rows if row.section not in TELLING)[:2000]
    if not _ONE.search(text) and not _ONE.search(taken) and not _AXILLA.search(text):
        return None
    examined = 2 if _TWO.search(text) and not _PIECE.search(text) else 1
    positive = None
    if _DOUBTFUL.search(text):
        positive = None
    elif _ITC.search(text) or _NO_METASTASIS.search(text):
        positive = 0
    elif _METASTASIS.search(text):
        positive = examined if examined == 1 else None
    return 1, examined, positive, (used or list(rows))[0].sentence.shown


def _number(word: str) -> int:
    """Give the value of digits of any script ("9", "09"), or of a word of `_NUMBER`."""
    return int(word) if word.isdecimal() else _NUMBER[word]


def _count(text: str) -> tuple[int, int | None, int | None]:
    """Give the weight (3 "2 of 5", 2 examined, 1 positive alone, 0 none), examined, positive."""
    only_itc = bool(_ITC.search(text)) and "macromet" not in text and "micromet" not in text
    for match in _FRACTION.finditer(text):
        if re.search(
            r"score|allred|grade|level \d|\bfor\b.{0,4}$",
            text[max(0, match.start() - 12) : match.start()],
        ):
            continue
        first = _number(match[1] or match[3])
        second = _number(match[2] or match[4])
        first = second if first == -1 else first
        if 0 <= first <= second and second > 0:
            if (
                match[3]
                and _NO_METASTASIS.search(text)
                and "positive" not in text
                and "metasta" not in text
            ):
                first = 0  # "Three of three nodes are benign".
            return 3, second, 0 if only_itc else first
    examined = positive = None
    if called := _POSITIVE_NODES.search(text):
        positive = _number(next(group for group in called.groups() if group))
    if counted := _EXAMINED.search(text):
        examined = _number(next(group for group in counted.groups() if group))
        if examined <= 0:
            examined = None
    if examined is not None and positive is None:
        if _NO_METASTASIS.search(text) or only_itc:
            positive = 0
        elif re.search(r"positive|involved|metasta|contain", text) and not re.search(
            r"examined|number", text
        ):
            positive = examined
    if positive == -1:
        positive = examined
    return (2 if examined is not None else 1 if positive is not None else 0), examined, positive
