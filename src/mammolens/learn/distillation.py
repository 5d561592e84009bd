"""Distillation: a run learns from the probabilities of finished runs, beside the labels.

A teacher scores only the data sets that it learned from. With ``train.cross_fit`` it scores only
patients that it has not learned from, so that it does not repeat their labels. The answers of
several teachers are averaged as log-odds.
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
    """Let the teachers of a run give P(malignant) of its training pictures.

    They score each picture and its mirror image. Their answers are kept in the run folder as
    ``teachers.npy``, so that a resumed run uses the same answers.

    Parameters
    ----------
    manifest
        The run's tables, every patient on a side.
    refresh
        Ask even if answers are kept, because they may come from an attempt with other settings. A
        resumed run, and every process but the first, uses the kept answers.
    device
        The device of the teachers; by default the CPU.

    Returns
    -------
    Float32 (n,) in the order of `records`, NaN where no teacher answers; ``None`` for a run without
    teachers.

    Raises
    ------
    PatientLeak
        If a teacher has learned from a patient that this run holds out.
    ConfigError
        If a folder has no finished pass, no teacher can be used, or ``teachers.npy`` is damaged or
        of other images.
    StorageError
        If the answers cannot be written.
    """
    if not config.train.teachers:
        return None
    kept = out / _FILE
    if refresh or not kept.exists():
        odds = [_odds(run, config, manifest, records, say, device) for run in config.train.teachers]
        if not np.isfinite(odds).any():
            raise ConfigError(
                "no teacher can score any of the training pictures",
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
        raise _useless(kept, f"it has {taught.size} answers for {count} training images")
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
    """Give log-odds (n,) of malignancy from one teacher, NaN where it does not answer."""
    teacher, summary = read_run_folder(run)
    own = refuse_insider(run, read_sides(run, teacher, summary), manifest, "train.teachers")
    datasets = {record.dataset for record in own}
    learned = {record.patient for record in own} if config.train.cross_fit else set()
    side = build_side(manifest, Split.TRAIN, teacher.preprocess, config.data.cache)
    pictures = side.select(lambda r: r.dataset in datasets and r.patient not in learned)
    say(f"{run} teaches {len(pictures.records)} of {len(records)} images")
    net = load_network(teacher, run / "best.safetensors").to(device)
    odds = malignancy_odds(predict_logits(net, pictures, device))
    odds_of = {r.key: value for r, value in zip(pictures.records, odds, strict=True)}
    return np.array([odds_of.get(r.key, np.nan) for r in records], np.float64)


def _soft_labels(odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Give probabilities (n,) of log-odds (teachers, n), by the mean of those that are known."""
    known = np.isfinite(odds)
    total = np.where(known, odds, 0.0).sum(0)
    mean = total / np.maximum(known.sum(0), 1)
    return np.where(known.any(0), sigmoid(mean), np.nan).astype(np.float32)
