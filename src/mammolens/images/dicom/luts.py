"""Read modality LUT, VOI windows and tables, and padding (PS3.3 C.11.1, C.11.2, C.7.5.1.1.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.core import Caution, VoiFunction, VoiLut, Window
from mammolens.images.dicom.pixels import BIG_ENDIAN, PixelFormat
from mammolens.images.dicom.tags import Tags

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = [
    "GreyTable",
    "Modality",
    "apply_modality",
    "fit_table",
    "modality_of",
    "padding_range",
    "voi_choices",
]

LARGEST = 1e9
"""Rescaled values beyond this are not a picture, and float32 would round them."""

_TABLE_ROUGHNESS: Final = 4.0
"""The bytes of a table's entries are swapped if it is this many times smoother with swapped bytes.
"""


class GreyTable(NamedTuple):
    """A lookup table as it is written (PS3.3 C.11.1.1).

    `announced` is the number of entries in its descriptor, `first` the value of the first entry.
    """

    announced: int
    first: int
    entries: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Modality:
    """Modality LUT: `table` for stored values from `first` on, or slope and intercept."""

    slope: float = 1.0
    intercept: float = 0.0
    first: int = 0
    table: npt.NDArray[np.float32] | None = None


def modality_of(tags: Tags, form: PixelFormat) -> Modality:
    """Read the modality LUT or rescale.

    Raises
    ------
    NotAnImage
        If RescaleSlope is zero or not a number, or the table cannot be used.
    """
    tables = tags.items("ModalityLUTSequence")
    if tables:
        keyword = "ModalityLUTSequence"
        table = _table(tags, tables[0], keyword, form)
        highest = (1 << (form.bits_stored - form.signed)) - 1
        first = _wrapped(table.first, form.signed)
        values, notes = fit_table(table._replace(first=first), highest, keyword)
        if values is None:
            raise tags.unusable(keyword, notes[0].message.removeprefix(f"{keyword} "))
        tags.cautions += notes
        return Modality(first=first, table=values)
    slope = next(iter(tags.exact_numbers("RescaleSlope")), 1.0)
    intercept = next(iter(tags.exact_numbers("RescaleIntercept")), 0.0)
    if slope == 0:
        raise tags.unusable("RescaleSlope", "is zero")
    if 65_536 * abs(slope) + abs(intercept) > LARGEST:
        raise tags.unusable("RescaleSlope", f"of {slope} with intercept {intercept} is impossible")
    return Modality(slope, intercept)


def apply_modality(modality: Modality, stored: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Apply a modality LUT to stored values of any shape.

    The identity gives `stored` itself, without a copy. With an integer slope and intercept, the
    result has integers.

    Returns
    -------
    array
        Same shape; the input's dtype, int32 or float32.

    Examples
    --------
    >>> apply_modality(Modality(slope=2.0, intercept=-10.0), np.array([0, 7], np.uint16))
    array([-10,   4], dtype=int32)
    """
    if modality.table is not None:
        index = stored.astype(np.int32) - modality.first
        return modality.table[np.clip(index, 0, len(modality.table) - 1)]
    slope, intercept = modality.slope, modality.intercept
    if (slope, intercept) == (1.0, 0.0):
        return stored
    if slope.is_integer() and intercept.is_integer():
        return stored.astype(np.int32) * np.int32(slope) + np.int32(intercept)
    return stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)


def voi_choices(
    tags: Tags, form: PixelFormat, modality: Modality, pixels: npt.NDArray[np.generic]
) -> tuple[Window | VoiLut, ...]:
    """Read the usable VOI tables and windows: tables first, each in the order of the header.

    Parameters
    ----------
    tags
        The data set; cautions about unusable tables and windows are added to it.
    form
        How the pixels are stored.
    modality
        If its output can be negative, the first value of a table is read as a signed number.
    pixels
        Modality values; a table must cover the largest of them.
    """
    found: list[Window | VoiLut] = []
    faults: list[str] = []
    signed = form.signed or modality.intercept < 0
    for item in tags.items("VOILUTSequence"):
        try:
            table = _table(tags, item, "VOILUTSequence", form)
        except Exception:
            faults.append("VOILUTSequence cannot be read")
            continue
        first = _wrapped(table.first, signed)
        short = len(table.entries) < table.announced
        highest = float(pixels.max()) if short else np.inf
        values, notes = fit_table(table._replace(first=first), highest, "VOILUTSequence")
        tags.cautions += notes
        if values is not None:
            found.append(VoiLut(first, values))
    windows, more = _windows(tags)
    if len(windows) > 1 and not found:
        text = f"the header has {len(windows)} windows; the first that shows the breast is used"
        tags.caution("several_windows", text)
    found += windows
    for fault in faults + more:
        note = tags.caution if found else tags.doubt
        note("voi_ignored", f"{fault} and was ignored")
    return tuple(found)


