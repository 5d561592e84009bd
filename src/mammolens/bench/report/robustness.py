"""Sections on altered pictures, on remedies for gaps, and on recognising the source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mammolens.bench.report.charts import ForestRow, forest
from mammolens.bench.report.document import (
    Block,
    Table,
    Text,
    count,
    figure,
    has_value,
    interval_of,
    n_and_positives,
    table_or_notes,
)

__all__ = ["remedy_blocks", "robustness_blocks", "source_blocks"]

_MEASURES: Final = (
    ("mean_absolute_change", "Mean |change|"),
    ("p95_absolute_change", "95th centile"),
    ("flipped", "Decisions flipped"),
    ("refused", "Refused"),
    ("auc_difference", "AUC after − before"),
)


def robustness_blocks(found: Mapping[str, Any]) -> Iterator[Block]:
    """Show how each alteration changes P(malignant) and decisions."""
    yield Text(
        f"{count(found['n_images'])} images ({found['sampled']}, seed {found['seed']}) were "
        f"altered in each way and scored again. A decision flips at P(malignant) "
        f"{found['threshold']:.3f}. AUC compares images within data sets only; for the unaltered "
        f"pictures it is {figure(found.get('auc'))}, n {count(found['n_images'])}."
    )
    rows = tuple(
        (
            str(one["alteration"]) + (f" ({one['expected']})" if one.get("expected") else ""),
            count(one["n"]),
            *(figure(one.get(key)) for key, _ in _MEASURES),
        )
        for one in found["alterations"]
    )
    head = ("Alteration", "n", *(words for _, words in _MEASURES))
    note = "The expected effect is in brackets."
    yield Table("Effects of alterations", head, rows, frozenset({1}), note)
    shown = [
        ForestRow(
            str(one["alteration"]),
            one["mean_absolute_change"]["value"],
            *interval_of(one["mean_absolute_change"]),
            "",
        )
        for one in found["alterations"]
        if has_value(one.get("mean_absolute_change"))
    ]
    if shown:
        most = max(shown, key=lambda row: row.value or 0.0)
        yield forest(
            "Mean absolute change of P(malignant)",
            "Mean absolute change of P(malignant) by alteration, with 95 % intervals; the largest "
            f"is {most.value or 0.0:.3f}, of {most.name}. The figures are in the table above.",
            "Mean |change| of P(malignant)",
            shown,
            reference=0.0,
        )


def remedy_blocks(found: Mapping[str, Any]) -> Iterator[Block]:
    """Show what a remedy for gaps would change; it is not applied elsewhere in the report."""
    yield Text(
        f"Measured, not applied: {found['remedy']} by {found['by']} ({found['what']}), and "
        "cross-fitted over patients. A remedy may narrow one gap and widen another."
    )
    rows, notes = [], list[str]()
    for part, one in found["parts"].items():
        if "groups" not in one:
            notes.append(f"{part}: {one.get('note', 'no figures')}")
            continue
        spread = {"group": "spread of groups", **one["spread"]}
        for group in [*one["groups"], spread]:
            if "note" in group:
                notes.append(
                    f"{part}, {group['group']}, n {n_and_positives(group)}: {group['note']}"
                )
            rows += [
                (
                    f"{part}: {group['group']}",
                    n_and_positives(group) if "n" in group else n_and_positives(one["groups"][0]),
                    measure.replace("_", " "),
                    *(figure(change[when]) for when in ("before", "after", "change")),
                )
                for measure, change in group.items()
                if isinstance(change, Mapping) and "change" in change
            ]
    head = ("Group", "n", "Measure", "Before", "After", "Change")
    yield from table_or_notes("Effects of the remedy", head, rows, notes, without="")


def source_blocks(found: Mapping[str, Any]) -> Iterator[Block]:
    """Show how well the data set, or the machine, can be recognised from the model's outputs."""
    yield Text(
        "If the source can be recognised from a model's outputs, figures over several sources also "
        "measure this recognition. The figure is the balanced accuracy of a ridge logistic "
        "regression, with all images of a patient in one fold; "
        f"{count(found['n_refused'])} images were refused."
    )
    probes = [("data set", found["source"])]
    probes += [(f"machine, {place}", one) for place, one in found["machine"].items()]
    rows = tuple(
        (
            f"{what}, from {trait}",
            count(one["n"]),
            ", ".join(f"{name} {count(n)}" for name, n in one["classes"].items()),
            figure(one["balanced_accuracy"]),
            f"{one['chance']:.3f}",
        )
        for what, traits in probes
        for trait, one in traits.items()
    )
    if rows:
        head = (
            "What is recognised, from what",
            "n (images)",
            "Classes",
            "Balanced accuracy",
            "By chance",
        )
        yield Table("How well the source can be recognised", head, rows, frozenset({1}))
    else:
        yield Text("No data set has two classes of ten patients.")
