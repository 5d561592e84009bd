"""Specimens, phantoms, test and contrast images, and patients unknown to the model."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from mammolens.core import ObjectKind
from mammolens.errors import NotAMammogram, NotAWholeView, UnsupportedImage
from mammolens.images import ImageFile, identify, read_image

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR")
"""pydicom warns about the faulty values that these tests write on purpose."""
KIND = ObjectKind


@pytest.fixture
def header(make_dicom, tmp_path):
    return lambda **given: identify(ImageFile(make_dicom.save(tmp_path / "a.dcm", **given)))


def doubts(info) -> set[str]:
    return {caution.name for caution in info.cautions if caution.doubt}


def coded(value: str, meaning: str = "", scheme: str = "SCT") -> list[Dataset]:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return [item]


def described() -> list[Dataset]:
    item = Dataset()
    item.SpecimenIdentifier = "S1"
    return [item]


PROVEN = [
    *({"ViewCodeSequence": coded(value)} for value in ("127457009", "G-8310", "119376003")),
    {"AnatomicRegionSequence": coded("397199005")},
    {"PrimaryAnatomicStructureSequence": coded("G-8318", scheme="SRT")},
    {"AnatomicRegionSequence": coded("706342009")},
    {"AnatomicRegionSequence": coded("113684", scheme="DCM")},
    {"SpecimenDescriptionSequence": described()},
    {"ContainerIdentifier": "C1"},
    {"QualityControlImage": "YES"},
    {"BodyPartExamined": "PHANTOM"},
]
SAID = [
    {"ViewCodeSequence": coded("X1", "Tissue specimen", "99ACME")},
    {"SeriesDescription": "SPECIMEN"},
    {"ProtocolName": "Präparatradiographie"},
    {"AcquisitionProtocolName": "Pièce opératoire"},
    {"ManufacturerModelName": "Faxitron Core"},
    {"SeriesDescription": "ACR Phantom"},
    {"ProtocolName": "QC Flat Field"},
    {"ViewPosition": "FLATFIELD"},
    {"ViewPosition": "SMPTE"},
    {"PatientName": "PHANTOM^QC"},
    {"PatientID": "Phantom 1"},
]


@pytest.mark.parametrize("attributes", PROVEN, ids=str)
def test_a_code_proves_that_it_is_not_a_breast(header, make_dicom, tmp_path, attributes) -> None:
    info = header(**attributes)
    assert isinstance(info.refusal, NotAMammogram)
    assert info.refusal.keyword in attributes
    assert info.kind is KIND.OTHER_IMAGE
    with pytest.raises(NotAMammogram):
        read_image(make_dicom.save(tmp_path / "b.dcm", **attributes))


@pytest.mark.parametrize("attributes", SAID, ids=str)
def test_words_refuse_but_prove_nothing(header, attributes) -> None:
    info = header(**attributes)
    assert isinstance(info.refusal, NotAMammogram)
    assert info.kind is KIND.MAMMOGRAM


@pytest.mark.parametrize(
    ("attributes", "doubt"),
    [
        ({"PatientName": "Test^Anna"}, "test_patient"),
        ({"PatientName": "ZZTEST^PATIENT"}, "test_patient"),
        ({"PatientID": "QC-ACR"}, "test_patient"),
        ({"StudyDescription": "Specimen radiography"}, "subject_unclear"),
        ({"StudyDescription": "Weekly QC"}, "subject_unclear"),
        ({"SeriesDescription": "Test"}, "subject_unclear"),
        ({"QualityControlImage": "BOTH"}, "subject_unclear"),
    ],
)
def test_weak_signs_are_doubts(header, attributes, doubt) -> None:
    info = header(**attributes)
    assert info.refusal is None
    assert doubts(info) == {doubt}


@pytest.mark.parametrize(
    "attributes",
    [
        {"PatientName": "Testa^Maria"},
        {"PatientName": "Tester^Eva", "PatientID": "QC-00123"},
        {"PatientID": "Mass-Test_P_00016_LEFT_CC"},
        {"QualityControlImage": "NO", "BodyPartExamined": "BREAST"},
        {"BodyPartExamined": "MAMMA"},
    ],
)
def test_patients_stay_patients(header, attributes) -> None:
    info = header(**attributes)
    assert info.refusal is None
    assert doubts(info) == set()
    assert info.kind is KIND.MAMMOGRAM


RECOMBINED = [
    {"ImageType": ["DERIVED", "PRIMARY", "", "RECOMBINED"]},
    {"ImageType": ["DERIVED", "PRIMARY", "POST_CONTRAST", "SUBTRACTION"]},
    {"ImageType": ["DERIVED", "PRIMARY", "SUBTRACTION", "LOW_ENERGY"]},
    {"ImageType": ["ORIGINAL", "PRIMARY", "", "HIGH_ENERGY"]},
    {"ImageType": ["DERIVED", "PRIMARY", "RECOMB"]},
    {"AcquisitionDeviceProcessingCode": "GEMS_CESM_1"},
    {"SeriesDescription": "L CC CEM recombined", "ContrastBolusAgent": "Iohexol"},
    {"ProtocolName": "CESM Subtraktion"},
    {"AcquisitionDeviceProcessingDescription": "RECOMBINED DUAL ENERGY"},
    {"FilterMaterial": "COPPER"},
]


@pytest.mark.parametrize("attributes", RECOMBINED, ids=str)
def test_contrast_images_are_kept_out(header, attributes) -> None:
    info = header(**attributes)
    assert isinstance(info.refusal, NotAMammogram)
    assert info.refusal.keyword in attributes
    assert info.kind is KIND.MAMMOGRAM


@pytest.mark.parametrize(
    "attributes",
    [
        {"ImageType": ["DERIVED", "PRIMARY", "", "LOW_ENERGY"], "ContrastBolusAgent": "Iohexol"},
        {"ImageType": ["ORIGINAL", "PRIMARY", "POST_CONTRAST", "", "LOW_ENERGY"]},
        {"ImageType": ["DERIVED", "SECONDARY", "", "LOW_ENER"]},
        {"SeriesDescription": "CEM low energy"},
        {"ProtocolName": "CESM basse énergie"},
    ],
    ids=str,
)
def test_low_energy_images_are_read(header, attributes) -> None:
    info = header(**attributes)
    assert info.refusal is None
    assert {caution.name for caution in info.cautions} == {"low_energy"}
    assert doubts(info) == set()


@pytest.mark.parametrize(
    "attributes",
    [
        {"ContrastBolusAgent": "Iohexol 300"},
        {"ContrastBolusAgentSequence": coded("109218004", "Iohexol")},
        {"SeriesDescription": "L CC CESM"},
        {"StudyDescription": "Contrast enhanced mammography"},
        {"ImageType": ["ORIGINAL", "PRIMARY", "POST_CONTRAST"]},
        {"ImageType": ["DERIVED", "PRIMARY", "TICEM"]},
        {"ContrastBolusIngredient": "IODINE"},
        {"KVP": "49"},
        {
            "ImageType": ["ORIGINAL", "PRIMARY", "", "LOW_ENERGY"],
            "SeriesDescription": "Low energy + recombined",
        },
    ],
    ids=str,
)
def test_contrast_of_which_nothing_says_more_is_a_doubt(header, attributes) -> None:
    info = header(**attributes)
    assert info.refusal is None
    assert doubts(info) == {"contrast_unclear"}


@pytest.mark.parametrize(
    "attributes",
    [
        {"ContrastBolusAgent": "NONE"},
        {"SeriesDescription": "L CC without contrast"},
        {"AcquisitionDeviceProcessingDescription": "High contrast, offset subtraction"},
        {"ImageType": ["ORIGINAL", "PRIMARY", "PRE_CONTRAST"]},
        {"FilterMaterial": ["RHODIUM", "SILVER"], "KVP": "31"},
    ],
    ids=str,
)
def test_an_image_without_contrast_is_not_doubted(header, attributes) -> None:
    info = header(**attributes)
    assert info.refusal is None
    assert doubts(info) == set()


@pytest.mark.parametrize(
    ("attributes", "is_doubt"),
    [
        ({"PatientSex": "M"}, True),
        ({"PatientSex": "O"}, True),
        ({"PatientSex": "F", "PatientAge": "009Y"}, True),
        ({"PatientSex": "F", "PatientAge": "045Y"}, False),
        ({"PatientSex": ""}, False),
    ],
)
def test_patients_of_another_kind_are_doubts(header, attributes, is_doubt) -> None:
    info = header(**attributes)
    assert info.refusal is None
    assert doubts(info) == ({"patient_not_validated"} if is_doubt else set())


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ("BREAST", KIND.MAMMOGRAM),
        ("BRUST LINKS", KIND.MAMMOGRAM),
        ("CHEST", KIND.OTHER_IMAGE),
        ("UNKNOWN", KIND.UNKNOWN),
        (None, KIND.UNKNOWN),
    ],
)
def test_a_radiograph_is_something_else_only_if_it_says_what(
    header, make_dicom, part, kind
) -> None:
    radiograph = make_dicom.COMPUTED_RADIOGRAPHY
    assert header(SOPClassUID=radiograph, Modality="CR", BodyPartExamined=part).kind is kind


def test_a_biopsy_is_a_view_of_a_part(header) -> None:
    info = header(SeriesDescription="Stereotactic biopsy pre-fire")
    assert isinstance(info.refusal, NotAWholeView)
    assert info.kind is KIND.MAMMOGRAM


def test_a_projection_is_part_of_a_stack(header) -> None:
    info = header(ImageType=["ORIGINAL", "PRIMARY", "TOMO_PROJ"])
    assert isinstance(info.refusal, UnsupportedImage)
    assert info.kind is KIND.STACK
