"""Sections on how well a model ranks: tables and curves per data set, radiologists beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mammolens.bench.report.charts import Curve, Spot, plane
from mammolens.bench.report.document import Alarm, Block, Figure, Heading, Table, Text
from mammolens.bench.report.words import (
    ALL,
    TASK_WORDS,
    UNIT_WORDS,
    count,
    counted,
    figure,
    has_value,
    scopes,
    sentence,
)

__all__ = ["discrimination_blocks", "flat_figures", "measure_name", "readers_blocks"]

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
_CHANGES: Final = {
    "false_negatives_found": "Cancers that the readers missed and the model would recall",
    "true_positives_lost": "Cancers that the readers recalled and the model would miss",
    "false_positives_spared": "False recalls of the readers that the model would spare",
    "true_negatives_recalled": "Women whom the readers cleared and the model would recall",
}


def measure_name(key: str) -> str:
    """Name a key of metrics.json as a reader does.

    Examples
    --------
    >>> measure_name("balanced_accuracy"), measure_name("auc")
    ('Balanced accuracy', 'AUC')
    """
    return _NAMES.get(key, sentence(key.replace("_", " ")))


def flat_figures(found: Mapping[str, Any]) -> dict[str, Any]:
    """Every figure in a dict by its name, those of a nested dict by both names."""
    flat: dict[str, Any] = {}
    for key, value in found.items():
        if has_value(value):
            flat[measure_name(key)] = value
        elif isinstance(value, Mapping):
            nested = {f"{measure_name(key)} {k}": one for k, one in value.items() if has_value(one)}
            flat |= nested
    return flat


def discrimination_blocks(metrics: Mapping[str, Any]) -> Iterator[Block]:
    """How well scores rank, per data set, task and unit."""
    for number, (place, judged) in enumerate(scopes(metrics)):
        yield Heading(place, f"discrimination-{number}")
        if place == ALL:
            yield Alarm(
                "Figures over several data sets also measure how far the sources can be told "
                "apart; read them per data set."
            )
        for task, words in TASK_WORDS.items():
            yield from _task_blocks(place, words, judged[task])
        if "without_age" in judged:
            yield from _ageless(place, judged)
        for task in TASK_WORDS:
            yield from _curves(place, task, judged)


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
        yield Text(f"{sentence(words)}: no figure. {'; '.join(notes)}.")
        return
    rows = [
        ("n", *(counted(found) for found in by_unit.values())),
        ("Patients", *(count(found.get("n_patients")) for found in by_unit.values())),
        *((name, *(figure(found.get(name)) for found in flat.values())) for name in measures),
    ]
    yield Table(
        f"{place}: {words}",
        ("Measure", *(f"By {UNIT_WORDS[unit]}" for unit in by_unit)),
        tuple(rows),
        note="; ".join(notes),
    )


def _ageless(place: str, judged: Mapping[str, Any]) -> Iterator[Block]:
    rows = [
        (
            f"{task}, {UNIT_WORDS[unit]}",
            counted(found),
            figure(judged[task][unit].get("auc")),
            figure(found.get("auc")),
        )
        for task in TASK_WORDS
        for unit, found in judged["without_age"][task].items()
        if has_value(found.get("auc"))
    ]
    if rows:
        yield Table(
            f"{place}: what the age adds to the pictures",
            ("Task and unit", "n", "AUC with age", "AUC of the pictures alone"),
            tuple(rows),
        )


def _curves(place: str, task: str, judged: Mapping[str, Any]) -> Iterator[Figure]:
    drawn = {unit: c for unit, c in judged.get("curves", {}).get(task, {}).items() if c}
    if not drawn:
        return
    spoken = "; ".join(
        f"by {unit} AUC {figure(judged[task][unit]['auc'])}, n {counted(one)}"
        for unit, one in drawn.items()
    )
    spots = list(_reader_spots(judged)) if task == "malignancy" else []
    beside = f" Beside it: {'; '.join(spot.name for spot in spots)}." if spots else ""
    yield plane(
        f"ROC, {task}: {place}",
        f"ROC curve of {task}, {place}: sensitivity against 1 − specificity. {sentence(spoken)}."
        f"{beside}",
        ("1 − specificity", "Sensitivity"),
        [
            Curve(
                f"by {unit}, AUC {judged[task][unit]['auc']['value']:.3f}, n {count(one['n'])}",
                one["roc"]["false_positive_rate"],
                one["roc"]["true_positive_rate"],
            )
            for unit, one in drawn.items()
        ],
        spots=spots,
        reference=((0.0, 0.0), (1.0, 1.0)),
    )
    precision = "; ".join(
        f"by {unit} average precision {figure(judged[task][unit].get('average_precision'))}, "
        f"n {counted(one)}"
        for unit, one in drawn.items()
    )
    yield plane(
        f"Precision–recall, {task}: {place}",
        f"Precision against sensitivity (recall), {task}, {place}. {sentence(precision)}. The "
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


def _reader_spots(judged: Mapping[str, Any]) -> Iterator[Spot]:
    readers = judged.get("readers")
    if not readers:
        return
    registry = readers["registry"]
    yield Spot(
        f"BCSC readers: sensitivity {registry['sensitivity']}, specificity "
        f"{registry['specificity']}",
        [1 - registry["specificity"]],
        [registry["sensitivity"]],
    )
    unit, own = _own_readers(readers["birads"])
    if own:
        yield Spot(
            f"their own readers, by BI-RADS ({unit}, n {count(own['n'])})",
            own["roc"]["false_positive_rate"],
            own["roc"]["true_positive_rate"],
            marker="x",
        )


def _own_readers(birads: Mapping[str, Any]) -> tuple[str, Mapping[str, Any] | None]:
    found = {u: one for u, one in birads.items() if isinstance(one, Mapping) and "roc" in one}
    unit = _BY_UNIT if _BY_UNIT in found else next(iter(found), "")
    return unit, found.get(unit)


def readers_blocks(metrics: Mapping[str, Any]) -> Iterator[Block]:
    """The model beside radiologists: a registry's, and those who read these images."""
    places = [
        (place, one["readers"]) for place, one in metrics["datasets"].items() if one.get("readers")
    ]
    if not places:
        return
    registry = places[0][1]["registry"]
    yield Text(f"{registry['source']}. Beware: {registry['note']}.")
    rows, notes = [], []
    for place, one in places:
        for unit, found in _units(one["registry"]):
            if "note" in found:
                notes.append(f"{place}, {unit}: {found['note']}")
                continue
            rows.append(
                (
                    f"{place}, {unit}",
                    counted(found),
                    figure(found["sensitivity"]),
                    figure(found["sensitivity_difference"]),
                    figure(found["specificity"]),
                    figure(found["specificity_difference"]),
                )
            )
    if rows:
        yield Table(
            f"At the registry's point: sensitivity at specificity {registry['specificity']}, "
            f"specificity at sensitivity {registry['sensitivity']}",
            ("Data set, unit", "n", "Sensitivity", "less theirs", "Specificity", "less theirs"),
            tuple(rows),
            note="; ".join(notes),
        )
    yield from _birads_blocks(places)


