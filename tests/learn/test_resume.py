"""Going on: the same result bit for bit after a kill; nothing lost on a full disk; no other run."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="needs the extra mammolens[train]")

from mammolens.data.cache import build_side  # noqa: E402
from mammolens.data.manifest import Manifest, Split  # noqa: E402
from mammolens.errors import ConfigError, StorageError  # noqa: E402
from mammolens.learn import inputs  # noqa: E402
from mammolens.learn import train as loop  # noqa: E402
from mammolens.learn.checkpoint import (  # noqa: E402
    add_to_log,
    cut_log,
    read_state,
    refuse_other_run,
    write_state,
)
from mammolens.learn.config import load_manifest, read_run  # noqa: E402
from mammolens.learn.learning_rates import place_in, plan_stretches, set_rates  # noqa: E402
from mammolens.learn.predict import load_network, predict_logits  # noqa: E402
from mammolens.learn.sections import TrainConfig  # noqa: E402

OVERRIDES = ("train.epoch_images=24", "train.checkpoint_steps=2", "train.unfreeze=[0.0,0.4]")
STEPS = 6

KILLED = """
import os, signal, sys
from pathlib import Path
from mammolens.learn import inputs
from mammolens.learn import train as loop

draw, drawn = inputs.draw_batch, []

def draw_and_die(*args):
    drawn.append(args)
    if len(drawn) == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    return draw(*args)

inputs.draw_batch = draw_and_die
loop.train(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:], lambda _: None)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_run):
    """A small run that went through without a break, in ``whole``."""
    folder = tmp_path_factory.mktemp("resume")
    config = tiny_run(folder)
    loop.train(config, folder / "whole", OVERRIDES, lambda _: None)
    return folder


def same(first, second) -> bool:
    """Whether two nested states are equal bit for bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


def state(folder):
    return torch.load(folder / "state.pt", map_location="cpu", weights_only=True)


def assert_same_run(first, second):
    assert same(state(first), state(second))
    for name in ("best.safetensors", "best.json", "log.csv"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_a_killed_run_goes_on_as_if_it_had_not_been_killed(run):
    out = run / "killed"
    command = [sys.executable, "-c", KILLED, str(run / "run.toml"), str(out), *OVERRIDES]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert state(out)["step"] == 4
    (out / ".state.pt.partial").write_bytes(b"half a checkpoint")
    lines: list[str] = []
    loop.train(run / "run.toml", out, OVERRIDES, lines.append)
    assert f"resumed at step 4 of {STEPS}" in lines
    assert state(out)["optimiser"]["state"]
    assert not same(state(out)["net"], state(out)["average"])
    assert_same_run(run / "whole", out)


def test_sigterm_saves_and_stops_and_the_same_command_goes_on(run, monkeypatch):
    out, lines, drawn = run / "stopped", [], []
    draw = inputs.draw_batch

    def draw_and_ask(*args):
        drawn.append(args)
        if len(drawn) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return draw(*args)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(inputs, "draw_batch", draw_and_ask)
    with pytest.raises(SystemExit) as stop:
        loop.train(run / "run.toml", out, OVERRIDES, lines.append)
    assert stop.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
    assert 1 < state(out)["step"] < STEPS
    assert any("the same command goes on" in line for line in lines)
    monkeypatch.setattr(inputs, "draw_batch", draw)
    loop.train(run / "run.toml", out, OVERRIDES, lines.append)
    assert_same_run(run / "whole", out)


def test_scaled_half_precision_goes_on_exactly_too(run, monkeypatch):
    """The path of a graphics card, on the CPU's own half precision."""
    monkeypatch.setattr(loop, "_mixed_precision", lambda *_: True)
    loop.train(run / "run.toml", run / "mixed", OVERRIDES, lambda _: None)
    assert state(run / "mixed")["scaler"]["scale"] > 1
    assert not same(state(run / "mixed")["net"], state(run / "whole")["net"])
    validate, validated = loop.judge_pass, []

    def validate_and_ask(*args):
        validated.append(args)
        os.kill(os.getpid(), signal.SIGINT)
        return validate(*args)

    monkeypatch.setattr(loop, "judge_pass", validate_and_ask)
    with pytest.raises(SystemExit) as stop:
        loop.train(run / "run.toml", run / "mixed-stopped", OVERRIDES, lambda _: None)
    assert stop.value.code == 128 + signal.SIGINT
    monkeypatch.setattr(loop, "judge_pass", validate)
    loop.train(run / "run.toml", run / "mixed-stopped", OVERRIDES, lambda _: None)
    assert_same_run(run / "mixed", run / "mixed-stopped")


