"""The door for marked regions, on a real film: files, words, exit codes."""

import json
import sys

import pytest

from mammolens import DISCLAIMER, cli

BOX = "2180,2180,2560,2560"


@pytest.fixture
def call(capsys, monkeypatch):
    """Run ``mammolens analyze`` in this process; gives exit code, output and errors."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mammolens", "analyze", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return (int(stop.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def model(make_lesion_package):
    return make_lesion_package()


@pytest.fixture
def film(sample_dir):
    return sample_dir / "sfm-benign-0" / "1-132.dcm"


def test_a_region_of_a_film_is_scored_and_written(call, model, film, tmp_path) -> None:
    words = (film, "--region", BOX, "--region", "2480,2520,2790,2830", "--model", model)
    code, said, errors = call(*words, "--out", tmp_path / "out")
    assert (code, errors) == (0, "")
    assert DISCLAIMER in " ".join(said.split())
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["regions.csv", "regions.html", "regions.json", "regions.png"]
    found = json.loads((tmp_path / "out" / "regions.json").read_text("utf-8"))
    assert [r["box_source_px"] for r in found["regions"]] == [
        [2180.0, 2180.0, 2560.0, 2560.0],
        [2480.0, 2520.0, 2790.0, 2830.0],
    ]
    assert found["image"]["view_position"] == "CC"


@pytest.mark.parametrize(
    ("region", "code", "cause"),
    [
        ("1,2,3", 2, "BadRegion"),
        ("9000,0,9100,100", 2, "BadRegion"),
        ("100,100,104,104", 2, "smaller than 8"),
        ("300,200,100,400", 2, "is not a box"),
    ],
)
def test_an_impossible_box_is_wrong_usage(call, model, film, tmp_path, region, code, cause) -> None:
    out = tmp_path / "out"
    found, _, errors = call(film, "--region", region, "--model", model, "--out", out)
    assert found == code
    assert cause in errors
    assert not out.exists()


def test_a_breast_model_is_refused_for_regions_and_the_other_way(
    call, package, model, film, tmp_path
) -> None:
    out = tmp_path / "out"
    code, _, errors = call(film, "--region", BOX, "--model", package, "--out", out)
    assert code == 1
    assert "ContractMismatch" in errors
    assert "mammolens-lesion-1" in errors
    code, _, errors = call(film, "--model", model, "--out", out)
    assert code == 1
    assert "--region" in errors
    assert not out.exists()


def test_regions_are_of_one_image(call, model, film, tmp_path) -> None:
    words = ("--region", BOX, "--model", model, "--out", tmp_path / "out")
    code, _, errors = call(film, film, *words)
    assert (code, "one image" in errors) == (2, True)
    code, _, errors = call(film.parent, *words)
    assert code == 3
    code, _, errors = call(film, *words, "--sinks", "json,pdf")
    assert (code, "'pdf' does not take marked regions" in errors) == (2, True)
    assert not (tmp_path / "out").exists()
