"""Features of an ImageNet trunk that was never trained on mammograms, as input of classifiers.

Pictures are shown at the size that such trunks learned from, about 300 pixels.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
import torch

from mammolens.learn.batches import stack
from mammolens.learn.feature_store import Extractor
from mammolens.learn.network import GEM_FLOOR, GEM_POWER, MammoNet, build_network

__all__ = ["DEFAULT_TRUNK", "trunk_extractor"]

DEFAULT_TRUNK: Final = "tf_efficientnet_lite0"
"""Its weights come with a package; those of other trunks from a file or timm's download."""

_LONGEST_PX: Final = 320


def trunk_extractor(backbone: str = DEFAULT_TRUNK, weights: Path | None = None) -> Extractor:
    """Mean and generalised mean (power 3) of the last maps of a trunk over the picture, whose
    longer side is made 320 pixels if it is longer.

    Parameters
    ----------
    backbone, weights
        As for `mammolens.learn.network.build_network`.

    Raises
    ------
    ConfigError
        If the backbone is unknown, or its weights cannot be had or do not fit.

    Source
    ------
    Radenović et al. 2019 (generalised mean), doi:10.1109/TPAMI.2018.2846566.
    """
    net = build_network(backbone, hidden=8, dropout=0.0, pooling="avg", weights=weights).eval()
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def extract(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            maps = net.maps(stack([_shown(picture) for picture in pictures]))
            powers = maps.clamp(min=GEM_FLOOR).pow(GEM_POWER).mean((2, 3)).pow(1 / GEM_POWER)
            pooled = torch.cat([maps.mean((2, 3)), powers], 1)
        values: npt.NDArray[np.float32] = pooled.float().numpy()
        return values

    width = net.hidden.in_features
    names = tuple(f"{how}.{place:04d}" for how in ("mean", "gem") for place in range(width))
    return Extractor(f"cnn-{backbone}-{_digest(net)}", names, extract, batch=8)


def _shown(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    factor = _LONGEST_PX / max(picture.shape)
    if factor >= 1:
        return picture
    rows, cols = (max(32, round(side * factor / 32) * 32) for side in picture.shape)
    return np.asarray(cv2.resize(picture, (cols, rows), interpolation=cv2.INTER_AREA), np.uint8)


def _digest(net: MammoNet) -> str:
    digest = hashlib.sha256(net.white.numpy().tobytes() + net.black.numpy().tobytes())
    for key, value in net.trunk.state_dict().items():
        digest.update(f"{key} {tuple(value.shape)}".encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]
