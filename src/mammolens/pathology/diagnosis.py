"""Decide the outcome of a specimen.

A diagnosis counts only if it is affirmed. A doubt about something worse, two statements that cannot
both be true, or a word that nothing explains make the outcome unsure: a person decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from mammolens.pathology.assertions import Assertion
from mammolens.pathology.layout import Section
from mammolens.pathology.mentions import FINAL, Marked, b_code_of, c_code_outcomes
from mammolens.pathology.values import MALIGNANT, Outcome, Statement

__all__ = ["LOWER", "REVISES", "final_sections", "outcome_of"]

_RANK: Final = {
    Outcome.UNSATISFACTORY: 0.0,
    Outcome.BENIGN: 1.0,
    Outcome.HIGH_RISK: 2.0,
    Outcome.IN_SITU: 3.0,
    Outcome.MALIGNANT: 3.5,
    Outcome.INVASIVE: 4.0,
}
LOWER: Final = (Section.BODY, Section.MICRO, Section.COMMENT, Section.MARKERS)

_UNSATISFACTORY: Final = re.compile(
    r"\binsufficient\b(?! for (?:er|pr|her|receptor|ihc|immuno|grading|fish|ish|"
    r"further|bio|hormone|"
    r"ki))|\binadequate\b(?! for (?:er|pr|her|receptor|ihc|grading|fish))|\bnon[- ]?diagnostic\b|"
    r"\bunsatisfactory\b|\bnot representative\b|\bunrepresentative\b|\bnot adequate\b|"
    r"\bacellular\b|\bqns\b|quantity not sufficient|\bno (?:breast )?(?:tissue|"
    r"epithelial cells|epithelium|ductal epithelium|cellular material)\b"
    r"(?: (?:identified|seen|present|received|for diagnosis))?|"
    r"\btoo (?:scanty?|few|small|crushed|damaged)\b|\bcannot be (?:assessed|"
    r"interpreted|evaluated)\b|"
    r"\bnot diagnostic\b|\bnot assessable\b|\bpauci-?cellular\b|\bblood only\b"
)
_OTHER_PLACE: Final = re.compile(
    r"margin|\bnodes?\b|\bnodal\b|resection line|\binked?\b|\bskin\b|\bnipple\b|muscle|"
    r"vascular|lymphatic|deep fascia|axilla|fascia|\bshav"
)
_SHAVE_HEADING: Final = re.compile(r"^[^:]{0,40}\bshav[^:]{0,20}(?::| - )")
_NODES: Final = re.compile(
    r"\bnodes?\b|\bnodal\b|\blns?\b|\bslns?\b|axilla|\blevels? [i1-3]|\d ?/ ?\d|\d of \d"
)
_NO_DIAGNOSIS: Final = frozenset(("", "normal", "cyst", "scar", "lipoma"))
"""Benign words that describe a sample even if it is not sufficient."""
_ON_BIOPSY: Final = re.compile(
    r"\b(?:core|biopsy|fna|needle)\b.{0,40}?(?:\b(?:showed|had shown|reported|diagnosed|revealed|"
    r"was called|proved|confirmed)\b|=)[^.;]{0,40}$"
)
_INVADES: Final = re.compile(r"(?<!non)inva[ds]|infiltrat|\bi[dlb]c\b")
_MARKER_ROW: Final = re.compile(
    r"^\W*(?:(?:hormone )?receptors?|bio ?markers?|er|pr|pgr|her ?-?2|ki ?-?67|o?estrogen)\b"
)
_SHORT_OF: Final = re.compile(r"\bshort of\b|\bamount|\binsufficient\b|\bnot enough\b|\bcriteria\b")
_EITHER: Final = re.compile(
    r"invasive (?:or|versus|vs\.?|from|/) in situ|in situ (?:or|versus|vs\.?|from|/) invasive"
)
_BOTH: Final = re.compile(
    r"in situ,? (?:or|nor|and|/) ?invasive|invasive,? (?:or|nor|and|/) ?in situ"
)
"""Denied together, they say that there is no malignancy."""
REVISES: Final = re.compile(
    r"amend|correct|revis|review|chang|reclassif|now\b|should read|replac|overrul|supersed|"
    r"upgrad|downgrad|in error|erroneous|withdrawn"
)


@dataclass
class _Evidence:
    """What a set of sentences states: outcome → sentences."""

    certain: dict[Outcome, list[str]] = field(default_factory=dict)
    doubted: dict[Outcome, list[str]] = field(default_factory=dict)
    denied: set[Outcome] = field(default_factory=set)
    atypia: list[str] = field(default_factory=list)
    no_malignancy: list[str] = field(default_factory=list)
    code: Statement | None = None
    revises: bool = False
    benign_kinds: set[str] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.certain or self.doubted or self.atypia or self.no_malignancy or self.code)

    @property
    def worst(self) -> Outcome | None:
        """The worst certain outcome."""
        specific = {one for one in self.certain if one is not Outcome.MALIGNANT}
        if specific & {Outcome.IN_SITU, Outcome.INVASIVE}:
            return max(specific, key=_RANK.__getitem__)
        return max(self.certain, key=_RANK.__getitem__, default=None)


def _gather(rows: Iterable[Marked], cytology: bool, excised: bool, smear: bool) -> _Evidence:
    found = _Evidence()
    rows, fibrous = list(rows), list[str]()
    for row in rows:
        shown, text = row.sentence.shown, row.text
        found.revises |= bool(REVISES.search(text))
        elsewhere = bool(_OTHER_PLACE.search(_SHAVE_HEADING.sub("", text)))
        for mention in row.mentions:
            outcome, generic = mention.concept.outcome, mention.concept.generic
            how = mention.how
            if smear and mention.concept.histology == "invasive" and not _INVADES.search(text):
                outcome = Outcome.MALIGNANT  # A smear does not show whether it is invasive.
            if excised and outcome in MALIGNANT and _ON_BIOPSY.search(text, 0, mention.begin):
                continue  # It is what an earlier biopsy showed, also if the word is left out.
            if _MARKER_ROW.match(text) and outcome in MALIGNANT:
                continue  # It only says on which tissue receptors were tested.
            if mention.concept.histology == "metastasis" and _NODES.search(text):
                continue  # It is in a node of this specimen, not in the breast.
            if outcome is None:
                if not generic and how in (Assertion.AFFIRMED, Assertion.DOUBTED):
                    kind = text[mention.begin : mention.end]
                    (fibrous if "fibroepithelial" in kind else found.atypia).append(shown)
                elif how is Assertion.DENIED and not elsewhere and "tumour" in text:
                    found.no_malignancy.append(shown)
            elif how is Assertion.AFFIRMED:
                if not (generic and outcome is Outcome.MALIGNANT and elsewhere):
                    found.certain.setdefault(outcome, []).append(shown)
                    found.kinds.add(mention.concept.histology)
                    if outcome is Outcome.BENIGN:
                        found.benign_kinds.add(mention.concept.histology)
            elif how is Assertion.DOUBTED:
                if _SHORT_OF.search(text) and outcome in _denied_in(row):
                    continue  # "It resembles DCIS, but falls short of it."
                found.doubted.setdefault(outcome, []).append(shown)
            elif how is Assertion.DENIED:
                found.denied.add(outcome)
                # "No invasive carcinoma" alone says nothing of carcinoma in situ.
                both = outcome is not Outcome.INVASIVE or bool(_BOTH.search(text))
                if outcome in MALIGNANT and not elsewhere and both:
                    found.no_malignancy.append(shown)
        match = _UNSATISFACTORY.search(text)
        if match and not row.is_rule and not elsewhere:
            how = row.context.judge(match.start(), match.end())
            if how in (Assertion.AFFIRMED, Assertion.DENIED):
                found.certain.setdefault(Outcome.UNSATISFACTORY, []).append(shown)
    if not any(word in name for name in found.kinds for word in ("fibroadenoma", "phyllodes")):
        found.atypia += fibrous  # A fibroepithelial lesion is either of them.
    found.code = b_code_of(rows)
    if cytology:
        for outcome, suspected, line in c_code_outcomes(rows):
            (found.doubted if suspected else found.certain).setdefault(outcome, []).append(line)
    return found


def _denied_in(row: Marked) -> set[Outcome | None]:
    return {one.concept.outcome for one in row.mentions if one.how is Assertion.DENIED}


def outcome_of(
    rows: Sequence[Marked], *, cytology: bool, excised: bool = False, smear: bool = False
) -> Statement:
    """Decide the outcome of a breast specimen.

    Parameters
    ----------
    rows
        All sentences about the specimen, in the order of the report.
    cytology
        Whether codes C1 to C5 are results of cytology.
    excised
        Whether it was excised, so that a biopsy in its report is an earlier one.
    smear
        Whether it is an aspirate, in which "ductal carcinoma" does not say that it is invasive.
    """
    sections = final_sections(rows)
    base = [row for row in rows if row.section in sections]
    lower = [row for row in rows if row.section in LOWER and row.section not in sections]
    how = (cytology, excised, smear)
    final, rest = _gather(base, *how), _gather(lower, *how)
    addendum = [row for row in rows if row.section is Section.ADDENDUM]
    later = _gather(addendum, *how)
    if final:
        _add_lower(final, rest)
        decided = _decide(final, 0.97)
        decided = _against_lower(decided, rest)
    else:
        decided = _decide(rest, 0.88)
    return _after_addendum(decided, final or rest, later)


def final_sections(rows: Iterable[Marked]) -> tuple[Section, ...]:
    """Give the sections of the diagnosis; a report without the title has it in its body."""
    titled = any(row.section is Section.DIAGNOSIS for row in rows)
    return FINAL if titled else (*FINAL, Section.BODY)


def _add_lower(final: _Evidence, rest: _Evidence) -> None:
    """Let the description refine "malignant", and let its doubts count."""
    if not (final.certain or final.doubted or final.atypia or final.no_malignancy):
        final.certain, final.doubted, final.atypia = rest.certain, rest.doubted, rest.atypia
        final.no_malignancy = rest.no_malignancy
    if final.worst is Outcome.MALIGNANT and final.code is None:
        for outcome in (Outcome.IN_SITU, Outcome.INVASIVE):
            if outcome in rest.certain:
                final.certain.setdefault(outcome, rest.certain[outcome])
    if final.code is None and rest.code is not None:
        final.code = rest.code
    for outcome, lines in rest.doubted.items():
        if outcome in (Outcome.IN_SITU, Outcome.INVASIVE) and outcome not in final.denied:
            final.doubted.setdefault(outcome, lines)


def _against_lower(decided: Statement, rest: _Evidence) -> Statement:
    """Make a diagnosis unsure that the description contradicts with something worse."""
    worst = rest.worst
    if decided.value is None or worst not in MALIGNANT or worst is None:
        return decided
    now = Outcome(decided.value)
    milder = _RANK[now] < _RANK[Outcome.IN_SITU]
    if milder or (now is Outcome.IN_SITU and worst is Outcome.INVASIVE):
        evidence = (*decided.evidence, *rest.certain[worst])[:4]
        return Statement(None, 0.0, evidence, "the description says worse than the diagnosis")
    return decided


def _decide(found: _Evidence, confidence: float) -> Statement:
    certain, doubted, worst = found.certain, found.doubted, found.worst
    if worst is Outcome.BENIGN and Outcome.UNSATISFACTORY in certain:
        lines = tuple((certain[Outcome.UNSATISFACTORY] + certain[Outcome.BENIGN])[:4])
        if found.benign_kinds <= _NO_DIAGNOSIS:
            return Statement(Outcome.UNSATISFACTORY.value, 0.85, lines)
        return Statement(None, 0.0, lines, "the sample is called benign and not sufficient")
    if worst is None and found.no_malignancy:
        worst, confidence = Outcome.BENIGN, min(confidence, 0.9)
        certain = {worst: found.no_malignancy}
    if worst is None and found.code is None:
        suspected = [line for group in doubted.values() for line in group] + found.atypia
        reason = (
            "the report only suspects a diagnosis" if suspected else "no diagnosis was recognised"
        )
        return Statement(None, 0.0, tuple(dict.fromkeys(suspected))[:4], reason)
    rank = -1.0 if worst is None else _RANK[worst]
    worse = [line for one, lines in doubted.items() if _RANK[one] > rank for line in lines]
    is_b3 = found.code is not None and str(found.code.value).startswith("B3")
    if worst is not None and rank < _RANK[Outcome.HIGH_RISK] and not is_b3:
        worse += found.atypia
    if Outcome.INVASIVE not in doubted and worst is Outcome.IN_SITU:
        worse = []  # What is suspected beside it is no worse than in situ.
    kinds = {Outcome.IN_SITU, Outcome.INVASIVE} <= set(doubted) or any(
        _EITHER.search(line.lower()) for line in worse
    )
    is_b5c = found.code is not None and found.code.value == "B5c"
    if (worst is Outcome.MALIGNANT and (kinds or is_b5c)) or (worst is None and kinds and is_b5c):
        worse = []  # Certainly carcinoma; only its kind is open.
    if worse and not (worst is None and found.code is not None):
        return Statement(None, 0.0, tuple(dict.fromkeys(worse))[:4], "something worse is suspected")
    proof = certain.get(worst, []) if worst is not None else []
    statement = (
        Statement(worst.value, confidence, tuple(dict.fromkeys(proof))[:4])
        if worst is not None
        else None
    )
    other = worst is Outcome.INVASIVE and found.kinds & _OTHER_KINDS
    code = None if other and is_b5c else found.code
    return _with_code(statement, code, worse)


_OTHER_KINDS: Final = frozenset(("metastasis", "lymphoma", "sarcoma", "malignant phyllodes"))
"""Malignant and no carcinoma of the breast: B5c does not contradict them."""
_MEANT: Final = {
    "B1": (Outcome.BENIGN, Outcome.UNSATISFACTORY),
    "B2": (Outcome.BENIGN,),
    "B3": (Outcome.HIGH_RISK,),
    "B5": (Outcome.MALIGNANT, Outcome.IN_SITU, Outcome.INVASIVE),
    "B5a": (Outcome.IN_SITU,),
    "B5b": (Outcome.INVASIVE,),
    "B5c": (Outcome.MALIGNANT,),
}
"""NHS Breast Screening Programme, guidelines for pathology (2021): the codes of core biopsies.

