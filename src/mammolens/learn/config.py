"""The configuration of a training run: its TOML file, and the tables that the file names.

Settings of the run decide the split of a table, the rows that are kept, and the side of each row.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, Field, ValidationError, field_validator

from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.persons import NO_LINKS, read_persons
from mammolens.data.regions import region_records
from mammolens.data.splits import (
    fold_patients,
    hold_out_source,
    official_split,
    refuse_leak,
    split_patients,
)
from mammolens.errors import ConfigError
from mammolens.learn.sections import (
    AugmentConfig,
    CardConfig,
    DataConfig,
    NetworkConfig,
    Section,
    SourceNote,
    TrainConfig,
)
from mammolens.model.card import NAME_PATTERN, VERSION_PATTERN
from mammolens.preprocess import InputConfig, PreprocessConfig, RegionConfig
from mammolens.spelling import check_known, did_you_mean

__all__ = [
    "RunConfig",
    "choose_records",
    "load_localisation",
    "load_manifest",
    "read_run",
    "read_tables",
]

_INPUTS: dict[int | str, type[BaseModel]] = {"breast": PreprocessConfig, "lesion": RegionConfig}


class RunConfig(Section):
    """The whole configuration of a run."""

    name: str = Field(pattern=NAME_PATTERN, description="name of the model")
    version: str = Field("1.0.0", pattern=VERSION_PATTERN, description="version of the model")
    data: DataConfig
    preprocess: InputConfig = PreprocessConfig()
    network: NetworkConfig = NetworkConfig()
    augment: AugmentConfig = AugmentConfig()
    train: TrainConfig = TrainConfig()
    card: CardConfig = CardConfig()
    notes: dict[str, SourceNote] = Field(
        {}, description="notes on data sets for the card: a sentence, or a table"
    )

    @field_validator("notes", mode="before")
    @classmethod
    def _sentences(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: {"note": one} if isinstance(one, str) else one for key, one in value.items()}

    def note_of(self, dataset: str) -> SourceNote:
        """Give the note on a data set for the card."""
        return self.notes.get(dataset, SourceNote())


def read_run(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a run's TOML file and apply ``section.key=value`` overrides.

    Raises
    ------
    ConfigError
        If a key is unknown or out of range; the message names it, and the nearest known key.
    """
    try:
        raw: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"the run cannot be read: {error}", source=str(path)) from error
    for override in overrides:
        _override(raw, override)
    _keep_one_table(raw, overrides)
    try:
        return RunConfig.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"] if part not in _INPUTS)
        raise ConfigError(
            first["msg"].removeprefix("Value error, "),
            source=str(path),
            keyword=key,
            remedy=_nearest(first["loc"], first["type"]),
        ) from error


def load_manifest(config: RunConfig) -> Manifest:
    """Read the run's tables without the excluded machines, and put every patient on a side.

    For a model of lesions, the records are lesions with a known label (see `data.regions`).
    """
    return choose_records(config, read_tables(config))


def read_tables(config: RunConfig) -> Manifest:
    """Read the run's tables without the excluded machines; patients have no sides yet."""
    manifest = Manifest.read(*config.data.tables)
    excluded = set(config.data.exclude_machines)
    manifest = manifest.select(where=lambda record: record.machine not in excluded)
    if isinstance(config.preprocess, RegionConfig):
        manifest = region_records(manifest).select(where=lambda r: r.malignant is not None)
    return manifest


def choose_records(config: RunConfig, tables: Manifest) -> Manifest:
    """Put every patient on a side, and apply ``data.training_share``."""
    return keep_training_share(put_on_sides(tables, config.data), config.data)


def load_localisation(config: RunConfig, tables: Manifest | None = None) -> Manifest | None:
    """Read the localisation tables; ``None`` if there are none.

    Patients who are in the run's tables as well are on the side that they have there; the others
    are split separately. Patients whom inner folds leave out are held out here too.

    Parameters
    ----------
    tables
        The run's tables as `read_tables` gives them, if they have been read before.
    """
    if not config.data.localisation:
        return None
    tables = tables or read_tables(config)
    marked = split_patients(
        Manifest.read(*config.data.localisation),
        validation=config.data.validation,
        seed=config.data.split_seed,
    )
    outer = config.model_copy(update={"data": config.data.model_copy(update={"inner_folds": 0})})
    sides = {r.patient: r.split for r in choose_records(outer, tables).records}
    if config.data.inner_folds:
        sides |= {r.patient: r.split for r in choose_records(config, tables).records}
    return marked.with_splits(
        {r.patient: sides.get(r.patient) or r.split or Split.TRAIN for r in marked.records}
    )


