"""The items of TRIPOD+AI, the checklist for studies of prediction models: 27, or 52 with parts."""

from __future__ import annotations

from typing import Final

from mammolens.bench.report import checklist_answers as answers
from mammolens.bench.report.checklist import Checklist, Item

__all__ = ["TRIPOD_AI"]

TRIPOD_AI: Final = Checklist(
    "TRIPOD+AI",
    "Collins et al. 2024, TRIPOD+AI statement, BMJ 385:e078378.",
    "https://doi.org/10.1136/bmj-2023-078378",
    (
        Item("1", "Title", "Name development or evaluation, population and outcome", answers.title),
        Item("2", "Abstract", "A structured abstract (TRIPOD+AI for Abstracts)", answers.summary),
        Item("3a", "Background", "Clinical context, rationale and existing models"),
        Item("3b", "Background", "Target population, purpose in the care pathway, users"),
        Item("3c", "Background", "Known health inequalities between groups"),
        Item("4", "Objectives", "Aims; development, evaluation or both", answers.evaluation_only),
        Item(
            "5a", "Data", "Sources of each data set, reasons, representativeness", answers.sources
        ),
        Item("5b", "Data", "Dates of accrual and of the end of follow-up"),
        Item("6a", "Participants", "Setting, number and place of centres"),
        Item("6b", "Participants", "Eligibility criteria"),
        Item("6c", "Participants", "Treatments received and how they were handled"),
        Item(
            "7",
            "Data preparation",
            "Preprocessing and quality checks, by group",
            answers.preparation,
        ),
        Item("8a", "Outcome", "Definition, horizon, how and when assessed, why", answers.outcome),
        Item("8b", "Outcome", "Who assessed it, where judgement is needed"),
        Item("8c", "Outcome", "Blinding of its assessment"),
        Item("9a", "Predictors", "How the first set of predictors was chosen", studies="D"),
        Item("9b", "Predictors", "Definition, measurement and blinding", answers.predictors),
        Item("9c", "Predictors", "Who assessed them, where judgement is needed"),
        Item("10", "Sample size", "How the size was chosen and why it is enough"),
        Item(
            "11",
            "Missing data",
            "How it was handled; what was omitted",
            answers.handling_of_missing,
        ),
        Item("12a", "Analysis", "How data were used and partitioned", answers.used_rows, "D"),
        Item("12b", "Analysis", "How predictors entered: form, scale", studies="D"),
        Item("12c", "Analysis", "Kind of model, steps, tuning, internal validation", studies="D"),
        Item(
            "12d",
            "Analysis",
            "Differences between clusters, how handled",
            answers.per_dataset_methods,
        ),
        Item("12e", "Analysis", "Measures and plots of performance, and why", answers.measures),
        Item("12f", "Analysis", "Model updating as a result", answers.recalibration_methods, "E"),
        Item("12g", "Analysis", "How the predictions were computed", answers.code, "E"),
        Item("13", "Class imbalance", "Methods used against it, and recalibration after"),
        Item("14", "Fairness", "Approaches to fairness and why", answers.fairness),
        Item(
            "15",
            "Model output",
            "Output; classes and thresholds",
            answers.model_output,
            "D",
        ),
        Item("16", "Training versus evaluation", "Differences between the two sets of data"),
        Item("17", "Ethical approval", "Approval, consent or its waiver"),
        Item("18a", "Funding", "Sources, and the role of funders"),
        Item("18b", "Conflicts of interest", "Those of all authors"),
        Item("18c", "Protocol", "Where it is, or that there is none"),
        Item("18d", "Registration", "Register and number, or that there is none"),
        Item("18e", "Data sharing", "Availability of the data"),
        Item("18f", "Code sharing", "Availability of the analytical code", answers.software),
        Item("19", "Patient and public involvement", "In the study, or that there was none"),
        Item("20a", "Participants", "Flow, with and without the outcome", answers.numbers),
        Item("20b", "Participants", "Characteristics by source and group", answers.subgroups),
        Item("20c", "Participants", "Predictors compared with development data", studies="E"),
        Item("21", "Model development", "Participants and events in each analysis", answers.counts),
        Item(
            "22",
            "Model specification",
            "The whole model, so that others can use and test it",
            answers.model_identity,
            "D",
        ),
        Item("23a", "Model performance", "Estimates, intervals, subgroups", answers.performance),
        Item("23b", "Model performance", "Differences by cluster", answers.per_dataset_results),
        Item("24", "Model updating", "Results of any updating", answers.recalibration_results, "E"),
        Item("25", "Interpretation", "Meaning, fairness, comparison with earlier studies"),
        Item("26", "Limitations", "Limits and their effect on the results", answers.limits_known),
        Item(
            "27a",
            "Usability",
            "How to judge poor or missing input",
            answers.reading_of_poor_input,
            "D",
        ),
        Item("27b", "Usability", "What users must do, and what they must know", studies="D"),
        Item("27c", "Usability", "Next steps towards application and wider validity"),
    ),
)
