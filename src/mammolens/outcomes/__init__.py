"""The medical audit of a site: exams as they were read, set against what pathology found later.

`exams` reads the readers' table, `results` the outcomes of patients, `linking` joins them and
decides which exams have a known truth, `figures` computes shares with intervals, `audit` puts them
together, `fairness` watches subgroups over time, and `files` writes them. An outcome that is not
known never counts as "no cancer".
"""

from __future__ import annotations

from mammolens.outcomes.audit import AXES, SCHEMA, Audit, Settings, audit_exams
from mammolens.outcomes.editions import CRITERIA, DEFAULT, EDITIONS
from mammolens.outcomes.exams import AiAnswer, Exam, read_ai, read_exams
from mammolens.outcomes.fairness import FairnessSettings, fairness_over_time
from mammolens.outcomes.figures import FIGURES, PAIRED
from mammolens.outcomes.files import FAIRNESS_FILE, FILE, write_audit, write_fairness
from mammolens.outcomes.linking import Case, Linked, Reason, link
from mammolens.outcomes.results import COLUMNS, Finding, Outcome, read_outcomes

__all__ = [
    "AXES",
    "COLUMNS",
    "CRITERIA",
    "DEFAULT",
    "EDITIONS",
    "FAIRNESS_FILE",
    "FIGURES",
    "FILE",
    "PAIRED",
    "SCHEMA",
    "AiAnswer",
    "Audit",
    "Case",
    "Exam",
    "FairnessSettings",
    "Finding",
    "Linked",
    "Outcome",
    "Reason",
    "Settings",
    "audit_exams",
    "fairness_over_time",
    "link",
    "read_ai",
    "read_exams",
    "read_outcomes",
    "write_audit",
    "write_fairness",
]
