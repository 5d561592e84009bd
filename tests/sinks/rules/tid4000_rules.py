"""What the rows of TID 4000 cannot say: sound values, references that lead somewhere, and parts
that agree with each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from pydicom.dataset import Dataset

from mammolens.sinks import _dicom_codes as codes
from mammolens.sinks._dicom_codes import Code
from mammolens.sinks._dicom_values import date, is_uid, time

__all__ = ["code_of", "header_violations", "meaning_violations", "value_faults", "walk"]

_CLASS: Final = "1.2.840.10008.5.1.4.1.1.88.50"
_HEADER: Final = {
    "SOPClassUID": _CLASS,
    "Modality": "SR",
    "ValueType": "CONTAINER",
    "ContinuityOfContent": "SEPARATE",
    "CompletionFlag": "COMPLETE",
    "VerificationFlag": "UNVERIFIED",
}
_PRESENT: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "ReferencedPerformedProcedureStepSequence",
    "PerformedProcedureCodeSequence",
)
_FILLED: Final = (
    "Manufacturer",
    "ManufacturerModelName",
    "DeviceSerialNumber",
    "SoftwareVersions",
    "SeriesNumber",
    "InstanceNumber",
    "ContentDate",
    "ContentTime",
)
_POINTING: Final = frozenset({"INFERRED FROM", "HAS PROPERTIES", "SELECTED FROM"})
"""Relationships that may be by reference (PS3.3 A.35.5.3.1.3)."""
_PERCENTAGES: Final = (codes.IMPRESSION_CERTAINTY, codes.FINDING_CERTAINTY, codes.PROBABILITY)
_STATUS_OF: Final = {
    codes.ALL_WITHOUT: (codes.SUCCEEDED, False),
    codes.ALL_WITH: (codes.SUCCEEDED, True),
    codes.PART_WITHOUT: (codes.PARTLY, False),
    codes.PART_WITH: (codes.PARTLY, True),
    codes.NONE_SUCCEEDED: (codes.FAILED, False),
}
"""The status of the detections, and whether there are findings, by summary."""
_GROUPS: Final = {
    codes.SUCCEEDED: [{codes.SUCCESSFUL_DETECTIONS}],
    codes.PARTLY: [
        {codes.SUCCESSFUL_DETECTIONS, codes.FAILED_DETECTIONS},
        {codes.SUCCESSFUL_DETECTIONS},
    ],
    codes.FAILED: [{codes.FAILED_DETECTIONS}],
}
"""The lists of images by the status of the detections. Where an image failed that nothing can refer
to (its header could not be read), the list of failed ones stays out, and the status still tells."""
_Tree = dict[tuple[int, ...], Dataset]


def code_of(item: Dataset, keyword: str) -> Code | None:
    """Give the first code of a code sequence, or ``None``."""
    for found in item.get(keyword) or ():
        words = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
        return Code(*(str(found.get(word, "")) for word in words))
    return None


def walk(
    root: Dataset, position: tuple[int, ...] = (1,)
) -> Iterator[tuple[tuple[int, ...], Dataset]]:
    """Go through a content tree from the top, with every item's position (PS3.3 C.17.3.2.5)."""
    yield position, root
    for count, child in enumerate(root.get("ContentSequence") or (), start=1):
        yield from walk(child, (*position, count))


def header_violations(report: Dataset) -> Iterator[str]:
    """List what is wrong outside the content tree, the root's own title and template included."""
    for keyword, value in _HEADER.items():
        if report.get(keyword) != value:
            yield f"{keyword} is {report.get(keyword)!r}, not {value!r}"
    if code_of(report, "ConceptNameCodeSequence") != codes.CAD_REPORT:
        yield f"1: the title is not {codes.CAD_REPORT.meaning!r}"
    templates = _sequence(report, "ContentTemplateSequence")
    named = [(t.get("MappingResource"), t.get("TemplateIdentifier")) for t in templates]
    if named != [("DCMR", "4000")]:
        yield f"1: the template is {named}, not DCMR 4000"
    yield from (f"{keyword} is absent" for keyword in _PRESENT if keyword not in report)
    yield from (f"{keyword} is empty" for keyword in _FILLED if not report.get(keyword))
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        if not is_uid(report.get(keyword)):
            yield f"{keyword} is no UID"


def value_faults(item: Dataset, allowed: Sequence[Code | str]) -> Iterator[str]:
    """List what is wrong with the value of one item, whatever stands around it.

    Parameters
    ----------
    allowed
        Answers of a CODE, units of a NUM, graphic types of an SCOORD; empty for any.
    """
    test = _VALUES.get(str(item.get("ValueType")))
    if test is not None:
        yield from test(item, allowed)


