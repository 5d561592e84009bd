"""Make `ImageRef` (for all results), `SourceHeader` (for DICOM results) and the orientation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from mammolens.core import (
    ImageRef,
    Laterality,
    Orientation,
    PixelOrigin,
    PresentationIntent,
    SourceHeader,
    ViewPosition,
)
from mammolens.images.ages import CHILD_YEARS, age_of
from mammolens.images.dicom.partial_views import view_modifiers
from mammolens.images.dicom.tags import Tags
from mammolens.images.dicom.views import dicom_side_and_view
from mammolens.images.film_photograph import FROM_PHOTOGRAPH, IMAGE_TYPE

__all__ = ["DIRECTION", "image_ref", "source_header", "stated_orientation"]

ASPECT_LIMITS = 0.1, 10.0
"""Pixel aspects outside these limits are ignored. Chosen by hand; `ImageRef` refuses them too."""
SPACING_LIMITS_MM = 1e-4, 10.0
"""Pixel spacings outside these limits are ignored. Chosen by hand; mammograms have 0.04 to 0.1."""

_ORIENTATION: Final = "PatientOrientation"
DIRECTION: Final = re.compile(r"[APLRHF]{1,3}")
_OPPOSITE: Final = {"A": "P", "P": "A", "L": "R", "R": "L", "H": "F", "F": "H"}
_AXIS: Final = {"A": "AP", "P": "AP", "L": "LR", "R": "LR", "H": "HF", "F": "HF"}
_INNER: Final = {Laterality.LEFT: "R", Laterality.RIGHT: "L"}
_FROM_ABOVE: Final = frozenset(
    (ViewPosition.CC, ViewPosition.XCCL, ViewPosition.XCCM, ViewPosition.FB, ViewPosition.CV)
)
_NO_DIRECTION: Final = frozenset(view.value for view in ViewPosition)


def image_ref(tags: Tags, path: Path | None) -> ImageRef:
    """Make the reference of an image, without digest and without the patient's name.

    Parameters
    ----------
    tags
        The data set; cautions are added to it.
    path
        The file, to find a table in the same folder; ``None`` inside archives.
    """
    side, view = dicom_side_and_view(tags, path)
    spacing = _spacing_mm(tags)
    age_years, notes = age_of(tags)
    tags.cautions.extend(notes)
    _note_patient(tags, age_years)
    return ImageRef(
        path=tags.source,
        patient_id="\\".join(tags.texts("PatientID")) or None,
        study_instance_uid=tags.text("StudyInstanceUID"),
        series_instance_uid=tags.text("SeriesInstanceUID"),
        sop_instance_uid=tags.text("SOPInstanceUID"),
        laterality=side,
        view_position=view,
        presentation_intent=_intent(tags),
        origin=_origin(tags),
        spacing_mm=spacing,
        pixel_aspect=_aspect(tags, spacing),
        manufacturer=tags.text("Manufacturer"),
        age_years=age_years,
        acquisition_date=tags.text("AcquisitionDate"),
    )


def source_header(tags: Tags, transfer_syntax: str) -> SourceHeader:
    """Collect the attributes that DICOM sinks copy into results."""
    return SourceHeader(
        sop_class_uid=tags.text("SOPClassUID"),
        transfer_syntax_uid=transfer_syntax,
        patient_name="\\".join(tags.texts("PatientName")) or None,
        patient_sex=tags.text("PatientSex"),
        patient_birth_date=tags.text("PatientBirthDate"),
        accession_number=tags.text("AccessionNumber"),
        study_id=tags.text("StudyID"),
        study_date=tags.text("StudyDate"),
        study_time=tags.text("StudyTime"),
        referring_physician_name=tags.text("ReferringPhysicianName"),
        patient_orientation=tags.texts("PatientOrientation") or None,
        rescale=_rescale(tags),
        content_date=tags.text("ContentDate"),
        content_time=tags.text("ContentTime"),
        view_modifiers=view_modifiers(tags),
        patient_age="\\".join(tags.texts("PatientAge")) or None,
        other_patient_ids=_other_patient_ids(tags),
        issuer_of_patient_id=tags.text("IssuerOfPatientID"),
        acquisition_time=tags.text("AcquisitionTime"),
        irradiation_event_uid=tags.text("IrradiationEventUID"),
        source_instance_uids=_source_instances(tags),
        instance_number=tags.text("InstanceNumber"),
        device_serial_number=tags.text("DeviceSerialNumber"),
        device_uid=tags.text("DeviceUID"),
        institution_name=tags.text("InstitutionName"),
        station_name=tags.text("StationName"),
        manufacturer_model=tags.text("ManufacturerModelName"),
        software_versions="\\".join(tags.texts("SoftwareVersions")) or None,
        series_description=tags.text("SeriesDescription"),
        burned_in_annotation=tags.code("BurnedInAnnotation"),
        conversion_type=tags.code("ConversionType"),
        admitting_diagnoses=tags.codes("AdmittingDiagnosesCodeSequence"),
        # The last one: reading the texts above adds to these keywords.
        undecoded=tuple(dict.fromkeys(tags.undecoded)),
    )


def _other_patient_ids(tags: Tags) -> tuple[str, ...]:
    """Values of Other Patient IDs (0010,1000; retired) and of its sequence (0010,1002)."""
    items = tags.inner("OtherPatientIDsSequence")
    listed = (value for item in items for value in item.texts("PatientID"))
    return (*tags.texts("OtherPatientIDs"), *listed)


def _source_instances(tags: Tags) -> tuple[str, ...]:
    items = tags.inner("SourceImageSequence")
    return tuple(uid for item in items if (uid := item.text("ReferencedSOPInstanceUID")))


def _rescale(tags: Tags) -> tuple[float, float] | None:
    if tags.items("ModalityLUTSequence"):
        return None
    slope = next(iter(tags.numbers("RescaleSlope")), 1.0)
    return slope, next(iter(tags.numbers("RescaleIntercept")), 0.0)


def _intent(tags: Tags) -> PresentationIntent | None:
    value = tags.code("PresentationIntentType")
    known = {intent.value: intent for intent in PresentationIntent}
    return known.get(value) if value else None


def _origin(tags: Tags) -> PixelOrigin:
    if IMAGE_TYPE in tags.texts("ImageType"):
        tags.doubt(FROM_PHOTOGRAPH.name, FROM_PHOTOGRAPH.message)
    if "GENERATED_2D" not in tags.texts("ImageType"):
        return PixelOrigin.ACQUIRED
    tags.caution("synthetic_2d", "the view was computed from a tomosynthesis stack")
    return PixelOrigin.GENERATED_2D


def _spacing_mm(tags: Tags) -> tuple[float, float] | None:
    low, high = SPACING_LIMITS_MM
    for keyword in ("ImagerPixelSpacing", "PixelSpacing"):
        values = tags.numbers(keyword)
        if len(values) == 2 and all(low < value < high for value in values):
            return values[0], values[1]
        if values:
            tags.caution("spacing_ignored", f"{keyword} is impossible and was ignored")
    return None


def _aspect(tags: Tags, spacing_mm: tuple[float, float] | None) -> float:
    """Height of a pixel divided by its width (PS3.3 C.7.6.3.1.7: vertical, then horizontal)."""
    values = tags.numbers("PixelAspectRatio")
    if len(values) == 2 and values[1] != 0:
        aspect = values[0] / values[1]
    elif spacing_mm is not None:
        aspect = spacing_mm[0] / spacing_mm[1]
    else:
        return 1.0
    low, high = ASPECT_LIMITS
    if low < aspect < high:
        return aspect
    tags.caution("aspect_ignored", f"a pixel aspect of {aspect:g} is impossible and was ignored")
    return 1.0


def _note_patient(tags: Tags, age_years: float | None) -> None:
    """Doubt a child, a man, or a patient of another sex: the model was not validated for them."""
    sex = (tags.code("PatientSex") or "")[:1]
    who = {"M": "men (PatientSex is M)", "O": "patients of another sex (PatientSex is O)"}.get(sex)
    if age_years is not None and age_years < CHILD_YEARS:
        who = "children"
    if who is not None:
        tags.doubt("patient_not_validated", f"the model was not validated for {who}")


def stated_orientation(
    tags: Tags, laterality: Laterality | None, view: ViewPosition | None
) -> Orientation | None:
    """Read from Patient Orientation how a stored picture must be turned to be upright.

    The rows of an upright mammogram run to the front or to the back of the patient. Its columns run
    to the feet, or in a view from above to the inner side of the breast. A mirrored picture is not
    changed here: preprocessing puts the chest wall of every breast at the same side.

    Returns
    -------
    ``None`` if the orientation is not stated, or impossible.

    Source: PS3.3 C.7.6.1.1.1 (Patient Orientation) and C.8.11.7.1.4 (views).
    """
    stated = tuple(text.upper() for text in tags.texts(_ORIENTATION))
    if not stated or set(stated) <= _NO_DIRECTION:
        return None
    row, column = (stated[0], stated[1]) if len(stated) == 2 else ("", "")
    axes = _AXIS.get(row[:1]), _AXIS.get(column[:1])
    readable = bool(DIRECTION.fullmatch(row) and DIRECTION.fullmatch(column))
    if not readable or axes[0] == axes[1] or "AP" not in axes:
        text = f"{_ORIENTATION} is impossible for a mammogram and was ignored"
        tags.caution("orientation_unusable", text)
        return None
    quarter_turns = 0
    while _AXIS[row[0]] != "AP" or not _runs_down(column, laterality, view):
        # After a clockwise turn, the direction up is the direction right, and right is down.
        row, column = "".join(_OPPOSITE[letter] for letter in column), row
        quarter_turns += 1
    return Orientation(quarter_turns, row[0] == "P", _ORIENTATION)


def _runs_down(column: str, laterality: Laterality | None, view: ViewPosition | None) -> bool:
    """Return whether the columns run as in an upright picture; its rows are known to."""
    across = column[0] in "LR" and laterality is not None
    vertical = next((letter for letter in column if letter in "HF"), None)
    if vertical is not None and not (across and view in _FROM_ABOVE):
        return vertical == "F"
    return column[0] == _INNER[laterality] if across and laterality is not None else True
