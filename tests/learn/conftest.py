"""A small run: forty drawn breasts of twenty women, a network of 0.1 million weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


def draw_breast(number: int, malignant: bool):
    """Uint8 (128, 96): a half ellipse from the left border; the malignant one has a bright spot."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[:128, :96]
    inside = ((y - 64) / 55) ** 2 + (x / 75) ** 2 < 1
    image = np.where(inside, rng.normal(110, 15, inside.shape), 0)
    if malignant:
        image[50:75, 20:45] = 240
    return np.clip(image, 0, 255).astype(np.uint8)


def save_trunk(backbone: str, path: Path) -> None:
    """Random weights of a trunk, as a file that ``network.weights`` may name."""
    import torch
    from safetensors.torch import save_file

    from mammolens.learn.network import MammoNet

    torch.manual_seed(0)
    trunk = MammoNet(backbone, hidden=8).trunk
    save_file({key: value.contiguous() for key, value in trunk.state_dict().items()}, path)


def write_small_run(folder: Path, backbone: str = "test_efficientnet") -> Path:
    """Pictures, table, weights and configuration; gives the configuration's path."""
    import cv2

    rows = ["dataset,image_id,patient_id,laterality,view,path,tumour,malignant"]
    for number in range(40):
        malignant = number // 2 % 2
        cv2.imwrite(str(folder / f"{number}.png"), draw_breast(number, bool(malignant)))
        rows.append(f"drawn,{number},{number // 2},L,CC,{number}.png,{malignant},{malignant}")
    (folder / "manifest.csv").write_text("\n".join(rows))
    save_trunk(backbone, folder / "trunk.safetensors")
    config = folder / "run.toml"
    config.write_text(
        f"""
name = "tiny"
[data]
manifests = ["{folder}/manifest.csv"]
cache = "{folder}/cache"
validation = 0.3
[preprocess]
height = 64
width = 64
[network]
backbone = "{backbone}"
weights = "{folder}/trunk.safetensors"
hidden = 16
frozen_stages = 2
[train]
epochs = 2
epoch_images = 16
batch = 8
checkpoint_steps = 1
threads = 1
"""
    )
    return config


@pytest.fixture
def small_run(tmp_path):
    """Folder of a small run, with ``run.toml``."""
    pytest.importorskip("torch", reason="needs the extra mammolens[train]")
    write_small_run(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def tiny_run():
    """Write a small run into a folder, of a backbone of choice."""
    pytest.importorskip("torch", reason="needs the extra mammolens[train]")
    return write_small_run


@pytest.fixture(scope="session")
def finished_runs(tmp_path_factory, tiny_run):
    """Train runs of one table, each a single pass of one step; gives their common folder."""
    from mammolens.learn.train import train

    def make(runs: dict[str, tuple[str, ...]]) -> Path:
        folder: Path = tmp_path_factory.mktemp("runs")
        config = tiny_run(folder)
        for name, overrides in runs.items():
            settings = ("train.epochs=1", "train.epoch_images=8", *overrides)
            train(config, folder / name, settings, lambda _: None)
        return folder

    return make
