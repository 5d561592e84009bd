"""Pooling, triage, findings and pseudonyms, on a real package and drawn or real exams."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mammolens.analysis import (
    AnalysisOptions,
    analyze_exam,
    analyze_paths,
    locate,
    pool_breast,
    pool_exam,
    restate_scores,
    restate_threshold,
    score_prepared,
    triage,
)
from mammolens.core import (
    Exam,
    Geometry,
    ImageRef,
    Laterality,
    Mammogram,
    Photometric,
    PreparedView,
    Scores,
    SourceHeader,
    TriageCategory,
    Unreadable,
    ViewPosition,
)
from mammolens.errors import BadModelPackage, ConfigError
from mammolens.model import AgePrior, ModelPackage, read_card
from mammolens.preprocess import prepare


@pytest.fixture(scope="module")
def model(package):
    return ModelPackage.load(package)


def drawn(name="a", level=0.5, side=Laterality.LEFT, view=ViewPosition.CC):
    y, x = np.mgrid[:400, :300]
    inside = ((y - 200) / 170) ** 2 + (x / 220) ** 2 < 1
    texture = 1000 + 900 * level * np.sin(y / 7) * np.cos(x / 9)
    ref = ImageRef(f"{name}.png", patient_id="anna", laterality=side, view_position=view)
    return Mammogram(ref, SourceHeader(), np.where(inside, texture, 0).astype(np.uint16))


def exam(*mammograms):
    views = {}
    for m in mammograms:
        views.setdefault((m.ref.laterality, m.ref.view_position), []).append(m)
    return Exam("anna", "1.2.3", {key: tuple(group) for key, group in views.items()})


def test_a_breast_is_the_mean_of_log_probabilities():
    a, b = np.array([0.7, 0.2, 0.1]), np.array([0.1, 0.1, 0.8])
    expected = np.sqrt(a * b) / np.sqrt(a * b).sum()
    got = pool_breast([a, b])
    assert (got.normal, got.benign, got.malignant) == pytest.approx(tuple(expected))


def test_an_exam_is_its_worse_breast_in_both_tasks():
    right, left = Scores(0.1, 0.8, 0.1), Scores(0.4, 0.0, 0.6)
    pooled = pool_exam([right, left])
    assert pooled.malignant == 0.6
    assert pooled.tumour == pytest.approx(0.9)


def test_triage_follows_the_cards_two_thresholds(model):
    points = model.card.operating_points
    assert triage(points.low.threshold - 1e-6, model.card) is TriageCategory.LOW
    assert triage(points.high.threshold, model.card) is TriageCategory.HIGH
    middle = (points.low.threshold + points.high.threshold) / 2
    if points.low.threshold < points.high.threshold:
        assert triage(middle, model.card) is TriageCategory.INTERMEDIATE


def test_restating_moves_threshold_and_scores_together(model):
    threshold = model.card.operating_points.high.threshold
    for malignant in (threshold - 0.01, threshold + 0.01):
        scores = Scores((1 - malignant) * 0.3, (1 - malignant) * 0.7, malignant)
        moved = restate_scores(scores, model.card, 0.005)
        limit = restate_threshold(threshold, model.card, 0.005)
        assert (moved.malignant >= limit) == (malignant >= threshold)
        assert moved.malignant < malignant


def test_a_prevalence_changes_probabilities_and_never_the_category(model):
    one = analyze_exam(exam(drawn()), model, AnalysisOptions(display=False))
    other = analyze_exam(exam(drawn()), model, AnalysisOptions(prevalence=0.005, display=False))
    assert one.category is other.category
    assert other.prevalence == 0.005
    assert other.scores.malignant < one.scores.malignant


def test_the_mirror_is_scored_too_and_its_map_turned_back(model):
    view = prepare(drawn(), model.card.preprocess)
    upside_down = replace(view, pixels=view.pixels[::-1].copy(), mask=view.mask[::-1].copy())
    straight, turned = (score_prepared(model, [v]) for v in (view, upside_down))
    assert straight.probabilities == pytest.approx(turned.probabilities, abs=1e-6)
    assert np.allclose(straight.malignancy_map, turned.malignancy_map[:, ::-1], atol=1e-6)


def test_an_exam_with_nothing_readable_has_failed_and_is_never_low(model):
    refused = (Unreadable("b.dcm", "NotAnImage", "b.dcm: cut off"),)
    nothing = analyze_exam(exam(), model, unreadable=refused)
    assert nothing.category is TriageCategory.FAILED
    assert nothing.scores is None
    flat = Mammogram(ImageRef("flat.png"), SourceHeader(), np.full((300, 300), 7, np.uint16))
    failed = analyze_exam(exam(flat), model)
    assert failed.category is TriageCategory.FAILED
    assert failed.unreadable[0].error == "NotAMammogram"


def low_exam(model):
    points = model.card.operating_points
    card = model.card.model_copy(
        update={
            "operating_points": points.model_copy(
                update={
                    "low": points.low.model_copy(update={"threshold": 1.0}),
                    "high": points.high.model_copy(update={"threshold": 1.0}),
                }
            )
        }
    )
    return replace(model, card=card)


def test_images_of_unknown_side_are_not_pooled_with_each_other(model):
    images = [drawn(n, lvl, None, None) for n, lvl in (("a", 0.2), ("b", 1.0))]
    prediction = analyze_exam(exam(*images), model)
    assert [b.laterality for b in prediction.breasts] == [None, None]
    worst = max(image.scores.malignant for image in prediction.images)
    assert prediction.scores.malignant == pytest.approx(worst, abs=1e-6)


def test_a_passed_time_limit_fails_the_exam(model):
    late = analyze_exam(exam(drawn()), model, AnalysisOptions(time_limit_s=1.0), began=-1e9)
    assert late.category is TriageCategory.FAILED
    assert "time limit" in late.unreadable[0].message


@pytest.mark.parametrize(
    "wrong", [{"jobs": 0}, {"prevalence": 0.0}, {"prevalence": 1.2}, {"time_limit_s": 0}]
)
def test_impossible_options_are_refused(wrong):
    with pytest.raises(ConfigError):
        AnalysisOptions(**wrong)


def plain_view(flipped=False):
    geometry = Geometry((1024, 768), (0, 0, 1024, 768), (512, 384), (0, 0), (512, 384), flipped)
    ones = np.ones((512, 384), np.uint8)
    return PreparedView(ImageRef("a"), ones, ones.astype(bool), geometry, Photometric.MONOCHROME2)


@pytest.mark.parametrize("flipped", [False, True])
def test_findings_lie_where_the_map_is_strong(flipped):
    activation = np.zeros((16, 12), np.float32)
    activation[4, 3] = 2.0
    activation[12, 9] = 1.5
    found = locate(plain_view(flipped), activation, 1.0)
    assert [f.score for f in found] == pytest.approx([2.0, 1.5], rel=0.01)
    for finding, (row, col) in zip(found, [(4.5, 3.5), (12.5, 9.5)], strict=True):
        r0, c0, r1, c1 = finding.box_source_px
        centre = (r0 + r1) / 2, (c0 + c1) / 2
        expected_col = 768 - col * 64 if flipped else col * 64
        assert centre == pytest.approx((row * 64, expected_col), abs=17)
        assert 32 <= r1 - r0 <= 96


def test_two_maxima_joined_by_a_weak_bridge_are_two_findings():
    activation = np.full((16, 12), 0.8, np.float32)
    activation[3, 2], activation[11, 8] = 4.0, 3.0
    assert len(locate(plain_view(), activation, 1.0)) == 2


def test_below_the_level_there_is_no_finding():
    assert locate(plain_view(), np.full((16, 12), 0.9, np.float32), 1.0) == ()


def test_pseudonyms_hide_ids_and_names_alike(model, sample_dir):
    paths = [sample_dir / "sfm-malign-0"]
    (plain,) = analyze_paths(paths, model, AnalysisOptions(display=False))
    (hidden,) = analyze_paths(paths, model, AnalysisOptions(display=False, pseudonymise=True))
    assert plain.patient_id == "P_00820"
    assert hidden.patient_id.startswith("anon-")
    assert "P_00820" not in repr(hidden)
    uids = [i.ref.sop_instance_uid for i in plain.images]
    assert not any(uid in repr(hidden) for uid in uids)
    assert hidden.scores == plain.scores


@pytest.mark.slow
def test_exams_side_by_side_give_the_same_in_the_same_order(model, sample_dir):
    def run(jobs):
        return list(analyze_paths([sample_dir], model, AnalysisOptions(jobs, display=False)))

    one, two = run(1), run(2)
    assert [p.patient_id for p in one] == [p.patient_id for p in two]
    for first, second in zip(one, two, strict=True):
        assert first.scores.malignant == pytest.approx(second.scores.malignant, abs=1e-6)
    assert all(p.study_instance_uid is None and len(p.images) == 4 for p in one)


def aged_model(package, per_decade=0.5):
    model = ModelPackage.load(package)
    age = AgePrior(
        log_odds_per_decade=per_decade,
        centre_years=60,
        youngest_years=35,
        oldest_years=80,
        fitted_on="nothing",
        n=0,
    )
    calibration = model.card.calibration.model_copy(update={"age": age})
    return replace(model, card=model.card.model_copy(update={"calibration": calibration}))


def of_age(years, name="a", side=Laterality.LEFT):
    mammogram = drawn(name, side=side)
    return replace(mammogram, ref=replace(mammogram.ref, age_years=years))


def odds_of(scores):
    return scores.malignant / (1 - scores.malignant)


@pytest.mark.parametrize(
    ("years", "factor"), [(70.0, np.exp(0.5)), (60.0, 1.0), (40.0, np.exp(-1.0)), (99.0, np.e)]
)
def test_a_known_age_multiplies_the_odds(package, model, years, factor):
    bare = analyze_exam(exam(drawn()), model)
    aged = analyze_exam(exam(of_age(years)), aged_model(package))
    assert odds_of(aged.scores) == pytest.approx(factor * odds_of(bare.scores), rel=1e-5)
    assert odds_of(aged.images[0].scores) == pytest.approx(odds_of(aged.scores), rel=1e-6)
    ratio = bare.scores.normal / bare.scores.benign
    assert aged.scores.normal / aged.scores.benign == pytest.approx(ratio, rel=1e-5)
    assert aged.age_odds_factor == pytest.approx(factor)
    assert aged.category is triage(aged.scores.malignant, model.card)
    assert np.array_equal(aged.images[0].malignancy_map, bare.images[0].malignancy_map)
    assert bare.age_odds_factor is None


@pytest.mark.parametrize("years", [None, 0.0, 140.0])
def test_an_unknown_or_impossible_age_changes_nothing_and_is_said(package, model, years):
    bare = analyze_exam(exam(drawn()), model)
    aged = analyze_exam(exam(of_age(years)), aged_model(package))
    assert aged.scores.malignant == pytest.approx(bare.scores.malignant, rel=1e-6)
    assert aged.age_odds_factor is None
    assert [c.name for c in aged.cautions] == ["age_unknown"]
    assert "60 years" in aged.cautions[0].message
    assert bare.cautions == ()


def test_one_age_holds_for_all_images_of_an_exam(package, model):
    right = of_age(None, "b", Laterality.RIGHT)
    aged = analyze_exam(exam(right, of_age(70.0)), aged_model(package))
    bare = analyze_exam(exam(drawn("b", side=Laterality.RIGHT), drawn()), model)
    for older, plain in zip(aged.breasts, bare.breasts, strict=True):
        expected = np.exp(0.5) * odds_of(plain.scores)
        assert odds_of(older.scores) == pytest.approx(expected, rel=1e-5)


def test_pseudonyms_hide_the_age_too(package):
    from mammolens.analysis.pseudonyms import pseudonymise

    shown = analyze_exam(exam(of_age(75.0)), aged_model(package))
    hidden = pseudonymise(shown, b"key")
    assert hidden.scores == shown.scores
    assert hidden.age_odds_factor is None
    assert [image.ref.age_years for image in hidden.images] == [None]


def test_an_impossible_age_of_one_image_does_not_hide_that_of_another(package):
    aged = analyze_exam(exam(of_age(0.0, "b", Laterality.RIGHT), of_age(70.0)), aged_model(package))
    assert aged.age_odds_factor == pytest.approx(np.exp(0.5))
    assert aged.cautions == ()


def test_a_model_of_lesions_may_not_use_age(package, make_lesion_package):
    card = ModelPackage.load(make_lesion_package()).card.model_dump(mode="json")
    card["calibration"]["age"] = aged_model(package).card.calibration.age.model_dump()
    with pytest.raises(BadModelPackage, match="whole breasts"):
        read_card(json.dumps(card), "card.json")
