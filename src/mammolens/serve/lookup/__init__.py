"""Where is accession 4711: exams found by whose they are, and everything known of one of them."""

from __future__ import annotations

from mammolens.serve.lookup.search import ExamAnswer, ExamReport, look_up, report_exam
from mammolens.serve.lookup.words import say_exams, say_report

__all__ = ["ExamAnswer", "ExamReport", "look_up", "report_exam", "say_exams", "say_report"]
