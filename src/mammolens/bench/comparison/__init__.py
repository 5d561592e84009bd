"""Models side by side on the same rows: `mammolens compare`."""

from __future__ import annotations

from mammolens.bench.comparison.compare import Comparison, ComparisonSettings, compare
from mammolens.bench.comparison.figures import Claim

__all__ = ["Claim", "Comparison", "ComparisonSettings", "compare"]
