"""Exams found by whose they are, in the state that is true of them, and told in full."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

from mammolens.errors import ConfigError, MissingAttribute
from mammolens.serve.delivery import deliver
from mammolens.serve.holdings import NodeState, open_state
from mammolens.serve.lookup import ExamState, exam_lines, look_up, report_exam, report_lines
from mammolens.serve.record import DELIVERIES, JOBS, PRIORS, RESULTS, WorkState
from mammolens.serve.settings import NodeSettings

from ..in_process import work_once

KEY = "a key of no less than 32 characters"


def study(number: int) -> dict[str, str]:
    return {
        "StudyInstanceUID": f"1.2.826.77.{number}",
        "PatientID": f"PID-{number}",
        "PatientName": f"Nobody^Number{number}",
        "AccessionNumber": f"{4710 + number}",
        "BurnedInAnnotation": "NO",
    }


@pytest.fixture
def send(send_views):
    """Give a function that lets a node receive views of a study, and gives its exam's number."""

    def send(state: NodeState, number: int, *views: int, **changes) -> int | None:
        for view in views:
            uid = f"1.2.826.77.{number}.{view}"
            values = study(number) | {"SOPInstanceUID": uid} | changes
            (receipt,) = send_views(state, [view], "dimse:MG1", **values)
        return receipt.exam_id

    return send


@pytest.fixture
def routed(state, tmp_path):
    """The state of a node that sends to one folder that is there and one that is not."""
    (tmp_path / "share").mkdir()
    routes = tuple(
        {"name": name, "to": str(tmp_path / name), "sinks": ["json"]} for name in ("share", "gone")
    )
    settings = NodeSettings(**state.settings.model_dump() | {"routes": routes})
    return replace(state, settings=settings)


def ids(answer) -> list[int]:
    return [row.id for row in answer.rows]


def test_an_exam_is_found_by_each_identifier_alone_and_together(state, send):
    exams = [send(state, number, 0, 1) for number in (1, 2, 3)]
    assert sorted(ids(look_up(state))) == exams
    for asked in (
        {"accession_number": "4712"},
        {"patient_id": "PID-2"},
        {"study_instance_uid": "1.2.826.77.2"},
        {"accession_number": " 4712 ", "patient_id": "PID-2"},
    ):
        assert ids(look_up(state, **asked)) == [exams[1]], asked
    assert ids(look_up(state, accession_number="4712", patient_id="PID-1")) == []
    assert ids(look_up(state, accession_number="471")) == []
    assert look_up(state).notes == ()


def test_the_newest_comes_first_and_the_rest_is_counted(state, send, clock):
    exams = []
    for number in (1, 2, 3):
        exams.append(send(state, number, 0))
        clock.turn(60)
    send(state, 1, 1)
    answer = look_up(state, limit=2)
    assert (ids(answer), answer.n_found) == ([exams[0], exams[2]], 3)
    assert exam_lines(answer)[-1] == "1 more: raise --limit, or ask more closely"
    assert exam_lines(look_up(state, patient_id="nobody")) == ["no exam fits"]


def test_the_table_is_a_table(state, send):
    send(state, 1, 0, 1, PatientID="=P\x1b[31m1")
    head, line = exam_lines(look_up(state))
    assert head.split()[:5] == ["ID", "STATE", "CATEGORY", "PATIENT", "ACCESSION"]
    assert line.index("waiting") == head.index("STATE")
    assert line.index("4711") == head.index("ACCESSION")
    assert "LCC RCC" in line
    assert line.isprintable()


def state_of(state, exam: int = 1) -> ExamState:
    (row,) = [row for row in look_up(state).rows if row.id == exam]
    for name in ExamState:
        found = exam in ids(look_up(state, exam_state=name.value))
        failed = name is ExamState.FAILED and row.category is not None
        assert found is (row.state is name) or (failed and row.category.value == "failed")
    return row.state


def change(node, table, **values) -> None:
    with node.database.write() as connection:
        connection.execute(table.update().values(**values))


def test_an_exam_is_in_every_state_in_its_turn(routed, send, clock, database):
    state, stop = routed, threading.Event()
    send(state, 1, 0, 1)
    assert state_of(state) is ExamState.WAITING
    with database.write() as connection:
        prior = {"study_instance_uid": "1.2.826.77.1", "asked_at": database.now(connection)}
        connection.execute(PRIORS.insert().values(**prior))
    assert state_of(state) is ExamState.PRIOR
    with database.write() as connection:
        connection.execute(PRIORS.delete())
    clock.turn(61)
    assert work_once(state) == 1
    assert state_of(state) is ExamState.DELIVERING
    held = {"finished_at": None, "token": "t", "lease_until": clock.now}
    change(state, JOBS, state=WorkState.RUNNING.value, **held)
    assert state_of(state) is ExamState.RUNNING
    free = {"finished_at": None, "token": None, "lease_until": None}
    change(state, JOBS, state=WorkState.QUEUED.value, **free)
    assert state_of(state) is ExamState.QUEUED
    ended = {"finished_at": clock.now, "token": None, "lease_until": None}
    change(state, JOBS, state=WorkState.DEAD.value, **ended)
    assert state_of(state) is ExamState.GIVEN_UP
    change(state, JOBS, state=WorkState.DONE.value, **ended)
    assert deliver(state, stop, once=True) == 1
    assert state_of(state) is ExamState.DELIVERING
    change(state, DELIVERIES, state=WorkState.DEAD.value, error="no", finished_at=clock.now)
    assert state_of(state) is ExamState.UNDELIVERED
    change(state, DELIVERIES, state=WorkState.DONE.value)
    assert state_of(state) is ExamState.DONE
    change(state, RESULTS, category="failed", malignancy=None, tumour=None)
    assert state_of(state) is ExamState.FAILED


