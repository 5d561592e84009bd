"""Conclusions of a comparison, in sentences, corrected for the number of tests.

The tests form one family: the AUC of malignancy of the reference against each other model on each
data set, in the primary unit. If a package has scores with and without age, only those take part
that use age like the reference. A claim holds if its interval excludes 0 and its p-value stays
below 0.05 after Holm's correction. If a class has fewer than ten patients, nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mammolens.bench.units import UNIT_PLURALS
from mammolens.metrics import holm
from mammolens.wording import estimate

__all__ = ["LEVEL", "Claim", "correct", "draw_claims"]

LEVEL: Final = 0.05


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
    unit
        The primary unit.
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
