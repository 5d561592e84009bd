"""Archives: the rows are those of `analyze`, a job goes on where it stopped, and bad input."""

from __future__ import annotations

import errno
import json
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
from archives import everyone_once, patients, start_job, stored, write_archive

from mammolens.analysis import AnalysisOptions, analyze_paths
from mammolens.errors import ConfigError, IncompleteExam, JobUnfinished, MissingInput, StorageError
from mammolens.images import ImageFile
from mammolens.images.files import walk_files
from mammolens.model import ModelPackage

pytest.importorskip("distributed", reason="pip install 'mammolens[scale]'")
pq = pytest.importorskip("pyarrow.parquet")

from mammolens.scale import analyze_archive, archive, cluster, plan  # noqa: E402
from mammolens.scale.cluster import Cluster, open_cluster  # noqa: E402
from mammolens.scale.parts import read_counts  # noqa: E402

OPTIONS = AnalysisOptions(display=False)


class _Here:
    """Workers that are this process: the rest of the machine without the wait for Dask."""

    killers: tuple[str, ...] = ()

    @staticmethod
    def run(make, tasks, *further, name=None):  # noqa: ARG004
        for task in tasks:
            yield make(task, *further)


@pytest.fixture
def here(monkeypatch):
    @contextmanager
    def opened(address, tls=None):  # noqa: ARG001
        yield _Here()

    monkeypatch.setattr(archive, "open_cluster", opened)
    monkeypatch.setattr(archive, "SHARD_STUDIES", 2)


@pytest.fixture
def small(tmp_path, make_dicom):
    return write_archive(make_dicom, tmp_path / "archive", 10)


def rows_of(out: Path) -> list[dict]:
    parts = sorted(out.glob("exams/*/*.parquet"))
    return [row for part in parts for row in pq.read_table(part, partitioning=None).to_pylist()]


@pytest.mark.usefixtures("here")
def test_the_rows_are_those_of_analyze(small, package, tmp_path):
    (small / "1" / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 40)
    found = analyze_archive([small], tmp_path / "out", package, OPTIONS, "local:1")
    plain = list(analyze_paths([small], ModelPackage.load(package), OPTIONS))
    exams = {one.study_instance_uid: one for one in plain if hasattr(one, "scores")}
    rows = rows_of(tmp_path / "out")
    assert found.counts.exams == len(exams) == 10
    assert found.counts.inputs == len(plain) - len(exams) == 1
    assert found.exit_code == 3
    for row in rows:
        if row["kind"] == "input":
            assert row["failures"][0]["path"].endswith("broken.dcm")
            assert row["category"] is None
            continue
        one = exams[row["study_instance_uid"]]
        assert row["malignancy"] == round(one.scores.malignant, 5)
        assert row["category"] == one.category.value
        assert row["images"][0]["sha256"] == one.images[0].ref.digest
        assert row["warnings"].split() == list(dict.fromkeys(_cautions(one)))
        assert "Research use only" in row["notice"]
    doubted = {row["patient_id"] for row in rows if "unplaced_file" in (row["warnings"] or "")}
    assert doubted == {"P001", "P004", "P007"}


@pytest.mark.usefixtures("here")
def test_a_file_that_a_share_names_but_does_not_give_is_a_doubt(
    small, package, tmp_path, monkeypatch
):
    """As a file that cannot be read: it may be a picture of the exams beside it."""
    gone = ImageFile(small / "1" / "gone.dcm")
    monkeypatch.setattr(plan, "walk_files", lambda paths: iter([*walk_files(paths), gone]))
    found = analyze_archive([small], tmp_path / "out", package, OPTIONS, "local:1")
    assert found.counts.inputs == 1
    rows = rows_of(tmp_path / "out")
    doubted = {row["patient_id"] for row in rows if "unplaced_file" in (row.get("warnings") or "")}
    assert doubted == {"P001", "P004", "P007"}


def _cautions(one):
    return [c.name for c in (*one.cautions, *(c for i in one.images for c in i.cautions))]


