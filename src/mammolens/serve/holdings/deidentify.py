"""De-identification of a DICOM object: attributes that are not listed here are removed.

PS3.15 table E.1-1 lists the identifying attributes: they are removed (X), emptied (Z), or replaced
by a dummy (D) or another UID (U); all others stay. This module is stricter: an attribute stays only
if reading a mammogram needs it and the table allows it. So private, new and misused attributes are
removed too, and attributes whose values do not have the form of the standard (`element_forms`). Two
options of the profile are used: *Retain Patient Characteristics* (sex and age, which the model
reads) and, if the settings say so, *Retain Longitudinal Temporal Information with Modified Dates*.
Pixels are not changed: a picture that may show text is refused.

Source: DICOM PS3.15, Annex E, Basic Application Level Confidentiality Profile.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from mammolens import __version__
from mammolens.core import ImageRef
from mammolens.errors import InputError, NotAnImage, UnsupportedImage
from mammolens.serve.holdings.element_forms import (
    TEXTS,
    comments,
    has_its_form,
    trim_pixels,
)
from mammolens.serve.holdings.objects import SOURCE
from mammolens.serve.settings import DeidentifySettings

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataelem import DataElement

__all__ = ["KEPT", "Pseudonyms", "deidentify"]

_KEPT: Final = """
SpecificCharacterSet SOPClassUID ImageType Modality PresentationIntentType ConversionType
Manufacturer ManufacturerModelName SoftwareVersions SeriesNumber InstanceNumber

PatientSex PatientAge

Laterality ImageLaterality ViewPosition ViewCodeSequence ViewModifierCodeSequence
PatientOrientation BodyPartExamined AnatomicRegionSequence OrganExposed PositionerType
PositionerPrimaryAngle BreastImplantPresent PartialView PartialViewCodeSequence QualityControlImage
BurnedInAnnotation DetectorType KVP Exposure ExposureTime FocalSpots AnodeTargetMaterial
FilterMaterial CompressionForce BodyPartThickness FieldOfViewRotation FieldOfViewHorizontalFlip
EstimatedRadiographicMagnificationFactor
CodeValue CodingSchemeDesignator CodingSchemeVersion CodeMeaning

SamplesPerPixel PhotometricInterpretation PlanarConfiguration NumberOfFrames Rows Columns
BitsAllocated BitsStored HighBit PixelRepresentation PixelAspectRatio PixelSpacing
ImagerPixelSpacing PixelPaddingValue PixelPaddingRangeLimit PixelIntensityRelationship
PixelIntensityRelationshipSign RescaleIntercept RescaleSlope RescaleType WindowCenter WindowWidth
VOILUTFunction VOILUTSequence ModalityLUTSequence ModalityLUTType LUTDescriptor LUTData
PresentationLUTShape LossyImageCompression LossyImageCompressionRatio LossyImageCompressionMethod
PixelData ExtendedOffsetTable ExtendedOffsetTableLengths
"""
KEPT: Final = frozenset(_KEPT.split())
"""Attributes that stay as they are; none of them has an action in table E.1-1 but the patient's
sex and age."""
UIDS: Final = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
EMPTIED: Final = ("AccessionNumber", "PatientBirthDate", "ReferringPhysicianName", "StudyID")
DATES: Final = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
TIMES: Final = ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime")
EMPTIED_DATES: Final = ("StudyDate", "StudyTime", "ContentDate", "ContentTime")
"""Dates of type 1 and 2, which are emptied rather than removed."""
NAMES: Final = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "AccessionNumber",
    "OtherPatientIDs",
)
IDENTITY: Final = frozenset((*UIDS, *EMPTIED, *DATES, *TIMES, *NAMES))
"""Attributes that are read to replace them; all others are passed over."""
FREE_TEXTS: Final = TEXTS - {"AE", "AS", "CS"}
"""Texts in which a short name may stand; a code such as CC is nobody's initials."""
SHORTEST_TOKEN: Final = 4
"""Shorter words are looked for as whole words of free text, not within others."""
SHORTEST_WORD: Final = 2
_WORDS: Final = re.compile(r"[\W_]+")
OLDEST_YEARS: Final = 90  # Older patients are so rare that an age would identify them (HIPAA).
SHIFT_DAYS: Final = 3650
METHODS: Final = {
    "113100": "Basic Application Confidentiality Profile",
    "113108": "Retain Patient Characteristics Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
}
"""CID 7050."""
SHIFTED: Final = "113107"


