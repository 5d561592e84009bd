"""How long a training step waits for its batch: drawn in turn with the network, and fed ahead.

The network is EfficientNet-Lite0 at 512 x 384 in batches of 16, with weights drawn at random (they
do not change the time). Processor seconds are given beside wall seconds: on a machine that other
work shares, the former tell more. A table may stand for the drawn pictures.

Run: python benchmarks/bench_pipeline.py [--steps N] [--device cpu|cuda] [TABLE ...]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import torch
from drawn import draw_table

from mammolens.data.cache import build_cache
from mammolens.data.manifest import Manifest
from mammolens.learn.batches import Batch, draw_batch, gather
from mammolens.learn.config import DataConfig, RunConfig
from mammolens.learn.loss import partial_label_loss
from mammolens.learn.network import MammoNet
from mammolens.prefetching import prefetch

IMAGES = 32
TARGET = 0.05


class Clock:
    """Wall and processor seconds spent waiting for batches and learning from them."""

    def __init__(self) -> None:
        self.waited = self.learned = self.waited_cpu = self.learned_cpu = 0.0

    @property
    def share(self) -> float:
        return self.waited / (self.waited + self.learned)

    @property
    def cpu_share(self) -> float:
        return self.waited_cpu / (self.waited_cpu + self.learned_cpu)


def run(batches: Iterable[Batch], net: MammoNet, device: torch.device) -> Clock:
    """Learn from every batch; the first one is not timed."""
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-6)
    clock, feed, first = Clock(), iter(batches), True
    while True:
        wall, cpu = time.perf_counter(), time.process_time()
        batch = next(feed, None)
        if batch is None:
            return clock
        got, got_cpu = time.perf_counter(), time.process_time()
        loss = partial_label_loss(net(batch.inputs.to(device)), batch.allowed.to(device))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if not first:
            clock.waited += got - wall
            clock.waited_cpu += got_cpu - cpu
            clock.learned += time.perf_counter() - got
            clock.learned_cpu += time.process_time() - got_cpu
        first = False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", type=Path)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    device = torch.device(given.device)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tables = given.tables or [draw_table(folder, IMAGES, 640, 512)]
        config = RunConfig(name="benchmark", data=DataConfig(manifests=tuple(tables)))
        torch.set_num_threads(config.train.threads)
        net = MammoNet(config.network.backbone, hidden=256, dropout=0.4).to(device)
        net = net.to(memory_format=torch.channels_last).train()
        manifest = Manifest.of(Manifest.read(*tables).records[: 10 * IMAGES])
        cache = build_cache(manifest, config.preprocess, folder / "cache", jobs=2)
        material = gather(cache, None, config)

        def make(place: int) -> Batch:
            return draw_batch(material, config, 0, place)

        steps = range(given.steps + 1)
        in_turn = run(map(make, steps), net, device)
        fed = run(prefetch(make, steps, ahead=given.workers, workers=given.workers), net, device)
    for name, clock in (("in turn", in_turn), ("fed ahead", fed)):
        print(
            f"{name}: {clock.learned / given.steps:.3f} s a step, {clock.waited / given.steps:.3f} "
            f"s of waiting, {100 * clock.share:.1f} % of the time"
        )
    print(f"in turn, of processor time: {100 * in_turn.cpu_share:.1f} %")
    verdict = "within" if fed.share <= TARGET else "MISSES"
    print(f"waiting when fed ahead: {100 * fed.share:.1f} %, {verdict} the target of 5 %")


if __name__ == "__main__":
    main()
