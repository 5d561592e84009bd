"""The material of a training run: its tables, pictures, the teachers' answers and its lineage."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammolens.data.cache import PreparedCache, build_side
from mammolens.data.manifest import Manifest, Split
from mammolens.errors import ConfigError
from mammolens.learn.batches import TrainingSet, gather
from mammolens.learn.checkpoint import refuse_other_run
from mammolens.learn.config import RunConfig, choose_records, load_localisation, read_tables
from mammolens.learn.distillation import ask_teachers
from mammolens.learn.learning_rates import plan_stretches
from mammolens.learn.lineage import Lineage, read_lineage, trace_lineage
from mammolens.learn.processes import Processes
from mammolens.learn.side_checks import check_sides

__all__ = ["Material", "plan_run", "prepare_run", "steps_of_pass"]

_Say = Callable[[str], None]


@dataclass(frozen=True)
class Material:
    """The tables of a run with their sides, the pictures of both sides, and the run's lineage."""

    manifest: Manifest
    training: TrainingSet
    held_out: PreparedCache
    lineage: Lineage

    @property
    def summary(self) -> dict[str, Any]:
        """The entries of ``run.json`` about the material."""
        refused = self.training.learned.refused | self.held_out.refused
        return {"refused": refused, "lineage": self.lineage.to_json()}


def prepare_run(config: RunConfig, out: Path, processes: Processes, say: _Say) -> Material:
    """Read the tables and pictures of a run, and report every caution about them.

    Raises
    ------
    ConfigError, InvalidManifest, PatientLeak, BadModelPackage, StorageError
        See `refuse_other_run`, `trace_lineage`, `check_sides` and `ask_teachers`.
    """
    with processes.first_before_others():
        tables = read_tables(config)
        manifest = choose_records(config, tables)
        refuse_other_run(config, manifest, out)
        lineage = _earlier_lineage(out) or trace_lineage(config, manifest)
        learned, held_out = (
            build_side(manifest, side, config.preprocess, config.data.cache)
            for side in (Split.TRAIN, Split.VALIDATION)
        )
        say(f"{len(learned.records)} images to learn from, {len(held_out.records)} held out")
        for caution in (*check_sides(learned, held_out, config.preprocess), *lineage.cautions):
            say(f"caution: {caution}")
        marked = load_localisation(config, tables) if config.train.map_weight > 0 else None
        marked_pictures = (
            build_side(marked, Split.TRAIN, config.preprocess, config.data.cache)
            if marked is not None
            else None
        )
        begins = processes.is_first and not (out / "state.pt").exists()
        taught = ask_teachers(
            config, manifest, learned.records, out, say, refresh=begins, device=processes.device
        )
    return Material(manifest, gather(learned, marked_pictures, config, taught), held_out, lineage)


def steps_of_pass(config: RunConfig) -> int:
    """Give the number of steps in a pass."""
    return math.ceil(config.train.epoch_images / config.train.batch)


def plan_run(config: RunConfig, out: Path, step: int, say: _Say) -> list[list[int]]:
    """Plan the stretches of a run that is at a step (see `plan_stretches`), and report a change.

    Raises
    ------
    ConfigError
        If the earlier plan cannot be read from ``run.json``.
    """
    per_pass = steps_of_pass(config)
    total = per_pass * config.train.epochs
    if not step:
        return plan_stretches([], 0, total)
    path = out / "run.json"
    try:
        summary = json.loads(path.read_text())
        before = summary.get("stretches") or [[0, per_pass * summary["config"]["train"]["epochs"]]]
        planned = plan_stretches(before, step, total)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"the earlier plan of the run cannot be read: {error}",
            source=str(path),
            remedy="Restore the file, or give another folder with --out",
        ) from error
    say(f"resumed at step {step} of {total}")
    if planned != before:
        first = planned[-1][0]
        say(
            f"train.epochs was raised to {config.train.epochs}: "
            + (
                f"rates warm up again and fall along half a cosine over steps {first} to {total}"
                if len(planned) > len(before)
                else f"the rates' half cosine is stretched to step {total}"
            )
        )
    return planned


def _earlier_lineage(out: Path) -> Lineage | None:
    """Give the lineage that a resumed run has recorded: the runs it began from may be deleted."""
    path = out / "run.json"
    if not (out / "state.pt").exists() or not path.exists():
        return None
    summary = json.loads(path.read_text())  # `refuse_other_run` could read it
    return read_lineage(out, summary) if "lineage" in summary else None
