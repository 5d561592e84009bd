"""Marked regions through a real lesion package: probabilities, refusals, what is hidden."""

import hashlib
from dataclasses import replace

import cv2
import numpy as np
import pytest

from mammolens.analysis import (
    AnalysisOptions,
    RegionPrediction,
    analyze_exam,
    analyze_paths,
    analyze_region_file,
    analyze_regions,
    parse_region,
)
from mammolens.core import (
    Exam,
    ImageRef,
    InputKind,
    Laterality,
    Mammogram,
    SourceHeader,
    TriageCategory,
    ViewPosition,
)
from mammolens.errors import BadRegion, ContractMismatch, NotAMammogram, NotAnImage
from mammolens.model import ModelPackage

BOX = (150.0, 40.0, 230.0, 120.0)
OTHER = (240.0, 20.0, 280.0, 60.0)


@pytest.fixture(scope="module")
def lesion_model(make_lesion_package):
    return ModelPackage.load(make_lesion_package())


def film() -> Mammogram:
    y, x = np.mgrid[:400, :300]
    inside = ((y - 200) / 170) ** 2 + (x / 220) ** 2 < 1
    mass = 15000 * (((y - 190) / 35) ** 2 + ((x - 80) / 35) ** 2 < 1)
    texture = 20000 + 5000 * np.sin(y / 7) * np.cos(x / 9) + mass
    ref = ImageRef(
        "anna/film.png",
        patient_id="anna",
        sop_instance_uid="1.2.3",
        laterality=Laterality.LEFT,
        view_position=ViewPosition.CC,
    )
    return Mammogram(ref, SourceHeader(), np.where(inside, texture, 0).astype(np.uint16))


def test_every_region_has_benign_and_malignant_and_nothing_else(lesion_model) -> None:
    report = analyze_regions(film(), [BOX, OTHER], lesion_model)
    assert [region.box_source_px for region in report.regions] == [BOX, OTHER]
    for region in report.regions:
        assert region.benign + region.malignant == pytest.approx(1.0)
        assert 0 < region.malignant < 1
        assert region.malignancy_map.shape == (3, 3)
        assert region.category is not TriageCategory.FAILED
    first, second = report.regions
    assert first.malignant != second.malignant
    alone = analyze_regions(film(), [OTHER], lesion_model)
    assert alone.regions[0].malignant == pytest.approx(second.malignant, abs=1e-6)
    assert report.prevalence == 0.5
    assert report.display is not None


def test_what_a_model_would_call_normal_is_shared_out(lesion_model) -> None:
    """The package's graph does answer normal: what counts is malignant against benign."""
    from mammolens.analysis import score_prepared
    from mammolens.preprocess import prepare_region

    view = prepare_region(film(), BOX, lesion_model.card.for_regions())
    _, benign, malignant = score_prepared(lesion_model, [view]).probabilities[0]
    region = analyze_regions(film(), [BOX], lesion_model).regions[0]
    assert region.malignant == pytest.approx(malignant / (benign + malignant), abs=1e-6)


def test_another_prevalence_moves_probabilities_but_no_category(lesion_model) -> None:
    at_card = analyze_regions(film(), [BOX], lesion_model)
    rare = analyze_regions(film(), [BOX], lesion_model, AnalysisOptions(prevalence=0.1))
    one, other = at_card.regions[0], rare.regions[0]
    odds = one.malignant / one.benign / 9
    assert other.malignant == pytest.approx(odds / (1 + odds), abs=1e-6)
    assert other.category is one.category
    assert rare.prevalence == 0.1


def test_a_category_is_the_place_between_the_operating_points(lesion_model) -> None:
    points = lesion_model.card.operating_points
    malignant = analyze_regions(film(), [BOX], lesion_model).regions[0].malignant
    for low, high, expected in (
        (0.0, 0.0, TriageCategory.HIGH),
        (0.0, 1.0, TriageCategory.INTERMEDIATE),
        (1.0, 1.0, TriageCategory.LOW),
    ):
        moved = points.model_copy(
            update={
                "low": points.low.model_copy(update={"threshold": low}),
                "high": points.high.model_copy(update={"threshold": high}),
            }
        )
        card = lesion_model.card.model_copy(update={"operating_points": moved})
        report = analyze_regions(film(), [BOX], replace(lesion_model, card=card))
        assert report.regions[0].category is expected
        assert report.regions[0].malignant == malignant


