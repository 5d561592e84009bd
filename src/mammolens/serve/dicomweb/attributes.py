"""The attributes that can be searched for and are given back, by their level.

Source: PS3.18 tables 10.6.1-5 (matching) and 10.6.3-3 to 10.6.3-5 (given back).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache
from typing import Final

__all__ = ["COMPUTED", "Attribute", "Level", "attributes_of", "find_attribute", "kept_tags"]


class Level(str, Enum):
    """What a search gives rows of."""

    STUDY = "studies"
    SERIES = "series"
    INSTANCE = "instances"


@dataclass(frozen=True)
class Attribute:
    """An attribute: eight hexadecimal digits, keyword, VR, level; `is_usual`: given unasked."""

    tag: str
    keyword: str
    vr: str
    level: Level
    is_usual: bool


_USUAL: Final = {
    Level.STUDY: """
        StudyDate StudyTime AccessionNumber InstanceAvailability ModalitiesInStudy
        ReferringPhysicianName TimezoneOffsetFromUTC RetrieveURL PatientName PatientID
        PatientBirthDate PatientSex StudyInstanceUID StudyID NumberOfStudyRelatedSeries
        NumberOfStudyRelatedInstances
    """,
    Level.SERIES: """
        Modality SeriesDescription RetrieveURL SeriesInstanceUID SeriesNumber
        NumberOfSeriesRelatedInstances PerformedProcedureStepStartDate
        PerformedProcedureStepStartTime
    """,
    Level.INSTANCE: """
        SOPClassUID SOPInstanceUID InstanceAvailability RetrieveURL InstanceNumber Rows Columns
        BitsAllocated NumberOfFrames
    """,
}
_FURTHER: Final = {
    Level.STUDY: """
        StudyDescription PatientAge IssuerOfPatientID InstitutionName
    """,
    Level.SERIES: """
        SeriesDate SeriesTime BodyPartExamined Laterality Manufacturer ManufacturerModelName
        StationName ProtocolName OperatorsName
    """,
    Level.INSTANCE: """
        AvailableTransferSyntaxUID ImageType ImageLaterality ViewPosition PresentationIntentType
        ContentDate ContentTime AcquisitionDate AcquisitionTime PhotometricInterpretation
        SamplesPerPixel BitsStored BurnedInAnnotation
    """,
}
COMPUTED: Final = frozenset(
    (
        *("InstanceAvailability", "ModalitiesInStudy", "RetrieveURL", "AvailableTransferSyntaxUID"),
        *("NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"),
        "NumberOfSeriesRelatedInstances",
    )
)
"""Keywords of what is computed for an answer."""


def _made() -> Mapping[Level, tuple[Attribute, ...]]:
    from pydicom.datadict import dictionary_VR, tag_for_keyword

    found: dict[Level, list[Attribute]] = {level: [] for level in Level}
    for names, is_usual in ((_USUAL, True), (_FURTHER, False)):
        for level, keywords in names.items():
            for keyword in keywords.split():
                tag = tag_for_keyword(keyword)
                assert tag is not None, keyword
                vr = dictionary_VR(tag)
                found[level].append(Attribute(f"{tag:08X}", keyword, vr, level, is_usual))
    return {level: tuple(listed) for level, listed in found.items()}


@cache
def attributes_of(level: Level) -> Mapping[str, Attribute]:
    """Give the attributes of one level by their tags."""
    return {attribute.tag: attribute for attribute in _made()[level]}


@lru_cache(1024)
def find_attribute(name: str) -> Attribute | None:
    """Find an attribute by its keyword or tag; ``None`` if it is not one of these.

    Examples
    --------
    >>> find_attribute("0020000d").keyword, find_attribute("PatientComments")
    ('StudyInstanceUID', None)
    """
    for level in Level:
        for attribute in attributes_of(level).values():
            if name == attribute.keyword or name.upper() == attribute.tag:
                return attribute
    return None


@cache
def kept_tags() -> frozenset[str]:
    """Give the tags of what is taken from headers; the others are computed."""
    listed = (a for level in Level for a in attributes_of(level).values())
    return frozenset(a.tag for a in listed if a.keyword not in COMPUTED)
