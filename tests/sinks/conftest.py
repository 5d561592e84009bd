"""Predictions of synthetic exams, as the analysis would give them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mammolens.core import (
    BreastPrediction,
    Caution,
    Display,
    Finding,
    Geometry,
    ImagePrediction,
    ImageRef,
    Laterality,
    ModelId,
    Prediction,
    Scores,
    SourceHeader,
    TriageCategory,
    Unreadable,
    ViewPosition,
)
from mammolens.sinks import RunInfo, RunSummary, TriageThreshold, write_run

MODEL = ModelId("mammolens-1", "0.1.0", "ab" * 32)
FOUR = tuple((side, view) for view in ("CC", "MLO") for side in ("R", "L"))


@dataclass(frozen=True)
class Bench:
    """Builders of results; every picture and map is a new array."""

    run: RunInfo
    out: Path

    def image(self, side: str | None = "R", view: str | None = "CC", **changes: Any) -> Any:
        geometry = Geometry((400, 300), (20, 0, 380, 250), (320, 222), (0, 0), (320, 256), False)
        activation = np.full((10, 8), 0.01, dtype=np.float32)
        activation[4, 2] = 0.6
        image = ImagePrediction(
            ImageRef(
                f"in/{side}{view}.dcm",
                laterality=Laterality(side) if side else None,
                view_position=ViewPosition(view) if view else None,
                digest="cd" * 32,
                sop_instance_uid="1.2.3",
            ),
            SourceHeader(patient_name="SECRET^NAME", patient_birth_date="19591231"),
            Scores(0.5, 0.2, 0.3),
            (Finding((160.0, 60.0, 210.0, 120.0), 2.0),),
            geometry,
            activation,
            activation.copy(),
            0.3,
            Display(np.full((200, 150), 90, dtype=np.uint8), (0.5, 0.5)),
            (Caution("laterality_from_name", "taken from the file name"),),
        )
        return replace(image, **changes)

    def exam(self, malignant: float = 0.3, **changes: Any) -> Prediction:
        scores = Scores(1.0 - malignant - 0.1, 0.1, malignant)
        exam = Prediction(
            "P1",
            "1.2.840.1",
            TriageCategory.INTERMEDIATE,
            scores,
            tuple(BreastPrediction(side, scores) for side in Laterality),
            tuple(self.image(side, view) for side, view in FOUR),
            (),
            (Caution("grouped_by_case_number", "each view claims its own study"),),
            MODEL,
            0.006,
            1.25,
        )
        return replace(exam, **changes)

    def failed(self, **changes: Any) -> Prediction:
        refused = Unreadable("in/cut.dcm", "NotAnImage", "in/cut.dcm: the file is truncated")
        nothing = {"scores": None, "breasts": (), "images": (), "unreadable": (refused,)}
        return self.exam(category=TriageCategory.FAILED, **(nothing | changes))

    def write(self, items: Iterable[Prediction | Unreadable], *sinks: str) -> RunSummary:
        return write_run(iter(items), self.out, self.run, sinks)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    created = datetime(2026, 3, 1, 9, 30, tzinfo=timezone(timedelta(hours=1)))
    thresholds = (
        TriageThreshold("low", 0.02, 0.95, 0.5),
        TriageThreshold("high", 0.2, None, 0.9),
    )
    return Bench(RunInfo(created, MODEL, 0.006, thresholds, "Trained on <few>."), tmp_path / "out")


@pytest.fixture
def hostile() -> Callable[[], list[str]]:
    """Texts that try to break out of a file, a page, a sheet, or a terminal."""
    return lambda: [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "=HYPERLINK(1)",
        "../../../etc/passwd",
        "..",
        "",
        "a\x00b\r\n\x1b[31m",
        "caf\udce9",
        "\u202egnp",
        "x" * 300,
        "CON",
        "Ö/Ü\\Ä",
    ]
