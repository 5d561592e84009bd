"""The report of a comparison of models: ``compare.json`` → its document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mammolens.bench.report.document import (
    Block,
    Bullets,
    Document,
    Heading,
    Pictures,
    Section,
    ShownCase,
    Table,
    Text,
    capitalise,
    figure,
    known_facts,
)
from mammolens.bench.report.overview import note_blocks
from mammolens.bench.report.run_folder import complete
from mammolens.bench.units import UNIT_PLURALS

__all__ = ["COMPARE_FILE", "COMPARE_SCHEMA", "build_compared"]

COMPARE_FILE: Final = "compare.json"
COMPARE_SCHEMA: Final = "mammolens.comparison/1"

_HEADINGS: Final = {  # verdict of a claim → the heading above such claims
    "holds": "What holds",
    "the reverse": "The reverse holds",
    "not shown": "What is not shown",
    "too few": "Too few cases to decide",
}
_OPERATING_POINT: Final = "high"
_CONFUSION_ORDER: Final = ("true_positive", "false_negative", "false_positive", "true_negative")


def build_compared(document: Mapping[str, Any], pictures: Sequence[Path] = ()) -> Document:
    """Make the report of a comparison; it becomes the page, the PDF and ``compare.md``.

    Parameters
    ----------
    pictures
        PNG files of its figures.

    Raises
    ------
    InvalidManifest
        If a key is missing from `document`.
    """
    with complete("the comparison lacks", COMPARE_FILE, "the comparison"):
        unit = UNIT_PLURALS[document["unit"]]
        sections = (
            Section("Summary", "summary", tuple(_summary(document))),
            Section("Notes and warnings", "notes", tuple(note_blocks(document))),
            Section(
                f"AUC of malignancy, {unit}",
                "ranking",
                (_areas(document, "malignancy", document["unit"]),),
                tuple(_further(document)),
            ),
            Section(f"Decisions, {unit}", "decisions", tuple(_decisions(document))),
            Section(
                f"{document['reference']} against the others, {unit}",
                "differences",
                (_differences(document),),
            ),
            Section("Models", "models", (_models(document),)),
            Section("Curves and confusion", "figures", tuple(_figure_blocks(pictures))),
        )
    facts = {
        "Table": document["table"],
        "Side": document["split"],
        "Reference": document["reference"],
        "Table digest": document.get("manifest_digest"),
        "Split digest": document.get("split_digest"),
        "Compared": document.get("created"),
        "Software": document.get("software"),
    }
    return Document(
        title=f"Comparison of {len(document['models'])} models",
        facts=known_facts(facts),
        sections=tuple(section for section in sections if section.blocks),
    )


def _summary(document: Mapping[str, Any]) -> Iterator[Block]:
    lost = document["n_rows"] - document["n_common"]
    yield Text(
        f"{len(document['models'])} models on {document['n_common']} images of the side "
        f"{document['split']} of {document['table']}"
        + (f" ({lost} could not be scored by all)" if lost else "")
        + f"; 95 % intervals from {document['bootstrap']['draws']:,} resamples of patients. "
        f"The reference is {document['reference']}."
    )
    for verdict, heading in _HEADINGS.items():
        words = [one["words"] for one in document["claims"] if one["verdict"] == verdict]
        if words:
            yield Heading(heading, f"claims-{verdict.replace(' ', '-')}")
            yield Bullets(tuple(f"{capitalise(line)}." for line in words))


def _areas(document: Mapping[str, Any], task: str, unit: str) -> Block:
    """Make a table of AUCs: a row for each model, a column for each data set with both labels."""
    judged = {
        name: tasks[task][unit]
        for name, tasks in document["datasets"].items()
        if tasks[task].get(unit, {}).get("models")
    }
    caption = "Malignant or not" if task == "malignancy" else "Tumour or none"
    if not judged:
        return Text(f"{caption}, {UNIT_PLURALS[unit]}: no data set has both labels.")
    heads = (f"{name} ({one['n']}, {one['n_positive']} positive)" for name, one in judged.items())
    rows = (
        (
            model["name"],
            *(figure(one["models"].get(model["name"], {}).get("auc")) for one in judged.values()),
        )
        for model in document["models"]
    )
    return Table(f"{caption}, {UNIT_PLURALS[unit]}", ("Model", *heads), tuple(rows))


def _further(document: Mapping[str, Any]) -> Iterator[Block]:
    """Show the AUCs of the other units, and of tumours in the primary unit."""
    first = next(iter(document["datasets"].values()))["malignancy"]
    yield from (_areas(document, "malignancy", u) for u in first if u != document["unit"])
    yield _areas(document, "tumour", document["unit"])


def _decisions(document: Mapping[str, Any]) -> Iterator[Block]:
    origins: dict[str, list[str]] = {}
    for model in document["models"]:
        origins.setdefault(model["thresholds"]["fixed_on"], []).append(model["name"])
    units = "lesions" if document["unit"] == "image" else "patients"
    yield Text(
        f"At each model's threshold for a specificity of 90 % of {units}: "
        + "; ".join(f"{', '.join(names)}: {origin}" for origin, names in origins.items())
        + "."
    )
    for name, tasks in document["datasets"].items():
        judged = tasks["malignancy"][document["unit"]]
        if not judged["models"]:
            yield Text(f"{name}: {judged['note']}.")
            continue
        points = {model: one["points"][_OPERATING_POINT] for model, one in judged["models"].items()}
        first = next(iter(points.values()))
        measures = [key for key in first if key not in ("threshold", "confusion")]
        rows = tuple(
            (
                model,
                *(figure(point[key], 2) for key in measures),
                ", ".join(str(point["confusion"][key]) for key in _CONFUSION_ORDER),
            )
            for model, point in points.items()
        )
        caption = f"{name}: {judged['n']}, {judged['n_positive']} malignant"
        yield Table(caption, ("Model", *measures, "hit, missed, false, cleared"), rows)


def _differences(document: Mapping[str, Any]) -> Block:
    head = ("Data set", "Other model", "AUC difference", "p", "corrected", "McNemar, corrected")
    rows = tuple(
        (
            name,
            one["model"],
            figure(one["auc_difference"]),
            _p(one["p_value"]),
            _corrected(one, one),
            _corrected(one, one["mcnemar"]),
        )
        for name, tasks in document["datasets"].items()
        for one in tasks["malignancy"][document["unit"]]["differences"]
    )
    if not rows:
        return Text("There is no other model to compare it with.")
    return Table("AUC of the reference minus AUC of the other model", head, rows)


def _corrected(one: Mapping[str, Any], test: Mapping[str, Any]) -> str:
    """Give the corrected p-value of a test, or why it is outside the family of tests."""
    if one["few"] or one["aside"]:
        return "too few" if one["few"] else "not counted"
    return _p(test.get("p_value_holm"))


def _models(document: Mapping[str, Any]) -> Block:
    rows = []
    for model in document["models"]:
        training = model.get("training", {}).get("malignancy")
        words = (
            f"{training['n']} training images of {training['n_patients']} patients; chosen: "
            + ", ".join(f"{key} {value}" for key, value in training["chosen"].items())
            if training
            else f"{model['architecture']}; version {model['model']['version']}"
        )
        held_out = training["out_of_fold_auc"] if training else {}
        areas = "; ".join(f"{source} {figure(one)}" for source, one in held_out.items())
        rows.append((model["name"], words, areas, model["proof"]["how"]))
    head = ("Model", "How", "AUC of training images, out of fold", "Apart from the judged patients")
    return Table("The models", head, tuple(rows))


def _figure_blocks(paths: Sequence[Path]) -> Iterator[Block]:
    """Show the files ``roc-DATASET.png`` and ``confusion-DATASET.png``."""
    shown = []
    for path in paths:
        kind, _, dataset = path.stem.partition("-")
        words = {"roc": "ROC curves", "confusion": "Confusion matrices"}.get(kind, kind)
        alt = f"{words} of {dataset}; the figures are in the tables"
        shown.append(ShownCase(path.read_bytes(), alt, (f"{words}, {dataset}",)))
    if shown:
        yield Pictures(tuple(shown), whole=True)


def _p(value: float | None) -> str:
    if value is None:
        return "none"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
