"""Clinical data beside the images: nothing known changes nothing, and nothing makes an exam low."""

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammolens.analysis import AnalysisOptions, analyze_exam, triage
from mammolens.analysis.low import reasons_of_images
from mammolens.analysis.pseudonyms import pseudonymise
from mammolens.clinical import Fusion
from mammolens.clinical.fusion import FusionInput
from mammolens.core import (
    ClinicalItem,
    Exam,
    ImageQuality,
    ImageRef,
    Laterality,
    Mammogram,
    SourceHeader,
    TriageCategory,
    ViewPosition,
)
from mammolens.model import AgePrior, ModelPackage

LEFT, RIGHT = Laterality.LEFT, Laterality.RIGHT
HIGH_AGE = ClinicalItem("age", 75.0, "RIS", date(2020, 1, 1))
LUMP = ClinicalItem("lump", True, "RIS", date(2020, 1, 1), LEFT)


def drawn(side, age=None, view=ViewPosition.CC, level=0.5):
    y, x = np.mgrid[:400, :300]
    inside = ((y - 200) / 170) ** 2 + (x / 220) ** 2 < 1
    texture = 1000 + 900 * level * np.sin(y / 7) * np.cos(x / 9)
    ref = ImageRef(f"{side}{view}.png", patient_id="anna", laterality=side, view_position=view)
    ref = replace(ref, age_years=age)
    header = SourceHeader(study_date="20200101")
    return Mammogram(ref, header, np.where(inside, texture, 0).astype(np.uint16))


def four(age=None):
    views = [(side, view) for side in (RIGHT, LEFT) for view in (ViewPosition.CC, ViewPosition.MLO)]
    return Exam("anna", "1.2.3", {(s, v): (drawn(s, age, v),) for s, v in views})


@pytest.fixture(scope="module")
def model(package):
    model = ModelPackage.load(package)
    age = AgePrior(
        log_odds_per_decade=0.5,
        centre_years=60,
        youngest_years=35,
        oldest_years=80,
        fitted_on="nothing",
        n=0,
    )
    calibration = model.card.calibration.model_copy(update={"age": age})
    return replace(model, card=model.card.model_copy(update={"calibration": calibration}))


def with_thresholds(model, low, high):
    points = model.card.operating_points
    changed = points.model_copy(
        update={
            "low": points.low.model_copy(update={"threshold": low}),
            "high": points.high.model_copy(update={"threshold": high}),
        }
    )
    return replace(model, card=model.card.model_copy(update={"operating_points": changed}))


def fusion_of(**log_odds):
    inputs = tuple(
        FusionInput(
            name=name,
            centre=60.0 if name == "age" else 0.0,
            scale=10.0 if name == "age" else 1.0,
            low=-100.0,
            high=100.0,
            log_odds=value,
            mask_log_odds=0.0,
            n_known=30,
        )
        for name, value in log_odds.items()
    )
    return Fusion(
        created=datetime(2026, 1, 1, tzinfo=UTC),
        software="t",
        model_name="m",
        model_version="1",
        model_digest="ab" * 32,
        inputs=inputs,
        image_slope=1.0,
        intercepts={},
        penalty=0.1,
        n_breasts=60,
        n_malignant=30,
        n_patients=30,
        fitted_on="t",
        evaluation={},
    )


def log_odds(scores):
    return np.log(scores.malignant / (1 - scores.malignant))


def test_with_all_inputs_missing_the_answer_is_that_of_the_images_bit_for_bit(model):
    plain = analyze_exam(four(), model)
    fusion = fusion_of(density=1.0, lump=2.0, hormone_therapy=3.0)
    fused = analyze_exam(four(), model, AnalysisOptions(fusion=fusion), clinical=())
    assert fused.scores == plain.scores
    assert fused.breasts == plain.breasts
    assert [image.scores for image in fused.images] == [image.scores for image in plain.images]
    assert fused.category is plain.category
    assert fused.cautions == plain.cautions
    assert fused.age_odds_factor is None
    assert fused.fusion.contributions == ()
    assert fused.fusion.missing == ("density", "lump", "hormone_therapy")
    assert fused.fusion.images_malignant == plain.scores.malignant


