"""The frozen types refuse impossible values, and the geometry is exact in both directions."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammolens import core
from mammolens.errors import ConfigError, NotAnImage

REF = core.ImageRef(path="a.png")
MODEL = core.ModelId("m", "1", "0" * 64)


def prediction(**changes: Any) -> core.Prediction:
    fields: dict[str, Any] = {
        "patient_id": "P",
        "study_instance_uid": None,
        "category": core.TriageCategory.LOW,
        "scores": core.Scores(0.9, 0.06, 0.04),
        "breasts": (),
        "images": (),
        "unreadable": (),
        "cautions": (),
        "model": MODEL,
        "prevalence": 0.1,
        "elapsed_s": 1.0,
    }
    return core.Prediction(**(fields | changes))


@pytest.mark.parametrize("shape", [(3,), (2, 2, 3), (0, 5)])
def test_mammogram_needs_two_dimensions(shape: tuple[int, ...]) -> None:
    with pytest.raises(NotAnImage, match=r"a\.png"):
        core.Mammogram(REF, core.SourceHeader(), np.zeros(shape, np.uint16))


def test_arrays_are_read_only() -> None:
    image = core.Mammogram(REF, core.SourceHeader(), np.zeros((2, 2), np.uint16))
    with pytest.raises(ValueError, match="read-only"):
        image.pixels[0, 0] = 1


def test_names_stay_out_of_reprs() -> None:
    header = core.SourceHeader(
        patient_name="DOE^JANE", patient_birth_date="19500102", referring_physician_name="ROE"
    )
    assert not {"DOE", "19500102", "ROE"} & set(repr(header).replace("'", " ").split())
    assert "JANE" not in repr(header)


@pytest.mark.parametrize("aspect", [0.0, -1.0, float("nan"), float("inf"), 100.0])
def test_impossible_pixel_aspects_are_refused(aspect: float) -> None:
    with pytest.raises(ConfigError, match="PixelAspectRatio"):
        core.ImageRef(path="a.png", pixel_aspect=aspect)


@pytest.mark.parametrize(
    "parts", [(0.5, 0.5, 0.5), (1.2, -0.1, -0.1), (float("nan"), 0.5, 0.5), (0.0, 0.0, 0.0)]
)
def test_scores_must_be_a_distribution(parts: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        core.Scores(*parts)


def test_tumour_is_the_complement_of_normal() -> None:
    assert core.Scores(0.7, 0.2, 0.1).tumour == pytest.approx(0.3)


def test_a_failed_exam_never_has_scores() -> None:
    with pytest.raises(ValueError, match="exactly when"):
        prediction(category=core.TriageCategory.FAILED)


@pytest.mark.parametrize("category", [c for c in core.TriageCategory if c.value != "failed"])
def test_no_category_without_scores(category: core.TriageCategory) -> None:
    with pytest.raises(ValueError, match="exactly when"):
        prediction(category=category, scores=None)


def test_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        prediction().category = core.TriageCategory.HIGH  # type: ignore[misc]


def test_exam_lists_all_images_and_cannot_be_changed() -> None:
    first, second = (
        core.Mammogram(core.ImageRef(path=p), core.SourceHeader(), np.ones((2, 2))) for p in "ab"
    )
    exam = core.Exam("P", None, {(core.Laterality.LEFT, None): (first,), (None, None): (second,)})
    assert exam.mammograms == (first, second)
    with pytest.raises(TypeError):
        exam.views[(None, None)] = ()  # type: ignore[index]


@pytest.mark.parametrize("crop", [(0, 0, 0, 5), (5, 0, 4, 5), (0, 0, 11, 5), (-1, 0, 4, 5)])
def test_a_crop_lies_within_its_source(crop: tuple[int, int, int, int]) -> None:
    with pytest.raises(ConfigError, match="crop"):
        core.Geometry((10, 5), crop, (4, 4), (0, 0), (4, 4), flipped=False)


@st.composite
def geometries(draw: st.DrawFn) -> core.Geometry:
    rows, cols = draw(st.integers(2, 4000)), draw(st.integers(2, 4000))
    r0, c0 = draw(st.integers(0, rows - 1)), draw(st.integers(0, cols - 1))
    r1, c1 = draw(st.integers(r0 + 1, rows)), draw(st.integers(c0 + 1, cols))
    scaled = draw(st.integers(1, 1200)), draw(st.integers(1, 1200))
    offset = draw(st.integers(0, 64)), draw(st.integers(0, 64))
    return core.Geometry(
        source_shape=(rows, cols),
        crop_source_px=(r0, c0, r1, c1),
        scaled_shape=scaled,
        offset_px=offset,
        prepared_shape=(scaled[0] + offset[0], scaled[1] + offset[1]),
        flipped=draw(st.booleans()),
    )


fractions = st.tuples(*[st.floats(0, 1)] * 4)


@given(geometries(), fractions)
def test_boxes_return_within_half_a_pixel(
    geometry: core.Geometry, parts: tuple[float, float, float, float]
) -> None:
    r0, c0, r1, c1 = geometry.crop_source_px
    rows = sorted(r0 + (r1 - r0) * part for part in parts[:2])
    cols = sorted(c0 + (c1 - c0) * part for part in parts[2:])
    box = (rows[0], cols[0], rows[1], cols[1])
    prepared = geometry.box_to_prepared(box)
    assert prepared[0] <= prepared[2]
    assert prepared[1] <= prepared[3]
    assert geometry.box_to_source(prepared) == pytest.approx(box, abs=0.5)


@given(geometries())
def test_the_crop_fills_the_scaled_frame(geometry: core.Geometry) -> None:
    r0, c0, r1, c1 = (float(edge) for edge in geometry.crop_source_px)
    (dr, dc), (height, width) = geometry.offset_px, geometry.scaled_shape
    expected = (dr, dc, dr + height, dc + width)
    assert geometry.box_to_prepared((r0, c0, r1, c1)) == pytest.approx(expected, abs=1e-6)


@given(geometries(), st.tuples(*[st.floats(-2000, 4000)] * 4))
def test_returned_boxes_stay_inside_the_source(
    geometry: core.Geometry, box: tuple[float, float, float, float]
) -> None:
    r0, c0, r1, c1 = geometry.box_to_source(box)
    height, width = geometry.source_shape
    assert 0 <= min(r0, r1) <= max(r0, r1) <= height
    assert 0 <= min(c0, c1) <= max(c0, c1) <= width


def test_flipping_mirrors_left_and_right() -> None:
    geometry = core.Geometry((10, 10), (0, 0, 10, 10), (10, 10), (0, 0), (10, 10), flipped=True)
    assert geometry.box_to_prepared((1.0, 2.0, 3.0, 4.0)) == (1.0, 6.0, 3.0, 8.0)
