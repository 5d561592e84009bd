"""What a run tells while it goes on: lines, ``log.csv``, ``steps.csv``, curves, TensorBoard."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mammolens.data.cache import PreparedCache
from mammolens.errors import ConfigError, InvalidManifest
from mammolens.learn.checkpoint import add_to_log, cut_log
from mammolens.learn.predict import malignancy_figures

__all__ = ["Journal", "check_sides", "open_journal"]

_EVERY = 20
_NAMES = ("normal", "benign", "malignant")


class Journal:
    """Writes what happens into the run folder. Of several processes, the first one alone does.

    Parameters
    ----------
    out
        Run folder; ``None`` writes nothing.
    say
        Takes the lines.
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
        self.curves = importlib.util.find_spec("matplotlib") is not None
        if not self.curves:
            say("no curves.png: matplotlib is not installed (pip install 'mammolens[train]')")

    def note_step(
        self, step: int, total: int, passes: float, loss: float, rates: Mapping[str, float]
    ) -> None:
        """Note every twentieth step: its loss, and the rates that it was taken with."""
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
        """Note a pass: its row in ``log.csv``, and the curves so far."""
        if self.out is None:
            return
        figures = {key: value for key, value in row.items() if key.startswith("auc_")}
        self.say(f"pass {row['epoch']}: score {row['score']:.4f} {figures}")
        add_to_log(self.out / "log.csv", row)
        self._count(row, step)
        if self.curves:
            from mammolens.learn.curves import draw_curves

            draw_curves(self.out)

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
    """Open the journal of a run that goes on after `step` steps and `epoch` whole passes.

    Rows of steps that will be taken again are dropped first.

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


def check_sides(learned: PreparedCache, held_out: PreparedCache) -> Iterable[str]:
    """Refuse sides that nothing can be learned from or judged on; give cautions in words.

    Raises
    ------
    InvalidManifest
        If all training labels say the same, no data set has both outcomes on the validation
        side, or every image of a side was refused.
    """
    for cache, side in ((learned, "training"), (held_out, "validation")):
        if not cache.records:
            reasons = "; ".join(f"{path}: {why}" for path, why in list(cache.refused.items())[:3])
            raise InvalidManifest(
                f"no image of the {side} side can be used ({len(cache.refused)} were refused)",
                source=reasons or None,
                keyword="path",
                remedy="Correct the paths or the images",
            )
    told = {record.allowed for record in learned.records if not all(record.allowed)}
    if len(told) < 2:
        words = " or ".join(n for a in told for n, ok in zip(_NAMES, a, strict=True) if ok)
        raise InvalidManifest(
            f"all labels of the training side say {words or 'nothing'}",
            keyword="malignant",
            remedy="Give labels of two kinds at least",
        )
    if not any(record.malignant for record in learned.records):
        raise InvalidManifest(
            "no image of the training side is malignant",
            keyword="malignant",
            remedy="Give malignant images, or another split (data.split_seed)",
        )
    _, figures = malignancy_figures(held_out.records, np.zeros((len(held_out.records), 3)))
    yield from _cautions(learned, held_out, told, figures)


def _cautions(
    learned: PreparedCache,
    held_out: PreparedCache,
    told: set[tuple[bool, bool, bool]],
    figures: Mapping[str, float],
) -> Iterable[str]:
    for cache, side in ((learned, "training"), (held_out, "validation")):
        if cache.refused:
            path, reason = next(iter(cache.refused.items()))
            yield (
                f"{len(cache.refused)} images of the {side} side were refused and are left out "
                f"(run.json lists them), the first: {path}: {reason}"
            )
    for place, name in enumerate(_NAMES):
        alone = tuple(place == other for other in range(len(_NAMES)))
        if alone not in told:
            yield f"no training image is told to be {name}: it is told apart by exclusion at best"
    for dataset in sorted({record.dataset for record in held_out.records}):
        if f"auc_{dataset}" not in figures:
            yield f"{dataset} has one outcome on the validation side: it is not in the score"


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
