"""Header and stored numbers: readings that the numbers prove, and those they leave open."""

from __future__ import annotations

import numpy as np
import pytest

from mammolens.errors import NotAnImage
from mammolens.images import read_image
from mammolens.images.dicom.luts import GreyTable, fit_table
from mammolens.images.pixel_trust import Stored, ordered_bytes, trusted_values

JPEG = "1.2.840.10008.1.2.4."


def breast(rows: int = 240, columns: int = 180, top: int = 4000, seed: int = 0) -> np.ndarray:
    """A smooth half disc in air, brightest at its centre, with grain: uint16 from 0 to `top`."""
    y, x = np.mgrid[:rows, :columns]
    distance = np.hypot((y - rows / 2) / (rows / 2), x / columns)
    grain = np.random.default_rng(seed).normal(0, 0.002, (rows, columns))
    fine = 0.03 * np.sin(y / 7) * np.cos(x / 9)
    lit = np.where(distance < 0.9, 0.95 * (1 - distance**2) + 0.05 + fine, 0.01) + grain
    return np.rint(np.clip(lit, 0, 1) * top).astype(np.uint16)


PICTURE = breast()
SIGNED = PICTURE.astype(np.int16) - 1000


def exchanged(pixels: np.ndarray) -> np.ndarray:
    return pixels.reshape(-1, 2)[:, ::-1].reshape(pixels.shape)


def marked(pixels: np.ndarray, bit: int) -> np.ndarray:
    """A ring that an old workstation drew into an unused bit."""
    y, x = np.indices(pixels.shape)
    ring = np.abs(np.hypot(y - 120, x - 60) - 30) < 0.7
    return pixels | (ring * np.uint16(1 << bit)).astype(np.uint16)


def noisy(pixels: np.ndarray) -> np.ndarray:
    upper = np.random.default_rng(1).integers(0, 16, pixels.shape).astype(np.uint16)
    return pixels | upper << 12


SOUND = {
    "12 of 16 bits": (PICTURE, Stored(12, 11, False), PICTURE),
    "16 bits, 12 used": (PICTURE, Stored(16, 15, False), PICTURE),
    "16 bits": (PICTURE << 4, Stored(16, 15, False), PICTURE << 4),
    "8 bits": ((PICTURE >> 4).astype(np.uint8), Stored(8, 7, False), PICTURE >> 4),
    "left-justified": (PICTURE << 4, Stored(12, 15, False), PICTURE),
    "left-justified, overlays below": (PICTURE << 4 | 5, Stored(12, 15, False), PICTURE),
    "signed, 13 bits": (SIGNED.view("u2") & 0x1FFF, Stored(13, 12, True), SIGNED),
    "signed, extended": (SIGNED.view("u2"), Stored(13, 12, True), SIGNED),
    "signed, 16 bits": (SIGNED.view("u2"), Stored(16, 15, True), SIGNED),
    "signed, none negative": (PICTURE, Stored(16, 15, True), PICTURE.astype(np.int16)),
    "a declared overlay": (marked(PICTURE, 15), Stored(12, 11, False, 0x8000), PICTURE),
    "a drawn overlay": (marked(PICTURE, 13), Stored(12, 11, False), PICTURE),
}


@pytest.mark.parametrize("case", SOUND)
def test_a_header_that_is_right_is_followed_without_a_doubt(case: str) -> None:
    words, stored, wanted = SOUND[case]
    ordered, notes = ordered_bytes(words, stored.bits_stored, "a.dcm")
    values, more = trusted_values(ordered, stored, "a.dcm")
    np.testing.assert_array_equal(values, wanted)
    assert values.dtype.kind == wanted.dtype.kind
    assert not any(note.doubt for note in (*notes, *more))


