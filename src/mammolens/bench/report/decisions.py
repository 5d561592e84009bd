"""Sections on decisions: results of thresholds, confusion matrices, and "unsure" answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from mammolens.bench.report.document import (
    TASK_WORDS,
    Block,
    Heading,
    Table,
    Text,
    count,
    datasets_with,
    figure,
    has_value,
    n_and_positives,
    table_or_notes,
)

__all__ = [
    "conformal_blocks",
    "confusion_blocks",
    "confusion_details",
    "operating_blocks",
    "operating_details",
]

_RATES: Final = (
    ("recall", "Sensitivity"),
    ("specificity", "Specificity"),
    ("ppv", "PPV *"),
    ("npv", "NPV *"),
    ("recall_rate", "Recall rate *"),
)
_FURTHER: Final = (
    ("precision", "Precision"),
    ("accuracy", "Accuracy"),
    ("balanced_accuracy", "Balanced accuracy"),
    ("f1", "F1"),
    ("mcc", "MCC"),
)
_CARD_POINTS: Final = {"low": "low (card)", "high": "high (card)"}
_COUNTS: Final = (
    ("true_positive", "True positive"),
    ("false_negative", "False negative"),
    ("false_positive", "False positive"),
    ("true_negative", "True negative"),
)
_COUNTED: Final = ("Point: task, unit", "n", *(words for _, words in _COUNTS))
_COUNT_COLUMNS: Final = frozenset(range(2, 6))

Judged = Mapping[str, Any]


def operating_blocks(metrics: Judged) -> Iterator[Block]:
    """Show the results of each threshold for malignancy, by the unit of the decision."""
    places = [
        (place, _cells(judged)) for place, judged in datasets_with(metrics, "operating_points")
    ]
    main = [
        (f"{place}, {_CARD_POINTS.get(point, point)}", found)
        for place, cells in places
        for point, _, _, found in _main_cells(cells)
    ]
    if not main:
        return
    unit = next(unit for _, cells in places for _, _, unit, _ in _main_cells(cells))
    shown = [(key, name) for key, name in _RATES if any(has_value(f.get(key)) for _, f in main)]
    prevalence = main[0][1].get("prevalence")
    yield Table(
        f"Malignancy at each threshold, by {unit}",
        ("Data set, point", "Threshold", "n", *(name for _, name in shown)),
        tuple(
            (
                name,
                _thresholds(found.get("thresholds")),
                n_and_positives(found),
                *(figure(found.get(key)) for key, _ in shown),
            )
            for name, found in main
        ),
        note=f"* restated at a prevalence of {prevalence:.3g}" if prevalence else "",
    )
    yield from _origins(
        dict.fromkeys(
            line
            for place, cells in places
            for line in (
                *_threshold_origins(_main_cells(cells)),
                *(f"{place}, {note}" for note in _missing_figures(_main_cells(cells))),
            )
        )
    )


def operating_details(metrics: Judged) -> Iterator[Block]:
    """Show the results of thresholds per data set, point, task and unit."""
    for number, (place, judged) in enumerate(datasets_with(metrics, "operating_points")):
        yield Heading(place, f"operating-{number}")
        cells = _cells(judged)
        yield from _rates(place, cells, _RATES, "rates")
        yield from _rates(place, cells, _FURTHER, "further measures")
        yield from _origins(dict.fromkeys((*_threshold_origins(cells), *_missing_figures(cells))))


Cell = tuple[str, str, str, Judged]
"""Point, task, unit, and the results."""


def _cells(judged: Judged) -> list[Cell]:
    return [
        (point, task, unit, found)
        for point, one in judged["operating_points"].items()
        for task in TASK_WORDS
        for unit, found in one.get(task, {}).items()
        if "n" in found
    ]


def _main_cells(cells: list[Cell]) -> list[Cell]:
    """Keep the cells of malignancy and of the main unit, which is the last one."""
    of_task = [cell for cell in cells if cell[1] == "malignancy"]
    return [cell for cell in of_task if cell[2] == of_task[-1][2]]


def _rates(
    place: str,
    cells: list[Cell],
    measures: tuple[tuple[str, str], ...],
    words: str,
) -> Iterator[Block]:
    shown = [(key, name) for key, name in measures if any(has_value(c[3].get(key)) for c in cells)]
    rows = [
        (
            f"{_CARD_POINTS.get(point, point)}, at {_thresholds(found.get('thresholds'))}: "
            f"{task}, {unit}",
            n_and_positives(found),
            *(figure(found.get(key)) for key, _ in shown),
        )
        for point, task, unit, found in cells
        if any(has_value(found.get(key)) for key, _ in shown)
    ]
    if not rows:
        return
    prevalence = cells[0][3].get("prevalence")
    stated = f"* restated at a prevalence of {prevalence:.3g}" if prevalence else ""
    yield Table(
        f"{place}: {words} at each threshold",
        ("Point, threshold: task, unit", "n", *(name for _, name in shown)),
        tuple(rows),
        note=stated if any(name.endswith("*") for _, name in shown) else "",
    )


def _thresholds(found: Sequence[float] | None) -> str:
    if not found:
        return "none"
    low, high = min(found), max(found)
    return f"{low:.3f}" if low == high else f"{low:.3f}–{high:.3f}"


def _origins(lines: Iterable[str]) -> Iterator[Block]:
    if text := "; ".join(lines):
        yield Text(f"Origin of the thresholds, and missing figures. {text}.")


def _threshold_origins(cells: list[Cell]) -> Iterator[str]:
    for point, _, _, found in cells:
        if found.get("fixed_on"):
            yield f"{_CARD_POINTS.get(point, point)}: {found['fixed_on']}"


def _missing_figures(cells: list[Cell]) -> Iterator[str]:
    return (f"{task} by {unit}: {one['note']}" for _, task, unit, one in cells if one.get("note"))


def confusion_blocks(metrics: Judged) -> Iterator[Block]:
    """Show the decisions on malignancy at the card's thresholds, by the main unit."""
    rows = [
        (f"{place}, {_CARD_POINTS[point]}: {unit}", n_and_positives(one), *_counts(one))
        for place, judged in datasets_with(metrics, "confusion")
        for point, by_unit in judged["confusion"].get("malignancy", {}).items()
        for unit, one in list(by_unit.items())[-1:]
        if point in _CARD_POINTS and "note" not in one
    ]
    caption = "Malignancy: decisions against labels"
    yield from table_or_notes(caption, _COUNTED, rows, numeric=_COUNT_COLUMNS)


