"""The attributes of a DICOM header that are read. All others are skipped unread.

An attribute that is not listed here never reaches the parser, so its length does not matter. Code
that reads a further attribute must list it here; tests/images/test_bounded_header.py checks this.
"""

from __future__ import annotations

from functools import cache
from typing import Final

__all__ = ["IDENTIFYING", "LONG_TEXTS", "READ", "SEQUENCES", "is_special", "tags_of"]

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