WRONG = {
    "one bit too few": (PICTURE, Stored(11, 10, False), PICTURE, "bits_stored_wrong"),
    "two bits too few": (PICTURE, Stored(10, 9, False), PICTURE, "bits_stored_wrong"),
    "four bits too few": (PICTURE, Stored(8, 7, False), PICTURE, "bits_stored_wrong"),
    "14 bits said to be 12": (
        PICTURE << 2,
        Stored(12, 11, False),
        PICTURE << 2,
        "bits_stored_wrong",
    ),
    "left-justified said right": (
        PICTURE << 4,
        Stored(12, 11, False),
        PICTURE << 4,
        "bits_stored_wrong",
    ),
    "right-justified said left": (PICTURE, Stored(12, 15, False), PICTURE, "bits_stored_wrong"),
    "high bit one too high": (PICTURE, Stored(12, 12, False), PICTURE, "bits_stored_wrong"),
    "unsigned said signed": (PICTURE, Stored(12, 11, True), PICTURE, "sign_wrong"),
    "unsigned 16 said signed": (PICTURE << 4, Stored(16, 15, True), PICTURE << 4, "sign_wrong"),
    "unsigned 8 said signed": (
        (PICTURE >> 4).astype(np.uint8),
        Stored(8, 7, True),
        PICTURE >> 4,
        "sign_wrong",
    ),
    "signed said unsigned": (SIGNED.view("u2"), Stored(16, 15, False), SIGNED, "sign_wrong"),
    "signed 13 said unsigned": (
        SIGNED.view("u2") & 0x1FFF,
        Stored(13, 12, False),
        SIGNED,
        "sign_wrong",
    ),
    "extended said unsigned": (SIGNED.view("u2"), Stored(13, 12, False), SIGNED, "sign_wrong"),
    "a signed stream said unsigned": (SIGNED, Stored(13, 12, False), SIGNED, "sign_wrong"),
    "bytes swapped": (PICTURE.byteswap(), Stored(12, 11, False), PICTURE, "bytes_swapped"),
    "bytes of 16 bits swapped": (
        (PICTURE << 4 | 3).byteswap(),
        Stored(16, 15, False),
        PICTURE << 4 | 3,
        "bytes_swapped",
    ),
    "8 bits in 16 swapped": (
        (PICTURE >> 4).byteswap(),
        Stored(8, 7, False),
        PICTURE >> 4,
        "bytes_swapped",
    ),
    "pairs of 16 bits exchanged": (
        exchanged(PICTURE),
        Stored(12, 11, False),
        PICTURE,
        "bytes_swapped",
    ),
    "pairs of 8 bits exchanged": (
        exchanged((PICTURE >> 4).astype(np.uint8)),
        Stored(8, 7, False),
        PICTURE >> 4,
        "bytes_swapped",
    ),
    "noise above": (noisy(PICTURE), Stored(12, 11, False), PICTURE, "unused_bits_masked"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_the_numbers_prove_is_read_with_a_doubt(case: str) -> None:
    words, stored, wanted, name = WRONG[case]
    ordered, notes = ordered_bytes(words, stored.bits_stored, "a.dcm")
    values, more = trusted_values(ordered, stored, "a.dcm")
    np.testing.assert_array_equal(values, wanted)
    assert [(note.name, note.doubt) for note in (*notes, *more)] == [(name, True)]


def test_bits_that_nothing_explains_are_refused() -> None:
    """A bit that is set in half of the breast, at random edges: grey or overlay, nobody knows."""
    grain = np.random.default_rng(3).normal(0, 700, PICTURE.shape)
    words = np.clip(PICTURE.astype(float) + grain, 0, 4095).astype(np.uint16)
    with pytest.raises(NotAnImage, match=r"a\.dcm: values have bits above the 11.*BitsStored"):
        trusted_values(words, Stored(11, 10, False), "a.dcm")


def test_exchanged_rows_and_columns_are_refused() -> None:
    with pytest.raises(NotAnImage, match=r"not 180 x 240 pixels.*Rows"):
        ordered_bytes(PICTURE.reshape(180, 240), 12, "a.dcm")


def test_a_coarse_picture_and_hard_edges_tear_nothing() -> None:
    """Doubled pixels, a mask-like bar across the picture and a film border are not damage."""
    doubled = PICTURE.repeat(2, 0).repeat(2, 1)
    doubled[50:54] = 4095
    doubled[:, -3:] = 3000
    ordered, notes = ordered_bytes(doubled, 12, "a.dcm")
    assert ordered is doubled
    values, more = trusted_values(doubled, Stored(12, 11, False), "a.dcm")
    np.testing.assert_array_equal(values, doubled)
    assert (*notes, *more) == ()


def test_marks_in_the_extreme_values_do_not_prove_a_sign() -> None:
    """Letters of lead are as bright as can be, in air as dark as can be: neighbours if signed."""
    dim = PICTURE // 3
    dim[10:60:2, 140:170] = 4095
    dim[11:60:2, 140:170] = 0
    values, notes = trusted_values(dim, Stored(12, 11, False), "a.dcm")
    assert values.dtype == np.uint16
    assert notes == ()


CURVE = (4095 / (1 + np.exp((1800 - np.arange(4096)) / 350.0))).astype(np.float32)


@pytest.mark.parametrize(
    ("announced", "entries", "highest", "used", "name"),
    [
        (4096, CURVE, 4095, CURVE, None),
        (1024, CURVE, 4095, CURVE, "table_wrong"),
        (65536, CURVE, 4095, CURVE, "table_wrong"),
        (65536, CURVE[:1024], 4095, None, "voi_ignored"),
        (4096, CURVE[:0], 0, None, "voi_ignored"),
        (
            4096,
            np.rint(CURVE).astype(np.uint16).byteswap().astype(np.float32),
            4095,
            np.rint(CURVE),
            "table_wrong",
        ),
    ],
)
def test_a_table_is_held_against_its_own_entries(announced, entries, highest, used, name) -> None:
    values, notes = fit_table(GreyTable(announced, 0, entries), highest, "VOILUTSequence")
    if used is None:
        assert values is None
    else:
        np.testing.assert_array_equal(values, used)
    assert [(note.name, note.doubt) for note in notes] == ([(name, True)] if name else [])


@pytest.mark.parametrize("syntax", [JPEG + n for n in ("70", "80", "90")])
def test_a_stream_deeper_than_its_header_is_read_whole(make_dicom, tmp_path, syntax: str) -> None:
    for number, bits in enumerate((10, 8)):
        path = make_dicom.save(
            tmp_path / f"{number}.dcm", PICTURE, syntax, BitsStored=bits, HighBit=bits - 1
        )
        image = read_image(path)
        np.testing.assert_array_equal(image.pixels, PICTURE)
        assert [c.name for c in image.cautions if c.doubt] == ["bits_stored_wrong"]
    made = make_dicom.dataset(PICTURE)
    stream = make_dicom.ENCODERS[syntax](PICTURE)
    made.BitsAllocated, made.BitsStored, made.HighBit = 8, 8, 7
    path.write_bytes(make_dicom.file_bytes(made, syntax, stream))
    np.testing.assert_array_equal(read_image(path).pixels, PICTURE)


def test_a_declared_overlay_is_cleared_without_a_doubt(make_dicom, tmp_path) -> None:
    made = make_dicom.dataset(marked(PICTURE, 12), BitsStored=12, HighBit=11)
    made.add_new(0x60000100, "US", 16)
    made.add_new(0x60000102, "US", 12)
    path = tmp_path / "a.dcm"
    path.write_bytes(make_dicom.file_bytes(made))
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, PICTURE)
    assert [(c.name, c.doubt) for c in image.cautions] == [("unused_bits_masked", False)]


@pytest.mark.parametrize("times", [2, 3])
def test_more_picture_than_the_size_asks_is_refused(make_dicom, tmp_path, times: int) -> None:
    made = make_dicom.dataset(np.vstack([PICTURE] * times), Rows=240)
    path = tmp_path / "a.dcm"
    path.write_bytes(make_dicom.file_bytes(made))
    with pytest.raises(NotAnImage, match=f"{times} times as long"):
        read_image(path)


def test_rows_that_the_header_leaves_out_are_a_doubt(make_dicom, tmp_path) -> None:
    path = make_dicom.save(tmp_path / "a.dcm", PICTURE, Rows=200)
    image = read_image(path)
    assert [(c.name, c.doubt) for c in image.cautions] == [("extra_pixel_data", True)]
