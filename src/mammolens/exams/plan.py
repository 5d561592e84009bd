"""Files → plans of exams: grouped by headers and names, no pixel decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Final

from mammolens.core import Caution, ObjectKind, Source, Unreadable
from mammolens.errors import InputError
from mammolens.exams.identity import identity_cautions, identity_of, is_placeholder
from mammolens.images import HeaderInfo, ImageFile, identify, may_be_image
from mammolens.images.names import read_name

__all__ = ["SEVERAL_PATIENTS", "ExamPlan", "plan_exams", "unreadable_file"]

SEVERAL_PATIENTS: Final = Caution(
    "two_patients_in_study",
    "the study names more than one patient; this result is of the images that name one of them",
    doubt=True,
)

_NO_STUDY: Final = Caution(
    "missing_study_uid", "StudyInstanceUID is absent; grouped by patient, date and folder"
)
_NOBODY: Final = Caution(
    "patient_unknown",
    "StudyInstanceUID and PatientID are absent; grouped by name, dates, age, accession number and"
    " folder",
    doubt=True,
)


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

    key: tuple[str | None, ...]
    patient_id: str | None
    study_instance_uid: str | None
    caution: Caution | None = None


_Member = tuple[ImageFile, HeaderInfo, _Belonging]


def plan_exams(files: Iterable[ImageFile]) -> tuple[list[ExamPlan], list[Unreadable]]:
    """Group files into exams by their headers and names; no pixel is decoded.

    DICOM is grouped by study and by what identifies the patient (`identity_of`). CBIS-DDSM, where
    each view claims to be a patient and a study of its own, is grouped by the case number in
    PatientID: its mass and calcification parts share their numbers, so they are one exam.
    Pictures without a header are grouped by patient or case in their names, within a folder.

    Returns
    -------
    tuple
        The plans, in the order of their first file, and what belongs to no exam. A file that is
        refused although its header can be read is listed in its plan's `unreadable`. A file that
        belongs to no exam, but may be a mammogram, is a doubt of every exam in its folder.
    """
    groups: dict[tuple[str | None, ...], list[_Member]] = {}
    unplaced: list[Unreadable] = []
    for file in files:
        try:
            info = identify(file)
        except InputError as error:
            kind = ObjectKind.UNKNOWN if may_be_image(file) else ObjectKind.DOCUMENT
            unplaced.append(replace(unreadable_file(file, error), kind=kind))
            continue
        belonging = _belonging(file, info)
        if info.refusal is not None and belonging.key[0] == "alone":
            unplaced.append(unreadable_file(file, info.refusal, info))
            continue
        groups.setdefault(belonging.key, []).append((file, info, belonging))
    shared = _studies_of_several(groups.values())
    plans = [_plan(members, shared) for members in groups.values()]
    strays = Counter(_folder_of(item.path) for item in unplaced if item.kind.may_show_breast)
    return [_beside_strays(plan, strays) for plan in plans], unplaced


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
        who = identity_of(replace(ref, patient_id=patient), info.header)
        key: tuple[str | None, ...] = ("study", ref.study_instance_uid, *who)
        return _Belonging(key, patient, ref.study_instance_uid, note)
    who = identity_of(replace(ref, patient_id=patient), info.header)
    if not any(who) or (patient is None and info.refusal is not None):
        return _Belonging(("alone", file.name), None, None)
    key = ("patient", *who, info.header.study_date, _folder(file))
    return _Belonging(key, patient, None, _NO_STUDY if patient else _NOBODY)


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
    if not is_placeholder(patient_id):
        return patient_id, None
    named = read_name(name).patient_id
    if named is None:
        return None, None
    return named, Caution("patient_from_name", "PatientID is anonymous; the file name's was taken")


def _folder(file: ImageFile) -> str:
    return _folder_of(file.name)


def _folder_of(name: str) -> str:
    """The folder of a file, or of a member within its archive."""
    archive, inside, member = name.rpartition("!")
    return f"{archive}!{PurePath(member).parent}" if inside else str(PurePath(name).parent)


def _studies_of_several(groups: Iterable[Sequence[_Member]]) -> frozenset[str]:
    """Study UIDs that more than one patient claims; documents do not count."""
    studies = Counter(
        members[0][2].study_instance_uid
        for members in groups
        if any(info.kind.is_image for _, info, _ in members)
    )
    return frozenset(uid for uid, count in studies.items() if uid is not None and count > 1)


def _plan(members: Sequence[_Member], shared: frozenset[str]) -> ExamPlan:
    first = members[0][2]
    cautions = {b.caution: None for _, _, b in members if b.caution is not None}
    if first.study_instance_uid in shared:
        cautions[SEVERAL_PATIENTS] = None
    if first.key[0] != "cbis":
        images = [Source(info.ref, info.header) for _, info, _ in members if info.kind.is_image]
        cautions |= dict.fromkeys(identity_cautions(images))
    ordered = sorted(members, key=lambda member: member[0].name)
    return ExamPlan(
        patient_id=first.patient_id,
        study_instance_uid=first.study_instance_uid,
        files=tuple(file for file, info, _ in ordered if info.refusal is None),
        cautions=tuple(cautions),
        unreadable=tuple(
            unreadable_file(file, info.refusal, info) for file, info, _ in ordered if info.refusal
        ),
    )


def _beside_strays(plan: ExamPlan, strays: Counter[str]) -> ExamPlan:
    """Note files beside an exam's own that could be read too little to say whose they are."""
    names = [file.name for file in plan.files] + [item.path for item in plan.unreadable]
    count = sum(strays[folder] for folder in {_folder_of(name) for name in names})
    if not count:
        return plan
    caution = Caution(
        "unplaced_file",
        f"{count} unreadable files lie in the same folder and may belong to this exam",
        doubt=True,
    )
    return replace(plan, cautions=(*plan.cautions, caution))


def unreadable_file(
    file: ImageFile, error: InputError, info: HeaderInfo | None = None
) -> Unreadable:
    """Make the entry of a refused file, with what its header says if that could be read."""
    source = Source(info.ref, info.header) if info is not None else None
    kind = info.kind if info is not None else ObjectKind.UNKNOWN
    return Unreadable(file.name, type(error).__name__, str(error), source, kind)
