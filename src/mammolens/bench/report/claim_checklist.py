"""The items of CLAIM 2024, the checklist for artificial intelligence in medical imaging: 44."""

from __future__ import annotations

from typing import Final

from mammolens.bench.report import checklist_answers as answers
from mammolens.bench.report.checklist import Checklist, Item

__all__ = ["CLAIM"]

CLAIM: Final = Checklist(
    "CLAIM 2024",
    "Tejani et al. 2024, CLAIM: 2024 update, Radiology: Artificial Intelligence 6(4):e240300.",
    "https://doi.org/10.1148/ryai.240300",
    (
        Item("1", "Title", "That it is a study of AI, and its kind", answers.title),
        Item("2", "Abstract", "Design, methods, results and conclusions", answers.summary),
        Item("3", "Introduction", "Background, intended use and role"),
        Item("4", "Introduction", "Aims and hypotheses"),
        Item("5", "Study design", "Prospective or retrospective"),
        Item("6", "Study design", "Goal of the study", answers.evaluation_only),
        Item("7", "Data", "Sources", answers.sources),
        Item("8", "Data", "Inclusion and exclusion"),
        Item("9", "Data", "Preprocessing", answers.preparation),
        Item("10", "Data", "Selection of parts of the data", answers.used_rows),
        Item("11", "Data", "De-identification"),
        Item("12", "Data", "Missing data", answers.handling_of_missing),
        Item("13", "Data", "Acquisition of the images"),
        Item("14", "Reference standard", "How it was obtained", answers.outcome),
        Item("15", "Reference standard", "Why it was chosen"),
        Item("16", "Reference standard", "Where annotations come from"),
        Item("17", "Reference standard", "Annotation of the test set"),
        Item("18", "Reference standard", "Variability within and between raters"),
        Item("19", "Partitions", "How data were assigned to them"),
        Item("20", "Partitions", "At which level they are disjoint"),
        Item("21", "Testing data", "Intended sample size"),
        Item("22", "Model", "Detailed description", answers.model_identity),
        Item("23", "Model", "Software and libraries", answers.software),
        Item("24", "Model", "How parameters were initialised"),
        Item("25", "Training", "Approach to training"),
        Item("26", "Training", "How the final model was chosen"),
        Item("27", "Training", "Ensembles"),
        Item("28", "Evaluation", "Measures of performance", answers.measures),
        Item("29", "Evaluation", "Significance and uncertainty", answers.uncertainty),
        Item("30", "Evaluation", "Robustness or sensitivity analysis", answers.robustness),
        Item("31", "Evaluation", "Explainability or interpretability", answers.explanations),
        Item("32", "Evaluation", "Evaluation on internal data"),
        Item("33", "Evaluation", "Testing on external data"),
        Item("34", "Evaluation", "Registration of a clinical trial"),
        Item("35", "Results: data", "Numbers included and excluded", answers.numbers),
        Item("36", "Results: data", "Characteristics in each partition", answers.subgroups),
        Item("37", "Results: performance", "Measures with their uncertainty", answers.performance),
        Item("38", "Results: performance", "Diagnostic performance, precision", answers.diagnostic),
        Item("39", "Results: performance", "Analysis of wrong classifications", answers.failures),
        Item("40", "Discussion", "Limitations", answers.limits_known),
        Item("41", "Discussion", "Implications, use and role"),
        Item("42", "Other", "Protocol or further technical details"),
        Item("43", "Other", "Availability of software, model and data"),
        Item("44", "Other", "Funding and the role of funders"),
    ),
)
