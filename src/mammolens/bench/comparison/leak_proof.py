"""Check that a package did not learn from the patients that it will be judged on.

Three sources can show this. The first is a split whose digest is the card's: that of the compared
table, of a run that is named, or of the run folder that the package is in; its training
patients are the model's. The second is the list of patient digests inside a package
(`mammolens.model.KnownPatients`). It is compared with the table's patients, provided that some of
each data set are recognised, which shows that the identifiers are the same. None of the training
patients may be judged. The third is the card, if the model learned from other data sets only.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammolens.bench.caveats import refuse_other_split
from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.splits import refuse_leak, split_digest
from mammolens.errors import ConfigError, MammolensError, PatientLeak
from mammolens.model import KnownPatients, ModelCard, patient_digest

if TYPE_CHECKING:
    from mammolens.learn.config import RunConfig

__all__ = ["Proof", "Sides", "prove_apart", "read_sides"]


@dataclass(frozen=True)
class Sides:
    """A split, and the name of its `source`.

    `marked` has the training records of tables that taught the places of lesions only.
    """

    manifest: Manifest
    source: str
    marked: tuple[Record, ...] = ()


@dataclass(frozen=True)
class Proof:
    """The reason why no judged patient taught the model; every result must have its `cautions`."""

    proven: bool
    words: str
    cautions: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Give the entry of ``compare.json``."""
        return {"proven": self.proven, "how": self.words}


def read_sides(path: Path) -> Sides:
    """Read the split of a run's TOML file, of a run folder (or its ``run.json``), or of a table.

    Raises
    ------
    ConfigError, InvalidManifest, PatientLeak
        If it cannot be read.
    """
    from mammolens.learn.config import read_run

    if path.suffix.lower() == ".csv":
        return Sides(Manifest.read(path), str(path))
    if path.suffix.lower() == ".toml":
        return _run_sides(read_run(path), path)
    file = path / "run.json" if path.is_dir() else path
    return _run_sides(_read_config(file), file)


def prove_apart(
    card: ModelCard,
    judged: Sequence[Record],
    given: Sequence[Sides],
    *,
    known: KnownPatients | None = None,
    named: Sides | None = None,
    package: Path | None = None,
    trusted: bool = False,
) -> Proof:
    """Prove that no judged patient taught the model, or state that this is only assumed.

    Parameters
    ----------
    given
        Available splits, such as that of the compared table.
    named
        A split that the user names as the package's; it must have the card's digest.
    package
        The package's path; if it is in a run folder, that run's split is used too.
    trusted
        Continue if nothing can be proven. A package that did learn from a judged patient is
        refused even then.

    Raises
    ------
    PatientLeak
        If a judged patient taught the model, or nothing proves that none did.
    InvalidManifest
        If `named` is another split than the card's.
    """
    wanted = card.training.split_digest
    if named is not None:
        refuse_other_split(named.manifest, wanted, card.name, named.source)
    at_hand = [*([named] if named else []), *given, *_run_folder_sides(package)]
    sides = next((one for one in at_hand if split_digest(one.manifest) == wanted), None)
    cautions = _training_cautions(card, known, judged)
    _refuse_taught(card, known, judged)
    if sides is not None:
        _refuse_shared(card, judged, sides)
        words = f"none of its training patients by the split of {sides.source} is judged"
        chosen = {r.patient for r in sides.manifest.records if r.split is Split.VALIDATION}
        return Proof(True, words, (*_selection(judged, chosen), *cautions))
    if _learned_elsewhere(card, judged):
        names = ", ".join(sorted(dataset.name for dataset in card.training.datasets))
        return Proof(True, f"by its card it learned from other data sets ({names})", cautions)
    table = [record for one in given for record in one.manifest.records]
    unlisted = _unlisted_datasets(card, known, judged, table)
    if known is not None and not unlisted:
        words = (
            f"none of the {len(known.taught)} training patients that its package names is judged"
        )
        chosen = {r.patient for r in judged if patient_digest(r.patient) in known.held_out}
        return Proof(True, words, (*_selection(judged, chosen), *cautions))
    if not trusted:
        raise _unproven(card, known, unlisted)
    caution = (
        "taken on trust: nothing proves that none of the judged patients taught it; its figures "
        "may be those of patients that it has seen"
    )
    return Proof(False, "taken on trust", (caution, *cautions))


def _run_sides(config: RunConfig, path: Path) -> Sides:
    from mammolens.learn.config import load_localisation, load_manifest

    manifest = load_manifest(config)
    marked = load_localisation(config) if config.train.map_weight > 0 else None
    taught = marked.records if marked else ()
    return Sides(manifest, str(path), tuple(r for r in taught if r.split is Split.TRAIN))


