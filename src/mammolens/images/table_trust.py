"""Compare a modality or VOI table with its own descriptor; see the table in `pixel_trust`."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.core import Caution

__all__ = ["GreyTable", "fit_table"]

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