The first outcome of a code is taken if the text gives none. "B5b" means invasive; if a text were
read as in situ beside it, one of both must be wrong, so the outcome is unsure.
"""


def _with_code(stated: Statement | None, code: Statement | None, worse: Sequence[str]) -> Statement:
    """Compare the outcome of the words with that of the B-code."""
    if code is None:
        if stated is None:
            return Statement(None, 0.0, tuple(worse)[:4], "no diagnosis was recognised")
        return stated
    lines = tuple(dict.fromkeys((*(stated.evidence if stated else ()), *code.evidence)))[:5]
    if code.value is None or code.value == "B4":
        return Statement(None, 0.0, lines, code.reason or "B4 means suspicious, not diagnosed")
    name = str(code.value)
    meant = _MEANT.get(name, _MEANT["B3"])  # B3a, B3b
    if stated is None or stated.value is None:
        if worse and name not in ("B5a", "B5b"):
            return Statement(None, 0.0, lines, "the words are less certain than the B-code")
        return Statement(meant[0].value, 0.9, lines)
    outcome = Outcome(stated.value)
    if outcome in meant:
        return Statement(outcome.value, 0.99, lines)
    if outcome is Outcome.MALIGNANT and meant[0] in MALIGNANT:
        return Statement(meant[0].value, 0.95, lines)
    if meant[0] is Outcome.HIGH_RISK and outcome is Outcome.BENIGN:
        return Statement(Outcome.HIGH_RISK.value, 0.85, lines)
    return Statement(None, 0.0, lines, "the words contradict the B-code")


def _after_addendum(base: Statement, before: _Evidence, later: _Evidence) -> Statement:
    """Let an addendum overrule: it may add, resolve a doubt, or revise the diagnosis."""
    if not later:
        return base
    new = _decide(later, 0.95)
    if new.value is None:
        specific = [one for one in later.doubted if one is not Outcome.MALIGNANT]
        return new if later.revises or (specific and not later.certain) else base
    named = any(one is not Outcome.MALIGNANT for one in later.certain) or later.code is not None
    if later.revises and (named or later.no_malignancy):
        return new
    if base.value is None:
        open_doubts = set(before.doubted) - later.denied
        resolved = named or not open_doubts
        return new if resolved else base
    if not named:
        return base
    return new if _RANK[Outcome(new.value)] > _RANK[Outcome(base.value)] else base
