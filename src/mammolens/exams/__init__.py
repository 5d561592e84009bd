"""Images → exams: grouping by headers alone, then decoding, de-duplication and view checks.

`plan_exams` looks at headers only and is light; `load_exam` decodes one plan. Two patients are
never mixed, and what was refused stays with the exam that it belongs to.
"""

from mammolens.exams.identity import identity_cautions, identity_of, is_placeholder
from mammolens.exams.load import load_exam
from mammolens.exams.plan import SEVERAL_PATIENTS, ExamPlan, plan_exams
from mammolens.exams.views import STANDARD_VIEWS, View, parse_views

__all__ = [
    "SEVERAL_PATIENTS",
    "STANDARD_VIEWS",
    "ExamPlan",
    "View",
    "identity_cautions",
    "identity_of",
    "is_placeholder",
    "load_exam",
    "parse_views",
    "plan_exams",
]
