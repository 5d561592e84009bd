"""What a manifest holds, counted: images and patients by data set, label, view, side and split."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from mammolens.data.manifest import Manifest, Record

__all__ = ["LABEL_WORDS", "CountRow", "count_images", "label_word"]

LABEL_WORDS: Final = {
    (True, True): "malignant",
    (True, False): "benign",
    (True, None): "tumour, kind unknown",
    (False, False): "normal",
    (None, False): "no cancer, benign unknown",
    (None, None): "unknown",
}
"""What (tumour, malignant) means in words."""


@dataclass(frozen=True)
class CountRow:
    """Images that agree in all of these; an empty word is unknown."""

    dataset: str
    label: str
    view_position: str
    laterality: str
    split: str
    images: int
    patients: int


def label_word(record: Record) -> str:
    """Say in words what a record's labels say, no more.

    Examples
    --------
    >>> from pathlib import Path
    >>> label_word(Record("rsna", "1", "p", Path("1.png"), malignant=False))
    'no cancer, benign unknown'
    """
    return LABEL_WORDS[record.tumour, record.malignant]


def count_images(manifest: Manifest) -> tuple[CountRow, ...]:
    """Count images and patients for every combination that occurs, sorted by its words."""
    found: dict[tuple[str, str, str, str, str], list[str]] = defaultdict(list)
    for record in manifest.records:
        key = (
            record.dataset,
            label_word(record),
            record.view_position.value if record.view_position else "",
            record.laterality.value if record.laterality else "",
            record.split.value if record.split else "",
        )
        found[key].append(record.patient_id)
    return tuple(
        CountRow(*key, len(patients), len(set(patients))) for key, patients in sorted(found.items())
    )
