"""One pass over the pictures: from the cache, against decoding and preparing each time.

The peer is what most training code does: PIL decodes and resizes, torch's DataLoader stacks (in
this process: on two cores its workers would take what the network needs). It finds no breast, crops
nothing and enhances nothing, and is no part of the target. Files are read once before, so that
all are in the system's memory. Ratios are the smaller of those of wall and of processor time: a
machine that other work shares flatters the shorter contender.

Run: python benchmarks/bench_cache.py [TABLE ...] (default: drawn JPEG pictures of 1600 x 1200)
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from drawn import draw_table
from PIL import Image
from timing import medians
from torch.utils.data import DataLoader, Dataset

from mammolens.data.cache import PreparedCache, build_cache, prepare_record
from mammolens.data.manifest import Manifest, Record
from mammolens.preprocess import PreprocessConfig

BATCH = 16
IMAGES = 48
ROUNDS = 3
TARGET = 5.0
CONFIG = PreprocessConfig()


class Pictures(Dataset):
    """The plain way: a list of files, each decoded when it is asked for."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> npt.NDArray[np.uint8]:
        with Image.open(self.paths[index]) as picture:
            small = picture.convert("L").resize((CONFIG.width, CONFIG.height))
            return np.array(small)[None]


def cached_epoch(cache: PreparedCache) -> int:
    order = np.random.default_rng(0).permutation(len(cache.records))
    total = 0
    for start in range(0, len(order), BATCH):
        batch = np.stack([cache.picture(row) for row in order[start : start + BATCH]])
        total += int(batch[:, ::64].sum())
    return total


def decoded_epoch(records: tuple[Record, ...]) -> None:
    for start in range(0, len(records), BATCH):
        np.stack([prepare_record(r, CONFIG).pixels for r in records[start : start + BATCH]])


def processor_seconds(contender: Callable[[], object]) -> float:
    began = time.process_time()
    contender()
    return time.process_time() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tables = [Path(name) for name in sys.argv[1:]] or [draw_table(folder, IMAGES, 1600, 1200)]
        whole = Manifest.read(*tables).records
        manifest = Manifest.of(whole[:: max(1, len(whole) // IMAGES)][:IMAGES])
        began = time.perf_counter()
        cache = build_cache(manifest, CONFIG, folder / "cache", jobs=2)
        built = time.perf_counter() - began
        loader = DataLoader(Pictures([r.path for r in cache.records]), batch_size=BATCH)
        contenders = {
            "cached": lambda: cached_epoch(cache),
            "decoded": lambda: decoded_epoch(cache.records),
            "peer": lambda: list(loader),
        }
        if any(record.path.suffix.lower() in (".dcm", ".dicom") for record in cache.records):
            del contenders["peer"]
            print("the peer reads no DICOM and is left out")
        seconds = medians(contenders, ROUNDS)
        busy = {name: processor_seconds(contender) for name, contender in contenders.items()}
    print(f"{len(cache.records)} images, median of {ROUNDS} rounds; built in {built:.2f} s")
    for name, taken in seconds.items():
        print(
            f"{name}: {1000 * taken / len(cache.records):.2f} ms an image, "
            f"{1000 * busy[name] / len(cache.records):.2f} ms of processor time"
        )
    gain = min(seconds["decoded"] / seconds["cached"], busy["decoded"] / busy["cached"])
    verdict = "within" if gain >= TARGET else "MISSES"
    print(f"cached is {gain:.1f} times as fast as decoding, {verdict} the target of {TARGET}")
    if "peer" in seconds:
        gain = min(seconds["peer"] / seconds["cached"], busy["peer"] / busy["cached"])
        print(f"cached is {gain:.1f} times as fast as the peer")


if __name__ == "__main__":
    main()
