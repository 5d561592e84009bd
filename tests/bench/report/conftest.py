"""An evaluation's folder with everything that a report can show, including hostile names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammolens.bench.evaluate import publish
from mammolens.bench.evidence import Evidence
from mammolens.bench.localisation import localisation_figures
from mammolens.bench.map_readings import RULES, read_map
from mammolens.bench.settings import Settings
from mammolens.bench.units import ImageResult
from mammolens.core import Geometry, ImageRef, Photometric, PreparedView, Unreadable
from mammolens.data.lesions import Lesion
from mammolens.data.manifest import Manifest
from mammolens.model import ModelPackage

HOSTILE = '<script>alert("1")</script>'
RIGHT_TO_LEFT = "ملف\u202e\x07"
LONG = "x" * 300


@pytest.fixture(scope="session")
def scored(make_cohort):
    """Two data sets of patients, one of them with a hostile name, and three unreadable images."""

    def with_birads(**known):
        return {
            "birads": "5" if known["kind"] == 2 else "2" if known["rng"].random() < 0.9 else "4"
        }

    results = [
        *make_cohort(women=45, dataset="made", further=with_birads),
        *make_cohort(women=36, dataset=HOSTILE, seed=1),
    ]
    for place, name in ((0, HOSTILE), (1, RIGHT_TO_LEFT), (2, LONG)):
        record = replace(results[place].record, image_id=f"{name}{place}")
        lost = Unreadable(f"{name}.png", "NotAnImage", f"{name} is empty")
        results[place] = ImageResult(record, None, lost)
    return results


@pytest.fixture(scope="session")
def evaluation(scored, package, tmp_path_factory) -> Path:
    """A folder as `mammolens evaluate` writes it, with cases, subgroups and lesions."""
    folder = tmp_path_factory.mktemp("evaluation")
    model = ModelPackage.load(package)
    evidence = Evidence(scored, Settings(draws=100, cases=0), card=model.card)
    manifest = Manifest.of(one.record for one in scored)
    summary = publish(evidence, manifest, folder, package=model)
    metrics = {
        **summary.metrics,
        "localisation": _localisation(scored),
        "cases": list(_cases(folder)),
    }
    (folder / "metrics.json").write_text(json.dumps(metrics), "utf-8")
    return folder


def _localisation(scored):
    geometry = Geometry((80, 64), (0, 0, 80, 64), (80, 64), (0, 0), (80, 64), False)
    blank = np.zeros((80, 64), np.uint8)
    view = PreparedView(
        ImageRef("a.png"), blank, np.ones((80, 64), bool), geometry, Photometric.MONOCHROME2
    )
    read = []
    for number, one in enumerate(scored[:60]):
        heat = np.zeros((10, 8), np.float32)
        heat[3, 4] = 1.0 + number % 3
        circle = (28.0, 36.0, 9.0) if number % 4 else (70.0, 10.0, 9.0)
        lesions = (Lesion(malignant=True, circle_source_px=circle),)
        marked = replace(one.record, lesions=lesions if one.record.malignant else ())
        read.append((marked, read_map(marked, view, heat)))
    return {
        "datasets": ["made"],
        "rules": RULES,
        "n_marked_without_map": 1,
        **localisation_figures(read, draws=50),
    }


def _cases(folder):
    (folder / "cases").mkdir()
    for number, kind in enumerate(("found", "missed", "alarm")):
        file = f"cases/{number + 1:02d}-{kind}.png"
        cv2.imwrite(str(folder / file), np.full((64, 48, 3), 40 * number, np.uint8))
        yield {
            "kind": kind,
            "file": file,
            "dataset": HOSTILE,
            "image_id": HOSTILE,
            "patient_id": RIGHT_TO_LEFT,
            "view": "RCC",
            "malignancy": 0.25 * number,
            "tumour": 0.5,
            "label_malignant": kind != "alarm",
            "label_tumour": None,
            "findings": [1.5],
            "lesions_drawn": 1,
        }
