"""Warnings and notes that a reader must know before believing the figures of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from mammolens.bench.evidence import Evidence
from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.persons import NO_LINKS, unknown_identities
from mammolens.data.splits import split_digest
from mammolens.data.summary import synthetic_warnings
from mammolens.errors import InvalidManifest
from mammolens.model import KnownPatients, ModelCard, patient_digest

__all__ = ["caveats", "known_patient_warnings", "refuse_other_split", "same_patients"]

_UNKNOWN = "whether the model was trained on some is not known here"


def caveats(
    evidence: Evidence, judged: Manifest, split: Split | None = None, whole: Manifest | None = None
) -> list[str]:
    """Give the notes and warnings that apply to all figures of an evaluation.

    Parameters
    ----------
    split
        The side of the split that is judged; ``None`` for every row.
    whole
        The table or run that the rows are from, if it is available.
    """
    names = {record.dataset for record in judged.records}
    card = evidence.card
    known = known_patient_warnings(judged, whole, card, evidence.known) if whole and card else []
    notes = synthetic_warnings(names)
    if lost := sum(one.unreadable is not None for one in evidence.results):
        notes.append(
            f"{lost} images could not be read: they have no score, count in no figure, "
            "and are listed under unreadable"
        )
    if len(names) > 1:
        notes.append(
            "figures over several data sets also measure how far the sources can be distinguished; "
            "read them per data set"
        )
    notes += same_patients(judged.records)
    if split is None and not known:
        notes.append(f"rows of every split: {_UNKNOWN}")
    if evidence.others is None:
        notes.append(
            "wanted operating points, recalibration and conformal answers are cross-fitted: fixed "
            "on four fifths of these patients and applied to the last fifth, five times"
        )
    if evidence.settings.fit_split is Split.TRAIN:
        notes.append(
            "WARNING: thresholds were fixed on the training side; a model scores the images that "
            "it learned from better, so the thresholds are too far apart"
        )
    if "tumour" not in evidence.tasks:
        notes.append(
            "the predictions have no scores of benign tumours: there are no tumour figures"
        )
    return [*notes, *known]


def same_patients(records: Sequence[Record]) -> list[str]:
    """Warn of data sets that show the same patients: folds and resamples would separate them."""
    return [
        f"WARNING: {' and '.join(sources)} show the same patients under other identifiers: over "
        "both together intervals are too narrow, and patients who served to fix a threshold may be "
        "judged"
        for sources, _ in unknown_identities(records, NO_LINKS)
    ]


def refuse_other_split(manifest: Manifest, digest: str, model: str, source: str) -> None:
    """Refuse a split that is not the one a model was trained with.

    Parameters
    ----------
    digest
        The digest of the model's split, from its card or run.
    model, source
        Name of the model, and file of the split, for the message.

    Raises
    ------
    InvalidManifest
        If the digests differ.
    """
    if split_digest(manifest) != digest:
        raise InvalidManifest(
            f"its split is not the one that {model} was trained with",
            source=source,
            keyword="split_digest",
            remedy="Use the run and the tables that the model was trained from",
        )


def known_patient_warnings(
    judged: Manifest, whole: Manifest, card: ModelCard, patients: KnownPatients | None = None
) -> list[str]:
    """Warn of judged patients that the model learned from, or that it was chosen on.

    These patients are known if `whole` has the split that the card names by its digest, or if the
    package lists its patients and some of a data set are recognised. Otherwise there is a warning
    if the card names one of the judged data sets.

    Parameters
    ----------
    whole
        The table or run that the rows are from, with its sides.
    patients
        The patients that the package learned from and held out, if it lists them.
    """
    everyone = {record.patient for record in judged.records}
    if split_digest(whole) == card.training.split_digest:
        taught, chosen = (
            {record.patient for record in whole.records if record.split is side}
            for side in (Split.TRAIN, Split.VALIDATION)
        )
        strange = set[str]()
    else:
        named = {r.patient: patient_digest(r.patient) for r in whole.records}
        taught_digests = patients.taught if patients else frozenset()
        held_out = patients.held_out if patients else frozenset()
        taught = {one for one, digest in named.items() if digest in taught_digests}
        chosen = {one for one, digest in named.items() if digest in held_out}
        own = {dataset.name for dataset in card.training.datasets}
        strange = own.intersection(d for d, _ in everyone) - {d for d, _ in taught | chosen}
    notes = []
    if n := len(taught & everyone):
        notes.append(
            f"{card.name} learned from {n} of the {len(everyone)} judged patients: figures of them "
            "say nothing about other patients"
        )
    if n := len(chosen & everyone):
        notes.append(
            f"the pass, the calibration and the card's thresholds of {card.name} were chosen on "
            f"{n} of the {len(everyone)} judged patients: ranking, calibration and the points low "
            "and high are optimistic"
        )
    if strange:
        notes.append(
            f"{card.name} was trained on {', '.join(sorted(strange))} by another split than this "
            f"table's: {_UNKNOWN}"
        )
    return [f"WARNING: {note}" for note in notes]
