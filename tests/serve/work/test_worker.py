"""The worker: exams come out as results, whatever is wrong with them."""

from __future__ import annotations

import itertools
import json
import threading
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from mammolens.errors import ConfigError, StorageError
from mammolens.serve.intake import receive
from mammolens.serve.record import (
    AUDIT,
    DELIVERIES,
    EXAMS,
    FILES,
    JOBS,
    OVERLAYS,
    RESULTS,
    UNKNOWN_RANK,
    Verdict,
    enter_verdict,
)
from mammolens.serve.viewer import pack
from mammolens.serve.work import performance, worker
from mammolens.serve.worklist.exams import _files, overlay_of
from mammolens.sinks import SINKS, Artefact, worklist_csv

from .. import in_process
from ..in_process import work_here, work_once


@pytest.fixture
def send(state, mammogram):
    def send(*numbers: int, **changes) -> None:
        for number in numbers:
            data = mammogram(number, **changes)
            receive(state, data, "dimse:X")

    return send


@pytest.fixture
def run(state, clock):
    """Give a function that lets a minute pass and works off what is due."""

    def run(state=state, threads: int = 1) -> int:
        clock.turn(61)
        return work_once(state, threads)

    return run


@pytest.fixture
def result(state, rows):
    """Give a function that reads the newest result's row and its JSON."""

    def read():
        row = rows(RESULTS)[-1]
        (file,) = [f for f in rows(FILES) if f.result_id == row.id and f.sink == "json"]
        return row, json.loads(state.results.read(file.digest))

    return read


def changed(state, **settings):
    return replace(state, settings=state.settings.model_copy(update=settings))


def test_four_views_become_a_result(send, run, result, rows):
    send(0, 1, 2, 3)
    assert run() == 1
    row, said = result()
    assert (row.revision, row.n_images, row.n_unreadable) == (1, 4, 0)
    (exam,) = said["exams"]
    assert exam["malignancy"] == pytest.approx(row.malignancy)
    assert len({image["malignancy"] for image in exam["images"]}) > 1
    assert rows(JOBS)[0].state == "done"
    assert run() == 0


@pytest.mark.parametrize("prevalence", [None, 0.005])
def test_reports_say_whether_the_site_states_its_prevalence(state, send, run, rows, prevalence):
    model = state.settings.model.model_copy(update={"prevalence": prevalence})
    send(0, 1, 2, 3)
    run(changed(state, model=model, sinks=("fhir", "hl7")))
    said = {file.sink: state.results.read(file.digest).decode() for file in rows(FILES)}
    stated = "for a prevalence of 0.5% among breasts, as this site states"
    for text in said.values():
        assert (stated in text) is (prevalence is not None)
        assert ("that of the model's own data" in text) is (prevalence is None)
    assert ("valueQuantity" in said["fhir"]) is (prevalence is not None)
    assert ("|NM|111047" in said["hl7"]) is (prevalence is not None)


def test_results_do_not_tell_where_the_store_lies(send, run, state, rows):
    send(0, 1, 2)
    send(3, PresentationIntentType="FOR PROCESSING")
    send(0, picture=9)
    run()
    for file in rows(FILES):
        assert str(state.settings.data) not in state.results.read(file.digest).decode()


def test_a_late_view_revises(send, run, result, monkeypatch):
    told = []
    make = performance.exam_artefacts

    def note(sink, prediction, info):
        told.append((info.revision, info.supersedes))
        return make(sink, prediction, info)

    monkeypatch.setattr(performance, "exam_artefacts", note)
    send(0, 1)
    run()
    row, _ = result()
    assert "missing_view" in row.cautions
    send(2, 3)
    run()
    row, _ = result()
    assert (row.revision, row.supersedes, row.n_images) == (2, 1, 4)
    assert "missing_view" not in row.cautions
    assert told == [(1, ()), (2, ())]


def test_a_low_exam_is_withheld_as_soon_as_more_comes(send, run, rows, state):
    send(0, 1, 2, 3)
    run()
    with state.database.write() as connection:
        enter_verdict(connection, 1, Verdict("low", 1, "m 1", 0.1, 0.01))
        said = overlay_of(connection, 1) | {"category": "low"}
        connection.execute(OVERLAYS.update().values(body=pack(said)))
        connection.execute(RESULTS.update().values(category="low"))
        assert overlay_of(connection, 1)["category"] == "low"
        assert connection.execute(_files(1)).first() is not None
    send(0, picture=9)
    (exam,) = rows(EXAMS)
    assert (exam.category, exam.rank, exam.version) == ("withheld", UNKNOWN_RANK, 5)
    with state.database.read() as connection:
        assert overlay_of(connection, 1)["category"] == "intermediate"
        assert connection.execute(_files(1)).first() is None
    run()
    (exam,) = rows(EXAMS)
    assert (exam.revision, "not analysed yet" in exam.doubts) == (2, False)


