"""Search for exams by patient, accession number or study; a report of all facts about one."""

from __future__ import annotations

from mammolens.serve.lookup.exams import ExamRow, ExamState, look_up
from mammolens.serve.lookup.report import report_exam
from mammolens.serve.lookup.text import exam_lines, report_lines

__all__ = [
    "ExamRow",
    "ExamState",
    "exam_lines",
    "look_up",
    "report_exam",
    "report_lines",
]
