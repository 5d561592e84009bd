"""Procedure steps as data sets: what a step asks for, and what is reported while it is performed.

A step that cannot be performed, or whose exam failed, ends as CANCELED with its reason and whatever
came of it, and not as COMPLETED: who waits for it may then schedule it again or read without us,
while COMPLETED would let a workflow go on as if a result had been there.

Source: PS3.3 C.30.1 (relationship), C.30.2 (scheduled), C.30.3 (performed), PS3.16 CID 9300.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from mammolens.serve.settings import UpsSettings

__all__ = [
    "Offer",
    "Output",
    "Reason",
    "StepInput",
    "cancellation",
    "final_report",
    "fits",
    "progress",
    "read_inputs",
    "read_offer",
    "readable_offer",
]

SCHEME: Final = "99MAMMOLENS"
DETECTION: Final = Code("110004", "DCM", "Computer Aided Detection")
PRIORITIES: Final = ("HIGH", "MEDIUM", "LOW")
INCOMPLETE: Final = "INCOMPLETE"
MOST_INPUTS: Final = 100
"""Input sets of a step: an exam with its priors has a few, one for each series at most."""
MOST_REFERENCES: Final = 10_000
"""Objects that a step lists: an exam with tomosynthesis, stored as single slices, has 1,000."""


class Reason(Enum):
    """Why a step was not performed (CID 9300)."""

    ASKED = Code("110513", "DCM", "Discontinued for unspecified reason")
    NO_IMAGES = Code("110523", "DCM", "Object Set incomplete")
    OTHER_IMAGES = Code("110522", "DCM", "Object Types not supported")
    FAILED = Code("110521", "DCM", "Objects incorrectly formatted")
    NOT_DELIVERED = Code("110501", "DCM", "Equipment failure")
    LATE = Code("110533", "DCM", "Workitem expired")


TEXTS: Final = {
    Reason.ASKED: "canceled at request",
    Reason.NO_IMAGES: "the images did not come",
    Reason.OTHER_IMAGES: "none of the images is a mammogram",
    Reason.FAILED: "the exam could not be analysed",
    Reason.NOT_DELIVERED: "results could not be made or delivered",
    Reason.LATE: "it took too long",
}


@dataclass(frozen=True)
class Offer:
    """A step that waits for a performer."""

    sop_instance_uid: str
    priority: str
    start: str

    @property
    def rank(self) -> tuple[int, str]:
        """Its place in the order of steps."""
        known = self.priority in PRIORITIES
        return (PRIORITIES.index(self.priority) if known else len(PRIORITIES)), self.start


@dataclass(frozen=True)
class StepInput:
    """Images of one study that a step asks to be analysed, and where they may be fetched.

    `instances` are those of kinds that are read, `others` counts the rest; none of either means
    the whole study.
    """

    study: str
    instances: tuple[str, ...]
    others: int
    ae_titles: tuple[str, ...]
    urls: tuple[str, ...]


@dataclass(frozen=True)
class Output:
    """One result object of a step, and where it was sent."""

    study: str
    series: str
    sop_class_uid: str
    sop_instance_uid: str
    ae_titles: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()


def fits(step: Dataset, ups: UpsSettings) -> bool:
    """Whether a step is scheduled, ready, and ours: servers may pass over keys of a search."""
    states = step.get("ProcedureStepState"), step.get("InputReadinessState")
    stations = _codes(step, "ScheduledStationNameCodeSequence")
    work = _codes(step, "ScheduledWorkitemCodeSequence")
    ours = ups.station in stations or (ups.any_station and not stations)
    known = not ups.workitems or bool({*work} & {*ups.workitems})
    return states[0] == "SCHEDULED" and states[1] != INCOMPLETE and ours and known


def read_offer(step: Dataset) -> Offer | None:
    """Read an answer to a search; ``None`` if it names no step."""
    uid = str(step.get("SOPInstanceUID") or "")
    if not uid or len(uid) > 64:
        return None
    start = str(step.get("ScheduledProcedureStepStartDateTime") or "")
    return Offer(uid, str(step.get("ScheduledProcedureStepPriority") or ""), start)


def readable_offer(step: Dataset, ups: UpsSettings) -> Offer | None:
    """Read an answer to a search, if the step is for us; one made of nonsense is passed over."""
    try:
        return read_offer(step) if fits(step, ups) else None
    except Exception:
        # pydicom decodes a value when it is asked for, and raises what it likes.
        return None


def read_inputs(step: Dataset, classes: frozenset[str]) -> list[StepInput]:
    """Read which images a step is about, study by study.

    Parameters
    ----------
    classes
        SOP classes that are read.

    Returns
    -------
    list of StepInput
        None where the step lists more than any exam has: it is not begun.
    """
    found: dict[str, list[Dataset]] = {}
    listed = sum(len(i.get("ReferencedSOPSequence") or ()) for i in _inputs(step))
    if len(_inputs(step)) > MOST_INPUTS or listed > MOST_REFERENCES:
        return []
    for item in _inputs(step):
        study = str(item.get("StudyInstanceUID") or step.get("StudyInstanceUID") or "")
        if study:
            found.setdefault(study, []).append(item)
    if not found and step.get("StudyInstanceUID"):
        found[str(step.StudyInstanceUID)] = []
    return [
        StepInput(
            study,
            *_references(items, classes),
            _gathered(items, "DICOMRetrievalSequence", "RetrieveAETitle"),
            _gathered(items, "WADORSRetrievalSequence", "RetrieveURL"),
        )
        for study, items in found.items()
    ]


def progress(percent: int, text: str) -> Dataset:
    """Say how far a step is."""
    item = Dataset()
    item.ProcedureStepProgress = str(percent)
    item.ProcedureStepProgressDescription = text
    data = Dataset()
    data.ProcedureStepProgressInformationSequence = [item]
    return data


def cancellation(reason: Reason, now: datetime) -> Dataset:
    """Say why a step is given up: what CANCELED requires."""
    item = Dataset()
    item.ProcedureStepCancellationDateTime = _time(now)
    item.ReasonForCancellation = TEXTS[reason]
    item.ProcedureStepDiscontinuationReasonCodeSequence = [_item(reason.value)]
    data = Dataset()
    data.ProcedureStepProgressInformationSequence = [item]
    return data


def final_report(
    station: str, began: datetime, ended: datetime, outputs: Sequence[Output]
) -> Dataset:
    """Describe what was done, when, and the results, as COMPLETED requires."""
    performed = Dataset()
    performed.PerformedStationNameCodeSequence = [_item(Code(station, SCHEME, station))]
    performed.PerformedProcedureStepStartDateTime = _time(began)
    performed.PerformedProcedureStepEndDateTime = _time(ended)
    performed.PerformedWorkitemCodeSequence = [_item(DETECTION)]
    performed.OutputInformationSequence = _output_items(outputs)
    data = Dataset()
    data.UnifiedProcedureStepPerformedProcedureSequence = [performed]
    return data


def _inputs(step: Dataset) -> Sequence[Dataset]:
    return step.get("InputInformationSequence") or ()


def _references(items: Iterable[Dataset], classes: frozenset[str]) -> tuple[tuple[str, ...], int]:
    found = [r for item in items for r in item.get("ReferencedSOPSequence") or ()]
    kinds = {
        str(r.get("ReferencedSOPInstanceUID") or ""): str(r.get("ReferencedSOPClassUID") or "")
        for r in found
    }
    wanted = [uid for uid, kind in kinds.items() if uid and (not kind or kind in classes)]
    return tuple(wanted), len(kinds) - len(wanted)


def _output_items(outputs: Iterable[Output]) -> list[Dataset]:
    items = []
    grouped: dict[tuple[Any, ...], list[Output]] = {}
    for output in outputs:
        key = output.study, output.series, output.ae_titles, output.urls
        grouped.setdefault(key, []).append(output)
    for (study, series, ae_titles, urls), members in grouped.items():
        item = Dataset()
        item.TypeOfInstances = "DICOM"
        item.StudyInstanceUID, item.SeriesInstanceUID = study, series
        item.ReferencedSOPSequence = [_reference(output) for output in members]
        if ae_titles:
            item.DICOMRetrievalSequence = [_with("RetrieveAETitle", title) for title in ae_titles]
        if urls:
            item.WADORSRetrievalSequence = [_with("RetrieveURL", url) for url in urls]
        items.append(item)
    return items


def _reference(output: Output) -> Dataset:
    item = _with("ReferencedSOPClassUID", output.sop_class_uid)
    item.ReferencedSOPInstanceUID = output.sop_instance_uid
    return item


def _with(keyword: str, value: str) -> Dataset:
    item = Dataset()
    setattr(item, keyword, value)
    return item


def _item(code: Code) -> Dataset:
    item = _with("CodeValue", code.value)
    item.CodingSchemeDesignator, item.CodeMeaning = code.scheme_designator, code.meaning
    return item


def _codes(step: Dataset, keyword: str) -> list[str]:
    return [str(item.get("CodeValue") or "") for item in step.get(keyword) or ()]


def _gathered(items: Iterable[Dataset], sequence: str, keyword: str) -> tuple[str, ...]:
    values = (str(i.get(keyword) or "") for item in items for i in item.get(sequence) or ())
    return tuple(dict.fromkeys(value for value in values if value))


def _time(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y%m%d%H%M%S+0000")
