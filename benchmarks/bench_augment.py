"""One augmented picture of 512 × 384, on one thread, against torchvision's transforms (v2).

Both turn, mirror, zoom, shift, and change contrast and brightness, bilinear, and add noise; then
both also bend, blur and erase a box. torchvision has no gamma to draw, which leaves it less to do.
Parameters are drawn anew for every picture by both.

Run: OMP_NUM_THREADS=1 python benchmarks/bench_augment.py
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
from timing import medians, report

from mammolens.learn.augment import apply_augmentation, draw_augmentation
from mammolens.learn.config import AugmentConfig
from mammolens.learn.pretrained_weights import ensure_torchvision

ensure_torchvision()
from torchvision.transforms import v2  # noqa: E402

ROUNDS = 7
PICTURES = 4
TARGET = 1.0
SHAPE = (512, 384)


def breast() -> np.ndarray:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    inside = ((y - 256) / 220) ** 2 + (x / 300) ** 2 < 1
    texture = cv2.GaussianBlur(np.random.default_rng(0).uniform(0, 255, SHAPE), (0, 0), 4)
    return np.where(inside, np.clip(texture, 1, 255), 0).astype(np.uint8)


def ours(config: AugmentConfig) -> Callable[[], None]:
    picture = breast()

    def run() -> None:
        rng = np.random.default_rng(0)
        for _ in range(PICTURES):
            apply_augmentation(picture, draw_augmentation(rng, config))

    return run


def theirs(*further: v2.Transform) -> Callable[[], None]:
    bilinear = v2.InterpolationMode.BILINEAR
    change = v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.RandomAffine(15, (0.05, 0.05), (0.85, 1.15), interpolation=bilinear),
            *further,
            v2.ColorJitter(brightness=0.1, contrast=0.25),
            v2.ToDtype(torch.float32, scale=True),
            v2.GaussianNoise(sigma=0.03),
            v2.ToDtype(torch.uint8, scale=True),
        ]
    )
    picture = torch.from_numpy(breast())[None]

    def run() -> None:
        torch.manual_seed(0)
        for _ in range(PICTURES):
            change(picture)

    return run


def main() -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    everything = AugmentConfig(elastic=0.25, blur_px=1.5, cutout=1)
    further = (
        v2.ElasticTransform(alpha=50.0, sigma=8.0),
        v2.GaussianBlur(9, (0.1, 1.5)),
        v2.RandomErasing(0.5),
    )
    seconds = medians(
        {
            "plain": ours(AugmentConfig()),
            "plain, torchvision": theirs(),
            "everything": ours(everything),
            "everything, torchvision": theirs(*further),
        },
        ROUNDS,
    )
    print(f"{PICTURES} pictures a round, median of {ROUNDS} rounds")
    for name in ("plain", "everything"):
        print(f"{name}: {seconds[name] / PICTURES * 1e3:.2f} ms a picture")
        report(
            f"{name}, against torchvision", seconds[name], seconds[f"{name}, torchvision"], TARGET
        )


if __name__ == "__main__":
    main()
