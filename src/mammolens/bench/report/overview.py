"""The first and last sections of a report: summary, data, methods, notes; failures, checklists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mammolens.bench.report.checklist import (
    DEVELOPMENT,
    OPEN,
    REPORTED,
    Checklist,
    Known,
    fill,
)
from mammolens.bench.report.document import (
    ALL,
    TASK_WORDS,
    Alarm,
    Block,
    Bullets,
    Sources,
    Table,
    Text,
    capitalise,
    count,
    datasets_and_all,
    figure,
    has_value,
    join_words,
    known_facts,
    model_name,
)
from mammolens.data.summary import synthetic_warnings

__all__ = [
    "checklist_blocks",
    "data_blocks",
    "data_details",
    "failure_blocks",
    "fold_blocks",
    "method_blocks",
    "note_blocks",
    "run_facts",
    "summary_blocks",
]

_UNIT_FOR_WORDS: Final = ("breast", "image", "patient")
_SHOWN_FAILURES: Final = 200
_WARNING: Final = "WARNING: "
_NOT_TO_CONCLUDE: Final = (
    "That the model helps patients: no reader used it, and no patient was followed to an outcome.",
    "That it works elsewhere: on other scanners, in another population or at another time it may "
    "do worse without any sign.",
    "That predictive values and recall rates are valid in screening: these data have far more "
    "cancers than a screening population, unless a prevalence is given.",
    "That a figure from few positives is precise: read the interval, not the value.",
)
_METHODS: Final = (
    (
        "Units",
        "An image; a breast (all images of one breast of one patient, pooled); a patient (the more "
        "suspicious breast). A breast or patient is positive if any of its labelled images is.",
    ),
    (
        "Labels",
        "Malignancy and tumour (benign or malignant), as in the table. A row with an unknown label "
        "is left out of the task; it never counts as negative.",
    ),
    (
        "Unreadable images",
        "They have no score and are in no figure. A breast is scored by its other images. A breast "
        "without a readable image counts as unscored, never as negative.",
    ),
    (
        "Ranking",
        "The area under the ROC curve and, where given, its part at high specificity, the average "
        "precision and the probabilistic F1.",
    ),
    (
        "Thresholds",
        "Low and high come from the model card, and the text below their table says on which data "
        "they were fixed. If that was on patients who are judged here, Notes and warnings say so. "
        "Points for a requested figure are fixed on other patients than those they are judged on.",
    ),
)


_PACKAGED: Final = "Probabilities are those of the model's package."
_PROBABILITIES: Final = {
    "mammolens.crossvalidation/1": "Probabilities of a patient are those of the run that held the "
    "patient out; its logits are divided by a temperature fitted on the other folds. There is no "
    "model package.",
    "mammolens.ensemble/1": "Probabilities are the mean over the runs and are not calibrated. "
    "There is no model package.",
}


def run_facts(metrics: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Give the facts that identify a run: model, data, software, digests."""
    facts = {
        "Model": model_name(metrics),
        "Model digest (SHA-256)": (metrics["model"] or {}).get("digest"),
        "Predictions digest (SHA-256)": (metrics.get("predictions") or {}).get("sha256"),
        "Data sets": ", ".join(metrics["datasets"]),
        "Split": metrics.get("split") or "every row of the table",
        "Table digest": metrics["manifest_digest"],
        "Split digest": metrics.get("split_digest"),
        "Evaluated": metrics.get("created"),
        "Software": metrics.get("software"),
    }
    return known_facts(facts)


