"""The meaning of a DICOM status for a file that was sent; C-STORE and STOW-RS share the codes."""

from __future__ import annotations

from typing import Final

from mammolens.serve.delivery.transports import Verdict

__all__ = ["judge_status"]

_TAKEN: Final = frozenset({0x0000, 0x0001, 0x0107, 0x0111, 0x0116})
_LATER: Final = frozenset({0x0110, 0x0210, 0x0213, 0xFE00})


def judge_status(status: int) -> Verdict:
    """Judge a status of C-STORE, or a failure reason of STOW-RS.

    A duplicate (0111) counts as taken: our UIDs are computed from the content, so the destination
    has this object. Warnings count as taken. Out of resources (A7xx) and a failure without a reason
    (0110) may pass; other failures stay.

    Source: PS3.4 table B.2-1, PS3.7 annex C, PS3.18 annex I.2.2.

    Examples
    --------
    >>> [judge_status(s).value for s in (0x0000, 0xB007, 0x0111, 0xA700, 0xA900, 0xC123)]
    ['taken', 'taken', 'taken', 'later', 'never', 'never']
    """
    if status in _TAKEN or 0xB000 <= status <= 0xBFFF:
        return Verdict.TAKEN
    if status in _LATER or 0xA700 <= status <= 0xA7FF:
        return Verdict.LATER
    return Verdict.NEVER
