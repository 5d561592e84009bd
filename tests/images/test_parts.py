"""Views that are none of a whole breast: refused by name, or read with a caution."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from mammolens.errors import NotAWholeView
from mammolens.images import ImageFile, identify, read_image
from mammolens.images import dicom_parts as parts

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
def test_other_modifiers_are_told(header, modifier) -> None:
    info = header(**modified(getattr(codes.cid4015, modifier).value))
    assert info.refusal is None
    assert names(info) == {"view_modified"}


@pytest.mark.parametrize(
    "attributes",
    [
        {"BreastImplantPresent": "YES"},
        modified("399209000"),
        modified("R-102D5", "SRT"),
    ],
    ids=["present", "displaced", "retired"],
)
def test_implants_are_told(header, attributes) -> None:
    info = header(**attributes)
    assert info.refusal is None
    assert names(info) == {parts.IMPLANT}


@pytest.mark.parametrize("attributes", [{"BreastImplantPresent": "NO"}, {"PartialView": "NO"}, {}])
def test_nothing_is_said_of_what_is_denied_or_not_stated(header, attributes) -> None:
    assert names(header(**attributes)) == set()


def test_partial_views_are_told(header) -> None:
    assert names(header(PartialView="YES")) == {parts.PARTIAL}


@pytest.mark.parametrize(
    ("factor", "read"), [("1", True), ("1.2", True), ("1.3", True), ("1.5", False), ("1.8", False)]
)
def test_magnified_pictures_are_refused_whatever_their_codes_say(header, factor, read) -> None:
    refusal = header(EstimatedRadiographicMagnificationFactor=factor).refusal
    assert (refusal is None) is read
    assert read or refusal.keyword == "EstimatedRadiographicMagnificationFactor"
