"""A training step with memory kept by the process, beside the same step with glibc's defaults.

Each runs in a process of its own, in turn, on two threads: EfficientNet-Lite0 with four fixed
parts, 640 x 352 pixels, batches of 16. The figure is the ratio of the median steps. With
--judging a step looks at the pictures and their mirror images, and learns nothing.

Run: python benchmarks/bench_allocator.py [--steps N] [--rounds N] [--judging]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time

TARGET = 0.8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--judging", action="store_true")
    parser.add_argument("--one", choices=("kept", "default"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(*_steps(given.steps, given.one == "kept", given.judging))
        return
    found: dict[str, list[float]] = {"kept": [], "default": []}
    peaks: dict[str, float] = {}
    for _ in range(given.rounds):
        for name, seconds in found.items():
            command = [sys.executable, __file__, "--one", name, "--steps", str(given.steps)]
            command += ["--judging"] if given.judging else []
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            *steps, peaks[name] = map(float, said.split())
            seconds += steps
    ratio = statistics.median(found["kept"]) / statistics.median(found["default"])
    for name, seconds in found.items():
        print(
            f"{name:8} median {statistics.median(seconds):.2f} s a step of 16 "
            f"({min(seconds):.2f}–{max(seconds):.2f}), peak memory {peaks[name]:.0f} MiB"
        )
    print(f"ratio {ratio:.2f} (target {TARGET} or less)")


def _steps(count: int, kept: bool, judging: bool) -> list[float]:
    """Seconds of each step after the first, then the peak of resident memory in MiB."""
    import torch

    from mammolens.learn.learning_rates import fix_first_stages
    from mammolens.learn.network import MammoNet
    from mammolens.learn.predict import keep_freed_memory

    if kept and not keep_freed_memory():
        raise SystemExit("this C library has no mallopt: nothing to measure")
    torch.set_num_threads(2)
    net = MammoNet("tf_efficientnet_lite0", pooling="gem").to(memory_format=torch.channels_last)
    for stage in list(net.stages())[:4]:
        stage.requires_grad_(False)
    fix_first_stages(net, 4)
    batch = torch.randint(0, 256, (16, 1, 640, 352), dtype=torch.uint8)
    seconds = []
    for _ in range(count + 1):
        began = time.perf_counter()
        if judging:
            with torch.inference_mode():
                net.eval()(batch) + net(batch.flip(2))
        else:
            net.zero_grad()
            net(batch).logsumexp(1).mean().backward()
        seconds.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [*seconds[1:], peak]


if __name__ == "__main__":
    main()
