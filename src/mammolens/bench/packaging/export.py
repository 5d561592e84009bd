"""A finished run → a model package: calibration, graph, operating points, findings, card.

Everything that is fixed here is fixed on the run's validation side; training patients and the
localisation tables' patients are kept apart from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mammolens.bench.packaging.calibrate import Fit, calibrate, calibrated
from mammolens.bench.packaging.card import fix_operating_points, validation_figures
from mammolens.bench.packaging.findings import checked_level, finding_level, score_cache
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
    Estimate,
    FindingLevel,
    ModelCard,
    ModelPackage,
    OperatingPoint,
    OperatingPoints,
    Training,
    ValidationFigure,
    save_package,
)
from mammolens.preprocess import RegionConfig

__all__ = ["export_run"]

_PROBES = 10


def export_run(
    run: Path, package: Path, on_progress: Callable[[str], None] = lambda _: None
) -> ModelPackage:
    """Make a model package of the best weights of a run.

    Parameters
    ----------
    run
        A run folder written by `mammolens.learn.train.train`.
    package
        Folder to write ``model.onnx``, ``card.json`` and ``CARD.md`` into.

    Raises
    ------
    ConfigError
        If the folder holds no finished pass, or its tables or split have changed since.
    ContractMismatch
        If the graph does not say what the network says.
    """
    from mammolens.learn.checkpoint import read_run_folder
    from mammolens.learn.export import export_onnx
    from mammolens.learn.insiders import read_sides
    from mammolens.learn.train import load_network

    config, summary = read_run_folder(run)
    manifest = read_sides(run, config, summary)
    cache = build_side(manifest, Split.VALIDATION, config.preprocess, config.data.cache)
    on_progress(f"scoring {len(cache.records)} validation images")
    net = load_network(config, run / "best.safetensors")
    every = max(1, len(cache.records) // _PROBES)
    probes = np.stack([cache.picture(i) for i in range(0, len(cache.records), every)])[:, None]
    graph = package / "model.onnx"

    def packed(fit: Fit) -> tuple[ModelCard, ModelPackage]:
        report = export_onnx(
            net, graph, temperature=fit.temperature, bias=fit.bias, pictures=probes
        )
        on_progress(f"{report.size_bytes / 1e6:.1f} MB, {report.rounding}, {report.graph}")
        card = _card(config, summary, manifest, cache.records, fit, report.sha256)
        return card, save_package(package, card, graph.read_bytes())

    _, uncalibrated = packed(Fit())
    logits = score_cache(uncalibrated, cache, range(len(cache.records))).logits
    shown = "lesions" if isinstance(config.preprocess, RegionConfig) else "images"
    fixed_on = f"{len(cache.records)} validation {shown} of {_names(cache.records)}"
    fit = calibrate(logits, cache.records, fitted_on=fixed_on)
    if isinstance(config.preprocess, RegionConfig):
        fit = replace(fit, age=None)  # a mark is judged by what it shows
    draft, model = packed(fit)
    kind = draft.input_kind
    results = results_from_probabilities(cache.records, calibrated(logits, cache.records, fit))
    level = finding_level(model, cache)
    on_progress(f"checking findings above {level:.4g}")
    final = draft.model_copy(
        update={
            "operating_points": fix_operating_points(results, fixed_on=fixed_on, kind=kind),
            "finding_level": checked_level(model, level, config),
            "validation": validation_figures(results, kind=kind),
        }
    )
    return save_package(package, final, graph.read_bytes())


def _card(
    config: RunConfig,
    summary: dict[str, Any],
    manifest: Manifest,
    held_out: Sequence[Record],
    fit: Fit,
    sha256: str,
) -> ModelCard:
    """The card with all that is known before the graph has been judged."""
    of_lesions = isinstance(config.preprocess, RegionConfig)
    nothing = Estimate(value=0.0, low=0.0, high=1.0)
    point = OperatingPoint(
        threshold=0.5,
        sensitivity=nothing,
        specificity=nothing,
        n=2,
        n_positive=1,
        unit="lesion" if of_lesions else "exam",
    )
    network = config.network
    normal, benign, malignant = fit.prior
    return ModelCard(
        name=config.name,
        version=config.version,
        input_kind=InputKind.LESION if of_lesions else InputKind.BREAST,
        classes=CLASSES,
        preprocess=config.preprocess,
        graph_sha256=sha256,
        architecture=(
            f"{network.backbone}, {network.pooling} pooling, fully connected {network.hidden}, "
            "ReLU, dropout, fully connected 3, softmax; Grad-CAM in the graph"
        ),
        calibration=Calibration(
            temperature=fit.temperature,
            bias=fit.bias,
            fitted_on="the run's validation images (partial labels)",
            n=len(held_out),
            prior=ClassPrior(normal=normal, benign=benign, malignant=malignant),
            age=fit.age,
        ),
        operating_points=OperatingPoints(low=point, high=point, fixed_on="nothing yet"),
        finding_level=FindingLevel(level=1.0, method="nothing yet"),
        training=_training(config, summary, manifest),
        validation=(
            ValidationFigure(
                dataset="none yet", task="malignancy", unit="image", auc=None, n=0, n_positive=0
            ),
        ),
        **_words(config),
    )


def _training(config: RunConfig, summary: dict[str, Any], manifest: Manifest) -> Training:
    learned = manifest.select(split=Split.TRAIN).records
    return Training(
        datasets=tuple(
            Dataset(
                name=name,
                images=sum(r.dataset == name for r in learned),
                patients=len({r.patient for r in learned if r.dataset == name}),
                note=config.notes.get(name, ""),
            )
            for name in sorted({r.dataset for r in learned})
        ),
        split_digest=split_digest(manifest),
        seed=config.train.seed,
        recipe=_recipe(config, summary),
    )


def _recipe(config: RunConfig, summary: dict[str, Any]) -> str:
    """How the weights came about, in words."""
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
                f"{len(train.teachers)} runs of {' and '.join(folders)}, each of whom speaks only "
                "of women from whom it has not learned"
            )
        clauses.append(f"taught beside the labels by {names}, weight {train.teacher_weight:g}")
    if train.map_weight:
        clauses.append(f"maps taught by marked lesions, weight {train.map_weight:g}")
    clauses += [
        f"AdamW, warm-up and cosine over {train.epochs} passes of {train.epoch_images} draws",
        "moving average of weights",
        _mean_of(summary["averaged"])
        if summary.get("averaged")
        else f"pass {summary['best']['epoch'] + 1} validated best and was kept",
        f"excluded machines: {', '.join(config.data.exclude_machines) or 'none'}",
    ]
    text = "; ".join(clauses)
    return f"{text[0].upper()}{text[1:]}."


def _mean_of(averaged: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for part in averaged:
        share = part.get("share", 1 / len(averaged))
        parts.append(f"{share:.0%} {_name_of(Path(part['run']))} (pass {part['epoch'] + 1})")
    return f"weights are the mean of those of several runs: {', '.join(parts)}"


def _name_of(start: Path) -> str:
    return start.parent.name if start.name in ("best.safetensors", "package") else start.name


def _words(config: RunConfig) -> dict[str, Any]:
    return {
        "intended_use": config.card.intended_use,
        "weaknesses": config.card.weaknesses,
        "tumour_vouched": config.card.tumour_vouched,
        "licence": config.card.licence,
        "attribution": config.card.attribution,
    }


def _names(records: Sequence[Record]) -> str:
    return ", ".join(sorted({record.dataset for record in records}))