def _read_config(file: Path) -> RunConfig:
    from mammolens.learn.config import RunConfig

    try:
        return RunConfig.model_validate(json.loads(file.read_text("utf-8"))["config"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"it is not the configuration of a run: {error}",
            source=str(file),
            keyword="--proof",
            remedy="Give a run's TOML file, its folder, or a table with a column split",
        ) from error


def _run_folder_sides(package: Path | None) -> Iterator[Sides]:
    """Give the split of the run folder that a package is in, if it can still be read."""
    if package is None or not (package.parent / "run.json").is_file():
        return
    try:
        yield read_sides(package.parent)
    except MammolensError:
        return  # the tables were moved, so nothing is proven


def _refuse_shared(card: ModelCard, judged: Sequence[Record], sides: Sides) -> None:
    taught = [
        replace(record, split=Split.TRAIN)
        for record in (*sides.manifest.records, *sides.marked)
        if record.split is Split.TRAIN
    ]
    try:
        refuse_leak([*taught, *(replace(record, split=Split.TEST) for record in judged)])
    except PatientLeak as error:
        raise PatientLeak(
            f"{card.name} learned from patients that it would be judged on ({error.message})",
            source=sides.source,
            keyword="split",
            remedy="Judge it on patients that it held out, or leave it out",
        ) from error


def _refuse_taught(card: ModelCard, known: KnownPatients | None, judged: Sequence[Record]) -> None:
    """Refuse a package that lists judged patients as its training patients."""
    everyone = {record.patient for record in judged}
    taught = {p for p in everyone if known and patient_digest(p) in known.taught}
    if taught:
        raise PatientLeak(
            f"{card.name} learned from {len(taught)} of the {len(everyone)} judged patients, the "
            f"first {'/'.join(min(taught))}",
            source=card.name,
            keyword="patient_id",
            remedy=f"Give a table without the column split: then only patients that no package "
            f"learned from are judged; or leave {card.name} out",
        )


def _unlisted_datasets(
    card: ModelCard,
    known: KnownPatients | None,
    judged: Sequence[Record],
    table: Sequence[Record],
) -> list[str]:
    """Give the judged data sets that the model may have learned from, but with unknown patients.

    The card names such a data set, or one with the same patients, and the package lists none of its
    patients.
    """
    there = known.taught | known.held_out if known else frozenset()
    recognised = {r.dataset for r in table if patient_digest(r.patient) in there}
    return sorted(
        name
        for name in {record.dataset for record in judged} - recognised
        if not _learned_elsewhere(card, [r for r in judged if r.dataset == name])
    )


def _unproven(card: ModelCard, known: KnownPatients | None, unlisted: Sequence[str]) -> PatientLeak:
    names = ", ".join(unlisted)
    why = (
        f"its package does not say from which patients of {names}"
        if known is None
        else f"none of the patients of {names} has an identifier that its package knows"
    )
    return PatientLeak(
        f"nothing proves that none of the judged patients taught {card.name}: {why}",
        source=card.name,
        keyword="patient_id",
        remedy=f"If they are other patients, give them another name in the column dataset; else "
        f"name its run with --proof {card.name}=RUN.toml, judge other patients, or give --trust "
        f"{card.name}: all results then have a caution",
    )


def _selection(judged: Sequence[Record], chosen: Collection[tuple[str, str]]) -> tuple[str, ...]:
    """Give a caution about judged patients of the model's own validation side."""
    everyone = {record.patient for record in judged}
    both = everyone.intersection(chosen)
    if not both:
        return ()
    return (
        f"its pass, calibration and thresholds were chosen on {len(both)} of the {len(everyone)} "
        "judged patients: its figures are optimistic",
    )


def _training_cautions(
    card: ModelCard, known: KnownPatients | None, judged: Sequence[Record]
) -> tuple[str, ...]:
    """Give cautions about data sets that the model did not learn from, and about its origin."""
    new = sorted({r.dataset for r in judged} - {one.name for one in card.training.datasets})
    # Words of the recipe that `mammolens.bench.packaging.export` writes.
    went_on = "of an earlier run" in card.training.recipe.lower()
    unsure = went_on if known is None else not known.complete
    return (
        *([f"it never learned from {', '.join(new)}"] if new else []),
        *(
            ["its trunk comes from an earlier run or package whose training patients are unknown"]
            if unsure
            else []
        ),
    )


def _learned_elsewhere(card: ModelCard, judged: Sequence[Record]) -> bool:
    """Say whether the card names no judged data set, and none with the same patients."""
    names = {dataset.name for dataset in card.training.datasets}
    if names & {record.dataset for record in judged}:
        return False
    taught = [Record(name, "", "", Path(), split=Split.TRAIN) for name in sorted(names)]
    try:
        refuse_leak([*taught, *(replace(record, split=Split.TEST) for record in judged)])
    except PatientLeak:
        return False
    return True