def test_without_a_graphics_card_single_precision_is_taken_and_said(run):
    if torch.cuda.is_available():
        pytest.skip("there is a graphics card")
    lines: list[str] = []
    config = read_run(run / "run.toml", ["train.precision=mixed"])
    assert not loop._mixed_precision(config, torch.device("cpu"), lines.append)
    assert lines == ["no graphics card: single precision instead of mixed"]


def test_a_finished_run_is_left_as_it_is(run):
    before = {path.name: path.read_bytes() for path in (run / "whole").glob("*.*")}
    lines: list[str] = []
    loop.train(run / "run.toml", run / "whole", OVERRIDES, lines.append)
    assert f"resumed at step {STEPS} of {STEPS}" in lines
    for name in ("state.pt", "best.safetensors", "best.json", "log.csv"):
        assert (run / "whole" / name).read_bytes() == before[name], name


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.epochs=1", r"train\.epochs was 2, is 1"),
        ("network.hidden=24", r"network\.hidden was 16, is 24"),
        ("data.split_seed=2", r"data\.split_seed was 1, is 2"),
        ("preprocess.height=96", r"preprocess\.height was 64, is 96"),
    ],
)
def test_a_folder_of_another_run_is_not_gone_on_with(run, override, words):
    with pytest.raises(ConfigError, match=rf"{words}.*Restore the settings"):
        loop.train(run / "run.toml", run / "whole", [*OVERRIDES, override], lambda _: None)


def test_another_table_is_not_gone_on_with_and_harmless_settings_are(run):
    config = read_run(run / "run.toml", OVERRIDES)
    manifest = load_manifest(config)
    fewer = Manifest.of(manifest.records[2:])
    with pytest.raises(ConfigError, match=r"tables have changed.*manifest_digest"):
        refuse_other_run(config, fewer, run / "whole")
    moved = {record.patient: manifest.records[-1].split for record in manifest.records}
    with pytest.raises(ConfigError, match=r"split have changed.*split_digest"):
        refuse_other_run(config, manifest.with_splits(moved), run / "whole")
    harmless = ("train.threads=2", "train.patience=5", "data.cache=elsewhere", "version=2.0.0")
    refuse_other_run(read_run(run / "run.toml", (*OVERRIDES, *harmless)), manifest, run / "whole")


def log_of(folder):
    with (folder / "log.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("kind", ["pictures", "maps"])
def test_a_finished_run_goes_on_when_passes_are_added(tiny_run, tmp_path, kind, monkeypatch):
    """Rates warm up and fall once more, and a kill within what was added changes nothing."""
    further = ("train.cached_variants=1", "train.unfreeze=[0.0]") if kind == "maps" else ()
    config, lines = tiny_run(tmp_path), []
    settings = (*OVERRIDES, "train.patience=9", "train.warmup=0.2", *further)
    for name in ("a", "b"):
        loop.train(config, tmp_path / name, settings, lambda _: None)
    longer = (*settings, "train.epochs=4")
    loop.train(config, tmp_path / "a", longer, lines.append)
    assert f"resumed at step {STEPS} of {2 * STEPS}" in lines
    assert any(
        f"raised to 4: rates warm up again and fall along half a cosine over steps {STEPS} to "
        f"{2 * STEPS}" in line
        for line in lines
    )
    assert [row["epoch"] for row in log_of(tmp_path / "a")] == ["0", "1", "2", "3"]
    summary = json.loads((tmp_path / "a" / "run.json").read_text())
    assert summary["stretches"] == [[0, STEPS], [STEPS, 2 * STEPS]]
    assert summary["config"]["train"]["epochs"] == 4

    write, stopped = loop.write_state, []

    def write_and_stop(path, step, *args, **parts):
        write(path, step, *args, **parts)
        if step == STEPS + 2 and not stopped:
            stopped.append(step)
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "write_state", write_and_stop)
    with pytest.raises(KeyboardInterrupt):
        loop.train(config, tmp_path / "b", longer, lambda _: None)
    monkeypatch.setattr(loop, "write_state", write)
    loop.train(config, tmp_path / "b", longer, lambda _: None)
    assert_same_run(tmp_path / "a", tmp_path / "b")
    with pytest.raises(ConfigError, match=r"epochs was 4, is 2.*raised, not lowered"):
        loop.train(config, tmp_path / "a", settings, lambda _: None)


def test_rates_of_an_added_stretch_rise_and_fall_with_all_parts():
    parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    groups = [
        {"params": [p], "peak": 1.0, "from": joins}
        for p, joins in zip(parameters, (0.5, 0.0), strict=True)
    ]
    optimiser, train = torch.optim.AdamW(groups), TrainConfig(warmup=0.2)
    stretches = plan_stretches([[0, 10]], 10, 30)
    trunk = []
    for step in range(30):
        progress, again = place_in(stretches, step)
        set_rates(optimiser, train, progress, again=again)
        trunk.append(optimiser.param_groups[0]["lr"])
        assert parameters[0].requires_grad == (step >= 5)
    assert trunk[:5] == [0.0] * 5
    assert max(trunk[:10]) == trunk[7] == pytest.approx(1.0)
    assert max(trunk[10:]) == trunk[14] == pytest.approx(1.0)
    assert trunk[10] < 0.1
    assert trunk[29] < 0.1


