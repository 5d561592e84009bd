"""Handcrafted features of a prepared picture: intensity, shape, GLCM, LBP, HOG.

These are the features of the classical literature, computed on the same pictures that networks get.
Grey levels, co-occurrence and local patterns are counted inside the breast only, because the black
around it shows only the size of the breast. HOG uses the whole picture, with the outline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from skimage.feature import graycomatrix, graycoprops, hog, local_binary_pattern
from skimage.filters import threshold_otsu
from skimage.measure import regionprops

__all__ = [
    "FAMILIES",
    "breast_mask",
    "feature_names",
    "glcm_features",
    "handcrafted_features",
    "hog_features",
    "intensity_features",
    "lbp_features",
    "shape_features",
]

Picture = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Named = dict[str, float]

_LEVELS: Final = 32
_DISTANCES: Final = (1, 2, 4, 8)
_ANGLES: Final = (0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
_PROPERTIES: Final = (
    "contrast",
    "dissimilarity",
    "homogeneity",
    "ASM",
    "correlation",
    "entropy",
)
_SCALES: Final = (1, 2, 4)
_RINGS: Final = 4
_BLOB_SHARES: Final = (1 / 320, 1 / 160, 1 / 80, 1 / 40)
_HOG_SHAPE: Final = (160, 96)
_SMALL_SIDE: Final = 160


def handcrafted_features(picture: Picture) -> npt.NDArray[np.float32]:
    """All features of one picture, float32 (d,), in the order of `feature_names`.

    Parameters
    ----------
    picture
        Prepared, uint8 (H, W): the breast bright, the chest wall at the left, 0 around it.
    """
    mask = breast_mask(picture)
    found = [value for family in FAMILIES.values() for value in family(picture, mask).values()]
    return np.array(found, np.float32)


@cache
def feature_names() -> tuple[str, ...]:
    """Names of the features, ``family.name``, in the order of `handcrafted_features`."""
    drawn = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    mask = breast_mask(drawn)
    return tuple(
        f"{name}.{part}" for name, family in FAMILIES.items() for part in family(drawn, mask)
    )


def breast_mask(picture: Picture) -> Mask:
    """Give the breast of a prepared picture, bool (H, W): its largest bright part, holes filled.

    For a black picture it is the whole picture, so that no feature is undefined.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats((picture > 0).astype(np.uint8))
    if count < 2:
        return np.ones(picture.shape, bool)
    largest = (labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))).astype(np.uint8)
    outlines, _ = cv2.findContours(largest, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(largest, outlines, -1, (1,), cv2.FILLED), bool)


