"""The claims of a comparison, and its figures: ROC curves and confusion of each data set.

The tests form one family: the AUC of malignancy of the reference against each other model on each
data set, in the primary unit. If a package has scores with and without age, only those take part
that use age like the reference. A claim holds if its interval excludes 0 and its p-value stays
below 0.05 after Holm's correction. If a class has fewer than ten patients, nothing is claimed.

Colours are those of Okabe and Ito (doi:10.1038/nmeth.1618), which people with any colour vision can
distinguish. Lines also have different dashes. Every picture is written as SVG and as PNG.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mammolens.bench.comparison.candidates import Candidate
from mammolens.bench.comparison.leaderboard import POINT, POINT_UNITS, samples_of
from mammolens.bench.report.document import figure as figure_text
from mammolens.bench.units import UNIT_PLURALS
from mammolens.metrics import holm, roc_curve
from mammolens.wording import DISCLAIMER, estimate

__all__ = ["LEVEL", "Claim", "correct", "draw_claims", "draw_figures"]

_STROKES: Final = (
    ("#0072B2", "-"),
    ("#D55E00", "--"),
    ("#009E73", "-."),
    ("#CC79A7", ":"),
    ("#E69F00", (0, (5, 1))),
    ("#56B4E9", (0, (3, 1, 1, 1))),
)
_REFERENCE: Final = ("#000000", "-")
_DPI: Final = 150
_LETTERS: Final = 11
"""Letters of a title per inch."""
LEVEL: Final = 0.05


def draw_figures(
    document: Mapping[str, Any], candidates: Sequence[Candidate], out: Path
) -> tuple[Path, ...]:
    """Draw ``roc-DATASET`` and ``confusion-DATASET``, .svg and .png, of the primary unit.

    Parameters
    ----------
    candidates
        The compared models, with the rows that all of them could score.
    """
    paths: list[Path] = []
    for dataset, tasks in document["datasets"].items():
        entry = tasks["malignancy"][document["unit"]]
        if entry["models"]:
            safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in dataset)
            roc = _draw_roc(dataset, entry, candidates, document["reference"], document["unit"])
            paths += _save(roc, out / f"roc-{safe}")
            paths += _save(_draw_confusion(dataset, entry, document), out / f"confusion-{safe}")
    return tuple(paths)


def _draw_roc(
    dataset: str,
    entry: Mapping[str, Any],
    candidates: Sequence[Candidate],
    reference: str,
    unit: str,
) -> Figure:
    """Draw a panel for each group of models; the reference is in each."""
    samples = samples_of(candidates, dataset, "malignancy", unit)
    groups: dict[str, list[str]] = {}
    for one in candidates:
        own = groups.setdefault(one.group, [])
        if one.name != reference:
            own.append(one.name)
    shown = {group: names for group, names in groups.items() if names} or {"": []}
    figure = _figure(5.0 * len(shown), 5.6)
    for axes, (group, names) in zip(
        np.atleast_1d(figure.subplots(1, len(shown), sharey=True)), shown.items(), strict=True
    ):
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
        strokes = [*((name, _STROKES[i % len(_STROKES)]) for i, name in enumerate(names))]
        for name, (colour, stroke) in [*strokes, (reference, _REFERENCE)]:
            curve = roc_curve(samples[name].labels, samples[name].scores)
            axes.plot(
                curve.false_positive_rate,
                curve.true_positive_rate,
                color=colour,
                linestyle=stroke,
                linewidth=2.2 if name == reference else 1.5,
                label=f"{name}  {figure_text(entry['models'][name]['auc'], 2)}",
            )
        axes.set(xlim=(0, 1), ylim=(0, 1.005), aspect="equal", title=group)
        axes.set_xlabel("1 − specificity")
        axes.grid(color="0.92")
        axes.legend(loc="lower right", fontsize=8, title="AUC (95 % interval)", framealpha=0.9)
    figure.axes[0].set_ylabel("sensitivity")
    n, positive = entry["n"], entry["n_positive"]
    _title(figure, f"{dataset}: {n} {UNIT_PLURALS[unit]}, {positive} malignant")
    return figure


def _draw_confusion(dataset: str, entry: Mapping[str, Any], document: Mapping[str, Any]) -> Figure:
    """Draw a small table for each model; a cell is shaded by its share of the row."""
    names = list(entry["models"])
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure = _figure(2.9 * columns, 2.6 * rows + 0.7)
    places = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for axes in places[len(names) :]:
        axes.axis("off")
    for axes, name in zip(places, names, strict=False):
        point = entry["models"][name]["points"][POINT]
        counts = point["confusion"]
        table = np.array(
            [
                [counts["true_positive"], counts["false_negative"]],
                [counts["false_positive"], counts["true_negative"]],
            ]
        )
        shares = table / np.maximum(table.sum(1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(table):
            dark = shares[row, column] > 0.6
            axes.text(
                *(column, row, f"{count}\n{shares[row, column]:.0%}"),
                ha="center",
                va="center",
                color="white" if dark else "black",
            )
        axes.set_xticks([0, 1], ["called", "not called"], fontsize=8)
        axes.set_yticks([0, 1], ["malignant", "other"], fontsize=8, rotation=90, va="center")
        axes.set_title(name, fontsize=9)
    unit = UNIT_PLURALS[document["unit"]]
    chosen_for = POINT_UNITS[document["unit"]]
    words = f"{dataset}: {unit} at each model's threshold for a specificity of 90 % {chosen_for}"
    _title(figure, words)
    return figure


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _title(figure: Figure, words: str) -> None:
    lines = textwrap.fill(words, int(_LETTERS * figure.get_figwidth()))
    figure.suptitle(f"{lines}\n{DISCLAIMER}", fontsize=11)


def _save(figure: Figure, stem: Path) -> list[Path]:
    paths = [stem.with_name(f"{stem.name}{ending}") for ending in (".svg", ".png")]
    with rc_context({"svg.hashsalt": "mammolens", "svg.fonttype": "none"}):
        for path in paths:
            dated: dict[str, None] = {"Date": None} if path.suffix == ".svg" else {}
            figure.savefig(path, metadata=dated)
    return paths


@dataclass(frozen=True)
class Claim:
    """A sentence, and its `verdict`: holds, not shown, the reverse, or too few."""

    dataset: str
    reference: str
    model: str
    verdict: str
    words: str


def correct(leaderboard: Mapping[str, Any], unit: str, aside: Collection[str] = ()) -> int:
    """Add Holm's corrected p-values to the differences of the family, and give its size.

    The AUC differences are one family, McNemar's tests of the same models another; differences
    between few patients are in neither.

    Parameters
    ----------
    leaderboard
        The result of `mammolens.bench.comparison.leaderboard.compare_models`; it is changed.
    aside
        Models about which nothing is claimed.
    """
    for _, one in _differences(leaderboard, unit):
        one["aside"] = one["model"] in aside
    family = [one for _, one in _differences(leaderboard, unit) if not (one["few"] or one["aside"])]
    for tests in (family, [one["mcnemar"] for one in family]):
        # If all resamples agree there is no p-value, but the test still counts in the family.
        known = [1.0 if one["p_value"] is None else one["p_value"] for one in tests]
        for one, corrected in zip(tests, holm(known), strict=True):
            one["p_value_holm"] = None if one["p_value"] is None else float(corrected)
    return len(family)


def draw_claims(leaderboard: Mapping[str, Any], reference: str, unit: str) -> list[Claim]:
    """State for each data set and other model whether the reference ranks better.

    Parameters
    ----------
    leaderboard
        The leaderboard after `correct`.
    """
    return [
        _claim(dataset, reference, unit, one)
        for dataset, one in _differences(leaderboard, unit)
        if not one["aside"]
    ]


def _differences(leaderboard: Mapping[str, Any], unit: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for dataset, tasks in leaderboard.items():
        for one in tasks["malignancy"].get(unit, {}).get("differences", []):
            yield dataset, one


def _claim(dataset: str, reference: str, unit: str, one: Mapping[str, Any]) -> Claim:
    gap, corrected = one["auc_difference"], one.get("p_value_holm")
    low, high = gap["low"], gap["high"]
    figure = estimate(gap["value"], low, high, signed=True)
    apart = low is not None and (low > 0 or high < 0)
    below = gap["value"] < 0
    subject = f"{reference} ranks {UNIT_PLURALS[unit]} of {dataset}"
    better = f"{subject} better than {one['model']}"
    worse = f"{subject} worse than {one['model']}"
    if one["few"]:
        return Claim(
            *(dataset, reference, one["model"], "too few"),
            f"whether {better}: too few cases to say, {figure}",
        )
    if apart and corrected is not None and corrected < LEVEL:
        verdict, words = ("the reverse", worse) if below else ("holds", better)
        words = f"{words}: {figure}, holds after correction (p = {_p(corrected)})"
        return Claim(dataset, reference, one["model"], verdict, words)
    reason = "its own interval excludes 0, but not after correction" if apart else "it may be 0"
    tail = "" if corrected is None else f" (p = {_p(corrected)})"
    words = f"that {worse if below else better} is not shown: {figure}, {reason}{tail}"
    return Claim(dataset, reference, one["model"], "not shown", words)


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"
