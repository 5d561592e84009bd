"""Combine several runs: average their weights into one network, or average their probabilities.

The network with averaged weights is as small and as fast as that of one run. Averaging works for
runs that began from the same weights with the same seed and differ in settings or in draws, and for
a run and the run that it continues. It does not work for heads that began from different weights.

Source: Wortsman et al. 2022, Model soups, arXiv 2203.05482; Robust fine-tuning of zero-shot models,
arXiv 2109.01903.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mammolens.data.cache import build_side
from mammolens.data.manifest import Split
from mammolens.errors import ConfigError
from mammolens.learn.averages import estimate_statistics
from mammolens.learn.checkpoint import read_run_folder, refuse_other_run, write_best, write_run
from mammolens.learn.config import RunConfig
from mammolens.learn.lineage import join_lineages, of_run, read_sides
from mammolens.learn.pass_figures import check_sides, malignancy_figures
from mammolens.learn.predict import load_network, predict_logits

__all__ = ["average_runs", "average_weights", "read_members", "soft_vote"]

_NETWORK = ("network.backbone", "network.hidden", "network.pooling")

Member = tuple[Path, RunConfig, dict[str, Any]]
"""A run folder, its configuration, and its ``run.json``."""


def read_members(runs: Sequence[Path]) -> tuple[Member, ...]:
    """Read the folders of finished runs that hold out the same patients.

    Raises
    ------
    ConfigError
        If there are fewer than two, one has no finished pass, or their validation sides differ, so
        that one run has learned from patients that another held out.
    """
    members = _read(runs)
    first, _, first_summary = members[0]
    for run, _, summary in members[1:]:
        for key in ("manifest_digest", "split_digest"):
            if summary[key] != first_summary[key]:
                raise ConfigError(
                    f"it holds out other patients than {first}; a network would be judged on "
                    "patients that it has learned from",
                    source=str(run),
                    keyword=key,
                    remedy="Use runs with the same tables and the same split",
                )
    return members


def average_weights(
    members: Sequence[Member], shares: Sequence[float] | None = None
) -> dict[str, Tensor]:
    """Give the mean of the weights of runs of one architecture; counters are the first run's.

    Parameters
    ----------
    shares
        Weight of each run, as a share of their sum; equal weights if ``None``.

    Raises
    ------
    ConfigError
        If architecture or preprocessing differ, a file does not have its run's weights, or the
        number of shares is not that of the runs, or a share is not above 0.
    """
    shares = _shares(shares, len(members))
    first, config, _ = members[0]
    for run, other, _ in members[1:]:
        for key in (*_NETWORK, "preprocess"):
            wanted, found = map(attrgetter(key), (config, other))
            if wanted != found:
                raise ConfigError(
                    f"its {key} is {found}, that of {first} is {wanted}",
                    source=str(run),
                    keyword=key,
                    remedy="Use runs of one architecture and preprocessing, or let them vote: "
                    "mammolens ensemble",
                )
    states = [load_network(own, run / "best.safetensors").state_dict() for run, own, _ in members]
    return {
        key: torch.stack([s * state[key].double() for s, state in zip(shares, states, strict=True)])
        .sum(0)
        .to(value.dtype)
        if value.is_floating_point()
        else value
        for key, value in states[0].items()
    }


def average_runs(
    runs: Sequence[Path],
    out: Path,
    on_progress: Callable[[str], None] = print,
    *,
    shares: Sequence[float] | None = None,
) -> Path:
    """Write a run folder whose best weights are the mean of those of several runs.

    Settings, tables and sides are those of the first run. The other runs may have learned from
    other data sets, but not from a patient that the first one holds out. Batch-norm statistics are
    estimated again on the first run's training pictures, because they must fit the averaged
    weights. The folder can be exported like that of any run.

    Parameters
    ----------
    shares
        Weight of each run, as a share of their sum; equal weights if ``None``.

    Returns
    -------
    Path of the weights.

    Raises
    ------
    ConfigError
        As `average_weights`; if there are fewer than two runs, one has no finished pass, or the
        tables have changed since.
    PatientLeak
        If a run has learned from a patient that the first one holds out.
    """
    members = _read(runs)
    shares = _shares(shares, len(members))
    first, config, summary = members[0]
    judged = read_sides(first, config, summary)
    lineage = join_lineages([of_run(run, judged) for run, _, _ in members], judged)
    state = average_weights(members, shares)
    learned, held_out = (
        build_side(judged, side, config.preprocess, config.data.cache)
        for side in (Split.TRAIN, Split.VALIDATION)
    )
    cautions = check_sides(learned, held_out, config.preprocess)
    for caution in (*cautions, *lineage.cautions):
        on_progress(f"caution: {caution}")
    net = load_network(config, first / "best.safetensors")
    net.load_state_dict(state)
    cpu = torch.device("cpu")
    estimate_statistics(net, learned, seed=config.train.seed, batch=config.train.batch, device=cpu)
    logits = predict_logits(net, held_out, mirrored=False)
    score, figures = malignancy_figures(held_out.records, logits)
    parts = [
        {"run": str(run), "share": share, **{key: own["best"][key] for key in ("score", "epoch")}}
        for (run, _, own), share in zip(members, shares, strict=True)
    ]
    refuse_other_run(config, judged, out)
    write_run(
        config,
        judged,
        out,
        refused=learned.refused | held_out.refused,
        lineage=lineage.to_json(),
        averaged=parts,
    )
    epoch = max(int(part["epoch"]) for part in parts)
    write_best(net, {"score": score, "epoch": epoch, **figures}, out)
    for part in parts:
        on_progress(f"{part['run']}: score {part['score']:.4f}")
    on_progress(f"averaged: score {score:.4f} {figures}")
    on_progress(f"next: mammolens export {out} -o {out / 'package'}")
    # Scores are comparable only between runs on the same data sets.
    alike = [
        part["score"]
        for part, (_, _, own) in zip(parts, members, strict=True)
        if own["manifest_digest"] == summary["manifest_digest"]
    ]
    if score < max(float(one) for one in alike):
        on_progress("the average ranks worse than the best of its runs on the validation side")
    return out / "best.safetensors"


def soft_vote(probabilities: Sequence[npt.ArrayLike]) -> npt.NDArray[np.float64]:
    """Give the mean of class probabilities, each (n, 3), of several networks.

    Raises
    ------
    ConfigError
        If there are none, or their shapes differ.

    Examples
    --------
    >>> soft_vote([[[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]]]).tolist()
    [[0.5, 0.0, 0.5]]
    """
    votes = [np.asarray(vote, np.float64) for vote in probabilities]
    if not votes or any(vote.shape != votes[0].shape for vote in votes):
        raise ConfigError(f"votes of shapes {[vote.shape for vote in votes]} do not pair")
    return np.mean(votes, axis=0)


def _read(runs: Sequence[Path]) -> tuple[Member, ...]:
    if len(runs) < 2:
        raise ConfigError("one run is not an ensemble", remedy="Name two or more run folders")
    return tuple((run, *read_run_folder(run)) for run in runs)


def _shares(given: Sequence[float] | None, count: int) -> tuple[float, ...]:
    """Shares that sum to one."""
    shares = [1.0] * count if given is None else list(given)
    if len(shares) != count or not all(0 < share < float("inf") for share in shares):
        raise ConfigError(
            f"{shares} are not shares of {count} runs",
            keyword="share",
            remedy="Give each run a number above 0, in the order of the runs, or none at all",
        )
    return tuple(share / sum(shares) for share in shares)
