"""Evaluation of models: predictions compared with the labels of a table, with intervals.

Parameters that recur: ``task`` is one of `units.TASKS`, and ``unit`` one of `units.UNITS`.
``draws`` and ``seed`` are those of the bootstrap over patients (`metrics.patient_bootstrap`).
``on_progress`` is called with the number of items done and of all items.
"""

from __future__ import annotations

__all__: list[str] = []
