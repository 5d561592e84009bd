"""The rule of low, over random exams with random refusals."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mammolens.analysis import AnalysisOptions, analyze_exam
from mammolens.core import (
    Caution,
    Exam,
    ImageRef,
    Laterality,
    Mammogram,
    ObjectKind,
    PresentationIntent,
    Source,
    SourceHeader,
    TriageCategory,
    Unreadable,
    ViewPosition,
)
from mammolens.errors import ConfigError
from mammolens.exams import STANDARD_VIEWS, parse_views
from mammolens.model import ModelPackage

QUICK = AnalysisOptions(display=False)


@pytest.fixture(scope="module")
def model(package):
    """A package that calls every exam low which it may call low."""
    loaded = ModelPackage.load(package)
    points = loaded.card.operating_points
    always = {
        name: getattr(points, name).model_copy(update={"threshold": 1.0})
        for name in ("low", "high")
    }
    card = loaded.card.model_copy(update={"operating_points": points.model_copy(update=always)})
    return replace(loaded, card=card)


def breast(side=Laterality.LEFT, view=ViewPosition.CC, number=0, cautions=(), **header):
    y, x = np.mgrid[:400, :300]
    inside = ((y - 200) / 170) ** 2 + (x / 220) ** 2 < 1
    grain = np.random.default_rng(number).normal(0, 120, inside.shape)  # else it looks blurred
    texture = 1000 + 400 * np.sin(y / (7 + number)) * np.cos(x / 9) + grain
    ref = ImageRef(f"{number}.png", patient_id="P1", laterality=side, view_position=view)
    pixels = np.where(inside, texture, 0).astype(np.uint16)
    return Mammogram(ref, SourceHeader(**header), pixels, cautions=tuple(cautions))


def noise(side, view, number=0):
    """An exposure without a breast: detector noise, which only `prepare` refuses."""
    pixels = np.random.default_rng(number).integers(0, 12, (400, 300)).astype(np.uint16)
    pixels[10:20, 10:22] = 3500
    ref = ImageRef(f"noise{number}.png", laterality=side, view_position=view)
    return Mammogram(ref, SourceHeader(), pixels)


def exam(mammograms, cautions=()):
    views = {}
    for m in mammograms:
        views.setdefault((m.ref.laterality, m.ref.view_position), []).append(m)
    return Exam("P1", "1.2.3", {slot: tuple(ms) for slot, ms in views.items()}, tuple(cautions))


def four(**changes):
    return [breast(side, view, n, **changes) for n, (side, view) in enumerate(STANDARD_VIEWS)]


def refused(kind, ref=None, header=None):
    source = Source(ref, header or SourceHeader()) if ref else None
    return Unreadable("x.dcm", "UnsupportedImage", "x.dcm: not read", source, kind)


def why(prediction):
    return next((c.message for c in prediction.cautions if c.name == "low_withheld"), None)


VIEWS = st.sampled_from([(s, v) for s in (*Laterality, None) for v in (*ViewPosition, None)])


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    shown=st.lists(st.sampled_from(STANDARD_VIEWS), unique=True),
    blank=st.lists(st.sampled_from(STANDARD_VIEWS), unique=True, max_size=2),
    others=st.lists(VIEWS, max_size=2),
    kinds=st.lists(st.sampled_from(ObjectKind), max_size=3),
    image_doubt=st.booleans(),
    exam_doubt=st.booleans(),
    tolerated=st.booleans(),
)
def test_low_is_given_exactly_when_all_was_seen_and_nothing_is_doubted(
    model, shown, blank, others, kinds, image_doubt, exam_doubt, tolerated
):
    notes = [Caution("tolerance", "a harmless thing")] * tolerated
    marked = [Caution("doubt", "an image is doubtful", doubt=True)] * image_doubt
    pictures = [breast(*view, number=n, cautions=notes) for n, view in enumerate(shown)]
    pictures += [breast(*view, number=20 + n) for n, view in enumerate(others)]
    if pictures:
        pictures[0] = replace(pictures[0], cautions=(*pictures[0].cautions, *marked))
    # A blank exposure takes part as a mammogram until `prepare` finds no breast in it.
    pictures += [noise(*view, number=n) for n, view in enumerate(blank)]
    facts = [Caution("identity", "two patients", doubt=True)] * exam_doubt
    prediction = analyze_exam(
        exam(pictures, facts), model, QUICK, unreadable=[refused(kind) for kind in kinds]
    )
    scored = {(i.ref.laterality, i.ref.view_position) for i in prediction.images}
    proven = {ObjectKind.STACK, ObjectKind.OTHER_IMAGE, ObjectKind.DOCUMENT}
    allowed = (
        scored >= set(STANDARD_VIEWS)
        and not blank
        and set(kinds) <= proven
        and not image_doubt
        and not exam_doubt
    )
    if not prediction.images:
        assert prediction.category is TriageCategory.FAILED
        assert prediction.scores is None
    elif allowed:
        assert prediction.category is TriageCategory.LOW
        assert why(prediction) is None
    else:
        assert prediction.category is TriageCategory.INTERMEDIATE
        assert why(prediction)


@pytest.mark.parametrize("gone", STANDARD_VIEWS)
def test_a_view_that_was_read_but_not_scored_is_named(model, gone):
    pictures = [m for m in four() if (m.ref.laterality, m.ref.view_position) != gone]
    prediction = analyze_exam(exam([*pictures, noise(*gone)]), model, QUICK)
    assert prediction.category is TriageCategory.INTERMEDIATE
    side, view = gone
    assert f"not scored: {side.value}{view.value}" in why(prediction)
    assert "1 object that may show a breast was not analysed" in why(prediction)


def test_fewer_views_make_an_exam_complete_only_where_a_person_says_so(model):
    right = [m for m in four() if m.ref.laterality is Laterality.RIGHT]
    assert analyze_exam(exam(right), model, QUICK).category is TriageCategory.INTERMEDIATE
    said = replace(QUICK, complete_views=parse_views(["RCC", "RMLO"]))
    told = analyze_exam(exam(right), model, said)
    assert told.category is TriageCategory.LOW
    (caution,) = [c for c in told.cautions if c.name == "complete_without"]
    assert "LCC, LMLO" in caution.message


ABSENT_LEFT = (("Z90.12", "I10C", "Acquired absence of left breast and nipple"),)


def test_a_coded_mastectomy_excuses_that_breast_alone(model):
    right = [m for m in four(admitting_diagnoses=ABSENT_LEFT) if m.ref.laterality.value == "R"]
    assert analyze_exam(exam(right), model, QUICK).category is TriageCategory.LOW
    one = analyze_exam(exam(right[:1]), model, QUICK)
    assert "RMLO" in why(one)
    assert "LCC" not in why(one)
    # A picture of the breast that is said to be absent: then nothing is excused.
    contradicted = [*right, breast(Laterality.LEFT, ViewPosition.CC, 9)]
    assert "LMLO" in why(analyze_exam(exam(contradicted), model, QUICK))


def test_a_meaning_without_its_code_excuses_nothing(model):
    said = (("MAST-L", "99LOCAL", "Acquired absence of left breast"),)
    right = [m for m in four(admitting_diagnoses=said) if m.ref.laterality is Laterality.RIGHT]
    assert analyze_exam(exam(right), model, QUICK).category is TriageCategory.INTERMEDIATE


def raw(view=(Laterality.LEFT, ViewPosition.CC), uid="1.2.9", **header):
    ref = ImageRef(
        "raw.dcm",
        sop_instance_uid=uid,
        laterality=view[0],
        view_position=view[1],
        presentation_intent=PresentationIntent.FOR_PROCESSING,
    )
    return refused(ObjectKind.MAMMOGRAM, ref, SourceHeader(**header))


@pytest.mark.parametrize(
    ("of_picture", "of_raw"),
    [
        ({"source_instance_uids": ("1.2.9",)}, {}),
        ({"irradiation_event_uid": "1.2.7"}, {"irradiation_event_uid": "1.2.7"}),
        ({"acquisition_time": "101500.5"}, {"acquisition_time": "101500.5"}),
    ],
)
def test_raw_data_of_a_scored_picture_leave_it_low(model, of_picture, of_raw):
    pictures = four()
    of_one_view = next(n for n, m in enumerate(pictures) if m.ref.laterality is Laterality.LEFT)
    pictures[of_one_view] = replace(
        pictures[of_one_view], header=replace(pictures[of_one_view].header, **of_picture)
    )
    assert analyze_exam(
        exam(pictures), model, QUICK, unreadable=[raw(**of_raw)]
    ).category.value == ("low")


@pytest.mark.parametrize(
    ("of_picture", "of_raw"),
    [
        ({}, {}),
        ({"source_instance_uids": ("1.2.8",)}, {}),
        ({"irradiation_event_uid": "1.2.7"}, {"irradiation_event_uid": "1.2.6"}),
        (
            {"irradiation_event_uid": "1.2.7", "acquisition_time": "101500"},
            {"irradiation_event_uid": "1.2.6", "acquisition_time": "101500"},
        ),
        ({"acquisition_time": "1015"}, {"acquisition_time": "1015"}),
        # A time that all four views share was blanked: it proves nothing.
        ({"acquisition_time": "000000"}, {"acquisition_time": "000000"}),
    ],
)
def test_raw_data_of_another_exposure_withhold_low(model, of_picture, of_raw):
    told = analyze_exam(exam(four(**of_picture)), model, QUICK, unreadable=[raw(**of_raw)])
    assert told.category is TriageCategory.INTERMEDIATE


@pytest.mark.parametrize(("source", "category"), [("1.2.5", "low"), ("1.2.6", "intermediate")])
def test_a_captured_picture_of_a_scored_image_leaves_it_low(model, source, category):
    """Such as the heat map of another program, which says what it was made from."""
    pictures = four()
    pictures[0] = replace(pictures[0], ref=replace(pictures[0].ref, sop_instance_uid="1.2.5"))
    header = SourceHeader(sop_class_uid="1.2.840.10008.5.1.4.1.1.7", source_instance_uids=(source,))
    captured = refused(ObjectKind.MAMMOGRAM, ImageRef("map.dcm"), header)
    told = analyze_exam(exam(pictures), model, QUICK, unreadable=[captured])
    assert told.category.value == category


def test_a_high_score_stays_high_whatever_is_missing(package):
    loaded = ModelPackage.load(package)
    points = loaded.card.operating_points
    everything = points.model_copy(
        update={
            n: getattr(points, n).model_copy(update={"threshold": 0.0}) for n in ("low", "high")
        }
    )
    model = replace(loaded, card=loaded.card.model_copy(update={"operating_points": everything}))
    assert analyze_exam(exam([breast()]), model, QUICK).category is TriageCategory.HIGH


def test_a_model_of_drawings_calls_nobody_low(model):
    datasets = (model.card.training.datasets[0].model_copy(update={"name": "synthetic-demo"}),)
    training = model.card.training.model_copy(update={"datasets": datasets})
    drawn = replace(model, card=model.card.model_copy(update={"training": training}))
    told = analyze_exam(exam(four()), drawn, QUICK)
    assert told.category is TriageCategory.INTERMEDIATE
    assert "synthetic" in why(told)


@pytest.mark.parametrize("names", [[], ["RCC", "top"], ["CC"], [""]])
def test_views_that_nobody_knows_are_refused(names):
    with pytest.raises(ConfigError, match="RCC,LCC,RMLO,LMLO"):
        parse_views(names)
