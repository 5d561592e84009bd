"""The data of a comparison: a table or a run, its sides, and how pictures are prepared."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mammolens.bench.comparison.leak_proof import Sides, read_sides
from mammolens.bench.evaluate import read_tables
from mammolens.bench.units import UNITS
from mammolens.data.manifest import Manifest, Split
from mammolens.data.regions import region_records
from mammolens.data.splits import refuse_leak, split_patients
from mammolens.errors import ConfigError, InvalidManifest, PatientLeak
from mammolens.model import patient_digest
from mammolens.preprocess import InputConfig, PreprocessConfig, RegionConfig

__all__ = ["ALL_ROWS", "DEFAULT_CACHE", "JudgedData", "read_judged_data"]

ALL_ROWS: Final = "all"
"""In place of a side: every row, which leaves nothing to train on."""

DEFAULT_CACHE: Final = Path(".cache/prepared")


_SHARE: Final = 0.2
_MOST: Final = 0.8
_SEED: Final = 1
"""Share of the validation side, largest such share and seed for a table without sides; share and
seed are the defaults of `mammolens train`."""


@dataclass(frozen=True)
class JudgedData:
    """The rows of a comparison.

    Models are judged on the rows of `judged`; classical models learn from `training`, if there are
    such rows, and prepare pictures by `preprocess`. `notes` say how sides and preparation were
    chosen.
    """

    source: str
    split: str
    sides: Sides
    judged: Manifest
    training: Manifest | None
    preprocess: InputConfig
    cache: Path
    notes: tuple[str, ...] = ()

    @property
    def of_lesions(self) -> bool:
        """Whether a picture shows one lesion, and not a breast."""
        return isinstance(self.preprocess, RegionConfig)

    @property
    def unit(self) -> str:
        """The unit of the claims."""
        return "image" if self.of_lesions else "breast"

    @property
    def units(self) -> tuple[str, ...]:
        """All units for which figures are given."""
        return ("image", "patient") if self.of_lesions else UNITS


def read_judged_data(
    table: Path,
    split: str,
    *,
    of_lesions: bool = False,
    taught: Collection[str] = (),
    cache: Path | None = None,
) -> JudgedData:
    """Read a table or a run, and choose the rows that models are judged on.

    Classical models prepare pictures as the run states, or by default, but never like a package. So
    their figures do not depend on the other models. A table without sides is cut by patient with a
    seed; patients that taught a package are on the training side.

    Parameters
    ----------
    table
        A CSV table, or a run's TOML file.
    split
        A side, or `ALL_ROWS`.
    of_lesions
        Whether the marked lesions of a table are judged instead of breasts.
    taught
        Digests of the patients that packages are known to have learned from.
    cache
        Folder of prepared pictures, instead of the run's.

    Raises
    ------
    InvalidManifest, PatientLeak
        If the table is faulty, has no such side, or holds only patients who taught packages.
    ConfigError
        If the run is faulty, or the side does not exist.
    """
    folder, notes = cache or DEFAULT_CACHE, list[str]()
    if table.suffix.lower() == ".toml":
        from mammolens.learn.config import read_run

        config = read_run(table)
        folder = cache or config.data.cache
        preprocess, whose = config.preprocess, f"as {table} states"
        sides = read_sides(table)
    else:
        whole = read_tables([table])
        preprocess, whose = (RegionConfig() if of_lesions else PreprocessConfig()), "by default"
        whole = region_records(whole) if of_lesions else whole
        if split == Split.VALIDATION.value and all(r.split is None for r in whole.records):
            whole, note = _cut(whole, table, taught)
            notes.append(note)
        sides = Sides(whole, str(table))
    notes.append(
        f"classical models use pictures prepared {whose} ({_settings(preprocess)}), independent "
        "of the packages; packages prepare them as their cards state"
    )
    return JudgedData(
        str(table),
        split,
        sides,
        _judged(sides.manifest, split, table),
        _side(sides.manifest, Split.TRAIN) if split != ALL_ROWS else None,
        preprocess,
        folder,
        tuple(notes),
    )


def _cut(manifest: Manifest, table: Path, taught: Collection[str]) -> tuple[Manifest, str]:
    """Put every patient on a side; also give a sentence that describes how."""
    everyone = {record.patient for record in manifest.records}
    known = {patient for patient in everyone if patient_digest(patient) in taught}
    if known == everyone:
        raise PatientLeak(
            f"the packages learned from all {len(everyone)} patients, so none is left to judge",
            source=str(table),
            remedy="Give patients that they have not learned from",
        )
    others = manifest.select(where=lambda record: record.patient not in known)
    share = _SHARE * len(everyone) / (len(everyone) - len(known))
    judged_all = bool(known) and share > _MOST
    cut = (
        others.with_splits(dict.fromkeys(everyone, Split.VALIDATION))
        if judged_all
        else split_patients(others, validation=share, seed=_SEED)
    )
    sides = {record.patient: record.split or Split.TRAIN for record in cut.records}
    found = manifest.with_splits(sides | dict.fromkeys(known, Split.TRAIN))
    refuse_leak(found.records)
    judged = sum(side is Split.VALIDATION for side in sides.values())
    words = f"the table states no sides: {judged} of {len(everyone)} patients are judged"
    words += "" if judged_all else f", drawn with seed {_SEED}"
    words += (
        f"; none of the {len(known)} that a package learned from is among them" if known else ""
    )
    return found, words


def _settings(preprocess: InputConfig) -> str:
    settings = preprocess.model_dump(mode="json", exclude={"kind"})
    return ", ".join(f"{key} {value}" for key, value in settings.items())


def _judged(manifest: Manifest, split: str, table: Path) -> Manifest:
    if split == ALL_ROWS:
        return manifest.with_splits({record.patient: Split.TEST for record in manifest.records})
    if split == Split.TRAIN.value or split not in [side.value for side in Split]:
        raise ConfigError(
            f"{split!r} is not a side on which models can be judged",
            keyword="--split",
            remedy=f"Use {Split.VALIDATION.value}, {Split.TEST.value}, or {ALL_ROWS} for every row",
        )
    found = _side(manifest, Split(split))
    if found is None:
        raise InvalidManifest(
            f"no row belongs to the split {split!r}",
            source=str(table),
            keyword="split",
            remedy="Add a column split (train, validation, test), give a run's TOML file, or say "
            f"--split {ALL_ROWS} to judge packages on every row",
        )
    return found


def _side(manifest: Manifest, side: Split) -> Manifest | None:
    if not any(record.split is side for record in manifest.records):
        return None
    return manifest.select(split=side)