@pytest.mark.usefixtures("here")
def test_a_second_run_does_nothing_and_a_new_exam_changes_one_shard(
    small, package, tmp_path, make_dicom
):
    def run():
        return analyze_archive(
            [small], tmp_path / "out", package, OPTIONS, "local:1", analyse=stored
        )

    first = run()
    names = set((tmp_path / "out").glob("exams/*/*"))
    assert first.analysed == first.shards == len(names)
    assert run().analysed == 0
    make_dicom.save(small / "new.dcm", PatientID="P999", StudyInstanceUID="1.9")
    last = run()
    assert last.analysed == 1
    assert patients(tmp_path / "out") == everyone_once(10) + Counter(["P999"])
    assert len(names - set((tmp_path / "out").glob("exams/*/*"))) <= 1


@pytest.mark.usefixtures("here")
def test_an_unexpected_error_is_a_row_with_its_reason(small, package, tmp_path):
    found = analyze_archive([small], tmp_path / "out", package, OPTIONS, "local:1", analyse=stored)
    (failed,) = (row for row in rows_of(tmp_path / "out") if row["category"] == "failed")
    assert (failed["patient_id"], failed["malignancy"]) == ("P004", None)
    assert "a fault in the middle of P004" in failed["failures"][0]["message"]
    assert (found.counts.failed, found.exit_code) == (1, 3)


@pytest.mark.usefixtures("here")
def test_one_key_of_pseudonyms_for_all_shards_and_runs(small, package, tmp_path, make_dicom):
    for number in range(6):
        make_dicom.save(
            small / f"again{number}.dcm", PatientID="P001", StudyInstanceUID=f"1.8.{number}"
        )
    options = AnalysisOptions(display=False, pseudonymise=True)
    out = tmp_path / "out"
    analyze_archive([small], out, package, options, "local:1", analyse=stored)
    rows = rows_of(out)
    assert len({row["patient_id"] for row in rows}) == 10
    assert not any("P00" in str(row["patient_id"]) for row in rows)
    assert list((out / "private").iterdir()) == []
    again = analyze_archive([small], out, package, options, "local:1", analyse=stored)
    assert (again.analysed, again.counts.exams) == (0, 16)


@pytest.mark.usefixtures("here")
def test_another_model_or_other_options_are_refused(small, package, tmp_path):
    out = tmp_path / "out"
    analyze_archive([small], out, package, OPTIONS, "local:1", analyse=stored)
    with pytest.raises(ConfigError, match=r"another options.*new folder"):
        analyze_archive([small], out, package, AnalysisOptions(prevalence=0.01), "local:1")
    with pytest.raises(ConfigError, match="another model"):
        analyze_archive([small], out, "mammolens-2", OPTIONS, "local:1")
    (out / "job.json").write_text("{", "utf-8")
    with pytest.raises(ConfigError, match=r"job.json: .*damaged"):
        analyze_archive([small], out, package, OPTIONS, "local:1")


@pytest.mark.usefixtures("here")
def test_lost_files_stop_the_job_and_keep_the_results(small, package, tmp_path):
    out = tmp_path / "out"
    analyze_archive([small], out, package, OPTIONS, "local:1", analyse=stored)
    kept = patients(out)
    (small / "0").rename(tmp_path / "unmounted")
    with pytest.raises(MissingInput, match=r"4 files .*are not there, first .*e000.dcm"):
        analyze_archive([small], out, package, OPTIONS, "local:1", analyse=stored)
    assert patients(out) == kept


@pytest.mark.usefixtures("here")
def test_a_damaged_part_is_named_with_its_remedy(small, package, tmp_path):
    out = tmp_path / "out"
    analyze_archive([small], out, package, OPTIONS, "local:1", analyse=stored)
    part = sorted(out.glob("exams/*/*.parquet"))[0]
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(StorageError, match=rf"{part.name}: .*cannot be read.*Delete this file"):
        analyze_archive([small], out, package, OPTIONS, "local:1", analyse=stored)
    part.unlink()
    assert analyze_archive([small], out, package, OPTIONS, "local:1", analyse=stored).analysed == 1
    assert patients(out) == everyone_once(10)


