"""The sections of an evaluation, one file each: from evidence to JSON-ready dicts."""

from __future__ import annotations

from mammolens.bench.sections.registry import SECTIONS, Section, judge, warnings_of

__all__ = ["SECTIONS", "Section", "judge", "warnings_of"]
