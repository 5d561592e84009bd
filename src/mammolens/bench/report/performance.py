"""Sections on discrimination: how well a model ranks, over all data sets and for each of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from mammolens.bench.report.charts import LOOKS, Curve, Spot, plane
from mammolens.bench.report.document import (
    ALL,
    TASK_WORDS,
    Alarm,
    Block,
    Figure,
    Heading,
    Table,
    Text,
    capitalise,
    count,
    datasets_and_all,
    figure,
    has_value,
    n_and_positives,
    table_or_notes,
)
from mammolens.bench.report.readers import reader_spots

__all__ = ["discrimination_blocks", "discrimination_details", "flat_figures", "measure_name"]

_NAMES: Final = {
    "auc": "AUC",
    "partial_auc": "Partial AUC (specificity ≥ 0.8)",
    "average_precision": "Average precision",
    "probabilistic_f1": "Probabilistic F1",
    "brier": "Brier score",
    "log_loss": "Log loss",
    "ece": "ECE",
    "ece_debiased": "ECE, debiased",
    "f1": "F1",
    "mcc": "MCC",
}
_BY_UNIT: Final = "breast"
_MAIN: Final = (
    "auc",
    "average_precision",
    "sensitivity_at_specificity",
    "specificity_at_sensitivity",
)
_MIXED: Final = (
    "Figures over several data sets also measure how far the sources can be distinguished; read "
    "them per data set."
)


def measure_name(key: str) -> str:
    """Give the name of a key of ``metrics.json`` for readers.

    Examples
    --------
    >>> measure_name("balanced_accuracy"), measure_name("auc")
    ('Balanced accuracy', 'AUC')
    """
    return _NAMES.get(key, capitalise(key.replace("_", " ")))


def flat_figures(found: Mapping[str, Any]) -> dict[str, Any]:
    """Give all figures of a dict by name; the figures of a nested dict have both names."""
    flat: dict[str, Any] = {}
    for key, value in found.items():
        if has_value(value):
            flat[measure_name(key)] = value
        elif isinstance(value, Mapping):
            nested = {f"{measure_name(key)} {k}": one for k, one in value.items() if has_value(one)}
            flat |= nested
    return flat


def discrimination_blocks(metrics: Mapping[str, Any]) -> Iterator[Block]:
    """Show the main ranking figures of each data set, and the ROC curves in one chart."""
    if len(metrics["datasets"]) > 1:
        yield Alarm(_MIXED)
    for task, words in TASK_WORDS.items():
        yield from _main_table(task, words, datasets_and_all(metrics))
    for task in TASK_WORDS:
        yield from _main_curves(task, metrics)


def discrimination_details(metrics: Mapping[str, Any]) -> Iterator[Block]:
    """Show every ranking figure and curve, per data set, task and unit."""
    for number, (place, judged) in enumerate(datasets_and_all(metrics)):
        yield Heading(place, f"discrimination-{number}")
        if place == ALL:
            yield Alarm(_MIXED)
        for task, words in TASK_WORDS.items():
            yield from _task_blocks(place, words, judged[task])
        if "without_age" in judged:
            yield from _without_age(place, judged)
        for task in TASK_WORDS:
            yield from _curves(place, task, judged)


def _main_table(
    task: str, words: str, places: list[tuple[str, Mapping[str, Any]]]
) -> Iterator[Block]:
    """Make one row for each data set and unit; of a figure at several points, show the first."""
    rows, notes = [], list[str]()
    columns: list[str] = []
    for place, judged in places:
        for unit, found in judged[task].items():
            name = f"{place}, {unit}"
            if not has_value(found.get("auc")):
                notes.append(f"{name}: {found.get('note', 'no figure')}")
                continue
            own = _main_figures(found)
            columns += [key for key in own if key not in columns]
            rows.append((name, n_and_positives(found), count(found.get("n_patients")), own))
    yield from table_or_notes(
        f"Ranking: {words}",
        ("Data set, unit", "n", "Patients", *columns),
        [(*names, *(figure(own.get(key)) for key in columns)) for *names, own in rows],
        notes,
        frozenset({2}),
        without=f"{capitalise(words)}: no figure. ",
    )


def _main_figures(found: Mapping[str, Any]) -> dict[str, Any]:
    flat = {key: flat_figures({key: found[key]}) for key in _MAIN if key in found}
    return {name: one for figures in flat.values() for name, one in list(figures.items())[:1]}


def _main_curves(task: str, metrics: Mapping[str, Any]) -> Iterator[Figure]:
    """Draw the ROC curves of the data sets in one chart, as many as can be distinguished."""
    drawn = [
        (place, curve["roc"], judged[task][_BY_UNIT])
        for place, judged in metrics["datasets"].items()
        if (curve := judged.get("curves", {}).get(task, {}).get(_BY_UNIT))
    ]
    for first in range(0, len(drawn), len(LOOKS)):
        shown = drawn[first : first + len(LOOKS)]
        spoken = "; ".join(
            f"{place} AUC {figure(found['auc'])}, n {n_and_positives(found)}"
            for place, _, found in shown
        )
        yield _roc_chart(
            f"ROC by {_BY_UNIT}, {task}",
            f"ROC curves of {task} by {_BY_UNIT}, one for each data set: {spoken}.",
            shown,
        )


def _roc_chart(
    title: str,
    alt: str,
    curves: Iterable[tuple[str, Mapping[str, Any], Mapping[str, Any]]],
    spots: Sequence[Spot] = (),
) -> Figure:
    """Draw ROC curves, each given as name, points, and figures with ``auc`` and ``n``."""
    return plane(
        title,
        alt,
        ("1 − specificity", "Sensitivity"),
        [
            Curve(
                f"{name}, AUC {found['auc']['value']:.3f}, n {count(found['n'])}",
                points["false_positive_rate"],
                points["true_positive_rate"],
            )
            for name, points, found in curves
        ],
        spots=spots,
        reference=((0.0, 0.0), (1.0, 1.0)),
    )


def _task_blocks(place: str, words: str, by_unit: Mapping[str, Any]) -> Iterator[Block]:
    flat = {unit: flat_figures(found) for unit, found in by_unit.items()}
    measures = list(dict.fromkeys(name for found in flat.values() for name in found))
    notes = [
        f"{unit}: {note}"
        for unit, found in by_unit.items()
        for note in (found.get("note"), found.get("ece_note"))
        if note
    ]
    if not measures:
        yield Text(f"{capitalise(words)}: no figure. {'; '.join(notes)}.")
        return
    rows = [
        ("n", *(n_and_positives(found) for found in by_unit.values())),
        ("Patients", *(count(found.get("n_patients")) for found in by_unit.values())),
        *((name, *(figure(found.get(name)) for found in flat.values())) for name in measures),
    ]
    yield Table(
        f"{place}: {words}",
        ("Measure", *(f"By {unit}" for unit in by_unit)),
        tuple(rows),
        note="; ".join(notes),
    )


def _without_age(place: str, judged: Mapping[str, Any]) -> Iterator[Block]:
    rows = [
        (
            f"{task}, {unit}",
            n_and_positives(found),
            figure(judged[task][unit].get("auc")),
            figure(found.get("auc")),
        )
        for task in TASK_WORDS
        for unit, found in judged["without_age"][task].items()
        if has_value(found.get("auc"))
    ]
    head = ("Task and unit", "n", "AUC with age", "AUC of the pictures alone")
    yield from table_or_notes(f"{place}: effect of the patient's age", head, rows)


def _curves(place: str, task: str, judged: Mapping[str, Any]) -> Iterator[Figure]:
    drawn = {unit: c for unit, c in judged.get("curves", {}).get(task, {}).items() if c}
    if not drawn:
        return
    spoken = "; ".join(
        f"by {unit} AUC {figure(judged[task][unit]['auc'])}, n {n_and_positives(one)}"
        for unit, one in drawn.items()
    )
    spots = list(reader_spots(judged)) if task == "malignancy" else []
    beside = f" Beside it: {'; '.join(spot.name for spot in spots)}." if spots else ""
    yield _roc_chart(
        f"ROC, {task}: {place}",
        f"ROC curve of {task}, {place}: sensitivity against 1 − specificity. {capitalise(spoken)}."
        f"{beside}",
        [(f"by {unit}", one["roc"], judged[task][unit]) for unit, one in drawn.items()],
        spots,
    )
    precision = "; ".join(
        f"by {unit} average precision {figure(judged[task][unit].get('average_precision'))}, "
        f"n {n_and_positives(one)}"
        for unit, one in drawn.items()
    )
    yield plane(
        f"Precision–recall, {task}: {place}",
        f"Precision against sensitivity (recall), {task}, {place}. {capitalise(precision)}. The "
        "precision is that of this data set's share of positives, not of a screening population's.",
        ("Sensitivity (recall)", "Precision"),
        [
            Curve(
                f"by {unit}, {count(one['n_positive'])} of {count(one['n'])} positive",
                one["precision_recall"]["recall"],
                one["precision_recall"]["precision"],
                steps=True,
            )
            for unit, one in drawn.items()
        ],
        y_limits=(0.0, 1.02),
    )
