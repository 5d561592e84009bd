"""The run folder: ``run.json``, logs, the best weights, and the checkpoint to resume from.

Every file is written whole (`mammolens.files`): after a full disk or a kill the earlier file is
still there.
"""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from mammolens import DISCLAIMER
from mammolens.data.manifest import Manifest
from mammolens.data.splits import split_digest
from mammolens.errors import ConfigError
from mammolens.files import storage, write_whole
from mammolens.learn.config import RunConfig

__all__ = [
    "add_to_log",
    "cut_log",
    "place_file",
    "read_run_folder",
    "read_state",
    "refuse_other_run",
    "write_best",
    "write_run",
    "write_state",
]

_FREE = (
    "name",
    "version",
    "card",
    "notes",
    "data.manifests",
    "data.table",
    "data.localisation",
    "data.persons",
    "data.cache",
    "data.maps_gb",
    "train.patience",
    "train.checkpoint_steps",
    "train.threads",
    "train.tensorboard",
)
"""Settings that may change when a run is resumed. Changes of the tables show in the digests."""

_KEPT = (
    "The earlier file is kept. Free some space, then give the same command again: the run "
    "continues from its last checkpoint"
)

_OPTIONAL = ("tally", "places")
"""Parts that some checkpoints do not have: older versions kept no tally, and runs on kept maps have
no layer for the places of lesions."""


def refuse_other_run(config: RunConfig, manifest: Manifest, out: Path) -> None:
    """Refuse a folder that has a checkpoint of another run.

    Raises
    ------
    ConfigError
        If a setting, the tables or the split differ; the message names it.
    """
    if not (out / "state.pt").exists():
        return
    path = out / "run.json"
    try:
        summary = json.loads(path.read_text())
        earlier = RunConfig.model_validate(summary["config"])
        digests = {key: summary[key] for key in ("manifest_digest", "split_digest")}
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"the folder has a checkpoint, but its run.json cannot be read: {error}",
            source=str(path),
            remedy="Give another folder with --out, or delete state.pt to begin again",
        ) from error
    was, now = _flat(earlier), _flat(config)
    fixed = [key for key in now if not {key, key.partition(".")[0]}.intersection(_FREE)]
    changed = [key for key in fixed if now[key] != was.get(key)]
    if "train.epochs" in changed and now["train.epochs"] > was["train.epochs"]:
        changed.remove("train.epochs")  # see `learning_rates.plan_stretches`
    if changed:
        raise ConfigError(
            "the folder has a run with other settings: "
            + "; ".join(f"{key} was {was.get(key)}, is {now[key]}" for key in changed[:3]),
            source=str(path),
            keyword=changed[0],
            remedy="Restore the settings, or give another folder with --out; train.epochs may be "
            "raised, not lowered",
        )
    found = {"manifest_digest": manifest.digest, "split_digest": split_digest(manifest)}
    for key, words in (("manifest_digest", "tables"), ("split_digest", "split")):
        if digests[key] != found[key]:
            raise ConfigError(
                f"the run's {words} have changed since the checkpoint was written",
                source=str(path),
                keyword=key,
                remedy="Restore the tables, or give another folder with --out",
            )


def write_run(config: RunConfig, manifest: Manifest, out: Path, **further: Any) -> None:
    """Write ``run.json``: the resolved configuration, digests and versions.

    Call `refuse_other_run` first, so that another run is not overwritten.

    Parameters
    ----------
    further
        Further entries: ``refused`` (path → reason), ``lineage`` (see `lineage.Lineage`),
        ``stretches`` (see `learning_rates.plan_stretches`), ``averaged`` (the runs whose weights
        were averaged).

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """
    summary = {
        "disclaimer": DISCLAIMER,
        "config": config.model_dump(mode="json"),
        "manifest_digest": manifest.digest,
        "split_digest": split_digest(manifest),
        "versions": {name: _version(name) for name in ("mammolens", "torch", "timm", "numpy")},
        "commit": _commit(),
        **further,
    }
    place_file(out / "run.json", json.dumps(summary, indent=1).encode())


