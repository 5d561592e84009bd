"""Whether a package learned from the patients that it is to be judged on.

A card names the data sets that taught the model and the digest of its split, not the patients. So
a split must be found whose digest is the card's: the compared table's, that of a run that is named,
or that of the run folder in which the package lies. Its training patients are then the model's, and
none of them may be among those judged. A model that learned from other data sets altogether needs
no more than its card.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.splits import refuse_leak, split_digest
from mammolens.errors import ConfigError, InvalidManifest, MammolensError, PatientLeak

if TYPE_CHECKING:
    from mammolens.learn.config import RunConfig
    from mammolens.model import ModelCard

__all__ = ["Proof", "Sides", "prove_apart", "read_sides"]


@dataclass(frozen=True)
class Sides:
    """Who is on which side, and in words where that is said.

    `marked` holds training patients of tables that taught places only.
    """

    manifest: Manifest
    source: str
    marked: tuple[Record, ...] = ()


@dataclass(frozen=True)
class Proof:
    """How it is known that nobody judged taught the model; `cautions` must go with every result."""

    proven: bool
    words: str
    cautions: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As it is written."""
        return {"proven": self.proven, "how": self.words}


def read_sides(path: Path) -> Sides:
    """Read a split: of a run's TOML file, of a run folder (or its ``run.json``), or of a table.

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
    named: Sides | None = None,
    package: Path | None = None,
    trusted: bool = False,
) -> Proof:
    """Prove that no judged patient taught the model, or say that this rests on trust.

    Parameters
    ----------
    card
        Of the package.
    judged
        Records that it shall be judged on.
    given
        Splits that are at hand, such as the compared table's.
    named
        A split that is said to be the package's; it must have the card's digest.
    package
        Where the package lies: a run folder around it is looked into.
    trusted
        Go on where nothing can be proven; what is disproven is refused even so.

    Raises
    ------
    PatientLeak
        If a judged patient taught the model, or nothing proves that none did.
    InvalidManifest
        If `named` is another split than the card's.
    """
    wanted = card.training.split_digest
    if named is not None and split_digest(named.manifest) != wanted:
        raise InvalidManifest(
            f"its split is not the one that {card.name} was trained with",
            source=named.source,
            keyword="split_digest",
            remedy="Name the run, with its tables and settings as they were then",
        )
    at_hand = [*([named] if named else []), *given, *_around(package)]
    sides = next((one for one in at_hand if split_digest(one.manifest) == wanted), None)
    heritage = _heritage(card, judged)
    if sides is not None:
        _refuse_shared(card, judged, sides)
        words = f"none of its training patients by the split of {sides.source} is judged"
        return Proof(True, words, (*_selection(judged, sides), *heritage))
    if _other_sources(card, judged):
        names = ", ".join(sorted(dataset.name for dataset in card.training.datasets))
        return Proof(True, f"by its card it learned from other data sets ({names})", heritage)
    if not trusted:
        raise PatientLeak(
            f"nothing proves that none of the judged patients taught {card.name}: no split at hand "
            "has its card's digest",
            source=card.name,
            keyword="split_digest",
            remedy=f"Name its run with --proof {card.name}=RUN.toml, or say --trust {card.name}: "
            "all results will then carry a caution",
        )
    caution = (
        "taken on trust: nothing proves that none of the judged patients taught it; its figures "
        "may be those of patients that it has seen"
    )
    return Proof(False, "taken on trust", (caution, *heritage))


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
            f"it says nothing of a run: {error}",
            source=str(file),
            keyword="--proof",
            remedy="Give a run's TOML file, its folder, or a table with a column split",
        ) from error


def _around(package: Path | None) -> Iterator[Sides]:
    """The split of the run folder that a package lies in, if it can still be made."""
    if package is None or not (package.parent / "run.json").is_file():
        return
    try:
        yield read_sides(package.parent)
    except MammolensError:
        return  # tables that were moved prove nothing, and disprove nothing


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


def _selection(judged: Sequence[Record], sides: Sides) -> tuple[str, ...]:
    """What must be said of patients on the model's own validation side."""
    chosen = {r.patient for r in sides.manifest.records if r.split is Split.VALIDATION}
    both = {record.patient for record in judged} & chosen
    if not both:
        return ()
    everyone = len({record.patient for record in judged})
    return (
        f"its pass, calibration and thresholds were chosen on {len(both)} of the {everyone} judged "
        "patients: its figures lean to the bright side",
    )


def _heritage(card: ModelCard, judged: Sequence[Record]) -> tuple[str, ...]:
    """What must be said of what it learned from, and did not."""
    known = {dataset.name for dataset in card.training.datasets}
    new = sorted({record.dataset for record in judged} - known)
    earlier = "trunk of an earlier run" in card.training.recipe.lower()
    return (
        *([f"it never learned from {', '.join(new)}"] if new else []),
        *(
            [
                "its trunk went on from an earlier run or package, of whose training patients its "
                "card says nothing"
            ]
            if earlier
            else []
        ),
    )


def _other_sources(card: ModelCard, judged: Sequence[Record]) -> bool:
    names = {dataset.name for dataset in card.training.datasets}
    if names & {record.dataset for record in judged}:
        return False
    taught = [Record(name, "", "", Path(), split=Split.TRAIN) for name in sorted(names)]
    try:
        refuse_leak([*taught, *(replace(record, split=Split.TEST) for record in judged)])
    except PatientLeak:
        return False
    return True
