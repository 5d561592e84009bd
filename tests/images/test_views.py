"""Side and view from attributes, codes, orientation, names and tables, with cautions."""

from __future__ import annotations

import re

import pytest
from pydicom.dataset import Dataset

from mammolens.core import Laterality, ViewPosition
from mammolens.images import ImageFile, identify, read_header, read_image
from mammolens.images.dicom.views import VIEW_CODES
from mammolens.images.names import read_name

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR")
"""pydicom warns about the faulty values that these tests write on purpose."""
L, R = Laterality.LEFT, Laterality.RIGHT
CC, MLO = ViewPosition.CC, ViewPosition.MLO
NOTHING = {"ImageLaterality": None, "ViewPosition": None}


def of(make_dicom, path, **attributes):
    info = read_header(ImageFile(make_dicom.save(path, **(NOTHING | attributes))))
    return info.ref.laterality, info.ref.view_position, {c.name for c in info.cautions}


def doubts(make_dicom, path, **attributes) -> set[str]:
    info = identify(ImageFile(make_dicom.save(path, **attributes)))
    return {caution.name for caution in info.cautions if caution.doubt}


def view_code(value: str) -> list[Dataset]:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", "view"
    return [item]


def test_nothing_is_guessed(make_dicom, tmp_path) -> None:
    unknown = {"laterality_unknown", "view_unknown"}
    assert of(make_dicom, tmp_path / "1-130.dcm") == (None, None, unknown)


@pytest.mark.parametrize(
    ("attributes", "side", "caution"),
    [
        ({"ImageLaterality": "R", "Laterality": "L"}, R, {"laterality_disagrees"}),
        ({"ImageLaterality": "R", "Laterality": "R"}, R, set()),
        ({"ImageLaterality": " r"}, R, {"irregular_header"}),
        ({"ImageLaterality": "LEFT"}, L, set()),
        ({"Laterality": "L"}, L, {"laterality_from_series"}),
        ({"Laterality": "B"}, None, {"laterality_unusable", "laterality_unknown"}),
        (
            {"ImageLaterality": "B", "Laterality": "R"},
            R,
            {"laterality_unusable", "laterality_from_series"},
        ),
    ],
)
def test_side_from_tags(make_dicom, tmp_path, attributes, side, caution) -> None:
    found = of(make_dicom, tmp_path / "a.dcm", ViewPosition="MLO", **attributes)
    assert found == (side, MLO, caution)


@pytest.mark.parametrize("code", sorted(VIEW_CODES))
def test_view_from_every_code(make_dicom, tmp_path, code: str) -> None:
    found = of(
        make_dicom, tmp_path / "a.dcm", ImageLaterality="L", ViewCodeSequence=view_code(code)
    )
    assert found == (L, VIEW_CODES[code], {"view_from_code"})


def test_the_codes_are_pydicoms_of_cid_4014() -> None:
    from pydicom.sr._cid_dict import cid_concepts
    from pydicom.sr._concepts_dict import concepts

    listed = {code for name in cid_concepts[4014]["SCT"] for code in concepts["SCT"][name]}
    specimen = "127457009"
    assert listed - {specimen} == {code for code in VIEW_CODES if code.isdigit()}


PARTS = {ViewPosition.AT: {"view_modified"}, ViewPosition.CV: None}
"""A tail view is doubted, a cleavage view is refused."""


@pytest.mark.parametrize("view", [view for view in ViewPosition if PARTS.get(view, ()) is not None])
def test_every_view_position(make_dicom, tmp_path, view: ViewPosition) -> None:
    found = of(make_dicom, tmp_path / "a.dcm", ImageLaterality="L", ViewPosition=view.value)
    assert found == (L, view, PARTS.get(view, set()))


def test_an_unknown_view_position_gives_a_caution(make_dicom, tmp_path) -> None:
    attributes = {"ImageLaterality": "L", "ViewPosition": "AP", "ViewCodeSequence": None}
    found = of(make_dicom, tmp_path / "a.dcm", **attributes)
    assert found == (L, None, {"view_unusable", "view_unknown"})
    coded = attributes | {"ViewCodeSequence": view_code("399162004")}
    assert of(make_dicom, tmp_path / "a.dcm", **coded)[1:] == (
        CC,
        {"view_unusable", "view_from_code"},
    )
    assert doubts(make_dicom, tmp_path / "a.dcm", **coded) == {"view_unusable"}