def test_one_impossible_box_and_nothing_is_scored(lesion_model) -> None:
    with pytest.raises(BadRegion, match="outside"):
        analyze_regions(film(), [BOX, (900.0, 0.0, 950.0, 90.0)], lesion_model)
    with pytest.raises(BadRegion, match="no region"):
        analyze_regions(film(), [], lesion_model)
    with pytest.raises(NotAMammogram, match="has the same value"):
        analyze_regions(film(), [(0.0, 240.0, 40.0, 290.0)], lesion_model)


def test_warnings_of_a_region_stay_with_it(lesion_model) -> None:
    report = analyze_regions(film(), [BOX, (200.0, -30.0, 260.0, 60.0)], lesion_model)
    assert [len(region.cautions) for region in report.regions] == [0, 1]
    assert report.regions[1].cautions[0].name == "region_clipped"


def test_models_are_kept_to_what_they_read(lesion_model, package, tmp_path) -> None:
    breast = ModelPackage.load(package)
    with pytest.raises(ContractMismatch, match=r"whole breast, not a marked lesion.*lesion-1"):
        analyze_regions(film(), [BOX], breast)
    with pytest.raises(ContractMismatch, match=r"whole breast, not a marked lesion"):
        analyze_region_file(tmp_path / "never-read.png", [BOX], breast)
    exam = Exam("anna", None, {(Laterality.LEFT, ViewPosition.CC): (film(),)})
    with pytest.raises(ContractMismatch, match=r"marked lesion, not a whole breast.*--region"):
        analyze_exam(exam, lesion_model)
    cv2.imwrite(str(tmp_path / "film.png"), film().pixels)
    with pytest.raises(ContractMismatch, match="marked lesion"):
        list(analyze_paths([tmp_path / "film.png"], lesion_model))


def test_a_file_is_read_and_a_folder_refused(lesion_model, tmp_path) -> None:
    cv2.imwrite(str(tmp_path / "film.png"), film().pixels)
    from_file = analyze_region_file(tmp_path / "film.png", [BOX], lesion_model)
    direct = analyze_regions(film(), [BOX], lesion_model)
    assert from_file.regions[0].malignant == direct.regions[0].malignant
    digest = hashlib.sha256((tmp_path / "film.png").read_bytes()).hexdigest()
    assert from_file.ref.digest == digest
    with pytest.raises(NotAnImage):
        analyze_region_file(tmp_path, [BOX], lesion_model)


def test_pseudonyms_reach_everything(lesion_model) -> None:
    options = AnalysisOptions(pseudonymise=True, display=False)
    report = analyze_regions(film(), [BOX], lesion_model, options)
    assert report.display is None
    assert "anna" not in repr(report)
    assert report.ref.patient_id is not None
    assert report.ref.patient_id.startswith("anon-")
    assert report.ref.sop_instance_uid is not None
    assert report.ref.sop_instance_uid.startswith("2.25.")


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1;2;3;4"])
def test_what_is_no_box_is_said(text: str) -> None:
    with pytest.raises(BadRegion, match=r"row0,col0,row1,col1"):
        parse_region(text)


def test_no_region_without_a_proper_result(lesion_model) -> None:
    region = analyze_regions(film(), [BOX], lesion_model).regions[0]
    for changes in ({"malignant": float("nan")}, {"malignant": region.malignant + 0.1}):
        with pytest.raises(ValueError, match="no result"):
            replace(region, **changes)
    with pytest.raises(ValueError, match="no result"):
        replace(region, category=TriageCategory.FAILED)
    assert isinstance(region, RegionPrediction)


def test_the_card_knows_its_kind(lesion_model, package) -> None:
    card = lesion_model.card
    assert card.input_kind is InputKind.LESION
    with pytest.raises(ValueError, match="does not make a breast"):
        type(card).model_validate(card.model_dump() | {"input_kind": "breast"})
    breast = ModelPackage.load(package).card
    points = breast.operating_points.model_dump()
    with pytest.raises(ValueError, match="operating points count exam"):
        type(card).model_validate(card.model_dump() | {"operating_points": points})
