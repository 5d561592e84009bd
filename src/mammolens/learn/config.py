"""The configuration of a training run: its TOML file, and the tables that the file names."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, Field, ValidationError, field_validator

from mammolens.data.manifest import Manifest, Split
from mammolens.data.regions import region_records
from mammolens.data.splits import split_patients
from mammolens.errors import ConfigError
from mammolens.learn.run_split import keep_training_share, put_on_sides
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
from mammolens.spelling import did_you_mean

__all__ = [
    "RunConfig",
    "choose_records",
    "load_localisation",
    "load_manifest",
    "read_run",
    "read_tables",
]


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

    Raises
    ------
    InvalidManifest, PatientLeak, ConfigError
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


_INPUTS: dict[int | str, type[BaseModel]] = {"breast": PreprocessConfig, "lesion": RegionConfig}


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