@dataclass(frozen=True)
class Pseudonyms:
    """Makes pseudonyms from identifiers; with the same key, equal identifiers give equal ones."""

    key: bytes = field(repr=False)

    def uid(self, uid: str) -> str:
        """Give the pseudonym of a UID, under 2.25 (PS3.5 B.2).

        Examples
        --------
        >>> Pseudonyms(b"k").uid("1.2.3") == Pseudonyms(b"k").uid("1.2.3")
        True
        """
        return f"2.25.{self._number('uid', uid)}"

    def person(self, *known: str) -> str:
        """Give the pseudonym of a person with these identifiers; it never contains a view."""
        return f"ANON{self._number('person', *known) % 10**20:020d}"

    def days(self, patient_id: str) -> timedelta:
        """Give the days by which the dates of a patient are moved back: 1 to 3,650."""
        return timedelta(days=1 + self._number("days", patient_id) % SHIFT_DAYS)

    def _number(self, *what: str) -> int:
        text = "\x00".join(what).encode("utf-8", "surrogateescape")
        return int.from_bytes(hmac.digest(self.key, text, hashlib.sha256)[:16], "big")


def deidentify(
    content: bytes, ref: ImageRef, pseudonyms: Pseudonyms, settings: DeidentifySettings
) -> bytes:
    """Make a DICOM file without identity; the same object always gives the same file.

    Parameters
    ----------
    content
        A DICOM file.
    ref
        Its description: side and view are written, also if they were read from removed attributes.

    Raises
    ------
    UnsupportedImage
        The picture shows or may show text, or the header exceeds the limits of
        `mammolens.images`.
    NotAnImage
        The object is damaged.
    """
    from pydicom import dcmread, dcmwrite
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    from mammolens.images.dicom.bounded_header import bounded_file, wanted_of
    from mammolens.images.dicom.pydicom_warnings import quiet_pydicom

    try:
        with quiet_pydicom():
            bounded, syntax = bounded_file(content, SOURCE, wanted_of(KEPT | IDENTITY))
            source = dcmread(BytesIO(bounded))
            _refuse_burned_in_text(source, settings)
            tokens = _tokens(source)
            made = _cleaned(source, tokens)
            trim_pixels(made)
            _refuse_comments(made, tokens)
            _identify(made, source, ref, pseudonyms, settings)
            made.file_meta = FileMetaDataset()
            made.file_meta.TransferSyntaxUID = UID(syntax)
            out = BytesIO()
            dcmwrite(out, made, enforce_file_format=True)
    except InputError:
        raise
    except Exception as error:
        raise NotAnImage(
            f"it cannot be de-identified ({type(error).__name__})",
            source=SOURCE,
            remedy="Send a complete DICOM object",
        ) from error
    return out.getvalue()


def _refuse_burned_in_text(source: Dataset, settings: DeidentifySettings) -> None:
    burned_in = str(source.get("BurnedInAnnotation") or "").strip().upper()
    model = str(source.get("ManufacturerModelName") or "").strip()
    overlaid = any(
        element.tag.group & 0xFF01 == 0x6000 and element.tag.element == 0x0102 and element.value
        for element in source
    )
    if not overlaid and (burned_in == "NO" or (not burned_in and model in settings.clean_models)):
        return
    raise UnsupportedImage(
        "the picture may show text that identifies the patient",
        source=SOURCE,
        keyword="BurnedInAnnotation",
        remedy="Send pictures that say NO, or name the device in intake.deidentify.clean_models",
    )


