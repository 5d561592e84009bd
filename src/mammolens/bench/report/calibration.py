"""Sections on calibration: do the probabilities agree with the observed shares, and what would
recalibration improve?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mammolens.bench.report.charts import Band, Curve, plane
from mammolens.bench.report.document import (
    ALL,
    Block,
    Figure,
    Table,
    Text,
    count,
    datasets_and_all,
    figure,
    has_value,
    n_and_positives,
    table_or_notes,
)

__all__ = ["calibration_blocks", "calibration_details", "recalibration_blocks"]

_EFFECTS: Final = (
    ("slope", "before", "Slope before"),
    ("slope", "after", "after"),
    ("brier", "before", "Brier score before"),
    ("brier", "difference", "difference"),
    ("log_loss", "difference", "Log loss, difference"),
    ("ece_debiased", "difference", "ECE, difference"),
)
"""Measure, which of its figures is shown, and the heading of the column."""
_METHODS: Final = ("temperature", "isotonic")
_SHOWN_UNIT: Final = "image"


def calibration_blocks(metrics: Mapping[str, Any]) -> Iterator[Block]:
    """Show the slope and the reliability of P(malignant) of images."""
    rows, notes = [], []
    for place, judged in datasets_and_all(metrics):
        found = judged.get("calibration")
        if not found:
            continue
        if not has_value(found.get("slope")):
            notes.append(f"{place}: {found.get('note', 'no slope')}")
            continue
        image = judged["malignancy"][_SHOWN_UNIT]
        rows.append(
            (
                place,
                n_and_positives(found),
                figure(found["slope"]),
                figure(image.get("brier")),
                figure(image.get("log_loss")),
                figure(image.get("ece_debiased") or image.get("ece")),
            )
        )
    if rows:
        yield Text(
            "P(malignant) of images. A slope below 1 means that probabilities are too extreme. "
            "ECE is given for 400 images or more; with fewer it mainly depends on their number."
        )
    head = ("Data set", "n (images)", "Slope", "Brier score", "Log loss", "ECE")
    yield from table_or_notes("Calibration of P(malignant)", head, rows, notes)
    for place, judged in metrics["datasets"].items():
        yield from _reliability(place, judged)


def calibration_details(metrics: Mapping[str, Any]) -> Iterator[Block]:
    """Show the reliability over all data sets; different prevalences also change it."""
    if len(metrics["datasets"]) > 1:
        yield from _reliability(ALL, metrics)


def _reliability(place: str, judged: Mapping[str, Any]) -> Iterator[Figure]:
    drawn = judged.get("curves", {}).get("malignancy", {}).get(_SHOWN_UNIT)
    if not drawn or not drawn.get("reliability"):
        return
    found = drawn["reliability"]
    name = f"images, in tenths; n {n_and_positives(drawn)}"
    edges = zip(found["low"], found["high"], strict=True)
    banded = sum(None not in pair for pair in edges) == len(found["predicted"])
    spoken = "; ".join(
        f"{predicted:.2f} predicted, {observed:.2f} observed of {count(n)}"
        for predicted, observed, n in zip(
            found["predicted"], found["observed"], found["n"], strict=True
        )
    )
    yield plane(
        f"Reliability: {place}",
        f"Share that is malignant against P(malignant), in tenths, {place}, with 95 % intervals "
        f"as a band where they exist: {spoken}.",
        ("P(malignant)", "Share that is malignant"),
        [Curve(name, found["predicted"], found["observed"], marked=True)],
        bands=[Band(name, found["predicted"], found["low"], found["high"])] if banded else (),
        reference=((0.0, 0.0), (1.0, 1.0)),
        x_limits=(-0.02, 1.02),
        y_limits=(-0.02, 1.02),
    )


def recalibration_blocks(metrics: Mapping[str, Any]) -> Iterator[Block]:
    """Show figures before and after recalibration on other patients."""
    rows, notes, fitted = [], list[str](), list[str]()
    for place, judged in metrics["datasets"].items():
        for unit, found in (judged.get("calibration", {}).get("recalibration") or {}).items():
            if "note" in found:
                notes.append(f"{place}, {unit}: {found['note']}")
            if "before" not in found:
                continue
            fitted.append(str(found["fitted_on"]))
            rows += [
                (
                    f"{place}, {unit}, {method}",
                    n_and_positives(found),
                    *(_effect(found, method, key, when) for key, when, _ in _EFFECTS),
                )
                for method in _METHODS
                if method in found
            ]
    if rows:
        yield Text(
            f"Fitted on: {'; '.join(dict.fromkeys(fitted))}; measured on other patients. Nothing "
            "else in this report is recalibrated. A difference (after minus before) below 0 is an "
            "improvement; the best slope is 1."
        )
        head = ("Data set, unit, method", "n", *(words for _, _, words in _EFFECTS))
        yield Table("What recalibration would improve", head, tuple(rows))
    if notes:
        yield Text(f"Notes: {'; '.join(notes)}.")


def _effect(found: Mapping[str, Any], method: str, key: str, when: str) -> str:
    part = found["before"] if when == "before" else found[method].get(when, {})
    return figure(part.get(key))
