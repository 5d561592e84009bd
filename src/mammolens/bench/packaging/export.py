"""Export a finished run as a model package: calibration, graph, operating points, findings, card.

Calibration, thresholds and levels are fixed on the run's validation side, which has no training
patient and no patient whose marked lesions taught the maps. Texts for people say "pass" for
an epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mammolens.bench.auditing.audit import audit_section
from mammolens.bench.packaging.calibrate import (
    Fit,
    calibrate,
    calibrated,
    checked_level,
    finding_level,
    score_cache,
)
from mammolens.bench.packaging.card_figures import fix_operating_points, validation_figures
from mammolens.bench.packaging.card_text import card_words, people_groups
from mammolens.bench.scoring import results_from_probabilities
from mammolens.core import InputKind
from mammolens.data.cache import build_side
from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.splits import split_digest
from mammolens.learn.config import RunConfig
from mammolens.model import (
    CLASSES,
    Calibration,
    ClassPrior,
    Dataset,
    KnownPatients,
    ModelCard,
    ModelPackage,
    Training,
    patient_digests,
    refuse_target,
    save_package,
)
from mammolens.preprocess import RegionConfig

__all__ = ["export_run"]

_PROBES = 10
"""Validation pictures, at least, on which graph and network are compared; enough for rounding."""


def export_run(
    run: Path, package: Path, on_progress: Callable[[str], None] = lambda _: None
) -> ModelPackage:
    """Make a model package from the best weights of a run.

    Everything is computed in memory. Files are written at the end, see
    `mammolens.model.save_package`.

    Parameters
    ----------
    run
        A run folder written by `mammolens.learn.train.train`.
    package
        Folder to write ``model.onnx``, ``card.json``, ``CARD.md`` and ``patients.json`` into.

    Raises
    ------
    ConfigError
        If the folder has no finished pass, its tables or split have changed since, or `package`
        has other files.
    InvalidManifest
        If the validation side cannot be judged by patient, see
        `mammolens.learn.pass_figures.refuse_unjudgeable`.
    ContractMismatch
        If the graph and the network give different outputs.
    StorageError
        If the package cannot be written.
    """
    from mammolens.learn.checkpoint import read_run_folder
    from mammolens.learn.export import trace_graph
    from mammolens.learn.lineage import read_lineage, read_sides, taught_places
    from mammolens.learn.pass_figures import refuse_unjudgeable
    from mammolens.learn.predict import load_network

    refuse_target(package)
    config, summary = read_run_folder(run)
    manifest = read_sides(run, config, summary)
    cache = build_side(manifest, Split.VALIDATION, config.preprocess, config.data.cache)
    refuse_unjudgeable(cache.records, config.preprocess)
    on_progress(f"scoring {len(cache.records)} validation images")
    net = load_network(config, run / "best.safetensors")
    every = max(1, len(cache.records) // _PROBES)
    probes = np.stack([cache.picture(i) for i in range(0, len(cache.records), every)])[:, None]

    def packed(fit: Fit) -> tuple[ModelPackage, bytes]:
        graph, report = trace_graph(
            net, str(package), temperature=fit.temperature, bias=fit.bias, pictures=probes
        )
        on_progress(
            f"graph of {report.size_bytes / 1e6:.1f} MB: half precision changes probabilities by "
            f"{report.rounding.probability:.1g} at most, ONNX Runtime by "
            f"{report.graph.probability:.1g}"
        )
        card = _draft(config, summary, manifest, cache.records, fit, report.sha256)
        return ModelPackage.assemble(card, graph, str(package)), graph

    uncalibrated, _ = packed(Fit())
    logits = score_cache(uncalibrated, cache, range(len(cache.records))).logits
    of_lesions = isinstance(config.preprocess, RegionConfig)
    names = ", ".join(sorted({record.dataset for record in cache.records}))
    shown = "lesions" if of_lesions else "images"
    fixed_on = f"{len(cache.records)} validation {shown} of {names}"
    fit = calibrate(logits, cache.records, fitted_on=fixed_on)
    if of_lesions:
        fit = replace(fit, age=None)  # a marked lesion is judged only by its picture
    model, graph = packed(fit)
    kind = model.card.input_kind
    results = results_from_probabilities(cache.records, calibrated(logits, cache.records, fit))
    on_progress("checking findings")
    judged = model.card.model_copy(
        update={
            "operating_points": fix_operating_points(results, fixed_on=fixed_on, kind=kind),
            "finding_level": checked_level(model, finding_level(model, cache), config),
            "validation": validation_figures(results, kind=kind),
        }
    )
    lineage = read_lineage(run, summary)
    learned = manifest.select(split=Split.TRAIN).records
    gaps = [f"of validation patients, {gap}" for gap in audit_section(results, judged)["gaps"]]
    words = card_words(config, judged, learned, cache.records, (*lineage.cautions, *gaps))
    for line in words.left_out:
        on_progress(line)
    final = ModelCard.model_validate({**vars(judged), **words.fields})
    taught = lineage.taught | patient_digests(r.patient for r in learned) | taught_places(config)
    held_out = patient_digests(r.patient for r in manifest.records) - taught
    written = save_package(package, final, graph, KnownPatients(taught, held_out, lineage.complete))
    on_progress(f"next: mammolens models {package}")
    return written


def _draft(
    config: RunConfig,
    summary: dict[str, Any],
    manifest: Manifest,
    held_out: Sequence[Record],
    fit: Fit,
    sha256: str,
) -> ModelCard:
    """Make a card without the fields that the graph's own scores decide.

    Scoring needs none of them. The finished card is validated whole.
    """
    network = config.network
    normal, benign, malignant = fit.prior
    known: dict[str, Any] = {
        "name": config.name,
        "version": config.version,
        "input_kind": (
            InputKind.LESION if isinstance(config.preprocess, RegionConfig) else InputKind.BREAST
        ),
        "classes": CLASSES,
        "preprocess": config.preprocess,
        "graph_sha256": sha256,
        "architecture": (
            f"{network.backbone}, {network.pooling} pooling, fully connected {network.hidden}, "
            "ReLU, dropout, fully connected 3, softmax; Grad-CAM in the graph"
        ),
        "calibration": Calibration(
            temperature=fit.temperature,
            bias=fit.bias,
            fitted_on="the run's validation images (partial labels)",
            n=len(held_out),
            prior=ClassPrior(normal=normal, benign=benign, malignant=malignant),
            age=fit.age,
        ),
        "training": _training(config, summary, manifest),
    }
    return ModelCard.model_construct(**known)


def _training(config: RunConfig, summary: dict[str, Any], manifest: Manifest) -> Training:
    learned = manifest.select(split=Split.TRAIN).records
    return Training(
        datasets=tuple(
            Dataset(
                name=name,
                images=sum(r.dataset == name for r in learned),
                patients=len({r.patient for r in learned if r.dataset == name}),
                note=config.note_of(name).note,
            )
            for name in sorted({r.dataset for r in learned})
        ),
        split_digest=split_digest(manifest),
        seed=config.train.seed,
        recipe=_recipe(config, summary),
        people=people_groups(learned),
    )


def _recipe(config: RunConfig, summary: dict[str, Any]) -> str:
    """Describe how the weights were trained."""
    network, train, augment = config.network, config.train, config.augment
    clauses = [
        f"the trunk{' and head' if network.start_head else ''} of an earlier run or package "
        f"({_name_of(network.start)})"
        if network.start
        else "ImageNet weights; batch-norm statistics re-estimated on mammograms",
        f"first {network.frozen_stages} parts of the trunk fixed"
        if network.frozen_stages
        else "the whole trunk learned",
        f"partial-label loss with smoothing {train.smoothing:g}",
        f"sources and classes balanced to n^{1 - train.balance:g}",
        f"rotation ±{augment.rotation_deg:g}°, flips, zoom ±{augment.zoom:.0%}, other changes of "
        "shape and tone as the run says",
    ]
    if train.cached_variants:
        clauses.append(f"{train.cached_variants} stored variants of each picture")
    if train.small_share:
        clauses.append(
            f"pictures at {train.small_scale:g} of their size for {train.small_share:.0%}"
        )
    if train.teachers:
        names = " and ".join(_name_of(run) for run in train.teachers)
        if train.cross_fit:
            folders = sorted({run.parent.name for run in train.teachers})
            names = (
                f"{len(train.teachers)} runs of {' and '.join(folders)}, each of which "
                "scored only patients that it has not learned from"
            )
        clauses.append(f"taught by the labels and by {names}, weight {train.teacher_weight:g}")
    if train.map_weight:
        clauses.append(f"maps taught by marked lesions, weight {train.map_weight:g}")
    clauses += [
        f"AdamW, warm-up and cosine over {train.epochs} passes of {train.epoch_images} draws",
        "moving average of weights",
        _mean_of(summary["averaged"])
        if summary.get("averaged")
        else f"pass {summary['best']['epoch'] + 1} validated best and was kept",
        f"excluded machines: {', '.join(_excluded(config)) or 'none'}",
    ]
    text = "; ".join(clauses)
    return f"{text[0].upper()}{text[1:]}."


def _excluded(config: RunConfig) -> list[str]:
    """Give the machines of the tables that the run excludes."""
    there = {record.machine for record in Manifest.read(*config.data.tables).records}
    return sorted(machine for machine in config.data.exclude_machines if machine in there)


def _mean_of(averaged: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for part in averaged:
        share = part.get("share", 1 / len(averaged))
        parts.append(f"{share:.0%} {_name_of(Path(part['run']))} (pass {part['epoch'] + 1})")
    return f"weights are the mean of those of several runs: {', '.join(parts)}"


def _name_of(start: Path) -> str:
    return start.parent.name if start.name in ("best.safetensors", "package") else start.name