def _cleaned(source: Dataset, tokens: frozenset[str]) -> Dataset:
    from pydicom import Dataset

    made = Dataset()
    for element in source:
        if element.keyword not in KEPT or not has_its_form(element) or _identifies(element, tokens):
            continue
        if element.VR == "SQ":
            element.value = [_cleaned(item, tokens) for item in element.value]
        made.add(element)
    return made


def _tokens(source: Dataset) -> frozenset[str]:
    """Words that would identify the patient in an attribute that stays."""
    words = re.split(r"[\s^=\\,]+", " ".join(str(source.get(keyword) or "") for keyword in NAMES))
    return frozenset(word.casefold() for word in words if len(word) >= SHORTEST_WORD)


def _identifies(element: DataElement, tokens: frozenset[str]) -> bool:
    if element.VR not in TEXTS or element.keyword == "SpecificCharacterSet":
        return False
    text = str(element.value).casefold()
    if any(len(token) >= SHORTEST_TOKEN and token in text for token in tokens):
        return True
    return element.VR in FREE_TEXTS and not tokens.isdisjoint(_WORDS.split(text))


def _refuse_comments(made: Dataset, tokens: frozenset[str]) -> None:
    """Refuse a compressed picture with a comment that identifies the patient."""
    for comment in comments(made):
        text = comment.decode("latin-1").casefold()
        if any(len(token) >= SHORTEST_TOKEN and token in text for token in tokens):
            raise UnsupportedImage(
                "the compressed picture has a comment that may identify the patient",
                source=SOURCE,
                keyword="PixelData",
                remedy="Send it without the comment, or not compressed",
            )


def _identify(
    made: Dataset,
    source: Dataset,
    ref: ImageRef,
    pseudonyms: Pseudonyms,
    settings: DeidentifySettings,
) -> None:
    """Set the pseudonyms, and the attributes that describe the de-identification."""
    patient_id, name, born = (
        str(source.get(keyword) or "").strip()
        for keyword in ("PatientID", "PatientName", "PatientBirthDate")
    )
    made.PatientID = pseudonyms.person(patient_id)
    made.PatientName = pseudonyms.person(patient_id, " ".join(name.casefold().split()), born)
    for keyword in UIDS:
        if source.get(keyword):
            setattr(made, keyword, pseudonyms.uid(str(source.get(keyword))))
    for keyword in EMPTIED:
        setattr(made, keyword, None)
    if settings.dates == "shift":
        _shift(made, source, pseudonyms.days(patient_id))
    for keyword in EMPTIED_DATES:
        if keyword not in made:
            setattr(made, keyword, None)
    if re.fullmatch(r"\d{3}Y", age := str(made.get("PatientAge") or "")):
        made.PatientAge = f"{min(int(age[:3]), OLDEST_YEARS):03d}Y"
    if ref.laterality is not None:
        made.ImageLaterality = ref.laterality.value
    if ref.view_position is not None and not made.get("ViewCodeSequence"):
        made.ViewPosition = ref.view_position.value
    shifted = settings.dates == "shift"
    made.PatientIdentityRemoved = "YES"
    made.LongitudinalTemporalInformationModified = "MODIFIED" if shifted else "REMOVED"
    made.DeidentificationMethod = f"mammolens {__version__}"
    made.DeidentificationMethodCodeSequence = [
        _code(value, meaning) for value, meaning in METHODS.items() if shifted or value != SHIFTED
    ]


def _shift(made: Dataset, source: Dataset, days: timedelta) -> None:
    for keyword in DATES:
        value: Any = str(source.get(keyword) or "")
        if re.fullmatch(r"\d{8}", value):
            try:
                moved = date(int(value[:4]), int(value[4:6]), int(value[6:])) - days
            except (ValueError, OverflowError):
                continue
            setattr(made, keyword, moved.strftime("%Y%m%d"))
    for keyword in TIMES:
        value = str(source.get(keyword) or "")
        if re.fullmatch(r"\d{2,6}(\.\d{1,6})?", value):
            setattr(made, keyword, value)


def _code(value: str, meaning: str) -> Dataset:
    from pydicom import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code
