"""Settings of de-identification and of retention."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from mammolens.serve.settings.web import Section

__all__ = ["DeidentifySettings", "RetentionSettings"]


class DeidentifySettings(Section):
    """Identity taken off at the door, and kept apart; there is none without a key."""

    key: SecretStr = Field(
        min_length=32,
        description="secret that pseudonyms follow from and identities are sealed with; without it"
        " nobody can say whose a result is",
    )
    old_keys: tuple[SecretStr, ...] = Field(
        (), description="keys before it, newest first, until `mammolens node rekey` is through"
    )
    dates: Literal["remove", "shift"] = Field(
        "remove", description="dates are emptied, or shifted by days that are the patient's own"
    )
    clean_models: tuple[str, ...] = Field(
        (),
        description="ManufacturerModelName of devices that write nothing into pictures, for images"
        " that do not say so themselves (BurnedInAnnotation)",
        examples=[["Selenia Dimensions"]],
    )
    scratch: Path = Field(
        Path("/dev/shm"), description="folder in memory for what is not yet sealed"
    )


class RetentionSettings(Section):
    """After how many days what is deleted by ``mammolens node expire``; unset: kept."""

    exams_days: float | None = Field(
        None,
        gt=0,
        description="exams with images, results and identity, after their last change",
        examples=[90.0],
    )
    priors_days: float | None = Field(
        None,
        gt=0,
        description="earlier studies that were fetched to compare with",
        examples=[30.0],
    )
    superseded_days: float | None = Field(
        None,
        gt=0,
        description="files of results that a later one has replaced",
        examples=[30.0],
    )
    ignored_days: float | None = Field(
        None, gt=0, description="notes of objects that were passed over", examples=[30.0]
    )
    commitments_days: float | None = Field(
        None,
        gt=0,
        description="what archives were asked to keep, and their answers",
        examples=[365.0],
    )