def _birads_blocks(places: list[tuple[str, Mapping[str, Any]]]) -> Iterator[Block]:
    rows, notes, changes = [], list[str](), []
    for place, one in places:
        for unit, found in _units(one["birads"]):
            if "difference" not in found:
                notes.append(f"{place}, {unit}: {found.get('note', 'no reading')}")
                continue
            rows += [
                (
                    f"{place}, {unit}",
                    counted(found),
                    words,
                    figure(found["readers"][key]),
                    figure(found["model"][model]),
                    figure(found["difference"][key]),
                )
                for words, key, model in (
                    ("AUC", "auc", "auc"),
                    (
                        "Sensitivity at their specificity",
                        "sensitivity",
                        "sensitivity_at_their_specificity",
                    ),
                    (
                        "Specificity at their sensitivity",
                        "specificity",
                        "specificity_at_their_sensitivity",
                    ),
                )
            ]
            changes += _changed(place, unit, found)
    if rows:
        head = ("Data set, unit", "n", "Measure", "Readers", "Model", "Model − readers")
        yield Table("Those who read these images (BI-RADS)", head, tuple(rows))
    if changes:
        yield Table(
            "Whose recall would change if the model decided at the readers' specificity",
            ("Data set, unit", "n", "Change", "Count"),
            tuple(changes),
            note="Counts of these very units; no figure is estimated from them.",
        )
    if notes:
        yield Text(f"Not compared with their own readers: {'; '.join(notes)}.")


def _changed(place: str, unit: str, found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    changes = found.get("changes", {})
    return [
        (f"{place}, {unit}", counted(found), words, count(changes[key]))
        for key, words in _CHANGES.items()
        if key in changes
    ]


def _units(found: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return ((unit, found[unit]) for unit in UNIT_WORDS if unit in found)
