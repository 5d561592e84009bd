"""Runs that have a word in another: none may have learned from a woman whom that one holds out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mammolens.data.manifest import Manifest, Record, Split
from mammolens.errors import PatientLeak

__all__ = ["refuse_insider"]


def refuse_insider(
    run: Path, own: Manifest, judged: Manifest, keyword: str | None = None
) -> Sequence[Record]:
    """Give the records that a run has learned from, unless the other one holds out their women.

    Parameters
    ----------
    run
        Its folder, for the error.
    own
        Its tables, every patient on a side.
    judged
        The tables of the run that it has a word in.
    keyword
        The setting that names it there.

    Raises
    ------
    PatientLeak
        It has learned from a patient who is held out.
    """
    sides = {record.patient: record.split for record in judged.records}
    learned = own.select(split=Split.TRAIN).records
    leaked = {r.patient for r in learned if sides.get(r.patient) not in (None, Split.TRAIN)}
    if leaked:
        raise PatientLeak(
            f"it has learned from {len(leaked)} patients whom the other run holds out, the first "
            f"{'/'.join(min(leaked))}",
            source=str(run),
            keyword=keyword,
            remedy="Take a run that was trained with the same split",
        )
    return learned
