"""The page of the demonstration says what the shipped models say today, lesion by lesion."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "evidence" / "demonstration.md").read_text("utf-8")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = ROOT / "benchmarks" / "demonstration.py"
    spec = importlib.util.spec_from_file_location("mammolens_test_demonstration", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks itself up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def scored(script):
    lesions = [(lesion, script.score_lesion(lesion)) for lesion in script.LESIONS]
    return script.score_exams(), lesions


def numbers(text: str) -> list[float]:
    """Every percentage, in order."""
    return [float(found) for found in re.findall(r"([\d.]+)%", text)]


@pytest.mark.slow
def test_the_tables_of_the_page_are_what_the_models_say(script, scored):
    said = "\n".join(script.tables(*scored))
    written = PAGE.partition(script.BEGIN)[2].partition(script.END)[0]
    assert re.sub(r"[\d.]+%", "%", said).strip() == re.sub(r"[\d.]+%", "%", written).strip()
    # Another processor may round otherwise: half a percent is no other result.
    assert numbers(said) == pytest.approx(numbers(written), abs=1.01)


def test_every_known_lesion_is_listed_on_both_views_with_its_truth(script):
    rows = [(lesion.patient, lesion.view, lesion.number) for lesion in script.LESIONS]
    assert len(rows) == len(set(rows)) == 10
    malignant = {lesion.view for lesion in script.LESIONS if lesion.truth == "malignant"}
    assert malignant == {"LCC", "LMLO"}
    for lesion in script.LESIONS:
        assert (script.CASES / lesion.file).is_file()


def test_the_pictures_show_both_exams_and_every_scored_lesion(script, scored):
    exams, lesions = scored
    hung, drawn = script.draw_exams(exams), script.draw_lesions(lesions)
    assert hung.shape[1] > 2 * 400
    assert drawn.shape[1] == 3 * script.PANEL_PX + 16
    assert np.ptp(drawn) > 200
    for name in ("hanging", "regions"):
        assert (ROOT / "docs" / "images" / f"{name}.png").stat().st_size < 1_000_000
