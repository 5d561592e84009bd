"""Settings of de-identification and of retention."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from mammolens.serve.settings.section import Section, unset

__all__ = ["DeidentifySettings", "RetentionSettings"]


class DeidentifySettings(Section):
    """De-identification at reception; identities are stored encrypted. It needs a key."""

    key: SecretStr = Field(
        min_length=32,
        description="secret that encrypts identities, and from which pseudonyms are computed;"
        " without it, results cannot be assigned to patients",
    )
    old_keys: tuple[SecretStr, ...] = Field(
        (), description="earlier keys, newest first; needed until `mammolens node rekey` is done"
    )
    dates: Literal["remove", "shift"] = Field(
        "remove",
        description="dates are removed, or shifted by a number of days that depends on the patient",
    )
    clean_models: tuple[str, ...] = unset(
        "ManufacturerModelName of devices that burn no text into pictures, for images"
        " without BurnedInAnnotation",
        ["Selenia Dimensions"],
        default=(),
    )
    scratch: Path = Field(
        Path("/dev/shm"), description="folder in memory for data that is not encrypted yet"
    )


class RetentionSettings(Section):
    """Days after which ``mammolens node expire`` deletes data; without a value, it is kept."""

    exams_days: float | None = unset(
        "exams with images, results and identity, after their last change", 90.0, gt=0
    )
    priors_days: float | None = unset(
        "earlier studies that were fetched for comparison", 30.0, gt=0
    )
    superseded_days: float | None = unset(
        "files of results that a later result replaced", 30.0, gt=0
    )
    ignored_days: float | None = unset("entries of objects that were not stored", 30.0, gt=0)
    commitments_days: float | None = unset(
        "requests for storage commitment, with their answers", 365.0, gt=0
    )
