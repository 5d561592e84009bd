"""Read grade, size and lymph nodes of a specimen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from mammolens.pathology.assertions import Assertion
from mammolens.pathology.layout import Section
from mammolens.pathology.lexicon import IN_SITU_KINDS
from mammolens.pathology.mentions import Marked
from mammolens.pathology.values import Outcome, Property, Statement, Value

__all__ = ["grades_of", "nodes_of", "size_of"]

_PLACES: Final = (
    Section.DIAGNOSIS,
    Section.SYNOPTIC,
    Section.MICRO,
    Section.COMMENT,
    Section.BODY,
    Section.ADDENDUM,
)
_ROMAN: Final = {"i": 1, "ii": 2, "iii": 3, "1": 1, "2": 2, "3": 3}
_GRADE: Final = re.compile(
    r"(?P<part>nuclear|tubul\w+|mitotic|nuclei|pleomorphism) (?:\w+ )?grade\W{0,3}(?P<n0>[1-3]|i{1,3})\b|"
    r"\b(?:graded?|gr\.?|g)[ :=(-]{0,3}(?:is |of |was |as |grade |\(?nottingham\)?:? ?|\(?\w{3,12}\)?: ?)?(?P<n1>[1-3]|i{1,3})"
    r"(?: ?(?P<to>-|to|/|or|and) ?(?:grade )?(?P<n2>[1-3]|i{1,3}))?(?: of (?:3|iii))?(?![\w%]|\.\d| ?mm| ?cm| ?x)|"
    r"\bgrade\b[\w ,():-]{0,40}?[:=] ?(?:grade )?(?P<n3>[1-3]|i{1,3})(?: ?(?P<to2>-|to|or) ?(?P<n4>[1-3]|i{1,3}))?(?![\w%]|\.\d)|"
    r"\b(?P<diff>well|moderate(?:ly)?|mod|poor(?:ly)?)(?P<to3>[- ]to[- ](?:moderate|poor)(?:ly)?)?[- ]diff(?:erentiated)?\b"
)
_SCORE: Final = re.compile(
    r"(?:total|overall|combined|nottingham|sbr|elston|score)[^\d\n]{0,24}(?:[1-3] ?\+ ?[1-3] ?\+ ?[1-3] ?= ?)?([3-9])(?: ?/ ?9| of 9)?\b(?! ?mm| ?cm|\.\d)"
    r"|[1-3] ?\+ ?[1-3] ?\+ ?[1-3] ?= ?([3-9])\b|\b([3-9]) ?/ ?9\b"
)
_WORD_GRADE: Final = re.compile(
    r"\b(?P<short>hg|lg|ig)\b|\b(low|intermediate|intermed|high|int)(?:(?: ?-?(?:to|and|/)-? ?| ?- ?|/)(low|intermediate|high))?"
    r"[ -](?:nuclear |cytonuclear )?(?:grade|gr)\b|"
    r"\bgrade\b[\w ]{0,16}[:,(=-]{0,2} ?\(?(?:\d ?\()?(low|intermediate|high)(?: ?(?:to|-|/) ?(low|intermediate|high))?\b"
)
_SITU_WORDS: Final = re.compile(r"\bdcis\b|in situ|\bnuclear\b|cytonuclear|intraductal")
_DCIS_NAMES: Final = ("low", "intermediate", "high")


def grades_of(rows: Sequence[Marked], outcome: Statement) -> dict[Property, Statement]:
    """Give the grade of the invasive carcinoma and that of DCIS."""
    seen: dict[Property, dict[object, list[str]]] = {}
    later: dict[Property, dict[object, list[str]]] = {}
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


def _one_of(values: dict[object, list[str]], reason: str) -> Statement:
    lines = tuple(dict.fromkeys(line for group in values.values() for line in group))[:4]
    value = next(iter(values))
    if len(values) > 1 or value is None:
        return Statement(None, 0.0, lines, reason)
    return Statement(_value(value), 0.95, lines)


def _value(value: object) -> Value:
    if not isinstance(value, (str, int, float)):
        raise TypeError("a value is a word or a number")
    return value


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
    """Give which carcinoma a span of a sentence is about: the one that follows at once, or the last."""
    before, after, gap = topic, "", 99
    for mention in row.mentions:
        outcome = mention.concept.outcome
        if outcome not in (Outcome.INVASIVE, Outcome.IN_SITU):
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
    if not any(
        word in text
        for word in (
            "grad",
            "hg",
            "lg",
            "ig",
            "gr",
            "diff",
            "/9",
            "/ 9",
            "score",
            "g1",
            "g2",
            "g3",
            "+",
            "of 9",
            "nottingham",
        )
    ):
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
        if match["part"]:
            if about == "situ" or _SITU_WORDS.search(text[: match.start()]):
                yield Property.DCIS_GRADE, _DCIS_NAMES[_ROMAN[match["n0"]] - 1]
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
            r"(?:nuclear|tubul\w+|mito\w+|pleomorphism|differentiation)\W{0,3}$",
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
    if second and not (match["to"] == "/" and _ROMAN[second] == 3):
        return value if _ROMAN[second] == value else None
    return value


_SIZE: Final = re.compile(
    r"(?<![\d.])(\d{1,3}(?:\.\d{1,2})?) ?(?:mm|cm)? ?(?:(?:x|by) ?(\d{1,3}(?:\.\d{1,2})?) ?(?:mm|cm)? ?)?(?:(?:x|by) ?(\d{1,3}(?:\.\d{1,2})?) ?)?"
    r"(mm|cm)\b(?!fn)"
)
_NOT_SIZE: Final = re.compile(
    r"margin|clear|closest|nearest|\bdistance|from (?:the )?(?:nipple|inked|deep|anterior|posterior|"
    r"superior|inferior|medial|lateral|edge)|\bcores?\b (?:measur|length|up|of)|deposit|metasta|specimen (?:measur|size|weigh)|"
    r"skin|ellipse|weigh|biopsy cavity|cores? \d|\bfn\b|pieces?|fragments?|tissue measur|gauge|away|"
    r"strips?|whole tumour|total (?:tumour )?(?:size|extent)|overall|including dcis|with dcis extent|node|radiolog|mammogra|ultrasound|imaging|\bon us\b"
)
_AFTER_SIZE: Final = re.compile(
    r"^\W{0,2}(?:from|fn\b|clear|away|to (?:the )?(?:nearest|closest|margin)|deposit|metasta|core|\(?whole|margin|of (?:normal|skin)|punch|fibroadenoma|from the)"
)


def size_of(rows: Sequence[Marked], outcome: Statement) -> Statement | None:
    """Give the largest extent of the carcinoma in mm: of the invasive one if there is one."""
    if outcome.value not in (Outcome.INVASIVE.value, Outcome.IN_SITU.value):
        return None
    wanted = "invasive" if outcome.value == Outcome.INVASIVE.value else "situ"
    sizes: dict[bool, list[tuple[float, str]]] = {}
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
    text = row.text
    for match in _SIZE.finditer(text):
        before = text[max(0, match.start() - 60) : match.start()]
        clause = re.split(r"[;.] |, (?!greatest|max|largest|at least|size)", before)[-1]
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
        factor = 10.0 if match[4] == "cm" else 1.0
        yield about, max(float(group) * factor for group in match.groups()[:3] if group)


_NUMBER: Final = {
    **{str(n): n for n in range(100)},
    **dict(
        zip(
            [
                "no",
                "one",
                "two",
                "three",
                "four",
                "five",
                "six",
                "seven",
                "eight",
                "nine",
                "ten",
                "eleven",
                "twelve",
                "thirteen",
                "fourteen",
                "fifteen",
                "sixteen",
                "seventeen",
                "eighteen",
                "nineteen",
                "twenty",
            ],
            range(21),
            strict=True,
        )
    ),
    "none": 0,
    "zero": 0,
    "nil": 0,
    "single": 1,
    "both": 2,
    "all": -1,
}
_N: Final = r"(\d{1,2}|" + "|".join(w for w in _NUMBER if w.isalpha()) + r")"
_FRACTION: Final = re.compile(
    rf"(?<![\d/.])(\d{{1,2}}) ?/ ?(\d{{1,2}})(?![\d/.+]| ?%)|\b{_N} (?:out )?of (?:the )?{_N}\b"
)
_EXAMINED: Final = re.compile(
    rf"(?:nodes? |number )(?:examined|identified|found|retrieved|sampled|submitted|received|present|seen)\D{{0,24}}?(\d{{1,2}})\b|"
    rf"(?:number|total|no\.?) (?:of )?(?:sentinel |axillary |lymph )*nodes?(?: examined| identified| found| retrieved| sampled)?[^\d:]{{0,20}}:? ?(\d{{1,2}})\b|"
    rf"\b{_N} (?:benign |negative |reactive |sentinel |axillary |lymph |unremarkable |positive |small |intramammary |non-sentinel )*(?:nodes?|slns?)\b"
)
_POSITIVE_NODES: Final = re.compile(
    r"(?:positive|involved|metasta[a-z]{1,4}|with (?:tumour|metasta[a-z]{1,4}|macro\w+|carcinoma))[^\d:/]{0,30}: ?(\d{1,2})\b|"
    rf"\b{_N} (?:positive|involved|contain|with (?:\w+ )?(?:macro|micro)?metast|show)\w*"
)
_NO_METASTASIS: Final = re.compile(
    r"negative|\bno (?:evidence of )?(?:\w+ )?(?:metasta|malignan|carcinoma|tumour)|free of|benign|reactive|"
    r"clear of|uninvolved|not involved|no nodal"
)
_NODE_WORD: Final = re.compile(r"\bnodes?\b|\bsln|\bsentinel|\bln\b|\blns\b|axilla|nodal|\balnd\b")
_ITC: Final = re.compile(r"isolated tumour cells|\bitcs?\b|pn0 ?\(?i\+")


def nodes_of(rows: Iterable[Marked], *, only_nodes: bool) -> dict[Property, Statement]:
    """Give how many lymph nodes were examined and how many have a metastasis.

    Parameters
    ----------
    rows
        Sentences about the specimen.
    only_nodes
        Whether the specimen holds lymph nodes alone; else a sentence must speak of nodes.
    """
    best: tuple[int, int | None, int | None, str] | None = None
    line = -1
    for row in rows:
        text = row.text
        if row.section not in (*_PLACES, Section.MARKERS) or row.is_rule or "previous" in text:
            continue
        speaks = only_nodes or bool(_NODE_WORD.search(text))
        if not (speaks or row.sentence.line == line) or "intramammary" in text:
            continue
        line = row.sentence.line
        weight, examined, positive = _count(text, only_nodes)
        if weight and (best is None or weight > best[0]):
            best = (weight, examined, positive, row.sentence.shown)
        elif best and weight and None in best[1:3]:
            examined = best[1] if best[1] is not None else examined
            positive = best[2] if best[2] is not None else positive
            best = (best[0], examined, positive, best[3])
    if best is None:
        return {}
    pairs = ((Property.NODES_EXAMINED, best[1]), (Property.NODES_POSITIVE, best[2]))
    return {kind: Statement(value, 0.9, (best[3],)) for kind, value in pairs if value is not None}


def _count(text: str, only_nodes: bool) -> tuple[int, int | None, int | None]:
    """Give how good the count of a sentence is (0: none), nodes examined, nodes positive."""
    none_seen = bool(_ITC.search(text)) and "macromet" not in text and "micromet" not in text
    for match in _FRACTION.finditer(text):
        if re.search(
            r"score|allred|grade|level \d|\bfor\b.{0,4}$",
            text[max(0, match.start() - 12) : match.start()],
        ):
            continue
        first = _NUMBER[match[1] or match[3]]
        second = _NUMBER[match[2] or match[4]]
        first = second if first == -1 else first
        if 0 <= first <= second and second > 0:
            if (
                match[3]
                and _NO_METASTASIS.search(text)
                and "positive" not in text
                and "metasta" not in text
            ):
                first = 0
            return 3, second, 0 if none_seen else first
    examined = positive = None
    if called := _POSITIVE_NODES.search(text):
        positive = _NUMBER[called[1] or called[2]]
    if counted := _EXAMINED.search(text):
        examined = _NUMBER[next(group for group in counted.groups() if group)]
        if examined <= 0:
            examined = None
    if examined is not None and positive is None:
        if _NO_METASTASIS.search(text) or none_seen:
            positive = 0
        elif re.search(r"positive|involved|metasta|contain", text) and not re.search(
            r"examined|number", text
        ):
            positive = examined
    if positive == -1:
        positive = examined
    return (2 if examined is not None else 1 if positive is not None else 0), examined, positive
