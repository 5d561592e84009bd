"""The log of a run: lines for the terminal, ``steps.csv``, ``log.csv``, curves and TensorBoard."""

from __future__ import annotations

import csv
import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mammolens.errors import ConfigError
from mammolens.files import storage, whole_file
from mammolens.learn.checkpoint import add_to_log, cut_log
from mammolens.wording import DISCLAIMER

__all__ = ["draw_curves", "open_journal"]

_EVERY = 20
_Table = Mapping[str, Sequence[float]]


class Journal:
    """Writes the figures of steps and passes into the run folder.

    Parameters
    ----------
    out
        Run folder; ``None`` writes nothing, for every process but the first.
    writer
        A TensorBoard writer, or ``None``.
    begun_at
        Step at which this stretch of the run begins.
    """

    def __init__(
        self, out: Path | None, say: Callable[[str], None], writer: Any, begun_at: int
    ) -> None:
        self.out, self.say, self.writer, self.begun_at = out, say, writer, begun_at
        self.began = time.monotonic()
        self.first = True
        self.curves = importlib.util.find_spec("matplotlib") is not None
        if not self.curves:
            say("no curves.png: matplotlib is not installed (pip install 'mammolens[train]')")

    def note_step(
        self, step: int, total: int, passes: float, loss: float, rates: Mapping[str, float]
    ) -> None:
        """Write the loss and the learning rates of every twentieth step."""
        if step % _EVERY or self.out is None:
            return
        taken = time.monotonic() - self.began
        left = taken / max(1, step - self.begun_at) * (total - step)
        self.say(
            f"step {step}/{total} loss {loss:.3f} {taken:.0f}s, about {_clock(left)} to the end"
        )
        row = {"step": step, "passes": round(passes, 4), "loss": loss, **rates}
        add_to_log(self.out / "steps.csv", row)
        self._count(row, step)

    def note_pass(self, step: int, row: Mapping[str, Any]) -> None:
        """Write a pass: its row in ``log.csv`` and in the table, and the curves so far."""
        if self.out is None:
            return
        add_to_log(self.out / "log.csv", row)
        for line in table_of_passes(self.out / "log.csv")[0 if self.first else -1 :]:
            self.say(line)
        self.first = False
        self._count({key: value for key, value in row.items() if value is not None}, step)
        if self.curves:
            draw_curves(self.out)

    def end(self, best: Mapping[str, Any], epochs: int, *, early: bool) -> None:
        """Report the result of the run and the next command.

        Parameters
        ----------
        epochs
            ``train.epochs``.
        early
            Whether patience ended the run.
        """
        if self.out is None:
            return
        if (self.out / "log.csv").exists():
            for line in table_of_passes(self.out / "log.csv"):
                self.say(line)
        if early:
            self.say("no gain for train.patience passes: raise it to continue")
        self.say(
            f"the best pass is {int(best['epoch']) + 1} of {epochs}: score {best['score']:.4f}"
        )
        self.say(f"next: mammolens export {self.out} -o {self.out / 'package'}")

    def _count(self, row: Mapping[str, Any], step: int) -> None:
        if self.writer is not None:
            for key, value in row.items():
                if key not in ("step", "epoch", "passes"):
                    self.writer.add_scalar(key, value, step)


@contextmanager
def open_journal(
    out: Path | None,
    say: Callable[[str], None],
    *,
    tensorboard: bool,
    step: int,
    epoch: int,
) -> Iterator[Journal]:
    """Open the journal of a run that continues after `step` steps and `epoch` whole passes.

    Rows of steps that will be repeated are removed first.

    Raises
    ------
    ConfigError
        If TensorBoard logs are wanted and cannot be written.
    """
    writer = None
    if out is not None:
        cut_log(out / "steps.csv", step)
        cut_log(out / "log.csv", epoch - 1)
        writer = _tensorboard(out, step) if tensorboard else None
    try:
        yield Journal(out, say, writer, step)
    finally:
        if writer is not None:
            writer.close()


def table_of_passes(log: Path) -> list[str]:
    """Give the passes of a ``log.csv`` as lines of a table; the best pass is marked.

    The columns are the loss and the AUC of malignancy by image, of training pictures as drawn and
    of validation pictures: the AUC of each data set, and their mean weighted by images.
    """
    with log.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    if not rows:
        return []
    known = {"loss": "train loss", "val_loss": "val loss", "train_score": "train AUC"}
    known |= {"score": "val AUC"}
    names = [name for name in known if name in rows[0]]
    names += [name for name in rows[0] if name.startswith("auc_")]
    heads = [known.get(name, name.removeprefix("auc_")) for name in names]
    best = max(rows, key=lambda row: float(row["score"]))
    lines = ["pass  " + "  ".join(f"{head:>10}" for head in heads)]
    for row in rows:
        cells = [f"{float(row[name]):.4f}" if row.get(name) else "-" for name in names]
        number = int(row["epoch"]) + 1
        line = f"{number:>4}  " + "  ".join(
            f"{cell:>{max(10, len(head))}}" for cell, head in zip(cells, heads, strict=True)
        )
        lines.append(f"{line}  best" if row is best else line)
    return lines


def _tensorboard(out: Path, step: int) -> Any:
    if importlib.util.find_spec("tensorboard") is None:
        raise ConfigError(
            "TensorBoard is not installed",
            keyword="train.tensorboard",
            remedy="Run: pip install 'mammolens[train]', or set train.tensorboard to false",
        )
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(out / "tensorboard"), purge_step=step + 1 if step else None)


def _clock(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60}h{minutes % 60:02d}" if minutes >= 60 else f"{minutes} min"


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
        at, loss = steps["passes"], steps["loss"]
        smoothed = [float(np.mean(loss[max(0, i - 8) : i + 1])) for i in range(len(loss))]
        axes.plot(at, loss, color="0.75", linewidth=1, label="loss of a batch")
        axes.plot(at, smoothed, color="tab:blue", label="running mean")
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


def _read(path: Path) -> dict[str, list[float]]:
    """Columns of a CSV file of numbers; an empty cell is NaN."""
    if not path.exists():
        return {}
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    if not rows:
        return {}
    return {name: [float(row.get(name) or "nan") for row in rows] for name in rows[0]}
