"""How well findings hit marked lesions: hits, pointing game, energy, FROC; ready for JSON.

Only data sets that mark lesions are used. An image with marked lesions counts for hits and false
marks. An image that is known to have no lesion counts for false marks only. Other images give no
information and are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from mammolens.bench.map_readings import (
    RULES,
    TARGETS,
    LesionReading,
    MapReading,
    marked_image,
    wanted_lesions,
)
from mammolens.bench.units import ImageResult, interval_json
from mammolens.data.manifest import Record
from mammolens.metrics import (
    FrocCurve,
    Interval,
    MarkedImage,
    Statistic,
    froc,
    patient_bootstrap,
    sensitivity_at_false_marks_statistic,
)
from mammolens.metrics.bootstrap import FEW, mean_statistic

__all__ = ["figure_json", "localisation_figures", "localisation_section"]

FALSE_MARKS: Final = (0.25, 0.5, 1.0, 2.0)
"""False marks per image at which the FROC curve is read."""

_MOST_POINTS = 200

Read = tuple[Record, MapReading]
Counted = list[tuple[Record, MapReading, tuple[LesionReading, ...]]]  # with the wanted lesions
Bounded = Callable[[Statistic, Sequence[str]], dict[str, Any]]  # statistic, patient of each row


def localisation_section(
    results: Sequence[ImageResult], *, draws: int = 2000, seed: int = 0
) -> dict[str, Any] | None:
    """Measure how well a model's findings and maps hit the lesions that a table marks.

    Parameters
    ----------
    results
        Scored images; images without `ImageResult.marks` are only counted.

    Returns
    -------
    ``None`` if no lesion is marked; otherwise the figures of `localisation_figures` for each of
    `TARGETS` that has lesions, and the number of images with marked lesions but without a map.
    """
    marking = {one.record.dataset for one in results if _is_marked(one.record)}
    here = [one for one in results if one.record.dataset in marking]
    read = [(one.record, one.marks) for one in here if one.marks is not None]
    found = localisation_figures(read, draws=draws, seed=seed)
    if not found:
        return None
    return {
        "datasets": sorted(marking),
        "rules": RULES,
        "n_marked_without_map": sum(one.marks is None and _is_marked(one.record) for one in here),
        **found,
    }


def localisation_figures(
    read: Sequence[Read], *, draws: int = 2000, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Give ``{target: {"n_lesions", "findings", "pointing_game", "froc", …}}``, ready for JSON.

    Parameters
    ----------
    read
        Records and the readings of their maps; scores of findings are multiples of the level from
        which a finding counts.
    """

    def bounded(statistic: Statistic, who: Sequence[str]) -> dict[str, Any]:
        rows = np.ones(len(who), bool)
        return figure_json(patient_bootstrap(statistic, rows, who, draws=draws, seed=seed))

    by_target = {target: _counted(read, target) for target in TARGETS}
    return {
        target: _target_figures(counted, target, bounded)
        for target, counted in by_target.items()
        if any(wanted for _, _, wanted in counted)
    }


def figure_json(interval: Interval) -> dict[str, Any]:
    """Give a figure over lesions or images with its interval and numbers, ready for JSON."""
    notes = [f"few: {interval.n}"] if interval.n < FEW else []
    notes += [note for note in interval.notes if not note.startswith("few ")]
    found = {**interval_json(interval), "n": interval.n, "n_patients": interval.n_groups}
    return {**found, "note": "; ".join(notes)} if notes else found


def _is_marked(record: Record) -> bool:
    return bool(record.lesions) or record.lesion_centre_px is not None


def _counted(read: Sequence[Read], target: str) -> Counted:
    found = ((record, one, wanted_lesions(record, one, target)) for record, one in read)
    return [(record, one, wanted) for record, one, wanted in found if wanted is not None]


def _target_figures(counted: Counted, target: str, bounded: Bounded) -> dict[str, Any]:
    aims = [(r.patient_name, one.aims[target]) for r, one, wanted in counted if target in one.aims]
    found: dict[str, Any] = {
        "n_images_with_lesions": sum(bool(wanted) for _, _, wanted in counted),
        "n_images_without": sum(not wanted for _, _, wanted in counted),
        "n_lesions": sum(len(wanted) for _, _, wanted in counted),
        "n_patients": len({record.patient for record, _, _ in counted}),
        "findings": {rule: _at_level(counted, target, rule, bounded) for rule in RULES},
        "overlap": _overlap(counted, bounded),
    }
    if aims:
        who = [name for name, _ in aims]
        chance = float(np.mean([aim.share for _, aim in aims]))
        for name, values in (
            ("pointing_game", [float(aim.points) for _, aim in aims]),
            ("energy_in_lesion", [aim.energy for _, aim in aims]),
        ):
            found[name] = {**bounded(mean_statistic(values), who), "chance": chance}
    return {**found, "froc": {rule: _froc(counted, target, rule, bounded) for rule in RULES}}


def _at_level(counted: Counted, target: str, rule: str, bounded: Bounded) -> dict[str, Any] | None:
    """Hits per lesion and false marks per image of the findings that count, by one rule."""
    images = _images(counted, target, rule)
    hits = [(who, float(score >= 1.0)) for who, one in images for score in one.lesions]
    if not hits:
        return None
    alarms = [float(sum(score >= 1.0 for score in one.false_marks)) for _, one in images]
    return {
        "lesions_hit": bounded(mean_statistic([hit for _, hit in hits]), [who for who, _ in hits]),
        "false_marks_per_image": bounded(mean_statistic(alarms), [who for who, _ in images]),
    }


def _overlap(counted: Counted, bounded: Bounded) -> dict[str, Any] | None:
    """Mean over lesions of the best intersection over union with a finding that counts."""
    best = [
        (
            record.patient_name,
            max(
                (
                    share
                    for share, finding in zip(one.overlaps, reading.findings, strict=True)
                    if finding.score >= 1.0
                ),
                default=0.0,
            ),
        )
        for record, reading, wanted in counted
        for one in wanted
        if one.overlaps is not None
    ]
    if not best:
        return None
    return bounded(mean_statistic([value for _, value in best]), [who for who, _ in best])


def _froc(counted: Counted, target: str, rule: str, bounded: Bounded) -> dict[str, Any] | None:
    images = _images(counted, target, rule)
    who, marked = [name for name, _ in images], [one for _, one in images]
    if not any(one.lesions for one in marked):
        return None
    return {
        "sensitivity_at_false_marks_per_image": {
            f"{allowed:g}": bounded(sensitivity_at_false_marks_statistic(marked, allowed), who)
            for allowed in FALSE_MARKS
        },
        "curve": _thinned(froc(marked)),
    }


def _thinned(curve: FrocCurve) -> list[dict[str, float]]:
    """Give at most 200 evenly spaced points of the curve, with both ends."""
    number = min(_MOST_POINTS, len(curve.thresholds))
    kept = np.linspace(0, max(0, len(curve.thresholds) - 1), number).round().astype(int)
    names = ("false_marks_per_image", "sensitivity", "threshold")
    points = (values[kept].tolist() for values in curve)
    return [dict(zip(names, point, strict=True)) for point in zip(*points, strict=True)]


def _images(counted: Counted, target: str, rule: str) -> list[tuple[str, MarkedImage]]:
    found = ((r.patient_name, marked_image(r, one, target, rule)) for r, one, _ in counted)
    return [(who, one) for who, one in found if one is not None]