def test_contributions_sum_up_and_a_side_stays_with_its_breast(model):
    plain = analyze_exam(four(), model)
    options = AnalysisOptions(fusion=fusion_of(age=0.4, lump=1.5, density=9.0))
    fused = analyze_exam(four(), model, options, clinical=[HIGH_AGE, LUMP])
    added = {(c.name, c.laterality): c.log_odds for c in fused.fusion.contributions}
    assert added == {("age", None): pytest.approx(0.6), ("lump", LEFT): pytest.approx(1.5)}
    before = {b.laterality: log_odds(b.scores) for b in plain.breasts}
    after = {b.laterality: log_odds(b.scores) for b in fused.breasts}
    assert after[RIGHT] - before[RIGHT] == pytest.approx(0.6, abs=1e-6)
    assert after[LEFT] - before[LEFT] == pytest.approx(2.1, abs=1e-6)
    ratio = plain.scores.normal / plain.scores.benign
    assert fused.scores.normal / fused.scores.benign == pytest.approx(ratio, rel=1e-5)
    assert fused.fusion.missing == ("density",)
    assert fused.age_odds_factor is None


def test_the_age_counts_once(model):
    """The term of the fusion takes the place of the card's; without one, the card's stays."""
    bare = analyze_exam(four(), model)
    own = AnalysisOptions(fusion=fusion_of(age=0.4))
    fused = analyze_exam(four(age=75.0), model, own, clinical=())
    assert log_odds(fused.scores) - log_odds(bare.scores) == pytest.approx(0.6, abs=1e-6)
    other = AnalysisOptions(fusion=fusion_of(density=1.0))
    density = ClinicalItem("density", "b", "RIS", date(2020, 1, 1))
    kept = analyze_exam(four(age=75.0), model, other, clinical=[density])
    listed = {c.name: c.log_odds for c in kept.fusion.contributions}
    assert listed == {"density": 1.0, "age": pytest.approx(0.75)}
    assert log_odds(kept.scores) - log_odds(bare.scores) == pytest.approx(1.75, abs=1e-6)
    assert kept.age_odds_factor == pytest.approx(np.exp(0.75))


def test_an_age_from_a_table_is_used_and_shown(model):
    told = analyze_exam(four(), model, clinical=[HIGH_AGE])
    header = analyze_exam(four(age=75.0), model)
    assert told.scores == header.scores
    assert told.age_odds_factor == header.age_odds_factor
    assert [(i.name, i.source, i.is_used) for i in told.clinical] == [("age", "RIS", True)]
    assert header.clinical == ()


def test_two_ages_are_a_doubt(model):
    found = analyze_exam(four(age=45.0), model, clinical=[HIGH_AGE])
    assert {i.source for i in found.clinical} == {"RIS", "DICOM header"}
    doubts = [c.name for c in found.cautions if c.doubt]
    assert doubts == ["clinical_contradiction"]
    assert found.age_odds_factor is None


def test_an_age_from_a_table_makes_no_exam_low(model):
    plain = analyze_exam(four(), model)
    between = with_thresholds(model, plain.scores.malignant - 1e-4, 0.999)
    assert analyze_exam(four(), between).category is TriageCategory.INTERMEDIATE
    young = ClinicalItem("age", 40.0, "RIS", date(2020, 1, 1))
    told = analyze_exam(four(), between, clinical=[young])
    assert told.scores.malignant < between.card.operating_points.low.threshold
    assert told.category is TriageCategory.INTERMEDIATE
    assert [c.name for c in told.cautions] == ["low_withheld"]


def test_an_age_a_little_below_that_of_the_headers_makes_no_exam_low(model, monkeypatch):
    """Ages within two years agree, and give no doubt; the score is still another."""
    monkeypatch.setattr("mammolens.analysis.exam.assess", lambda *_: ImageQuality(()))
    header = analyze_exam(four(age=65.0), model)
    between = with_thresholds(model, header.scores.malignant - 1e-5, 0.999)
    assert analyze_exam(four(age=65.0), between).category is TriageCategory.INTERMEDIATE
    younger = ClinicalItem("age", 64.0, "RIS", date(2020, 1, 2))
    told = analyze_exam(four(age=65.0), between, clinical=[younger])
    assert told.scores.malignant < between.card.operating_points.low.threshold
    assert told.category is TriageCategory.INTERMEDIATE
    assert [c.name for c in told.cautions] == ["low_withheld"]
    sure = with_thresholds(model, header.scores.malignant + 1e-5, 0.999)
    told = analyze_exam(four(age=65.0), sure, clinical=[younger])
    assert told.category is TriageCategory.LOW


