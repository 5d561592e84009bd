"""Load an exam from its plan: decode the pixels, drop copies, check the views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from mammolens.core import Caution, Exam, Mammogram, ObjectKind, Unreadable
from mammolens.errors import InputError
from mammolens.exams.identity import is_placeholder
from mammolens.exams.plan import ExamPlan, unreadable_file
from mammolens.exams.views import STANDARD_VIEWS, Slot
from mammolens.images import HeaderInfo, ImageFile, identify, read_image

__all__ = ["load_exam", "make_exam"]

_CONTRADICTION: Final = "duplicate_uid_different_pixels"


def load_exam(plan: ExamPlan) -> tuple[Exam, tuple[Unreadable, ...]]:
    """Decode the files of a plan, drop copies, and check the views.

    Copies are found after decoding, so that a truncated copy never replaces a good one. Of images
    with one SOP instance UID, the first path that can be decoded is used; the same is true for
    equal pixels of one view. An image with the UID of another image but other pixels is left out
    and listed as unreadable.

    Returns
    -------
    tuple
        The exam and the files that could not be used (those of ``plan.unreadable`` are not
        repeated). The views are in the order RCC, LCC, RMLO, LMLO, others. The exam may be empty.
    """
    kept: list[Mammogram] = []
    cautions = list(plan.cautions)
    unreadable: list[Unreadable] = []
    for file in plan.files:
        try:
            mammogram = read_image(file)
        except InputError as error:
            unreadable.append(unreadable_file(file, error, _header_of(file)))
            continue
        copy = next((note for other in kept if (note := _copy_caution(mammogram, other))), None)
        if copy is None:
            kept.append(mammogram)
        else:
            cautions.append(copy)
            if copy.name == _CONTRADICTION:
                kind = ObjectKind.MAMMOGRAM
                unreadable.append(Unreadable(file.name, "NotAnImage", copy.message, kind=kind))
    exam = make_exam(kept, plan.patient_id, plan.study_instance_uid, cautions)
    return exam, tuple(unreadable)


def make_exam(
    mammograms: Sequence[Mammogram],
    patient_id: str | None,
    study_instance_uid: str | None,
    cautions: Sequence[Caution] = (),
) -> Exam:
    """Make an exam of the images of one study, and check its views."""
    views: dict[Slot, list[Mammogram]] = {}
    for mammogram in sorted(mammograms, key=lambda m: _slot_order(_slot(m))):
        views.setdefault(_slot(mammogram), []).append(mammogram)
    notes = [*cautions, *_view_cautions(list(views))]
    if is_placeholder(patient_id):
        notes += _repeated_views(views)
    return Exam(
        patient_id,
        study_instance_uid,
        {slot: tuple(images) for slot, images in views.items()},
        tuple(notes),
    )


def _copy_caution(new: Mammogram, kept: Mammogram) -> Caution | None:
    """Describe how `new` repeats `kept`; ``None`` if it is a different image."""
    same_uid = new.ref.sop_instance_uid is not None and (
        new.ref.sop_instance_uid == kept.ref.sop_instance_uid
    )
    same_file = new.ref.digest == kept.ref.digest
    if not (same_uid or same_file or _slot(new) == _slot(kept)):
        return None
    equal = same_file or np.array_equal(new.pixels, kept.pixels)
    if same_uid and not equal:
        return Caution(
            _CONTRADICTION,
            f"{new.ref.path} has the SOPInstanceUID of {kept.ref.path} but other pixels;"
            " it was left out",
        )
    if not equal:
        return None
    name = "duplicate_instance" if same_uid or same_file else "duplicate_pixels"
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
            Caution("laterality_unknown", "for some images, it is unknown which breast they show")
        )
    return cautions


def _repeated_views(views: Mapping[Slot, Sequence[Mammogram]]) -> list[Caution]:
    """Doubt several pictures of one view if no PatientID shows that they have one patient."""
    names = ["".join(part.value for part in slot if part) for slot in views if len(views[slot]) > 1]
    if not names:
        return []
    return [
        Caution(
            "patient_unknown",
            f"there are several pictures of {', '.join(names)}, and no PatientID shows that they"
            " belong to one patient",
            doubt=True,
        )
    ]


def _header_of(file: ImageFile) -> HeaderInfo | None:
    try:
        return identify(file)
    except InputError:
        return None
