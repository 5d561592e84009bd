"""Views that do not show a whole breast: refused, or read with a doubt."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from mammolens.errors import NotAWholeView
from mammolens.images import ImageFile, identify, read_image
from mammolens.images.dicom import partial_views as parts

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR")
"""pydicom warns about the faulty values that these tests write on purpose."""
REFUSED = ("Magnification", "SpotCompression", "Tangential", "Cleavage", "AxillaryTissue")
READ = (
    "AnteriorCompression",
    "AxillaryTail",
    "InfraMammaryFold",
    "NippleInProfile",
    "RolledInferior",
    "RolledLateral",
    "RolledMedial",
    "RolledSuperior",
)


def modified(value: str, scheme: str = "SCT") -> dict[str, object]:
    modifier, view = Dataset(), Dataset()
    modifier.CodeValue, modifier.CodingSchemeDesignator = value, scheme
    modifier.CodeMeaning = "as it is"
    view.CodeValue, view.CodingSchemeDesignator, view.CodeMeaning = "399162004", "SCT", "CC"
    view.ViewModifierCodeSequence = [modifier]
    return {"ViewCodeSequence": [view]}


@pytest.fixture
def header(make_dicom, tmp_path):
    return lambda **given: identify(ImageFile(make_dicom.save(tmp_path / "a.dcm", **given)))


def names(info) -> set[str]:
    return {caution.name for caution in info.cautions}


def doubts(info) -> set[str]:
    return {caution.name for caution in info.cautions if caution.doubt}


def item(value: str, meaning: str, scheme: str = "99ACME") -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, scheme, meaning
    return made


def nested(value: str, meaning: str) -> dict[str, object]:
    view = item("399162004", "cranio-caudal", "SCT")
    view.ViewModifierCodeSequence = [item(value, meaning)]
    return {"ViewCodeSequence": [view]}


def test_every_modifier_of_cid_4015_is_looked_at() -> None:
    assert {*codes.cid4015.dir()} == {*REFUSED, *READ, "ImplantDisplaced"}


@pytest.mark.parametrize("modifier", REFUSED)
def test_views_of_a_part_are_refused_by_name(header, make_dicom, tmp_path, modifier) -> None:
    code = getattr(codes.cid4015, modifier)
    for value, scheme in ((code.value, "SCT"), (retired(code.value), "SRT")):
        refusal = header(**modified(value, scheme)).refusal
        assert isinstance(refusal, NotAWholeView)
        assert refusal.keyword == "ViewModifierCodeSequence"
        path = make_dicom.save(tmp_path / "b.dcm", **modified(value, scheme))
        with pytest.raises(NotAWholeView):
            read_image(ImageFile(path))


def retired(value: str) -> str:
    """The code of SNOMED RT, as pydicom maps it."""
    from pydicom.sr._snomed_dict import mapping

    return mapping["SCT"][value]


@pytest.mark.parametrize("modifier", READ)
def test_other_modifiers_are_doubts(header, modifier) -> None:
    code = getattr(codes.cid4015, modifier)
    for value, scheme in ((code.value, "SCT"), (retired(code.value), "SNM3")):
        info = header(**modified(value, scheme))
        assert info.refusal is None
        assert names(info) == {"view_modified"}
        assert all(c.doubt for c in info.cautions) is (modifier != "NippleInProfile")


@pytest.mark.parametrize(
    "attributes",
    [
        {"BreastImplantPresent": "YES"},
        modified("399209000"),
        modified("R-102D5", "SRT"),
    ],
    ids=["present", "displaced", "retired"],
)
def test_implants_are_doubts(header, attributes) -> None:
    info = header(**attributes)
    assert info.refusal is None
    assert names(info) == doubts(info) == {parts.IMPLANT}


@pytest.mark.parametrize("attributes", [{"BreastImplantPresent": "NO"}, {"PartialView": "NO"}, {}])
def test_negated_or_missing_words_give_no_caution(header, attributes) -> None:
    assert names(header(**attributes)) == set()


def test_partial_views_are_doubts(header) -> None:
    assert doubts(header(PartialView="YES")) == {parts.PARTIAL}


@pytest.mark.parametrize(
    ("factor", "read"), [("1", True), ("1.2", True), ("1.3", True), ("1.5", False), ("1.8", False)]
)
def test_magnified_pictures_are_refused_by_their_factor_alone(header, factor, read) -> None:
    refusal = header(EstimatedRadiographicMagnificationFactor=factor).refusal
    assert (refusal is None) is read
    assert read or refusal.keyword == "EstimatedRadiographicMagnificationFactor"


@pytest.mark.parametrize(
    "attributes",
    [
        {"ViewModifierCodeSequence": [item("399163009", "Magnification", "SCT")]},
        {"ViewCodeSequence": [item("R-102D7", "Spot Compression", "SNM3")]},
        nested("MAG01", "Magnification"),
        nested("", "Spot Compression"),
        *(
            {"ViewPosition": value}
            for value in ("MCC", "M CC", "SCC", "MLO SPOT", "CCSpot", "RMCC")
        ),
        *({"ViewPosition": value} for value in ("SPOT", "TAN", "CV", "MLOS", "CC MAG")),
        {"ViewPosition": ["CC", "MAG"]},
        *({"SeriesDescription": text} for text in ("L CC Spot Mag", "RMLO Vergrößerung")),
        *({"ProtocolName": text} for text in ("STEREO BIOPSY", "Needle localization")),
        {"AcquisitionDeviceProcessingDescription": "MAGNIFICATION"},
        {"PaddleDescription": "10CM SPOT CONTACT"},
        {"PaddleDescription": "Rectangular biopsy"},
        {"PaddleDescription": "7.5 cm", "Grid": "NONE"},
        *({"ImageType": ["ORIGINAL", "PRIMARY", value]} for value in parts._BIOPSY_TYPES),
        {"ImageType": ["ORIGINAL", "PRIMARY", "STEREO_PLUS"]},
        {"DistanceSourceToDetector": "650", "DistanceSourceToPatient": "350"},
        {"DistanceSourceToDetector": "650", "DistanceSourceToEntrance": "36"},
        {"FocalSpots": "0.1", "Grid": "NONE"},
    ],
)
def test_views_of_a_part_are_refused_in_every_spelling(header, attributes) -> None:
    assert isinstance(header(**attributes).refusal, NotAWholeView)


@pytest.mark.parametrize(
    ("attributes", "doubt"),
    [
        ({"StudyDescription": "Mammo diagnostic with spot compression"}, "view_modified"),
        ({"ImageComments": "stereo"}, "view_modified"),
        ({"SeriesDescription": "L CC post biopsy"}, "view_modified"),
        ({"SeriesDescription": "L CC rolled"}, "view_modified"),
        ({"SeriesDescription": "Axillary tail L"}, "view_modified"),
        ({"ViewPosition": "CCRL"}, "view_modified"),
        ({"ViewPosition": "RL"}, "view_modified"),
        ({"PaddleDescription": "10 cm contact"}, "view_modified"),
        (nested("X1", "unusual"), "view_modified"),
        ({"DistanceSourceToEntrance": "350"}, "view_modified"),
        ({"SeriesDescription": "L CC Eklund"}, "breast_implant"),
        ({"ViewPosition": "CCID"}, "breast_implant"),
        ({"StudyDescription": "Mammo implants"}, "breast_implant"),
        ({"FocalSpots": "0.1"}, "view_modified"),
        ({"ImagerPixelSpacing": [0.1, 0.1], "PixelSpacing": [0.055, 0.055]}, "view_modified"),
        ({"PaddleDescription": "Axilla"}, "view_modified"),
        ({"PositionerPrimaryAngle": "15"}, "view_angle"),
        ({"ViewPosition": "MLO", "PositionerPrimaryAngle": "5"}, "view_angle"),
    ],
)
def test_what_may_be_a_part_is_a_doubt(header, attributes, doubt) -> None:
    info = header(**attributes)
    assert info.refusal is None
    assert doubts(info) == {doubt}


@pytest.mark.parametrize(
    "attributes",
    [
        {"SeriesDescription": "L CC, large focal spot, no magnification"},
        {"StudyDescription": "MAMMO SCREENING MAGnetom"},
        {"PaddleDescription": "18X24CM CONTACT"},
        {"PaddleDescription": "24 x 29 cm", "Grid": "NONE"},
        {"DistanceSourceToDetector": "650", "DistanceSourceToPatient": "633"},
        {"DistanceSourceToDetector": "650", "DistanceSourceToPatient": "65"},
        {"DistanceSourceToDetector": "700", "DistanceSourceToEntrance": "600"},
        {"FocalSpots": ["0.1", "0.3"], "Grid": "NONE"},
        {"ImagerPixelSpacing": [0.1, 0.1], "PixelSpacing": [0.096, 0.096]},
        {"PositionerPrimaryAngle": "-3"},
        {"PositionerPrimaryAngle": "180"},
        {"ViewPosition": "MLO", "PositionerPrimaryAngle": "-45"},
        {"ViewPosition": "MLO", "PositionerPrimaryAngle": "135"},
    ],
)
def test_ordinary_views_stay_without_doubt(header, attributes) -> None:
    info = header(**attributes)
    assert info.refusal is None
    assert doubts(info) == set()


def test_a_factor_with_a_comma_is_read_and_an_unreadable_one_doubted(make_dicom, tmp_path) -> None:
    keyword = "EstimatedRadiographicMagnificationFactor"
    data = make_dicom.file_bytes(make_dicom.dataset(**{keyword: "9.99"}))
    path = tmp_path / "a.dcm"
    path.write_bytes(data.replace(b"9.99", b"1,8 "))
    assert identify(ImageFile(path)).refusal.keyword == keyword
    path.write_bytes(data.replace(b"9.99", b"high"))
    info = identify(ImageFile(path))
    assert info.refusal is None
    assert doubts(info) == {"view_modified"}


def test_modifiers_are_carried_back_from_both_places(header) -> None:
    top = [item("399197002", "Rolled Lateral", "SCT")]
    found = header(**modified("399226006"), ViewModifierCodeSequence=top).header.view_modifiers
    assert [value for value, _, _ in found] == ["399226006", "399197002"]


def clinical_view(label: str, made: Dataset) -> Dataset:
    block = made.private_block(0x45, "GEMS_SENO_02", create=True)
    block.add_new(0x1B, "CS", label)
    return made


@pytest.mark.parametrize(
    ("label", "refused", "doubt"),
    [
        ("LCC", False, set()),
        ("LMCC", True, set()),
        ("LCCSPOT", True, set()),
        ("LCCRM", False, {"view_modified"}),
        ("RCC", False, {"laterality_disagrees"}),
        ("LMLO", False, {"view_disagrees"}),
        ("SOMETHING", False, set()),
    ],
)
def test_the_label_of_a_private_attribute_counts(
    make_dicom, tmp_path, label, refused, doubt
) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(make_dicom.file_bytes(clinical_view(label, make_dicom.dataset())))
    info = identify(ImageFile(path))
    assert isinstance(info.refusal, NotAWholeView) is refused
    assert doubts(info) == doubt
