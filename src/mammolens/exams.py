"""Images → exams: grouping by headers alone, then decoding, de-duplication and view checks.

`plan_exams` looks at headers only and is light; `load_exam` decodes one plan. Two patients are
never mixed, and what was refused stays with the exam that it belongs to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from mammolens.core import (
    Caution,
    Exam,
    Laterality,
    Mammogram,
    ObjectKind,
    Source,
    Unreadable,
    ViewPosition,
)
from mammolens.errors import InputError
from mammolens.images import HeaderInfo, ImageFile, identify, read_image
from mammolens.images.names import read_name

__all__ = ["STANDARD_VIEWS", "ExamPlan", "load_exam", "plan_exams"]

STANDARD_VIEWS = (
    (Laterality.RIGHT, ViewPosition.CC),
    (Laterality.LEFT, ViewPosition.CC),
    (Laterality.RIGHT, ViewPosition.MLO),
    (Laterality.LEFT, ViewPosition.MLO),
)
ANONYMOUS_IDS = frozenset({"removed", "anonymous", "anonymized", "anonymised", "anon", "unknown"})
_CONTRADICTION = "duplicate_uid_different_pixels"
Slot = tuple[Laterality | None, ViewPosition | None]


@dataclass(frozen=True)
class ExamPlan:
    """The files of one exam, not decoded; `unreadable` are those that were refused already.

    `files` may be empty: an exam of which nothing can be read is still an exam.
    """

    patient_id: str | None
    study_instance_uid: str | None
    files: tuple[ImageFile, ...]
    cautions: tuple[Caution, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()


@dataclass(frozen=True)
class _Belonging:
    """Which exam a file belongs to: files of one `key` are one exam."""

    key: tuple[str, ...]
    patient_id: str | None
    study_instance_uid: str | None
    caution: Caution | None = None


def plan_exams(files: Iterable[ImageFile]) -> tuple[list[ExamPlan], list[Unreadable]]:
    """Group files into exams by their headers and names; no pixel is decoded.

    DICOM is grouped by study and patient. CBIS-DDSM, where each view claims to be a patient and
    a study of its own, is grouped by the case number in PatientID; its mass and calcification
    parts, in training and test, share their numbers (79 women are in both), so they are one exam.
    Pictures without a header are grouped by patient or case in their names, within a folder.

    Returns
    -------
    tuple
        The plans, in the order of their first file, and what belongs to no exam. A file that is
        refused although its header can be read is listed in its plan's `unreadable`.
    """
    groups: dict[tuple[str, ...], list[tuple[ImageFile, HeaderInfo, _Belonging]]] = {}
    unplaced: list[Unreadable] = []
    for file in files:
        try:
            info = identify(file)
        except InputError as error:
            unplaced.append(_unreadable(file, error))
            continue
        belonging = _belonging(file, info)
        if info.refusal is not None and belonging.key[0] == "alone":
            unplaced.append(_unreadable(file, info.refusal, info))
            continue
        groups.setdefault(belonging.key, []).append((file, info, belonging))
    shared = _studies_of_several([members[0][2] for members in groups.values()])
    return [_plan(members, shared) for members in groups.values()], unplaced


def _belonging(file: ImageFile, info: HeaderInfo) -> _Belonging:
    if info.header.transfer_syntax_uid is None:
        return _picture_belonging(file, info.ref.patient_id)
    ref = info.ref
    case = read_name(ref.patient_id or "")
    if case.convention == "cbis" and case.patient_id is not None:
        grouped = Caution(
            "cbis_case_grouping",
            "each CBIS-DDSM view claims its own patient and study: grouped by the case number",
        )
        return _Belonging(("cbis", case.patient_id), case.patient_id, None, grouped)
    patient, note = _patient(ref.patient_id, file.name)
    if ref.study_instance_uid is not None:
        study_key = ("study", ref.study_instance_uid, patient or "")
        return _Belonging(study_key, patient, ref.study_instance_uid, note)
    if patient is None:
        return _Belonging(("alone", file.name), None, None)
    without = Caution(
        "missing_study_uid", "StudyInstanceUID is absent; grouped by patient, date and folder"
    )
    key = ("patient", patient, info.header.study_date or "", _folder(file))
    return _Belonging(key, patient, None, without)


def _picture_belonging(file: ImageFile, patient_id: str | None) -> _Belonging:
    folder = _folder(file)
    if patient_id is not None:
        return _Belonging(("picture", patient_id, folder), patient_id, None)
    case = read_name(file.name).case
    if case is None:
        return _Belonging(("alone", file.name), None, None)
    note = Caution("grouped_by_name", "grouped by file names; nothing names the patient")
    return _Belonging(("name", case, folder), None, None, note)


def _patient(patient_id: str | None, name: str) -> tuple[str | None, Caution | None]:
    """The patient, from the file name where PatientID is absent or a placeholder."""
    if patient_id is not None and patient_id.lower() not in ANONYMOUS_IDS:
        return patient_id, None
    named = read_name(name).patient_id
    if named is None:
        return None, None
    return named, Caution("patient_from_name", "PatientID is anonymous; the file name's was taken")


def _folder(file: ImageFile) -> str:
    if file.member is None:
        return str(file.path.parent)
    return f"{file.path}!{PurePath(file.member).parent}"


def _studies_of_several(belongings: Sequence[_Belonging]) -> frozenset[str]:
    """Study UIDs that more than one patient claims."""
    studies = Counter(b.study_instance_uid for b in belongings if b.study_instance_uid is not None)
    return frozenset(uid for uid, count in studies.items() if count > 1)


def _plan(
    members: Sequence[tuple[ImageFile, HeaderInfo, _Belonging]], shared: frozenset[str]
) -> ExamPlan:
    first = members[0][2]
    cautions = {b.caution: None for _, _, b in members if b.caution is not None}
    if first.study_instance_uid in shared:
        note = Caution(
            "two_patients_in_study", "the study names several patients; they were kept apart"
        )
        cautions[note] = None
    ordered = sorted(members, key=lambda member: member[0].name)
    return ExamPlan(
        patient_id=first.patient_id,
        study_instance_uid=first.study_instance_uid,
        files=tuple(file for file, info, _ in ordered if info.refusal is None),
        cautions=tuple(cautions),
        unreadable=tuple(
            _unreadable(file, info.refusal, info) for file, info, _ in ordered if info.refusal
        ),
    )


def load_exam(plan: ExamPlan) -> tuple[Exam, tuple[Unreadable, ...]]:
    """Decode the files of a plan, drop copies, and check the views.

    Copies are told after decoding, so that a truncated one never displaces a good one: one SOP
    instance UID is kept once (the first path whose pixels could be read), and so are equal pixels
    of one view. An image that claims another's UID with other pixels is left out, and listed as
    not analysed.

    Returns
    -------
    tuple
        The exam, its views in the order RCC, LCC, RMLO, LMLO, then others, and the files that
        could not be decoded (those of ``plan.unreadable`` are not repeated). The exam may be
        empty.
    """
    kept: list[Mammogram] = []
    cautions = list(plan.cautions)
    unreadable: list[Unreadable] = []
    for file in plan.files:
        try:
            mammogram = read_image(file)
        except InputError as error:
            unreadable.append(_unreadable(file, error, _header_of(file)))
            continue
        copy = next((note for other in kept if (note := _copy_caution(mammogram, other))), None)
        if copy is None:
            kept.append(mammogram)
        else:
            cautions.append(copy)
            if copy.name == _CONTRADICTION:
                unreadable.append(Unreadable(file.name, "NotAnImage", copy.message))
    views: dict[Slot, list[Mammogram]] = {}
    for mammogram in sorted(kept, key=lambda m: _slot_order(_slot(m))):
        views.setdefault(_slot(mammogram), []).append(mammogram)
    cautions += _view_cautions(list(views))
    exam = Exam(
        plan.patient_id,
        plan.study_instance_uid,
        {slot: tuple(images) for slot, images in views.items()},
        tuple(cautions),
    )
    return exam, tuple(unreadable)


def _copy_caution(new: Mammogram, kept: Mammogram) -> Caution | None:
    """Say that `new` repeats `kept`, and how; ``None`` if it is an image of its own."""
    one_uid = new.ref.sop_instance_uid is not None and (
        new.ref.sop_instance_uid == kept.ref.sop_instance_uid
    )
    one_file = new.ref.digest == kept.ref.digest
    if not (one_uid or one_file or _slot(new) == _slot(kept)):
        return None
    equal = one_file or np.array_equal(new.pixels, kept.pixels)
    if one_uid and not equal:
        return Caution(
            _CONTRADICTION,
            f"{new.ref.path} has the SOPInstanceUID of {kept.ref.path} but other pixels: left out",
        )
    if not equal:
        return None
    name = "duplicate_instance" if one_uid or one_file else "duplicate_pixels"
    return Caution(name, f"{new.ref.path} is a copy of {kept.ref.path}")


def _slot(mammogram: Mammogram) -> Slot:
    return mammogram.ref.laterality, mammogram.ref.view_position


def _slot_order(slot: Slot) -> tuple[int, str, str]:
    rank = STANDARD_VIEWS.index(slot) if slot in STANDARD_VIEWS else len(STANDARD_VIEWS)
    side, view = slot
    return rank, view.value if view else "~", side.value if side else "~"


def _view_cautions(slots: Sequence[Slot]) -> list[Caution]:
    if not slots:
        return []
    cautions = []
    missing = [
        f"{side.value}{view.value}" for side, view in STANDARD_VIEWS if (side, view) not in slots
    ]
    if missing:
        cautions.append(Caution("missing_view", f"not among the images: {', '.join(missing)}"))
    if any(side is None for side, _ in slots):
        cautions.append(
            Caution("laterality_unknown", "for some images nothing says which breast they show")
        )
    return cautions


def _header_of(file: ImageFile) -> HeaderInfo | None:
    try:
        return identify(file)
    except InputError:
        return None


def _unreadable(file: ImageFile, error: InputError, info: HeaderInfo | None = None) -> Unreadable:
    source = Source(info.ref, info.header) if info is not None else None
    kind = info.kind if info is not None else ObjectKind.UNKNOWN
    return Unreadable(file.name, type(error).__name__, str(error), source, kind)
