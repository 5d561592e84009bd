"""What a run can say to items of reporting checklists; used by TRIPOD+AI and CLAIM alike."""

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
        f"Evaluation of {known.model} on mammograms; outcome: malignancy. Neither the target "
        "population nor the model's method is known to the run.",
        "summary",
    )


def summary(_: Known) -> Answer:
    """Abstract."""
    return Answer("A summary of methods and results in words; no conclusions.", "summary")


def evaluation_only(known: Known) -> Answer:
    """Whether it is development or evaluation."""
    if known.metrics.get("folds"):
        return Answer("A recipe is trained and judged by cross-validation.", "runs")
    return Answer("Evaluation of a finished model; nothing is trained by this run.", "methods")


def sources(known: Known) -> Answer:
    """Data."""
    return Answer(
        f"Evaluation data: {', '.join(known.datasets)}, {known.metrics['n_rows']} images; their "
        "origin, dates and representativeness are not known to the run, nor are the development "
        "data.",
        "data",
    )


def preparation(known: Known) -> Answer | None:
    """Preprocessing and quality checks."""
    if not known.packaged:
        return None
    return Answer(
        f"Images are prepared as the card of {known.model} says; {known.metrics['n_unreadable']} "
        "could not be read, and are named. Any processing before that is not known.",
        "data",
    )


def outcome(_: Known) -> Answer:
    """Reference standard, as far as a table tells it."""
    return Answer(
        "Malignant, and tumour of any kind, as the table labels each image; how the labels were "
        "made is not known to the run.",
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
        "An unknown label leaves its row out of the task and is never taken for negative; "
        f"{known.metrics['n_unreadable']} unreadable images have no score and are counted. What "
        "was left out before the table was made is not known.",
        "methods",
    )


def used_rows(known: Known) -> Answer | None:
    """Partition of the data."""
    split = known.metrics.get("split")
    if not split:
        return None
    return Answer(f"Rows of the split “{split}” only; its digest is given.", "data")


def per_dataset_methods(known: Known) -> Answer | None:
    """Clusters: how they are treated."""
    if len(known.datasets) < 2:
        return None
    return Answer(
        "Every figure is given for each data set as well; hospitals within one are not known.",
        "methods",
    )


def per_dataset_results(known: Known) -> Answer | None:
    """Clusters: what was found."""
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
        f"95 % intervals from {draws:,} resamples of patients stand with every figure.",
        "methods",
        whole=True,
    )


def recalibration_methods(_: Known) -> Answer:
    """Model updating: how."""
    return Answer("Recalibration and how its effect is measured.", "recalibration", whole=True)


def recalibration_results(known: Known) -> Answer | None:
    """Model updating: what came of it, where it could be fitted."""
    parts = [
        one.get("calibration", {}).get("recalibration") or {}
        for one in known.metrics["datasets"].values()
    ]
    if not any("before" in found for units in parts for found in units.values()):
        return None
    return Answer("Figures before and after recalibration.", "recalibration", whole=True)


def code(known: Known) -> Answer | None:
    """How predictions were computed."""
    if not known.packaged:
        return None
    return Answer(
        f"{known.metrics['software']} (command evaluate) with {known.model}, by its digest.",
        "methods",
        whole=True,
    )


def software(known: Known) -> Answer:
    """Software."""
    return Answer(
        f"{known.metrics['software']}; libraries used in training are not known to the run.",
        "methods",
    )


def counts(_: Known) -> Answer:
    """Numbers in each analysis."""
    return Answer(
        "Numbers of both classes stand with every figure here; those of the development are not "
        "known to the run.",
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
        "Figures by subgroup with tested gaps; no threshold is changed for a group.", "subgroups"
    )


def subgroups(_: Known) -> Answer:
    """Subgroups, of which characteristics are known."""
    return Answer(
        "Numbers of images and patients by the characteristics that the table holds.", "subgroups"
    )


def model_output(known: Known) -> Answer | None:
    """Output and thresholds."""
    if not known.packaged:
        return None
    return Answer(
        "Calibrated probabilities of normal, benign and malignant; the thresholds and what they "
        "reach here. Why they were chosen stands in the model's card.",
        "operating-points",
    )


def numbers(_: Known) -> Answer:
    """Flow of participants."""
    return Answer(
        "Images, breasts and patients with and without the outcome, left out and unreadable; "
        "what happened before the table was made is not known.",
        "data",
    )


def model_identity(known: Known) -> Answer | None:
    """Specification of the model."""
    if not known.packaged:
        return None
    return Answer(
        f"{known.model}, SHA-256 {str(known.metrics['model']['digest'])[:16]}…: its package holds "
        "graph and card. Restrictions of access and use are the authors' to state.",
        "methods",
    )


def performance(known: Known) -> Answer:
    """Performance, whole if subgroups are among it."""
    audited = "subgroups" in known.places
    return Answer(
        "Figures with intervals per data set, task and unit"
        + (", and for subgroups." if audited else "; no subgroup was looked at."),
        "discrimination",
        whole=audited,
    )


def limits_known(_: Known) -> Answer:
    """Limitations."""
    return Answer("Those that the run can see; all others are the authors' to name.", "notes")


def reading_of_poor_input(_: Known) -> Answer:
    """Poor input."""
    return Answer(
        "An image that cannot be read is named, gets no score and is never called negative.",
        "methods",
    )


def robustness(_: Known) -> Answer:
    """Robustness."""
    return Answer("What changes when pictures are altered.", "robustness", whole=True)


def explanations(_: Known) -> Answer:
    """Explainability."""
    return Answer(
        "Grad-CAM maps and boxes, measured against marked lesions.", "localisation", whole=True
    )


def failures(_: Known) -> Answer:
    """Failure analysis."""
    return Answer(
        "The lowest-scored cancers and the highest-scored images without cancer are shown; why "
        "they failed is the authors' to say.",
        "cases",
    )
