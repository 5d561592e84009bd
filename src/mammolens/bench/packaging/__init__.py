"""Export a finished run as a model package, calibrated on the run's validation side."""

from __future__ import annotations

from mammolens.bench.packaging.export import export_run

__all__ = ["export_run"]
