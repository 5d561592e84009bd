"""The lineage of a run: the patients that its first weights and its teachers have learned from.

No run that contributes may have learned from a patient that this run holds out. The patients are
recorded as digests (`mammolens.model.KnownPatients`) in ``run.json``, and later in the package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.splits import split_digest
from mammolens.errors import ConfigError, PatientLeak
from mammolens.learn.checkpoint import read_run_folder
from mammolens.learn.config import RunConfig, load_localisation, load_manifest
from mammolens.model import patient_digests, read_patients

__all__ = [
    "Lineage",
    "join_lineages",
    "of_run",
    "read_lineage",
    "read_sides",
    "refuse_insider",
    "taught_places",
    "trace_lineage",
]


@dataclass(frozen=True)
class Lineage:
    """The patients that the first weights and the teachers of a run have learned from.

    `taught` are digests of these patients, `complete` says whether they are all, and `cautions`
    must be shown with every result.
    """

    taught: frozenset[str] = frozenset()
    complete: bool = True
    cautions: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Give the entry of ``run.json``."""
        return {
            "complete": self.complete,
            "cautions": list(self.cautions),
            "taught": sorted(self.taught),
        }


def read_sides(run: Path, config: RunConfig, summary: dict[str, Any]) -> Manifest:
    """Read the tables of a finished run, with the sides on which it was trained.

    Parameters
    ----------
    run
        Its folder, for the error.
    config, summary
        The results of `read_run_folder`.

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
    """Give the training records of a run; refuse it if the other run holds out one of the patients.

    Parameters
    ----------
    run
        Its folder, for the error.
    own
        Its tables; every patient has a side.
    judged
        The tables of the run that uses it.
    keyword
        The setting of that run that names it.

    Raises
    ------
    PatientLeak
        If it has learned from a patient that is held out.
    """
    sides = {record.patient: record.split for record in judged.records}
    learned = own.select(split=Split.TRAIN).records
    leaked = {r.patient for r in learned if sides.get(r.patient) not in (None, Split.TRAIN)}
    if leaked:
        raise PatientLeak(
            f"it has learned from {len(leaked)} patients that the other run holds out, the first "
            f"{'/'.join(min(leaked))}",
            source=str(run),
            keyword=keyword,
            remedy="Use a run that was trained with the same split",
        )
    return learned


def trace_lineage(config: RunConfig, judged: Manifest) -> Lineage:
    """Find the patients that the first weights of a run, and its teachers, have learned from.

    A run that has learned from a patient that is held out is refused. A package is not refused,
    because nothing else may be available; a caution states what is known about it.

    Parameters
    ----------
    judged
        The run's tables; every patient has a side.

    Raises
    ------
    PatientLeak
        If a run that contributed to the weights has learned from a patient that is held out.
    ConfigError
        If that run's tables or split have changed, so that its patients are unknown.
    BadModelPackage
        If the package does not exist.
    """
    network = config.network
    named = [
        ("network.start", _run_of(network.start)),
        ("network.weights", _run_of(network.weights)),
    ]
    named += [("train.teachers", teacher) for teacher in config.train.teachers]
    parts = [of_run(run, judged, keyword) for keyword, run in named if run is not None]
    if network.start is not None and network.starts_from_package:
        parts.append(_of_package(str(network.start)))
    elif network.start is not None and _run_of(network.start) is None:
        parts.append(_unknown(f"{network.start}, where the trunk comes from, is in no run folder"))
    return join_lineages(parts, judged)


def of_run(run: Path, judged: Manifest, keyword: str | None = None) -> Lineage:
    """Give the lineage of a finished run, including its own training patients.

    Raises
    ------
    PatientLeak, ConfigError
        As `refuse_insider` and `read_sides`.
    """
    config, summary = read_run_folder(run)
    own = read_sides(run, config, summary)
    learned = patient_digests(r.patient for r in refuse_insider(run, own, judged, keyword))
    before = read_lineage(run, summary)
    return replace(before, taught=before.taught | learned | taught_places(config))


def read_lineage(run: Path, summary: Mapping[str, Any]) -> Lineage:
    """Give the lineage in the ``run.json`` of a run folder; older versions did not record it."""
    recorded = summary.get("lineage")
    if recorded is not None:
        return Lineage(
            frozenset(recorded["taught"]), bool(recorded["complete"]), tuple(recorded["cautions"])
        )
    config = summary["config"]
    began = config["network"].get("start") or config["train"].get("teachers")
    return _unknown(f"{run} began from weights of unknown origin") if began else Lineage()


def taught_places(config: RunConfig) -> frozenset[str]:
    """Give the digests of patients whose marked lesions teach the maps of a run."""
    marked = load_localisation(config) if config.train.map_weight > 0 else None
    records = marked.records if marked else ()
    return patient_digests(r.patient for r in records if r.split is Split.TRAIN)


def _run_of(weights: Path | None) -> Path | None:
    """Give the run folder of a file of weights; ``None`` if it is not in one."""
    found = weights is not None and weights.is_file() and (weights.parent / "run.json").is_file()
    return weights.parent if weights is not None and found else None


def _of_package(name: str) -> Lineage:
    known = read_patients(name)
    if known is None:
        return _unknown(f"{name}, where the trunk comes from, does not list its patients")
    if known.complete:
        return Lineage(known.taught)
    why = f"{name}, where the trunk comes from, began from a model of unknown patients"
    return replace(_unknown(why), taught=known.taught)


def _unknown(why: str) -> Lineage:
    return Lineage(
        complete=False,
        cautions=(
            f"{why}: it may have learned from patients that are held out here, and figures may be "
            "too good. Judge the model on patients of another origin",
        ),
    )


def join_lineages(parts: Sequence[Lineage], judged: Manifest) -> Lineage:
    """Join lineages, with a caution if they include patients that are held out."""
    taught = frozenset().union(*(part.taught for part in parts))
    held_out = patient_digests(r.patient for r in judged.records if r.split is not Split.TRAIN)
    cautions = dict.fromkeys(caution for part in parts for caution in part.cautions)
    if both := taught & held_out:
        overlap = (
            f"the first weights learned from {len(both)} of the {len(held_out)} patients that are "
            "held out here: figures are too good. Judge the model on other patients"
        )
        cautions = {overlap: None, **cautions}
    return Lineage(taught, all(part.complete for part in parts), tuple(cautions))
