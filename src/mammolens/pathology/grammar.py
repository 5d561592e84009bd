"""Read the free text or the form of a pathology report: the specimens and what is stated of each.

    text → sentences with section and label → specimens → outcome, histology, grade, …

Each value carries the sentence that proves it. What the report does not state is left out; what it
states in a way that can be understood twice is unsure and goes to a person.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from mammolens.pathology.assertions import Assertion
from mammolens.pathology.diagnosis import outcome_of
from mammolens.pathology.histologies import histology_of
from mammolens.pathology.layout import Section, Sentence, divide
from mammolens.pathology.measures import grades_of, size_of
from mammolens.pathology.mentions import Marked, b_code_of
from mammolens.pathology.nodes import nodes_of
from mammolens.pathology.positions import clock_of, distance_of, quadrant_of
from mammolens.pathology.receptors import receptors_of
from mammolens.pathology.site import laterality_of, procedure_of, tissue_of
from mammolens.pathology.specimens import Group, group
from mammolens.pathology.text import tidy, unfold
from mammolens.pathology.values import (
    MALIGNANT,
    Outcome,
    Property,
    SpecimenReading,
    Statement,
    TextReading,
    Tissue,
)
from mammolens.pathology.wholes import (
    completed,
    named_by_place,
    not_divided,
    shared_by_all,
    with_missing,
    with_sentinel_nodes,
)

__all__ = ["LONGEST_REPORT", "read_text"]

LONGEST_REPORT: Final = 200_000
"""Characters. Of a longer text only these are read, no outcome is given, and a person looks."""
_FOLDED: Final = 800
"""Characters. In a longer text without line breaks, sections and specimens are not certain."""
_CYTOLOGY: Final = re.compile(
    r"cytolog|\bfna[bc]?\b|fine needle|aspirat|\bsmears?\b|nipple (?:discharge|fluid)"
)
_SAMPLED: Final = re.compile(
    r"biops|\bbx\b|\bcores?\b|\bfna\b|excis|aspirat|\b1[0-8] ?g\b|\bgauge\b|\bvab\b|\bwle\b"
)
_OF_A_BREAST: Final = re.compile(r"\b(?:left|right|lt|rt|both)\W{1,3}breasts?\b")
_OPERATIONS: Final = ("wide local excision", "mastectomy", "re-excision", "excision biopsy")
_FORM: Final = (Section.SYNOPTIC, Section.MARKERS, Section.ADDENDUM, Section.COMMENT)


def read_text(text: str) -> TextReading:
    r"""Read a pathology report.

    Parameters
    ----------
    text
        The whole report. Time grows linearly with its length.

    Returns
    -------
    TextReading
        The specimens in the order of the report; none if there is no text about tissue.

    Examples
    --------
    >>> read = read_text("Left breast, core biopsy: invasive ductal carcinoma, grade 2. B5b.")
    >>> [one.outcome.value for one in read.specimens], read.specimens[0].value(Property.GRADE)
    (['invasive'], 2)
    >>> read_text("Right breast core: suspicious for DCIS").specimens[0].statements[
    ...     Property.OUTCOME].reason
    'the report only suspects a diagnosis'
    """
    sentences = named_by_place(divide(text[:LONGEST_REPORT]))
    groups, floating = group(sentences)
    history = [s for s in sentences if s.section is Section.HISTORY]
    marked = {id(s): Marked(s) for s in sentences}
    cytology = bool(_CYTOLOGY.search(" ".join(s.text for s in sentences[:60])))
    loose_cancer = _place_floating(groups, [Marked(s) for s in floating])
    shared = shared_by_all(sentences, floating)
    read = [_read_specimen(one, history, marked, cytology, len(groups)) for one in groups]
    read = [completed(one, shared) for one in read]
    doubts = []
    if len(text) > LONGEST_REPORT:
        doubts.append(f"the text has {len(text):,} characters: it may be more than one report")
    if not read:
        doubts.append("the report has no text about tissue")
    if loose_cancer and not any(one.outcome in MALIGNANT or one.outcome is None for one in read):
        doubts.append("a malignant diagnosis could not be given to a specimen")
        read = [_doubted(one, doubts[-1]) for one in read]
    if len(text) > LONGEST_REPORT:
        read = [_doubted(one, doubts[0]) for one in read]
    if len(text) > _FOLDED and unfold(tidy(text)) != tidy(text):
        doubts.append("the text has lost its line breaks")
        read = [_doubted(one, doubts[-1]) for one in read]
    if reason := not_divided(sentences, read):
        doubts.append(reason)
        read = [_doubted(one, reason) for one in read]
    read = with_sentinel_nodes(sentences, with_missing(sentences, read))
    return TextReading(tuple(read), tuple(doubts))


def _place_floating(groups: Sequence[Group], floating: Sequence[Marked]) -> bool:
    """Give forms and receptors to the only specimen with carcinoma.

    Returns whether sentences that belong to no specimen speak of a malignant diagnosis.
    """
    if not floating:
        return False
    with_cancer = [
        one
        for one in groups
        if tissue_of(one.headings[:3]) is Tissue.BREAST
        and any(_is_malignant(Marked(s)) for s in one.sentences)
    ]
    if len(with_cancer) > 1:
        with_cancer = [one for one in with_cancer if not _is_shave(one)]
    forms = [row for row in floating if row.section in _FORM]
    if len(with_cancer) == 1:
        with_cancer[0].sentences += [row.sentence for row in forms]
        return False
    elsewhere = [row for row in floating if row.section is not Section.SPECIMEN]
    empty = [one for one in groups if _has_no_diagnosis(one)]
    if not with_cancer and len(empty) == 1:
        empty[0].sentences += [row.sentence for row in elsewhere]
        return False
    return any(_is_malignant(row) for row in elsewhere)


def _is_shave(one: Group) -> bool:
    """Whether it is an additional margin; the form of a report is about the main specimen."""
    taken = procedure_of(one.sentences, Tissue.BREAST)
    return taken is not None and taken.value == "re-excision"


def _has_no_diagnosis(one: Group) -> bool:
    return tissue_of(one.headings[:3]) is Tissue.BREAST and not any(
        mention.concept.outcome
        for sentence in one.sentences
        if sentence.section is not Section.GROSS
        for mention in Marked(sentence).mentions
    )


def _is_malignant(row: Marked) -> bool:
    return row.section not in (Section.SPECIMEN, Section.GROSS) and any(
        one.concept.outcome in MALIGNANT and one.how is Assertion.AFFIRMED for one in row.mentions
    )


def _doubted(one: SpecimenReading, reason: str) -> SpecimenReading:
    return one.doubted(reason) if one.tissue is Tissue.BREAST else one


def _read_specimen(
    one: Group,
    history: Sequence[Sentence],
    marked: dict[int, Marked],
    cytology: bool,
    count: int,
) -> SpecimenReading:
    tissue = Tissue.LYMPH_NODE if one.node_heading else tissue_of(one.headings[:3])
    if tissue is Tissue.OTHER and any(_OF_A_BREAST.search(s.text) for s in one.sentences):
        tissue = Tissue.BREAST
    rows = [marked.get(id(s)) or Marked(s) for s in one.sentences]
    if tissue is Tissue.BREAST and _has_no_breast(rows):
        tissue = Tissue.OTHER
    request = history if count == 1 else []
    where = [*(s for s in one.sentences if _says_where(s)), *_sampled(request)]
    found: dict[Property, Statement | None] = {
        Property.LATERALITY: laterality_of(one.sentences, request),
        Property.PROCEDURE: procedure_of([*one.sentences, *_sampled(request)], tissue),
        Property.CLOCK: clock_of(where),
        Property.DISTANCE: distance_of(where),
        Property.QUADRANT: quadrant_of(where),
    }
    if _is_mastectomy(found[Property.PROCEDURE]):
        for kind in (Property.CLOCK, Property.DISTANCE, Property.QUADRANT):
            found[kind] = None  # The specimen is the whole breast.
    if tissue is Tissue.BREAST:
        procedure = found[Property.PROCEDURE]
        excised = procedure is not None and procedure.value in _OPERATIONS
        smear = procedure is not None and procedure.value == "fine needle aspiration"
        outcome = outcome_of(rows, cytology=cytology, excised=excised, smear=smear)
        found[Property.OUTCOME] = outcome
        found[Property.B_CODE] = b_code_of(rows)
        found[Property.HISTOLOGY] = histology_of(rows, outcome)
        if outcome.unsure or outcome.value in {one.value for one in MALIGNANT}:
            found |= receptors_of(rows)
            found |= grades_of(rows, outcome)
            found[Property.SIZE] = size_of(rows, outcome)
    else:
        found[Property.OUTCOME] = Statement(Outcome.NOT_BREAST.value, 0.95, _first(one))
        if tissue is not Tissue.LYMPH_NODE:
            found |= receptors_of(rows)
    if tissue in (Tissue.BREAST, Tissue.LYMPH_NODE):
        found |= nodes_of(rows, only_nodes=tissue is Tissue.LYMPH_NODE)
    order = {kind: stated for kind in Property if (stated := found.get(kind)) is not None}
    return SpecimenReading(one.name, tissue, MappingProxyType(order))


_NO_BREAST: Final = re.compile(
    r"\bno (?:residual )?(?:breast|mammary|glandular) (?:parenchyma|tissue|epitheli\w+|elements)\b"
)
_OTHER_TISSUE: Final = re.compile(r"\bskin\b|chest wall|subcutis|\bmuscle\b|capsule")
_FAILED: Final = re.compile(
    r"inadequate|insufficient|diagnostic|unsatisf|representative|\bb1\b|\bc1\b|\bcores?\b|needle"
)


def _has_no_breast(rows: Sequence[Marked]) -> bool:
    """Whether other tissue was sampled; a failed sample of the breast is not meant."""
    text = " ".join(row.text for row in rows if row.section is not Section.GROSS)[:5000]
    return bool(_NO_BREAST.search(text) and _OTHER_TISSUE.search(text) and not _FAILED.search(text))


def _is_mastectomy(procedure: Statement | None) -> bool:
    return procedure is not None and procedure.value == "mastectomy"


def _says_where(sentence: Sentence) -> bool:
    return sentence.section is not Section.COMMENT


def _sampled(history: Sequence[Sentence]) -> list[Sentence]:
    """Sentences of the request that say what was sampled."""
    return [s for s in history if _SAMPLED.search(s.text)]


def _first(one: Group) -> tuple[str, ...]:
    return (one.sentences[0].shown,) if one.sentences else ()