def test_a_revised_report_names_the_one_before(state, send, run, rows):
    reporting = changed(state, sinks=("dicom-cad-sr",))
    for views in ((0, 1), (2, 3)):
        send(*views)
        run(reporting)
    first, second = (
        dcmread(BytesIO(state.results.read(file.digest)))
        for file in rows(FILES)
        if file.sink == "dicom-cad-sr"
    )
    (study,) = second.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    (item,) = series.ReferencedSOPSequence
    assert series.SeriesInstanceUID == first.SeriesInstanceUID
    assert item.ReferencedSOPInstanceUID == first.SOPInstanceUID != second.SOPInstanceUID
    assert "PredecessorDocumentsSequence" not in first


@pytest.mark.parametrize(
    "change",
    [
        {"PresentationIntentType": "FOR PROCESSING"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.13.1.3"},
        {"EstimatedRadiographicMagnificationFactor": "1.8"},
    ],
    ids=["for processing", "tomosynthesis", "magnified"],
)
def test_an_exam_of_refused_objects_is_failed_not_normal(send, run, result, change):
    send(0, 1, **change)
    assert run() == 1
    row, said = result()
    assert (row.category, row.malignancy, row.n_unreadable) == ("failed", None, 2)
    assert said["exams"][0]["category"] == "failed"


def test_a_damaged_exam_is_failed_not_normal(state, mammogram, run, result):
    data = mammogram()[:-5000]
    receive(state, data, "dimse:X")
    assert run() == 1
    row, _ = result()
    assert (row.category, row.n_unreadable) == ("failed", 1)


def test_a_rival_is_told_and_is_never_low(send, run, result):
    send(0, 1, 2, 3)
    run()
    before, _ = result()
    assert "rival_instance" not in before.cautions
    send(0, picture=9)
    run()
    row, _ = result()
    assert "rival_instance" in row.cautions
    assert "duplicate_uid_different_pixels" in row.cautions
    assert (row.n_images, row.n_unreadable) == (4, 1)
    assert row.category != "low"
    assert row.malignancy == pytest.approx(before.malignancy)


def test_an_implant_is_told_and_never_low(send, run, result):
    send(0, 1, 2, 3, BreastImplantPresent="YES")
    run()
    row, _ = result()
    assert "not_validated" in row.cautions
    assert row.category not in ("low", "failed")
    assert row.n_images == 4


def test_a_spot_view_beside_four_is_left_out_by_name_and_never_low(send, run, result):
    send(0, 1, 2, 3)
    send(4, EstimatedRadiographicMagnificationFactor="1.8")
    run()
    row, said = result()
    assert (row.n_images, row.n_unreadable) == (4, 1)
    assert row.category not in ("low", "failed")
    assert "NotAWholeView" in json.dumps(said)


def test_two_women_in_a_study_get_two_results_and_both_are_told(send, run, rows):
    send(0, 1)
    run()
    send(2, 3, PatientName="Roe^Mary")
    assert run() == 2
    newest = {row.exam_id: row for row in rows(RESULTS)}
    assert sorted(row.revision for row in newest.values()) == [1, 2]
    for row in newest.values():
        assert "two_patients_in_study" in row.cautions
        assert row.n_images == 2
        assert row.category != "low"


def test_every_route_gets_the_files_of_its_sinks(send, run, state, rows):
    routes = [
        {"name": "a", "to": "folder:a", "sinks": ["json"]},
        {"name": "b", "to": "folder:b", "sinks": ["json", "csv"]},
    ]
    settings = state.settings.model_validate(state.settings.model_dump() | {"routes": routes})
    send(0, 1, 2, 3)
    run(replace(state, settings=settings))
    sinks = {file.id: file.sink for file in rows(FILES)}
    found = sorted((row.route, sinks[row.file_id], row.state) for row in rows(DELIVERIES))
    assert found == [("a", "json", "queued"), ("b", "csv", "queued"), ("b", "json", "queued")]


def test_an_unknown_sink_is_named_before_any_work(send, run, state, rows):
    send(0)
    with pytest.raises(ConfigError, match="Use 'json'"):
        run(changed(state, sinks=("jsn",)))
    assert rows(JOBS) == []


def test_a_sink_that_breaks_keeps_nothing_from_the_others(send, run, state, rows, monkeypatch):
    make = performance.exam_artefacts

    def break_csv(sink, prediction, info):
        if sink == "csv":
            raise RuntimeError("Doe^Jane")
        return make(sink, prediction, info)

    monkeypatch.setattr(performance, "exam_artefacts", break_csv)
    send(0, 1, 2, 3)
    assert run(changed(state, sinks=("csv", "json"))) == 1
    assert "sink_failed:csv" in rows(RESULTS)[0].cautions
    assert [file.sink for file in rows(FILES)] == ["json"]


@pytest.mark.parametrize("fault", ["same name", "outside", "endless file", "endless files"])
def test_a_sink_of_others_that_breaks_its_description_costs_no_result(
    send, run, state, rows, monkeypatch, fault
):
    def artefacts(*_):
        content = itertools.repeat(b"x" * 1024) if fault == "endless file" else [b"x"]
        files = itertools.count() if fault == "endless files" else [0, 0]
        for number in files:
            name = "../x.csv" if fault == "outside" else "worklist.csv"
            name = f"many/{number}.csv" if fault == "endless files" else name
            yield Artefact(name, "text/csv", lambda: content)

    described = replace(SINKS["csv"], files=("worklist.csv", "many/{name}.csv"))
    monkeypatch.setitem(SINKS, "csv", described)
    monkeypatch.setattr(worklist_csv, "worklist", artefacts)
    monkeypatch.setattr(performance, "MOST_BYTES", 1 << 16)
    monkeypatch.setattr(performance, "MOST_FILES", 5)
    send(0, 1, 2, 3)
    assert run(changed(state, sinks=("csv", "json"))) == 1
    assert "sink_failed:csv" in rows(RESULTS)[0].cautions
    assert [file.sink for file in rows(FILES)] == ["json"]


def test_what_fails_every_time_ends_as_a_failed_result(
    send, run, state, result, rows, clock, monkeypatch
):
    def fail(*_, **__):
        raise RuntimeError("Doe^Jane")

    monkeypatch.setattr(performance, "load_exam", fail)
    send(0, 1, 2, 3)
    for _ in range(state.settings.jobs.max_attempts):
        assert run() == 0
        clock.turn(600)
    assert run() == 1
    row, said = result()
    assert (row.category, row.n_unreadable) == ("failed", 4)
    assert "job_given_up" in row.cautions
    assert "Doe" not in str(rows(JOBS)) + str(rows(AUDIT)) + json.dumps(said)


def test_a_store_that_is_away_is_waited_for(send, run, state, clock, result):
    send(0, 1, 2, 3)
    away = state.received.folder.with_name("away")
    state.received.folder.rename(away)
    assert run() == 0
    away.rename(state.received.folder)
    clock.turn(600)
    assert run() == 1
    assert result()[0].n_images == 4


def test_a_database_that_is_away_is_waited_for(send, state, monkeypatch):
    send(0, 1, 2, 3)
    real, calls = worker.claim_job, []

    def away_once(*arguments):
        calls.append(1)
        if len(calls) == 1:
            raise StorageError("the database cannot be used")
        return real(*arguments)

    monkeypatch.setattr(worker, "claim_job", away_once)
    monkeypatch.setattr(worker, "AWAY_S", 0.01)
    assert work_once(state) == 1


def test_threads_share_the_exams(state, mammogram, run, rows):
    for study in range(6):
        for number in range(4):
            uid = f"1.2.{study}"
            data = mammogram(number, StudyInstanceUID=uid, SOPInstanceUID=f"{uid}.{number}")
            receive(state, data, "dimse:X")
    assert run(threads=3) == 6
    assert [row.revision for row in rows(RESULTS)] == [1] * 6
    assert {row.attempts for row in rows(JOBS)} == {1}


def test_the_lease_is_renewed_while_an_exam_is_in_work(send, state, clock, rows, monkeypatch):
    jobs = state.settings.jobs.model_copy(update={"lease_s": 0.2})
    leases = []
    perform = in_process.perform

    def slow(*arguments):
        for _ in range(10):
            time.sleep(0.1)
            clock.turn(0.1)
            leases.append(rows(JOBS)[0].lease_until)
        return perform(*arguments)

    monkeypatch.setattr(in_process, "perform", slow)
    send(0, 1, 2, 3)
    assert work_once(changed(state, jobs=jobs)) == 1
    assert len(set(leases)) > 2


def test_a_stop_lets_the_exam_in_work_come_to_its_end(send, state, rows, monkeypatch):
    stop = threading.Event()
    perform = in_process.perform

    def stop_meanwhile(*arguments):
        stop.set()
        return perform(*arguments)

    monkeypatch.setattr(in_process, "perform", stop_meanwhile)
    send(0, 1, 2, 3)
    send(0, StudyInstanceUID="1.9", SOPInstanceUID="1.9.0")
    assert work_here(state, 1, stop) == 1
    assert len(rows(RESULTS)) == 1


@pytest.mark.slow
@pytest.mark.longest
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_memory_does_not_grow_with_the_exams(state, mammogram, run):
    def resident_kb() -> int:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * 4

    def exams(first: int, last: int) -> int:
        for study in range(first, last):
            uid = f"1.2.{study}"
            for number in range(4):
                data = mammogram(number, StudyInstanceUID=uid, SOPInstanceUID=f"{uid}.{number}")
                receive(state, data, "dimse:X")
        assert run() == last - first
        return resident_kb()

    early, late = exams(0, 40), exams(40, 200)
    assert late - early < 20_000
