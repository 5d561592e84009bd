"""The figures of an explanation method: how faithful, stable and well placed its maps are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.bench.localisation import figure_json, localisation_figures
from mammolens.bench.map_readings import RULES, MapReading, marked_image
from mammolens.core import PreparedView
from mammolens.data.manifest import Record
from mammolens.metrics import (
    MarkedImage,
    Statistic,
    patient_bootstrap,
    sensitivity_at_false_marks_statistic,
)
from mammolens.metrics.bootstrap import mean_statistic
from mammolens.metrics.comparison import midranks

__all__ = [
    "BLUR_PX",
    "SHUFFLES",
    "STEPS",
    "ExplainedImage",
    "Likeness",
    "deletion_insertion",
    "global_similarity",
    "method_figures",
    "rank_correlation",
]

STEPS: Final = 8
"""Number of equal parts of the breast that are blurred or restored, one after the other."""

BLUR_PX: Final = 24.0
"""Standard deviation, in pixels, of the blur that removes the content of a place."""

Heat = npt.NDArray[np.float32]
Score = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float64]]
"""Uint8 pictures (n, 1, H, W) → a score (n,) of each."""
SHUFFLES: Final = ("head", "all")  # the layers whose weights are shuffled
YARDSTICK: Final = "grad_cam"  # the method that the others are compared with
_ALIKE = 0.5
"""Mean rank correlation with the map of a shuffled network from which a method fails. Chosen by
hand."""


class Curves(NamedTuple):
    """Areas under the score while the breast is blurred, hottest places first (low is good), and
    while it is restored in the same order (high is good)."""

    deletion: float
    insertion: float


def deletion_insertion(
    score: Score, picture: npt.NDArray[np.uint8], breast: npt.NDArray[np.bool_], heat: Heat
) -> Curves:
    """Blur the breast's cells in the order of a map, and restore them in the same order.

    Parameters
    ----------
    picture, breast
        (H, W), uint8 and bool.
    heat
        Float32 (h, w); cells of equal value are in a seeded random order.

    Source
    ------
    Petsiuk 2018, RISE, arXiv 1806.07421; blurred places as for its insertion.
    """
    blurred = np.asarray(cv2.GaussianBlur(picture, (0, 0), BLUR_PX), np.uint8)
    inside = np.flatnonzero(_touched(breast, heat.shape))
    chance = np.random.default_rng(0).random(len(inside))
    order = inside[np.lexsort((chance, -heat.ravel()[inside]))]
    taken = np.zeros((STEPS + 1, heat.size), np.uint8)
    for step in range(1, STEPS + 1):
        taken[step, order[: round(step * len(order) / STEPS)]] = 1
    high, wide = (side // cells for side, cells in zip(picture.shape, heat.shape, strict=True))
    masks = taken.reshape(-1, *heat.shape).repeat(high, 1).repeat(wide, 2)
    deleted = np.where(masks, blurred, picture)[:, None]
    inserted = np.where(masks, picture, blurred)[:, None]
    scores = score(np.concatenate([deleted, inserted]).astype(np.uint8))
    away, back = np.split(np.asarray(scores, np.float64), 2)
    return Curves(_area(away), _area(back))


def rank_correlation(first: Heat, second: Heat, breast: npt.NDArray[np.bool_]) -> float | None:
    """Give Spearman's correlation of two maps (h, w) over the cells of the breast (H, W).

    ``None`` if either map is constant there.
    """
    inside = _touched(breast, first.shape)
    a, b = first.ravel()[inside], second.ravel()[inside]
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(midranks(a), midranks(b))[0, 1])


def global_similarity(first: Heat, second: Heat) -> float:
    """Give the structural similarity of two maps (h, w) ≥ 0, each divided by its peak.

    Source
    ------
    Wang 2004, SSIM, doi:10.1109/TIP.2003.819861, equation 13, over the whole map.

    Examples
    --------
    >>> heat = np.eye(3, dtype=np.float32)
    >>> round(global_similarity(heat, heat), 6), global_similarity(heat, 1 - heat) < 0
    (1.0, True)
    """
    a, b = (np.asarray(one, np.float64) / max(float(one.max()), 1e-12) for one in (first, second))
    c1, c2 = 0.01**2, 0.03**2
    covariance = float(((a - a.mean()) * (b - b.mean())).mean())
    light = (2 * a.mean() * b.mean() + c1) / (a.mean() ** 2 + b.mean() ** 2 + c1)
    return float(light * (2 * covariance + c2) / (a.var() + b.var() + c2))


@dataclass(frozen=True)
class Likeness:
    """The similarity of a map to that of a network with shuffled weights.

    `ranks` is the rank correlation over the breast (``None`` if a map is even), `structure` the
    structural similarity.
    """

    ranks: float | None
    structure: float


@dataclass
class ExplainedImage:
    """One image, and its map and measurements by the name of the method."""

    record: Record
    view: PreparedView
    heats: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    readings: dict[str, MapReading] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    curves: dict[str, Curves] = field(default_factory=dict)
    likeness: dict[str, dict[str, Likeness]] = field(default_factory=dict)


Images = Sequence[ExplainedImage]
Value = Callable[[ExplainedImage, str], float]  # image, name of a method → a measurement


def method_figures(name: str, images: Images, *, draws: int = 2000) -> dict[str, Any]:
    """Give the figures of one method, ready for JSON.

    Parameters
    ----------
    images
        All images; those that the method did not explain are left out.

    Returns
    -------
    ``localisation`` over all and per data set (of malignant lesions; of all lesions if none is
    malignant), ``faithfulness``, ``shuffled_weights``, ``seconds_per_image``, ``time_ratio`` and,
    except for Grad-CAM, ``difference`` from Grad-CAM. A figure without images is ``None`` or
    absent.
    """
    own = [one for one in images if name in one.readings]
    names = sorted({one.record.dataset for one in own})
    found: dict[str, Any] = {
        "n_images": len(own),
        "localisation": {
            "all": _localised(name, own, draws),
            "datasets": {
                dataset: _localised(name, [o for o in own if o.record.dataset == dataset], draws)
                for dataset in names
            },
        },
        "faithfulness": _faithfulness(name, own, draws),
        "shuffled_weights": _shuffled(name, own, draws),
    }
    if own:
        seconds, yard = (
            float(np.median([one.seconds[of] for one in own])) for of in (name, YARDSTICK)
        )
        found |= {"seconds_per_image": seconds, "time_ratio": seconds / yard}
    if own and name != YARDSTICK:
        found["difference"] = _differences(name, own, draws)
    return found


def _touched(breast: npt.NDArray[np.bool_], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Say which cells (h · w,) of a map are partly or wholly in the breast (H, W)."""
    rows, cols = shape
    high, wide = breast.shape[0] // rows, breast.shape[1] // cols
    blocks = breast[: rows * high, : cols * wide].reshape(rows, high, cols, wide)
    touched: npt.NDArray[np.bool_] = blocks.any((1, 3)).ravel()
    return touched


