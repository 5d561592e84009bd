"""What stands at the ends of a report: summary, data, methods, notes; failures and checklists."""

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
from mammolens.bench.report.document import Alarm, Block, Bullets, Sources, Table, Text
from mammolens.bench.report.phrases import (
    ALL,
    TASK_WORDS,
    UNIT_WORDS,
    count,
    figure,
    has_value,
    listed,
    model_name,
    scopes,
    sentence,
)
from mammolens.data.synthetic import synthetic_warnings

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
    "That the model helps anyone: no reader used it, and no patient was followed to an outcome.",
    "How it does elsewhere: on other scanners, another population or another time it may do worse "
    "without any sign.",
    "That predictive values and recall rates hold in screening: these data hold far more cancers "
    "than a screening population does, unless a prevalence is named.",
    "That a figure with few positives is what it looks like: read the interval, not the value.",
)
_METHODS: Final = (
    (
        "Units",
        "An image; a breast (all images of one side of one patient, pooled); a patient (the more "
        "suspicious breast). A breast or patient is positive if any labelled image of it is.",
    ),
    (
        "Labels",
        "Malignancy and tumour (benign or malignant), as the table says. An unknown label leaves "
        "its row out of the task; it is never taken for negative.",
    ),
    (
        "Unreadable images",
        "They have no score and count in no figure; a breast is scored by its other images, and "
        "one of which nothing could be read is counted as unscored, never as negative.",
    ),
    (
        "Ranking",
        "The area under the ROC curve, and, where given, its part at high specificity, the "
        "average precision and the probabilistic F1.",
    ),
    (
        "Thresholds",
        "Low and high are the model card's, and where they were fixed is said with them; if that "
        "was on patients who are judged here, Notes and warnings say so. Wanted points are fixed "
        "on other patients than those they are judged on.",
    ),
)


_PACKAGED: Final = "Probabilities are those that the model's package gives."
_PROBABILITIES: Final = {
    "mammolens.crossvalidation/1": "Probabilities are those of the one run that held a patient "
    "out, divided by a temperature fitted on the other folds; there is no package.",
    "mammolens.ensemble/1": "Probabilities are the mean of those of the runs, which are not "
    "calibrated; there is no package.",
}


def run_facts(metrics: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What identifies a run: model, data, software, digests."""
    known = {
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
    return tuple((name, str(value)) for name, value in known.items() if value)


def summary_blocks(metrics: Mapping[str, Any]) -> Iterator[Block]:
    """What was measured, on whom, what came out, and what must not be concluded."""
    for note in synthetic_warnings(metrics["datasets"]):
        yield Alarm(note.removeprefix(_WARNING) + ".")
    patients = metrics["malignancy"]["patient"]
    split = f"the split “{metrics['split']}” of " if metrics.get("split") else ""
    yield Text(
        f"What was measured: {model_name(metrics)}, on {split}"
        f"{listed(list(metrics['datasets']))}: {count(metrics.get('n_rows'))} images; "
        f"{count(patients['n'])} patients have a known label of malignancy and a score, "
        f"{count(patients['n_positive'])} of them positive."
    )
    lines = [_main_line(place, judged) for place, judged in scopes(metrics) if place != ALL]
    yield Text(
        "How well its probability of malignancy ranks, as the area under the ROC curve (0.5 is "
        "chance, 1 is perfect), with 95 % intervals from resampling patients:"
    )
    yield Bullets(tuple(lines))
    if lost := metrics.get("n_unreadable"):
        yield Alarm(
            f"{count(lost)} of {count(metrics.get('n_rows'))} images could not be read. They count "
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
                f"{place}: {figure(found['auc'])} by {UNIT_WORDS[unit]}, n {count(found['n'])}, "
                f"{count(found['n_positive'])} malignant{note}."
            )
    why = judged["malignancy"]["image"].get("note", "nothing could be ranked")
    return f"{place}: no figure; {why}."


def data_blocks(metrics: Mapping[str, Any]) -> Iterator[Block]:
    """How many images, breasts and patients, with and without cancer, and who was left out."""
    yield _judged_rows(metrics, "malignancy")


def data_details(metrics: Mapping[str, Any]) -> Iterator[Block]:
    """The same of every other task."""
    yield from (_judged_rows(metrics, task) for task in TASK_WORDS if task != "malignancy")


def _judged_rows(metrics: Mapping[str, Any], task: str) -> Table:
    head = ("Data set, unit", "n scored", "Positive", "Patients", "Unscored", "Unscored, +")
    rows = [
        (
            f"{place}, {UNIT_WORDS[unit]}",
            count(found["n"]),
            count(found["n_positive"]),
            count(found.get("n_patients")),
            count(found.get("n_unscored", 0)),
            count(found.get("n_positive_unscored", 0)),
        )
        for place, judged in scopes(metrics)
        for unit, found in judged[task].items()
    ]
    return Table(
        f"Who is judged: {TASK_WORDS[task]}",
        head,
        tuple(rows),
        frozenset(range(1, len(head))),
        "Scored: label known and at least one image readable. Unscored: label known, nothing "
        "readable; “+” those that are positive.",
    )


def method_blocks(metrics: Mapping[str, Any]) -> Iterator[Block]:
    """How figures and intervals come about."""
    bootstrap = metrics["bootstrap"]
    yield Table("Rules", ("What", "How"), _METHODS)
    yield Text(
        f"Intervals are 95 % percentile intervals from {count(bootstrap['draws'])} resamples of "
        f"whole patients (seed {bootstrap['seed']}): the images of one patient are drawn "
        "together or not at all. Where fewer than ten units of a class are there, the interval is "
        "given and flagged."
    )
    prior = metrics.get("prevalence")
    stand = f" They stand for a prevalence of {prior:.3g}." if isinstance(prior, float) else ""
    if len(metrics["datasets"]) > 1:
        yield Text(
            "Over all data sets together only ranking and calibration are shown, with a warning; "
            "decisions are shown per data set, and pooled ones stand in metrics.json alone."
        )
    yield Text(_PROBABILITIES.get(str(metrics["schema"]), f"{_PACKAGED}{stand}"))
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
    """The runs of a cross-validation or a vote, each by its best pass."""
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
            "The score is the AUC of malignancy by image within each data set, weighted by images; "
            "the pass was chosen by it, so that it leans to the bright side."
        )
        yield Table("Runs", head, tuple(rows), frozenset(range(1, len(head))), note)


def note_blocks(metrics: Mapping[str, Any]) -> Iterator[Block]:
    """Warnings of the run, each loud, and its notes."""
    said = [str(note) for note in metrics.get("notes") or ()]
    for note in said:
        if note.startswith(_WARNING):
            yield Alarm(sentence(note.removeprefix(_WARNING)) + ".")
    if notes := tuple(f"{sentence(note)}." for note in said if not note.startswith(_WARNING)):
        yield Bullets(notes)


def failure_blocks(metrics: Mapping[str, Any]) -> Iterator[Block]:
    """Images that could not be read, with the reason."""
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
    """What the run says to the items of a checklist, and which it leaves to the authors."""
    filled = fill(checklist.items, known)
    answered = [one for one in filled if one.place]
    whole = sum(one.state == REPORTED for one in answered)
    yield Text(
        f"{count(len(filled))} numbered items: {count(whole)} reported by this run, "
        f"{count(len(answered) - whole)} in part, {count(len(filled) - len(answered))} left to the "
        "authors. Official numbers, our words; the run fills in only what it knows."
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