@pytest.mark.usefixtures("here")
def test_a_full_disk_leaves_no_half_part(small, package, tmp_path, monkeypatch):
    """The third part is written to a device that is full: the write really fails."""
    import mammolens.scale.parts as parts

    real, out, written = parts.whole_file, tmp_path / "out", []

    @contextmanager
    def full(path, writer):
        written.append(path)
        with real(path, writer) as stream:
            if len(written) == 3:
                stream.write(b"PAR1")
                with open("/dev/full", "wb", buffering=0) as disk:  # noqa: PTH123
                    disk.write(b"x")
            yield stream

    monkeypatch.setattr(parts, "whole_file", full)
    with pytest.raises(StorageError, match=r"parquet: .*No space left on device.*Make room") as at:
        analyze_archive([small], out, package, OPTIONS, "local:1", analyse=stored)
    assert at.value.__cause__.errno == errno.ENOSPC
    assert len(list(out.glob("exams/*/*"))) == 2
    for part in out.glob("exams/*/*"):
        read_counts(part)
    assert analyze_archive([small], out, package, OPTIONS, "local:1", analyse=stored).analysed
    assert patients(out) == everyone_once(10)


@pytest.mark.usefixtures("here")
def test_a_folder_without_images_is_refused(package, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(IncompleteExam, match=r"empty: there is no image"):
        analyze_archive([tmp_path / "empty"], tmp_path / "out", package, OPTIONS, "local:1")


@pytest.mark.usefixtures("here")
def test_results_inside_the_archive_are_refused(small, package):
    with pytest.raises(ConfigError, match="inside the archive"):
        analyze_archive([small], small / "out", package, OPTIONS, "local:1")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("tcp://10.0.0.1:8786", "no encryption"),
        ("tcp://cluster:8786", "no encryption"),
        ("tls://10.0.0.1:8786", "no certificates"),
        ("local:0", "not a cluster"),
        ("10.0.0.1:8786", "not a cluster"),
        ("ucx://127.0.0.1:8786", "not a cluster"),
        ("tcp://127.0.0.1:99999999", "not a cluster"),
    ],
)
def test_an_address_that_is_unsafe_or_wrong_is_refused(address, words):
    with pytest.raises(ConfigError, match=words), open_cluster(address):
        pass


def test_a_missing_certificate_is_named(tmp_path):
    (tmp_path / "ca.pem").write_text("x", "utf-8")
    address, words = "tls://10.0.0.1:8786", r"no cert.pem or key.pem"
    with pytest.raises(ConfigError, match=words), open_cluster(address, tmp_path):
        pass


def test_wide_workers_are_refused():
    class Client:
        @staticmethod
        def scheduler_info(n_workers):  # noqa: ARG004
            return {"workers": {"tcp://127.0.0.1:1": {"nthreads": 4}}}

    with pytest.raises(ConfigError, match=r"4 threads.*--nthreads 1"):
        next(Cluster(Client()).run(len, ["x"]))


def test_no_scheduler_at_the_address(monkeypatch):
    monkeypatch.setattr(cluster, "_CONNECT_S", 1)
    address = "tcp://127.0.0.1:9"
    with pytest.raises(JobUnfinished, match=f"answers at {address}"), open_cluster(address):
        pass


@pytest.mark.slow
def test_two_jobs_on_one_folder(small, package, tmp_path):
    """The second one is refused; it does not wait, and it changes nothing."""
    from filelock import FileLock

    out = tmp_path / "out"
    out.mkdir()
    with FileLock(out / ".lock"):
        job = start_job(small, out, package, "--cluster", "local:1")
        words, _ = job.communicate(timeout=60)
    assert job.returncode == 2
    assert "another job writes into this folder" in " ".join(words.split())
    assert not (out / "job.json").exists()


@pytest.mark.usefixtures("here")
def test_the_job_file_says_what_was_done(small, package, tmp_path):
    analyze_archive([small], tmp_path / "out", package, OPTIONS, "local:1", analyse=stored)
    job = json.loads((tmp_path / "out/job.json").read_text("utf-8"))
    assert job["model"]["digest"] == ModelPackage.load(package).model_id.digest
    assert job["options"]["complete_views"] == ["RCC", "LCC", "RMLO", "LMLO"]
    assert (tmp_path / "out/private").stat().st_mode & 0o077 == 0
    assert (tmp_path / "out/private/key").stat().st_mode & 0o077 == 0
