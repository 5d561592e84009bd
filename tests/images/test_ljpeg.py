"""DDSM's LJPEG: first line of PVRG, swapped sizes, densities of scanners, refusals."""

from __future__ import annotations

import zipfile

import imagecodecs
import numpy as np
import pytest

from mammolens.core import Laterality, Photometric, ViewPosition
from mammolens.errors import MissingAttribute, NotAMammogram, NotAnImage, UnsupportedImage
from mammolens.images import ImageFile, find_files, identify, read_header, read_image
from mammolens.images.decoders.pvrg import decode_pvrg
from mammolens.images.ljpeg import (
    DBA_M2100,
    HOWTEK_960,
    HOWTEK_MULTIRAD850,
    LUMISYS,
    optical_density,
)

CASE = "B_3024_1"
FILM = "LEFT_CC"


@pytest.fixture
def case(tmp_path, make_ljpeg):
    grey = make_ljpeg.film()
    make_ljpeg.save_case(tmp_path, CASE, {FILM: grey})
    return tmp_path / f"{CASE}.{FILM}.LJPEG", grey


@pytest.mark.parametrize("predictor", range(1, 8))
@pytest.mark.parametrize(("bits", "precision"), [(12, 12), (12, 16), (16, 16)])
def test_every_predictor_of_pvrg_is_decoded(make_ljpeg, predictor, bits, precision):
    grey = make_ljpeg.film(bits=bits)
    decoded = decode_pvrg(make_ljpeg.pvrg(grey, predictor, precision), "x")
    np.testing.assert_array_equal(decoded, grey)


@pytest.mark.parametrize("predictor", [2, 3, 6, 7])
def test_an_ordinary_decoder_gets_pvrg_wrong(make_ljpeg, predictor):
    """The reason for all this: were it not so, `decode_pvrg` would be needless."""
    grey = make_ljpeg.film()
    assert not np.array_equal(imagecodecs.jpeg8_decode(make_ljpeg.pvrg(grey, predictor)), grey)


@pytest.mark.parametrize("predictor", range(1, 8))
@pytest.mark.parametrize("bits", [12, 16])
def test_streams_that_keep_to_the_standard_are_decoded(make_ljpeg, predictor, bits):
    grey = make_ljpeg.film(bits=bits)
    data = imagecodecs.jpeg8_encode(grey, lossless=True, predictor=predictor, bitspersample=bits)
    np.testing.assert_array_equal(decode_pvrg(data, "x"), grey)
    np.testing.assert_array_equal(decode_pvrg(imagecodecs.ljpeg_encode(grey), "x"), grey)


def test_a_code_table_without_zero_differences(make_ljpeg):
    y, x = np.mgrid[:80, :70]
    grey = (1000 + 20 * x + 40 * y + 7 * ((x + y) % 2)).astype(np.uint16)
    data = make_ljpeg.pvrg(grey, 6)
    assert 0 not in data[data.index(b"\xff\xc4") + 21 : data.index(b"\xff\xda")]
    np.testing.assert_array_equal(decode_pvrg(data, "x"), grey)


def test_a_film_becomes_optical_density(case):
    path, grey = case
    image = read_image(path)
    assert image.photometric is Photometric.MONOCHROME1
    wanted = np.rint(1000 * np.clip((grey - 4096.99) / -1009.01, 0, 4))
    np.testing.assert_array_equal(image.pixels, wanted)
    ref = image.ref
    assert (ref.patient_id, ref.laterality, ref.view_position) == (
        *("B_3024", Laterality.LEFT, ViewPosition.CC),
    )
    assert (ref.spacing_mm, ref.age_years, ref.acquisition_date) == ((0.05, 0.05), 42, "19950207")
    assert ref.manufacturer == "LUMISYS"
    assert read_header(ImageFile(path)).ref.spacing_mm == ref.spacing_mm


def test_rows_and_columns_swapped_in_the_stream(case, make_ljpeg):
    path, grey = case
    path.write_bytes(make_ljpeg.pvrg(grey, columns=grey.shape[0]))
    image = read_image(path)
    assert image.pixels.shape == grey.shape
    wanted = np.rint(1000 * np.clip((grey - 4096.99) / -1009.01, 0, 4))
    np.testing.assert_array_equal(image.pixels, wanted)
    assert "ljpeg_size_swapped" in [caution.name for caution in image.cautions]


@pytest.mark.parametrize(
    ("calibration", "grey", "density"),
    [
        (DBA_M2100, 64064, 0.0),
        (DBA_M2100, 3797, 1.141),
        (DBA_M2100, 34, 3.045),
        (DBA_M2100, 0, 4.0),
        (HOWTEK_960, 0, 3.789),
        (HOWTEK_960, 4095, 0.0),
        (HOWTEK_MULTIRAD850, 2000, 1.985),
        (LUMISYS, 2000, 2.078),
    ],
)
def test_scales_of_the_scanners(calibration, grey, density):
    assert optical_density(np.array([grey]), calibration)[0] == pytest.approx(density, abs=1e-3)