@pytest.mark.parametrize(
    ("written", "view"),
    [
        ("cc", CC),
        (" MLO ", MLO),
        ("CRANIO-CAUDAL", CC),
        ("OBLIQUE", MLO),
        ("MEDIOLATERAL", ViewPosition.ML),
        ("LMLO", MLO),
        ("RCC", CC),
    ],
)
def test_views_in_words(make_dicom, tmp_path, written, view) -> None:
    assert of(make_dicom, tmp_path / "a.dcm", ViewPosition=written)[1] is view


def test_cbis_header(make_dicom, tmp_path) -> None:
    found = of(
        make_dicom,
        tmp_path / "000000.dcm",
        Laterality="R",
        PatientOrientation="MLO",
        PatientID="Mass-Test_P_00016_RIGHT_MLO",
    )
    assert found == (R, MLO, {"laterality_from_series", "view_from_orientation"})


def test_cbis_patient_id_when_there_is_nothing_else(make_dicom, tmp_path) -> None:
    found = of(make_dicom, tmp_path / "0.dcm", PatientID="Calc-Training_P_00016_LEFT_CC")
    assert found == (L, CC, {"laterality_from_name", "view_from_name"})


def test_a_plain_orientation_is_not_a_view(make_dicom, tmp_path) -> None:
    found = of(make_dicom, tmp_path / "0.dcm", ImageLaterality="L", PatientOrientation=["A", "F"])
    assert found == (L, None, {"view_unknown"})


def test_inbreast_ml_means_mlo(make_dicom, tmp_path) -> None:
    path = tmp_path / "20586934_6c613a14b80a8591_MG_L_ML_ANON.dcm"
    assert of(make_dicom, path)[:2] == (L, MLO)
    found = of(make_dicom, path, ImageLaterality="L", ViewPosition="ML")
    assert found == (L, MLO, {"view_from_name"})


def test_elsewhere_ml_stays_ml(make_dicom, tmp_path) -> None:
    found = of(make_dicom, tmp_path / "a.dcm", ImageLaterality="L", ViewPosition="ML")
    assert found == (L, ViewPosition.ML, set())


def test_a_name_that_contradicts_the_header_is_a_doubt(make_dicom, tmp_path) -> None:
    found = of(make_dicom, tmp_path / "x_R_CC.dcm", ImageLaterality="L", ViewPosition="CC")
    assert found == (L, CC, {"laterality_disagrees"})


def region(keyword: str, value: str, meaning: str = "") -> dict[str, list[Dataset]]:
    item, modifier = Dataset(), Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "76752008", "SCT", "Breast"
    modifier.CodeValue, modifier.CodeMeaning = value, meaning
    setattr(item, keyword.replace("Sequence", "ModifierSequence"), [modifier])
    return {keyword: [item]}


@pytest.mark.parametrize("keyword", ["AnatomicRegionSequence", "PrimaryAnatomicStructureSequence"])
@pytest.mark.parametrize(
    ("value", "meaning", "side"),
    [("7771000", "", L), ("G-A100", "", R), ("X1", "Right", R), ("", "links", L)],
)
def test_side_from_the_region(make_dicom, tmp_path, keyword, value, meaning, side) -> None:
    given = region(keyword, value, meaning)
    found = of(make_dicom, tmp_path / "a.dcm", ViewPosition="CC", **given)
    assert found == (side, CC, {"laterality_from_region"})


@pytest.mark.parametrize(
    ("text", "side", "view"),
    [
        ("L CC", L, CC),
        ("RMLO", R, MLO),
        ("Mammographie rechts MLO", R, MLO),
        ("Left cranio-caudal", L, CC),
    ],
)
@pytest.mark.parametrize("keyword", ["SeriesDescription", "ProtocolName"])
def test_a_description_is_used_if_the_codes_are_missing(
    make_dicom, tmp_path, keyword, text, side, view
) -> None:
    found = of(make_dicom, tmp_path / "a.dcm", **{keyword: text})
    assert found == (side, view, {"laterality_from_description", "view_from_description"})


