"""To which exam a report belongs; what can be read twice goes to a person."""

from __future__ import annotations

from datetime import date

import pytest

from mammolens.outcomes.report_links import ExamLink, KnownExam, LinkDoubt, Sender, link_report

BORN = date(1960, 2, 3)
FIRST = KnownExam(1, "P1", "ACC1", BORN, date(2024, 1, 10))
SECOND = KnownExam(2, "P1", "ACC2", BORN, date(2026, 1, 10))
AGAIN = KnownExam(3, "P1", "ACC3", BORN, date(2026, 2, 1))
FOREIGN = KnownExam(9, "P9", "ACC9", BORN, date(2026, 1, 12))
UNDATED = KnownExam(4, "P1", None, BORN, None)


def about(**changes):
    said = {"patient_id": "P1", "accession_number": "PATH-7", "birth_date": BORN}
    return Sender(**said | {"taken": date(2026, 1, 20)} | changes)


@pytest.mark.parametrize(
    ("sender", "exams", "exam_id", "doubt"),
    [
        (about(), [FIRST, SECOND], 2, None),
        (about(accession_number="ACC1"), [FIRST, SECOND], 1, None),
        (about(taken=date(2026, 3, 1)), [SECOND, AGAIN], None, LinkDoubt.SEVERAL_EXAMS),
        (about(birth_date=date(1961, 2, 3)), [SECOND], None, LinkDoubt.BIRTH_DATE),
        (about(accession_number="ACC9"), [SECOND, FOREIGN], None, LinkDoubt.OTHER_PATIENT),
        (about(patient_id=None, accession_number="ACC2"), [SECOND], None, LinkDoubt.NO_PATIENT),
        (about(taken=None), [SECOND], None, LinkDoubt.NO_DATE),
        (about(), [SECOND, UNDATED], None, LinkDoubt.NO_EXAM_DATE),
        (about(taken=date(2023, 1, 1)), [FIRST, SECOND], None, None),
        (about(taken=date(2027, 1, 11)), [SECOND], None, None),
        (about(), [], None, None),
    ],
)
def test_a_report_is_linked_only_where_it_cannot_be_read_twice(sender, exams, exam_id, doubt):
    found = link_report(sender, exams)
    assert (found.exam_id, found.doubt) == (exam_id, doubt)
    assert bool(found.candidates) is (doubt is not None)


def test_without_an_exam_nobody_is_asked():
    assert link_report(about(patient_id="P2"), []) == ExamLink()
