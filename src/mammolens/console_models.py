"""Output of the command line about models and fusions: figures, thresholds and weaknesses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mammolens import DISCLAIMER
from mammolens.clinical import Fusion
from mammolens.model import ModelCard
from mammolens.wording import estimate, percent, printable

__all__ = ["show_fusion", "show_judgement", "show_model", "show_models"]


def show_models(cards: Iterable[ModelCard]) -> None:
    """Print the built-in models: version, input kind, licence, and figures with intervals."""
    console = Console(highlight=False)
    for card in cards:
        _show_figures(console, card)
    console.print("mammolens models NAME shows operating points and weaknesses.")
    console.print(DISCLAIMER)


def show_model(card: ModelCard) -> None:
    """Print one model: figures, operating points, weaknesses, training and authors."""
    console = Console(highlight=False)
    _show_figures(console, card)
    points = card.operating_points
    unit = points.low.unit
    console.print(Text(f"Operating points, fixed on {points.fixed_on}; 95 % intervals:"))
    table = Table("point", "threshold", "n", "malignant")
    for heading in ("sensitivity", "specificity"):
        table.add_column(heading, no_wrap=True)
    for name, point in (("low", points.low), ("high", points.high)):
        counts = (f"{point.threshold:.4f}", str(point.n), str(point.n_positive))
        table.add_row(name, *counts, str(point.sensitivity), str(point.specificity))
    console.print(table)
    console.print(
        f"Thresholds are on P(malignant) of {'an exam' if unit == 'exam' else 'a lesion'}, where "
        f"{percent(card.prior_malignant)} of images are malignant: below low its category is low, "
        "at high or above it is high.",
        soft_wrap=True,
    )
    console.print(Text("Weaknesses:", style="bold"))
    for weakness in card.weaknesses:
        console.print(Text(f"- {printable(weakness)}"), soft_wrap=True)
    for words in (card.intended_use, f"Training: {card.training.recipe}", card.attribution):
        console.print(Text(printable(words)), soft_wrap=True)
    console.print(DISCLAIMER)


def _show_figures(console: Console, card: ModelCard) -> None:
    console.print(f"{card.name} {card.version}, reads a {card.input_kind.value}")
    console.print(Text(printable(card.licence)), soft_wrap=True)
    table = Table(word := "validation", "task", "unit", "n", "positive")
    table.add_column("AUC (95 % interval)", no_wrap=True)
    for figure in card.validation:
        table.add_row(
            Text(printable(figure.dataset + ("" if figure.split == word else f", {figure.split}"))),
            figure.task,
            figure.unit,
            str(figure.n),
            str(figure.n_positive),
            str(figure.auc or "one class only"),
        )
    console.print(table)


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
