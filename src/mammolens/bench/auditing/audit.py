"""The audit: is the model as good for some patients as for others?

Every data set is audited separately, because mixing sources would turn any difference between them
into a gap; the sources are then compared with each other. A figure is given if at least ten
patients have each label that it needs; otherwise there are only the counts and the reason.

A gap is a group's figure minus that of the rest on its axis. Its interval resamples patients, its
p-value exchanges group names between and within patients (`metrics.permutation_tests`), and Holm's
correction covers every test of the audit. If no gap is found, there may still be one: look at the
width of the intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from mammolens.bench.auditing.groups import (
    GROUP_ORDER,
    Axis,
    Grouped,
    axes_between,
    axes_within,
    group_units,
)
from mammolens.bench.units import ImageResult, Resample, Sample, resampled_json
from mammolens.core import InputKind
from mammolens.metrics import (
    GapTest,
    Statistic,
    auc_statistic,
    binary_statistic,
    brier_statistic,
    gap_statistic,
    holm,
    permutation_tests,
)
from mammolens.metrics.bootstrap import FEW
from mammolens.model import ModelCard
from mammolens.wording import estimate

__all__ = ["LEVEL", "TESTED", "Rows", "audit_section", "rows_of", "statistics_of"]

LEVEL: Final = 0.05
TESTED: Final = ("auc", "sensitivity_high", "specificity_high")
"""The figures of which gaps are tested."""

_NULL = (
    "given the labels, scores do not depend on the group: names exchanged between patients of one "
    "group and the same labels, and within patients of several"
)
_WORDS = {
    "auc": "AUC",
    "sensitivity_high": "sensitivity at the high threshold",
    "specificity_high": "specificity at the high threshold",
}
_ONLY_POSITIVES = ("sensitivity_high", "sensitivity_low")
_ONLY_NEGATIVES = ("specificity_high", "specificity_low")
_Bool = npt.NDArray[np.bool_]
_Exchange = Callable[..., dict[str, GapTest]]
"""`permutation_tests` with its number of draws and seed."""


@dataclass(frozen=True)
class Rows(Sample):
    """Labelled, scored units with the names of their groups (n,)."""

    names: tuple[str, ...]

    def where(self, chosen: npt.ArrayLike) -> Rows:
        """The rows for which `chosen`, bool (n,), holds."""
        kept = tuple(self.names[row] for row in np.flatnonzero(chosen))
        return replace(cast(Rows, super().where(chosen)), names=kept)

    def in_group(self, name: str) -> _Bool:
        """Which rows are in a group (n,)."""
        return np.array([one == name for one in self.names], bool)

    def n_patients(self, positive: bool) -> int:
        """The number of patients that have a unit with this label."""
        rows = np.flatnonzero(self.labels == positive).tolist()
        return len({self.patients[row] for row in rows})


def audit_section(
    results: Sequence[ImageResult],
    card: ModelCard | None,
    *,
    draws: int = 2000,
    permutations: int = 10_000,
    seed: int = 0,
) -> dict[str, Any]:
    """Audit the malignancy scores of images; ready for JSON.

    Parameters
    ----------
    card
        The model's card, for its thresholds. Without a card, only figures without a threshold are
        given.
    draws, permutations
        Resamples for each interval, and at most so many exchanges for each p-value.
    seed
        The seed of both.

    Returns
    -------
    ``datasets`` → data set → axis, and ``between`` → axis (with more than one data set), each
    with ``unit``, ``note``, ``n_unknown`` and ``groups``. A group has its counts; ``auc``,
    ``observed_over_expected`` (malignant units over the sum of P(malignant)) and ``brier``, with
    intervals; ``high`` and ``low`` with ``sensitivity`` and ``specificity`` there; ``gaps``
    against the rest (if an axis has two groups, of the first only); and a ``note`` if something is
    missing. ``gaps`` lists in words the gaps that hold after correction, ``tests`` describes the
    tests.
    """
    sources = sorted({one.record.dataset for one in results})
    unit = "image" if card and card.input_kind is InputKind.LESION else None
    stated = card.operating_points if card else None
    points = {"high": stated.high.threshold, "low": stated.low.threshold} if stated else {}
    tests: list[tuple[str, dict[str, Any]]] = []
    resample = partial(resampled_json, draws=draws, seed=seed)
    exchange = partial(permutation_tests, draws=permutations, seed=seed)

    def judged(members: Sequence[ImageResult], axis: Axis, where: str) -> dict[str, Any]:
        grouped = group_units(members, axis, unit)
        found, own = _judge(rows_of(grouped), points, where, resample, exchange)
        tests.extend(own)
        return {
            "unit": unit or axis.unit,
            "note": axis.note,
            "n_unknown": grouped.n_unknown,
            "groups": found,
        }

    datasets = {}
    for source in sources:
        members = [one for one in results if one.record.dataset == source]
        datasets[source] = {
            axis.name: judged(members, axis, f"{source}, {axis.name}")
            for axis in axes_within(members)
        }
    between = {
        axis.name: judged(results, axis, f"all, {axis.name}")
        for axis in (axes_between() if len(sources) > 1 else ())
    }
    return {
        "few": FEW,
        "thresholds": points,
        "tests": {
            "n": len(tests),
            "level": LEVEL,
            "correction": "Holm, over every test of this audit",
            "null": _NULL,
            "permutations": permutations,
        },
        "gaps": _corrected(tests),
        "datasets": datasets,
        "between": between,
    }


def rows_of(grouped: Grouped) -> Rows:
    """Give the units as arrays."""
    return Rows(**vars(Sample.of(grouped.units, "malignancy")), names=grouped.names)


def statistics_of(rows: Rows, thresholds: Mapping[str, float]) -> dict[str, Statistic]:
    """Give the figures of a group as functions of row weights.

    Parameters
    ----------
    thresholds
        On P(malignant), by name; ``sensitivity_NAME`` and ``specificity_NAME`` are their figures.
    """
    labels, scores = rows.labels, rows.scores
    found = {
        "auc": auc_statistic(labels, scores),
        "observed_over_expected": lambda weights: (
            (weights @ labels.astype(np.float64)) / np.maximum(weights @ scores, 1e-12)
        ),
        "brier": brier_statistic(labels, scores),
    }
    for name, threshold in thresholds.items():
        called = scores >= threshold
        found[f"sensitivity_{name}"] = binary_statistic("recall", labels, called)
        found[f"specificity_{name}"] = binary_statistic("specificity", labels, called)
    return found


def _judge(
    rows: Rows,
    points: Mapping[str, float],
    where: str,
    resample: Resample,
    exchange: _Exchange,
) -> tuple[list[dict[str, Any]], list[tuple[str, dict[str, Any]]]]:
    """Give the groups of one axis, and the tests of their gaps, each with its description."""
    names = sorted(set(rows.names), key=lambda name: (GROUP_ORDER.get(name, -1), name))
    found, tests = [], []
    for number, name in enumerate(names):
        member = rows.in_group(name)
        group = {"group": name, **_figures(rows.where(member), points, resample)}
        if len(names) > 1 and not (len(names) == 2 and number == 1):
            group["gaps"] = _gaps(rows, name, points, resample, exchange)
            tests += [
                (f"{where} {name}: {_describe_gap(measure, group, gap)}", gap)
                for measure, gap in group["gaps"].items()
            ]
        found.append(group)
    return found, tests


def _figures(rows: Rows, points: Mapping[str, float], resample: Resample) -> dict[str, Any]:
    ill, well = rows.n_patients(True), rows.n_patients(False)
    found: dict[str, Any] = {
        "n": len(rows.names),
        "n_positive": int(np.count_nonzero(rows.labels)),
        "n_patients": len(set(rows.patients)),
        "n_patients_positive": ill,
        "n_patients_negative": well,
    }
    sound = _sound(rows)
    wanted = {name: one for name, one in statistics_of(rows, points).items() if name in sound}
    figure = resample(wanted, rows.labels, rows.patients)
    note = f"too few: {ill} patients with a positive, {well} with a negative; {FEW} are needed"
    return {
        **found,
        "auc": figure.get("auc"),
        **{
            name: {kind: figure.get(f"{kind}_{name}") for kind in ("sensitivity", "specificity")}
            for name in points
        },
        "observed_over_expected": figure.get("observed_over_expected"),
        "brier": figure.get("brier"),
        **({"note": note} if min(ill, well) < FEW else {}),
    }


def _sound(rows: Rows) -> set[str]:
    """Give the names of the figures for which there are enough patients."""
    ill, well = rows.n_patients(True) >= FEW, rows.n_patients(False) >= FEW
    both = ("auc", "observed_over_expected", "brier")
    return {
        *(_ONLY_POSITIVES if ill else ()),
        *(_ONLY_NEGATIVES if well else ()),
        *(both if ill and well else ()),
    }


def _gaps(
    rows: Rows, name: str, points: Mapping[str, float], resample: Resample, exchange: _Exchange
) -> dict[str, dict[str, Any]]:
    member = rows.in_group(name)
    sound = _sound(rows.where(member)) & _sound(rows.where(~member))
    tested = sound.intersection(TESTED)
    statistics = {name: one for name, one in statistics_of(rows, points).items() if name in tested}
    gaps = {measure: gap_statistic(one, member) for measure, one in statistics.items()}
    figures = resample(gaps, rows.labels, rows.patients)
    defined = {measure: one for measure, one in figures.items() if one}
    tested_of = {measure: statistics[measure] for measure in defined}
    tests = exchange(tested_of, rows.labels, rows.names, name, rows.patients)
    return {
        measure: {**figure, "p_value": tests[measure].p_value}
        for measure, figure in defined.items()
    }


def _describe_gap(measure: str, group: Mapping[str, Any], gap: Mapping[str, Any]) -> str:
    figure = group["auc"] if measure == "auc" else group["high"][measure.removesuffix("_high")]
    own, apart = figure["value"], gap["value"]
    difference = estimate(apart, gap["low"], gap["high"], 2, signed=True)
    return f"{_WORDS[measure]} {own:.2f} against {own - apart:.2f}, difference {difference}"


def _corrected(tests: Sequence[tuple[str, dict[str, Any]]]) -> list[str]:
    """Add corrected p-values to the tests; describe the gaps that hold, the clearest first."""
    if not tests:
        return []
    corrected = holm([gap["p_value"] for _, gap in tests]).tolist()
    held = []
    for (words, gap), p_value in zip(tests, corrected, strict=True):
        gap["p_corrected"] = p_value
        if p_value <= LEVEL:
            held.append((p_value, f"{words}, corrected p {p_value:.2g}"))
    return [words for _, words in sorted(held)]
