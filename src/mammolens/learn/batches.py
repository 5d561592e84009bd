"""The batches of a training run: pictures drawn from the cache and augmented.

Every draw depends only on the seed, the pass and the step in it. So an interrupted run continues
exactly as if it had not stopped, and every process of a run knows the whole batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mammolens.data.cache import PreparedCache
from mammolens.data.manifest import Record
from mammolens.errors import InvalidManifest
from mammolens.learn.augment import apply_augmentation, apply_to_mask, draw_augmentation
from mammolens.learn.config import RunConfig
from mammolens.learn.loss import UNKNOWN, cell_targets, lesion_masks
from mammolens.learn.processes import ONE_PROCESS, Processes
from mammolens.model import STRIDE

__all__ = [
    "Batch",
    "TrainingSet",
    "draw_batch",
    "draw_rows",
    "draw_weights",
    "gather",
    "stack",
]


@dataclass(frozen=True)
class TrainingSet:
    """The prepared pictures of a run, and the probability of drawing each picture of `learned`.

    `marked` pictures teach the places of lesions only, never classes. A row below the length of
    `learned` is a row of `learned`; the rows of `marked` are counted on from there. `masks` are
    lesion masks by such a row. `taught` is P(malignant) from the teachers for each row of
    `learned`, NaN where no teacher gives one.
    """

    learned: PreparedCache
    marked: PreparedCache | None
    weights: npt.NDArray[np.float64]
    masks: dict[int, npt.NDArray[np.uint8]]
    taught: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Batch:
    """The inputs and targets of one step.

    `inputs` are uint8 pictures (B, 1, H, W), or float32 maps (B, K, h, w) of the trunk's fixed
    part. `allowed` classes are bool (B, 3), `targets` of the maps' cells float (B, h, w). `taught`
    is P(malignant) from the teachers, float (B,), NaN where they give none. `rows` are those of
    `TrainingSet`.

    `seed` is for the network's own draws (dropout). `map_share` is the number of pictures with
    known cells in this process's share of the batch, divided by the mean of all shares; it is 1
    for a whole batch.
    """

    inputs: Tensor
    allowed: Tensor
    targets: Tensor | None
    seed: int
    map_share: float = 1.0
    taught: Tensor | None = None
    rows: tuple[int, ...] = ()


def draw_weights(
    records: Sequence[Record], balance: float, patient_balance: float = 0.0
) -> npt.NDArray[np.float64]:
    """Give the probability of drawing each record.

    A group is a data set with one set of allowed classes. A group of n records is drawn in
    proportion to ``n ** (1 - balance)``; records whose label allows every class are never drawn.
    Within a group an image is drawn in proportion to ``m ** -patient_balance`` if its patient has
    m images there.

    Returns
    -------
    Float64 (n,), sums to one.
    """
    groups = [(record.dataset, record.allowed) for record in records]
    counts = Counter(groups)
    weights = np.array(
        [0.0 if all(group[1]) else counts[group] ** -balance for group in groups], np.float64
    )
    if weights.sum() == 0:
        raise InvalidManifest("no record has a label to learn from", keyword="malignant")
    if patient_balance > 0.0:
        weights *= _within_groups(records, groups, patient_balance)
    return weights / weights.sum()


def gather(
    learned: PreparedCache,
    marked: PreparedCache | None,
    config: RunConfig,
    taught: npt.NDArray[np.float32] | None = None,
) -> TrainingSet:
    """Compute the weights of the records, and draw lesion masks if the maps are to be taught."""
    masks: dict[int, npt.NDArray[np.uint8]] = {}
    if config.train.map_weight > 0:
        records = (*learned.records, *(marked.records if marked else ()))
        masks = lesion_masks(records, config.preprocess)
    weights = draw_weights(learned.records, config.train.balance, config.train.patient_balance)
    return TrainingSet(learned, marked, weights, masks, taught)


def draw_batch(
    training: TrainingSet,
    config: RunConfig,
    epoch: int,
    place: int,
    processes: Processes = ONE_PROCESS,
) -> Batch:
    """Draw, augment and stack this process's share of the pictures of step `place` of a pass.

    Source of the small pictures at the beginning: Howard 2018 (fast.ai, DAWNBench).
    """
    train = config.train
    rng = np.random.default_rng((train.seed, epoch, place))
    drawn = draw_rows(training, config, epoch, place)
    changes = [draw_augmentation(rng, config.augment) for _ in drawn]
    seed = int(rng.integers(2**62)) + processes.rank
    size = _size(config, epoch, place)
    count = len(training.learned.records)
    own = drawn[processes.rank :: processes.world]
    pictures, targets = [], []
    for row, change in zip(own, changes[processes.rank :: processes.world], strict=True):
        cache, at = (training.learned, row) if row < count else (training.marked, row - count)
        assert cache is not None
        picture = apply_augmentation(cache.picture(at), change)
        if picture.shape != size:
            picture = np.asarray(cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA))
        pictures.append(picture)
        if train.map_weight > 0:
            cells = size[0] // STRIDE, size[1] // STRIDE
            mask = training.masks.get(row)
            targets.append(
                np.full(cells, UNKNOWN, np.float32)
                if mask is None
                else cell_targets(apply_to_mask(mask, change), cells)
            )
    allowed = [
        training.learned.records[row].allowed if row < count else (True, True, True) for row in own
    ]
    known = sum(row in training.masks for row in drawn)
    return Batch(
        stack(pictures),
        torch.tensor(allowed),
        torch.from_numpy(np.stack(targets)) if targets else None,
        seed,
        sum(row in training.masks for row in own) * processes.world / known if known else 1.0,
        None
        if training.taught is None
        else torch.tensor(
            [training.taught[row] if row < count else np.nan for row in own], dtype=torch.float32
        ),
        tuple(own),
    )


def draw_rows(training: TrainingSet, config: RunConfig, epoch: int, place: int) -> list[int]:
    """Draw the rows of one step: rows of `learned`, then of `marked`, counted on from there."""
    train = config.train
    rng = np.random.default_rng((train.seed, epoch))
    drawn = rng.choice(len(training.weights), train.epoch_images, p=training.weights)
    rows = drawn[place * train.batch :][: train.batch].tolist()
    if train.map_weight > 0 and training.marked is not None:
        share = round(train.marked_share * len(rows))
        others = np.random.default_rng((train.seed, epoch, place, 1))
        marked = others.integers(len(training.marked.records), size=share)
        rows[len(rows) - share :] = (len(training.weights) + marked).tolist()
    return list(rows)


def stack(pictures: Sequence[npt.NDArray[np.uint8]]) -> Tensor:
    """Pictures (H, W) as one tensor (B, 1, H, W), channels last."""
    stacked = torch.from_numpy(np.stack(pictures)[:, None])
    return stacked.contiguous(memory_format=torch.channels_last)


def _within_groups(
    records: Sequence[Record], groups: Sequence[object], patient_balance: float
) -> npt.NDArray[np.float64]:
    """Give factors (n,) that balance patients; their mean in each group is 1."""
    keys = [(group, record.patient) for group, record in zip(groups, records, strict=True)]
    images = Counter(keys)
    factors = np.array([images[key] ** -patient_balance for key in keys], np.float64)
    sums: Counter[object] = Counter()
    for group, factor in zip(groups, factors, strict=True):
        sums[group] += factor  # type: ignore[assignment]
    counts = Counter(groups)
    return factors * np.array([counts[group] / sums[group] for group in groups], np.float64)


def _size(config: RunConfig, epoch: int, place: int) -> tuple[int, int]:
    train, whole = config.train, (config.preprocess.height, config.preprocess.width)
    steps = -(-train.epoch_images // train.batch)
    if epoch * steps + place >= train.small_share * steps * train.epochs:
        return whole
    return (
        max(1, round(whole[0] * train.small_scale / STRIDE)) * STRIDE,
        max(1, round(whole[1] * train.small_scale / STRIDE)) * STRIDE,
    )
