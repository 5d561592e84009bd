"""Find the exam, and the place in its views, to which a pathology report belongs.

What can be read twice is never guessed. Where a sampled place lies follows from its clock position
and its distance from the nipple. The breast is described by its box in an upright picture. The
nipple is the middle of the side that is opposite to the chest wall. A place lies `up`, `outward`
and `deep` of the nipple:

- a CC view shows outward (to the top, as CC views are hung) and depth;
- an MLO view shows depth and the direction in which the compression plates stand, which is halfway
  between up and outward. So the upper outer quadrant is at the top of an MLO view.

A report states the distance along the skin, and no depth. So the region is broad, and it is used to
choose among findings, never to say where a lesion is. `benchmarks/bench_linking.py` measures it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Final

from mammolens.core import Box, Laterality, ViewPosition
from mammolens.outcomes.linking import FOLLOW_UP

__all__ = [
    "BreastInView",
    "ExamLink",
    "KnownExam",
    "LinkDoubt",
    "Place",
    "Sender",
    "findings_in",
    "link_report",
    "region_of",
]

OBLIQUE: Final = math.radians(45)
"""Angle of an MLO view. Usual are 40 to 60 degrees, and the header is often silent; 45 is what the
rule "upper outer lies high" assumes. Another angle moves the expected place up or down."""
TOLERANCE: Final = 0.25
"""Half width of a region as a share of the breast's depth. Set before it was measured: in two views
of one lesion, depths differ by a mean of 7.7 %, 90th percentile 21 % (98 breasts of CESM,
docs/evidence/linking.md). Broader regions hold more lesions, and more wrong findings."""
OFF_AXIS: Final = 0.3
"""Smallest share of a direction (cosine) that says on which side of the nipple line a place is:
between 11:30 and 12:30, a CC view shows neither inner nor outer."""
_QUADRANTS: Final = {
    "upper outer": (1.0, 1.0),
    "upper inner": (1.0, -1.0),
    "lower outer": (-1.0, 1.0),
    "lower inner": (-1.0, -1.0),
    "axillary tail": (1.0, 1.0),
}
"""Quadrant → (up, outward)."""


@dataclass(frozen=True)
class Place:
    """Where tissue was taken, as a report states it; what it does not state is ``None``.

    `quadrant` is a name of the pathology grammar, such as ``upper outer`` or ``central``.
    """

    clock: float | None = None
    distance_mm: float | None = None
    quadrant: str | None = None

    def direction(self, laterality: Laterality) -> tuple[float, float] | None:
        """Give (up, outward) as a unit vector; ``None`` if the place has no direction.

        Clock positions are those that an examiner sees who faces the patient: outward is 3 o'clock
        of the left breast and 9 o'clock of the right one.

        Examples
        --------
        >>> [round(v) for v in Place(clock=9).direction(Laterality.RIGHT)]
        [0, 1]
        >>> [round(v) for v in Place(clock=9).direction(Laterality.LEFT)]
        [0, -1]
        """
        if self.clock is not None:
            angle = math.radians(self.clock * 30.0)
            outward = math.sin(angle) * (1.0 if laterality is Laterality.LEFT else -1.0)
            return math.cos(angle), outward
        if self.quadrant in _QUADRANTS:
            up, outward = _QUADRANTS[self.quadrant]
            return up * math.sqrt(0.5), outward * math.sqrt(0.5)
        return None


@dataclass(frozen=True)
class BreastInView:
    """A breast in an upright view.

    `box_source_px` is its bounding box. `mm_per_px` is ``None`` if the spacing is not known.
    """

    view: ViewPosition
    laterality: Laterality
    box_source_px: Box
    chest_wall_right: bool
    mm_per_px: float | None = None

    @property
    def depth_px(self) -> float:
        """Distance from the nipple to the chest wall's edge of the picture."""
        return self.box_source_px[3] - self.box_source_px[1]

    @property
    def nipple_px(self) -> tuple[float, float]:
        """The estimated nipple (row, column)."""
        row0, col0, row1, col1 = self.box_source_px
        return (row0 + row1) / 2, col0 if self.chest_wall_right else col1

    def point(self, box_source_px: Box) -> tuple[float, float]:
        """Give (above the nipple, behind the nipple) of the middle of a box, in pixels."""
        row = (box_source_px[0] + box_source_px[2]) / 2
        col = (box_source_px[1] + box_source_px[3]) / 2
        nipple_row, nipple_col = self.nipple_px
        return nipple_row - row, (col - nipple_col) * (1 if self.chest_wall_right else -1)

    def box(self, above: tuple[float, float], behind: tuple[float, float]) -> Box:
        """Give the box of two ranges in pixels from the nipple, clipped to the breast."""
        row0, col0, row1, col1 = self.box_source_px
        nipple_row, nipple_col = self.nipple_px
        toward = 1 if self.chest_wall_right else -1
        cols = sorted(nipple_col + toward * one for one in behind)
        return (
            min(max(nipple_row - above[1], row0), row1),
            min(max(cols[0], col0), col1),
            min(max(nipple_row - above[0], row0), row1),
            min(max(cols[1], col0), col1),
        )