def _area(scores: npt.NDArray[np.float64]) -> float:
    return float((scores[:-1] + scores[1:]).sum() / (2 * (len(scores) - 1)))


def _localised(name: str, images: Images, draws: int) -> dict[str, Any] | None:
    read = [(one.record, one.readings[name]) for one in images]
    found = localisation_figures(read, draws=draws)
    target = next(iter(found), None)
    if target is None:
        return None
    kept = {k: v for k, v in found[target].items() if k not in ("findings", "overlap")}
    return {"target": target, **kept}


def _faithfulness(name: str, images: Images, draws: int) -> dict[str, Any] | None:
    own = [one for one in images if name in one.curves]
    if not own:
        return None
    return {
        "deletion": _mean(own, lambda one, of: one.curves[of].deletion, name, draws),
        "insertion": _mean(own, lambda one, of: one.curves[of].insertion, name, draws),
    }


def _shuffled(name: str, images: Images, draws: int) -> dict[str, Any]:
    """Compare with shuffled networks. If either map is even, it has no ranks and is counted."""
    found: dict[str, Any] = {}
    for layers in SHUFFLES:
        own = [one for one in images if layers in one.likeness.get(name, {})]
        alike = [(one.record.patient_name, one.likeness[name][layers]) for one in own]
        ranked = [(who, like.ranks) for who, like in alike if like.ranks is not None]
        if not alike:
            continue
        ranks = [value for _, value in ranked]
        found[layers] = {
            "structural_similarity": _bounded(
                mean_statistic([like.structure for _, like in alike]),
                [who for who, _ in alike],
                draws,
            ),
            "rank_correlation": _bounded(mean_statistic(ranks), [who for who, _ in ranked], draws)
            if ranked
            else None,
            "n_even_maps": len(alike) - len(ranked),
            "depends_on_weights": float(np.mean(ranks)) < _ALIKE if ranked else None,
        }
    return found


def _differences(name: str, images: Images, draws: int) -> dict[str, Any]:
    """Give the method's figures minus those of Grad-CAM, on the images that both explained."""

    def minus_yardstick(value: Value) -> Value:
        return lambda one, of: value(one, of) - value(one, YARDSTICK)

    found: dict[str, Any] = {}
    target = "malignant" if any("malignant" in o.readings[name].aims for o in images) else "any"
    aimed = [one for one in images if target in one.readings[name].aims]
    curved = [one for one in images if name in one.curves]
    parts: tuple[tuple[str, Images, Value], ...] = (
        ("pointing_game", aimed, lambda one, of: float(one.readings[of].aims[target].points)),
        ("energy_in_lesion", aimed, lambda one, of: one.readings[of].aims[target].energy),
        ("deletion", curved, lambda one, of: one.curves[of].deletion),
        ("insertion", curved, lambda one, of: one.curves[of].insertion),
    )
    for figure, own, value in parts:
        if own:
            found[figure] = _mean(own, minus_yardstick(value), name, draws)
    for rule in RULES:
        if aimed:
            statistic, who = _froc_difference(name, images, target, rule)
            found[f"sensitivity_at_1_false_mark.{rule}"] = _bounded(statistic, who, draws)
    return found


def _froc_difference(
    name: str, images: Images, target: str, rule: str
) -> tuple[Statistic, list[str]]:
    def marks(of: str) -> list[MarkedImage | None]:
        return [marked_image(one.record, one.readings[of], target, rule) for one in images]

    both = zip(images, marks(name), marks(YARDSTICK), strict=True)
    kept = [
        (one.record.patient_name, a, b) for one, a, b in both if a is not None and b is not None
    ]
    own = sensitivity_at_false_marks_statistic([a for _, a, _ in kept], 1.0)
    yard = sensitivity_at_false_marks_statistic([b for _, _, b in kept], 1.0)
    return lambda weights: own(weights) - yard(weights), [who for who, _, _ in kept]


def _mean(images: Images, value: Value, name: str, draws: int) -> dict[str, Any]:
    values = [value(one, name) for one in images]
    return _bounded(mean_statistic(values), [one.record.patient_name for one in images], draws)


def _bounded(statistic: Statistic, who: Sequence[str], draws: int) -> dict[str, Any]:
    return figure_json(patient_bootstrap(statistic, np.ones(len(who), bool), who, draws=draws))
