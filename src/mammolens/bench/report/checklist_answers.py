"""Answers that a run gives to items of the reporting checklists TRIPOD+AI and CLAIM.

Each function takes the facts of a run and returns an answer, or ``None`` if the run has none.
"""

from __future__ import annotations

from mammolens.bench.report.checklist import Answer, Known

__all__ = [
    "code",
    "counts",
    "diagnostic",
    "evaluation_only",
    "explanations",
    "failures",
    "fairness",
    "handling_of_missing",
    "limits_known",
    "measures",
    "model_identity",
    "model_output",
    "numbers",
    "outcome",
    "per_dataset_methods",
    "per_dataset_results",
    "performance",
    "predictors",
    "preparation",
    "reading_of_poor_input",
    "recalibration_methods",
    "recalibration_results",
    "robustness",
    "software",
    "sources",
    "subgroups",
    "summary",
    "title",
    "uncertainty",
    "used_rows",
]


def title(known: Known) -> Answer:
    """Name of the study."""
    return Answer(
        f"Evaluation of {known.model} on mammograms; outcome: malignancy. The run does not know "
        "the target population and the model's method.",
        "summary",
    )


def summary(_: Known) -> Answer:
    """Abstract."""
    return Answer("A summary of methods and results in words; no conclusions.", "summary")


def evaluation_only(known: Known) -> Answer:
    """Development or evaluation."""
    if known.metrics.get("folds"):
        return Answer("A recipe is trained and evaluated by cross-validation.", "runs")
    return Answer("Evaluation of a finished model; this run trains nothing.", "methods")


def sources(known: Known) -> Answer:
    """Data."""
    return Answer(
        f"Evaluation data: {', '.join(known.datasets)}, {known.metrics['n_rows']} images. The run "
        "does not know their origin, dates and representativeness, nor the development data.",
        "data",
    )


def preparation(known: Known) -> Answer | None:
    """Preprocessing and quality checks."""
    if not known.packaged:
        return None
    return Answer(
        f"Images are prepared as the card of {known.model} says; {known.metrics['n_unreadable']} "
        "could not be read and are listed. Earlier processing is not known.",
        "data",
    )


def outcome(_: Known) -> Answer:
    """Reference standard, as far as the table gives it."""
    return Answer(
        "Malignant, and tumour of any kind, as the table labels each image; the run does not know "
        "how the labels were made.",
        "methods",
    )


def predictors(known: Known) -> Answer | None:
    """Input of the model."""
    if not known.packaged:
        return None
    aged = "without_age" in known.metrics
    return Answer(
        "The pixels of each image"
        + (", and the patient's age where it is known." if aged else "."),
        "methods",
    )


def handling_of_missing(known: Known) -> Answer:
    """Missing data."""
    return Answer(
        "A row with an unknown label is left out of the task and never counts as negative; "
        f"{known.metrics['n_unreadable']} unreadable images have no score and are counted. Images "
        "that were left out before the table was made are not known.",
        "methods",
    )


def used_rows(known: Known) -> Answer | None:
    """Partition of the data."""
    split = known.metrics.get("split")
    if not split:
        return None
    return Answer(f"Rows of the split “{split}” only; its digest is given.", "data")


def per_dataset_methods(known: Known) -> Answer | None:
    """Treatment of clusters."""
    if len(known.datasets) < 2:
        return None
    return Answer(
        "Every figure is also given for each data set; hospitals within a data set are not known.",
        "methods",
    )


def per_dataset_results(known: Known) -> Answer | None:
    """Results by cluster."""
    if len(known.datasets) < 2:
        return None
    return Answer("Figures for each data set, with intervals.", "discrimination", whole=True)


def measures(_: Known) -> Answer:
    """Measures of performance."""
    return Answer("All measures, their units and their plots.", "methods", whole=True)


def uncertainty(known: Known) -> Answer:
    """Intervals."""
    draws = known.metrics["bootstrap"]["draws"]
    return Answer(
        f"Every figure has a 95 % interval from {draws:,} resamples of patients.",
        "methods",
        whole=True,
    )


