"""Analyse one exam with a model, or many exams in parallel."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from mammolens.analysis.beside import Fusing, fuse_exam, images_alone, look_beside
from mammolens.analysis.density import add_density, image_density
from mammolens.analysis.findings import locate
from mammolens.analysis.low import complete_without, reasons_against_low, reasons_of_images
from mammolens.analysis.options import DEFAULTS, AnalysisOptions
from mammolens.analysis.pooling import (
    pool_breast,
    pool_breasts,
    pool_exam,
    regard_age,
    restate_scores,
    score_prepared,
    triage,
)
from mammolens.analysis.pseudonyms import pseudonymise
from mammolens.clinical import state_risk
from mammolens.core import (
    Caution,
    ClinicalItem,
    Exam,
    ImagePrediction,
    ImageQuality,
    Mammogram,
    ObjectKind,
    Prediction,
    PreparedView,
    Scores,
    Source,
    TriageCategory,
    Unreadable,
)
from mammolens.data.summary import synthetic_warnings
from mammolens.errors import InputError, ModelError
from mammolens.exams import ExamPlan, load_exam, plan_exams
from mammolens.images import find_files
from mammolens.images.ages import exam_age
from mammolens.model import ModelPackage
from mammolens.photograph import refuse_photographed
from mammolens.prefetching import prefetch
from mammolens.preprocess import display_of, prepare
from mammolens.quality import admit, assess, compare_views, picture_measures

__all__ = ["AnalysisOptions", "analyze_exam", "analyze_paths", "analyze_plan"]

_NOT_VALIDATED: Final = frozenset(
    {"breast_implant", "partial_view", "view_modified", "not_validated", "patient_not_validated"}
)
"""Names of doubts about kinds of images on which the model was not validated."""

_Kept = tuple[Mammogram, PreparedView, ImageQuality]
"""An image that may be scored, its input, and the verdict on it."""


def analyze_paths(
    paths: Sequence[Path],
    model: ModelPackage,
    options: AnalysisOptions = DEFAULTS,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> Iterator[Prediction | Unreadable]:
    """Analyse all exams in files, folders and archives.

    Parameters
    ----------
    on_progress
        Called with (finished exams, all exams), first with 0 finished exams.

    Yields
    ------
    An `Unreadable` for each input that belongs to no exam; then a `Prediction` for each exam. At
    most ``options.jobs`` exams are in memory.
    """
    files, unreadable = find_files(paths)
    plans, unplaced = plan_exams(files)
    key = secrets.token_bytes(32)
    yield from unreadable
    yield from unplaced
    on_progress(0, len(plans))
    predictions = prefetch(
        lambda plan: analyze_plan(plan, model, options),
        plans,
        ahead=options.jobs - 1,
        workers=options.jobs,
    )
    for done, prediction in enumerate(predictions, start=1):
        yield pseudonymise(prediction, key) if options.pseudonymise else prediction
        on_progress(done, len(plans))


def analyze_plan(plan: ExamPlan, model: ModelPackage, options: AnalysisOptions) -> Prediction:
    """Load the exam of a plan and analyse it."""
    began = time.monotonic()
    exam, unreadable = load_exam(plan)
    # A fusion or a risk without clinical data still knows the age of the headers.
    asked = options.fusion is not None or options.risk
    clinical: Sequence[ClinicalItem] | None = () if asked else None
    if options.clinical is not None:
        found = options.clinical.of_exam(exam.patient_id, exam.study_instance_uid)
        if found is None:
            text = "the clinical data do not name this patient; all of them are unknown"
            exam = replace(exam, cautions=(*exam.cautions, Caution("clinical_unknown", text)))
        clinical = found or ()
    return analyze_exam(
        exam,
        model,
        options,
        unreadable=(*plan.unreadable, *unreadable),
        began=began,
        clinical=clinical,
    )


def analyze_exam(
    exam: Exam,
    model: ModelPackage,
    options: AnalysisOptions = DEFAULTS,
    *,
    unreadable: Sequence[Unreadable] = (),
    began: float | None = None,
    clinical: Sequence[ClinicalItem] | None = None,
) -> Prediction:
    """Score, pool, triage and locate one exam.

    Parameters
    ----------
    unreadable
        Images of this exam that could not be read.
    began
        `time.monotonic` at the start of the exam; the time limit counts from there.
    clinical
        What is stated of the patient beside the images; ``None`` if nobody was asked.

    Raises
    ------
    ContractMismatch
        If the model reads marked lesions, not whole breasts.
    """
    config = model.card.for_breasts()
    began = time.monotonic() if began is None else began
    refused = list(unreadable)
    cautions = [*exam.cautions, *_model_doubts(model)]
    kept: list[_Kept] = []
    for mammogram in exam.mammograms:
        try:
            _check_time(began, options)
            view = prepare(mammogram, config)
            doubts = admit(view, model.card.gate)
            refuse_photographed(mammogram)
            quality = assess(mammogram, view, config)
            doubts += quality.cautions()
            kept.append((mammogram, replace(view, cautions=view.cautions + doubts), quality))
        except (InputError, ModelError) as error:
            refused.append(_unscored(mammogram, error))
    images: tuple[ImagePrediction, ...] = ()
    headers = [(mammogram.ref, mammogram.header) for mammogram, _, _ in kept]
    header_age, several = exam_age(headers)
    cautions += [several] if several else []
    beside = look_beside(headers, header_age, clinical)
    age, cautions = beside.age_years, [*cautions, *beside.cautions]
    if kept:
        cautions += _age_cautions(model, age)
        try:
            _check_time(began, options)
            images = _score_images(kept, model, age, options)
        except ModelError as error:
            cautions.append(Caution("model_failed", str(error)))
            refused += [_unscored(mammogram, error) for mammogram, _, _ in kept]

    def predicted(scored: tuple[ImagePrediction, ...], against: Sequence[str] = ()) -> Prediction:
        made = _predict(exam, scored, refused, cautions, model, options, began, against)
        return add_density(made, model.density, refused, cautions, options.complete_views)

    age_added = _age_log_odds(model, age)
    alone = images_alone(images, age_added)
    # An age that the headers do not state is clinical data too. It must not make an exam low: the
    # images must be low without an age, and at the age of the headers.
    by_header = images_alone(images, (age_added or 0.0) - (_age_log_odds(model, header_age) or 0.0))
    against: tuple[str, ...] = ()
    if alone and by_header and clinical is not None and age != header_age:
        both = (triage(scores.malignant, model.card) for scores in (alone, by_header))
        against = reasons_of_images(*both)
    prediction = replace(
        predicted(images, against),
        clinical=beside.items,
        risk=state_risk(beside.items) if options.risk else None,
    )
    if prediction.scores is None or alone is None:
        return prediction
    if age_added is not None:
        prediction = replace(prediction, age_odds_factor=math.exp(age_added))
    if options.fusion is None:
        return prediction
    fusing = Fusing(options.fusion, model.card, beside.items, age_added, alone)
    return fuse_exam(prediction, fusing, images, predicted)


def _predict(
    exam: Exam,
    images: tuple[ImagePrediction, ...],
    refused: Sequence[Unreadable],
    cautions: Sequence[Caution],
    model: ModelPackage,
    options: AnalysisOptions,
    began: float,
    against_low: Sequence[str],
) -> Prediction:
    prevalence = options.prevalence or model.card.prior_malignant
    breasts = pool_breasts(images)
    scores = pool_exam(breast.scores for breast in breasts) if breasts else None
    category = triage(scores.malignant, model.card) if scores else TriageCategory.FAILED
    notes = tuple(cautions)
    if scores is None:
        notes += (Caution("exam_failed", "nothing could be analysed: the result is unknown"),)
    elif unvalidated := _unvalidated(images):
        notes += (Caution("not_validated", f"the model was not validated for this: {unvalidated}"),)
    if category is TriageCategory.LOW and (
        reasons := (
            *reasons_against_low(images, refused, cautions, options.complete_views),
            *against_low,
        )
    ):
        category = TriageCategory.INTERMEDIATE
        notes += (Caution("low_withheld", f"not called low, because {'; '.join(reasons)}"),)
    elif category is TriageCategory.LOW and (absent := complete_without(images)):
        words = f"called complete without {absent}, by the settings or by a coded diagnosis"
        notes += (Caution("complete_without", words),)

    def restated(given: Scores) -> Scores:
        return restate_scores(given, model.card, prevalence)

    return Prediction(
        patient_id=exam.patient_id,
        study_instance_uid=exam.study_instance_uid,
        category=category,
        scores=restated(scores) if scores else None,
        breasts=tuple(replace(breast, scores=restated(breast.scores)) for breast in breasts),
        images=tuple(replace(image, scores=restated(image.scores)) for image in images),
        unreadable=tuple(refused),
        cautions=notes,
        model=model.model_id,
        prevalence=prevalence,
        elapsed_s=time.monotonic() - began,
        quality=compare_views(
            [((i.ref.laterality, i.ref.view_position), i.quality) for i in images if i.quality],
            options.complete_views,
        ),
    )


def _unvalidated(images: Sequence[ImagePrediction]) -> str:
    """Name the kinds of images on which the model was not validated; empty if there are none."""
    found = {
        c.message.removeprefix("the model was not validated for ")
        for image in images
        for c in image.cautions
        if c.name in _NOT_VALIDATED
    }
    return "; ".join(sorted(found))


def _score_images(
    kept: Sequence[_Kept],
    model: ModelPackage,
    age_years: float | None,
    options: AnalysisOptions,
) -> tuple[ImagePrediction, ...]:
    raw = score_prepared(model, [view for _, view, _ in kept], density=True)
    probabilities = regard_age(raw.probabilities, model.card, age_years)
    level = model.card.finding_level.level
    images = []
    for row, (mammogram, view, quality) in enumerate(kept):
        images.append(
            ImagePrediction(
                ref=view.ref,
                header=mammogram.header,
                scores=pool_breast(probabilities[row]),
                findings=locate(view, raw.malignancy_map[row], level),
                geometry=view.geometry,
                malignancy_map=np.copy(raw.malignancy_map[row]),
                tumour_map=np.copy(raw.tumour_map[row]),
                map_level=level,
                display=display_of(mammogram, view) if options.display else None,
                cautions=view.cautions,
                photometric=view.photometric,
                voi=view.voi,
                measures=picture_measures(view),
                quality=quality,
                density=image_density(raw.density, row),
            )
        )
    return tuple(images)


def _model_doubts(model: ModelPackage) -> list[Caution]:
    """Doubt a model that was trained only on synthetic pictures: its exams are never low."""
    learned = [dataset.name for dataset in model.card.training.datasets]
    if not learned or not all(synthetic_warnings([name]) for name in learned):
        return []
    text = "the model learned from synthetic pictures alone: its scores mean nothing clinically"
    return [Caution("synthetic_model", text, doubt=True)]


def _age_log_odds(model: ModelPackage, age_years: float | None) -> float | None:
    prior = model.card.calibration.age
    return prior.log_odds(age_years) if prior else None


def _age_cautions(model: ModelPackage, age_years: float | None) -> list[Caution]:
    prior = model.card.calibration.age
    if prior is None or _age_log_odds(model, age_years) is not None:
        return []
    text = f"no usable age: scores stand for a patient of {prior.centre_years:.0f} years"
    return [Caution("age_unknown", text)]


def _unscored(mammogram: Mammogram, error: InputError | ModelError) -> Unreadable:
    source = Source(mammogram.ref, mammogram.header)
    return Unreadable.of(error, mammogram.ref.path, source, ObjectKind.MAMMOGRAM)


def _check_time(began: float, options: AnalysisOptions) -> None:
    if time.monotonic() - began > options.time_limit_s:
        raise ModelError(
            f"the time limit of {options.time_limit_s:g} s for an exam has passed",
            remedy="Raise --time-limit",
        )
