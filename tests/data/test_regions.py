"""Images become lesions: boxes, circles, masks, stored crops, and the images that are left out."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mammolens.data.cache import build_cache, prepare_record
from mammolens.data.lesions import Lesion, LesionKind
from mammolens.data.manifest import Manifest, Record
from mammolens.data.regions import region_box, region_records
from mammolens.errors import InvalidManifest
from mammolens.preprocess import RegionConfig

CONFIG = RegionConfig(height=64, width=64)


def draw(path: Path, rows: int = 300, cols: int = 220, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :cols]
    inside = ((y - rows / 2) / (0.45 * rows)) ** 2 + (x / (0.9 * cols)) ** 2 < 1
    cv2.imwrite(str(path), np.where(inside, rng.integers(60, 200, inside.shape), 0))
    return path


def draw_mask(path: Path, rows: int, cols: int, box: tuple[int, int, int, int]) -> Path:
    mask = np.zeros((rows, cols), np.uint8)
    mask[box[0] : box[2], box[1] : box[3]] = 255
    mask[2:4, 2:4] = 255
    cv2.imwrite(str(path), mask)
    return path


def record(path: Path, name: str = "a", **changes) -> Record:
    return Record("set", name, f"p-{name}", path, **changes)


def test_every_marked_lesion_is_a_record_with_its_own_label(tmp_path) -> None:
    image = draw(tmp_path / "a.png")
    mask = draw_mask(tmp_path / "m.png", 300, 220, (50, 60, 90, 120))
    lesions = (
        Lesion(LesionKind.MASS, True, box_source_px=(100.0, 20.0, 140.0, 80.5)),
        Lesion(None, False, circle_source_px=(200.0, 50.0, 20.0)),
        Lesion(None, False, mask_path=mask),
    )
    regions = region_records(Manifest.of([record(image, malignant=True, lesions=lesions)]))
    assert [(r.image_id, r.malignant) for r in regions.records] == [
        ("a[100,20,140,80.5]", True),
        ("a[180,30,220,70]", False),
        ("a[50,60,90,120]", False),
    ]
    assert all(r.tumour and r.patient_id == "p-a" for r in regions.records)
    assert regions.records[0].lesions[0].kind is LesionKind.MASS
    assert regions.records[1].lesion_centre_px == (200.0, 50.0)
    assert regions.cautions == ()
    view = prepare_record(regions.records[2], CONFIG)
    assert view.geometry.crop_source_px == (37, 57, 103, 123)
    assert region_records(regions).records == regions.records


def test_a_lesion_has_its_image_s_label_only_where_it_can_be_its_own(tmp_path) -> None:
    image = draw(tmp_path / "a.png")
    one = Lesion(box_source_px=(100.0, 20.0, 140.0, 80.0))
    two = Lesion(box_source_px=(180.0, 20.0, 240.0, 80.0))
    manifest = Manifest.of(
        [
            record(image, "alone", malignant=True, lesions=(one,)),
            record(image, "ill", malignant=True, lesions=(one, two)),
            record(image, "well", malignant=False, lesions=(one, two)),
        ]
    )
    labels = [r.malignant for r in region_records(manifest).records]
    assert labels == [True, None, None, False, False]


def test_a_crop_stays_whole_with_or_without_its_mask(tmp_path) -> None:
    image = draw(tmp_path / "crop.png", 256, 256)
    mask = draw_mask(tmp_path / "m.png", 256, 256, (12, 40, 244, 210))
    masked = record(image, "a", malignant=False, lesions=(Lesion(mask_path=mask),))
    bare = record(image, "b", malignant=True)
    regions = region_records(Manifest.of([masked, bare]))
    assert [r.image_id for r in regions.records] == ["a", "b"]
    assert all(region_box(r) is None and r.tumour for r in regions.records)
    assert regions.records[0].allowed == (False, True, False)
    view = prepare_record(regions.records[0], CONFIG)
    assert view.geometry.crop_source_px == (0, 0, 256, 256)
    assert region_records(regions).records == regions.records


def test_normal_and_unmarked_images_are_left_out_and_counted(tmp_path) -> None:
    image = draw(tmp_path / "a.png")
    empty = draw_mask(tmp_path / "none.png", 300, 220, (0, 0, 0, 0))
    cv2.imwrite(str(empty), np.zeros((300, 220), np.uint8))
    manifest = Manifest.of(
        [
            record(
                image,
                "marked",
                malignant=True,
                lesions=(Lesion(box_source_px=(100.0, 20.0, 140.0, 80.0)),),
            ),
            record(image, "unmarked", malignant=True),
            record(image, "normal", tumour=False),
            record(image, "empty", malignant=True, lesions=(Lesion(mask_path=empty),)),
            record(image, "lost", malignant=True, lesions=(Lesion(mask_path=tmp_path / "no.png"),)),
        ]
    )
    regions = region_records(manifest)
    assert [r.image_id for r in regions.records] == ["marked[100,20,140,80]"]
    assert str(regions.cautions[0]) == (
        "left_out: 1 images without a marked lesion, 2 lesions whose mask cannot be used, "
        "1 normal images left out"
    )


def test_a_table_without_lesions_is_refused(tmp_path) -> None:
    manifest = Manifest.of([record(draw(tmp_path / "a.png"), tumour=False)])
    with pytest.raises(InvalidManifest, match="no lesion: 1 normal images left out"):
        region_records(manifest)


def test_the_cache_holds_regions_and_refuses_impossible_ones(tmp_path) -> None:
    image = draw(tmp_path / "a.png")
    lesions = (
        Lesion(None, True, box_source_px=(100.0, 20.0, 140.0, 80.0)),
        Lesion(None, False, box_source_px=(900.0, 900.0, 950.0, 950.0)),
    )
    regions = region_records(Manifest.of([record(image, malignant=True, lesions=lesions)]))
    cache = build_cache(regions, CONFIG, tmp_path / "cache")
    assert [r.malignant for r in cache.records] == [True]
    assert "outside the image" in next(iter(cache.refused.values()))
    expected = prepare_record(cache.records[0], CONFIG).pixels
    assert (cache.picture(0) == expected).all()
