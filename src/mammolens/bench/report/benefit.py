"""Sections on the use of a score: net benefit of decisions, and saved reading work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mammolens.bench.report.charts import LOOKS, Curve, plane
from mammolens.bench.report.document import (
    Block,
    Figure,
    Table,
    Text,
    count,
    datasets_with,
    figure,
    n_and_positives,
    scaled,
    table_or_notes,
)

__all__ = ["decision_blocks", "decision_details", "workload_blocks"]

_WORK: Final = (
    ("sensitivity_of_first", "Found in the first {:.0%}"),
    ("read_once_at_sensitivity", "Read once, keeping {:.0%}"),
)
_DROP: Final = 0.3  # shown below 0, as a share of the highest value

Judged = Mapping[str, Any]


def decision_blocks(metrics: Judged) -> Iterator[Block]:
    """Show the net benefit of decisions by the score at the stated prevalence."""
    places = [
        (place, unit, found, judged)
        for place, judged in datasets_with(metrics, "decision")
        for unit, found in list(judged["decision"].items())[-1:]
    ]
    if not places:
        return
    yield Text(
        "Net benefit is the share of patients whose cancer is found, minus the share of false "
        "recalls divided by the number of false recalls that one found cancer is worth. "
        "Recalling nobody gives 0. It is given per 1,000 patients at the stated prevalence."
    )
    shown = [place for place in places if place[2].get("thresholds")]
    if shown:
        points = shown[0][2]["thresholds"]
        everyone = (f"{1000 * one['recall_all']:.2f}".replace("-", "−") for one in points)
        yield Table(
            f"Net benefit per 1,000 patients at a prevalence of {shown[0][2]['prevalence']:.3g}, "
            "by the risk from which a patient is recalled",
            ("Data set, unit", "n", *(_risk(one) for one in points)),
            tuple(
                (
                    f"{place}, {unit}",
                    n_and_positives(found),
                    *(figure(scaled(one["model"], 1000), 2) for one in found["thresholds"]),
                )
                for place, unit, found, _ in shown
            ),
            note=f"Recalling all, which follows from the prevalence alone: {', '.join(everyone)}.",
        )
    notes = [f"{place}, {unit}: {one['note']}" for place, unit, one, _ in places if "note" in one]
    if notes:
        yield Text("; ".join(notes) + ".")
    drawn = [
        (f"{place}, by {unit}", curve)
        for place, unit, _, judged in places
        if (curve := _curve_of(judged, unit))
    ]
    for first in range(0, len(drawn), len(LOOKS) - 1):
        yield _chart("Decision curves", drawn[first : first + len(LOOKS) - 1])


def decision_details(metrics: Judged) -> Iterator[Block]:
    """Show net benefit and its curve for every unit of each data set."""
    for place, judged in datasets_with(metrics, "decision"):
        rows, notes = [], []
        for unit, found in judged["decision"].items():
            if "note" in found:
                notes.append(f"{unit}: {found['note']}")
            rows += [
                (
                    f"{unit}, risk {one['threshold']:.3g}",
                    n_and_positives(found),
                    f"{one['false_recalls_per_cancer']:.0f}",
                    figure(scaled(one["model"], 1000), 2),
                    f"{1000 * one['recall_all']:.2f}".replace("-", "−"),
                )
                for one in found.get("thresholds", ())
            ]
        if rows:
            prevalence = next(iter(judged["decision"].values()))["prevalence"]
            yield Table(
                f"{place}: net benefit per 1,000 patients at a prevalence of {prevalence:.3g}",
                ("Unit, recalled from", "n", "False recalls worth it", "Model", "Recall all"),
                tuple(rows),
                frozenset({2}),
                "; ".join([*notes, "“Recall all” follows from the prevalence alone."]),
            )
    for place, judged in datasets_with(metrics, "decision"):
        units = judged.get("curves", {}).get("malignancy", {})
        drawn = [(f"by {unit}", one) for unit in units if (one := _curve_of(judged, unit))]
        if drawn:
            yield _chart(f"Decision curve: {place}", drawn)


def _risk(point: Judged) -> str:
    return f"{point['threshold']:.3g} ({point['false_recalls_per_cancer']:.0f} false recalls)"


def _curve_of(judged: Judged, unit: str) -> Judged | None:
    """Give the curves of malignancy of a unit, if they include a decision curve."""
    found = judged.get("curves", {}).get("malignancy", {}).get(unit)
    return found if found and found.get("decision") else None


def _chart(title: str, drawn: Sequence[tuple[str, Judged]]) -> Figure:
    curves = [
        Curve(
            f"model, {name}, n {count(one['n'])}",
            one["decision"]["thresholds"],
            [1000 * value for value in one["decision"]["model"]],
        )
        for name, one in drawn
    ]
    first = drawn[0][1]["decision"]
    everyone = [1000 * value for value in first["recall_all"]]
    top = max(max(everyone), *(max(curve.y) for curve in curves), 0.1)
    shown = [n for n, value in enumerate(everyone) if value >= -_DROP * top]
    thresholds = [first["thresholds"][n] for n in shown]
    curves.append(Curve("recall all", thresholds, [everyone[n] for n in shown]))
    edge = max(first["thresholds"])
    return plane(
        title,
        f"{title}: net benefit per 1,000 patients against the risk from which a patient is "
        "recalled; "
        f"{'; '.join(curve.name for curve in curves)}; 0 is recalling nobody.",
        ("Risk from which a patient is recalled", "Net benefit per 1,000 patients"),
        curves,
        reference=((0.0, 0.0), (edge, 0.0)),
        x_limits=(0.0, edge),
        y_limits=(-_DROP * top, 1.08 * top),
    )


def workload_blocks(metrics: Judged) -> Iterator[Block]:
    """Show how much reading work a triage by this score would save at the stated prevalence."""
    rows, notes, columns = [], list[str](), dict[str, None]()
    prevalence = 0.0
    for place, judged in datasets_with(metrics, "workload"):
        for unit, found in judged["workload"].items():
            prevalence = found.get("prevalence", prevalence)
            if "note" in found:
                notes.append(f"{place}, {unit}: {found['note']}")
            own = {
                words.format(float(at)): one
                for key, words in _WORK
                for at, one in found.get(key, {}).items()
            }
            if own:
                columns |= dict.fromkeys(own)
                rows.append((f"{place}, {unit}", n_and_positives(found), own))
    if rows:
        yield Text(
            "Found: share of the cancers in that first part of a worklist that is sorted by the "
            "score. Read once: share of exams below the threshold that keeps that sensitivity; one "
            "reader could read them alone, and two would read the others. These thresholds are "
            "chosen on the same patients, in each resample again, so in small samples the saving "
            "looks larger than it is. This is a simulation: nobody read by these rules, and a "
            "reader who knows the score reads differently."
        )
    yield from table_or_notes(
        f"Work, at a prevalence of {prevalence:.3g}",
        ("Data set, unit", "n", *columns),
        [(*names, *(figure(own.get(key)) for key in columns)) for *names, own in rows],
        notes,
    )
