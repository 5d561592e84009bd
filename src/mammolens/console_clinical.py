"""Output of the command line about fusions: figures out of fold, and what each input adds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mammolens import DISCLAIMER
from mammolens.clinical import Fusion
from mammolens.wording import estimate

__all__ = ["show_fusion", "show_judgement"]


def show_fusion(fusion: Fusion, path: Path) -> None:
    """Print the inputs of a fusion with what they add, its figures, and where it was written."""
    console = Console(highlight=False)
    table = Table("input", "log-odds for one SD", "SD", "adds nothing at", "breasts")
    for one in fusion.inputs:
        shown = f"{one.log_odds:+.3f}", f"{one.scale:.3g}", f"{one.centre:.3g}"
        table.add_row(one.name, *shown, str(one.n_known))
    console.print(table)
    console.print(f"Slope of the image scores: {fusion.image_slope:.2f} (1: calibrated)")
    show_judgement(fusion.evaluation)
    console.print(str(path), soft_wrap=True)


def show_judgement(evaluation: Mapping[str, Any]) -> None:
    """Print the AUC of images and fusion for each data set, with the paired difference."""
    console = Console(highlight=False)
    table = Table("data set", "breasts (malignant)", "images", "fused", "difference")
    for name, found in evaluation.items():
        counts = f"{found['n_breasts']} ({found['n_malignant']})"
        shown = [found.get(key) for key in ("image", "fused", "difference")]
        table.add_row(name, counts, *(_estimate(*pair) for pair in enumerate(shown)))
    console.print(table)
    console.print("AUC by breast: mean of the folds of patients, 95 % interval over patients.")
    console.print(DISCLAIMER)


def _estimate(place: int, found: Mapping[str, float] | None) -> str:
    if found is None:
        return "–"
    return estimate(found["value"], found["low"], found["high"], signed=place == 2)
