"""Compare the header with the stored numbers, and trust, correct or refuse them.

A picture of a breast is smooth: neighbouring pixels differ little. Missing bits, a wrong sign,
swapped bytes and a wrong width all make it rough, so the numbers can prove which reading is right.
If they prove the header wrong, they are read as they prove, with a doubt. If they prove nothing,
the picture is refused.

=============================  ===========================  =======================================
the header says                the numbers                  what happens
=============================  ===========================  =======================================
a byte order                   smooth when swapped          swapped, doubt `bytes_swapped`
Rows, Columns                  rows do not fit together     refused
BitsStored, HighBit            more bits, and smooth        all bits, doubt `bits_stored_wrong`
BitsStored, HighBit            some bits above              cleared, caution `unused_bits_masked`
BitsStored, HighBit            neither of the two           refused
PixelRepresentation            smooth with the other sign   other sign, doubt `sign_wrong`
a table with n entries         other number, but enough     its entries, doubt `table_wrong`
a table with n entries         too few                      not used, doubt `voi_ignored`
a table                        smooth when swapped          swapped, doubt `table_wrong`
=============================  ===========================  =======================================

`dicom.luts` checks the tables. `preprocess.picture_trust` then checks the picture with the grey
scale of the header.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.core import Caution
from mammolens.errors import NotAnImage

__all__ = ["Stored", "ordered_bytes", "trusted_values"]

SMOOTHER: Final = 2.0
"""Bytes are swapped if the picture is more than this many times smoother with swapped bytes. Sound
pictures are at least 4 times rougher with swapped bytes (rsna, ddsm, inbreast, mias, cesm in 12
bits; the samples in 16 bits: 24 times)."""

PAIRS_SMOOTHER: Final = 1.08
"""The same ratio for neighbouring pixels swapped in pairs: at most 0.87 in sound pictures of these
sets, at least 1.15 in swapped ones."""

TORN: Final = 15.0
"""Rows do not fit together if pixels differ more than this many times as much from row to row as
along the rows. Sound pictures reach 6.3 (mias, which was widened); pictures with Rows and Columns
exchanged have at least 43."""

PROVEN: Final = 0.75
"""A reading is proven if it is smooth in at least this share of the places where two readings
differ. Chosen by hand; not tuned."""
FEWEST_PLACES: Final = 16
"""Fewer such places prove nothing: they may be defective pixels, or a speck of an overlay."""

_NEAR: Final = 1 / 8
"""Neighbours are near if they differ by less than this share of the range. Film borders differ by
more."""
_ROWS: Final = 24
"""Rows that are compared at first."""
_ROWS_IN_DOUBT: Final = 512
"""Rows that are compared if the values are signed or have too many bits."""
_STRAY_SHARE: Final = 0.01
"""Cleared bits are a doubt if more than this share of the pixels had them."""
_FILM_EDGE: Final = 50
"""At each side, 1/50 of the columns is left out, because films have borders there."""
_TORN_BY_CUTTING, _CALMER, _NOISE = 1.05, 0.8, 0.2
"""Limits for the sum of differences without the upper bits, divided by the sum with all bits. It is
at least 0.86 for pictures of the sets that lack one bit, at most 1.01 for overlays drawn into them,
and 0.01 for noise in the upper bits."""
Words = npt.NDArray[Any]


class Stored(NamedTuple):
    """How values are stored, as the header says (PS3.3 C.7.6.3).

    `high_bit` counts from 0. `overlay_bits` is a mask of the bits of overlays.
    """

    bits_stored: int
    high_bit: int
    signed: bool
    overlay_bits: int = 0


def ordered_bytes(words: Words, bits_stored: int, source: str) -> tuple[Words, tuple[Caution, ...]]:
    """Correct swapped bytes, or pixels swapped in pairs; refuse rows that do not fit together.

    Parameters
    ----------
    words
        Uint8 or uint16 (rows, columns).
    bits_stored
        Number of value bits in the header; noise in the bits above is not a wrong byte order.
    source
        Name of the file for errors.

    Raises
    ------
    NotAnImage
        If Rows or Columns are wrong, so that the rows are shifted against each other.
    """
    rows, columns = words.shape
    first = np.arange(0, rows - 1, max(2, rows // _ROWS // 2 * 2))
    here = words[first]
    rough = _roughness(here)
    if words.dtype == np.uint16:
        enough = SMOOTHER * _roughness(here.byteswap())
        if rough > enough and _roughness(here & ((1 << bits_stored) - 1)) > enough:
            return words.byteswap(), (_swapped("the bytes of each value"),)
    across = _differences(here)
    odd, even = float(across[:, 1::2].mean()), float(across[:, ::2].mean())
    if odd > PAIRS_SMOOTHER * even and rough > PAIRS_SMOOTHER * _roughness(_exchanged(here)):
        exchanged = _exchanged(words.reshape(1, -1)).reshape(words.shape)
        return exchanged, (_swapped("every two neighbouring values"),)
    below = np.abs(words[first + 1].astype(np.int32) - here).mean(1)
    if float(np.median(below)) > TORN * max(float(np.median(across.mean(1))), 1e-9):
        raise NotAnImage(
            f"the rows do not fit together: the picture is not {rows} x {columns} pixels",
            source=source,
            keyword="Rows",
            remedy="Export the image again: Rows and Columns may be exchanged",
        )
    return words, ()


def trusted_values(words: Words, stored: Stored, source: str) -> tuple[Words, tuple[Caution, ...]]:
    """Decide on depth and sign of the stored values.

    Parameters
    ----------
    words
        8 or 16 bit integers (rows, columns) as decoded, no bits masked; signed if the stream is.
    stored
        How the header says that the values are stored.
    source
        Name of the file for errors.

    Returns
    -------
    The values with the same number of bytes, signed or unsigned, without other bits; `words` itself
    if nothing had to be changed.

    Raises
    ------
    NotAnImage
        If there are bits above the stored ones, and the numbers do not show their meaning.
    """
    width = 8 * words.dtype.itemsize
    if words.dtype.kind == "i":
        if not stored.signed and int(words.min()) < 0:
            return words, (_wrong_sign(False, "the stream has negative values"),)
        words = words.view(f"u{words.dtype.itemsize}")
    bits = min(stored.bits_stored, width)
    shift = max(0, min(stored.high_bit, width - 1) + 1 - bits)
    notes: tuple[Caution, ...] = ()
    if bits == width:
        return _signed_right(words, width, stored.signed)
    peak = int(words.max())
    limit = (1 << bits) - 1
    if shift and peak <= limit and np.ptp(words[::16, ::16] & ((1 << shift) - 1)):
        text = f"HighBit is {stored.high_bit}, but the values are in the lowest {bits} bits"
        notes, shift = (Caution("bits_stored_wrong", text, doubt=True),), 0
    if shift:
        words, peak = np.right_shift(words, shift), peak >> shift
    if peak <= limit:
        values, more = _signed_right(words, bits, stored.signed)
        return values, notes + more
    return _deeper(words, bits, stored, source)


def _swapped(what: str) -> Caution:
    text = f"{what} were swapped, as after a faulty conversion from Big Endian; this was corrected"
    return Caution("bytes_swapped", text, doubt=True)


def _wrong_sign(signed: bool, why: str) -> Caution:
    stated = "signed" if signed else "unsigned"
    used = "unsigned" if signed else "signed"
    text = f"PixelRepresentation says that the values are {stated}, but {why}; {used} was used"
    return Caution("sign_wrong", text, doubt=True)


def _differences(rows: Words) -> npt.NDArray[np.int32]:
    """Absolute differences of neighbours along the rows, (rows, columns - 1)."""
    return np.abs(np.diff(rows.astype(np.int32), axis=1))


def _roughness(rows: Words) -> float:
    """Mean difference of neighbours along the rows, divided by the standard deviation."""
    values = rows.astype(np.float32)
    spread = float(values.std())
    return float(np.abs(np.diff(values, axis=1)).mean()) / spread if spread > 0 else 0.0


def _exchanged(rows: Words) -> Words:
    """Swap neighbours in pairs; the last column of an odd number is unchanged."""
    swapped = rows.copy()
    even = rows.shape[1] // 2 * 2
    swapped[:, :even:2], swapped[:, 1:even:2] = rows[:, 1:even:2], rows[:, :even:2]
    return swapped


def _read(words: Words, bits: int, signed: bool) -> npt.NDArray[np.int32]:
    """The lowest `bits` of each word as a signed or unsigned number."""
    values: npt.NDArray[np.int32] = words.astype(np.int32) & ((1 << bits) - 1)
    return values - ((values >> (bits - 1)) << bits) if signed else values


def _signed_right(words: Words, bits: int, signed: bool) -> tuple[Words, tuple[Caution, ...]]:
    """Read the values signed or unsigned as the header says, unless the picture proves it wrong."""
    count = _ROWS_IN_DOUBT if signed else _ROWS
    rows = _read(words[:: max(1, len(words) // count)], bits, signed)
    share, places = _wraps(rows, bits)
    if share < PROVEN or places < FEWEST_PLACES:
        return _as_stated(words, bits, signed), ()
    why = "the picture is smooth only with the other sign"
    return _as_stated(words, bits, not signed), (_wrong_sign(signed, why),)


def _as_stated(words: Words, bits: int, signed: bool) -> Words:
    """The lowest `bits` of each word in words of the same width; not copied if unchanged."""
    kind = f"{'i' if signed else 'u'}{words.dtype.itemsize}"
    if bits == 8 * words.dtype.itemsize or (not signed and int(words.max()) < 1 << bits):
        return words.view(kind)
    return _read(words, bits, signed).astype(kind)


def _wraps(rows: npt.NDArray[np.int32], bits: int) -> tuple[float, int]:
    """Find places where neighbours are near only signed, or only unsigned.

    Extreme values are left out: marks are drawn with them, and they are near with the other sign.

    Returns
    -------
    The share of these places where neighbours are near in the reading that the header does not
    give, and the number of places.
    """
    low, range_ = int(rows.min()), 1 << bits
    upper = rows >= (range_ // 2 if low >= 0 else 0)
    if not upper.any() or upper.all():
        return 0.0, 0
    crossings = (upper[:, 1:] != upper[:, :-1]) & _between_extremes(rows)
    here = _differences(rows)[crossings]
    return _share(int(np.sum(range_ - here < range_ * _NEAR)), int(np.sum(here < range_ * _NEAR)))


def _share(other: int, header: int) -> tuple[float, int]:
    """Share of the places that support the other reading, and number of all places."""
    places = other + header
    return other / places if places else 0.0, places


def _deeper(
    words: Words, bits: int, stored: Stored, source: str
) -> tuple[Words, tuple[Caution, ...]]:
    """Decide on values of which some have bits above the stored ones of the header."""
    width, limit = 8 * words.dtype.itemsize, (1 << bits) - 1
    as_stated = _as_stated(words, bits, stored.signed)
    if stored.signed and np.array_equal(as_stated.view(words.dtype), words):
        return _signed_right(words, bits, True)
    cleared = f"bits above the {bits} stored ones were cleared"
    if int(np.bitwise_or.reduce(words, axis=None)) & ~limit & ~stored.overlay_bits == 0:
        return as_stated, (Caution("unused_bits_masked", cleared),)
    if width == 16 and not np.any(as_stated) and int(words.byteswap().max()) <= limit:
        return words.byteswap(), (_swapped("the bytes of each value"),)
    beyond = words > limit
    where = np.flatnonzero(beyond.any(1))
    edge = words.shape[1] // _FILM_EDGE
    rows = words[where[:: max(1, len(where) // _ROWS_IN_DOUBT)], edge : words.shape[1] - edge]
    stated = _read(rows, bits, stored.signed)
    for signed in (stored.signed, not stored.signed):
        if _is_whole(stated, _read(rows, width, signed), rows, bits):
            text = f"BitsStored is {bits}, but the values use all {width} bits; all were read"
            note = Caution("bits_stored_wrong", text, doubt=True)
            if signed is not stored.signed:
                note = _wrong_sign(
                    stored.signed, "the picture is smooth only with the other sign and all bits"
                )
            return words.view(f"{'i' if signed else 'u'}{width // 8}"), (note,)
    calm = _total(stated, rows) < _CALMER * _total(_read(rows, width, False), rows)
    if calm or np.count_nonzero(beyond) < FEWEST_PLACES:
        much = bool(np.count_nonzero(beyond) > _STRAY_SHARE * words.size)
        return as_stated, (Caution("unused_bits_masked", cleared, doubt=much or not calm),)
    raise NotAnImage(
        f"values have bits above the {bits} stored ones, and their meaning is unknown",
        source=source,
        keyword="BitsStored",
        remedy="Export the image again with its real depth",
    )


def _is_whole(
    stated: npt.NDArray[np.int32], whole: npt.NDArray[np.int32], rows: Words, bits: int
) -> bool:
    """Return whether values are smooth with all their bits, and rough without the upper ones.

    `stated` and `whole` are the values of `rows` with `bits` and with all bits.
    """
    ratio = _total(stated, rows) / max(_total(whole, rows), 1.0)
    if ratio >= _TORN_BY_CUTTING:
        return True
    # Greys have the steps 1, 2 and 3 in the upper bits. An overlay has one bit; noise is rough.
    if ratio > _NOISE and np.isin((1, 2, 3), np.unique(rows >> bits)).all() and whole.min() >= 0:
        return True
    near, far = (1 << bits) * _NEAR, 1 << (bits - 1)
    inner = _between_extremes(rows)
    with_stated, with_all = _differences(stated)[inner], _differences(whole)[inner]
    lit = np.minimum(stated[:, 1:], stated[:, :-1])[inner] > near
    for_all = (with_all < near) & (with_stated > far)
    for_stated = (with_stated < near) & (with_all > far) & lit
    share, places = _share(int(np.count_nonzero(for_all)), int(np.count_nonzero(for_stated)))
    return ratio > _CALMER and share >= PROVEN and places >= FEWEST_PLACES


def _total(values: npt.NDArray[np.int32], rows: Words) -> float:
    """Sum of the differences of neighbours, without the extreme values (marks have these)."""
    return float(_differences(values)[_between_extremes(rows)].sum())


def _between_extremes(rows: Words) -> npt.NDArray[np.bool_]:
    """Mask (rows, columns - 1): neither of two neighbours has the smallest or largest value."""
    inner: npt.NDArray[np.bool_] = (rows > rows.min()) & (rows < rows.max())
    return inner[:, 1:] & inner[:, :-1]