def intensity_features(picture: Picture, mask: Mask) -> Named:
    """Grey levels (0–1) of the breast: moments, percentiles, entropy in bits, mean and deviation
    of rings from the skin inwards, and bright blobs of four sizes."""
    values = picture[mask].astype(np.float64) / 255.0
    found = {"mean": float(values.mean()), "deviation": float(values.std())}
    found |= {"skewness": _moment(values, 3), "kurtosis": _moment(values, 4)}
    for percent, value in zip(
        (5, 25, 50, 75, 95), np.percentile(values, (5, 25, 50, 75, 95)), strict=True
    ):
        found[f"p{percent:02d}"] = float(value)
    found["entropy"] = _entropy(np.bincount(picture[mask] // 4, minlength=64))
    return found | _rings(picture, mask) | _blobs(picture, mask)


def shape_features(picture: Picture, mask: Mask) -> Named:
    """Form of the breast, and of the largest part of its dense tissue (above Otsu's level).

    Lengths are relative to the picture or to the breast's box.

    Source
    ------
    Otsu 1979, doi:10.1109/TSMC.1979.4310076.
    """
    step = max(1, round(max(picture.shape) / _SMALL_SIDE))
    small, inside = picture[::step, ::step], mask[::step, ::step]
    breast = _largest(inside)
    found = {"area": float(inside.mean())} | _form(breast)
    top, left, bottom, right = breast.bbox
    found["tallness"] = (bottom - top) / (right - left)
    values = small[inside]
    level = threshold_otsu(values) if values.min() < values.max() else int(values.max()) + 1
    dense = inside & (small > level)
    found["dense_share"] = float(dense.sum() / inside.sum())
    rest = inside & ~dense
    light, dark = (float(small[part].mean()) if part.any() else 0.0 for part in (dense, rest))
    found["dense_contrast"] = (light - dark) / 255.0 if dense.any() and rest.any() else 0.0
    core = _largest(dense) if dense.any() else breast
    row, col = core.centroid
    found["core_share"] = float(core.area / inside.sum()) if dense.any() else 0.0
    found["core_row"], found["core_col"] = (
        (row - top) / (bottom - top),
        (col - left) / (right - left),
    )
    return found | {f"core_{name}": value for name, value in _form(core).items()}


def glcm_features(picture: Picture, mask: Mask) -> Named:
    """Haralick's measures of pairs of pixels that both lie in the breast: mean and range over four
    directions, at 1, 2, 4 and 8 pixels, of 32 grey levels.

    Source
    ------
    Haralick et al. 1973, doi:10.1109/TSMC.1973.4309314.
    """
    levels = np.where(mask, 1 + picture // (256 // _LEVELS), 0).astype(np.uint8)
    counts = graycomatrix(levels, _DISTANCES, _ANGLES, levels=_LEVELS + 1, symmetric=True)
    inside = counts[1:, 1:].astype(np.float64)
    shares = inside / np.maximum(inside.sum((0, 1)), 1.0)
    found = {}
    for name in _PROPERTIES:
        for distance, row in zip(_DISTANCES, graycoprops(shares, name), strict=True):
            found[f"{name}_{distance}"] = float(row.mean())
            found[f"{name}_{distance}_range"] = float(np.ptp(row))
    return found


def lbp_features(picture: Picture, mask: Mask) -> Named:
    """Shares of the ten uniform, rotation-invariant patterns of 8 neighbours, in the breast, on
    the picture and its halves and quarters.

    Source
    ------
    Ojala et al. 2002, doi:10.1109/TPAMI.2002.1017623.
    """
    found: Named = {}
    for scale in _SCALES:
        reduced = _reduced(picture, scale)
        inside = cv2.erode(
            _reduced(mask.astype(np.uint8) * 255, scale) // 255,
            np.ones((3, 3), np.uint8),
            borderValue=0,
        ).astype(bool)
        codes = local_binary_pattern(reduced, 8, 1, "uniform").astype(np.intp)
        counted = np.bincount(codes[inside], minlength=10) / max(1, int(inside.sum()))
        found |= {f"scale{scale}_code{code}": float(s) for code, s in enumerate(counted)}
    return found


def hog_features(picture: Picture, mask: Mask) -> Named:
    """Histograms of oriented gradients of the picture at 160 × 96 pixels: 9 directions, cells of
    32 pixels, blocks of 2 × 2 cells.

    Source
    ------
    Dalal and Triggs 2005, doi:10.1109/CVPR.2005.177.
    """
    del mask
    rows, cols = _HOG_SHAPE
    small = cv2.resize(picture, (cols, rows), interpolation=cv2.INTER_AREA)
    values = hog(small, 9, (32, 32), (2, 2), block_norm="L2-Hys", feature_vector=True)
    return {f"{place:03d}": float(value) for place, value in enumerate(values)}


def _moment(values: npt.NDArray[np.float64], order: int) -> float:
    """Skewness (3) or excess kurtosis (4); 0 where nothing varies."""
    deviation = values.std()
    if deviation < 1e-9:
        return 0.0
    standard = (values - values.mean()) / deviation
    square = standard * standard
    return float(np.mean(square * standard) if order == 3 else np.mean(square * square) - 3.0)


def _entropy(counts: npt.NDArray[np.intp]) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def _rings(picture: Picture, mask: Mask) -> Named:
    """Give mean and deviation of rings by depth: the distance to the skin, not to the left edge."""
    padded = np.pad(mask.astype(np.uint8), ((1, 1), (0, 1)))
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, :-1]
    ring = np.minimum((depth * _RINGS / max(float(depth.max()), 1e-9)).astype(int), _RINGS - 1)
    found = {}
    for number in range(_RINGS):
        values = picture[mask & (ring == number)] / 255.0
        found[f"ring{number}_mean"] = float(values.mean()) if values.size else 0.0
        found[f"ring{number}_deviation"] = float(values.std()) if values.size else 0.0
    return found


def _blobs(picture: Picture, mask: Mask) -> Named:
    """Differences of Gaussians inside the breast, the outside filled with its mean grey."""
    filled = np.where(mask, picture, picture[mask].mean()).astype(np.float32) / np.float32(255)
    found = {}
    for share in _BLOB_SHARES:
        sigma = max(0.5, share * max(picture.shape))
        fine, coarse = (cv2.GaussianBlur(filled, (0, 0), factor * sigma) for factor in (1.0, 1.6))
        response = (fine - coarse)[mask].astype(np.float64)
        name = f"blob{round(1 / share)}"
        found[f"{name}_deviation"] = float(response.std())
        found[f"{name}_p995"] = float(np.percentile(response, 99.5))
        found[f"{name}_skewness"] = _moment(response, 3)
    return found


def _form(region: Any) -> Named:
    return {
        "eccentricity": float(region.eccentricity),
        "solidity": float(region.solidity),
        "extent": float(region.extent),
    }


def _largest(part: Mask) -> Any:
    """Properties of the largest connected part."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(part.astype(np.uint8))
    place = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    return regionprops((labels == place).astype(np.uint8))[0]


def _reduced(picture: Picture, scale: int) -> Picture:
    if scale == 1:
        return picture
    rows, cols = (max(3, side // scale) for side in picture.shape)
    return np.asarray(
        cv2.resize(picture, (cols, rows), interpolation=cv2.INTER_AREA), dtype=np.uint8
    )


FAMILIES: Final[Mapping[str, Callable[[Picture, Mask], Named]]] = {
    "intensity": intensity_features,
    "shape": shape_features,
    "glcm": glcm_features,
    "lbp": lbp_features,
    "hog": hog_features,
}
"""Name → function of picture and mask (H, W)."""
