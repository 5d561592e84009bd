"""Exams found by patient, accession number or study, and everything known of one of them."""

from __future__ import annotations

from mammolens.serve.lookup.exams import ExamAnswer, ExamRow, ExamState, look_up
from mammolens.serve.lookup.report import ExamReport, report_exam
from mammolens.serve.lookup.text import say_exams, say_report

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
