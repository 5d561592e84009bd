"""Outcomes in the node: pathology reports come in, are linked to exams, decided and audited.

    message → reports → specimens → exam, or a person's queue → decision → audit of the site

`listener` takes messages over MLLP, `receiving` enters reports, `late_exams` links those that came
before their exam, `queue` is what people see and decide, `visibility` who may see an outcome, and
`audit` the figures of a site. Text of reports is encrypted where identities are, and is in no log
and in no row of the audit trail.
"""

from __future__ import annotations

from mammolens.serve.outcomes.audit import note_audit, outcomes_table, site_audit
from mammolens.serve.outcomes.late_exams import linking_late_exams
from mammolens.serve.outcomes.listener import receiving_reports
from mammolens.serve.outcomes.queue import (
    decide_outcome,
    exam_outcomes,
    list_outcomes,
    show_outcome,
)
from mammolens.serve.outcomes.receiving import Receipt, given_reports, receive_reports
from mammolens.serve.outcomes.records import (
    ExamOutcomes,
    OutcomeDetail,
    OutcomeRow,
    OutcomesPage,
)
from mammolens.serve.outcomes.shadow import compare_shadow

__all__ = [
    "ExamOutcomes",
    "OutcomeDetail",
    "OutcomeRow",
    "OutcomesPage",
    "Receipt",
    "compare_shadow",
    "decide_outcome",
    "exam_outcomes",
    "given_reports",
    "linking_late_exams",
    "list_outcomes",
    "note_audit",
    "outcomes_table",
    "receive_reports",
    "receiving_reports",
    "show_outcome",
    "site_audit",
]
