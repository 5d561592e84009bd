"""The examples of the documentation: programs that read results, and files for clusters."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from archives import write_archive

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/how-to/analyze-an-archive.md"
KUBERNETES, SLURM = ROOT / "deploy/scale/kubernetes.yaml", ROOT / "deploy/scale/slurm.sh"


@pytest.fixture
def results(tmp_path, make_dicom, package, monkeypatch):
    pytest.importorskip("pyarrow", reason="pip install 'mammolens[scale]'")
    from mammolens import __version__
    from mammolens.analysis import AnalysisOptions
    from mammolens.model import ModelPackage
    from mammolens.scale.parts import Work, analyze_shard
    from mammolens.scale.plan import mark_files, open_plan

    archive = write_archive(make_dicom, tmp_path / "archive", 3)
    (archive / "0" / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 40)
    digest = ModelPackage.load(package).model_id.digest
    folder = tmp_path / "results" / "exams"
    work = Work(folder, str(package), digest, __version__, AnalysisOptions(), b"")
    with open_plan(tmp_path / "plan") as plan:
        plan.update([archive], lambda tasks: (mark_files(t, b"") for t in tasks), lambda *_: None)
        for shard in plan.shards(2):
            analyze_shard(shard, work)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("results")
def test_the_programs_of_the_page_run(capsys):
    pytest.importorskip("duckdb")
    pytest.importorskip("pandas")
    programs = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(programs) == 3
    for program in programs:
        exec(compile(program, str(PAGE), "exec"), {})
    shown = capsys.readouterr().out
    assert "NotAnImage" in shown
    assert "broken.dcm" in shown
    assert "P000" in shown


def test_the_slurm_script_is_sound():
    subprocess.run(["bash", "-n", SLURM], check=True)
    if checker := shutil.which("shellcheck"):
        subprocess.run([checker, SLURM], check=True)


def test_the_kubernetes_file_fits_its_schemas():
    yaml = pytest.importorskip("yaml")
    documents = list(yaml.safe_load_all(KUBERNETES.read_text("utf-8")))
    kinds = [one["kind"] for one in documents]
    assert kinds == ["Service", "Deployment", "Deployment", "Job"]
    for one in documents[1:]:
        spec = one["spec"]["template"]["spec"]
        assert spec["securityContext"]["runAsNonRoot"]
        words = str(spec["containers"][0])
        assert "tls://" in words
        assert "tcp://" not in words
    validator = pytest.importorskip("kubernetes_validate")
    for one in documents:
        validator.validate(one, "1.37", strict=True)
