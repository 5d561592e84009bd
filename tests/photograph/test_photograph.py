"""Photographs of films: good ones become straight films, bad ones are refused with their reason."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from photograph_inputs import BAD, LEVELS, bad_photograph, photograph_of

from mammolens.analysis import AnalysisOptions, analyze_photographs, parse_photographs
from mammolens.core import TriageCategory
from mammolens.errors import BadPhotograph, ConfigError, NotAMammogram, UnsupportedImage
from mammolens.images import read_image, read_photograph
from mammolens.model import ModelPackage
from mammolens.photograph import check_view, film_mammogram, straighten
from mammolens.photograph.light import linear_light

VIEW = parse_photographs(["LCC=a.jpg"])[0].view


@pytest.fixture(scope="module")
def film(sample_dir: Path) -> np.ndarray:
    path = next(sample_dir.rglob("*.dcm"))
    pixels = np.asarray(read_image(path).pixels, np.float32)
    small = cv2.resize(pixels, None, fx=0.35, fy=0.35, interpolation=cv2.INTER_AREA)
    return small / small.max()


@pytest.fixture(scope="module")
def photograph(film: np.ndarray) -> np.ndarray:
    return photograph_of(film, np.random.default_rng(1), LEVELS["usual"])


@pytest.fixture(scope="module")
def files(film: np.ndarray, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("photographs")
    made = {}
    for name in ("good", "glare"):
        rng = np.random.default_rng(2)
        one = photograph_of(film, rng, LEVELS["light"])
        if name == "glare":
            one = bad_photograph("glare", film, rng)
        made[name] = folder / f"{name}.jpg"
        cv2.imwrite(str(made[name]), one[..., ::-1])
    return made


def test_a_film_is_straightened(film: np.ndarray, photograph: np.ndarray) -> None:
    straight = straighten(photograph)
    rows, columns = straight.pixels.shape
    assert rows / columns == pytest.approx(film.shape[0] / film.shape[1], rel=0.04)
    assert straight.blur_share < 0.002
    like = cv2.resize(film, (columns, rows), interpolation=cv2.INTER_AREA)
    seen = np.asarray(straight.pixels, np.float32)
    inside = (slice(rows // 20, -rows // 20), slice(columns // 20, -columns // 20))
    bright = like[inside] > 0.3
    assert np.corrcoef(like[inside][bright], seen[inside][bright])[0, 1] > 0.95


def test_uneven_light_is_taken_out() -> None:
    grey = np.full((1200, 900), 0.6, np.float32)
    grey[:, ::2] = 0.55
    grey[500:700, 300:600] = 0.1
    uneven = photograph_of(grey, np.random.default_rng(3), LEVELS["strong"])
    pixels = np.asarray(straighten(uneven).pixels, np.float32)
    rows, columns = pixels.shape
    ends = [pixels[: rows // 5], pixels[-rows // 5 :]]
    means = [float(np.median(end[:, columns // 5 : -columns // 5])) for end in ends]
    assert means[0] == pytest.approx(means[1], rel=0.05)


@pytest.mark.parametrize("kind", BAD)
def test_bad_photographs_are_refused_by_name(kind: str, film: np.ndarray) -> None:
    made = bad_photograph(kind, film, np.random.default_rng(4))
    with pytest.raises(BadPhotograph) as refused:
        check_view(film_mammogram(straighten(made, "a.jpg"), "a.jpg", "0", *VIEW))
    assert BAD[kind] in refused.value.faults
    assert refused.value.remedy


def test_no_light_box_is_no_film() -> None:
    for picture in (np.zeros((900, 700, 3), np.uint8), np.full((900, 700, 3), 255, np.uint8)):
        with pytest.raises(BadPhotograph) as refused:
            straighten(picture)
        assert refused.value.faults == ("edges_not_found",)


def test_light_is_linear() -> None:
    codes = np.array([0, 128, 255], np.uint8)
    assert linear_light(codes) == pytest.approx([0.0, 0.2159, 1.0], abs=1e-3)


def test_the_ordinary_door_refuses_it(files: dict[str, Path]) -> None:
    with pytest.raises(NotAMammogram, match="coloured"):
        read_image(files["good"])


def test_the_result_is_never_low(files: dict[str, Path]) -> None:
    model = ModelPackage.load()
    given = parse_photographs([f"RCC={files['good']}", f"LCC={files['glare']}"])
    result = analyze_photographs(given, model, AnalysisOptions(display=False))
    assert result.category is not TriageCategory.LOW
    assert [image.ref.laterality for image in result.images] == [given[0].view[0]]
    assert [item.error for item in result.unreadable] == ["BadPhotograph"]
    assert "light is reflected" in result.unreadable[0].message
    assert any(caution.name == "film_photograph" for caution in result.images[0].cautions)


def test_a_low_score_is_withheld(files: dict[str, Path]) -> None:
    model = ModelPackage.load()
    shown = {f"{view}={files['good']}" for view in ("RCC",)}
    options = AnalysisOptions(
        display=False, complete_views=tuple(one.view for one in parse_photographs([*shown]))
    )
    result = analyze_photographs(parse_photographs([*shown]), model, options)
    withheld = [c.message for c in result.cautions if c.name == "low_withheld"]
    assert result.category is not TriageCategory.LOW
    assert not withheld or "photographs of films" in withheld[0]


@pytest.mark.parametrize("texts", [["a.jpg"], ["RCC="], ["XCC=a.jpg"], ["RCC=a.jpg", "LCC=a.jpg"]])
def test_photographs_need_a_view_each(texts: list[str]) -> None:
    with pytest.raises(ConfigError):
        parse_photographs(texts)


def test_heic_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    with pytest.raises(UnsupportedImage, match="HEIC"):
        read_photograph(path)


def test_exif_orientation_turns_it(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    picture = image.fromarray(
        np.arange(80 * 120 * 3, dtype=np.uint32).astype(np.uint8).reshape(80, 120, 3)
    )
    exif = image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.jpg", exif=exif, quality=95)
    assert read_photograph(tmp_path / "a.jpg").rgb.shape == (120, 80, 3)
