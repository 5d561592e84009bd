"""Read from Patient Orientation (0020,0020) how a stored picture must be turned to be upright.

The rows of an upright mammogram run to the front or to the back of the patient. Its columns run to
the feet, or in a view from above to the inner side of the breast. A mirrored picture is not changed
here: preprocessing puts the chest wall of every breast at the same side.

Source: PS3.3 C.7.6.1.1.1 (Patient Orientation) and C.8.11.7.1.4 (views).
"""

from __future__ import annotations

import re
from typing import Final

from mammolens.core import Laterality, Orientation, ViewPosition
from mammolens.images.dicom.tags import Tags

__all__ = ["stated_orientation"]

_KEYWORD: Final = "PatientOrientation"
_DIRECTION: Final = re.compile(r"[APLRHF]{1,3}")
_OPPOSITE: Final = {"A": "P", "P": "A", "L": "R", "R": "L", "H": "F", "F": "H"}
_AXIS: Final = {"A": "AP", "P": "AP", "L": "LR", "R": "LR", "H": "HF", "F": "HF"}
_INNER: Final = {Laterality.LEFT: "R", Laterality.RIGHT: "L"}
_FROM_ABOVE: Final = frozenset(
    (ViewPosition.CC, ViewPosition.XCCL, ViewPosition.XCCM, ViewPosition.FB, ViewPosition.CV)
)
_NO_DIRECTION: Final = frozenset(view.value for view in ViewPosition)


def stated_orientation(
    tags: Tags, laterality: Laterality | None, view: ViewPosition | None
) -> Orientation | None:
    """Read the orientation of the picture; ``None`` if it is not stated, or impossible."""
    stated = tuple(text.upper() for text in tags.texts(_KEYWORD))
    if not stated or set(stated) <= _NO_DIRECTION:
        return None
    row, column = (stated[0], stated[1]) if len(stated) == 2 else ("", "")
    axes = _AXIS.get(row[:1]), _AXIS.get(column[:1])
    readable = bool(_DIRECTION.fullmatch(row) and _DIRECTION.fullmatch(column))
    if not readable or axes[0] == axes[1] or "AP" not in axes:
        text = f"{_KEYWORD} is impossible for a mammogram and was ignored"
        tags.caution("orientation_unusable", text)
        return None
    quarter_turns = 0
    while _AXIS[row[0]] != "AP" or not _runs_down(column, laterality, view):
        # After a clockwise turn, the direction up is the direction right, and right is down.
        row, column = "".join(_OPPOSITE[letter] for letter in column), row
        quarter_turns += 1
    return Orientation(quarter_turns, row[0] == "P", _KEYWORD)


def _runs_down(column: str, laterality: Laterality | None, view: ViewPosition | None) -> bool:
    """Return whether the columns run as in an upright picture; its rows are known to."""
    across = column[0] in "LR" and laterality is not None
    vertical = next((letter for letter in column if letter in "HF"), None)
    if vertical is not None and not (across and view in _FROM_ABOVE):
        return vertical == "F"
    return column[0] == _INNER[laterality] if across and laterality is not None else True
