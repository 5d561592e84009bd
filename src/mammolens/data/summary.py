"""Counts of a manifest by data set, label, view and split, and warnings of synthetic pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mammolens.data.manifest import Manifest, Record

__all__ = [
    "DEMO_DATASET",
    "LABEL_WORDS",
    "CountRow",
    "count_images",
    "label_word",
    "synthetic_warnings",
]

LABEL_WORDS: Final = {
    (True, True): "malignant",
    (True, False): "benign",
    (True, None): "tumour, kind unknown",
    (False, False): "normal",
    (None, False): "no cancer, benign unknown",
    (None, None): "unknown",
}
"""(tumour, malignant) → the label in words."""
DEMO_DATASET: Final = "synthetic-demo"
_MARK: Final = "synthetic"


@dataclass(frozen=True)
class CountRow:
    """The number of images and patients with one combination of values; "" means unknown."""

    dataset: str
    label: str
    view_position: str
    laterality: str
    split: str
    images: int
    patients: int


def label_word(record: Record) -> str:
    """Give a record's labels in words.

    Examples
    --------
    >>> from pathlib import Path
    >>> label_word(Record("rsna", "1", "p", Path("1.png"), malignant=False))
    'no cancer, benign unknown'
    """
    return LABEL_WORDS[record.tumour, record.malignant]


def count_images(manifest: Manifest) -> tuple[CountRow, ...]:
    """Count images and patients for every combination that occurs, in alphabetical order."""
    patients_of: dict[tuple[str, str, str, str, str], list[str]] = defaultdict(list)
    for record in manifest.records:
        key = (
            record.dataset,
            label_word(record),
            record.view_position.value if record.view_position else "",
            record.laterality.value if record.laterality else "",
            record.split.value if record.split else "",
        )
        patients_of[key].append(record.patient_id)
    return tuple(
        CountRow(*key, len(patients), len(set(patients)))
        for key, patients in sorted(patients_of.items())
    )


def synthetic_warnings(datasets: Iterable[str]) -> list[str]:
    """Give the warning that every page, report and terminal must show with synthetic data.

    Parameters
    ----------
    datasets
        Names of data sets. A data set is synthetic if its name begins with ``synthetic``.

    Returns
    -------
    list of str
        One warning, or an empty list if no data set is synthetic.

    Examples
    --------
    >>> synthetic_warnings(["inbreast"])
    []
    >>> synthetic_warnings(["synthetic-demo", "inbreast"])[0][:40]
    'WARNING: SYNTHETIC data (synthetic-demo)'
    """
    named = sorted({name for name in datasets if name.casefold().startswith(_MARK)})
    if not named:
        return []
    return [
        f"WARNING: SYNTHETIC data ({', '.join(named)}): there are no patients; a program made the "
        "pictures and labels. These figures mean nothing clinically; they only show how the "
        "commands work"
    ]
