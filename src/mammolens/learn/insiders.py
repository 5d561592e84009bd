"""Runs that have a word in another: none may have learned from a woman whom that one holds out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.splits import split_digest
from mammolens.errors import ConfigError, PatientLeak
from mammolens.learn.checkpoint import read_run_folder
from mammolens.learn.config import RunConfig, load_manifest

__all__ = ["read_sides", "refuse_insider", "refuse_insiders_weights"]


def read_sides(run: Path, config: RunConfig, summary: dict[str, Any]) -> Manifest:
    """Read the tables of a finished run, with the sides on which it was trained.

    Parameters
    ----------
    run
        Its folder, for the error.
    config, summary
        As `read_run_folder` gives them.

    Raises
    ------
    ConfigError
        If tables or split have changed since.
    """
    manifest = load_manifest(config)
    if split_digest(manifest) != summary["split_digest"]:
        raise ConfigError(
            "the run's tables or split have changed since it was trained",
            source=str(run / "run.json"),
            keyword="split_digest",
            remedy="Restore the tables, or train again",
        )
    return manifest


def refuse_insider(
    run: Path, own: Manifest, judged: Manifest, keyword: str | None = None
) -> Sequence[Record]:
    """Give the records that a run has learned from, unless the other one holds out their women.

    Parameters
    ----------
    run
        Its folder, for the error.
    own
        Its tables, every patient on a side.
    judged
        The tables of the run that it has a word in.
    keyword
        The setting that names it there.

    Raises
    ------
    PatientLeak
        It has learned from a patient who is held out.
    """
    sides = {record.patient: record.split for record in judged.records}
    learned = own.select(split=Split.TRAIN).records
    leaked = {r.patient for r in learned if sides.get(r.patient) not in (None, Split.TRAIN)}
    if leaked:
        raise PatientLeak(
            f"it has learned from {len(leaked)} patients whom the other run holds out, the first "
            f"{'/'.join(min(leaked))}",
            source=str(run),
            keyword=keyword,
            remedy="Take a run that was trained with the same split",
        )
    return learned


def refuse_insiders_weights(config: RunConfig, judged: Manifest) -> None:
    """Refuse to go on from the weights of a run that has learned from a woman who is held out.

    Of weights that lie beside no ``run.json``, and of packages, it cannot be known.

    Raises
    ------
    PatientLeak
        It has.
    ConfigError
        If that run's tables or split have changed, so that it cannot be known any more.
    """
    network = config.network
    for keyword, path in (("network.start", network.start), ("network.weights", network.weights)):
        if path is not None and path.is_file() and (path.parent / "run.json").is_file():
            own = read_sides(path.parent, *read_run_folder(path.parent))
            refuse_insider(path.parent, own, judged, keyword)