@pytest.mark.parametrize(
    "text", ["Screening", "R + L CC MLO", "Bilateral", "CCs and MLOs", "100 ml"]
)
def test_a_description_of_several_views_says_none(make_dicom, tmp_path, text) -> None:
    found = of(make_dicom, tmp_path / "a.dcm", SeriesDescription=text)
    assert found[:2] == (None, None)


@pytest.mark.parametrize(
    ("attributes", "doubt"),
    [
        ({"Laterality": "R"}, "laterality_disagrees"),
        ({"SeriesDescription": "R CC"}, "laterality_disagrees"),
        ({"ProtocolName": "Right CC"}, "laterality_disagrees"),
        ({"PatientOrientation": ["P", "L"]}, "laterality_disagrees"),
        (region("AnatomicRegionSequence", "24028007"), "laterality_disagrees"),
        ({"ViewPosition": "RCC"}, "laterality_disagrees"),
        ({"ViewCodeSequence": view_code("399368009")}, "view_disagrees"),
        ({"ViewPosition": ["CC", "MLO"]}, "view_disagrees"),
        ({"SeriesDescription": "L MLO"}, "view_disagrees"),
        ({"PatientOrientation": ["A", "FR"]}, "view_disagrees"),
        ({"ImageLaterality": "B"}, "laterality_unusable"),
        ({"ImageLaterality": ["L", "R"]}, "laterality_unusable"),
        (region("AnatomicRegionSequence", "7771000", "Right"), "laterality_disagrees"),
    ],
)
def test_contradictions_are_doubts(make_dicom, tmp_path, attributes, doubt) -> None:
    given = {"ImageLaterality": "L", "ViewPosition": "CC"} | attributes
    assert doubts(make_dicom, tmp_path / "a.dcm", **given) == {doubt}


def test_a_contradiction_lists_all_sources(make_dicom, tmp_path) -> None:
    path = make_dicom.save(tmp_path / "a.dcm", ImageLaterality="L", SeriesDescription="R CC")
    said = [c.message for c in identify(ImageFile(path)).cautions if c.doubt]
    assert said == ["ImageLaterality says L, SeriesDescription says R: L was used"]


@pytest.mark.parametrize(
    "attributes",
    [
        {"ViewPosition": "CC", "PatientOrientation": ["A", "R"]},
        {"ViewPosition": "MLO", "PatientOrientation": ["A", "FR"]},
        {"ViewPosition": "MLO", "PatientOrientation": ["P", "HL"]},
        {"ViewPosition": "MLO", "PatientOrientation": ["A", "R"]},
        {"ViewPosition": "ML", "PatientOrientation": ["A", "F"]},
        {"ViewPosition": "CC", "PatientOrientation": ["L", "A"]},
        {"ViewPosition": "XCCL", "SeriesDescription": "L CC"},
        {"ViewPosition": "CC", "SeriesDescription": "Screening bilateral"},
        {"ViewPosition": "CC", "StudyDescription": "Mammography right, MLO"},
    ],
)
def test_sources_that_agree_are_not_doubted(make_dicom, tmp_path, attributes) -> None:
    assert doubts(make_dicom, tmp_path / "a.dcm", ImageLaterality="L", **attributes) == set()


@pytest.mark.parametrize("name", ["L_CC_spot.dcm", "lcc mag.dcm", "LCC-specimen.dcm"])
def test_a_file_name_may_say_that_a_view_is_special(make_dicom, tmp_path, name) -> None:
    assert doubts(make_dicom, tmp_path / name) == {"view_modified"}
    picture = (tmp_path / name).with_suffix(".pgm")
    picture.write_bytes(b"P5 80 96 255\n" + make_dicom.picture(bits=8).tobytes())
    assert {c.name for c in read_image(picture).cautions if c.doubt} == {"view_modified"}


@pytest.mark.parametrize("name", ["train.csv", "manifest.csv"])
def test_table_above_the_images(make_dicom, tmp_path, name: str) -> None:
    rows = "site_id,patient_id,image_id,laterality,view\n2,10,7777,R,MLO\n2,10,7778,,\n"
    (tmp_path / name).write_text(rows)
    folder = tmp_path / "train_images" / "10"
    found = of(make_dicom, folder / "7777.dcm")
    assert found == (R, MLO, {"laterality_from_table", "view_from_table"})
    assert of(make_dicom, folder / "7778.dcm")[:2] == (None, None)
    assert of(make_dicom, folder / "7779.dcm")[:2] == (None, None)
    flat = tmp_path / "train_images" / "10_7777.png"
    flat.write_bytes(b"P5 80 96 255\n" + make_dicom.picture(bits=8).tobytes())
    ref = read_image(flat).ref
    assert (ref.patient_id, ref.laterality, ref.view_position) == ("10", R, MLO)


