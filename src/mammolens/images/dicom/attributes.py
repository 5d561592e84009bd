"""The attributes of a DICOM header that are read, and the limits on how much of it is read.

All other attributes are skipped unread: an attribute that is not listed here never reaches the
parser, so its length does not matter. Code that reads a further attribute must list it here;
tests/images/test_bounded_header.py checks this.

Each limit is far above the values of honest objects; what is beyond it is refused. All limits
together are low enough that no object keeps a node busy for longer than a second.
"""

from __future__ import annotations

from functools import cache
from typing import Final

__all__ = [
    "IDENTIFYING",
    "LONG_TEXTS",
    "MAX_DEPTH",
    "MAX_INNER_STEPS",
    "MAX_KEPT",
    "MAX_KEPT_BYTES",
    "MAX_LUT_BYTES",
    "MAX_RATIO",
    "MAX_SEQUENCE_BYTES",
    "MAX_STEPS",
    "MAX_TABLE_BYTES",
    "MAX_TEXT_BYTES",
    "MAX_UID_BYTES",
    "MAX_VALUE_BYTES",
    "RATIO_COUNTS_FROM_BYTES",
    "READ",
    "SEQUENCES",
    "is_special",
    "tags_of",
]

_PATIENT: Final = """
PatientName PatientID IssuerOfPatientID PatientBirthDate PatientSex OtherPatientIDs
OtherPatientIDsSequence PatientAge
"""
_STUDY: Final = """
SpecificCharacterSet ImageType SOPClassUID SOPInstanceUID StudyDate AcquisitionDate ContentDate
StudyTime AcquisitionTime ContentTime AccessionNumber Modality ConversionType
PresentationIntentType Manufacturer InstitutionName ReferringPhysicianName StationName
StudyDescription SeriesDescription AdmittingDiagnosesCodeSequence ManufacturerModelName
SoftwareVersions DerivationDescription SourceImageSequence IrradiationEventUID StudyInstanceUID
SeriesInstanceUID
StudyID InstanceNumber RequestedProcedureDescription PerformedProcedureStepDescription
"""
_SUBJECT: Final = """
AnatomicRegionSequence AnatomicRegionModifierSequence PrimaryAnatomicStructureSequence
PrimaryAnatomicStructureModifierSequence BodyPartExamined PatientOrientation Laterality
ImageLaterality ImageComments ViewPosition ViewCodeSequence ViewModifierCodeSequence
BreastImplantPresent PartialView PartialViewDescription QualityControlImage BurnedInAnnotation
ContainerIdentifier SpecimenDescriptionSequence ContrastBolusAgent ContrastBolusAgentSequence
ContrastBolusRoute ContrastBolusIngredient
"""
_ACQUISITION: Final = """
KVP DeviceSerialNumber DeviceUID ProtocolName DistanceSourceToDetector DistanceSourceToPatient
DistanceSourceToEntrance EstimatedRadiographicMagnificationFactor ImagerPixelSpacing Grid
FocalSpots PaddleDescription AcquisitionDeviceProcessingDescription
AcquisitionDeviceProcessingCode PositionerPrimaryAngle FilterMaterial AcquisitionProtocolName
AcquisitionProtocolDescription
"""
_PIXELS: Final = """
SamplesPerPixel PhotometricInterpretation PlanarConfiguration NumberOfFrames Rows Columns
PixelSpacing PixelAspectRatio BitsAllocated BitsStored HighBit PixelRepresentation
PixelPaddingValue PixelPaddingRangeLimit WindowCenter WindowWidth VOILUTFunction RescaleIntercept
RescaleSlope ModalityLUTSequence VOILUTSequence
"""
READ: Final = frozenset((_PATIENT + _STUDY + _SUBJECT + _ACQUISITION + _PIXELS).split())
"""Attributes at the top level of a data set; sequences are kept with all attributes of their items.
"""
SEQUENCES: Final = frozenset(keyword for keyword in READ if keyword.endswith("Sequence"))
_IDENTITY: Final = """
SpecificCharacterSet SOPClassUID SOPInstanceUID StudyInstanceUID StudyDate AcquisitionDate
AccessionNumber PatientName PatientID IssuerOfPatientID PatientBirthDate PatientAge
"""
_LONG: Final = """
AcquisitionProtocolDescription DerivationDescription ImageComments PartialViewDescription
"""
LONG_TEXTS: Final = frozenset(_LONG.split())
"""Texts of VR LT and ST, which may be longer than other values."""
IDENTIFYING: Final = frozenset(_IDENTITY.split())
"""Attributes that identify patient, study and object: an object needs them all to find its exam."""


@cache
def tags_of(keywords: frozenset[str]) -> frozenset[int]:
    """Give the tags of attributes as integers."""
    from pydicom.datadict import tag_for_keyword

    found = {keyword: tag_for_keyword(keyword) for keyword in keywords}
    assert None not in found.values(), found
    return frozenset(int(tag) for tag in found.values() if tag is not None)


def is_special(tag: int) -> bool:
    """Return whether a tag is read although it has no keyword in `READ`.

    These tags are the bit position and data of overlays (60xx,0102 and 60xx,3000), and the view
    label of GE's units (0045,xx1B) with the private creators of its group.
    """
    group, element = tag >> 16, tag & 0xFFFF
    if group == 0x0045:
        return 0x10 <= element < 0x100 or element & 0xFF == 0x1B
    return group & 0xFF01 == 0x6000 and element in (0x0102, 0x3000)


MAX_STEPS: Final = 200_000
"""Elements and items of a data set that are scanned; this takes half a second. A mammogram has a
few hundred, a stack of 1,000 frames 55,000. Enhanced MR images can have more; their scan stops
after the attributes that identify them."""
MAX_DEPTH: Final = 64
"""Levels of nested sequences; structured reports have about ten."""
MAX_VALUE_BYTES: Final = 4 << 10
"""All values of one element; the longest of real mammograms has about 300 bytes."""
MAX_TEXT_BYTES: Final = 16 << 10
"""One long text: LT has 10,240 characters, ST 1,024 (PS3.5 6.2)."""
MAX_UID_BYTES: Final = 128
"""A UID of the file meta information; some writers add bytes after its 64 characters."""
MAX_KEPT_BYTES: Final = 128 << 10
"""All kept values together; real mammograms have 2 to 6 KiB."""
MAX_KEPT: Final = 1024
"""Elements that are kept; real mammograms have about 100."""
MAX_SEQUENCE_BYTES: Final = 256 << 10
"""One sequence without tables: about 2,000 references to source images."""
MAX_INNER_STEPS: Final = 10_000
"""Elements and items within the kept sequences."""
MAX_LUT_BYTES: Final = 4 << 20
"""One sequence of look-up tables: 32 tables of 65,536 entries of 16 bits."""
MAX_TABLE_BYTES: Final = 1 << 18
"""One look-up table: 65,536 entries, at most 4 bytes each (PS3.3 C.11.1.1)."""
MAX_RATIO: Final = 200
"""Inflated bytes per deflated byte: mammograms have 2 to 20, the most of deflate is 1,032."""
RATIO_COUNTS_FROM_BYTES: Final = 8 << 20
"""Inflated size from which on `MAX_RATIO` counts: a short header of spaces may deflate better."""