def test_a_run_that_was_cut_off_may_be_given_more_passes(tiny_run, tmp_path, monkeypatch):
    config, lines, write = tiny_run(tmp_path), [], loop.write_state

    def write_and_stop(path, step, *args, **parts):
        write(path, step, *args, **parts)
        if step == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "write_state", write_and_stop)
    with pytest.raises(KeyboardInterrupt):
        loop.train(config, tmp_path / "run", OVERRIDES, lambda _: None)
    monkeypatch.setattr(loop, "write_state", write)
    loop.train(config, tmp_path / "run", (*OVERRIDES, "train.epochs=3"), lines.append)
    assert any("half cosine is stretched to step 9" in line for line in lines)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["stretches"] == [[0, 9]]


def test_passes_are_told_as_a_table_and_the_next_command_at_the_end(run, tmp_path):
    lines: list[str] = []
    loop.train(run / "run.toml", tmp_path / "run", OVERRIDES, lines.append)
    table = lines[-5:-2]
    assert table[0].split() == [
        *("pass", "train", "loss", "val", "loss", "train", "AUC", "val", "AUC", "drawn")
    ]
    rows = log_of(tmp_path / "run")
    for number, (line, row) in enumerate(zip(table[1:], rows, strict=True), start=1):
        cells = line.split()
        assert cells[0] == str(number)
        named = ("loss", "val_loss", "train_score", "score", "auc_drawn")
        assert [float(cell) for cell in cells[1:6]] == pytest.approx(
            [float(row[name]) for name in named], abs=1e-4
        )
    assert sum(line.endswith("best") for line in table) == 1
    assert lines[-1] == f"next: mammolens export {tmp_path / 'run'} -o {tmp_path / 'run/package'}"


def test_the_validation_loss_is_that_of_the_kept_weights(run):
    """Computed again from the best weights, by independent means."""
    config = read_run(run / "run.toml", OVERRIDES)
    manifest = load_manifest(config)
    side = build_side(manifest, Split.VALIDATION, config.preprocess, config.data.cache)
    best = json.loads((run / "whole" / "best.json").read_text())
    net = load_network(config, run / "whole" / "best.safetensors")
    chances = torch.softmax(torch.from_numpy(predict_logits(net, side, mirrored=False)), 1)
    smoothing, losses = config.train.smoothing, []
    for chance, record in zip(chances, side.records, strict=True):
        told = -chance[torch.tensor(record.allowed)].sum().log()
        losses.append((1 - smoothing) * told - smoothing * chance.log().mean())
    assert best["val_loss"] == pytest.approx(float(torch.stack(losses).mean()), abs=1e-4)


def test_a_damaged_checkpoint_or_one_of_another_network_is_named(tmp_path):
    path = tmp_path / "state.pt"
    net = torch.nn.Linear(2, 3)
    write_state(path, 1, {"score": 0.5}, net=net)
    with pytest.raises(ConfigError, match=r"state\.pt.*another network.*delete the checkpoint"):
        read_state(path, net=torch.nn.Linear(2, 4))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ConfigError, match=r"state\.pt.*damaged"):
        read_state(path, net=net)


def test_a_full_disk_keeps_the_checkpoint_before_and_says_so(tmp_path):
    path = tmp_path / "state.pt"
    net = torch.nn.Linear(200, 200)
    write_state(path, 1, {"score": 0.5}, net=net)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(StorageError, match=r"state\.pt.*earlier file is kept.*Free some space"):
            write_state(path, 2, {"score": 0.6}, net=net)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["state.pt"]
    assert read_state(path, net=net) == (1, {"score": 0.5})


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        write_state(tmp_path / "file" / "state.pt", 1, {}, net=torch.nn.Linear(2, 2))


def test_rows_of_a_log_stand_once_and_can_be_cut(tmp_path):
    path = tmp_path / "log.csv"
    for epoch, score in ((0, 0.5), (1, 0.6), (2, 0.7), (1, 0.65)):
        add_to_log(path, {"epoch": epoch, "score": score})

    def rows():
        with path.open(newline="") as stream:
            return [(int(r["epoch"]), float(r["score"])) for r in csv.DictReader(stream)]

    assert rows() == [(0, 0.5), (1, 0.65)]
    cut_log(path, 0)
    assert rows() == [(0, 0.5)]
    cut_log(path, -1)
    assert not path.exists()
    cut_log(path, 3)