def region_of(place: Place, breast: BreastInView) -> Box | None:
    """Give the box in source pixels in which the middle of a sampled lesion is expected.

    Returns
    -------
    Box or None
        ``None`` if the view is neither CC nor MLO, or the report does not say where it was.
    """
    share = _share(place.direction(breast.laterality), breast.view)
    tolerance = TOLERANCE * breast.depth_px
    if place.quadrant == "central" and place.clock is None:
        near = 2 * tolerance
        return breast.box((-near, near), (0.0, near)) if breast.view in _SHOWS else None
    if share is None:
        return None
    height = breast.box_source_px[2] - breast.box_source_px[0]
    if place.distance_mm is None or not breast.mm_per_px:
        low = -tolerance if share > OFF_AXIS else -height
        high = tolerance if share < -OFF_AXIS else height
        if abs(share) <= OFF_AXIS:  # The view does not show the direction: near the nipple line.
            low, high = -2 * tolerance, 2 * tolerance
        return breast.box((low, high), (0.0, breast.depth_px))
    distance = place.distance_mm / breast.mm_per_px
    across = share * distance
    # The depth is not stated: between the line behind the nipple, where all of the distance is
    # depth, and the skin, where all of it is across.
    above = (min(across, 0.0) - tolerance, max(across, 0.0) + tolerance)
    return breast.box(above, (0.0, distance + tolerance))


_SHOWS: Final = frozenset({ViewPosition.CC, ViewPosition.MLO})


def _share(direction: tuple[float, float] | None, view: ViewPosition) -> float | None:
    """Give the share (−1 to 1) of a direction that the rows of a view show."""
    if direction is None or view not in _SHOWS:
        return None
    up, outward = direction
    if view is ViewPosition.CC:
        return outward
    return up * math.sin(OBLIQUE) + outward * math.cos(OBLIQUE)


def findings_in(region: Box, boxes: Sequence[Box]) -> list[int]:
    """Give the numbers of the boxes whose middle lies in a region."""
    row0, col0, row1, col1 = region
    return [
        number
        for number, (top, left, bottom, right) in enumerate(boxes)
        if row0 <= (top + bottom) / 2 <= row1 and col0 <= (left + right) / 2 <= col1
    ]


class LinkDoubt(str, Enum):
    """Why a person must say to which exam a report belongs."""

    NO_PATIENT = "no_patient"
    """The report names no patient, and its accession number is that of an exam."""
    OTHER_PATIENT = "other_patient"
    """Its accession number is that of an exam of another patient."""
    BIRTH_DATE = "birth_date"
    """Report and exam give the patient different birth dates."""
    NO_DATE = "no_date"
    """It is not known when the tissue was taken."""
    SEVERAL_EXAMS = "several_exams"
    """More than one exam lies in the year before."""
    NO_EXAM_DATE = "no_exam_date"
    """An exam of the patient has no date."""


@dataclass(frozen=True)
class Sender:
    """What a report says of whom it is about; unknown is ``None``."""

    patient_id: str | None
    accession_number: str | None
    birth_date: date | None
    taken: date | None


@dataclass(frozen=True)
class KnownExam:
    """An exam that may be meant: one of the patient, or one with the report's accession number."""

    id: int
    patient_id: str | None
    accession_number: str | None
    birth_date: date | None
    day: date | None


@dataclass(frozen=True)
class ExamLink:
    """The exam of a report, or the exams among which a person must choose and the reason.

    Without an exam, a candidate and a doubt, the patient has no exam that the report can belong to.
    """

    exam_id: int | None = None
    candidates: tuple[int, ...] = ()
    doubt: LinkDoubt | None = None


def link_report(sender: Sender, exams: Sequence[KnownExam]) -> ExamLink:
    """Link a report to an exam.

    The accession number decides if it is that of an exam of the same patient. Else the tissue must
    have been taken within a year after exactly one exam (`FOLLOW_UP`, as in the audit).

    Parameters
    ----------
    exams
        All exams of the patient, and those with the report's accession number, of one site.

    Examples
    --------
    >>> exam = KnownExam(7, "P1", None, None, date(2026, 1, 10))
    >>> link_report(Sender("P1", None, None, date(2026, 2, 1)), [exam]).exam_id
    7
    >>> link_report(Sender("P1", None, None, date(2028, 2, 1)), [exam])
    ExamLink(exam_id=None, candidates=(), doubt=None)
    """
    number = sender.accession_number
    numbered = [exam for exam in exams if number and exam.accession_number == number]
    if sender.patient_id is None:
        return _ask(numbered, LinkDoubt.NO_PATIENT) if numbered else ExamLink()
    if any(exam.patient_id != sender.patient_id for exam in numbered):
        return _ask([*numbered, *_own(sender, exams)], LinkDoubt.OTHER_PATIENT)
    own = _own(sender, exams)
    if any(_differ(exam.birth_date, sender.birth_date) for exam in own):
        return _ask(own, LinkDoubt.BIRTH_DATE)
    if len(numbered) == 1:
        return ExamLink(numbered[0].id)
    if sender.taken is None:
        return _ask(own, LinkDoubt.NO_DATE) if own else ExamLink()
    taken = sender.taken
    due = [exam for exam in own if exam.day and exam.day <= taken <= exam.day + FOLLOW_UP]
    undated = [exam for exam in own if exam.day is None]
    if undated:
        return _ask([*due, *undated], LinkDoubt.NO_EXAM_DATE)
    if len(due) > 1:
        return _ask(due, LinkDoubt.SEVERAL_EXAMS)
    return ExamLink(due[0].id) if due else ExamLink()


def _own(sender: Sender, exams: Sequence[KnownExam]) -> list[KnownExam]:
    return [exam for exam in exams if exam.patient_id == sender.patient_id]


def _differ(one: date | None, other: date | None) -> bool:
    return one is not None and other is not None and one != other


def _ask(exams: Sequence[KnownExam], doubt: LinkDoubt) -> ExamLink:
    ids = tuple(dict.fromkeys(exam.id for exam in exams))
    return ExamLink(None, ids, doubt)
