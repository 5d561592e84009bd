"""What must be known of an evaluation before any of its figures is believed, in words."""

from __future__ import annotations

from collections.abc import Sequence

from mammolens.bench.evidence import Evidence
from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.persons import NOBODY, unknown_identities
from mammolens.data.splits import split_digest
from mammolens.data.synthetic import synthetic_warnings
from mammolens.model import ModelCard

__all__ = ["acquainted", "caveats", "same_women"]

_UNKNOWN = "whether the model was trained on some is not known here"


def caveats(
    evidence: Evidence, judged: Manifest, split: Split | None = None, whole: Manifest | None = None
) -> list[str]:
    """Say what holds of all figures of an evaluation.

    Parameters
    ----------
    judged
        The rows that are judged.
    split
        The side that they are; ``None`` for every row.
    whole
        The table or run that they are rows of, if it is at hand.
    """
    names = {record.dataset for record in judged.records}
    known = acquainted(judged, whole, evidence.card) if whole and evidence.card else []
    notes = synthetic_warnings(names)
    if lost := sum(one.unreadable is not None for one in evidence.results):
        notes.append(
            f"{lost} images could not be read: they have no score, count in no figure, "
            "and stand under unreadable"
        )
    if len(names) > 1:
        notes.append(
            "figures over several data sets also measure how far the sources can be told apart; "
            "read them per data set"
        )
    notes += same_women(judged.records)
    if split is None and not known:
        notes.append(f"rows of every split: {_UNKNOWN}")
    if evidence.others is None:
        notes.append(
            "wanted operating points, recalibration and conformal answers are cross-fitted: in "
            "turns fixed on four fifths of these patients and applied to the fifth"
        )
    if evidence.settings.fit_split is Split.TRAIN:
        notes.append(
            "WARNING: thresholds were fixed on the training side; a model scores better what it "
            "learned from, so they lie too far apart"
        )
    if "tumour" not in evidence.tasks:
        notes.append("the predictions say nothing of benign tumours: there are no tumour figures")
    return [*notes, *known]


def same_women(records: Sequence[Record]) -> list[str]:
    """Warn of sources that show the same women, which folds and resamples take for others."""
    return [
        f"WARNING: {' and '.join(sources)} show the same women under other identifiers: over both "
        "together intervals are too narrow, and women on whom something was fixed may be judged"
        for sources, _ in unknown_identities(records, NOBODY)
    ]


def acquainted(judged: Manifest, whole: Manifest, card: ModelCard) -> list[str]:
    """Say which judged patients the model learned from, or was chosen on.

    A card names the digest of its split, so that this is known where `whole` is that split; of
    any other table a warning is given only where the card names one of its data sets.

    Parameters
    ----------
    judged
        The rows that are judged.
    whole
        The table or run that they are rows of, with its sides.
    """
    patients = {record.patient for record in judged.records}
    if split_digest(whole) != card.training.split_digest:
        own = {dataset.name for dataset in card.training.datasets}
        shared = sorted({record.dataset for record in judged.records} & own)
        if not shared:
            return []
        return [
            f"WARNING: {card.name} was trained on {', '.join(shared)} by another split than this "
            f"table's: {_UNKNOWN}"
        ]
    on = {
        side: len(patients & {record.patient for record in whole.records if record.split is side})
        for side in (Split.TRAIN, Split.VALIDATION)
    }
    words = {
        Split.TRAIN: f"{card.name} learned from {on[Split.TRAIN]} of the {len(patients)} judged "
        "patients: figures of them say nothing about other women",
        Split.VALIDATION: f"the pass, the calibration and the card's thresholds of {card.name} "
        f"were chosen on {on[Split.VALIDATION]} of the {len(patients)} judged patients: ranking, "
        "calibration and the points low and high lean to the bright side",
    }
    return [f"WARNING: {words[side]}" for side, count in on.items() if count]