def _code_faults(item: Dataset, allowed: Sequence[Code | str]) -> Iterator[str]:
    value = code_of(item, "ConceptCodeSequence")
    if value is None or not all(value):
        yield "the code is incomplete"
    elif allowed and value not in allowed:
        yield f"{value} is no answer here"


def _number_faults(item: Dataset, allowed: Sequence[Code | str]) -> Iterator[str]:
    measured = _sequence(item, "MeasuredValueSequence")
    if len(measured) != 1:
        yield "it has no number, or several"
        return
    unit = code_of(measured[0], "MeasurementUnitsCodeSequence")
    if unit not in allowed:
        yield f"the unit is {unit}"
    try:
        number = float(measured[0].NumericValue)
    except (AttributeError, TypeError, ValueError):
        yield "the number cannot be read"
        return
    if not math.isfinite(number) or number < 0:
        yield f"the number is {number}"
    elif code_of(item, "ConceptNameCodeSequence") in _PERCENTAGES and number > 100:
        yield f"{number} % is more than 100 %"


def _text_faults(item: Dataset, _: Sequence[Code | str]) -> Iterator[str]:
    words = str(item.get("TextValue") or "")
    if not words.strip():
        yield "it has no words"
    name = code_of(item, "ConceptNameCodeSequence")
    if name in (codes.ORIENTATION_ROW, codes.ORIENTATION_COLUMN) and set(words) - set("APLRHF"):
        yield f"{words!r} is no direction"


def _date_faults(item: Dataset, _: Sequence[Code | str]) -> Iterator[str]:
    if not date(str(item.get("Date", ""))):
        yield "the value is not a date"


def _time_faults(item: Dataset, _: Sequence[Code | str]) -> Iterator[str]:
    if not time(str(item.get("Time", ""))):
        yield "the value is not a time"


def _container_faults(item: Dataset, _: Sequence[Code | str]) -> Iterator[str]:
    if item.get("ContinuityOfContent") != "SEPARATE":
        yield "ContinuityOfContent is not SEPARATE"


def _image_faults(item: Dataset, _: Sequence[Code | str]) -> Iterator[str]:
    referred = _sequence(item, "ReferencedSOPSequence")
    keywords = ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID")
    if len(referred) != 1 or not all(is_uid(referred[0].get(keyword)) for keyword in keywords):
        yield "it refers to no image, or to several"


def _coordinate_faults(item: Dataset, allowed: Sequence[Code | str]) -> Iterator[str]:
    kind = item.get("GraphicType")
    points = _points(item)
    if kind not in allowed:
        yield f"the graphic type is {kind}"
    elif points is None:
        yield "the coordinates are no pairs of numbers within an image"
    elif kind == "POINT" and len(points) != 1:
        yield f"a point has {len(points)} points"
    elif kind == "POLYLINE" and (len(points) < 4 or points[0] != points[-1]):
        yield "the outline is not closed"


def _points(item: Dataset) -> list[tuple[float, float]] | None:
    data = item.get("GraphicData")
    numbers = [float(n) for n in data] if isinstance(data, Sequence | list) else []
    sound = all(math.isfinite(n) and n >= 0 for n in numbers)
    if not numbers or len(numbers) % 2 or not sound:
        return None
    return list(zip(numbers[::2], numbers[1::2], strict=True))


_VALUES: Final[dict[str, Callable[[Dataset, Sequence[Code | str]], Iterator[str]]]] = {
    "CODE": _code_faults,
    "CONTAINER": _container_faults,
    "DATE": _date_faults,
    "IMAGE": _image_faults,
    "NUM": _number_faults,
    "SCOORD": _coordinate_faults,
    "TEXT": _text_faults,
    "TIME": _time_faults,
}


def meaning_violations(report: Dataset) -> Iterator[str]:
    """List where the parts of a report, each sound, contradict each other."""
    tree = dict(walk(report))
    yield from _pointer_violations(tree)
    yield from _summary_violations(tree)
    yield from _evidence_violations(report, tree)
    yield from _geometry_violations(tree)


def _pointer_violations(tree: _Tree) -> Iterator[str]:
    for position, item in tree.items():
        target = _target(item)
        if target is None:
            continue
        if item.get("RelationshipType") not in _POINTING:
            yield f"{_at(position)}: {item.get('RelationshipType')} may not be by reference"
        found = tree.get(target)
        if (
            found is None
            or found.get("ValueType") != "IMAGE"
            or _named(tree, target[:-1]) != (codes.LIBRARY)
        ):
            yield f"{_at(position)}: {_at(target)} is no image of the library"