def test_a_table_of_another_kind_is_passed_over(make_dicom, tmp_path) -> None:
    (tmp_path / "train.csv").write_bytes(b"\xff\xfe\x00broken")
    (tmp_path / "manifest.csv").write_text("a,b\n1,2\n")
    assert of(make_dicom, tmp_path / "777.dcm")[:2] == (None, None)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("2,10,7777,R,MLO,x\n", "line 2 has 6 cells"),
        ("2,10,7777,R,MLO\n2,10,7777,L,MLO\n", "lines 2 and 3 list this image and contradict"),
        ("2,10,7777,both,MLO\n", r"line 2 says 'both' \[laterality\]"),
    ],
)
def test_a_faulty_table_gives_only_its_fault(make_dicom, tmp_path, rows, words) -> None:
    (tmp_path / "train.csv").write_text("site_id,patient_id,image_id,laterality,view\n" + rows)
    side, view, cautions = of(make_dicom, tmp_path / "7777.dcm")
    assert (side, view) == (None, None)
    assert "table_faulty" in cautions
    flat = tmp_path / "10_7777.png"
    flat.write_bytes(b"P5 80 96 255\n" + make_dicom.picture(bits=8).tobytes())
    read = read_image(flat)
    assert (read.ref.laterality, read.ref.view_position) == (None, None)
    (said,) = [caution.message for caution in read.cautions if caution.name == "table_faulty"]
    assert re.search(words, said)
    known = of(make_dicom, tmp_path / "7777.dcm", ImageLaterality="R", ViewPosition="CC")
    assert known == (R, CC, set())


@pytest.mark.parametrize(
    ("name", "convention", "patient", "side", "view"),
    [
        ("Mass-Training_P_00001_LEFT_CC_1.jpg", "cbis", "P_00001", L, CC),
        ("x/Calc-Test_P_00041_RIGHT_MLO/1.2.3/000000.dcm", "cbis", "P_00041", R, MLO),
        ("20586908_6c613a14b80a8591_MG_R_CC_ANON.dcm", "inbreast", "6c613a14b80a8591", R, CC),
        ("20586934_6c613a14b80a8591_MG_L_ML_ANON.dcm", "inbreast", "6c613a14b80a8591", L, MLO),
        ("A_1004_1.LEFT_MLO.jpg", "ddsm", "A_1004", L, MLO),
        ("C_0104_1.RIGHT_CC", "ddsm", "C_0104", R, CC),
        ("D-4500-1.RIGHT_CC.LJPEG", "ddsm", "D_4500", R, CC),
        ("train_images/10006/1459541791.dcm", "rsna", "10006", None, None),
        ("10130_1360338805.jpg", "rsna", "10130", None, None),
        ("mdb001.pgm", "mias", "mias001", None, MLO),
        ("mdb002.pgm", "mias", "mias001", None, MLO),
        ("mdb003ll.png", "mias", "mias002", None, MLO),
        ("P105_R_DM_CC.jpg", "plain", None, R, CC),
        ("scan-LMLO.png", "plain", None, L, MLO),
        ("rxccl.png", "plain", None, R, ViewPosition.XCCL),
        ("LEFT.png", "plain", None, L, None),
        ("R.png", "plain", None, None, None),
        ("L_R_CC.png", "plain", None, None, CC),
        ("CC_MLO_LEFT.png", "plain", None, L, None),
        ("archive.zip!exam/R_CC.png", "plain", None, R, CC),
        ("Mille_Carla_0012.png", "plain", None, None, None),
        ("LML.png", "plain", None, L, ViewPosition.ML),
        ("LMO.png", "plain", None, None, ViewPosition.LMO),
    ],
)
def test_names(name, convention, patient, side, view) -> None:
    facts = read_name(name)
    assert (facts.convention, facts.patient_id) == (convention, patient)
    assert (facts.laterality, facts.view_position) == (side, view)
