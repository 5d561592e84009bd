"""Modality LUT, VOI and padding (PS3.3 C.11.1, C.11.2, C.7.5.1.1.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mammolens.core import VoiFunction, VoiLut, Window
from mammolens.images.dicom_values import Tags

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["Modality", "apply_modality", "modality_of", "padding_range", "voi_of"]

LARGEST = 1e9
"""Rescaled values beyond this are no picture (and would not fit single precision)."""


@dataclass(frozen=True)
class Modality:
    """Modality LUT: `table` for stored values from `first` on, or else slope and intercept."""

    slope: float = 1.0
    intercept: float = 0.0
    first: int = 0
    table: npt.NDArray[np.float32] | None = None


def modality_of(tags: Tags, signed: bool) -> Modality:
    """Read the modality LUT or rescale.

    Raises
    ------
    NotAnImage
        If RescaleSlope is zero or no number, or the table cannot be read.
    """
    tables = tags.items("ModalityLUTSequence")
    if tables:
        first, values = _table(tags, tables[0], "ModalityLUTSequence")
        return Modality(first=_wrapped(first, signed), table=values)
    slope = next(iter(tags.exact_numbers("RescaleSlope")), 1.0)
    intercept = next(iter(tags.exact_numbers("RescaleIntercept")), 0.0)
    if slope == 0:
        raise tags.unusable("RescaleSlope", "is zero")
    if 65_536 * abs(slope) + abs(intercept) > LARGEST:
        raise tags.unusable("RescaleSlope", f"of {slope} with intercept {intercept} is impossible")
    return Modality(slope, intercept)


def apply_modality(modality: Modality, stored: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Apply a modality LUT to stored values of any shape.

    Identity gives `stored` itself, without a copy; integer slope and intercept stay integer.

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


def voi_of(tags: Tags, signed: bool) -> Window | VoiLut | None:
    """Read the VOI: a table if there is one, otherwise the first window that can be used.

    Parameters
    ----------
    tags
        The data set.
    signed
        Whether the modality LUT's output can be negative, which decides how a table's first
        value is read.
    """
    tables = tags.items("VOILUTSequence")
    if tables:
        try:
            first, values = _table(tags, tables[0], "VOILUTSequence")
        except Exception:
            tags.caution("voi_ignored", "VOILUTSequence cannot be read and was ignored")
        else:
            return VoiLut(_wrapped(first, signed), values)
    centers, widths = tags.numbers("WindowCenter"), tags.numbers("WindowWidth")
    windows = list(zip(centers, widths, strict=False))
    if not windows:
        return None
    if len(windows) > 1:
        tags.caution("several_windows", f"{len(windows)} windows; the first was taken")
    center, width = windows[0]
    function = _function(tags)
    if width < 1 if function is VoiFunction.LINEAR else width <= 0:
        tags.caution("voi_ignored", f"a WindowWidth of {width:g} is impossible and was ignored")
        return None
    return Window(center, width, function)


def _function(tags: Tags) -> VoiFunction:
    name = tags.code("VOILUTFunction") or VoiFunction.LINEAR.value
    if name not in VoiFunction.__members__:
        tags.caution("voi_function_unknown", "VOILUTFunction is none of the standard's: LINEAR")
        return VoiFunction.LINEAR
    return VoiFunction(name)


def padding_range(
    tags: Tags, modality: Modality, signed: bool, bits_allocated: int
) -> tuple[float, float] | None:
    """Read Pixel Padding Value and Range Limit as a closed range of modality values."""
    values = [
        next(iter(tags.numbers(keyword)), None)
        for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")
    ]
    given = [int(value) for value in values if value is not None]
    if values[0] is None or not given:
        return None
    if signed:
        half = 1 << (bits_allocated - 1)
        given = [value - 2 * half if value >= half else value for value in given]
    else:
        given = [value % (1 << bits_allocated) for value in given]
    ends = apply_modality(modality, np.array(given, np.int32)).astype(np.float64)
    return float(ends.min()), float(ends.max())


def _wrapped(first: int, signed: bool) -> int:
    """A first value that was read as US, where the standard means SS."""
    return first - (1 << 16) if signed and first >= 1 << 15 else first


def _table(tags: Tags, item: Dataset, keyword: str) -> tuple[int, npt.NDArray[np.float32]]:
    """First mapped value and entries of a LUT item (PS3.3 C.11.1.1)."""
    inner = Tags(item, tags.source)
    descriptor = inner.exact_numbers("LUTDescriptor")
    if len(descriptor) != 3:
        raise tags.unusable(keyword, "has no LUTDescriptor of three values")
    count, first, _ = (int(number) for number in descriptor)
    # A count of 0 stands for 2^16, which does not fit; an SS descriptor wraps above 2^15.
    count = count % (1 << 16) or 1 << 16
    data = item.get("LUTData")
    if isinstance(data, bytes):
        # 8-bit entries fill one byte each, or the low byte of one word.
        wide = len(data) >= 2 * count
        entries = np.frombuffer(data, "<u2" if wide else "u1").astype(np.float32)
    else:
        entries = np.atleast_1d(np.asarray(data if data is not None else (), np.float32))
    if len(entries) < count or not np.isfinite(entries).all():
        raise tags.unusable(keyword, f"has {len(entries)} entries of {count} in LUTData")
    return first, np.ascontiguousarray(entries[:count])