def summary_blocks(metrics: Mapping[str, Any]) -> Iterator[Block]:
    """Summarise what was measured on which patients, the results, and what not to conclude."""
    for note in synthetic_warnings(metrics["datasets"]):
        yield Alarm(note.removeprefix(_WARNING) + ".")
    patients = metrics["malignancy"]["patient"]
    split = f"the split “{metrics['split']}” of " if metrics.get("split") else ""
    yield Text(
        f"What was measured: {model_name(metrics)}, on {split}"
        f"{join_words(list(metrics['datasets']))}: {count(metrics.get('n_rows'))} images; "
        f"{count(patients['n'])} patients have a known label of malignancy and a score, "
        f"{count(patients['n_positive'])} of them positive."
    )
    lines = [
        _main_line(place, judged) for place, judged in datasets_and_all(metrics) if place != ALL
    ]
    yield Text(
        "How well its probability of malignancy ranks, as the area under the ROC curve (0.5 is "
        "chance, 1 is perfect), with 95 % intervals from resampling patients:"
    )
    yield Bullets(tuple(lines))
    if lost := metrics.get("n_unreadable"):
        yield Alarm(
            f"{count(lost)} of {count(metrics.get('n_rows'))} images could not be read. They are "
            "in no figure; see Failures."
        )
    yield Text("Do not conclude from this report:")
    yield Bullets(_NOT_TO_CONCLUDE)


def _main_line(place: str, judged: Mapping[str, Any]) -> str:
    for unit in _UNIT_FOR_WORDS:
        found = judged["malignancy"][unit]
        if has_value(found.get("auc")):
            note = f" ({found['note']})" if "note" in found else ""
            return (
                f"{place}: {figure(found['auc'])} by {unit}, n {count(found['n'])}, "
                f"{count(found['n_positive'])} malignant{note}."
            )
    why = judged["malignancy"]["image"].get("note", "no images could be ranked")
    return f"{place}: no figure; {why}."


def data_blocks(metrics: Mapping[str, Any]) -> Iterator[Block]:
    """Count images, breasts and patients, with and without cancer, scored and unscored."""
    yield _judged_rows(metrics, "malignancy")


def data_details(metrics: Mapping[str, Any]) -> Iterator[Block]:
    """Show the same for the other tasks."""
    yield from (_judged_rows(metrics, task) for task in TASK_WORDS if task != "malignancy")


def _judged_rows(metrics: Mapping[str, Any], task: str) -> Table:
    head = ("Data set, unit", "n scored", "Positive", "Patients", "Unscored", "Unscored, +")
    rows = [
        (
            f"{place}, {unit}",
            count(found["n"]),
            count(found["n_positive"]),
            count(found.get("n_patients")),
            count(found.get("n_unscored", 0)),
            count(found.get("n_positive_unscored", 0)),
        )
        for place, judged in datasets_and_all(metrics)
        for unit, found in judged[task].items()
    ]
    return Table(
        f"Judged images, breasts and patients: {TASK_WORDS[task]}",
        head,
        tuple(rows),
        frozenset(range(1, len(head))),
        "Scored: the label is known and at least one image is readable. Unscored: the label is "
        "known, but no image is readable; “+” counts the positive ones.",
    )


def method_blocks(metrics: Mapping[str, Any]) -> Iterator[Block]:
    """Explain how figures and intervals are computed."""
    bootstrap = metrics["bootstrap"]
    yield Table("Rules", ("What", "How"), _METHODS)
    yield Text(
        f"Intervals are 95 % percentile intervals from {count(bootstrap['draws'])} resamples of "
        f"whole patients (seed {bootstrap['seed']}): the images of one patient are drawn "
        "together or not at all. If a class has fewer than ten units, the interval is given with a "
        "note."
    )
    prior = metrics.get("prevalence")
    at_prior = (
        f" They are valid at a prevalence of {prior:.3g}." if isinstance(prior, float) else ""
    )
    if len(metrics["datasets"]) > 1:
        yield Text(
            "Over all data sets together only ranking and calibration are shown, with a warning. "
            "Decisions are shown per data set; pooled decisions are in metrics.json only."
        )
    yield Text(_PROBABILITIES.get(str(metrics["schema"]), f"{_PACKAGED}{at_prior}"))
    yield Sources(
        (
            ("Cluster bootstrap: Field and Welsh 2007.", _doi("10.1111/j.1467-9868.2007.00593.x")),
            ("Decision curves: Vickers and Elkin 2006.", _doi("10.1177/0272989X06295361")),
            (
                "Readers in screening (BCSC): Lehman et al. 2017, sensitivity 86.9 %, specificity "
                "88.9 %.",
                _doi("10.1148/radiol.2016161174"),
            ),
        )
    )


