"""Read grade and size of a carcinoma."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from mammolens.pathology.assertions import Assertion
from mammolens.pathology.layout import Section
from mammolens.pathology.lexicon import IN_SITU_KINDS
from mammolens.pathology.mentions import Marked
from mammolens.pathology.titles import TELLING
from mammolens.pathology.values import Outcome, Property, Statement, Value

__all__ = ["grades_of", "size_of"]

_PLACES: Final = TELLING - {Section.MARKERS}
_ROMAN: Final = {"i": 1, "ii": 2, "iii": 3, "1": 1, "2": 2, "3": 3, "one": 1, "two": 2, "three": 3}
_GRADE: Final = re.compile(
    r"(?P<part>nuclear|tubul\w+|mitotic|nuclei|"
    r"pleomorphism) (?:\w+ )?grade\W{0,3}(?P<n0>[1-3]|i{1,3})\b"
    r"(?: ?(?:-|to|/|or) ?(?P<n5>[1-3])\b(?! ?/))?|"
    r"\b(?:graded?|gr\.?|g|sbr|nhg|mbr)[ :=(-]{0,3}(?:is |of |was |as |grade |"
    r"\(?nottingham\)?:? ?|\(?\w{3,12}\)?: ?)?(?P<n1>[1-3]|i{1,3}|one|two|three)"
    r"(?: ?(?P<to>-|to|/|or|and) ?(?:grade )?(?P<n2>[1-3]|i{1,3}))?(?: of (?:3|"
    r"iii))?(?![\w%]|\.\d| ?mm| ?cm| ?x)|"
    r"\bgrade\b[\w ,():-]{0,40}?[:=] ?(?:grade )?(?P<n3>[1-3]|i{1,3})(?: ?(?P<to2>-|"
    r"to|or) ?(?P<n4>[1-3]|i{1,3}))?(?![\w%]|\.\d)|"
    r"\b(?P<diff>well|moderate(?:ly)?|mod|poor(?:ly)?)(?P<to3>[- ]to[- ](?:moderate|"
    r"poor)(?:ly)?)?[- ]diff(?:erentiated)?\b"
)
_SCORE: Final = re.compile(
    r"(?:total|overall|combined|nottingham|sbr|elston|"
    r"score)[^\d\n]{0,24}(?:[1-3] ?\+ ?[1-3] ?\+ ?[1-3] ?= ?)?([3-9])(?: ?/ ?9|"
    r" of 9)?\b(?! ?mm| ?cm|\.\d)"
    r"|[1-3] ?\+ ?[1-3] ?\+ ?[1-3] ?= ?([3-9])\b|\b([3-9]) ?/ ?9\b"
)
_WORD_GRADE: Final = re.compile(
    r"\b(?P<short>hg|lg|ig)\b|\b(low|intermediate|intermed|high|int)(?:(?: ?-?(?:to|"
    r"and|/)-? ?| ?- ?|/)(low|intermediate|high))?"
    r"[ -](?:nuclear |cytonuclear )?(?:grade|gr)\b|"
    r"\bgrade\b[\w ]{0,16}[:,(=-]{0,2} ?\(?(?:\d ?\()?(low|intermediate|"
    r"high)(?: ?(?:to|-|/) ?(low|intermediate|high))?\b"
)
_GRADE_SIGNS: Final = (
    *("grad", "hg", "lg", "ig", "gr", "diff", "/9", "/ 9", "score", "g1", "g2", "g3", "+"),
    *("of 9", "nottingham"),
)
"""A sentence without any of these gives no grade."""
_SITU_WORDS: Final = re.compile(r"\bdcis\b|in situ|\bnuclear\b|cytonuclear|intraductal")
_DCIS_NAMES: Final = ("low", "intermediate", "high")


def grades_of(rows: Sequence[Marked], outcome: Statement) -> dict[Property, Statement]:
    """Give the grade of the invasive carcinoma and that of DCIS."""
    seen: dict[Property, dict[Value | None, list[str]]] = {}
    later: dict[Property, dict[Value | None, list[str]]] = {}
    topic = ""
    line = -1
    for row in rows:
        if row.section not in _PLACES or row.is_rule:
            continue
        if row.sentence.line != line and row.sentence.line != line + 1:
            topic = ""
        line = row.sentence.line
        place = later if row.section is Section.ADDENDUM else seen
        for kind, value in _grades_in(row, outcome, topic):
            place.setdefault(kind, {}).setdefault(value, []).append(row.sentence.shown)
        topic = _topic(row) or topic
    found: dict[Property, Statement] = {}
    for kind in (Property.GRADE, Property.DCIS_GRADE):
        values = later.get(kind) or seen.get(kind)
        if values:
            found[kind] = _one_of(values, "two grades are given, or one between two")
    return found


def _one_of(values: dict[Value | None, list[str]], reason: str) -> Statement:
    lines = tuple(dict.fromkeys(line for group in values.values() for line in group))[:4]
    value = next(iter(values))
    if len(values) > 1 or value is None:
        return Statement(None, 0.0, lines, reason)
    return Statement(value, 0.95, lines)


def _topic(row: Marked) -> str:
    """Give the carcinoma that a sentence mentions last, "invasive", "situ" or ""."""
    found = ""
    for mention in row.mentions:
        if mention.how not in (Assertion.AFFIRMED, Assertion.DOUBTED):
            continue
        if mention.concept.outcome is Outcome.INVASIVE:
            found = "invasive"
        elif mention.concept.histology in IN_SITU_KINDS or (
            mention.concept.outcome is Outcome.IN_SITU
        ):
            found = "situ"
    return found


def _about(row: Marked, begin: int, end: int, topic: str) -> str:
    """Give which carcinoma a span is about: the one that follows at once, or else the last."""
    before, after, gap = topic, "", 99
    for mention in row.mentions:
        outcome = mention.concept.outcome
        if outcome not in (Outcome.INVASIVE, Outcome.IN_SITU) or mention.how is Assertion.DENIED:
            continue
        kind = "invasive" if outcome is Outcome.INVASIVE else "situ"
        if mention.begin <= begin and mention.end >= end:
            return kind
        if mention.end <= begin + 1:
            before = kind
        elif mention.begin >= end and not after:
            after, gap = kind, mention.begin - end
    between = row.text[end : end + gap] if after else ""
    if after and gap <= 24 and not re.search(r"[,;.]|\bwith\b|\band\b|\bplus\b", between):
        return after
    return before or (after if gap < 60 else "")


def _grades_in(
    row: Marked, outcome: Statement, topic: str
) -> Iterator[tuple[Property, int | str | None]]:
    text = row.text
    if not any(sign in text for sign in _GRADE_SIGNS):
        return
    invasive = outcome.value in (Outcome.INVASIVE.value, None)
    exact = False
    for match in _GRADE.finditer(text):
        if row.context.judge(match.start(), match.end()) in (
            Assertion.HISTORICAL,
            Assertion.MENTIONED,
        ):
            continue
        about = _about(row, match.start(), match.end(), topic)
        if match["part"]:  # The grade of DCIS, but one of three parts of the other.
            if about == "situ" or _SITU_WORDS.search(text[: match.start()]):
                several = match["n5"] and match["n5"] != match["n0"]
                name = None if several else _DCIS_NAMES[_ROMAN[match["n0"]] - 1]
                yield Property.DCIS_GRADE, name
            continue
        value = _grade_value(match)
        if about == "situ" or (not about and outcome.value == Outcome.IN_SITU.value):
            yield Property.DCIS_GRADE, None if value is None else _DCIS_NAMES[value - 1]
        elif invasive and not _part_before(text, match.start()):
            exact = True
            yield Property.GRADE, value
    if invasive and not exact:
        for match in _SCORE.finditer(text):
            total = int(next(g for g in match.groups() if g))
            if re.search(
                r"allred|quick|/ ?8|her|ki|mitotic count",
                text[max(0, match.start() - 20) : match.end() + 3],
            ):
                continue
            if (
                match[1]
                and "9" not in text[match.end(1) : match.end(1) + 5]
                and not re.search(r"total|overall|combined|=|nottingham|sbr", match[0])
            ):
                continue
            if total >= 3 and _about(row, match.start(), match.end(), topic) != "situ":
                # Nottingham: 3 to 5, 6 or 7, 8 or 9 points (Elston and Ellis 1991).
                yield Property.GRADE, 1 if total <= 5 else 2 if total <= 7 else 3
    yield from _word_grades(row, outcome, topic)


def _word_grades(
    row: Marked, outcome: Statement, topic: str
) -> Iterator[tuple[Property, str | None]]:
    text = row.text
    for match in _WORD_GRADE.finditer(text):
        about = _about(row, match.start(), match.end(), topic)
        if row.context.judge(match.start(), match.end()) is not Assertion.AFFIRMED:
            continue
        if about == "situ" or (
            (_SITU_WORDS.search(text) or outcome.value == Outcome.IN_SITU.value)
            and about != "invasive"
        ):
            if match["short"]:
                yield (
                    Property.DCIS_GRADE,
                    {"h": "high", "l": "low", "i": "intermediate"}[match[1][0]],
                )
                continue
            first, second = match[2] or match[4], match[3] or match[5]
            word = {"int": "intermediate", "intermed": "intermediate"}.get(first, first)
            yield Property.DCIS_GRADE, None if second and second != word else word


def _part_before(text: str, begin: int) -> bool:
    return bool(
        re.search(
            r"(?:nuclear|tubul\w+|mito\w+|pleomorphism|glandular differentiation)\W{0,3}$",
            text[max(0, begin - 24) : begin],
        )
    )


def _grade_value(match: re.Match[str]) -> int | None:
    if match["diff"]:
        if match["to3"]:
            return None
        return {"w": 1, "m": 2, "p": 3}[match["diff"][0]]
    first, second = match["n1"] or match["n3"], match["n2"] or match["n4"]
    value = _ROMAN[first]
    if second and not (match["to"] == "/" and _ROMAN[second] == 3):  # "2/3" is 2 of 3
        return value if _ROMAN[second] == value else None
    return value


_DECIMAL_COMMA: Final = re.compile(r"(?<=\d),(?=\d{1,2}(?: ?x ?[\d.,]+){0,2} ?[cm]m)")
_SIZE: Final = re.compile(
    r"(?<![\d.])(\d{1,3}(?:\.\d{1,2})?) ?(?:mm|cm)? ?(?:(?:x|"
    r"by) ?(\d{1,3}(?:\.\d{1,2})?) ?(?:mm|cm)? ?)?(?:(?:x|"
    r"by) ?(\d{1,3}(?:\.\d{1,2})?) ?)?"
    r"-?(mm|cm|millimet|centimet)(?:s|(?:er|re)s?)?\b(?!fn)|"
    r"\b(?:size|extent|diameter|dimension)[^\d:]{0,24}\((mm|cm)\)[: ]{1,3}(\d{1,3}(?:\.\d{1,2})?)\b"
)
_NOT_SIZE: Final = re.compile(
    r"margin|clear|closest|nearest|\bdistance|from (?:the )?(?:nipple|inked|deep|"
    r"anterior|posterior|"
    r"superior|inferior|medial|lateral|edge)|\bcores?\b (?:measur|length|up|of)|"
    r"deposit|metasta|specimen (?:measur|size|weigh)|"
    r"skin|ellipse|weigh|biopsy cavity|cores? \d|\bfn\b|pieces?|fragments?|"
    r"tissue measur|gauge|away|"
    r"strips?|tumour bed|\bwhole\b|\d ?g\b|"
    r"total (?:tumour )?(?:size|extent)|overall|including dcis|"
    r"with dcis extent|node|radiolog|mammogra|ultrasound|imaging|\bon us\b"
)
_AFTER_SIZE: Final = re.compile(
    r"^\W{0,2}(?:from|fn\b|clear|away|to (?:the )?(?:nearest|closest|margin)|deposit|"
    r"metasta|core|\(?whole|margin|of (?:normal|skin)|punch|fibroadenoma|from the)"
)


def size_of(rows: Sequence[Marked], outcome: Statement) -> Statement | None:
    """Give the largest extent of the carcinoma in mm: of the invasive one if there is one."""
    if outcome.value not in (Outcome.INVASIVE.value, Outcome.IN_SITU.value):
        return None
    wanted = "invasive" if outcome.value == Outcome.INVASIVE.value else "situ"
    sizes: dict[bool, list[tuple[float, str]]] = {}  # True: of an addendum
    topic, line = "", -5
    for row in rows:
        if row.section not in _PLACES or row.is_rule:
            continue
        if row.sentence.line > line + 1:
            topic = ""
        line = row.sentence.line
        for about, size in _sizes_in(row, topic):
            later = row.section is Section.ADDENDUM
            if about == wanted or not about:
                sizes.setdefault(later, []).append((size, row.sentence.shown))
        topic = _topic(row) or topic
    found = sizes.get(True) or sizes.get(False)
    if not found:
        return None
    largest, shown = max(found)
    return Statement(round(largest, 2), 0.9 if len(found) == 1 else 0.8, (shown,))


def _sizes_in(row: Marked, topic: str) -> Iterator[tuple[str, float]]:
    text = _DECIMAL_COMMA.sub(".", row.text)
    for match in _SIZE.finditer(text):
        before = text[max(0, match.start() - 60) : match.start()]
        clause = re.split(r"[;.] |, (?!greatest|max|largest|at least|size)", before)[-1]
        if re.search(r"\bweigh|\d ?g\b", text[: match.start()].rpartition(". ")[2]):
            continue
        if _NOT_SIZE.search(clause) or _AFTER_SIZE.match(text[match.end() : match.end() + 20]):
            continue
        about = _about(row, match.start(), match.end(), topic)
        named = re.search(r"\bdcis\b|in situ", clause), re.search(r"invasive|tumour", clause)
        if named[0] and not named[1]:
            about = "situ"
        elif named[1] and not named[0]:
            about = "invasive" if re.search(r"invasive", clause) else about
        if not about and not re.search(
            r"size|extent|dimension|measur|diameter|tumour|\bup to\b", text
        ):
            continue
        factor = 10.0 if (match[4] or match[5]).startswith("c") else 1.0
        numbers = (*match.groups()[:3], match[6])
        yield about, max(float(group) * factor for group in numbers if group)
