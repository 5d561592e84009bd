"""The header's word against the stored numbers: the one place that trusts, repairs or refuses.

A picture of a breast is smooth: neighbouring pixels differ by little. Bits cut off, a sign that is
none, swapped bytes and a wrong width all tear it, so the numbers prove which reading is right. What
they prove against the header is read as they say, and is a doubt; what they leave open is refused.

=============================  ===========================  =======================================
the header says                the numbers                  what happens
=============================  ===========================  =======================================
a byte order                   smooth when swapped          swapped, doubt `bytes_swapped`
Rows, Columns                  rows do not fit together     refused
BitsStored, HighBit            deeper, and smooth           read whole, doubt `bits_stored_wrong`
BitsStored, HighBit            stray bits above             cleared, caution `unused_bits_masked`
BitsStored, HighBit            neither                      refused
PixelRepresentation            smooth with the other sign   other sign, doubt `sign_wrong`
a table of so many entries     others, that reach as far    its entries, doubt `table_wrong`
a table of so many entries     too few                      not used, doubt `voi_ignored`
a table                        smooth when swapped          swapped, doubt `table_wrong`
=============================  ===========================  =======================================

What the picture then shows under the header's grey scale is looked at in `preprocess`.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.core import Caution
from mammolens.errors import NotAnImage

__all__ = ["GreyTable", "Stored", "fit_table", "ordered_bytes", "trusted_values"]

SMOOTHER: Final = 2.0
"""How many times smoother a picture must be with its bytes swapped. Sound pictures are at least 4
times rougher so (rsna, ddsm, inbreast, mias, cesm in 12 bits; the samples in 16: 24 times)."""

PAIRS_SMOOTHER: Final = 1.08
"""The same for pixels exchanged two by two: sound pictures of these sets have 0.87 at most, swapped
ones 1.15 at least."""

TORN: Final = 15.0
"""By how much more pixels may differ downwards than along the rows. Sound pictures reach 6.3 (mias,
which was widened), pictures with Rows and Columns exchanged 43 at least."""

PROVEN: Final = 0.75
"""Share of the places where two readings part that must be smooth in one of them to prove it."""
FEWEST_PLACES: Final = 16
"""Fewer such places prove nothing: hot pixels, or a speck of an overlay."""

_NEAR: Final = 1 / 8
"""Share of the range within which neighbours count as near; film borders part by more."""
_ROWS: Final = 24
_ROWS_IN_DOUBT: Final = 512
_STRAY_SHARE: Final = 0.01
_FILM_EDGE: Final = 50
"""One part in so many of the columns is left out at either side, where films have borders."""
_TORN_BY_CUTTING, _CALMER, _NOISE = 1.05, 0.8, 0.2
"""Sum of differences with the upper bits cut off, by that with all bits: 0.86 at least for pictures
of the sets that lack one bit, 1.01 at most for overlays drawn into them, 0.01 for noise there."""
_TABLE_ROUGHNESS: Final = 4.0

Words = npt.NDArray[Any]


class Stored(NamedTuple):
    """How a header says that values are stored (PS3.3 C.7.6.3): `high_bit` counts from 0, and
    `overlay_bits` is a mask of the bits that it gives to overlays."""

    bits_stored: int
    high_bit: int
    signed: bool
    overlay_bits: int = 0


class GreyTable(NamedTuple):
    """A lookup table as its descriptor tells of it (PS3.3 C.11.1.1): number of entries, value that
    the first stands for, and the entries that are there."""

    announced: int
    first: int
    entries: npt.NDArray[np.float32]


def ordered_bytes(words: Words, bits_stored: int, source: str) -> tuple[Words, tuple[Caution, ...]]:
    """Undo swapped bytes, or pixels exchanged two by two; refuse rows that do not fit together.

    Parameters
    ----------
    words
        Uint8 or uint16 (rows, columns).
    bits_stored
        How many of their bits are values by the header; noise above them is no wrong order.

    Raises
    ------
    NotAnImage
        If each row begins somewhere else in the picture: Rows or Columns are wrong.
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
    """Settle depth and sign of the stored values.

    Parameters
    ----------
    words
        Uint8 or uint16 (rows, columns) as decoded, nothing masked; signed if the stream says so.

    Returns
    -------
    The values, of the same width, signed where they are; `words` itself where nothing had to be
    changed. Bits that are not theirs are cleared.

    Raises
    ------
    NotAnImage
        If there are bits above the stored ones, and the numbers do not tell what they are.
    """
    width = 8 * words.dtype.itemsize
    if words.dtype.kind == "i":
        if not stored.signed and int(words.min()) < 0:
            return words, (_wrong_sign(False, "the stream holds negative ones"),)
        words = words.view(f"u{words.dtype.itemsize}")
    bits = min(stored.bits_stored, width)
    shift = max(0, min(stored.high_bit, width - 1) + 1 - bits)
    notes: tuple[Caution, ...] = ()
    if bits == width:
        return _signed_right(words, width, stored.signed)
    peak = int(words.max())
    limit = (1 << bits) - 1
    if shift and peak <= limit and np.ptp(words[::16, ::16] & ((1 << shift) - 1)):
        text = f"HighBit is {stored.high_bit}, but the values lie in the lowest {bits} bits"
        notes, shift = (Caution("bits_stored_wrong", text, doubt=True),), 0
    if shift:
        words, peak = np.right_shift(words, shift), peak >> shift
    if peak <= limit:
        values, more = _signed_right(words, bits, stored.signed)
        return values, notes + more
    return _deeper(words, bits, stored, source)


