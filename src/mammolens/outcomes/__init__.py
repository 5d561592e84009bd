"""The medical audit of a site: exams as they were read, set against what pathology found later.

`exams` reads the readers' table, `results` the outcomes of patients, `linking` joins them and
decides which exams have a known truth, `figures` computes shares with intervals, `audit` puts them
together, `fairness` watches subgroups over time, and `files` writes them. An outcome that is not
known never counts as "no cancer".

`report_links` says to which exam and place a pathology report belongs. `files` also writes labels,
and `proposals` gives exams to label next, and changes that a site could make, with their expected
effect.
"""

from __future__ import annotations

from mammolens.outcomes.audit import AXES, SCHEMA, Audit, Settings, audit_exams
from mammolens.outcomes.editions import CRITERIA, DEFAULT, EDITIONS, positive_rule
from mammolens.outcomes.exams import AiAnswer, Exam, read_ai, read_exams
from mammolens.outcomes.fairness import FairnessSettings, fairness_over_time
from mammolens.outcomes.figures import FIGURES, PAIRED, ai_rule
from mammolens.outcomes.files import (
    FAIRNESS_FILE,
    FAIRNESS_TABLE,
    FILE,
    write_audit,
    write_fairness,
    write_outcome_manifest,
)
from mammolens.outcomes.linking import Case, Linked, Reason, link
from mammolens.outcomes.proposals import Choice, choice_table, choose, compare_models, propose
from mammolens.outcomes.results import COLUMNS, Finding, Outcome, read_outcomes

__all__ = [
    "AXES",
    "COLUMNS",
    "CRITERIA",
    "DEFAULT",
    "EDITIONS",
    "FAIRNESS_FILE",
    "FAIRNESS_TABLE",
    "FIGURES",
    "FILE",
    "PAIRED",
    "SCHEMA",
    "AiAnswer",
    "Audit",
    "Case",
    "Choice",
    "Exam",
    "FairnessSettings",
    "Finding",
    "Linked",
    "Outcome",
    "Reason",
    "Settings",
    "ai_rule",
    "audit_exams",
    "choice_table",
    "choose",
    "compare_models",
    "fairness_over_time",
    "link",
    "positive_rule",
    "propose",
    "read_ai",
    "read_exams",
    "read_outcomes",
    "write_audit",
    "write_fairness",
    "write_outcome_manifest",
]