def recalibration_methods(_: Known) -> Answer:
    """Methods of model updating."""
    return Answer("Recalibration and how its effect is measured.", "recalibration", whole=True)


def recalibration_results(known: Known) -> Answer | None:
    """Results of model updating, if it could be fitted."""
    parts = [
        one.get("calibration", {}).get("recalibration") or {}
        for one in known.metrics["datasets"].values()
    ]
    if not any("before" in found for units in parts for found in units.values()):
        return None
    return Answer("Figures before and after recalibration.", "recalibration", whole=True)


def code(known: Known) -> Answer | None:
    """Computation of the predictions."""
    if not known.packaged:
        return None
    return Answer(
        f"{known.metrics['software']} (command evaluate) with {known.model}; its digest is given.",
        "methods",
        whole=True,
    )


def software(known: Known) -> Answer:
    """Software."""
    return Answer(
        f"{known.metrics['software']}; the run does not know the libraries used in training.",
        "methods",
    )


def counts(_: Known) -> Answer:
    """Numbers in each analysis."""
    return Answer(
        "Every figure here has the numbers of both classes; the run does not know the numbers in "
        "the development.",
        "data",
    )


def diagnostic(_: Known) -> Answer:
    """Diagnostic performance."""
    return Answer(
        "Sensitivity, specificity and predictive values at fixed thresholds, with intervals.",
        "operating-points",
        whole=True,
    )


def fairness(_: Known) -> Answer:
    """Approach to fairness."""
    return Answer(
        "Figures by subgroup with tested gaps; thresholds are the same for all groups.", "subgroups"
    )


def subgroups(_: Known) -> Answer:
    """Characteristics of the subgroups."""
    return Answer(
        "Numbers of images and patients by the characteristics in the table.", "subgroups"
    )


def model_output(known: Known) -> Answer | None:
    """Output and thresholds."""
    if not known.packaged:
        return None
    return Answer(
        "Calibrated probabilities of normal, benign and malignant; the thresholds and their "
        "results here. The model's card gives the reasons for the thresholds.",
        "operating-points",
    )


def numbers(_: Known) -> Answer:
    """Flow of participants."""
    return Answer(
        "Images, breasts and patients with and without the outcome, left out and unreadable; "
        "the run does not know what happened before the table was made.",
        "data",
    )


def model_identity(known: Known) -> Answer | None:
    """Specification of the model."""
    if not known.packaged:
        return None
    return Answer(
        f"{known.model}, SHA-256 {str(known.metrics['model']['digest'])[:16]}…: its package has "
        "the graph and the card. The authors must state restrictions of access and use.",
        "methods",
    )


def performance(known: Known) -> Answer:
    """Performance; a whole answer only if subgroups were audited."""
    audited = "subgroups" in known.places
    return Answer(
        "Figures with intervals per data set, task and unit"
        + (", and for subgroups." if audited else "; no subgroup was examined."),
        "discrimination",
        whole=audited,
    )


def limits_known(_: Known) -> Answer:
    """Limitations."""
    return Answer("Limits that the run can detect; the authors must name all others.", "notes")


def reading_of_poor_input(_: Known) -> Answer:
    """Poor input."""
    return Answer(
        "An image that cannot be read is listed, gets no score and never counts as negative.",
        "methods",
    )


def robustness(_: Known) -> Answer:
    """Robustness."""
    return Answer("Changes of the scores when pictures are altered.", "robustness", whole=True)


def explanations(_: Known) -> Answer:
    """Explainability."""
    return Answer(
        "Grad-CAM maps and boxes, compared with marked lesions.", "localisation", whole=True
    )


def failures(_: Known) -> Answer:
    """Failure analysis."""
    return Answer(
        "The lowest-scored cancers and the highest-scored images without cancer are shown; the "
        "authors must explain the failures.",
        "cases",
    )
