"""The header's grey scale, padding and orientation, compared with the picture of the breast."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mammolens.core import (
    ImageRef,
    Mammogram,
    Orientation,
    Photometric,
    SourceHeader,
    VoiFunction,
    VoiLut,
    Window,
)
from mammolens.preprocess import (
    PreprocessConfig,
    RegionConfig,
    display_of,
    prepare,
    prepare_region,
)

CONFIG = PreprocessConfig()
EXACT = VoiFunction.LINEAR_EXACT


def breast(rows: int = 800, cols: int = 600, *, right: bool = False) -> np.ndarray:
    """A half disc with structure, 12 bit, its chest wall at the left or right."""
    y, x = np.mgrid[:rows, :cols]
    inside = ((y - rows / 2) / (0.42 * rows)) ** 2 + (x / (0.62 * cols)) ** 2 < 1
    grain = np.random.default_rng(0).normal(0, 40, (rows, cols))
    lit = 1700 + 900 * np.sin(y / 37) * np.cos(x / 41) + grain
    picture = np.where(inside, lit, 0).clip(0, 4095).astype(np.uint16)
    return np.ascontiguousarray(picture[:, ::-1]) if right else picture


PICTURE = breast()
WIDE = Window(2048.0, 4096.0)
BY_ROW = Orientation(0, False, "PatientOrientation")


def mammogram(pixels: np.ndarray = PICTURE, **changes) -> Mammogram:
    return Mammogram(ImageRef("a.dcm", spacing_mm=(0.1, 0.2)), SourceHeader(), pixels, **changes)


def notes(view) -> list[tuple[str, bool]]:
    return [(caution.name, caution.doubt) for caution in view.cautions]


def table(first: int, values: list[float] | np.ndarray) -> VoiLut:
    return VoiLut(first, np.asarray(values, np.float32))


SOUND = {
    "no grey scale": {},
    "a window": {"voi": WIDE},
    "a sigmoid": {"voi": Window(1800.0, 2500.0, VoiFunction.SIGMOID)},
    "a table": {"voi": table(0, np.arange(4096) ** 1.5)},
    "a table of a part": {"voi": table(600, np.arange(2900))},
    "padding of air": {"padding": (0.0, 0.0)},
    "padding of noise in air": {"padding": (0.0, 60.0)},
    "upright": {"orientation": BY_ROW},
    "turned by nothing": {"orientation": Orientation(0, None, "Exif Orientation")},
}


@pytest.mark.parametrize("case", SOUND)
def test_a_sound_header_is_followed_without_a_caution(case: str) -> None:
    view = prepare(mammogram(**SOUND[case]), CONFIG)
    assert view.cautions == ()
    assert view.voi == SOUND[case].get("voi")
    assert view.padding == SOUND[case].get("padding")


USELESS = {
    "off the values": Window(30000.0, 100.0),
    "one step": Window(1500.0, 1.0),
    "wide beyond measure": Window(30000.0, 65536.0),
    "all white": Window(300.0, 200.0),
    "all black": Window(3800.0, 200.0),
    "a table of 256 entries": table(0, range(256)),
    "a table of one value": table(0, [7.0, 7.0]),
    "a table that ends early": table(0, range(1000)),
}


@pytest.mark.parametrize("case", USELESS)
def test_a_grey_scale_that_does_not_show_the_breast_is_not_used(case: str) -> None:
    plain = prepare(mammogram(), CONFIG)
    alone = prepare(mammogram(voi=USELESS[case]), CONFIG)
    assert notes(alone) == [("window_ignored", True)]
    assert alone.voi is None
    np.testing.assert_array_equal(alone.pixels, plain.pixels)
    beside = prepare(mammogram(voi=USELESS[case], other_voi=(USELESS[case], WIDE)), CONFIG)
    assert notes(beside) == [("window_ignored", False)]
    assert beside.voi == WIDE
    np.testing.assert_array_equal(beside.pixels, prepare(mammogram(voi=WIDE), CONFIG).pixels)
    shown = display_of(mammogram(voi=USELESS[case], other_voi=(WIDE,)), beside, 400).pixels
    assert shown.std() > 30


def test_an_inverting_table_and_monochrome1_cancel_out() -> None:
    """An inverting table with MONOCHROME1, or with negative values, shows a bright breast."""
    negative = (4095 - PICTURE).astype(np.uint16)
    view = prepare(
        mammogram(
            PICTURE, voi=table(0, 4095.0 - np.arange(4096)), photometric=Photometric.MONOCHROME1
        ),
        CONFIG,
    )
    assert notes(view) == []
    other = prepare(mammogram(negative, voi=table(0, 4095.0 - np.arange(4096))), CONFIG)
    assert notes(other) == []
    assert np.abs(view.pixels.astype(int) - other.pixels).mean() < 1


@pytest.mark.parametrize("photometric", list(Photometric))
@pytest.mark.parametrize(
    ("share", "doubted"), [(0.0, False), (0.02, False), (0.1, True), (0.3, True)]
)
def test_a_breast_that_is_partly_white_is_doubted(photometric, share: float, doubted) -> None:
    inside = PICTURE[PICTURE > 0]
    burnt = np.minimum(PICTURE, np.quantile(inside, 1 - share)).astype(np.uint16)
    if photometric is Photometric.MONOCHROME1:
        burnt = (4095 - burnt).astype(np.uint16)
    view = prepare(mammogram(burnt, photometric=photometric), CONFIG)
    assert notes(view) == ([("saturated", True)] if doubted else [])


def test_a_window_that_blackens_much_of_the_breast_is_doubted() -> None:
    inside = PICTURE[PICTURE > 0]
    low, high = float(np.quantile(inside, 0.4)), float(inside.max())
    view = prepare(mammogram(voi=Window((low + high) / 2, high - low, EXACT)), CONFIG)
    assert ("saturated", True) in notes(view)


def test_a_plateau_below_white_is_doubted() -> None:
    """A modality table that ends early leaves one grey, which a wide window does not make white."""
    flat = np.minimum(PICTURE, np.quantile(PICTURE[PICTURE > 0], 0.6)).astype(np.uint16)
    view = prepare(mammogram(flat, voi=WIDE), CONFIG)
    assert notes(view) == [("saturated", True)]


@pytest.mark.parametrize(("greys", "doubted"), [(5, True), (16, True), (64, False), (256, False)])
def test_a_breast_of_few_greys_is_doubted(greys: int, doubted: bool) -> None:
    y, x = np.mgrid[:800, :600]
    smooth = np.where(PICTURE > 0, 600 + 3 * x + 2 * y, 0)
    step = (smooth.max() - 600) / greys
    coarse = np.where(smooth > 0, 600 + np.floor((smooth - 600) / step) * step, 0)
    view = prepare(mammogram(coarse.astype(np.uint16)), CONFIG)
    assert bool({"few_greys", "saturated"} & {name for name, _ in notes(view)}) is doubted


@pytest.mark.parametrize(
    "padding",
    [(0.0, 4095.0), (1500.0, 4095.0), (2200.0, 4095.0), (100.0, 1500.0)],
)
@pytest.mark.parametrize("voi", [None, WIDE])
def test_padding_over_tissue_is_not_applied(padding, voi) -> None:
    plain = prepare(mammogram(voi=voi), CONFIG)
    view = prepare(mammogram(voi=voi, padding=padding), CONFIG)
    assert notes(view) == [("padding_ignored", True)]
    assert view.padding is None
    np.testing.assert_array_equal(view.pixels, plain.pixels)


def test_padding_of_the_value_that_tissue_is_burnt_to_is_not_applied() -> None:
    burnt = np.minimum(PICTURE, np.uint16(2300))
    view = prepare(mammogram(burnt, padding=(2300.0, 2300.0)), CONFIG)
    assert ("padding_ignored", True) in notes(view)


def test_a_bright_border_is_padding_and_does_not_dim_the_breast() -> None:
    bordered = PICTURE.copy()
    bordered[:, 480:] = 65535
    view = prepare(mammogram(bordered, padding=(65535.0, 65535.0)), CONFIG)
    assert notes(view) == []
    assert view.geometry.crop_source_px[3] < 480
    clean = prepare(mammogram(PICTURE), CONFIG)
    assert np.abs(view.pixels.astype(int) - clean.pixels).mean() < 3


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turn_in_the_header_gives_the_same_view_as_the_upright_picture(
    right: bool, quarters: int
) -> None:
    upright = breast(right=right)
    stated = Orientation(quarters, right, "PatientOrientation")
    stored = np.ascontiguousarray(np.rot90(upright, quarters))
    ref = ImageRef("a.dcm", spacing_mm=(0.2, 0.1), pixel_aspect=2.0)
    if quarters == 2:
        ref = replace(ref, spacing_mm=(0.1, 0.2), pixel_aspect=0.5)
    view = prepare(Mammogram(ref, SourceHeader(), stored, orientation=stated), CONFIG)
    expected = prepare(
        Mammogram(
            ImageRef("a.dcm", spacing_mm=(0.1, 0.2), pixel_aspect=0.5), SourceHeader(), upright
        ),
        CONFIG,
    )
    np.testing.assert_array_equal(view.pixels, expected.pixels)
    np.testing.assert_array_equal(view.mask, expected.mask)
    assert view.ref == ref
    assert view.geometry == expected.geometry.stored_turned(quarters)
    assert view.geometry.source_shape == stored.shape
    assert notes(view) == [("turned_upright", False)]


def test_a_marked_region_is_turned_with_its_picture() -> None:
    config, upright = RegionConfig(), (300.0, 60.0, 420.0, 160.0)
    expected = prepare_region(mammogram(), upright, config)
    stored = mammogram(
        np.ascontiguousarray(np.rot90(PICTURE)),
        orientation=Orientation(1, None, "Exif Orientation"),
    )
    box = (600 - 160.0, 300.0, 600 - 60.0, 420.0)
    view = prepare_region(stored, box, config)
    np.testing.assert_array_equal(view.pixels, expected.pixels)
    assert view.geometry.source_shape == (600, 800)
    assert np.allclose(
        view.geometry.box_to_prepared(box), expected.geometry.box_to_prepared(upright)
    )


@pytest.mark.parametrize("quarters", [1, 3])
@pytest.mark.parametrize("stated", [None, BY_ROW, Orientation(2, None, "Exif Orientation")])
def test_a_breast_on_its_side_without_a_turn_in_the_header_is_a_doubt_and_not_turned(
    quarters, stated
) -> None:
    stored = np.ascontiguousarray(np.rot90(PICTURE, quarters))
    view = prepare(mammogram(stored, orientation=stated), CONFIG)
    assert ("lies_on_its_side", True) in notes(view)
    assert view.geometry.quarter_turns == (stated.quarter_turns if stated else 0)


@pytest.mark.parametrize("quarters", [1, 3])
def test_an_upright_breast_that_the_header_calls_turned_is_a_doubt_and_not_turned(
    quarters: int,
) -> None:
    stated = Orientation(quarters, False, "PatientOrientation")
    view = prepare(mammogram(orientation=stated), CONFIG)
    assert notes(view) == [("orientation_contradicted", True)]
    np.testing.assert_array_equal(view.pixels, prepare(mammogram(), CONFIG).pixels)


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("right", [False, True])
def test_a_chest_wall_at_the_other_side_than_in_the_header_is_a_doubt(
    quarters: int, right: bool
) -> None:
    stored = np.ascontiguousarray(np.rot90(breast(right=right), quarters))
    for said in (False, True):
        stated = Orientation(quarters, said, "PatientOrientation")
        view = prepare(mammogram(stored, orientation=stated), CONFIG)
        assert (("orientation_contradicted", True) in notes(view)) is (said is not right)
        assert view.geometry.quarter_turns == quarters
