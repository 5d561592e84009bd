"""Where is accession 4711: exams found by whose they are, and everything known of one of them."""

from __future__ import annotations

from mammolens.serve.lookup.exams import ExamAnswer, ExamRow, ExamState, look_up
from mammolens.serve.lookup.report import ExamReport, report_exam
from mammolens.serve.lookup.words import say_exams, say_report

__all__ = [
    "ExamAnswer",
    "ExamReport",
    "ExamRow",
    "ExamState",
    "look_up",
    "report_exam",
    "say_exams",
    "say_report",
]