def _windows(tags: Tags) -> tuple[list[Window], list[str]]:
    """Give the usable windows, and the faults of the others."""
    keywords = "WindowCenter", "WindowWidth"
    centers, widths = (tags.numbers(keyword) for keyword in keywords)
    faults = [f"{word} cannot be read" for word in keywords if tags.holds(word)]
    if centers and widths:
        faults = []
    function, found = _function(tags), []
    for center, width in zip(centers, widths, strict=False):
        if width < 1 if function is VoiFunction.LINEAR else width <= 0:
            faults.append(f"a WindowWidth of {width:g} is impossible")
        else:
            found.append(Window(center, width, function))
    return found, faults


def _function(tags: Tags) -> VoiFunction:
    name = tags.code("VOILUTFunction") or VoiFunction.LINEAR.value
    if name not in VoiFunction.__members__:
        text = "VOILUTFunction is not one of the standard's; LINEAR was used"
        tags.caution("voi_function_unknown", text)
        return VoiFunction.LINEAR
    return VoiFunction(name)


def padding_range(tags: Tags, modality: Modality, form: PixelFormat) -> tuple[float, float] | None:
    """Read Pixel Padding Value and Range Limit as a closed range of modality values."""
    values = [
        next(iter(tags.numbers(keyword)), None)
        for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")
    ]
    given = [int(value) for value in values if value is not None]
    if values[0] is None or not given:
        return None
    if form.signed:
        half = 1 << (form.bits_allocated - 1)
        given = [value - 2 * half if value >= half else value for value in given]
    else:
        given = [value % (1 << form.bits_allocated) for value in given]
    ends = apply_modality(modality, np.array(given, np.int32)).astype(np.float64)
    return float(ends.min()), float(ends.max())


def _wrapped(first: int, signed: bool) -> int:
    """Convert a first value that was read as US but is SS by the standard."""
    return first - (1 << 16) if signed and first >= 1 << 15 else first


def _table(tags: Tags, item: Dataset, keyword: str, form: PixelFormat) -> GreyTable:
    """Read a LUT item as it is written (PS3.3 C.11.1.1); `fit_table` checks it."""
    inner = Tags(item, tags.source)
    descriptor = inner.exact_numbers("LUTDescriptor")
    if len(descriptor) != 3:
        raise tags.unusable(keyword, "has no LUTDescriptor of three values")
    count, first, bits = (int(number) for number in descriptor)
    # A count of 0 means 2^16, which has 17 bits; an SS descriptor wraps above 2^15.
    count = count % (1 << 16) or 1 << 16
    data = item.get("LUTData")
    if isinstance(data, bytes):
        # 8-bit entries fill one byte each, or the low byte of one word.
        wide = bits > 8 or len(data) >= 2 * count
        word = ">u2" if form.transfer_syntax == BIG_ENDIAN else "<u2"
        data = data[: len(data) // 2 * 2] if wide else data[: max(count, len(data) - 1)]
        entries = np.frombuffer(data, word if wide else "u1").astype(np.float32)
    else:
        entries = np.atleast_1d(np.asarray(data if data is not None else (), np.float32))
    if not np.isfinite(entries).all():
        raise tags.unusable(keyword, "has entries in LUTData that are not numbers")
    return GreyTable(count, first, np.ascontiguousarray(entries))


def fit_table(
    table: GreyTable, highest: float, keyword: str
) -> tuple[npt.NDArray[np.float32] | None, tuple[Caution, ...]]:
    """Check a table; give its entries, or ``None`` if it cannot be used, with cautions.

    Parameters
    ----------
    table
        The table as it is written.
    highest
        The largest value that is looked up. A table with fewer entries than announced must cover
        it.
    keyword
        Its attribute, for messages.
    """
    entries, faults = table.entries, []
    count = len(entries)
    if count != table.announced:
        faults.append(f"announces {table.announced} entries and has {count}")
    if count < 2 or (count < table.announced and table.first + count - 1 < highest):
        text = f"{keyword} {'; '.join(faults) or 'has no entries'}: it was ignored"
        return None, (Caution("voi_ignored", text, doubt=True),)
    if entries.max() > 255:
        exchanged = entries.astype(np.uint16).byteswap().astype(np.float32)
        if _climb(entries) > _TABLE_ROUGHNESS * max(_climb(exchanged), 1.0):
            entries = exchanged
            faults.append("has entries with swapped bytes, which was corrected")
    if not faults:
        return entries, ()
    return entries, (Caution("table_wrong", f"{keyword} {'; '.join(faults)}", doubt=True),)


def _climb(entries: npt.NDArray[np.float32]) -> float:
    """Sum of all steps of a table divided by its range: 1 if it only rises."""
    span = float(np.ptp(entries))
    return float(np.abs(np.diff(entries)).sum()) / span if span > 0 else 1.0