@given(
    added=st.floats(-6, 6),
    low=st.floats(0.01, 0.98),
    gap=st.floats(0.001, 0.5),
    age=st.none() | st.floats(20, 100),
)
def test_clinical_data_never_make_an_exam_low_whose_images_are_not(
    plain_model, added, low, gap, age
):
    model, plain = plain_model
    changed = with_thresholds(model, low, min(low + gap, 0.999))
    options = AnalysisOptions(fusion=fusion_of(lump=added, age=added / 3))
    items = [LUMP, replace(LUMP, laterality=RIGHT)]
    items += [] if age is None else [replace(HIGH_AGE, value=age)]
    fused = refuse_again(changed, plain, options.fusion, items)
    alone = triage(plain.scores.malignant, changed.card)
    if alone is not TriageCategory.LOW:
        assert fused is not TriageCategory.LOW


@pytest.fixture(scope="module")
def plain_model(model):
    return model, analyze_exam(four(), model)


def refuse_again(model, plain, fusion, items):
    """The category of the exam by its scored images; no image is scored again."""
    from mammolens.analysis.beside import Fusing, fuse_exam, images_alone

    alone = images_alone(plain.images, None)
    unfused = replace(plain, category=triage(plain.scores.malignant, model.card))
    fusing = Fusing(fusion, model.card, tuple(items), None, alone)

    def predicted(images, against):
        from mammolens.analysis.pooling import pool_breasts, pool_exam

        scores = pool_exam(b.scores for b in pool_breasts(images))
        category = triage(scores.malignant, model.card)
        if category is TriageCategory.LOW and against:
            category = TriageCategory.INTERMEDIATE
        return replace(plain, images=images, scores=scores, category=category)

    return fuse_exam(unfused, fusing, plain.images, predicted).category


def test_the_whole_path_keeps_the_rule(model, monkeypatch):
    # The drawn stripes are no sharp mammogram; that doubt is another reason against low.
    monkeypatch.setattr(ImageQuality, "cautions", lambda _: ())
    plain = analyze_exam(four(), model)
    between = with_thresholds(model, plain.scores.malignant - 1e-4, 0.999)
    options = AnalysisOptions(fusion=fusion_of(lump=-4.0))
    items = [LUMP, replace(LUMP, laterality=RIGHT)]
    fused = analyze_exam(four(), between, options, clinical=items)
    assert fused.scores.malignant < between.card.operating_points.low.threshold
    assert fused.category is TriageCategory.INTERMEDIATE
    low = with_thresholds(model, plain.scores.malignant + 1e-4, 0.999)
    assert analyze_exam(four(), low, options, clinical=items).category is TriageCategory.LOW
    raised = AnalysisOptions(fusion=fusion_of(lump=9.0))
    assert analyze_exam(four(), low, raised, clinical=items).category is not TriageCategory.LOW


@pytest.mark.parametrize("images", TriageCategory)
@pytest.mark.parametrize("unfused", TriageCategory)
def test_both_must_be_low(images, unfused):
    may = not reasons_of_images(images, unfused)
    assert may is (images is TriageCategory.LOW and unfused is TriageCategory.LOW)


def test_pseudonyms_hide_all_of_it(model):
    options = AnalysisOptions(fusion=fusion_of(age=0.4), risk=True)
    items = [HIGH_AGE, ClinicalItem("race", "white", "RIS")]
    shown = analyze_exam(four(), model, options, clinical=items)
    assert shown.risk is not None
    hidden = pseudonymise(shown, b"key")
    assert hidden.scores == shown.scores
    assert hidden.clinical == ()
    assert hidden.risk is None
    assert hidden.fusion.contributions == ()
    assert hidden.fusion.images_malignant is None


def test_a_failed_exam_stays_failed(model):
    options = AnalysisOptions(fusion=fusion_of(age=0.4))
    found = analyze_exam(Exam("anna", "1", {}), model, options, clinical=[HIGH_AGE])
    assert found.category is TriageCategory.FAILED
    assert found.fusion is None
    assert [item.name for item in found.clinical] == ["age"]
