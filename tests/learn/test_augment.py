"""Augmentation: what older runs drew stays, bending folds nothing, masks and boxes follow."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mammolens import cli
from mammolens.core import PreparedView
from mammolens.errors import ConfigError, InputError, StorageError
from mammolens.learn.augment import (
    Augmentation,
    apply_augmentation,
    apply_to_mask,
    draw_augmentation,
    erased_pixels,
    source_coordinates,
)
from mammolens.learn.augmentation_sheet import caption, draw_sheet, write_sheet
from mammolens.learn.config import read_run
from mammolens.learn.sections import AugmentConfig
from mammolens.preprocess import PreprocessConfig, prepare

EVERYTHING = AugmentConfig(elastic=0.25, elastic_cells=5, blur_px=1.5, cutout=4, cutout_side=0.3)
SHAPE = (192, 128)


def drawn(seed: int, config: AugmentConfig = EVERYTHING) -> Augmentation:
    return draw_augmentation(np.random.default_rng(seed), config)


def breast() -> Any:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    inside = ((y - 96) / 80) ** 2 + (x / 100) ** 2 < 1
    texture = np.random.default_rng(0).normal(120, 20, SHAPE)
    return np.where(inside, np.clip(texture, 1, 255), 0).astype(np.uint8)


def test_an_old_configuration_draws_what_it_always_drew() -> None:
    rng = np.random.default_rng((1, 2, 3))
    changes = [draw_augmentation(rng, AugmentConfig()) for _ in range(2)]
    assert changes[1] == Augmentation(
        rotation_deg=-5.183610204362608,
        flip_horizontal=True,
        flip_vertical=False,
        zoom=1.1223096665299397,
        stretch=0.9684071238074546,
        shift=(-0.042387120374249326, -0.042152218834278776),
        contrast=0.82607598723899,
        brightness=0.06861985503295556,
        gamma=1.1152018604461047,
        noise=0.020157029780888038,
        noise_seed=1601705976,
    )
    assert int(rng.integers(2**62)) == 3290410312773138972


@pytest.mark.parametrize("name", ["elastic", "blur_px", "cutout"])
def test_switching_one_change_on_leaves_every_other_draw(name: str) -> None:
    off = EVERYTHING.model_copy(update={name: 0})
    nothing: dict[str, dict[str, Any]] = {
        "elastic": {"elastic": 0.0, "elastic_cells": 6, "elastic_seed": 0},
        "blur_px": {"blur_px": 0.0},
        "cutout": {"erased": ()},
    }
    for seed in range(20):
        assert drawn(seed, off) == replace(drawn(seed), **nothing[name])


def test_everything_drawn_stays_within_its_range_and_occurs() -> None:
    changes = [drawn(seed) for seed in range(200)]
    assert 0.2 < max(c.elastic for c in changes) <= 0.25
    assert 1.2 < max(c.blur_px for c in changes) <= 1.5
    assert {len(c.erased) for c in changes} == {0, 1, 2, 3, 4}
    boxes = np.array([box for c in changes for box in c.erased])
    sides = boxes[:, 2:] - boxes[:, :2]
    assert boxes.min() >= 0
    assert boxes.max() <= 1
    assert (sides > 0).all()
    assert 0.25 < sides.max() <= 0.3


def test_the_picture_is_left_alone_and_its_background_stays_black() -> None:
    picture = breast()
    before = picture.copy()
    for seed in range(20):
        change = drawn(seed)
        out = apply_augmentation(picture, change)
        assert (picture == before).all()
        assert (out.dtype, out.shape) == (np.uint8, SHAPE)
        moved = apply_augmentation(
            picture, replace(change, noise=0.0, blur_px=0.0, brightness=0.3, erased=())
        )
        assert not out[(moved == 0)].any()


def test_erased_boxes_are_black_and_nothing_else_changes() -> None:
    picture = np.full((10, 20), 200, np.uint8)
    change = Augmentation(erased=((0.2, 0.5, 0.4, 0.75), (0.0, 0.0, 0.1, 0.05)))
    out = apply_augmentation(picture, change)
    expected = picture.copy()
    expected[2:4, 10:15] = 0
    expected[0, 0] = 0
    assert (out == expected).all()
    assert (erased_pixels(picture.shape, change) == (expected == 0)).all()
    assert (apply_to_mask(picture, change) == picture).all()


def test_blur_smooths() -> None:
    picture = breast()
    sharp, soft = (
        apply_augmentation(picture, Augmentation(blur_px=px)).astype(float) for px in (0.0, 1.5)
    )
    inside = np.s_[60:130, 10:60]
    assert soft[inside].std() < 0.5 * sharp[inside].std()


@pytest.mark.parametrize("seed", range(8))
def test_bending_folds_nothing(seed: int) -> None:
    change = replace(drawn(seed), elastic=0.25)
    affine = np.array([[1.0, 0, 0], [0, 1, 0]])
    x, y = source_coordinates(
        (240, 160), affine, strength=0.25, cells=change.elastic_cells, seed=change.elastic_seed
    )
    (xr, xc), (yr, yc) = np.gradient(x.astype(float)), np.gradient(y.astype(float))
    jacobian = xc * yr - xr * yc
    assert jacobian.min() > 0
    assert jacobian.max() > 1.1, "nothing was bent"
    rows, cols = np.mgrid[:240, :160]
    assert np.abs(y - rows).max() <= 0.25 * 240 / 5 + 1e-3
    assert np.abs(x - cols).max() <= 0.25 * 160 / 5 + 1e-3


def test_without_bending_the_splines_give_the_affine_change() -> None:
    turn = cv2.getRotationMatrix2D((30.0, 50.0), 20, 1.1)
    x, y = source_coordinates((100, 60), turn, strength=0.0, cells=7, seed=0)
    back = cv2.invertAffineTransform(turn)
    rows, cols = np.mgrid[:100, :60]
    expected = np.tensordot(back, np.stack([cols, rows, np.ones_like(cols)]), 1)
    np.testing.assert_allclose(np.stack([x, y]), expected, atol=1e-3)


@pytest.mark.parametrize("bent", [False, True])
def test_masks_and_boxes_follow_the_picture(bent: bool) -> None:
    """A white lesion on grey is found in the moved picture where its mask and its box went."""
    picture = np.full(SHAPE, 60, np.uint8)
    cv2.ellipse(picture, (60, 90), (18, 11), 0, 0, 360, 255, -1)
    mask = np.where(picture == 255, 255, 0).astype(np.uint8)
    for seed in range(10):
        config = EVERYTHING if bent else AugmentConfig()
        change = replace(
            drawn(seed, config),
            noise=0.0, blur_px=0.0, contrast=1.0, brightness=0.0, gamma=1.0, erased=(),
        )  # fmt: skip
        seen = apply_augmentation(picture, change) > 157
        moved = apply_to_mask(mask, change)
        assert set(np.unique(moved)) <= {0, 255}
        assert (seen & (moved > 0)).sum() / (seen | (moved > 0)).sum() > 0.93


@pytest.mark.parametrize(("key", "value"), [("elastic", 0.3), ("cutout", -1), ("cutout_side", 0)])
def test_ranges_that_would_break_a_picture_are_refused(tmp_path: Path, key, value) -> None:
    path = tmp_path / "run.toml"
    path.write_text('name = "x"\n[data]\nmanifests = ["a.csv"]\n')
    with pytest.raises(ConfigError, match=rf"augment\.{key}"):
        read_run(path, [f"augment.{key}={value}"])


def test_captions_say_what_was_drawn() -> None:
    change = Augmentation(elastic=0.1, elastic_cells=5, erased=((0, 0, 1, 1),), shift=(0.02, 0.0))
    assert caption(change) == "shift +2% +0%, bend 0.10/5, erased 1"


@pytest.fixture
def run_toml(tmp_path: Path) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(
        'name = "x"\n[data]\nmanifests = ["a.csv"]\n[preprocess]\nheight = 128\nwidth = 96\n'
        "[augment]\nelastic = 0.2\ncutout = 2\n"
    )
    return path


def film(path: Path) -> Path:
    y, x = np.mgrid[:300, :240]
    inside = ((y - 150) / 130) ** 2 + (x / 170) ** 2 < 1
    texture = np.random.default_rng(1).normal(110, 15, inside.shape)
    cv2.imwrite(str(path), np.where(inside, np.clip(texture, 30, 250), 0).astype(np.uint8))
    return path


def view_of(path: Path) -> PreparedView:
    from mammolens.images import read_image

    return prepare(read_image(path), PreprocessConfig(height=128, width=96))


def test_the_sheet_shows_the_picture_and_the_very_draws(tmp_path: Path) -> None:
    view = view_of(film(tmp_path / "a.png"))
    sheet = draw_sheet([view, view], EVERYTHING, variants=3, seed=5)
    assert sheet.shape[1] == 4 * 264
    rng = np.random.default_rng((5, 0))
    draw_augmentation(rng, EVERYTHING)
    second = apply_augmentation(view.pixels, draw_augmentation(rng, EVERYTHING))
    cell = cv2.resize(second, (256, round(128 * 256 / 96)), interpolation=cv2.INTER_AREA)
    left = 2 * 264 + 4
    grey = sheet[..., 0]
    tops = [
        top
        for top in range(sheet.shape[0] - cell.shape[0])
        if (
            grey[top + 1 : top + cell.shape[0] - 1, left + 1 : left + 255] == cell[1:-1, 1:-1]
        ).all()
    ]
    assert len(tops) == 1
    again, other = (draw_sheet([view, view], EVERYTHING, variants=3, seed=s) for s in (5, 6))
    assert np.array_equal(sheet, again)
    assert not np.array_equal(sheet, other)


def test_the_command_writes_a_sheet(run_toml: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    out = tmp_path / "new" / "sheet.png"
    words = ["augment", run_toml, film(tmp_path / "a.png"), film(tmp_path / "b.png"), "-o", out]
    words += ["--variants", 2, "--seed", 4, "--set", "augment.blur_px=1"]
    monkeypatch.setattr(sys, "argv", ["mammolens", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code in (0, None)
    assert capsys.readouterr().out.strip() == str(out)
    picture = cv2.imread(str(out))
    assert picture is not None
    assert picture.shape[1] == 3 * 264
    assert [path.name for path in out.parent.iterdir()] == ["sheet.png"]


def test_bad_input_leaves_no_sheet(run_toml: Path, tmp_path: Path) -> None:
    config = read_run(run_toml)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    out = tmp_path / "sheet.png"
    with pytest.raises(InputError, match=r"broken\.png"):
        write_sheet(config, [broken], out)
    with pytest.raises(ConfigError, match="no image"):
        write_sheet(config, [], out)
    with pytest.raises(ConfigError, match="is a PNG"):
        write_sheet(config, [broken], tmp_path / "sheet.jpg")
    with pytest.raises(StorageError, match="cannot be written"):
        write_sheet(config, [film(tmp_path / "a.png")], broken / "sheet.png")
    assert not out.exists()
