"""Procedure steps as data sets: reading what a step asks for, and writing reports about it.

A step that cannot be performed, or has a failed exam, ends as CANCELED with its reason and any
results, and not as COMPLETED. The scheduler may then schedule it again, or the exam is read without
our result; COMPLETED would let a workflow go on as if there were a result.

Source: PS3.3 C.30.1 (relationship), C.30.2 (scheduled), C.30.3 (performed), PS3.16 CID 9300.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from mammolens.serve.dimse import data_set
from mammolens.serve.settings import UpsSettings

__all__ = [
    "Output",
    "Reason",
    "StepInput",
    "cancellation",
    "claimable",
    "final_report",
    "progress",
    "read_inputs",
]

SCHEME: Final = "99MAMMOLENS"
DETECTION: Final = Code("110004", "DCM", "Computer Aided Detection")
PRIORITIES: Final = ("HIGH", "MEDIUM", "LOW")
INCOMPLETE: Final = "INCOMPLETE"
LONGEST_UID: Final = 64
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
class StepInput:
    """Images of one study that a step asks to be analysed, and where they may be fetched.

    `instances` are the images of kinds that are read, and `others` counts the rest. If there are
    neither, the whole study is meant.
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


def claimable(found: Iterable[Dataset], ups: UpsSettings) -> list[str]:
    """Give the UIDs of the steps that this node may claim, the most urgent first.

    Servers may ignore keys of a search, so that each answer is checked. One whose values cannot be
    decoded is left out: pydicom decodes a value when it is read, and raises errors of any kind.
    """
    ranks: dict[str, tuple[int, str]] = {}
    for step in found:
        with contextlib.suppress(Exception):
            uid = str(step.get("SOPInstanceUID") or "")
            if 0 < len(uid) <= LONGEST_UID and _is_ours(step, ups):
                ranks[uid] = _rank(step)
    return sorted(ranks, key=lambda uid: ranks[uid])


def read_inputs(step: Dataset, classes: frozenset[str]) -> list[StepInput]:
    """Read the images that a step asks for, by study.

    Parameters
    ----------
    classes
        SOP classes that are read.

    Returns
    -------
    list of StepInput
        Empty if the step lists more images than any exam has; then it is not begun.
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
    """Report the progress of a step."""
    item = data_set(ProcedureStepProgress=str(percent), ProcedureStepProgressDescription=text)
    return data_set(ProcedureStepProgressInformationSequence=[item])


def cancellation(reason: Reason, now: datetime) -> Dataset:
    """Report why a step is canceled, as CANCELED requires."""
    item = data_set(
        ProcedureStepCancellationDateTime=_time(now),
        ReasonForCancellation=TEXTS[reason],
        ProcedureStepDiscontinuationReasonCodeSequence=[_item(reason.value)],
    )
    return data_set(ProcedureStepProgressInformationSequence=[item])


def final_report(
    station: str, began: datetime, ended: datetime, outputs: Sequence[Output]
) -> Dataset:
    """Report the performed work, its times and its results, as COMPLETED requires."""
    performed = data_set(
        PerformedStationNameCodeSequence=[_item(Code(station, SCHEME, station))],
        PerformedProcedureStepStartDateTime=_time(began),
        PerformedProcedureStepEndDateTime=_time(ended),
        PerformedWorkitemCodeSequence=[_item(DETECTION)],
        OutputInformationSequence=_output_items(outputs),
    )
    return data_set(UnifiedProcedureStepPerformedProcedureSequence=[performed])


def _is_ours(step: Dataset, ups: UpsSettings) -> bool:
    """Whether a step is scheduled and ready, for this station, and of a kind that it performs."""
    if step.get("ProcedureStepState") != "SCHEDULED":
        return False
    stations = _codes(step, "ScheduledStationNameCodeSequence")
    work = _codes(step, "ScheduledWorkitemCodeSequence")
    ours = ups.station in stations or (ups.any_station and not stations)
    known = not ups.workitems or bool({*work} & {*ups.workitems})
    return step.get("InputReadinessState") != INCOMPLETE and ours and known


def _rank(step: Dataset) -> tuple[int, str]:
    """Give the key to sort a step by: its priority, then its start."""
    priority = str(step.get("ScheduledProcedureStepPriority") or "")
    known = priority in PRIORITIES
    start = str(step.get("ScheduledProcedureStepStartDateTime") or "")
    return (PRIORITIES.index(priority) if known else len(PRIORITIES)), start


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
        item = data_set(
            TypeOfInstances="DICOM",
            StudyInstanceUID=study,
            SeriesInstanceUID=series,
            ReferencedSOPSequence=[
                data_set(
                    ReferencedSOPClassUID=output.sop_class_uid,
                    ReferencedSOPInstanceUID=output.sop_instance_uid,
                )
                for output in members
            ],
        )
        if ae_titles:
            item.DICOMRetrievalSequence = [data_set(RetrieveAETitle=title) for title in ae_titles]
        if urls:
            item.WADORSRetrievalSequence = [data_set(RetrieveURL=url) for url in urls]
        items.append(item)
    return items


def _item(code: Code) -> Dataset:
    return data_set(
        CodeValue=code.value,
        CodingSchemeDesignator=code.scheme_designator,
        CodeMeaning=code.meaning,
    )


def _codes(step: Dataset, keyword: str) -> list[str]:
    return [str(item.get("CodeValue") or "") for item in step.get(keyword) or ()]


def _gathered(items: Iterable[Dataset], sequence: str, keyword: str) -> tuple[str, ...]:
    values = (str(i.get(keyword) or "") for item in items for i in item.get(sequence) or ())
    return tuple(dict.fromkeys(value for value in values if value))


def _time(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y%m%d%H%M%S+0000")
