"""Breast density by BI-RADS, as a model states it. It is no part of any score or category."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["DENSITY_CATEGORIES", "Density", "DensityCategory"]

DensityCategory = Literal["a", "b", "c", "d"]
DENSITY_CATEGORIES: Final[tuple[DensityCategory, ...]] = ("a", "b", "c", "d")
"""Almost entirely fatty, scattered, heterogeneously dense, extremely dense (BI-RADS Atlas, 5th
edition). The order is that of every array of densities."""


@dataclass(frozen=True)
class Density:
    """Density of a breast or an exam, as the model with the head `digest` (SHA-256) states it.

    `probabilities` are those of `DENSITY_CATEGORIES`; their sum is one. `category` is ``None`` if
    the model is not sure.
    """

    probabilities: tuple[float, float, float, float]
    category: DensityCategory | None
    digest: str

    def __post_init__(self) -> None:
        parts = self.probabilities
        if not all(math.isfinite(p) and 0.0 <= p <= 1.0 for p in parts):
            raise ValueError(f"probabilities outside 0–1: {parts}")
        if abs(sum(parts) - 1.0) > 1e-4:
            raise ValueError(f"probabilities do not sum to one: {parts}")

    @property
    def dense(self) -> float:
        """P(c or d).

        Examples
        --------
        >>> Density((0.25, 0.5, 0.125, 0.125), "b", "").dense
        0.25
        """
        return self.probabilities[2] + self.probabilities[3]
