"""Breast density in words and records: what all results share."""

from __future__ import annotations

from typing import Any, Final

from mammolens.core import DENSITY_CATEGORIES, Density, Prediction
from mammolens.sinks._dicom_codes import COMPOSITIONS
from mammolens.sinks._statements import BREAST_NAMES

__all__ = ["DENSITY_CAUTION", "densities_record", "density_cell", "density_record", "density_words"]

DENSITY_CAUTION: Final = (
    "Breast density by the model: not part of the score, and often wrong on equipment that the"
    " model does not know."
)
"""Beside each coded density, whose code cannot say how far it may be trusted."""

_NOT_SURE: Final = "not sure"


def density_cell(density: Density | None) -> str:
    """Give a density for a table: a to d, ``not sure``, or nothing if it is unknown."""
    return "" if density is None else density.category or _NOT_SURE


def density_words(prediction: Prediction) -> list[str]:
    """State the density of an exam as a sentence of its own; empty if it is unknown."""
    density = prediction.density
    if density is None:
        return []
    breasts = ", ".join(
        f"{BREAST_NAMES[one.laterality]} {density_cell(one.density)}"
        for one in prediction.breasts
        if one.density is not None
    )
    named = density.category and COMPOSITIONS[density.category].meaning.lower()
    said = f"{density.category}, {named}" if density.category else _NOT_SURE
    return [
        f"Breast density by the model (BI-RADS): {said} ({breasts}); not part of the score, and"
        " often wrong on equipment that the model does not know."
    ]


def density_record(density: Density | None) -> dict[str, Any] | None:
    """Turn a density into plain values; ``None`` if it is unknown."""
    if density is None:
        return None
    return {
        "category": density.category,
        "probabilities": {
            name: round(share, 4)
            for name, share in zip(DENSITY_CATEGORIES, density.probabilities, strict=True)
        },
        "digest": density.digest,
    }


def densities_record(prediction: Prediction) -> dict[str, Any] | None:
    """Give the density of the exam and of each breast with the model that states it."""
    if prediction.density is None:
        return None
    return {
        "category": prediction.density.category,
        "source": f"{prediction.model.name} {prediction.model.version}",
        "breasts": [
            {"laterality": one.laterality.value, "category": one.density.category}
            for one in prediction.breasts
            if one.laterality is not None and one.density is not None
        ],
    }
