"""A finished run → a model package, with all that is fixed on its validation side."""

from __future__ import annotations

from mammolens.bench.packaging.export import export_run

__all__ = ["export_run"]