def fit_table(
    table: GreyTable, highest: float, keyword: str
) -> tuple[npt.NDArray[np.float32] | None, tuple[Caution, ...]]:
    """Give the entries of a table that can be used, if any.

    Parameters
    ----------
    highest
        The largest value that is looked up: a table with fewer entries than it announces must
        reach it.
    """
    entries, faults = table.entries, []
    found = len(entries)
    if found != table.announced:
        faults.append(f"announces {table.announced} entries and has {found}")
    if found < 2 or (found < table.announced and table.first + found - 1 < highest):
        text = f"{keyword} {'; '.join(faults) or 'has no entries'}: it was ignored"
        return None, (Caution("voi_ignored", text, doubt=True),)
    if entries.max() > 255:
        exchanged = entries.astype(np.uint16).byteswap().astype(np.float32)
        if _climb(entries) > _TABLE_ROUGHNESS * max(_climb(exchanged), 1.0):
            entries = exchanged
            faults.append("has the bytes of each entry exchanged; put back")
    if not faults:
        return entries, ()
    return entries, (Caution("table_wrong", f"{keyword} {'; '.join(faults)}", doubt=True),)


def _climb(entries: npt.NDArray[np.float32]) -> float:
    """How far a table climbs and falls, by its range: 1 for one that only climbs."""
    span = float(np.ptp(entries))
    return float(np.abs(np.diff(entries)).sum()) / span if span > 0 else 1.0


def _swapped(what: str) -> Caution:
    text = f"{what} were exchanged, as a conversion from Big Endian leaves them; put back"
    return Caution("bytes_swapped", text, doubt=True)


def _wrong_sign(signed: bool, why: str) -> Caution:
    stated = "signed" if signed else "unsigned"
    text = f"PixelRepresentation says that the values are {stated}, but {why}; read so"
    return Caution("sign_wrong", text, doubt=True)


def _differences(rows: Words) -> npt.NDArray[np.int32]:
    """Absolute differences of neighbours along the rows, (rows, columns - 1)."""
    return np.abs(np.diff(rows.astype(np.int32), axis=1))


def _roughness(rows: Words) -> float:
    """Mean difference of neighbours along the rows, by the standard deviation of all values."""
    values = rows.astype(np.float32)
    spread = float(values.std())
    return float(np.abs(np.diff(values, axis=1)).mean()) / spread if spread > 0 else 0.0


def _exchanged(rows: Words) -> Words:
    """Every two neighbours exchanged; the last of an odd number stays."""
    made = rows.copy()
    even = rows.shape[1] // 2 * 2
    made[:, :even:2], made[:, 1:even:2] = rows[:, 1:even:2], rows[:, :even:2]
    return made


def _read(words: Words, bits: int, signed: bool) -> npt.NDArray[np.int32]:
    """The lowest bits of each word as a number."""
    values: npt.NDArray[np.int32] = words.astype(np.int32) & ((1 << bits) - 1)
    return values - ((values >> (bits - 1)) << bits) if signed else values