def test_a_state_that_is_none_is_named(state):
    with pytest.raises(ConfigError, match=r"no state 'lost'.*undelivered"):
        look_up(state, exam_state="lost")


def test_the_story_of_an_exam_is_told_in_full(routed, send, clock):
    state = routed
    send(state, 1, 0, 1, 2, 3)
    raw = {"PresentationIntentType": "FOR PROCESSING"}
    send(state, 1, 4, SOPClassUID="1.2.840.10008.5.1.4.1.1.1.2.1", **raw)
    send(state, 1, 5, SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    send(state, 2, 5, SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    clock.turn(61)
    work_once(state)
    deliver(state, threading.Event(), once=True)
    report = report_exam(state, 1)
    said = "\n".join(report_lines(report))
    assert "exam 1: delivering, category" in said
    assert "patient PID-1, accession number 4711" in said
    for view in ("RCC", "LCC", "RMLO", "LMLO"):
        assert f"\n  {view}  1.2.826.77.1." in said
    assert "NotAMammogram: the image is FOR PROCESSING" in said
    assert said.count("MR Image Storage") == 1
    assert "not a mammogram by its SOP class" in said
    assert "share  json of result 1  done" in said
    assert "gone  json of result 1  queued" in said
    assert "last error: the folder is not there" in said
    assert "1.2.826.77.1.4  NotAMammogram: the image is FOR PROCESSING" in said
    assert "folder is not there" in said.partition("audit trail:")[2]
    assert "finished  category=" in said
    shown = json.loads(json.dumps(report.to_json()))
    assert shown["exam"]["deliveries"] == {"gone": {"queued": 1}, "share": {"done": 1}}
    assert [len(shown[part]) for part in ("instances", "passed_over", "results")] == [5, 1, 1]
    assert shown["not_analysed"][0]["object"] == "1.2.826.77.1.4"


def test_scores_are_not_told_without_their_prevalence(state, send, clock):
    send(state, 1, 0, 1, 2, 3)
    clock.turn(61)
    work_once(state)
    shown = json.dumps(report_exam(state, 1).to_json())
    assert "malignancy" not in shown
    assert "tumour" not in shown


def test_an_exam_that_is_not_there_is_named(state):
    with pytest.raises(ConfigError, match="there is no exam 7"):
        report_exam(state, 7)


def test_what_is_gone_from_the_store_is_left_out_and_the_rest_is_told(state, send, clock):
    send(state, 1, 0, 1, PresentationIntentType="FOR PROCESSING")
    clock.turn(61)
    work_once(state)
    for folder in (state.received.folder, state.results.folder):
        for path in folder.rglob("*"):
            if path.is_file():
                path.write_bytes(b"no longer")
    report = report_exam(state, 1)
    assert report.not_analysed is None
    assert "refused:" in report_lines(report)


@pytest.fixture
def hiding(tmp_path, package) -> NodeSettings:
    hidden = {"key": KEY, "scratch": str(tmp_path), "clean_models": ["Drawn"]}
    return NodeSettings(
        data=tmp_path / "hiding",
        model=str(package),
        intake={"min_free_mb": 0, "deidentify": hidden},
    )


def test_where_identity_is_taken_off_exams_are_found_by_it_and_do_not_show_it(hiding, send):
    with open_state(hiding) as state:
        exams = [send(state, number, 0, 1) for number in (1, 2)]
        for asked in (
            {"accession_number": "4712"},
            {"patient_id": "PID-2"},
            {"study_instance_uid": "1.2.826.77.2"},
        ):
            answer = look_up(state, **asked)
            assert ids(answer) == [exams[1]], asked
            shown = "\n".join([*exam_lines(answer), *report_lines(report_exam(state, exams[1]))])
            for secret in ("PID-2", "4712", "1.2.826.77.2", "Number2"):
                assert secret not in shown
            assert "ANON" in shown
            (note,) = answer.notes
            assert "pseudonyms" in note
            assert "opening 4 sealed identities" in note
        assert ids(look_up(state, accession_number="4719")) == []


def test_without_the_key_the_answer_says_what_it_cannot_find(hiding, send):
    with open_state(hiding) as state:
        send(state, 1, 0, 1)
    plain = NodeSettings(data=hiding.data, model=hiding.model.name, intake={"min_free_mb": 0})
    with open_state(plain) as state:
        second = send(state, 2, 0)
        assert ids(look_up(state, accession_number="4712")) == [second]
        answer = look_up(state, accession_number="4711")
        assert answer.rows == ()
        assert "2 objects were received with their identity taken off" in answer.notes[0]
        assert "cannot be found" in answer.notes[0]
    with open_state(hiding) as state:
        assert ids(look_up(state, accession_number="4712")) == [second]
        assert ids(look_up(state, patient_id="PID-2")) == [second]


def test_an_object_without_identifiers_makes_no_exam_to_be_found(state, send):
    with pytest.raises(MissingAttribute):
        send(state, 1, 0, StudyInstanceUID="")
    assert look_up(state).n_found == 0