def test_the_step_wedge_of_the_dba_scanner():
    """Grey values and densities as measured by DDSM's makers on their wedge."""
    grey = np.array([37201, 18445, 8296, 3797, 1772, 847, 393, 185, 94, 47])
    density = np.array([0.21, 0.50, 0.82, 1.13, 1.44, 1.74, 2.07, 2.37, 2.68, 2.99])
    np.testing.assert_allclose(optical_density(grey, DBA_M2100), density, atol=0.08)


@pytest.mark.parametrize(
    ("digitizer", "name", "calibration"),
    [
        ("DBA 21", "A_1004_1", DBA_M2100),
        ("HOWTEK", "A_1141_1", HOWTEK_960),
        ("HOWTEK 960", "A_1141_1", HOWTEK_960),
        ("HOWTEK", "D_4001_1", HOWTEK_MULTIRAD850),
        ("LUMISYS LASER", "C_0029_1", LUMISYS),
    ],
)
def test_each_scanner_has_its_calibration(tmp_path, make_ljpeg, digitizer, name, calibration):
    grey = make_ljpeg.film()
    make_ljpeg.save_case(tmp_path, name, {FILM: grey}, digitizer=digitizer)
    image = read_image(tmp_path / f"{name}.{FILM}.LJPEG")
    wanted = np.rint(1000 * optical_density(grey, calibration))
    np.testing.assert_array_equal(image.pixels, wanted)


def test_a_case_in_an_archive(case, tmp_path):
    path, _ = case
    archive = tmp_path / "case.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in (path, path.with_name("B-3024-1.ics")):
            packed.write(file, f"cancer_01/case3024/{file.name}")
    (found,), refused = find_files([archive])
    assert refused == []
    np.testing.assert_array_equal(read_image(found).pixels, read_image(path).pixels)


def test_without_its_header_a_film_is_refused(case):
    path, _ = case
    path.with_name("B-3024-1.ics").unlink()
    with pytest.raises(MissingAttribute, match=r"LEFT_CC\.LJPEG.*\.ics.*DIGITIZER.*together"):
        read_image(path)
    assert isinstance(identify(ImageFile(path)).refusal, MissingAttribute)


def test_a_film_that_the_header_does_not_list(case):
    path, _ = case
    other = path.with_name(f"{CASE}.RIGHT_CC.LJPEG")
    path.rename(other)
    with pytest.raises(MissingAttribute, match="LEFT_CC"):
        read_image(other)


def test_an_unknown_scanner_is_refused(tmp_path, make_ljpeg):
    make_ljpeg.save_case(tmp_path, CASE, {FILM: make_ljpeg.film()}, digitizer="VIDAR")
    with pytest.raises(UnsupportedImage, match=r"VIDAR.*DIGITIZER"):
        read_image(tmp_path / f"{CASE}.{FILM}.LJPEG")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda data: data[: len(data) // 2], NotAnImage, "truncated|ends"),
        (lambda data: data[:30], NotAnImage, "header|truncated"),
        (
            lambda data: data[:9] + b"\x40" + data[10:],
            NotAnImage,
            "pixels.*header of the case says",
        ),
        (lambda data: data.replace(b"\xff\xc3", b"\xff\xc0", 1), UnsupportedImage, "process"),
        (lambda data: b"GIF89a" + data, NotAnImage, "neither"),
    ],
)
def test_damaged_streams_are_refused(case, change, error, words):
    path, _ = case
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(error, match=words):
        read_image(path)


def test_values_beyond_the_depth_of_the_scanner_are_refused(tmp_path, make_ljpeg):
    make_ljpeg.save_case(tmp_path, CASE, {FILM: make_ljpeg.film(bits=14)}, bits=12)
    with pytest.raises(NotAnImage, match="BITS_PER_PIXEL"):
        read_image(tmp_path / f"{CASE}.{FILM}.LJPEG")


def test_an_empty_film_is_refused(tmp_path, make_ljpeg):
    make_ljpeg.save_case(tmp_path, CASE, {FILM: np.full((80, 70), 7, np.uint16)})
    with pytest.raises(NotAMammogram, match="empty"):
        read_image(tmp_path / f"{CASE}.{FILM}.LJPEG")


def test_a_header_without_films_is_refused(case):
    path, _ = case
    path.with_name("B-3024-1.ics").write_text("ics_version 1.0\nfilename B-3024-1\n")
    with pytest.raises(NotAnImage, match="LINES"):
        read_image(path)
