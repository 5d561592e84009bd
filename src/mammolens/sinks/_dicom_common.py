"""Functions that all DICOM results share: patient and study, identifiers, equipment, encoding.

A result belongs to the study of its images and has the same patient. Its UIDs are computed from
the study, the model, the sink and the content: if an analysis is repeated, the object is the same,
and a PACS keeps it only once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from io import BytesIO
from typing import Any, Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, ExplicitVRLittleEndian

from mammolens import __version__
from mammolens.core import (
    ImagePrediction,
    ImageRef,
    ModelId,
    Photometric,
    Prediction,
    Source,
    SourceHeader,
    ViewPosition,
)
from mammolens.errors import InputError
from mammolens.images.dicom.pydicom_warnings import quiet_pydicom
from mammolens.sinks import Artefact, DicomIds, RunInfo
from mammolens.sinks import _dicom_codes as codes
from mammolens.sinks._dicom_values import carried_back, require_identifiers
from mammolens.sinks._worklist import images_in_order
from mammolens.wording import printable, view_name

SERIES: Final = {
    "dicom-cad-sr": (9100, "AI CAD"),
    "dicom-sr": (9105, "AI measurements"),
    "dicom-sc": (9110, "AI overlay"),
    "dicom-seg": (9120, "AI regions"),
    "dicom-pr": (9130, "AI marks"),
    "dicom-ko": (9140, "AI key images"),
    "reading-sr": (9150, "Reading"),
    "reading-pr": (9160, "Marks of a reader"),
}
"""Series number and description of the objects of each sink, and of signed readings."""

_LONGEST_LO: Final = 64  # characters of the VR Long String (PS3.5 6.2)
_DIRECTIONS: Final = re.compile(r"[APLRHF]{1,3}")


def result_uid(*parts: str | bytes) -> str:
    """Derive a UID under 2.25 from text and bytes; the same parts always give the same.

    Source: PS3.5 B.2.

    Examples
    --------
    >>> result_uid("a", "bc") == result_uid("a", "bc") != result_uid("ab", "c")
    True
    """
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "backslashreplace") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return f"2.25.{int.from_bytes(digest.digest()[:16], 'big')}"


def identify(
    sink: str, ref: ImageRef, model: ModelId, number: int, *content: str | bytes
) -> dict[str, Any]:
    """Give the identifiers and the equipment of a result, as keyword arguments of highdicom.

    The results of one sink for one side of one study are one series.

    Parameters
    ----------
    ref
        A source image; the result gets its study and side.
    number
        Instance number.
    content
        The content of the object; other content gives another instance UID.
    """
    side = ref.laterality.value if ref.laterality else ""
    series_key = sink, str(ref.study_instance_uid), side, model.name, model.version, model.digest
    return {
        "series_instance_uid": result_uid(*series_key, "series"),
        "series_number": SERIES[sink][0],
        "sop_instance_uid": result_uid(*series_key, __version__, *content),
        "instance_number": number,
        "manufacturer": "mammolens",
        "manufacturer_model_name": _lo(model.name),
        "software_versions": [_lo(f"mammolens {__version__}"), _lo(f"model {model.version}")],
        "device_serial_number": _lo(model.digest[:16] or "unknown"),
    }


def sign(made: Dataset, identity: dict[str, Any]) -> None:
    """Set the values of `identify` in an object that highdicom did not make."""
    for name, value in identity.items():
        keyword = name.title().replace("_", "").replace("Uid", "UID").replace("Sop", "SOP")
        setattr(made, keyword, value)


def evidence(source: Source) -> Dataset:
    """Make the data set of a source image: its patient, its study and its identifiers."""
    made = Dataset()
    for keyword, value in carried_back(source.ref, source.header).items():
        setattr(made, keyword, value)
    made.SeriesInstanceUID = source.ref.series_instance_uid
    made.SOPClassUID = source.header.sop_class_uid
    made.SOPInstanceUID = source.ref.sop_instance_uid
    return made


def source_dataset(image: ImagePrediction) -> Dataset:
    """Make the data set of an analysed image, with all attributes that results refer to.

    Raises
    ------
    MissingAttribute
        If the image lacks a usable identifier, and so cannot be referred to.
    """
    source = Source(image.ref, image.header)
    return image_dataset(source, image.geometry.source_shape, image.photometric)


def image_dataset(source: Source, shape: tuple[int, int], photometric: Photometric) -> Dataset:
    """Make the data set of an image with known rows and columns; see `source_dataset`.

    Raises
    ------
    MissingAttribute
    """
    ref, header = source.ref, source.header
    require_identifiers(source)
    made = evidence(source)
    made.Modality = "MG"
    made.Rows, made.Columns = shape
    made.SamplesPerPixel = 1
    made.PhotometricInterpretation = photometric.value
    if ref.spacing_mm is not None:
        made.PixelSpacing = list(ref.spacing_mm)
    made.PatientOrientation = orientation(header)
    return made


def orientation(header: SourceHeader) -> list[str]:
    """Give the Patient Orientation of rows and columns; empty if the source has none.

    Examples
    --------
    >>> orientation(SourceHeader(patient_orientation=("A", "FR")))
    ['A', 'FR']
    >>> orientation(SourceHeader(patient_orientation=("MLO",)))
    []
    """
    found = header.patient_orientation or ()
    return list(found) if len(found) == 2 and all(map(_DIRECTIONS.fullmatch, found)) else []


def per_exam(
    prediction: Prediction, run: RunInfo, make: Callable[[Prediction, RunInfo], Dataset | None]
) -> Iterator[Artefact]:
    """Make and encode the object of an exam; nothing if `make` gives ``None``."""
    with quiet_pydicom():
        made = make(prediction, run)
        files = [] if made is None else [dicom_file("exam", made)]
    yield from files


def per_image(
    prediction: Prediction, make: Callable[[ImagePrediction, int], Dataset | None]
) -> Iterator[Artefact]:
    """Make and encode an object for each image, in hanging order.

    Parameters
    ----------
    make
        Takes the image and its number from 1. If it gives ``None``, the image has no object.

    Raises
    ------
    InputError
        The first refusal, after all other objects were given.
    """
    refusals: list[InputError] = []
    for number, image in enumerate(images_in_order(prediction), start=1):
        try:
            with quiet_pydicom():
                made = make(image, number)
                files = [] if made is None else [dicom_file(view_name(image.ref), made)]
        except InputError as error:
            refusals.append(error)
            continue
        yield from files
    if refusals:
        raise refusals[0]


def finish(
    made: Dataset, sink: str, ref: ImageRef, header: SourceHeader, created: datetime
) -> Dataset:
    """Set patient, study, series description and the time of creation in an object."""
    for keyword, value in carried_back(ref, header).items():
        setattr(made, keyword, value)
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SeriesDescription = SERIES[sink][1] + ", research use only"
    local = created.astimezone()
    for name in ("InstanceCreation", "Content"):
        setattr(made, f"{name}Date", local.strftime("%Y%m%d"))
        setattr(made, f"{name}Time", local.strftime("%H%M%S"))
    for item in made.get("ContributingEquipmentSequence") or ():
        item.ContributionDateTime = local.strftime("%Y%m%d%H%M%S")
    return made


def dicom_file(name: str, made: Dataset) -> Artefact:
    """Encode an object as a file, with the identifiers that others refer to."""
    return Artefact(f"{name}.dcm", "application/dicom", encode(made), ids_of(made))


def ids_of(made: Dataset) -> DicomIds:
    """Give the identifiers of an object."""
    return DicomIds(
        str(made.SOPClassUID),
        str(made.SOPInstanceUID),
        str(made.SeriesInstanceUID),
        str(made.StudyInstanceUID),
    )


def encode(made: Dataset) -> bytes:
    """Write a data set as a DICOM file, Explicit VR Little Endian."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = made.SOPClassUID
    meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    meta.ImplementationVersionName = f"MAMMOLENS {__version__}"[:16]
    made.file_meta = meta
    buffer = BytesIO()
    dcmwrite(buffer, made, implicit_vr=False, little_endian=True, enforce_file_format=True)
    return buffer.getvalue()


def code_item(value: str, scheme: str, meaning: str) -> Dataset:
    """Make one item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def reference_item(image: ImagePrediction) -> Dataset:
    """Make one item that refers to a source image."""
    item = Dataset()
    item.ReferencedSOPClassUID = image.header.sop_class_uid
    item.ReferencedSOPInstanceUID = image.ref.sop_instance_uid
    return item


def view_item(view: ViewPosition | None) -> Dataset | None:
    """Make the item of View Code Sequence; ``None`` if the standard has no code (CID 4014)."""
    return code_item(*codes.VIEWS[view]) if view in codes.VIEWS else None


def _lo(text: str) -> str:
    """Make a text valid for the VR LO: printable, without backslash, not too long."""
    return printable(text).replace("\\", "_")[:_LONGEST_LO]
