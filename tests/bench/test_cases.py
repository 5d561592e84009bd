"""Which images are shown, and what is drawn on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammolens.bench.cases import MOST_BYTES, CaseKeeper, draw_case, pick_cases, write_cases
from mammolens.bench.scoring import score_records
from mammolens.bench.units import ImageResult
from mammolens.core import Finding, Geometry, ImageRef, Photometric, PreparedView, Unreadable
from mammolens.data.lesions import Lesion
from mammolens.data.manifest import Manifest
from mammolens.errors import StorageError
from mammolens.model import ModelPackage


@pytest.fixture(scope="module")
def model(package):
    return ModelPackage.load(package)


@pytest.fixture(scope="module")
def results(model, rows, write_table):
    table = write_table("cases.csv", rows[1])
    return score_records(model, Manifest.read(table).records)


def test_the_extremes_of_each_data_set_are_picked(make_cohort):
    results = [*make_cohort(women=30, dataset="a"), *make_cohort(women=30, dataset="b", seed=2)]
    lost = replace(results[0].record, malignant=True, tumour=True)
    results[0] = ImageResult(lost, None, Unreadable("x", "NotAnImage", "empty"))
    results[1] = replace(results[1], record=replace(results[1].record, malignant=None, tumour=None))
    picks = pick_cases(results, 2)
    assert [(p.result.record.dataset, p.kind) for p in picks] == [
        (name, kind) for name in "ab" for kind in ("found", "missed", "alarm") for _ in range(2)
    ]
    for name in "ab":
        ill = [
            r.scores.malignant
            for r in results
            if r.record.dataset == name and r.record.malignant and r.scores
        ]
        well = [
            r.scores.malignant
            for r in results
            if r.record.dataset == name and r.record.malignant is False and r.scores
        ]
        first = {p.kind: p for p in reversed(picks) if p.result.record.dataset == name}
        assert first["found"].result.scores.malignant == max(ill)
        assert first["missed"].result.scores.malignant == min(ill)
        assert first["alarm"].result.scores.malignant == max(well)
    for kind in ("found", "missed", "alarm"):
        patients = [p.result.record.patient for p in picks if p.kind == kind]
        assert len(set(patients)) == len(patients)


def test_one_image_is_shown_once(make_cohort):
    picks = pick_cases(make_cohort(women=3), 2)
    keys = [pick.result.record.image_id for pick in picks]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("order", range(6))
def test_what_is_kept_while_scoring_is_what_is_picked_in_the_end(make_cohort, order):
    results = [*make_cohort(women=9, dataset="a"), *make_cohort(women=7, dataset="b", seed=3)]
    np.random.default_rng(order).shuffle(results)
    keeper = CaseKeeper((one.record for one in results), 2)
    most = 0
    for one in results:
        keeper.add(one, one.record.image_id, None)
        most = max(most, len(keeper.seen))
    wanted = {(p.result.record.dataset, p.result.record.image_id) for p in pick_cases(results, 2)}
    assert set(keeper.seen) == wanted
    assert most <= 2 * 3 * 2


def test_pictures_at_hand_are_drawn_as_those_that_are_read_again(
    model, rows, write_table, tmp_path, monkeypatch
):
    records = Manifest.read(write_table("seen.csv", rows[1])).records
    keeper = CaseKeeper(records[:-1], 2)
    results = score_records(model, records, on_scored=keeper.add)
    again = write_cases(model, results[:-1], tmp_path / "again")
    monkeypatch.setattr("mammolens.bench.cases.prepare_record", None)
    at_hand = write_cases(model, results[:-1], tmp_path / "at_hand", seen=keeper.seen)
    assert at_hand == again
    for case in again:
        pictures = [cv2.imread(str(tmp_path / f / case["file"])) for f in ("again", "at_hand")]
        assert np.abs(np.subtract(*pictures, dtype=np.int16)).max() <= 1


def test_pictures_are_small_and_described(model, results, tmp_path):
    stale = tmp_path / "cases" / "07-alarm.png"
    stale.parent.mkdir()
    stale.write_bytes(b"old")
    (tmp_path / "cases" / "mine.png").write_bytes(b"keep")
    cases = write_cases(model, results, tmp_path)
    assert [case["kind"] for case in cases] == ["found"] * 2 + ["missed"] * 2 + ["alarm"] * 2
    for case in cases:
        data = (tmp_path / case["file"]).read_bytes()
        assert len(data) <= MOST_BYTES
        assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None
        assert case["label_malignant"] == (case["kind"] != "alarm")
    assert not stale.exists()
    assert (tmp_path / "cases" / "mine.png").read_bytes() == b"keep"
    found = next(one for one in results if one.record.image_id == cases[0]["image_id"])
    assert cases[0]["malignancy"] == found.scores.malignant


def test_an_image_that_is_gone_is_left_out(model, results, tmp_path):
    picked = pick_cases(results, 1)[0].result
    gone = [
        replace(one, record=replace(one.record, path=Path("gone.png"))) if one is picked else one
        for one in results
    ]
    assert len(write_cases(model, gone, tmp_path, each=1)) == 2


def test_a_folder_in_the_way_is_named(model, results, tmp_path):
    (tmp_path / "cases").write_text("in the way")
    with pytest.raises(StorageError, match="may write"):
        write_cases(model, results, tmp_path)


def test_lesions_and_findings_are_drawn_where_they_are():
    geometry = Geometry((200, 160), (0, 0, 200, 160), (100, 80), (0, 0), (100, 80), False)
    view = PreparedView(
        ImageRef("a.png"),
        np.full((100, 80), 90, np.uint8),
        np.ones((100, 80), bool),
        geometry,
        Photometric.MONOCHROME2,
    )
    heat = np.zeros((5, 4), np.float32)
    heat[0, 3] = 2.0
    outline = np.zeros((100, 80), np.uint8)
    cv2.circle(outline, (20, 70), 12, 255, -1)
    plain = draw_case(view, np.zeros((5, 4), np.float32), (), ())
    assert np.array_equal(plain, np.full((100, 80, 3), 90, np.uint8))
    tinted = draw_case(view, heat, (), ())
    assert np.any(tinted[:15, 65:] != 90)
    assert np.array_equal(tinted[60:], plain[60:])
    dotted = draw_case(view, np.zeros((5, 4), np.float32), (), [outline])
    changed = np.argwhere((dotted != plain).any(axis=2))
    radii = np.hypot(changed[:, 0] - 70, changed[:, 1] - 20)
    assert 6 < radii.min() < radii.max() < 17
    boxed = draw_case(view, np.zeros((5, 4), np.float32), [Finding((80, 40, 160, 120), 1.4)], ())
    rows, cols = np.nonzero((boxed != plain).any(axis=2))
    assert (rows.max(), cols.max()) == pytest.approx((79, 59), abs=3)


def test_marked_lesions_are_counted(model, results, tmp_path):
    marked = [
        replace(one, record=replace(one.record, lesions=(Lesion(circle_source_px=(160, 80, 30)),)))
        for one in results
    ]
    cases = write_cases(model, marked, tmp_path, each=1)
    assert [case["lesions_drawn"] for case in cases] == [1, 1, 1]
    broken = [
        replace(one, record=replace(one.record, lesions=(Lesion(mask_path=Path("no.png")),)))
        for one in results
    ]
    cases = write_cases(model, broken, tmp_path, each=1)
    assert [case["lesions_drawn"] for case in cases] == [0, 0, 0]
