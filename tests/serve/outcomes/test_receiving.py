"""Reports come in: once, in any order, linked or queued; what a person decided stays."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from mammolens.errors import UnreadableReport
from mammolens.serve.holdings import open_state, retention
from mammolens.serve.holdings.rekey import rekey
from mammolens.serve.outcomes import outcomes_table, receive_reports
from mammolens.serve.outcomes.receiving import given_reports
from mammolens.serve.record import AUDIT, OUTCOMES, REPORTS, OutcomeState
from mammolens.serve.settings import NodeSettings

from .conftest import BENIGN, INVASIVE, NOW, message


def states(rows):
    return [row.state for row in rows(OUTCOMES)]


def reasons(row):
    return [code for code, _ in json.loads(row.reasons)]


def test_a_certain_benign_outcome_is_settled_with_its_exam(add_exam, take, rows):
    exam = add_exam()
    assert vars(take(message())) == {"new": 1, "repeated": 0, "waiting": 0}
    (row,) = rows(OUTCOMES)
    assert (row.state, row.exam_id, row.taken) == ("settled", exam, "2026-01-20")
    assert json.loads(row.proposed)["outcome"] == "benign"


def test_a_malignant_outcome_waits_for_a_person(add_exam, take, rows):
    add_exam()
    assert take(message(INVASIVE)).waiting == 1
    (row,) = rows(OUTCOMES)
    assert (row.state, reasons(row)) == ("waiting", ["malignant"])


def test_an_outcome_whose_choices_are_all_deleted_waits_no_more(add_exam, take, rows, database):
    """Nobody could see it any more, so its report would stay for ever."""
    one, other = add_exam(), add_exam(day="2026-01-12")
    assert take(message()).waiting == 1
    assert json.loads(rows(OUTCOMES)[0].candidates) == [one, other]
    with database.write() as connection:
        retention._delete_exam_rows(connection, [one])
    assert (json.loads(rows(OUTCOMES)[0].candidates), states(rows)) == ([other], ["waiting"])
    with database.write() as connection:
        retention._delete_exam_rows(connection, [other])
    assert (rows(OUTCOMES)[0].candidates, states(rows)) == ("[]", ["settled"])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Core biopsy: fibroadenoma. B2.", "laterality"),
        ("Left breast core biopsy: suspicious for DCIS.", "outcome"),
        ("Clinical details only.", "outcome"),
    ],
)
def test_what_is_unsure_waits(add_exam, take, rows, text, code):
    add_exam()
    take(message(text))
    (row,) = rows(OUTCOMES)
    assert row.state == "waiting"
    assert code in reasons(row)


def test_two_exams_or_another_birth_date_wait_with_their_candidates(add_exam, take, rows):
    first, second = add_exam(), add_exam(day="2026-01-15")
    take(message())
    (row,) = rows(OUTCOMES)
    assert (row.state, row.exam_id, reasons(row)) == ("waiting", None, ["several_exams"])
    assert json.loads(row.candidates) == [first, second]
    take(message(report="PATH-2", born="19610203"))
    assert reasons(rows(OUTCOMES)[1]) == ["birth_date"]


def test_a_patient_without_exams_here_asks_nobody(take, rows):
    take(message(INVASIVE))
    (row,) = rows(OUTCOMES)
    assert (row.state, row.exam_id) == ("settled", None)


def test_the_same_report_counts_once_also_in_another_message(add_exam, take, rows):
    add_exam()
    take(message())
    assert vars(take(message(control="C2"))) == {"new": 0, "repeated": 1, "waiting": 0}
    assert len(rows(REPORTS)) == len(rows(OUTCOMES)) == 1


def test_a_reused_control_id_loses_no_report(add_exam, take, rows):
    add_exam()
    take(message())
    assert take(message(INVASIVE, report="PATH-2")).new == 1
    assert len(rows(OUTCOMES)) == 2


def test_a_later_version_overrules_in_any_order(add_exam, take, rows):
    add_exam()
    take(message("Right breast core biopsy: DCIS.", status="C", issued="20260130"))
    take(message())
    (row,) = rows(OUTCOMES)
    assert json.loads(row.proposed)["outcome"] == "in_situ"


def test_a_withdrawn_report_stays_withdrawn(add_exam, take, rows):
    add_exam()
    take(message())
    take(message("", status="X", issued="20260130"))
    assert states(rows) == ["withdrawn"]
    take(message(control="C9"))
    assert states(rows) == ["withdrawn"]


def test_a_withdrawal_that_comes_first_counts(add_exam, take, rows):
    add_exam()
    take(message("", status="X", issued="20260130"))
    take(message())
    assert states(rows) == ["withdrawn"]


def test_a_contradicting_report_of_the_accession_makes_both_wait(add_exam, take, rows):
    add_exam()
    take(message("Right breast: fibroadenoma.", accession="S1"))
    take(message("Right breast: DCIS.", report="PATH-2", accession="S1"))
    assert states(rows) == ["waiting", "waiting"]
    assert all("doubt" in reasons(row) for row in rows(OUTCOMES))


def test_a_decision_stays_until_a_later_version_says_something_else(add_exam, take, rows, database):
    add_exam()
    take(message(INVASIVE))
    decided = json.dumps({"outcome": "invasive", "laterality": "L"})
    with database.write() as connection:
        values = {"state": OutcomeState.DECIDED.value, "decided": decided}
        connection.execute(OUTCOMES.update().values(values))
    take(message(INVASIVE + " Seen again.", status="C", issued="20260201"))
    assert states(rows) == ["decided"]
    take(message(BENIGN, status="C", issued="20260301"))
    (row,) = rows(OUTCOMES)
    assert (row.state, row.decided, reasons(row)) == ("waiting", decided, ["later_version"])


def test_one_bad_report_refuses_the_whole_message(take, rows):
    with pytest.raises(UnreadableReport, match="future"):
        take(message() + message(report="PATH-2", issued="20270101"))
    assert rows(REPORTS) == []


def test_no_text_reaches_the_trail_or_the_log(add_exam, take, rows, caplog):
    add_exam()
    with caplog.at_level("DEBUG"):
        take(message(INVASIVE))
    trail = " ".join(f"{row.actor} {row.action} {row.detail}" for row in rows(AUDIT))
    for words in ("carcinoma", "Doe", "P1", "PATH-1"):
        assert words not in trail + caplog.text


def test_the_table_of_outcomes_calls_what_waits_unsure(add_exam, take, database, site):
    add_exam()
    take(message(INVASIVE))
    with database.read() as connection:
        lines = outcomes_table(connection, site).splitlines()
    assert lines[1].startswith("P1,L,2026-01-20,unsure")


def test_reports_are_encrypted_where_identities_are_and_rekeyed(tmp_path):
    def settings(key, *old):
        hidden = {"key": key * 32, "old_keys": [one * 32 for one in old]}
        hidden["scratch"] = str(tmp_path)
        intake = {"min_free_mb": 0, "deidentify": hidden}
        return NodeSettings(data=tmp_path / "node", intake=intake)

    def stored(state):
        with state.database.read() as connection:
            return connection.execute(sa.select(REPORTS)).one()

    with open_state(settings("a")) as state:
        given = given_reports(message(INVASIVE).encode(), "test", NOW)
        assert receive_reports(state, given, "mllp:x", None).new == 1
        row = stored(state)
        assert b"carcinoma" not in row.body
        assert "P1" not in f"{row.key} {row.patient}"
    with open_state(settings("b", "a")) as state:
        assert rekey(state).reports == 1
        assert stored(state).body != row.body
    with open_state(settings("b")) as state:
        assert receive_reports(state, given, "mllp:x", None).repeated == 1