def confusion_details(metrics: Judged) -> Iterator[Block]:
    """Show the confusion matrix of the three classes, and of both tasks at each threshold."""
    for number, (place, judged) in enumerate(datasets_with(metrics, "confusion")):
        yield Heading(place, f"confusion-{number}")
        found = judged["confusion"]
        yield from _classes(place, found["classes"])
        rows, notes = [], []
        for task in TASK_WORDS:
            for point, by_unit in found.get(task, {}).items():
                for unit, one in by_unit.items():
                    name = f"{_CARD_POINTS.get(point, point)}: {task}, {unit}"
                    if "note" in one:
                        notes.append(f"{name}: {one['note']}")
                    else:
                        rows.append((name, n_and_positives(one), *_counts(one)))
        caption = f"{place}: decisions against labels"
        yield from table_or_notes(caption, _COUNTED, rows, notes, _COUNT_COLUMNS, without="")


def _counts(found: Judged) -> tuple[str, ...]:
    return tuple(count(found[key]) for key, _ in _COUNTS)


def _classes(place: str, found: Judged) -> Iterator[Block]:
    if not found.get("matrix"):
        yield Text(f"Three classes: {found.get('note', 'no known labels')}.")
        return
    labels = [str(label) for label in found["labels"]]
    recall = found.get("recall", {})
    rows = tuple(
        (f"is {label}", count(sum(row)), *(count(cell) for cell in row), figure(recall.get(label)))
        for label, row in zip(labels, found["matrix"], strict=True)
    )
    yield Table(
        f"{place}: images whose class is fully known (n {count(found['n'])}, "
        f"{count(found.get('n_patients'))} patients), by the most probable class",
        ("Label", "n", *(f"called {label}" for label in labels), "Called correctly"),
        rows,
        frozenset(range(1, 2 + len(labels))),
        f"Accuracy over all: {figure(found.get('accuracy'))}, n {count(found['n'])}.",
    )


def conformal_blocks(metrics: Judged) -> Iterator[Block]:
    """Show decisions that may be "unsure", and whether they keep the promised coverage."""
    units = [
        (f"{place}: {task}, {unit}", found)
        for place, judged in datasets_with(metrics, "conformal")
        for task in TASK_WORDS
        for unit, found in judged["conformal"].get(task, {}).items()
    ]
    answered = [(name, found) for name, found in units if has_value(found.get("unsure"))]
    notes = [
        f"{name}: {found.get('note', 'no answers')}"
        for name, found in units
        if not has_value(found.get("unsure"))
    ]
    shares = ("coverage_positive", "coverage_negative", "unsure")
    if answered:
        rules = dict.fromkeys(str(found["fixed_on"]) for _, found in answered)
        yield Text(
            "A patient is called positive, negative or unsure. In each class, the promised share "
            "of patients is not called the other class. A person must read the unsure ones. "
            f"Rules: {'; '.join(rules)}."
        )
        yield Table(
            "Coverage of each class, and the share left unsure",
            ("Data set: task, unit", "n", "Promised", "Positives", "Negatives", "Unsure"),
            tuple(
                (
                    name,
                    n_and_positives(found),
                    f"{found['promised']:g}",
                    *(figure(found[share]) for share in shares),
                )
                for name, found in answered
            ),
        )
    if notes:
        yield Text(f"None: {'; '.join(notes)}.")
