"""The report of two evaluations side by side, with paired differences on the same images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

from mammolens.bench.report.charts import ForestRow, forest
from mammolens.bench.report.document import (
    ALL,
    TASK_WORDS,
    Alarm,
    Block,
    Bullets,
    Document,
    Heading,
    Section,
    Sources,
    Table,
    Text,
    count,
    datasets_and_all,
    figure,
    model_name,
    n_and_positives,
)
from mammolens.bench.report.overview import run_facts
from mammolens.bench.report.performance import flat_figures
from mammolens.bench.report.run_folder import Run, read_predictions, unread
from mammolens.bench.units import UNITS, ImageResult, Sample, interval_json, units_of
from mammolens.data.summary import synthetic_warnings
from mammolens.errors import InvalidManifest
from mammolens.metrics import auc_difference, auc_interval, delong_test

__all__ = ["Pairing", "build_comparison", "pair_rows"]

Key = tuple[str, str]
Results = list[ImageResult]

_FEWEST: Final = 2


@dataclass(frozen=True)
class Pairing:
    """The images that both runs judged, as results of each run; or why no image is paired."""

    first: Results
    second: Results
    refusal: str = ""


def build_comparison(first: Run, second: Run, *, common: bool) -> Document:
    """Make the document of two evaluations side by side.

    Parameters
    ----------
    common
        If the tables differ, pair the images that both have.

    Raises
    ------
    InvalidManifest
        If predictions cannot be read, or an image has different labels in the two runs.
    """
    pairing = pair_rows(first, second, common=common)
    sections = [
        Section("Summary", "summary", tuple(_summary(first, second, pairing))),
        Section("The two runs", "runs", (_identity(first, second),)),
        Section(
            "Paired differences", "paired", tuple(_paired(first.metrics["bootstrap"], pairing))
        ),
        Section("Figures side by side", "figures", tuple(_side_by_side(first, second))),
    ]
    return Document(
        title=f"{model_name(first.metrics)} (A) and {model_name(second.metrics)} (B) side by side",
        facts=(("A", _facts_line(first)), ("B", _facts_line(second))),
        sections=tuple(sections),
    )


def pair_rows(first: Run, second: Run, *, common: bool) -> Pairing:
    """Pair the images of two runs.

    Raises
    ------
    InvalidManifest
        If an image has different labels, or different patients, in the two runs.
    """
    one, other = read_predictions(first.folder), read_predictions(second.folder)
    shared = [key for key in one if key in other]
    for key in shared:
        _check_same(key, one[key], other[key], second.folder)
    same = first.metrics["manifest_digest"] == second.metrics["manifest_digest"] and len(
        shared
    ) == len(one) == len(other)
    if not shared:
        return Pairing([], [], "they have no image in common")
    if not same and not common:
        return Pairing(
            [],
            [],
            f"their tables differ (of {count(len(one))} and {count(len(other))} images "
            f"{count(len(shared))} are common); choose the common ones with --common",
        )
    read = {key for key in shared if one[key].scores and other[key].scores}
    first_results, second_results = (
        [run[key] if key in read else unread(run[key].record) for key in shared]
        for run in (one, other)
    )
    return Pairing(first_results, second_results)


def _check_same(key: Key, one: ImageResult, other: ImageResult, folder: Path) -> None:
    if one.record != other.record:
        raise InvalidManifest(
            f"image {key[1]!r} of {key[0]!r} has another label, patient or laterality "
            "than in the first run, so the two cannot be compared",
            source=str(folder / "predictions.csv"),
            keyword="label_malignant",
            remedy="Evaluate both models on the same table",
        )


def _facts_line(run: Run) -> str:
    facts = dict(run_facts(run.metrics))
    return f"{facts['Model']}; {facts['Data sets']}; {facts['Split']}; {facts.get('Evaluated', '')}"


def _identity(first: Run, second: Run) -> Table:
    one, other = dict(run_facts(first.metrics)), dict(run_facts(second.metrics))
    names = list(dict.fromkeys([*one, *other]))
    rows = tuple((name, one.get(name, "unknown"), other.get(name, "unknown")) for name in names)
    return Table("Identification of the two runs", ("", "A", "B"), rows)


def _summary(first: Run, second: Run, pairing: Pairing) -> Iterator[Block]:
    for note in synthetic_warnings([*first.metrics["datasets"], *second.metrics["datasets"]]):
        yield Alarm(note.removeprefix("WARNING: ") + ".")
    yield Text(f"A is {model_name(first.metrics)}, B is {model_name(second.metrics)}.")
    if first.metrics["manifest_digest"] != second.metrics["manifest_digest"]:
        yield Alarm(
            "The two runs used different tables (their digests differ). So their figures differ "
            "because of the images as well as because of the models."
        )
    if pairing.refusal:
        yield Alarm(f"No paired figure is given: {pairing.refusal}.")
    else:
        read = sum(one.scores is not None for one in pairing.first)
        yield Text(
            f"{count(len(pairing.first))} images are in both runs with the same labels; "
            f"{count(read)} were read by both and are paired."
        )
    yield Text("Do not conclude from this report:")
    yield Bullets(
        (
            "That a model is better for patients: no reader used either model.",
            "That two models are equal because no difference is seen: look at the width of the "
            "interval.",
            "That a single small p-value is proof: several differences are shown, and they are not "
            "corrected for their number.",
        )
    )


def _paired(bootstrap: Mapping[str, Any], pairing: Pairing) -> Iterator[Block]:
    if pairing.refusal:
        yield Alarm(f"None: {pairing.refusal}.")
        return
    names = sorted({one.record.dataset for one in pairing.first})
    places = [*names, *([ALL] if len(names) > 1 else [])]
    found = [
        difference
        for place, task, unit in product(places, TASK_WORDS, UNITS)
        if (difference := _difference(pairing, place, task, unit, bootstrap))
    ]
    if not found:
        yield Text("None: no data set has labels of both classes among the paired images.")
        return
    yield Text(
        "AUC of A minus AUC of B on the same images, with the 95 % interval from resampling "
        "patients, both models in the same draw. DeLong's test assumes independent rows, so it is "
        "given for patients only."
    )
    head = ("Data set", "Task", "Unit", "n", "Patients", "AUC A", "AUC B", "A − B", "DeLong p")
    rows = tuple(row for row, _ in found)
    yield Table("Paired differences of AUC", head, rows, frozenset({4, 8}))
    yield forest(
        "AUC of A minus AUC of B",
        "Paired differences of AUC with 95 % intervals; above 0 A ranks better. The figures are "
        "in the table above.",
        "AUC of A − AUC of B",
        [shown for _, shown in found],
        reference=0.0,
    )
    yield Sources(
        (
            (
                "DeLong et al. 1988, comparing correlated ROC areas.",
                "https://doi.org/10.2307/2531595",
            ),
        )
    )


def _difference(
    pairing: Pairing, place: str, task: str, unit: str, bootstrap: Mapping[str, Any]
) -> tuple[tuple[str, ...], ForestRow] | None:
    """Give a row of the table and of the forest plot; ``None`` if labels are of one class."""
    one, other = (
        Sample.of(units_of((r for r in run if place in (r.record.dataset, ALL)), task, unit), task)
        for run in (pairing.first, pairing.second)
    )
    if one.one_class:
        return None
    labels, patients = one.labels, one.patients
    settings = {"draws": int(bootstrap["draws"]), "seed": int(bootstrap["seed"])}
    apart = auc_difference(labels, one.scores, other.scores, patients, **settings)
    areas = (
        *(auc_interval(labels, sample.scores, patients, **settings) for sample in (one, other)),
        apart,
    )
    testable = unit == "patient" and min(labels.sum(), (~labels).sum()) >= _FEWEST
    p_value = delong_test(labels, one.scores, other.scores).p_value if testable else None
    row = (
        *(place, task, unit, n_and_positives(one.counts), count(one.counts["n_patients"])),
        *(figure(interval_json(area)) for area in areas),
        "" if p_value is None else f"{p_value:.3g}",
    )
    name = f"{'all' if place == ALL else place}, {task}, {unit}"
    note = f"n {one.counts['n']}"
    return row, ForestRow(name, apart.value, apart.low, apart.high, note)


def _side_by_side(first: Run, second: Run) -> Iterator[Block]:
    one, other = dict(datasets_and_all(first.metrics)), dict(datasets_and_all(second.metrics))
    for number, place in enumerate(dict.fromkeys([*one, *other])):
        yield Heading(place, f"figures-{number}")
        if place not in one or place not in other:
            yield Alarm(f"Only {'A' if place in one else 'B'} was measured on this data set.")
        for task, words in TASK_WORDS.items():
            here, there = one.get(place, {}).get(task, {}), other.get(place, {}).get(task, {})
            rows = tuple(_rows(here, there))
            if rows:
                head = ("Unit and measure", "A", "n, A", "B", "n, B")
                yield Table(f"{place}: {words}", head, rows)


def _rows(here: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for unit in UNITS:
        ours, theirs = here.get(unit, {}), there.get(unit, {})
        own, others = flat_figures(ours), flat_figures(theirs)
        for name in dict.fromkeys([*own, *others]):
            yield (
                f"{unit}: {name}",
                figure(own.get(name)),
                n_and_positives(ours) if name in own else "none",
                figure(others.get(name)),
                n_and_positives(theirs) if name in others else "none",
            )
