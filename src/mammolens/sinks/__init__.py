"""Results on their way out. A sink is a function: a prediction goes in, named files come out.

``make(prediction, run)`` yields an `Artefact` for each file of an exam; what a sink can do stands
in one table of `Sink`. `write_run` drains a stream of predictions into files, `exam_artefacts`
gives those of one exam without writing. Importing this loads nothing heavy.
"""

from __future__ import annotations

from mammolens.sinks._artefact import Artefact, DicomIds
from mammolens.sinks._registry import (
    ENTRY_POINTS,
    SINKS,
    Sink,
    find_sink,
    needs_pictures,
    sink_names,
    sop_classes,
)
from mammolens.sinks._run import RunInfo, TriageThreshold
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
