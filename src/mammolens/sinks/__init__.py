"""Write results. A sink is a function that makes named files from a prediction.

``make(prediction, run)`` yields an `Artefact` for each file of an exam. One table of `Sink`
describes all sinks. `write_run` writes a stream of predictions to files; `exam_artefacts` gives the
files of one exam without writing them. Importing this package loads nothing heavy.
"""

from __future__ import annotations

from mammolens.sinks._registry import (
    ENTRY_POINTS,
    SINKS,
    Sink,
    find_sink,
    needs_pictures,
    sink_names,
    sop_classes,
)
from mammolens.sinks._run import Artefact, DicomIds, RunInfo, TriageThreshold
from mammolens.sinks._write import LISTED, RunRow, RunSummary, exam_artefacts, write_run

__all__ = [
    "ENTRY_POINTS",
    "LISTED",
    "SINKS",
    "Artefact",
    "DicomIds",
    "RunInfo",
    "RunRow",
    "RunSummary",
    "Sink",
    "TriageThreshold",
    "exam_artefacts",
    "find_sink",
    "needs_pictures",
    "sink_names",
    "sop_classes",
    "write_run",
]
