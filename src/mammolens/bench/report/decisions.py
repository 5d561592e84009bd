"""Sections on decisions: thresholds, who was called what, sets, net benefit, and work saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mammolens.bench.report.charts import Curve, plane
from mammolens.bench.report.document import Block, Heading, Table, Text
from mammolens.bench.report.words import (
    TASK_WORDS,
    count,
    counted,
    figure,
    has_value,
)

__all__ = [
    "conformal_blocks",
    "confusion_blocks",
    "decision_blocks",
    "operating_blocks",
    "workload_blocks",
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
_WORK: Final = {
    "sensitivity_of_first": "Sensitivity of reading only the first {} of the worklist",
    "read_once_at_sensitivity": "Share that one reader could read alone, keeping sensitivity {}",
    "read_twice_at_sensitivity": "Share that two would still read, keeping sensitivity {}",
}

Judged = Mapping[str, Any]


def operating_blocks(metrics: Judged) -> Iterator[Block]:
    """What thresholds reach, per data set, point, task and unit."""
    for number, (place, judged) in enumerate(_having(metrics, "operating_points")):
        yield Heading(place, f"operating-{number}")
        cells = [
            (point, task, unit, found)
            for point, one in judged["operating_points"].items()
            for task in TASK_WORDS
            for unit, found in one.get(task, {}).items()
            if "n" in found
        ]
        yield from _rates(place, cells, _RATES, "rates")
        yield from _rates(place, cells, _FURTHER, "further measures")
        if said := list(dict.fromkeys(_fixed(cells))):
            yield Text("Where thresholds come from, and what is missing. " + "; ".join(said) + ".")


def _rates(
    place: str,
    cells: list[tuple[str, str, str, Judged]],
    measures: tuple[tuple[str, str], ...],
    words: str,
) -> Iterator[Block]:
    shown = [(key, name) for key, name in measures if any(has_value(c[3].get(key)) for c in cells)]
    rows = [
        (
            f"{_CARD_POINTS.get(point, point)}, at {_thresholds(found.get('thresholds'))}: "
            f"{task}, {unit}",
            counted(found),
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


def _fixed(cells: list[tuple[str, str, str, Judged]]) -> Iterator[str]:
    """Where thresholds were fixed, and why some are missing."""
    for point, task, unit, found in cells:
        if found.get("fixed_on"):
            yield f"{_CARD_POINTS.get(point, point)}: {found['fixed_on']}"
        if found.get("note"):
            yield f"{task} by {unit}: {found['note']}"


def confusion_blocks(metrics: Judged) -> Iterator[Block]:
    """Who was called what: the three classes, and both tasks at each threshold."""
    for number, (place, judged) in enumerate(_having(metrics, "confusion")):
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
                        rows.append((name, counted(one), *(count(one[key]) for key, _ in _COUNTS)))
        if rows:
            yield Table(
                f"{place}: decisions against labels",
                ("Point: task, unit", "n", *(words for _, words in _COUNTS)),
                tuple(rows),
                frozenset(range(2, 6)),
                "; ".join(notes),
            )
        elif notes:
            yield Text("; ".join(notes) + ".")


def _classes(place: str, found: Judged) -> Iterator[Block]:
    if not found.get("matrix"):
        yield Text(f"Three classes: {found.get('note', 'nothing is known')}.")
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
        ("Label", "n", *(f"called {label}" for label in labels), "Called rightly"),
        rows,
        frozenset(range(1, 2 + len(labels))),
        f"Accuracy over all: {figure(found.get('accuracy'))}, n {count(found['n'])}.",
    )


def conformal_blocks(metrics: Judged) -> Iterator[Block]:
    """Answers that may say "unsure", and whether they hold what they promise."""
    rows, notes, fixed = [], list[str](), list[str]()
    for place, judged in _having(metrics, "conformal"):
        for task in TASK_WORDS:
            for unit, found in judged["conformal"].get(task, {}).items():
                name = f"{place}: {task}, {unit}"
                if not has_value(found.get("unsure")):
                    notes.append(f"{name}: {found.get('note', 'no answers')}")
                    continue
                fixed.append(str(found["fixed_on"]))
                rows.append(
                    (
                        name,
                        counted(found),
                        f"{found['promised']:g}",
                        figure(found["coverage_positive"]),
                        figure(found["coverage_negative"]),
                        figure(found["unsure"]),
                    )
                )
    if rows:
        yield Text(
            "A woman is called positive, negative or unsure so that, of the women of each class, "
            "the promised share is not called the other one. Unsure ones are for a person to read. "
            f"Rules: {'; '.join(dict.fromkeys(fixed))}."
        )
        yield Table(
            "Coverage of each class, and the share left unsure",
            ("Data set: task, unit", "n", "Promised", "Positives", "Negatives", "Unsure"),
            tuple(rows),
        )
    if notes:
        yield Text(f"None: {'; '.join(notes)}.")


def decision_blocks(metrics: Judged) -> Iterator[Block]:
    """Whether acting on the score would pay: net benefit at the stated prevalence."""
    places = list(_having(metrics, "decision"))
    if places:
        yield Text(
            "Net benefit is the share of women whose cancer is found, less the share of false "
            "recalls weighed by how many of them one cancer found is worth; recalling nobody gives "
            "0. It is stated per 1,000 women at the named prevalence."
        )
    for place, judged in places:
        rows, notes = [], []
        for unit, found in judged["decision"].items():
            if "note" in found:
                notes.append(f"{unit}: {found['note']}")
            rows += [
                (
                    f"{unit}, risk {one['threshold']:.3g}",
                    counted(found),
                    f"{one['false_recalls_per_cancer']:.0f}",
                    figure(_per_thousand(one["model"]), 2),
                    f"{1000 * one['recall_all']:.2f}".replace("-", "−"),
                )
                for one in found.get("thresholds", ())
            ]
        if rows:
            prevalence = next(iter(judged["decision"].values()))["prevalence"]
            yield Table(
                f"{place}: net benefit per 1,000 women at a prevalence of {prevalence:.3g}",
                ("Unit, recalled from", "n", "False recalls worth it", "Model", "Recall all"),
                tuple(rows),
                frozenset({2}),
                "; ".join([*notes, "“Recall all” follows from the prevalence alone."]),
            )
        elif notes:
            yield Text(f"{place}: {'; '.join(notes)}.")
    for place, judged in places:
        yield from _decision_curve(place, judged)


def _per_thousand(found: Any) -> Any:
    if not has_value(found):
        return found
    return {key: None if value is None else 1000 * value for key, value in found.items()}


def _decision_curve(place: str, judged: Judged) -> Iterator[Block]:
    drawn = {
        unit: one
        for unit, one in judged.get("curves", {}).get("malignancy", {}).items()
        if one and one.get("decision")
    }
    if not drawn:
        return
    curves = [
        Curve(
            f"model, by {unit}, n {count(one['n'])}",
            one["decision"]["thresholds"],
            [1000 * value for value in one["decision"]["model"]],
        )
        for unit, one in drawn.items()
    ]
    first = next(iter(drawn.values()))["decision"]
    everyone = [1000 * value for value in first["recall_all"]]
    top = max(max(everyone), *(max(curve.y) for curve in curves), 0.1)
    shown = [n for n, value in enumerate(everyone) if value >= -0.3 * top]
    curves.append(
        Curve(
            "recall all",
            [first["thresholds"][n] for n in shown],
            [everyone[n] for n in shown],
        )
    )
    edge = max(first["thresholds"])
    yield plane(
        f"Decision curve: {place}",
        f"Net benefit per 1,000 women against the risk from which a woman is recalled, {place}; "
        f"{'; '.join(curve.name for curve in curves)}; 0 is recalling nobody.",
        ("Risk from which a woman is recalled", "Net benefit per 1,000 women"),
        curves,
        reference=((0.0, 0.0), (edge, 0.0)),
        x_limits=(0.0, edge),
        y_limits=(-0.3 * top, 1.08 * top),
    )


def workload_blocks(metrics: Judged) -> Iterator[Block]:
    """How much reading a triage by this score would save, at the stated prevalence."""
    places = list(_having(metrics, "workload"))
    for place, judged in places:
        rows, notes = [], []
        for unit, found in judged["workload"].items():
            if "note" in found:
                notes.append(f"{unit}: {found['note']}")
            for key, words in _WORK.items():
                rows += [
                    (f"{words.format(at)}, by {unit}", counted(found), figure(one))
                    for at, one in found.get(key, {}).items()
                ]
        if rows:
            prevalence = next(iter(judged["workload"].values()))["prevalence"]
            yield Table(
                f"{place}: work, at a prevalence of {prevalence:.3g}",
                ("Rule", "n", "Share"),
                tuple(rows),
                note="; ".join(notes),
            )
        elif notes:
            yield Text(f"{place}: {'; '.join(notes)}.")
    if places:
        yield Text(
            "A simulation: nobody read by these rules, and a reader who knows the score reads "
            "otherwise."
        )


def _having(metrics: Judged, section: str) -> Iterator[tuple[str, Judged]]:
    return ((place, one) for place, one in metrics["datasets"].items() if one.get(section))
