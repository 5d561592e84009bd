"""The run folder: what a run says of itself, its log, its best weights, and how it goes on."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import torch

from mammolens.data.manifest import Manifest
from mammolens.data.splits import split_digest
from mammolens.learn.config import RunConfig

__all__ = ["add_to_log", "read_state", "write_best", "write_run", "write_state"]


def write_run(config: RunConfig, manifest: Manifest, out: Path) -> None:
    """Write ``run.json``: the resolved configuration, digests and versions."""
    import numpy as np

    summary = {
        "config": json.loads(config.model_dump_json()),
        "manifest_digest": manifest.digest,
        "split_digest": split_digest(manifest),
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
    }
    (out / "run.json").write_text(json.dumps(summary, indent=1))


def add_to_log(path: Path, row: dict[str, Any]) -> None:
    """Add a row to a CSV file, with a head line if it is new."""
    new = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def write_best(net: torch.nn.Module, best: dict[str, Any], out: Path) -> None:
    """Write ``best.safetensors`` and ``best.json``."""
    from safetensors.torch import save_file

    tensors = {key: value.cpu().contiguous() for key, value in net.state_dict().items()}
    save_file(tensors, out / "best.safetensors")
    (out / "best.json").write_text(json.dumps(best, indent=1))


def write_state(path: Path, step: int, best: dict[str, Any], **parts: Any) -> None:
    """Write a checkpoint in one move; `parts` have a ``state_dict``."""
    state = {name: part.state_dict() for name, part in parts.items()}
    partial = path.with_suffix(".partial")
    torch.save({"step": step, "best": best, **state}, partial)
    partial.replace(path)


def read_state(path: Path, **parts: Any) -> tuple[int, dict[str, Any]]:
    """Load a checkpoint into `parts`; returns the step and the best pass so far."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state["step"]), dict(state["best"])