def _signed_right(words: Words, bits: int, signed: bool) -> tuple[Words, tuple[Caution, ...]]:
    """Values with the sign that the header gives them, or the other one where that is proven."""
    count = _ROWS_IN_DOUBT if signed else _ROWS
    rows = _read(words[:: max(1, len(words) // count)], bits, signed)
    share, places = _wraps(rows, bits)
    if share < PROVEN or places < FEWEST_PLACES:
        return _as_said(words, bits, signed), ()
    why = "the picture is torn that way and whole the other"
    return _as_said(words, bits, not signed), (_wrong_sign(signed, why),)


def _as_said(words: Words, bits: int, signed: bool) -> Words:
    """The lowest bits of each word, in words of the same width; without a copy if they are all."""
    kind = f"{'i' if signed else 'u'}{words.dtype.itemsize}"
    if bits == 8 * words.dtype.itemsize or (not signed and int(words.max()) < 1 << bits):
        return words.view(kind)
    return _read(words, bits, signed).astype(kind)


def _wraps(rows: npt.NDArray[np.int32], bits: int) -> tuple[float, int]:
    """Where neighbours part in one sign and meet in the other: the share of these places at which
    they meet in the other, and their number.

    Marks are drawn in the extreme values, which are neighbours in the other reading: left out.
    """
    low, range_ = int(rows.min()), 1 << bits
    upper = rows >= (range_ // 2 if low >= 0 else 0)
    if not upper.any() or upper.all():
        return 0.0, 0
    parts = (upper[:, 1:] != upper[:, :-1]) & _between_extremes(rows)
    here = _differences(rows)[parts]
    return _share(int(np.sum(range_ - here < range_ * _NEAR)), int(np.sum(here < range_ * _NEAR)))


def _share(other: int, header: int) -> tuple[float, int]:
    places = other + header
    return other / places if places else 0.0, places


def _deeper(
    words: Words, bits: int, stored: Stored, source: str
) -> tuple[Words, tuple[Caution, ...]]:
    """Values of which some have bits above those that the header says are stored."""
    width, limit = 8 * words.dtype.itemsize, (1 << bits) - 1
    as_said = _as_said(words, bits, stored.signed)
    if stored.signed and np.array_equal(as_said.view(words.dtype), words):
        return _signed_right(words, bits, True)
    cleared = f"bits above the {bits} stored ones were cleared"
    if int(np.bitwise_or.reduce(words, axis=None)) & ~limit & ~stored.overlay_bits == 0:
        return as_said, (Caution("unused_bits_masked", cleared),)
    if width == 16 and not np.any(as_said) and int(words.byteswap().max()) <= limit:
        return words.byteswap(), (_swapped("the bytes of each value"),)
    beyond = words > limit
    where = np.flatnonzero(beyond.any(1))
    edge = words.shape[1] // _FILM_EDGE
    rows = words[where[:: max(1, len(where) // _ROWS_IN_DOUBT)], edge : words.shape[1] - edge]
    stated = _read(rows, bits, stored.signed)
    for signed in (stored.signed, not stored.signed):
        if _is_whole(stated, _read(rows, width, signed), rows, bits):
            text = f"BitsStored is {bits}, but the values use all {width} bits, which were read"
            note = Caution("bits_stored_wrong", text, doubt=True)
            if signed is not stored.signed:
                note = _wrong_sign(stored.signed, "the picture is whole only the other way")
            return words.view(f"{'i' if signed else 'u'}{width // 8}"), (note,)
    calm = _total(stated, rows) < _CALMER * _total(_read(rows, width, False), rows)
    if calm or np.count_nonzero(beyond) < FEWEST_PLACES:
        much = bool(np.count_nonzero(beyond) > _STRAY_SHARE * words.size)
        return as_said, (Caution("unused_bits_masked", cleared, doubt=much or not calm),)
    raise NotAnImage(
        f"values have bits above the {bits} that are stored, and nothing tells what they are",
        source=source,
        keyword="BitsStored",
        remedy="Export the image again with its real depth",
    )


def _is_whole(
    stated: npt.NDArray[np.int32], whole: npt.NDArray[np.int32], rows: Words, bits: int
) -> bool:
    """Whether values that are read with all their bits make one picture, and cut off do not."""
    ratio = _total(stated, rows) / max(_total(whole, rows), 1.0)
    if ratio >= _TORN_BY_CUTTING:
        return True
    # Three neighbouring steps in the upper bits are greys; an overlay has one bit, and noise tears.
    if ratio > _NOISE and np.isin((1, 2, 3), np.unique(rows >> bits)).all() and whole.min() >= 0:
        return True
    near, far = (1 << bits) * _NEAR, 1 << (bits - 1)
    kept = _between_extremes(rows)
    first, second = _differences(stated)[kept], _differences(whole)[kept]
    lit = np.minimum(stated[:, 1:], stated[:, :-1])[kept] > near
    meet, part = (second < near) & (first > far), (first < near) & (second > far) & lit
    share, places = _share(int(np.count_nonzero(meet)), int(np.count_nonzero(part)))
    return ratio > _CALMER and share >= PROVEN and places >= FEWEST_PLACES


def _total(values: npt.NDArray[np.int32], rows: Words) -> float:
    """Sum of the differences of neighbours; extreme values, in which marks are drawn, left out."""
    return float(_differences(values)[_between_extremes(rows)].sum())


def _between_extremes(rows: Words) -> npt.NDArray[np.bool_]:
    inner: npt.NDArray[np.bool_] = (rows > rows.min()) & (rows < rows.max())
    return inner[:, 1:] & inner[:, :-1]
