"""The curves of a training run in one picture: loss, learning rates, and AUC by data set."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mammolens.errors import ConfigError
from mammolens.files import storage, whole_file
from mammolens.wording import DISCLAIMER

__all__ = ["draw_curves"]

_Table = Mapping[str, Sequence[float]]


def draw_curves(run: Path) -> Path:
    """Draw ``curves.png`` of a run folder from its ``steps.csv`` and ``log.csv``.

    Returns
    -------
    Path of the picture (1200 × 1350 pixels).

    Raises
    ------
    ConfigError
        If the folder has no finished pass.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    steps, passes = _read(run / "steps.csv"), _read(run / "log.csv")
    if not passes:
        raise ConfigError(
            "the run has no finished pass to draw",
            source=str(run / "log.csv"),
            remedy="Train first: mammolens train RUN.toml --out DIR",
        )
    figure = Figure(figsize=(12, 13.5), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    loss, rate, ranking = figure.subplots(3, 1, sharex=True)
    _draw_loss(loss, steps, passes)
    _draw_rates(rate, steps)
    _draw_figures(ranking, passes)
    for axes in (loss, rate, ranking):
        for end in range(1, len(passes["epoch"]) + 1):
            axes.axvline(end, color="0.85", linewidth=1, zorder=0)
        axes.grid(axis="y", color="0.92")
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="best", fontsize=9, ncols=2)
    ranking.set_xlabel("passes done")
    ranking.set_xlim(left=0)
    figure.suptitle(f"{run.resolve().name}, best pass {_best(passes)}\n{DISCLAIMER}", fontsize=12)
    path = run / "curves.png"
    with storage(path, "the curves", keyword="--out"), whole_file(path) as stream:
        figure.savefig(stream, format="png")
    return path


def _draw_loss(axes: Any, steps: _Table, passes: _Table) -> None:
    if steps:
        at = steps["passes"]
        axes.plot(at, steps["loss"], color="0.75", linewidth=1, label="loss of a batch")
        axes.plot(at, _smoothed(steps["loss"]), color="tab:blue", label="running mean")
    for name, label in (("loss", "training labels of a pass"), ("val_loss", "validation labels")):
        if name in passes:
            axes.plot(_ends(passes), passes[name], "o--", markersize=4, label=label)
    axes.set_ylabel("loss")


def _draw_rates(axes: Any, steps: _Table) -> None:
    names = [name for name in steps if name.startswith("rate_")]
    for name in names:
        label = name.removeprefix("rate_").replace("_", " ")
        axes.plot(steps["passes"], steps[name], label=label)
    axes.set_ylabel("learning rate")
    axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))


def _draw_figures(axes: Any, passes: _Table) -> None:
    for name in (key for key in passes if key.startswith("auc_")):
        label = name.removeprefix("auc_")
        axes.plot(_ends(passes), passes[name], "o-", markersize=4, label=label)
    axes.plot(_ends(passes), passes["score"], "ko-", linewidth=2, label="score (chooses the pass)")
    if "train_score" in passes:
        axes.plot(_ends(passes), passes["train_score"], "k:", label="score of training pictures")
    axes.axhline(0.5, color="0.6", linestyle=":", linewidth=1)
    axes.set_ylabel("AUC of malignancy, images")


def _best(passes: _Table) -> str:
    at = int(np.nanargmax(passes["score"]))
    return f"{passes['epoch'][at] + 1:.0f} (score {passes['score'][at]:.3f})"


def _ends(passes: _Table) -> list[float]:
    """Give the ends of the passes; the first pass, `epoch` 0, ends at 1."""
    return [epoch + 1 for epoch in passes["epoch"]]


def _smoothed(values: Sequence[float]) -> list[float]:
    """Mean over the last nine values."""
    return [float(np.mean(values[max(0, i - 8) : i + 1])) for i in range(len(values))]


def _read(path: Path) -> dict[str, list[float]]:
    """Columns of a CSV file of numbers; an empty cell is NaN."""
    if not path.exists():
        return {}
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    if not rows:
        return {}
    return {name: [float(row.get(name) or "nan") for row in rows] for name in rows[0]}
