"""Distillation: a run learns from the probabilities of finished runs, beside the labels.

A teacher is asked about the data sets that it learned from, and about no other; with
``train.cross_fit`` only about patients from whom it has not learned, so that it does not repeat
their labels. Several teachers answer with the mean of their log-odds.
Sources: Hinton, Vinyals and Dean 2015, Distilling the knowledge in a neural network, arXiv
1503.02531; cross-fitting: Dao et al. 2021, Knowledge distillation as semiparametric inference,
arXiv 2104.09732.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from mammolens.data.cache import build_side
from mammolens.data.manifest import Manifest, Record, Split
from mammolens.errors import ConfigError
from mammolens.learn.checkpoint import place_file, read_run_folder
from mammolens.learn.config import RunConfig
from mammolens.learn.lineage import read_sides, refuse_insider
from mammolens.learn.pass_figures import malignancy_odds
from mammolens.learn.predict import load_network, predict_logits
from mammolens.metrics import sigmoid

__all__ = ["ask_teachers"]

_FILE = "teachers.npy"


def ask_teachers(
    config: RunConfig,
    manifest: Manifest,
    records: Sequence[Record],
    out: Path,
    say: Callable[[str], None],
    *,
    refresh: bool,
    device: torch.device | None = None,
) -> npt.NDArray[np.float32] | None:
    """Ask the teachers of a run for P(malignant) of the pictures that it learns from.

    They look at each picture as it is and mirrored. What they say is kept in the run folder as
    ``teachers.npy``: a run that goes on learns from the same words.

    Parameters
    ----------
    manifest
        The run's tables, every patient on a side.
    records
        The images to learn from.
    refresh
        Ask even if words are kept: they may be of an attempt with other settings. A run that goes
        on from a checkpoint, or a process beside the one that asked, takes those that are kept.
    device
        Where the teachers think; the CPU if nothing is given.

    Returns
    -------
    Float32 (n,) in the order of `records`, NaN where no teacher speaks; ``None`` for a
    run without teachers.

    Raises
    ------
    PatientLeak
        If a teacher has learned from a patient whom this run holds out.
    ConfigError
        If a folder holds no finished pass, no teacher can be asked, or ``teachers.npy`` is damaged
        or of other images.
    StorageError
        If the words cannot be kept.
    """
    if not config.train.teachers:
        return None
    kept = out / _FILE
    if refresh or not kept.exists():
        odds = [_odds(run, config, manifest, records, say, device) for run in config.train.teachers]
        if not np.isfinite(odds).any():
            raise ConfigError(
                "no teacher can be asked about the pictures to learn from",
                keyword="train.teachers",
                remedy="With train.cross_fit, name runs that hold out a part of these patients: "
                "runs with data.inner_folds and the same split",
            )
        data = io.BytesIO()
        np.save(data, _soft_labels(np.stack(odds)))
        place_file(kept, data.getvalue())
    return _read(kept, len(records))


def _read(kept: Path, count: int) -> npt.NDArray[np.float32]:
    try:
        taught: npt.NDArray[np.float32] = np.load(kept)
    except (OSError, ValueError, EOFError) as error:
        raise _useless(kept, f"it cannot be read: {error}") from error
    if taught.shape != (count,):
        raise _useless(kept, f"it holds {taught.size} answers for {count} images to learn from")
    return taught


def _useless(kept: Path, cause: str) -> ConfigError:
    return ConfigError(
        cause,
        source=str(kept),
        keyword="train.teachers",
        remedy="Restore it, or begin again in another folder (--out)",
    )


def _odds(
    run: Path,
    config: RunConfig,
    manifest: Manifest,
    records: Sequence[Record],
    say: Callable[[str], None],
    device: torch.device | None,
) -> npt.NDArray[np.float64]:
    """Log-odds (n,) of malignancy by one teacher, NaN where it does not speak."""
    teacher, summary = read_run_folder(run)
    own = refuse_insider(run, read_sides(run, teacher, summary), manifest, "train.teachers")
    datasets = {record.dataset for record in own}
    pupils = {record.patient for record in own} if config.train.cross_fit else set()
    side = build_side(manifest, Split.TRAIN, teacher.preprocess, config.data.cache)
    pictures = side.select(lambda r: r.dataset in datasets and r.patient not in pupils)
    say(f"{run} teaches {len(pictures.records)} of {len(records)} images")
    net = load_network(teacher, run / "best.safetensors").to(device)
    odds = malignancy_odds(predict_logits(net, pictures, device))
    odds_of = {r.key: value for r, value in zip(pictures.records, odds, strict=True)}
    return np.array([odds_of.get(r.key, np.nan) for r in records], np.float64)


def _soft_labels(odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Probabilities (n,) of log-odds (teachers, n), by the mean of those that speak."""
    heard = np.isfinite(odds)
    total = np.where(heard, odds, 0.0).sum(0)
    mean = total / np.maximum(heard.sum(0), 1)
    return np.where(heard.any(0), sigmoid(mean), np.nan).astype(np.float32)