def _summary_violations(tree: _Tree) -> Iterator[str]:
    summary = _answer(tree, codes.SUMMARY)
    status = _answer(tree, codes.DETECTIONS)
    marked = bool(_all(tree, codes.FINDING))
    if summary is None or _STATUS_OF[summary] != (status, marked):
        yield f"summary, detections and findings disagree: {summary}, {status}, {marked}"
        return
    groups = {name for name in (_named(tree, position) for position in tree) if name is not None}
    present = groups & {codes.SUCCESSFUL_DETECTIONS, codes.FAILED_DETECTIONS}
    if status is not None and present not in _GROUPS[status]:
        yield f"detections are {status.meaning!r} but list {sorted(g.meaning for g in present)}"
    if summary == codes.NONE_SUCCEEDED:
        for name in _PERCENTAGES:
            yield from (f"{_at(p)}: a failed exam has a number" for p in _all(tree, name))
    succeeded = _targets(tree, codes.SUCCESSFUL_DETECTIONS)
    both = succeeded & _targets(tree, codes.FAILED_DETECTIONS)
    yield from (f"{_at(p)}: the image both succeeded and failed" for p in both)
    for position in _all(tree, codes.FINDING):
        chosen = {_target(i) for p, i in tree.items() if p[: len(position)] == position} - {None}
        if len(chosen) != 1 or not chosen <= succeeded:
            yield f"{_at(position)}: the finding is not on one analysed image"


def _evidence_violations(report: Dataset, tree: _Tree) -> Iterator[str]:
    images = [p for p, item in tree.items() if item.get("ValueType") == "IMAGE"]
    listed = [_instance(tree[p].ReferencedSOPSequence[0]) for p in images]
    evidence = [
        _instance(item)
        for study in _sequence(report, "CurrentRequestedProcedureEvidenceSequence")
        for series in _sequence(study, "ReferencedSeriesSequence")
        for item in _sequence(series, "ReferencedSOPSequence")
    ]
    if len(set(listed)) != len(listed):
        yield "the library lists an image twice"
    if sorted(listed) != sorted(evidence):
        yield "library and evidence list different images"
    tried = _targets(tree, codes.SUCCESSFUL_DETECTIONS) | _targets(tree, codes.FAILED_DETECTIONS)
    for position in sorted(set(images) - tried):
        yield f"{_at(position)}: no detection speaks of the image"


def _geometry_violations(tree: _Tree) -> Iterator[str]:
    for position in _all(tree, codes.FINDING):
        below = [p for p in tree if p[:-1] == position]
        shapes = {_named(tree, p): _points(tree[p]) for p in below if "GraphicData" in tree[p]}
        centre, outline = shapes.get(codes.CENTRE), shapes.get(codes.OUTLINE)
        if centre and outline:
            (x, y), (xs, ys) = centre[0], zip(*outline, strict=True)
            if not (min(xs) <= x <= max(xs) and min(ys) <= y <= max(ys)):
                yield f"{_at(position)}: the centre lies outside the outline"


def _sequence(item: Dataset, keyword: str) -> list[Dataset]:
    return list(item.get(keyword) or ())


def _target(item: Dataset) -> tuple[int, ...] | None:
    value = item.get("ReferencedContentItemIdentifier")
    if value is None:
        return None
    return tuple(value) if isinstance(value, Sequence | list) else (int(value),)


def _targets(tree: _Tree, heading: Code) -> set[tuple[int, ...]]:
    """The positions that items below a heading refer to."""
    tops = _all(tree, heading)
    found = (_target(i) for p, i in tree.items() if any(p[: len(top)] == top for top in tops))
    return {target for target in found if target is not None}


def _named(tree: _Tree, position: tuple[int, ...]) -> Code | None:
    return code_of(tree[position], "ConceptNameCodeSequence") if position in tree else None


def _all(tree: _Tree, name: Code) -> list[tuple[int, ...]]:
    return [position for position in tree if _named(tree, position) == name]


def _answer(tree: _Tree, name: Code) -> Code | None:
    return next((code_of(tree[p], "ConceptCodeSequence") for p in _all(tree, name)), None)


def _instance(item: Dataset) -> tuple[str, str]:
    return str(item.get("ReferencedSOPClassUID")), str(item.get("ReferencedSOPInstanceUID"))


def _at(position: Sequence[int]) -> str:
    return ".".join(map(str, position))
