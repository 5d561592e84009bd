"""Sections on subgroups and on localisation: groups with worse results, and maps on the lesions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mammolens.bench.report.charts import Curve, ForestRow, forest, plane
from mammolens.bench.report.document import (
    Alarm,
    Block,
    Bullets,
    Figure,
    Heading,
    Table,
    Text,
    count,
    figure,
    has_value,
    interval_of,
    n_and_positives,
)

__all__ = [
    "localisation_blocks",
    "localisation_details",
    "subgroup_blocks",
    "subgroup_details",
]

_FEATURES: Final = (
    ("auc", "AUC"),
    ("observed_over_expected", "Observed / expected"),
    ("brier", "Brier score"),
)
_POINTS: Final = ("high", "low")
_KINDS: Final = ("Sensitivity", "Specificity")
_MEASURES: Final = {
    "auc": "AUC",
    "sensitivity_high": "Sensitivity, high threshold",
    "specificity_high": "Specificity, high threshold",
    "sensitivity_low": "Sensitivity, low threshold",
    "specificity_low": "Specificity, low threshold",
}
_TARGETS: Final = {"malignant": "Malignant lesions", "any": "All marked lesions"}


def subgroup_blocks(audit: Mapping[str, Any]) -> Iterator[Block]:
    """Show the results of the malignancy score in each subgroup, and which gaps are significant."""
    tests = audit["tests"]
    yield Text(
        "Each data set is examined separately, because any difference between mixed sources would "
        "appear as a gap. A gap is a group's figure minus that of all other groups on the same "
        f"axis. {count(tests['n'])} gaps were tested and corrected together "
        f"({tests['correction']}). If no gap is found, there may still be one: look at the width "
        "of the intervals."
    )
    gaps = tuple(audit["gaps"])
    yield Bullets(gaps) if gaps else Text("No gap is significant after correction.")
    yield from (chart for place, axes in _places(audit) if (chart := _forest_of(place, axes)))


def subgroup_details(audit: Mapping[str, Any]) -> Iterator[Block]:
    """Show every figure and every tested gap of each subgroup."""
    for number, (place, axes) in enumerate(_places(audit)):
        if not axes:
            continue
        yield Heading(f"Subgroups: {place}", f"subgroups-{number}")
        yield from _group_table(place, axes)
        yield from _gap_table(place, axes)


def _places(audit: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    between = [("between data sets", audit["between"])] if audit.get("between") else []
    return [*audit["datasets"].items(), *between]


def _forest_of(place: str, axes: Mapping[str, Any]) -> Figure | None:
    rows = [
        ForestRow(
            f"{name}: {group['group']}",
            group["auc"]["value"],
            *interval_of(group["auc"]),
            f"n {group['n']}",
        )
        for name, axis in axes.items()
        for group in axis["groups"]
        if has_value(group["auc"])
    ]
    if not rows:
        return None
    lowest = min(rows, key=lambda row: row.value or 0.0)
    highest = max(rows, key=lambda row: row.value or 0.0)
    alt = (
        f"AUC of malignancy by subgroup of {place} with 95 % intervals, from {lowest.value:.2f} "
        f"({lowest.name}, {lowest.note}) to {highest.value:.2f} ({highest.name}, {highest.note}); "
        "every figure is in the table of groups."
    )
    return forest(f"AUC by subgroup: {place}", alt, "AUC of malignancy", rows)


def _group_table(place: str, axes: Mapping[str, Any]) -> Iterator[Block]:
    groups = [
        ((f"{name}: {group['group']}", f"{n_and_positives(group)} {axis['unit']}s"), group)
        for name, axis in axes.items()
        for group in axis["groups"]
    ]
    groups = [(names, group) for names, group in groups if _has_any(group)]
    if groups:
        yield Table(
            f"{place}: groups",
            ("Group", "n", "Patients", *(words for _, words in _FEATURES)),
            tuple(
                (*names, count(group["n_patients"]), *(figure(group.get(k)) for k, _ in _FEATURES))
                for names, group in groups
            ),
        )
        yield Table(
            f"{place}: decisions in groups",
            ("Group", "n", *(f"{kind}, {point}" for point in _POINTS for kind in _KINDS)),
            tuple(
                (
                    *names,
                    *(figure(group.get(p, {}).get(k.lower())) for p in _POINTS for k in _KINDS),
                )
                for names, group in groups
            ),
            note="At the two thresholds of the model's card.",
        )
    notes = [note for name, axis in axes.items() for note in _axis_notes(name, axis)]
    if notes:
        yield Text("Notes: " + "; ".join(notes) + ".")


def _has_any(group: Mapping[str, Any]) -> bool:
    """Say whether a group has any figure; the notes name groups without one."""
    nested = [one for point in _POINTS for one in group.get(point, {}).values()]
    return any(has_value(one) for one in [*group.values(), *nested])


def _axis_notes(name: str, axis: Mapping[str, Any]) -> Iterator[str]:
    if axis.get("note"):
        yield f"{name}: {axis['note']}"
    if axis.get("n_unknown"):
        yield f"{name}: {count(axis['n_unknown'])} {axis['unit']}s of unknown group"
    if not axis["groups"]:
        yield f"{name}: no groups can be distinguished"
    for group in axis["groups"]:
        if "note" in group:
            yield f"{name}, {group['group']}: {group['note']}"


def _gap_table(place: str, axes: Mapping[str, Any]) -> Iterator[Block]:
    groups = [
        (f"{name}: {group['group']}", group)
        for name, axis in axes.items()
        for group in axis["groups"]
        if group.get("gaps")
    ]
    tested = [key for key in _MEASURES if any(key in group["gaps"] for _, group in groups)]
    if groups:
        yield Table(
            f"{place}: gaps to the rest",
            ("Group", "n", *(_MEASURES[key] for key in tested)),
            tuple(
                (name, n_and_positives(group), *(_gap(group["gaps"].get(key)) for key in tested))
                for name, group in groups
            ),
            note="p is the p-value for no gap, first uncorrected, then corrected.",
        )


def _gap(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "not tested"
    corrected = f", corrected {found['p_corrected']:.2g}" if "p_corrected" in found else ""
    return f"{figure(found)}; p {found['p_value']:.2g}{corrected}"


def localisation_blocks(found: Mapping[str, Any]) -> Iterator[Block]:
    """Show how well findings and maps agree with marked lesions."""
    yield Text(
        f"Images of {', '.join(found['datasets'])}, whose tables mark lesions. Two rules are used: "
        + "; ".join(str(rule) for rule in found["rules"].values())
        + "."
    )
    if lost := found.get("n_marked_without_map"):
        yield Alarm(
            f"{count(lost)} images with marked lesions gave no map and are not counted here."
        )
    yield from _targets(found, _main_target(found))


def localisation_details(found: Mapping[str, Any]) -> Iterator[Block]:
    """Show the same for the other kinds of lesion."""
    yield from _targets(found, [one for one in _TARGETS if one not in _main_target(found)])


def _main_target(found: Mapping[str, Any]) -> list[str]:
    return [target for target in _TARGETS if target in found][:1]


def _targets(found: Mapping[str, Any], targets: Sequence[str]) -> Iterator[Block]:
    for target in targets:
        if target in found:
            yield Heading(_TARGETS[target], f"localisation-{target}")
            yield from _target_blocks(_TARGETS[target], found[target])


def _target_blocks(title: str, target: Mapping[str, Any]) -> Iterator[Block]:
    yield Text(
        f"{count(target['n_lesions'])} lesions on {count(target['n_images_with_lesions'])} images, "
        f"and {count(target['n_images_without'])} images without any; "
        f"{count(target['n_patients'])} patients."
    )
    yield Table(
        f"{title}: findings and maps",
        ("Measure", "n", "Patients", "Figure", "By chance"),
        tuple(_place_rows(target)),
        frozenset({1, 2, 4}),
    )
    curves, spoken = [], []
    for rule, curve in target["froc"].items():
        if curve is None:
            continue
        points = curve["curve"]
        name = rule.replace("_", " ")
        curves.append(
            Curve(
                name,
                [point["false_marks_per_image"] for point in points],
                [point["sensitivity"] for point in points],
                steps=True,
            )
        )
        at_one = curve["sensitivity_at_false_marks_per_image"].get("1")
        spoken.append(f"{name}: sensitivity {figure(at_one)} at one false mark per image")
    if curves:
        yield plane(
            f"FROC: {title.lower()}",
            f"Share of lesions hit against false marks per image. {'; '.join(spoken)}.",
            ("False marks per image", "Share of lesions hit"),
            curves,
            x_limits=(0.0, max(0.5, *(max(curve.x) for curve in curves)) * 1.02),
            y_limits=(0.0, 1.02),
        )


def _place_rows(target: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for rule, found in target["findings"].items():
        for measure, one in (found or {}).items():
            yield _place_row(f"{_readable(measure)} ({_readable(rule)})", one)
    for measure in ("overlap", "pointing_game", "energy_in_lesion"):
        if has_value(target.get(measure)):
            yield _place_row(_readable(measure), target[measure])
    for rule, found in target["froc"].items():
        if found is None:
            continue
        for marks, one in found["sensitivity_at_false_marks_per_image"].items():
            yield _place_row(
                f"sensitivity at {marks} false marks per image ({_readable(rule)})", one
            )


def _place_row(name: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    chance = found.get("chance")
    return (
        name[0].upper() + name[1:],
        count(found.get("n")),
        count(found.get("n_patients")),
        figure(found),
        "" if chance is None else f"{chance:.3f}",
    )


def _readable(key: str) -> str:
    return key.replace("_", " ")
