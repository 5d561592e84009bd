"""Make torchvision importable with a torch build that does not fit its binary extension.

The small CPU wheel of torch has no matching torchvision binary. torchvision then fails on import,
and with it timm, although neither needs the compiled operators here. Only if the extension cannot
be loaded, the schemas that torchvision expects are declared without a kernel.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

import torch

_DETECTION_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height,"
    " int pooled_width, int sampling_ratio, bool aligned) -> Tensor",
    "qroi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height,"
    " int pooled_width, int sampling_ratio, bool aligned) -> Tensor",
)


@functools.cache
def ensure_torchvision() -> torch.library.Library | None:
    """Make ``import torchvision`` work; call it before timm is imported.

    Returns
    -------
    The library with the declared schemas, or ``None`` if nothing had to be done.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return None
    binaries = sorted(Path(spec.origin).parent.glob("_C*.so"))
    try:
        for binary in binaries:
            torch.ops.load_library(str(binary))
    except OSError:
        library = torch.library.Library("torchvision", "DEF")
        for schema in _DETECTION_OPERATORS:
            library.define(schema)
        return library
    return None
