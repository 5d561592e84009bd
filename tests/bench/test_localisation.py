"""What a map says of marked lesions: hits by hand, FROC against a count, and what counts at all."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammolens.bench.localisation import localisation_section
from mammolens.bench.map_readings import marked_image, read_map
from mammolens.bench.scoring import score_records
from mammolens.bench.units import ImageResult
from mammolens.core import Geometry, ImageRef, Photometric, PreparedView, Scores, Unreadable
from mammolens.data.lesions import Lesion
from mammolens.data.manifest import Manifest, Record
from mammolens.model import ModelPackage

SHAPE = (320, 192)
CELL = 32
WHOLE = Geometry(SHAPE, (0, 0, *SHAPE), SHAPE, (0, 0), SHAPE, flipped=False)
MIRRORED = replace(WHOLE, flipped=True)


def view_of(geometry: Geometry = WHOLE) -> PreparedView:
    breast = np.ones(SHAPE, bool)
    pixels = np.full(SHAPE, 100, np.uint8)
    return PreparedView(ImageRef("x.png"), pixels, breast, geometry, Photometric.MONOCHROME2)


def heat_at(**peaks: float) -> np.ndarray:
    """A map with peaks at cells named r<row>c<column>."""
    heat = np.zeros((SHAPE[0] // CELL, SHAPE[1] // CELL), np.float32)
    for place, value in peaks.items():
        row, col = place[1:].split("c")
        heat[int(row), int(col)] = value
    return heat


def cell_box(row: int, col: int) -> tuple[float, float, float, float]:
    return CELL * row, CELL * col, CELL * (row + 1), CELL * (col + 1)


def record(number: int = 0, *lesions: Lesion, **labels) -> Record:
    patient = labels.pop("patient", f"p{number}")
    return Record("d", str(number), patient, Path("x.png"), lesions=lesions, **labels)


def result(one: Record, heat: np.ndarray, level: float = 1.0) -> ImageResult:
    return ImageResult(
        one, Scores(0.2, 0.3, 0.5), marks=read_map(one, view_of(), heat, level=level)
    )


def test_a_finding_meets_the_lesion_that_it_lies_on():
    lesions = Lesion(box_source_px=cell_box(2, 1)), Lesion(box_source_px=cell_box(7, 4))
    one = record(0, *lesions, malignant=True, tumour=True)
    reading = read_map(one, view_of(), heat_at(r2c1=4.0, r5c1=2.0), level=2.0)
    assert [finding.score for finding in reading.findings] == pytest.approx([2.0, 1.0])
    assert [lesion.around for lesion in reading.lesions] == [(0,), ()]
    assert [lesion.inside for lesion in reading.lesions] == [(0,), ()]
    r0, c0, r1, c1 = reading.findings[0].box_source_px
    box, lesion = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    box[round(r0) : round(r1), round(c0) : round(c1)] = True
    lesion[64:96, 32:64] = True
    assert reading.lesions[0].overlaps[0] == pytest.approx(
        (box & lesion).sum() / (box | lesion).sum()
    )


def test_a_lesion_follows_its_picture_into_a_mirrored_frame():
    """The map's right is the picture's left there."""
    one = record(0, Lesion(circle_source_px=(80.0, 48.0, 16.0)), malignant=True)
    seen = read_map(one, view_of(MIRRORED), heat_at(r2c4=1.0))
    assert seen.lesions[0].around == seen.lesions[0].inside == (0,)
    assert seen.aims["malignant"].points
    assert read_map(one, view_of(MIRRORED), heat_at(r2c1=1.0)).lesions[0].around == ()


def test_energy_and_chance_by_hand():
    """The lesion holds a half of an even breast; the map is three times as hot there, and falls
    from 3 to 1 over the 32 rows between the centres of two cells."""
    half = Lesion(box_source_px=(0.0, 0.0, 160.0, 192.0))
    heat = np.ones((10, 6), np.float32)
    heat[:5] = 3.0
    aim = read_map(record(0, half, malignant=True), view_of(), heat).aims["malignant"]
    assert aim.share == 0.5
    assert aim.energy == pytest.approx((144 * 3 + 16 * 2.5) / (160 * 3 + 160), abs=1e-6)
    assert aim.points
    even = read_map(record(0, half, malignant=True), view_of(), np.ones((10, 6), np.float32))
    assert even.aims["malignant"].points is False
    assert even.aims["malignant"].energy == pytest.approx(0.5)


def test_a_lesion_outside_the_prepared_picture_is_missed():
    crop = Geometry(SHAPE, (0, 0, 160, 96), (320, 192), (0, 0), SHAPE, flipped=False)
    one = record(0, Lesion(box_source_px=(200.0, 100.0, 220.0, 120.0)), malignant=True)
    reading = read_map(one, view_of(crop), heat_at(r2c1=1.0))
    assert reading.lesions[0].around == reading.lesions[0].inside == ()
    assert reading.aims["malignant"].points is False
    assert reading.aims["malignant"].energy == 0.0


BENIGN = Lesion(malignant=False, box_source_px=cell_box(2, 1))
UNSAID = Lesion(box_source_px=cell_box(2, 1))
CANCER = Lesion(malignant=True, box_source_px=cell_box(7, 4))


@pytest.mark.parametrize(
    ("one", "malignant", "anything"),
    [
        (record(0, BENIGN, tumour=True, malignant=False), ((), (3.0, 2.0)), ((3.0,), (2.0,))),
        (record(0, CANCER, malignant=True), ((2.0,), (3.0,)), ((2.0,), (3.0,))),
        (record(0, CANCER, UNSAID, malignant=True), ((2.0,), ()), ((2.0, 3.0), ())),
        (record(0, UNSAID, CANCER, malignant=None), ((2.0,), ()), ((3.0, 2.0), ())),
        (record(0, tumour=False), ((), (3.0, 2.0)), ((), (3.0, 2.0))),
        (record(0, tumour=True, malignant=False), ((), (3.0, 2.0)), None),
        (record(0, malignant=True), None, None),
        (record(0), None, None),
        (record(0, UNSAID, malignant=None), None, ((3.0,), (2.0,))),
    ],
)
def test_what_counts_as_hit_as_false_and_not_at_all(one, malignant, anything):
    reading = read_map(one, view_of(), heat_at(r2c1=3.0, r7c4=2.0))
    for target, wanted in (("malignant", malignant), ("any", anything)):
        found = marked_image(one, reading, target, "box_holds_centre")
        assert (found and (found.lesions, found.false_marks)) == (
            wanted and tuple(pytest.approx(part) for part in wanted)
        )


def test_a_centre_alone_counts_for_boxes_and_for_nothing_else():
    one = record(0, malignant=True, lesion_centre_px=(80.0, 48.0))
    reading = read_map(one, view_of(), heat_at(r2c1=3.0))
    assert reading.aims == {}
    assert marked_image(one, reading, "malignant", "box_holds_centre").lesions == (
        pytest.approx(3),
    )
    assert marked_image(one, reading, "malignant", "centre_in_lesion") is None
    section = localisation_section([result(one, heat_at(r2c1=3.0))])["malignant"]
    assert section["findings"]["box_holds_centre"]["lesions_hit"]["value"] == 1.0
    assert section["findings"]["centre_in_lesion"] is section["overlap"] is None
    assert "pointing_game" not in section


@pytest.fixture(scope="module")
def study() -> list[ImageResult]:
    """Forty images of twenty women: half with one cancer; peaks of random height and place."""
    rng = np.random.default_rng(1)
    found = []
    for number in range(40):
        ill = number % 4 < 2
        row, col = int(rng.integers(1, 9)), int(rng.integers(1, 5))
        heat = np.zeros((10, 6), np.float32)
        heat[int(rng.integers(0, 10)), int(rng.integers(0, 6))] = rng.uniform(0.2, 2)
        if ill and rng.random() < 0.7:
            heat[row, col] = rng.uniform(0.5, 3)
        marks = (Lesion(box_source_px=cell_box(row, col)),) if ill else ()
        one = record(number, *marks, malignant=ill, tumour=ill, patient=f"p{number // 2}")
        found.append(result(one, heat))
    return found


def test_froc_is_what_counting_gives(study):
    section = localisation_section(study, draws=200)["malignant"]
    assert section["n_lesions"] == section["n_images_with_lesions"] == 20
    assert (section["n_images_without"], section["n_patients"]) == (20, 20)

    def counted(threshold: float) -> tuple[float, float]:
        hits = alarms = 0
        for one in study:
            boxes = [f.box_source_px for f in one.marks.findings if f.score >= threshold]
            centres = [
                ((b[0] + b[2]) / 2, (b[1] + b[3]) / 2)
                for b in (lesion.box_source_px for lesion in one.record.lesions)
            ]
            on = [
                any(b[0] <= row < b[2] and b[1] <= col < b[3] for row, col in centres)
                for b in boxes
            ]
            hits += any(on)
            alarms += len(on) - sum(on)
        return hits / 20, alarms / 40

    froc = section["froc"]["box_holds_centre"]
    for point in froc["curve"]:
        assert counted(point["threshold"]) == pytest.approx(
            (point["sensitivity"], point["false_marks_per_image"])
        )
    levels = [point["threshold"] for point in froc["curve"]]
    for allowed in ("0.25", "0.5", "1"):
        best = max(s for s, false in map(counted, levels) if false <= float(allowed))
        figure = froc["sensitivity_at_false_marks_per_image"][allowed]
        assert figure["value"] == pytest.approx(best)
        assert figure["low"] <= figure["value"] <= figure["high"]
        assert (figure["n"], figure["n_patients"]) == (40, 20)
    at_level = section["findings"]["box_holds_centre"]
    assert (at_level["lesions_hit"]["value"], at_level["false_marks_per_image"]["value"]) == (
        pytest.approx(counted(1.0))
    )
    json.dumps(section, allow_nan=False)


def test_a_long_curve_is_thinned_and_keeps_its_ends():
    rng = np.random.default_rng(0)
    many = [
        result(record(n, CANCER, malignant=True), heat_at(r7c4=v, r2c1=w))
        for n, (v, w) in enumerate(rng.uniform(0.1, 1, (150, 2)))
    ]
    curve = localisation_section(many, draws=10)["any"]["froc"]["box_holds_centre"]["curve"]
    assert len(curve) == 200
    scores = [finding.score for one in many for finding in one.marks.findings]
    assert (curve[0]["threshold"], curve[-1]["threshold"]) == (max(scores), min(scores))


def test_data_sets_without_marks_and_images_without_maps_take_no_part(study):
    other = [replace(one, record=replace(one.record, dataset="plain", lesions=())) for one in study]
    assert localisation_section(other) is None
    assert localisation_section([]) is None
    lost = ImageResult(
        record(99, CANCER, malignant=True), None, Unreadable("x.png", "NotAnImage", "empty")
    )
    alone, together = (
        localisation_section(rows, draws=50) for rows in (study, [*study, *other, lost])
    )
    assert together["n_marked_without_map"] == 1
    assert together["datasets"] == ["d"]
    assert together["malignant"] == alone["malignant"]


def test_a_map_without_any_mark_finds_nothing():
    one = record(0, CANCER, malignant=True)
    section = localisation_section([result(one, np.zeros((10, 6), np.float32))])["malignant"]
    assert section["froc"]["box_holds_centre"]["curve"] == []
    assert section["pointing_game"]["value"] == section["overlap"]["value"] == 0.0
    assert section["pointing_game"]["low"] is None
    assert "no interval" in section["pointing_game"]["note"]


def test_scoring_reads_the_marks_in_the_same_pass(rows, package: Path, tmp_path: Path):
    folder, drawn = rows
    table = tmp_path / "table.csv"
    cells = [
        {**one, "path": str(folder / one["path"]), "lesion_y": "160", "lesion_x": "80"}
        | {"lesion_radius": "25"}
        for one in drawn[:5]
    ]
    cells[4] |= {"lesion_radius": "", "mask_path": "absent.png"}
    with table.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, [*cells[0], "mask_path"])
        writer.writeheader()
        writer.writerows(cells)
    results = score_records(ModelPackage.load(package), Manifest.read(table).records)
    assert all(one.scores for one in results)
    assert [one.marks is not None for one in results] == [True] * 4 + [False]
    assert "absent.png" in str(results[4].cautions[-1])
    for one in results[:4]:  # the brightest place is the disc, which the circle marks
        assert one.marks.lesions[0].around
        assert one.marks.aims["any"].energy > one.marks.aims["any"].share


def test_a_mask_of_another_size_is_said_and_costs_the_image_its_marks(rows, package, tmp_path):
    folder, drawn = rows
    cv2.imwrite(str(tmp_path / "mask.png"), np.full((10, 10), 255, np.uint8))
    lesion = Lesion(mask_path=tmp_path / "mask.png")
    one = Record("d", "1", "p", folder / drawn[0]["path"], malignant=True, lesions=(lesion,))
    (found,) = score_records(ModelPackage.load(package), [one])
    assert found.marks is None
    assert "mask.png" in str(found.cautions[-1])
    assert localisation_section([found]) is None


def test_a_model_of_lesions_has_no_marks(rows, make_lesion_package):
    folder, drawn = rows
    lesion = Lesion(box_source_px=(100.0, 40.0, 220.0, 140.0))
    one = Record("d", "1", "p", folder / drawn[0]["path"], malignant=True, lesions=(lesion,))
    (found,) = score_records(ModelPackage.load(make_lesion_package()), [one])
    assert found.marks is None
