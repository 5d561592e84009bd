"""Two processes learn what one learns: the same gradients, one run folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra mammolens[train]")

from mammolens.errors import ConfigError  # noqa: E402
from mammolens.learn import train as loop  # noqa: E402
from mammolens.learn.batches import draw_batch, gather  # noqa: E402
from mammolens.learn.config import RunConfig, load_manifest, read_run  # noqa: E402
from mammolens.learn.processes import (  # noqa: E402
    ONE_PROCESS,
    Processes,
    _place_among_processes,
    join_processes,
    stopped_anywhere,
)

# Group norm, because batch norm sees other statistics in half a batch; no dropout, because it
# draws anew in every process.
OVERRIDES = ("network.dropout=0", "train.map_weight=0.5", "train.epoch_images=24")

GRADIENTS = """
import sys
from pathlib import Path
import torch
from mammolens.learn.config import read_run
from mammolens.learn.processes import average_gradients, join_processes, stopped_anywhere
sys.path.insert(0, sys.argv[1])
from test_distributed import gradients

config = read_run(Path(sys.argv[2]), sys.argv[4:])
own = join_processes(config.train)
found = gradients(config, own, lambda optimiser: average_gradients(own, optimiser))
found["stopped"] = torch.tensor(stopped_anywhere(own, 15 * own.rank))
torch.save(found, f"{sys.argv[3]}.{own.rank}")
"""

TRAIN = """
import sys
from pathlib import Path
from mammolens.learn.train import train
train(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
"""


def gradients(config: RunConfig, processes: Processes, average=lambda _: None) -> dict:
    """Gradients of the second step of a run, after `average` had the optimiser."""
    from mammolens.data.cache import build_cache
    from mammolens.data.manifest import Split
    from mammolens.learn.learning_rates import build_optimiser, set_rates

    torch.manual_seed(0)
    side = load_manifest(config).select(split=Split.TRAIN)
    learned = build_cache(side, config.preprocess, config.data.cache)
    net = loop.start_network(config)
    places = torch.nn.Conv2d(net.hidden.in_features, 1, 1)
    optimiser = build_optimiser(net, places.parameters(), config)
    set_rates(optimiser, config.train, 0.5)
    batch = draw_batch(gather(learned, None, config), config, 0, 1, processes)
    net.train()
    maps = net.maps(batch.inputs)
    loop.batch_loss(net.head(net.pool(maps)), places, maps, batch, config).backward()
    average(optimiser)
    named = [*net.named_parameters(), *places.named_parameters(prefix="places")]
    return {name: p.grad for name, p in named if p.grad is not None}


def mark_lesions(folder: Path) -> None:
    """Give every second malignant image a circle, so that shares know unequal numbers of cells."""
    head, *rows = (folder / "manifest.csv").read_text().splitlines()
    lines = [f"{head},lesion_x,lesion_y,lesion_radius"]
    for number, row in enumerate(rows):
        known = row.endswith(",1") and number % 2
        lines.append(f"{row},{'32,62,12' if known else ',,'}")
    (folder / "manifest.csv").write_text("\n".join(lines))


@pytest.fixture
def group_norm_run(tmp_path, tiny_run):
    config = tiny_run(tmp_path, "test_efficientnet_gn")
    mark_lesions(tmp_path)
    return config


def launch(script: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "--no-python", sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=3000)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_one(group_norm_run, tmp_path):
    expected = gradients(read_run(group_norm_run, OVERRIDES), ONE_PROCESS)
    own = gradients(read_run(group_norm_run, OVERRIDES), Processes(0, 2))
    launch(
        GRADIENTS,
        str(Path(__file__).parent),
        str(group_norm_run),
        str(tmp_path / "gradients"),
        *OVERRIDES,
    )
    first, second = (
        torch.load(tmp_path / f"gradients.{rank}", weights_only=True) for rank in range(2)
    )
    assert first.pop("stopped") == second.pop("stopped") == 15
    assert first.keys() == second.keys() == expected.keys()
    assert any(name.startswith("places") for name in expected)
    for name, gradient in expected.items():
        assert torch.equal(first[name], second[name]), name
        scale = float(gradient.abs().max())
        assert torch.allclose(first[name], gradient, rtol=1e-4, atol=1e-5 * scale + 1e-9), name
    assert any(not torch.allclose(own[name], expected[name], rtol=1e-2) for name in expected), (
        "half a batch has gradients of its own"
    )


@pytest.mark.slow
def test_two_processes_write_one_run_that_one_process_goes_on_with(group_norm_run, tmp_path):
    from safetensors.torch import load_file

    settings = (*OVERRIDES, "train.patience=9")
    loop.train(group_norm_run, tmp_path / "one", settings, lambda _: None)
    launch(TRAIN, str(group_norm_run), str(tmp_path / "two"), *settings)
    one, two = ((tmp_path / name / "log.csv").read_text().splitlines() for name in ("one", "two"))
    assert len(one) == len(two) == 3
    first, second = (load_file(tmp_path / name / "best.safetensors") for name in ("one", "two"))
    for name in first:
        # Adam makes rounding visible where a gradient is nearly zero: a few rates at most.
        assert torch.allclose(first[name].float(), second[name].float(), atol=3e-3), name
    lines: list[str] = []
    loop.train(group_norm_run, tmp_path / "two", settings, lines.append)
    assert "resumed at step 6 of 6" in lines


def test_shares_of_a_batch_make_up_the_batch(group_norm_run):
    from mammolens.data.cache import build_cache
    from mammolens.data.manifest import Split

    config = read_run(group_norm_run, OVERRIDES)
    side = load_manifest(config).select(split=Split.TRAIN)
    material = gather(build_cache(side, config.preprocess, config.data.cache), None, config)
    whole = draw_batch(material, config, 1, 2)
    shares = [draw_batch(material, config, 1, 2, Processes(rank, 2)) for rank in range(2)]
    for rank, part in enumerate(shares):
        assert torch.equal(part.inputs, whole.inputs[rank::2])
        assert torch.equal(part.allowed, whole.allowed[rank::2])
        assert part.seed == whole.seed + rank
    assert whole.map_share == 1.0
    assert sum(part.map_share for part in shares) == pytest.approx(2.0)


def test_a_batch_that_cannot_be_shared_out_is_refused(small_run, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "3")
    config = read_run(small_run / "run.toml")
    with pytest.raises(ConfigError, match=r"8 images cannot be divided.*multiple of 3"):
        join_processes(config.train)


def test_one_process_waits_for_nobody(small_run):
    processes = join_processes(read_run(small_run / "run.toml").train)
    assert (processes.rank, processes.world) == (0, 1)
    assert stopped_anywhere(processes, 15) == 15


def test_slurm_names_the_first_node_and_a_port_of_the_job(monkeypatch):
    said = {
        "SLURM_NTASKS": "8",
        "SLURM_PROCID": "5",
        "SLURM_LOCALID": "1",
        "SLURM_JOB_ID": "1234567",
        "SLURM_NODELIST": "rack[07-08,12],other3",
    }
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    assert _place_among_processes() == (5, 8, 1, "tcp://rack07:19567")
    monkeypatch.setenv("SLURM_NODELIST", "one,two")
    assert _place_among_processes() == (5, 8, 1, "tcp://one:19567")
    monkeypatch.setenv("SLURM_JOB_NAME", "bash")
    assert _place_among_processes()[:2] == (0, 1)
