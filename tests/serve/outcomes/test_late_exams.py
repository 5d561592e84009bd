"""A report that comes before its exam: its outcome is linked when the exam is here."""

from __future__ import annotations

import json
import threading

import pytest

from mammolens.serve.outcomes import linking_late_exams
from mammolens.serve.outcomes.late_exams import LateExams, link_late_exams
from mammolens.serve.record import AUDIT, OUTCOMES, OutcomeState, ensure_site

from ..conftest import wait_for
from .conftest import INVASIVE, message


def standing(rows):
    return [(row.state, row.exam_id) for row in rows(OUTCOMES)]


def test_an_exam_that_comes_later_is_linked_without_another_report(state, add_exam, take, rows):
    take(message())
    take(message(INVASIVE, patient="P2", report="PATH-2"))
    link_late_exams(state, LateExams())
    assert standing(rows) == [("settled", None), ("settled", None)]
    stop = threading.Event()
    with linking_late_exams(state, stop):
        first, second = add_exam(), add_exam(patient="P2")
        wait_for(lambda: standing(rows) == [("settled", first), ("waiting", second)])
    (noted,) = [row for row in rows(AUDIT) if row.action == "pathology_linked"][:1]
    assert "P1" not in f"{noted.actor} {noted.detail}"


def test_the_same_rules_hold_as_for_an_exam_that_was_there(state, database, add_exam, take, rows):
    """Another site, another time, another birth date and two exams are not guessed."""
    take(message())
    seen = LateExams()
    with database.write() as connection:
        south = ensure_site(database, connection, "south")
    add_exam(site_id=south)
    add_exam(day="2020-01-10")
    link_late_exams(state, seen)
    assert standing(rows) == [("settled", None)]
    first, second = add_exam(day="2026-01-10"), add_exam(day="2026-01-12")
    link_late_exams(state, seen)
    (row,) = rows(OUTCOMES)
    assert (row.state, json.loads(row.reasons)) == ("waiting", [["several_exams", ""]])
    assert json.loads(row.candidates) == [first, second]


def test_an_accession_number_of_an_exam_without_patient_waits(state, add_exam, take, rows):
    take(message(patient="", accession="A7"))
    exam = add_exam(accession_number="A7")
    link_late_exams(state, LateExams())
    (row,) = rows(OUTCOMES)
    assert (row.state, json.loads(row.candidates)) == ("waiting", [exam])


def test_a_decision_that_there_is_no_exam_stands(state, database, add_exam, take, rows):
    take(message())
    with database.write() as connection:
        decided = json.dumps({"outcome": "benign", "laterality": "R"})
        values = {"state": OutcomeState.DECIDED.value, "decided": decided}
        connection.execute(OUTCOMES.update().values(values))
    add_exam()
    link_late_exams(state, LateExams())
    assert standing(rows) == [("decided", None)]


def test_reports_are_read_again_only_for_new_exams(state, add_exam, take, rows, monkeypatch):
    take(message())
    add_exam(day="2020-01-10")
    seen, again = LateExams(), []
    link_late_exams(state, seen)
    monkeypatch.setattr(
        "mammolens.serve.outcomes.late_exams.link_again", lambda *given: again.append(given)
    )
    seen.looked_at -= 3600  # a look without a new exam
    link_late_exams(state, seen)
    add_exam(patient="P9")
    link_late_exams(state, seen)
    assert again == []
    assert standing(rows) == [("settled", None)]


@pytest.mark.usefixtures("take")
def test_nothing_to_link_changes_nothing(state, add_exam, rows):
    add_exam()
    link_late_exams(state, LateExams())
    assert rows(OUTCOMES) == []
    assert [row for row in rows(AUDIT) if row.action == "pathology_linked"] == []
