"""Models side by side on the same rows: `mammolens compare`."""

from __future__ import annotations

from mammolens.bench.comparison.claims import Claim
from mammolens.bench.comparison.run import SCHEMA, Comparison, ComparisonSettings, compare

__all__ = ["SCHEMA", "Claim", "Comparison", "ComparisonSettings", "compare"]
