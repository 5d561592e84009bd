"""Fusion: what clinical data add to the log-odds of malignancy of the images.

``log-odds = those of the images + the sum of the contributions of the known inputs``. An unknown
input adds nothing, so an exam of which nothing is known keeps the answer of its images exactly.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mammolens.clinical.items import ITEMS, Kind, Value
from mammolens.clinical.records import known_value
from mammolens.core import ClinicalItem, Contribution, Laterality, ModelId
from mammolens.errors import ConfigError
from mammolens.files import storage, write_whole
from mammolens.wording import DISCLAIMER

__all__ = ["INPUTS", "Fusion", "FusionInput", "encode", "read_fusion", "write_fusion"]

INPUTS: Final = tuple(name for name in ITEMS if name not in ("race", "weight", "height"))
"""Items that a fusion may use. Race is for BCRAT alone: a score must not learn who is screened
where."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FusionInput(_Part):
    """One input: it adds `log_odds` for each `scale` above `centre`."""

    name: str = Field(description="a name of the table of clinical data")
    centre: float = Field(description="mean of the known values: they add nothing on average")
    scale: float = Field(gt=0, description="standard deviation of the known values")
    low: float = Field(description="a lower value counts as this one (1st percentile)")
    high: float = Field(description="a higher value counts as this one (99th percentile)")
    log_odds: float = Field(description="what one scale adds, natural logarithm")
    mask_log_odds: float = Field(
        description="what it says of a case that the value is known; fitted, but not applied"
    )
    n_known: int = Field(ge=0, description="breasts with a known value")

    @model_validator(mode="after")
    def _sound(self) -> FusionInput:
        if self.name not in INPUTS:
            raise ValueError(f"{self.name!r} is not an input; known are {', '.join(INPUTS)}")
        if not self.low <= self.high:
            raise ValueError(f"{self.name}: low is above high")
        return self

    def added(self, value: Value) -> float:
        """Give what a value adds to the log-odds."""
        bounded = min(max(encode(self.name, value), self.low), self.high)
        return self.log_odds * (bounded - self.centre) / self.scale


class Fusion(_Part):
    """A fitted fusion: ``fusion.json``."""

    form: Literal["mammolens.fusion/1"] = "mammolens.fusion/1"
    disclaimer: str = DISCLAIMER
    created: datetime
    software: str
    model_name: str
    model_version: str
    model_digest: str = Field(description="SHA-256 of the graph whose scores it was fitted on")
    inputs: tuple[FusionInput, ...] = Field(min_length=1)
    image_slope: float = Field(gt=0, description="slope of the images' log-odds; 1: calibrated")
    intercepts: dict[str, float] = Field(description="of each data set; they are not applied")
    penalty: float = Field(ge=0, description="weight of the ridge, chosen by inner folds")
    n_breasts: int = Field(ge=1)
    n_malignant: int = Field(ge=1)
    n_patients: int = Field(ge=1)
    fitted_on: str = Field(description="name and SHA-256 of the table")
    evaluation: dict[str, Any] = Field(description="figures out of fold, by data set")

    @property
    def digest(self) -> str:
        """SHA-256 of what decides a score: the model and the inputs."""
        parts = [self.model_digest, [one.model_dump() for one in self.inputs]]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def contributions(
        self, items: Sequence[ClinicalItem], breasts: Sequence[Laterality | None]
    ) -> tuple[Contribution, ...]:
        """Give what the known inputs add; an input that has sides adds to each breast apart.

        Parameters
        ----------
        items
            Items with `is_used` set (`choose_items`).
        breasts
            The breasts of the exam.
        """
        found: list[Contribution] = []
        for one in self.inputs:
            has_sides = ITEMS[one.name].kind is Kind.SIDE
            sides = [side for side in breasts if side is not None] if has_sides else [None]
            for side in dict.fromkeys(sides):
                value = known_value(items, one.name, side)
                if value is not None:
                    found.append(Contribution(one.name, one.added(value), side))
        return tuple(found)

    def missing(self, contributions: Sequence[Contribution]) -> tuple[str, ...]:
        """Name the inputs that added nothing because they are unknown."""
        known = {one.name for one in contributions}
        return tuple(one.name for one in self.inputs if one.name not in known)


def encode(name: str, value: Value) -> float:
    """Turn a value into the number that a coefficient multiplies.

    Examples
    --------
    >>> encode("density", "c"), encode("atypia", True), encode("age", 61.0)
    (2.0, 1.0, 61.0)
    """
    if isinstance(value, str):
        return float(ITEMS[name].scale.index(value))
    return float(value)


def read_fusion(path: Path, model: ModelId) -> Fusion:
    """Read a fusion file for a model.

    Raises
    ------
    ConfigError
        The file cannot be read, is damaged, or was fitted for another model package.
    """
    try:
        fusion = Fusion.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"the fusion cannot be read: {error.strerror}",
            source=str(path),
            keyword="fusion",
            remedy="Give a file that mammolens fuse fit wrote",
        ) from error
    except (ValidationError, ValueError) as error:
        fault = error.errors()[0] if isinstance(error, ValidationError) else None
        place = ".".join(map(str, fault["loc"])) if fault else ""
        raise ConfigError(
            f"this is not a fusion ({place}: {fault['msg'] if fault else error})",
            source=str(path),
            keyword="fusion",
            remedy="Give a file that mammolens fuse fit wrote",
        ) from error
    if fusion.model_digest != model.digest:
        raise ConfigError(
            f"the fusion was fitted for {fusion.model_name} {fusion.model_version}"
            f" ({fusion.model_digest[:12]}), not for {model.name} {model.version}"
            f" ({model.digest[:12]})",
            source=str(path),
            keyword="fusion",
            remedy="Fit it again on scores of this model: mammolens fuse fit",
        )
    return fusion


def write_fusion(fusion: Fusion, path: Path) -> Path:
    """Write a fusion file and give its path.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    with storage(path, "the fusion", keyword="--out"):
        return write_whole(path, fusion.model_dump_json(indent=1) + "\n")
