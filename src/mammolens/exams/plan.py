"""Group files into plans of exams by their headers and names, without decoding pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Final

from mammolens.core import Caution, ObjectKind, Source, Unreadable
from mammolens.errors import InputError
from mammolens.exams.identity import identity_cautions, identity_of, is_placeholder
from mammolens.images import HeaderInfo, ImageFile, identify, may_be_image
from mammolens.images.names import read_name

__all__ = [
    "SEVERAL_PATIENTS",
    "ExamPlan",
    "Placement",
    "place_file",
    "plan_exams",
    "unreadable_file",
]

SEVERAL_PATIENTS: Final = Caution(
    "two_patients_in_study",
    "the images of this study belong to more than one patient; this result uses the images of one",
    doubt=True,
)

_NO_STUDY_UID: Final = Caution(
    "missing_study_uid",
    "StudyInstanceUID is missing; images were grouped by patient, date and folder",
)
_NO_PATIENT_ID: Final = Caution(
    "patient_unknown",
    "StudyInstanceUID and PatientID are missing; images were grouped by name, dates, age, accession"
    " number and folder",
    doubt=True,
)


@dataclass(frozen=True)
class ExamPlan:
    """The files of one exam before decoding; `unreadable` are files with a refused header.

    `files` may be empty: an exam without any readable file is still an exam.
    """

    patient_id: str | None
    study_instance_uid: str | None
    files: tuple[ImageFile, ...]
    cautions: tuple[Caution, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()


@dataclass(frozen=True)
class Placement:
    """With which files a file must be planned: those of the same `study`.

    A `suspect` belongs to no exam but may be a mammogram: it is a doubt for all exams of `folder`.
    """

    study: tuple[str | None, ...]
    folder: str
    suspect: bool


@dataclass(frozen=True)
class _ExamKey:
    """The exam to which a file belongs: files with the same `key` are one exam."""

    key: tuple[str | None, ...]
    patient_id: str | None
    study_instance_uid: str | None
    caution: Caution | None = None


_Member = tuple[ImageFile, HeaderInfo, _ExamKey]


def plan_exams(
    files: Iterable[ImageFile], elsewhere: Mapping[str, int] | None = None
) -> tuple[list[ExamPlan], list[Unreadable]]:
    """Group files into exams by their headers and names, without decoding pixels.

    DICOM files are grouped by study and by the patient's identity (`identity_of`). In CBIS-DDSM,
    each view has its own patient and study, so its files are grouped by the case number in
    PatientID. The mass and calcification parts share these numbers, so they are one exam. Pictures
    without a header are grouped by the patient or case in their names, within a folder.

    Parameters
    ----------
    elsewhere
        By folder, how many suspects (see `Placement`) there are that are not among `files`.

    Returns
    -------
    tuple
        The plans, in the order of their first file, and the files that belong to no exam. A file
        that is refused although its header can be read is listed in `unreadable` of its plan. A
        file that belongs to no exam but may be a mammogram is a doubt for every exam in its folder.
    """
    groups: dict[tuple[str | None, ...], list[_Member]] = {}
    unplaced: list[Unreadable] = []
    for file in files:
        found = _placed(file)
        if isinstance(found, Unreadable):
            unplaced.append(found)
        else:
            groups.setdefault(found[2].key, []).append(found)
    shared = _studies_of_several(groups.values())
    plans = [_plan(members, shared) for members in groups.values()]
    suspects = Counter(_folder_of(item.path) for item in unplaced if item.kind.may_show_breast)
    suspects.update(elsewhere or {})
    return [_with_unplaced_doubt(plan, suspects) for plan in plans], unplaced


def place_file(file: ImageFile) -> Placement:
    """Say from its header with which other files a file must be planned."""
    found = _placed(file)
    folder = _folder_of(file.name)
    if isinstance(found, Unreadable):
        return Placement(("alone", file.name), folder, found.kind.may_show_breast)
    key = found[2].key
    return Placement(key[:2] if key[0] == "study" else key, folder, suspect=False)


def _placed(file: ImageFile) -> _Member | Unreadable:
    """Find the exam of a file; the entry of a refused file if it belongs to none."""
    try:
        info = identify(file)
    except InputError as error:
        kind = ObjectKind.UNKNOWN if may_be_image(file) else ObjectKind.DOCUMENT
        return replace(unreadable_file(file, error), kind=kind)
    exam = _exam_of(file, info)
    if info.refusal is not None and exam.key[0] == "alone":
        return unreadable_file(file, info.refusal, info)
    return file, info, exam


def _exam_of(file: ImageFile, info: HeaderInfo) -> _ExamKey:
    if info.header.transfer_syntax_uid is None:
        return _exam_of_picture(file, info.ref.patient_id)
    ref = info.ref
    case = read_name(ref.patient_id or "")
    if case.convention == "cbis" and case.patient_id is not None:
        grouped = Caution(
            "cbis_case_grouping",
            "each CBIS-DDSM view has its own PatientID and study; images were grouped by case",
        )
        return _ExamKey(("cbis", case.patient_id), case.patient_id, None, grouped)
    patient, note = _patient(ref.patient_id, file.name)
    identity = identity_of(replace(ref, patient_id=patient), info.header)
    if ref.study_instance_uid is not None:
        key: tuple[str | None, ...] = ("study", ref.study_instance_uid, *identity)
        return _ExamKey(key, patient, ref.study_instance_uid, note)
    if not any(identity) or (patient is None and info.refusal is not None):
        return _ExamKey(("alone", file.name), None, None)
    key = ("patient", *identity, info.header.study_date, _folder_of(file.name))
    return _ExamKey(key, patient, None, _NO_STUDY_UID if patient else _NO_PATIENT_ID)


def _exam_of_picture(file: ImageFile, patient_id: str | None) -> _ExamKey:
    """Find the exam of a picture without a DICOM header, such as a PNG file."""
    folder = _folder_of(file.name)
    if patient_id is not None:
        return _ExamKey(("picture", patient_id, folder), patient_id, None)
    case = read_name(file.name).case
    if case is None:
        return _ExamKey(("alone", file.name), None, None)
    note = Caution("grouped_by_name", "images were grouped by file names; the patient is unknown")
    return _ExamKey(("name", case, folder), None, None, note)


def _patient(patient_id: str | None, name: str) -> tuple[str | None, Caution | None]:
    """Give the patient: from PatientID, or from the file name if PatientID is a placeholder."""
    if not is_placeholder(patient_id):
        return patient_id, None
    named = read_name(name).patient_id
    if named is None:
        return None, None
    return named, Caution(
        "patient_from_name", "PatientID is anonymous; the patient was read from the file name"
    )


def _folder_of(name: str) -> str:
    """The folder of a file, or of a member within its archive."""
    archive, inside, member = name.rpartition("!")
    return f"{archive}!{PurePath(member).parent}" if inside else str(PurePath(name).parent)


def _studies_of_several(groups: Iterable[Sequence[_Member]]) -> frozenset[str]:
    """Study UIDs that images of more than one patient have; documents are not counted."""
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


def _with_unplaced_doubt(plan: ExamPlan, suspects: Counter[str]) -> ExamPlan:
    """Doubt an exam if files of unknown exams, counted by folder, may be its mammograms."""
    names = [file.name for file in plan.files] + [item.path for item in plan.unreadable]
    count = sum(suspects[folder] for folder in {_folder_of(name) for name in names})
    if not count:
        return plan
    caution = Caution(
        "unplaced_file",
        f"{count} unreadable files in the same folder may belong to this exam",
        doubt=True,
    )
    return replace(plan, cautions=(*plan.cautions, caution))


def unreadable_file(
    file: ImageFile, error: InputError, info: HeaderInfo | None = None
) -> Unreadable:
    """Make the entry of a refused file, with its header if that could be read."""
    source = Source(info.ref, info.header) if info is not None else None
    kind = info.kind if info is not None else ObjectKind.UNKNOWN
    return Unreadable.of(error, file.name, source, kind)
