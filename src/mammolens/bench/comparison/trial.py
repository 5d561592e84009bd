"""What a comparison is held on: a table or a run, its sides, and how pictures are prepared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mammolens.bench.comparison.proof import Sides, read_sides
from mammolens.bench.evaluate import read_tables
from mammolens.bench.units import UNITS
from mammolens.data.manifest import Manifest, Split
from mammolens.data.regions import region_records
from mammolens.errors import ConfigError, InvalidManifest
from mammolens.model import ModelCard
from mammolens.preprocess import InputConfig, PreprocessConfig, RegionConfig

__all__ = ["ALL_ROWS", "DEFAULT_CACHE", "Trial", "read_trial"]

ALL_ROWS: Final = "all"
"""In place of a side: every row, which leaves nothing to train on."""

DEFAULT_CACHE: Final = Path(".cache/prepared")


@dataclass(frozen=True)
class Trial:
    """`judged` are the rows that models are judged on, `training` those that classical ones learn
    from, if there are any."""

    source: str
    split: str
    sides: Sides
    judged: Manifest
    training: Manifest | None
    preprocess: InputConfig
    cache: Path

    @property
    def of_lesions(self) -> bool:
        """Whether a picture shows one lesion, and not a breast."""
        return isinstance(self.preprocess, RegionConfig)

    @property
    def unit(self) -> str:
        """What claims are about."""
        return "image" if self.of_lesions else "breast"

    @property
    def units(self) -> tuple[str, ...]:
        """All that is counted."""
        return ("image", "patient") if self.of_lesions else UNITS


def read_trial(
    table: Path, split: str, cards: Sequence[ModelCard] = (), cache: Path | None = None
) -> Trial:
    """Read a table or a run, and choose the rows that models are judged on.

    Parameters
    ----------
    table
        A CSV table with a column ``split``, or a run's TOML file.
    split
        A side, or `ALL_ROWS`.
    cards
        Of the packages to be compared: pictures of a table are prepared as the first one says.
    cache
        Folder of prepared pictures, instead of the run's.

    Raises
    ------
    InvalidManifest, PatientLeak
        If the table is faulty or has no such side.
    ConfigError
        If the run is faulty, or there is no such side.
    """
    preprocess: InputConfig = cards[0].preprocess if cards else PreprocessConfig()
    folder = cache or DEFAULT_CACHE
    if table.suffix.lower() == ".toml":
        from mammolens.learn.config import read_run

        config = read_run(table)
        preprocess, folder = config.preprocess, cache or config.data.cache
        sides = read_sides(table)
    else:
        whole = read_tables([table])
        if isinstance(preprocess, RegionConfig):
            whole = region_records(whole)
        sides = Sides(whole, str(table))
    return Trial(
        str(table),
        split,
        sides,
        _judged(sides.manifest, split, table),
        _side(sides.manifest, Split.TRAIN) if split != ALL_ROWS else None,
        preprocess,
        folder,
    )


def _judged(manifest: Manifest, split: str, table: Path) -> Manifest:
    if split == ALL_ROWS:
        return manifest.with_splits({record.patient: Split.TEST for record in manifest.records})
    if split == Split.TRAIN.value or split not in [side.value for side in Split]:
        raise ConfigError(
            f"{split!r} is no side to judge models on",
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
