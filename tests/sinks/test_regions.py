"""Reports of marked regions as files: plain values, safe text, the box where it was marked."""

import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest

from mammolens import DISCLAIMER
from mammolens.analysis import AnalysisOptions, analyze_regions
from mammolens.core import ImageRef, Laterality, Mammogram, SourceHeader, ViewPosition
from mammolens.errors import ConfigError, StorageError
from mammolens.model import ModelPackage
from mammolens.run import describe_run
from mammolens.sinks import SINKS
from mammolens.sinks.regions import CSV_COLUMNS, write_regions

BOX = (60.0, 40.0, 180.0, 160.0)
ALL = tuple(name for name in SINKS if SINKS[name].regions)


@pytest.fixture(scope="module")
def model(make_lesion_package):
    return ModelPackage.load(make_lesion_package())


@pytest.fixture(scope="module")
def report(model):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:400, :300]
    inside = ((y - 200) / 180) ** 2 + (x / 260) ** 2 < 1
    pixels = np.where(inside, 18000 + rng.normal(0, 2000, inside.shape), 0).astype(np.uint16)
    ref = ImageRef(
        "=cmd/<b>.png",
        patient_id="<anna>",
        laterality=Laterality.LEFT,
        view_position=ViewPosition.CC,
    )
    boxes = [BOX, (300.0, -10.0, 360.0, 60.0)]
    return analyze_regions(Mammogram(ref, SourceHeader(), pixels), boxes, model)


@pytest.fixture(scope="module")
def written(report, model, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "deep"
    files = write_regions(report, out, describe_run(model, None), ALL)
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in files)
    return {path.suffix: path for path in files}


def test_json_holds_every_number(report, written) -> None:
    found = json.loads(written[".json"].read_text("utf-8"))
    assert found["schema"] == "mammolens/regions/1"
    assert DISCLAIMER in found["disclaimer"]
    assert "normal is not a possible answer" in found["meaning"]
    assert [r["box_source_px"] for r in found["regions"]] == [
        list(r.box_source_px) for r in report.regions
    ]
    for shown, region in zip(found["regions"], report.regions, strict=True):
        assert shown["malignancy"] == region.malignant
        assert shown["malignancy"] + shown["benign"] == pytest.approx(1.0)
        assert shown["window_source_px"] == list(region.geometry.crop_source_px)
        assert "normal" not in shown
    assert found["regions"][1]["warnings"][0].startswith("region_clipped: ")
    assert found["image"]["source_shape"] == [400, 300]
    assert [point["name"] for point in found["thresholds"]] == ["low", "high"]


def test_csv_is_safe_in_a_spreadsheet(report, written) -> None:
    rows = list(csv.DictReader(io.StringIO(written[".csv"].read_text("utf-8"))))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert float(rows[0]["malignancy"]) == pytest.approx(report.regions[0].malignant, abs=1e-5)
    assert [rows[0][edge] for edge in ("row0", "col0", "row1", "col1")] == [
        "60",
        "40",
        "180",
        "160",
    ]
    assert rows[0]["path"] == "'=cmd/<b>.png"
    assert rows[1]["warnings"] == "region_clipped"


def test_the_page_is_one_file_with_escaped_text(report, written) -> None:
    page = written[".html"].read_text("utf-8")
    assert f'<p class="running" aria-hidden="true">{DISCLAIMER}' in page
    assert "<b>.png" not in page
    assert "=cmd/&lt;b&gt;.png" in page
    assert page.count(DISCLAIMER) == 3
    assert page.count("does not make a lesion benign") == 2
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert page.count("<tr>") == 1 + len(report.regions)


def test_the_box_is_drawn_where_it_was_marked(report, written) -> None:
    drawn = cv2.imread(str(written[".png"]))
    rows, cols = report.display.pixels.shape
    assert drawn.shape[0] > rows
    assert drawn.shape[1] == cols
    scale = report.display.scale
    top, left, bottom, right = (
        round(edge * s) for edge, s in zip(BOX, (*scale, *scale), strict=True)
    )
    white = (drawn[:rows] > 225).all(-1)
    assert white[top, left + 12 : right - 2].mean() > 0.8
    assert white[top + 2 : bottom - 2, left].mean() > 0.8
    assert white[(top + bottom) // 2, left + 10 : right - 10].mean() < 0.2


def test_only_what_takes_regions(report, model, tmp_path) -> None:
    run = describe_run(model, None)
    files = write_regions(report, tmp_path / "some", run, ["json", "json"])
    assert [path.name for path in files] == ["regions.json"]
    for sinks in (["dicom-sr"], ["json", "worklist"], []):
        with pytest.raises(ConfigError, match=r"\[sinks\]. With --region use"):
            write_regions(report, tmp_path / "none", run, sinks)
    assert not (tmp_path / "none").exists()


def test_nothing_is_drawn_of_a_picture_that_was_not_kept(report, model, tmp_path) -> None:
    bare = replace(report, display=None)
    with pytest.raises(ConfigError, match="not kept"):
        write_regions(bare, tmp_path / "out", describe_run(model, None), ["json", "overlay"])
    assert not (tmp_path / "out").exists()
    assert write_regions(bare, tmp_path / "out", describe_run(model, None), ["json", "csv"])


def test_a_place_that_cannot_be_written_is_named(report, model, tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="file"):
        write_regions(report, tmp_path / "file", describe_run(model, None), ["json"])


def test_pseudonyms_reach_the_files(model, tmp_path) -> None:
    y, x = np.mgrid[:200, :200]
    pixels = (1000 + 500 * np.sin(y / 5) * np.cos(x / 6)).astype(np.uint16)
    ref = ImageRef("p-anna-1.png", patient_id="anna")
    mammogram = Mammogram(ref, SourceHeader(), pixels)
    hidden = analyze_regions(mammogram, [BOX], model, AnalysisOptions(pseudonymise=True))
    run = replace(describe_run(model, None), created=datetime(2026, 1, 2, tzinfo=UTC))
    for path in write_regions(hidden, tmp_path, run, ["json", "csv", "html"]):
        assert "anna" not in path.read_text("utf-8")