def read_run_folder(run: Path) -> tuple[RunConfig, dict[str, Any]]:
    """Read the configuration of a run, and its ``run.json`` with ``best`` added.

    Raises
    ------
    ConfigError
        If the folder has no finished pass.
    """
    try:
        summary = json.loads((run / "run.json").read_text())
        summary["best"] = json.loads((run / "best.json").read_text())
        return RunConfig.model_validate(summary["config"]), summary
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"the folder has no finished pass: {error}",
            source=str(run),
            remedy="Train first: mammolens train RUN.toml --out DIR",
        ) from error


def add_to_log(path: Path, row: Mapping[str, Any]) -> None:
    """Add a row to a CSV file whose first column counts up; remove rows from its number on.

    So a pass that is repeated, after a kill between log and checkpoint, is in the file once.
    """
    first, *_ = row
    rows = [*_rows_below(path, first, int(row[first])), row]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(row), restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    place_file(path, text.getvalue().encode())


def cut_log(path: Path, count: int) -> None:
    """Drop the rows of a CSV file whose first column is more than `count`."""
    if not path.exists():
        return
    with path.open(newline="") as stream:
        first, *_ = next(csv.reader(stream), [""])
    kept = _rows_below(path, first, count + 1)
    if kept:
        add_to_log(path, kept[-1])
    else:
        path.unlink()


def write_best(net: torch.nn.Module, best: Mapping[str, Any], out: Path) -> None:
    """Write ``best.safetensors`` and ``best.json``.

    Raises
    ------
    StorageError
        If the folder is full or cannot be written; the earlier weights stay.
    """
    from safetensors.torch import save

    tensors = {key: value.cpu().contiguous() for key, value in net.state_dict().items()}
    place_file(out / "best.safetensors", save(tensors))
    place_file(out / "best.json", json.dumps(dict(best), indent=1).encode())


def write_state(path: Path, step: int, best: Mapping[str, Any], **parts: Any) -> None:
    """Write a checkpoint whole; `parts` have a ``state_dict``.

    Raises
    ------
    StorageError
        If the folder is full or cannot be written; the earlier checkpoint stays.
    """
    state = {name: part.state_dict() for name, part in parts.items()}
    data = io.BytesIO()
    torch.save({"step": step, "best": dict(best), **state}, data)
    place_file(path, data.getvalue())


def read_state(path: Path, **parts: Any) -> tuple[int, dict[str, Any]]:
    """Load a checkpoint into `parts`; give the step and the best pass so far.

    Raises
    ------
    ConfigError
        If it is damaged, or of another network.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        step, best = int(state["step"]), dict(state["best"])
        for name, part in parts.items():
            part.load_state_dict(state.get(name, {}) if name in _OPTIONAL else state[name])
    except Exception as error:  # torch raises errors without a common base class
        words = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"the checkpoint is damaged or of another network: {words}",
            source=str(path),
            keyword="network",
            remedy="Give another folder with --out, or delete the checkpoint to begin again",
        ) from error
    return step, best


def place_file(path: Path, data: bytes) -> None:
    """Write a file of the run folder whole.

    Raises
    ------
    StorageError
        If the folder is full or cannot be written; the earlier file stays.
    """
    with storage(path, keyword="--out", remedy=_KEPT):
        write_whole(path, data)


def _rows_below(path: Path, first: str, bound: int) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as stream:
        return [row for row in csv.DictReader(stream) if int(row[first]) < bound]


def _flat(config: RunConfig) -> dict[str, Any]:
    dumped = config.model_dump(mode="json")
    sections = {key: value for key, value in dumped.items() if isinstance(value, dict)}
    inner = {f"{s}.{key}": value for s, found in sections.items() for key, value in found.items()}
    return {key: value for key, value in dumped.items() if key not in sections} | inner


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Give the commit of the running source tree, if it is one; ``-dirty`` with changed files."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return None
    command = ["git", "--no-optional-locks", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        answer = subprocess.run(
            command, cwd=root, capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
