"""Evaluation of models: predictions compared with the labels of a table, with intervals."""

from __future__ import annotations

__all__: list[str] = []