def fold_blocks(metrics: Mapping[str, Any]) -> Iterator[Block]:
    """Show the runs of a cross-validation or a vote, each with its best pass."""
    runs = metrics.get("folds") or metrics.get("members") or ()
    rows = [
        (
            str(one.get("run", f"fold {number}")),
            str(int(one["best"]["epoch"]) + 1),
            f"{one['best']['score']:.3f}",
            count(one.get("images", metrics.get("n_rows"))),
            f"{one['temperature']:.2f}" if "temperature" in one else "none",
        )
        for number, one in enumerate(runs)
    ]
    if rows:
        head = ("Run", "Best pass", "Score", "Images", "Temperature")
        note = (
            "The score is the AUC of malignancy by image within each data set, weighted by images. "
            "The pass was chosen by this score, so the score is optimistic."
        )
        yield Table("Runs", head, tuple(rows), frozenset(range(1, len(head))), note)


def note_blocks(metrics: Mapping[str, Any]) -> Iterator[Block]:
    """Show the warnings of the run as alarms, and its other notes as a list."""
    lines = [str(note) for note in metrics.get("notes") or ()]
    for line in lines:
        if line.startswith(_WARNING):
            yield Alarm(capitalise(line.removeprefix(_WARNING)) + ".")
    if notes := tuple(f"{capitalise(line)}." for line in lines if not line.startswith(_WARNING)):
        yield Bullets(notes)


def failure_blocks(metrics: Mapping[str, Any]) -> Iterator[Block]:
    """List the images that could not be read, with the reason."""
    failed = metrics.get("unreadable") or []
    if not failed:
        lost = metrics.get("n_unreadable")
        yield Text(
            f"{count(lost)} images could not be read; predictions.csv gives the reasons."
            if lost
            else "Every image could be read."
        )
        return
    rows = tuple(
        (str(one["path"]), str(one["error"]), str(one["message"]))
        for one in failed[:_SHOWN_FAILURES]
    )
    more = len(failed) - len(rows)
    yield Table(
        f"{count(len(failed))} images without a score",
        ("File", "Error", "Reason"),
        rows,
        note=f"and {count(more)} more, in metrics.json" if more else "",
    )


def checklist_blocks(checklist: Checklist, known: Known) -> Iterator[Block]:
    """Show the run's answers to a checklist, and the items that the authors must fill."""
    filled = fill(checklist.items, known)
    answered = [one for one in filled if one.place]
    whole = sum(one.state == REPORTED for one in answered)
    yield Text(
        f"{count(len(filled))} numbered items: {count(whole)} reported by this run, "
        f"{count(len(answered) - whole)} in part, {count(len(filled) - len(answered))} left to the "
        "authors. The numbers are official and the texts are ours; the run states only what it "
        "knows."
    )
    yield Sources(((checklist.citation, checklist.address),))
    yield Table(
        checklist.name,
        ("Item", "Topic, what to report", "State", "What the run says", "Where"),
        tuple(
            (one.item.number, f"{one.item.topic}: {one.item.ask}", one.state, one.words, one.place)
            for one in answered
        ),
    )
    for state in (OPEN, DEVELOPMENT):
        left = [one.item for one in filled if one.state == state]
        if left:
            yield Table(
                f"{checklist.name}, {state}",
                ("Item", "Topic", "What to report"),
                tuple((item.number, item.topic, item.ask) for item in left),
            )


def _doi(name: str) -> str:
    return f"https://doi.org/{name}"