def _override(raw: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals:
        raise ConfigError(f"{override!r} is not an override", remedy="Write section.key=value")
    *sections, last = key.strip().split(".")
    for section in sections:
        raw = raw.setdefault(section, {})
    try:
        raw[last] = json.loads(text)
    except json.JSONDecodeError:
        raw[last] = text


def _keep_one_table(raw: dict[str, Any], overrides: Sequence[str]) -> None:
    """Let an override of ``data.manifests`` or ``data.table`` replace the other key of the file."""
    changed = [override.partition("=")[0].strip() for override in overrides]
    for key, other in (("table", "manifests"), ("manifests", "table")):
        if f"data.{key}" in changed and f"data.{other}" not in changed:
            raw.get("data", {}).pop(other, None)


def _nearest(loc: tuple[int | str, ...], kind: str) -> str | None:
    if kind == "string_pattern_mismatch":
        return "Write a name in small letters, digits, '.', '_' and '-', a version as 1.0.0"
    if kind != "extra_forbidden":
        return None
    model: Any = RunConfig
    for part in loc[:-1]:
        if part in _INPUTS:
            model = _INPUTS[part]
        elif isinstance(model, type) and issubclass(model, BaseModel):
            model = model.model_fields[str(part)].annotation
        else:
            model = get_args(model)[1]  # the type of the values of a dict
    return did_you_mean(str(loc[-1]), model.model_fields)


def put_on_sides(manifest: Manifest, data: DataConfig) -> Manifest:
    """Put every patient on a side.

    In order of precedence: a data set is held out (``leave_out``); one of several folds is held out
    (``folds``; with ``official`` the folds are cut from the official training and validation
    sides); the tables' own sides are used (``official``); or a share of the patients is held out
    (``validation``). With ``inner_folds`` the training side is cut once more, and the patients that
    the first cut holds out are left out.

    Parameters
    ----------
    manifest
        Sides that its records state are used with ``official`` only.

    Raises
    ------
    InvalidManifest
        If a side would be empty, or with ``official`` a record states no side.
    PatientLeak
        If a patient would be on two sides.
    ConfigError
        If no record is of the data set that is to be held out.
    """
    who = read_persons(data.persons) if data.persons else NO_LINKS
    seed, share = data.split_seed, data.validation
    if data.leave_out:
        split = hold_out_source(manifest, data.leave_out, same_person=who)
    elif data.folds:
        if data.official:
            manifest = official_split(manifest, same_person=who)
            manifest = manifest.select(where=lambda record: record.split is not Split.TEST)
        split = fold_patients(manifest, data.folds, seed, same_person=who)[data.fold]
    elif data.official:
        split = official_split(manifest, validation=share, seed=seed, same_person=who)
    else:
        split = split_patients(manifest, validation=share, seed=seed, same_person=who)
    if data.inner_folds:
        rest = split.select(split=Split.TRAIN)
        split = fold_patients(rest, data.inner_folds, seed, same_person=who)[data.inner_fold]
    refuse_leak(split.records, who)
    return split


def keep_training_share(manifest: Manifest, data: DataConfig) -> Manifest:
    """Leave out training patients beyond ``data.training_share`` of their data set.

    Patients are chosen by a seeded hash of their identifier. Patients who are held out all stay.

    Raises
    ------
    ConfigError
        If no record is of a data set that is named there.
    """
    datasets = {record.dataset for record in manifest.records}
    for name in data.training_share:
        check_known(name, datasets, "data set", "data.training_share")

    def wanted(record: Record) -> bool:
        share = data.training_share.get(record.dataset, 1.0)
        return record.split is not Split.TRAIN or _place(record, data.split_seed) < share

    return manifest.select(where=wanted) if data.training_share else manifest


def _place(record: Record, seed: int) -> float:
    key = repr((seed, "training_share", *record.patient)).encode()
    return int.from_bytes(hashlib.sha256(key).digest()[:8], "big") / 2.0**64
