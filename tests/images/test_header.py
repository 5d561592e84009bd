"""Attributes of patient, exposure and device that show whether images belong together."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from mammolens.core import SourceHeader
from mammolens.images import ImageFile, identify


def item(**attributes) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def code(value: str, scheme: str, meaning: str) -> Dataset:
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


@pytest.fixture
def header(make_dicom, tmp_path):
    def read(**attributes) -> SourceHeader:
        return identify(ImageFile(make_dicom.save(tmp_path / "a.dcm", **attributes))).header

    return read


FACTS = {
    "PatientAge": ("045Y", "patient_age"),
    "IssuerOfPatientID": ("Ward", "issuer_of_patient_id"),
    "AcquisitionTime": ("101500.25", "acquisition_time"),
    "IrradiationEventUID": ("1.2.9", "irradiation_event_uid"),
    "InstanceNumber": ("7", "instance_number"),
    "DeviceSerialNumber": ("SN1", "device_serial_number"),
    "DeviceUID": ("1.2.8", "device_uid"),
    "InstitutionName": ("Clinic", "institution_name"),
    "StationName": ("Room2", "station_name"),
    "SeriesDescription": ("L CC", "series_description"),
    "BurnedInAnnotation": ("NO", "burned_in_annotation"),
    "ConversionType": ("DF", "conversion_type"),
}


@pytest.mark.parametrize("keyword", sorted(FACTS))
def test_a_fact_is_read_as_written(header, keyword) -> None:
    value, field = FACTS[keyword]
    assert getattr(header(**{keyword: value}), field) == value
    assert getattr(header(), field) is None


def test_other_ids_come_from_both_places(header) -> None:
    found = header(
        OtherPatientIDs=["A1", "A2"], OtherPatientIDsSequence=[item(PatientID="B1"), item()]
    )
    assert found.other_patient_ids == ("A1", "A2", "B1")


def test_source_images_are_named(header) -> None:
    sources = [item(ReferencedSOPInstanceUID=uid) for uid in ("1.2.3", "1.2.4")]
    assert header(SourceImageSequence=sources).source_instance_uids == ("1.2.3", "1.2.4")


def test_admitting_diagnoses_are_codes(header) -> None:
    known = code("Z90.1", "I10", "Acquired absence of breast")
    long = item(LongCodeValue="1" * 20, CodingSchemeDesignator="SCT", CodeMeaning="a long one")
    found = header(AdmittingDiagnosesCodeSequence=[known, long, item(CodeMeaning="in words")])
    assert found.admitting_diagnoses == (
        ("Z90.1", "I10", "Acquired absence of breast"),
        ("1" * 20, "SCT", "a long one"),
        ("", "", "in words"),
    )


def test_what_identifies_is_not_printed(header) -> None:
    hidden = ("InstitutionName", "StationName", "DeviceSerialNumber", "IssuerOfPatientID")
    printed = repr(header(OtherPatientIDs="SECRET", **dict.fromkeys(hidden, "SECRET")))
    assert "SECRET" not in printed
