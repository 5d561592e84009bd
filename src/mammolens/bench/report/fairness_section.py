"""The section on subgroups over time of a medical audit: ``fairness`` of ``outcomes.json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mammolens.bench.report.document import Alarm, Block, Table, Text, capitalise, count, figure

__all__ = ["build_fairness"]

_WHO: Final = {"ai": "AI", "readers": "readers"}
_NAMES: Final = {
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "recall_rate": "Recall rate",
}

Found = Mapping[str, Any]


def build_fairness(fairness: Found | None) -> tuple[Block, ...]:
    """Make the blocks; an audit of an earlier version has no comparison of subgroups."""
    return tuple(_blocks(fairness))


def _blocks(fairness: Found | None) -> Iterator[Block]:
    told = {who: found for who, found in (fairness or {}).items() if found is not None}
    if not told:
        yield Text(
            "Subgroups were not compared: no exam has a known truth and an answer, or no group is "
            "named."
        )
        return
    alpha = next(iter(told.values()))["alpha"]
    yield Text(
        "Each group is compared with all other exams, in the order of time and over all exams of "
        "the site with a known truth, whatever the period of this report. Of each patient the "
        "first exam counts. The comparison stays valid however often it is looked at: the chance "
        f"of any false alarm in a table, over all its groups and all looks, is {100 * alpha:g} %. "
        "The interval of a share is the 95 % interval of this look; that of a difference holds at "
        "every look. A group without an alarm is not proven to be equal, least of all a small one."
    )
    for who, found in told.items():
        for row in found["figures"]:
            if row["alarm"]:
                yield Alarm(f"{capitalise(_WHO[who])}: {row['words']}.")
        if not found["alarms"]:
            yield Text(f"{capitalise(_WHO[who])}: no alarm in {count(found['n_tests'])} tests.")
        if not found["figures"]:
            yield Text(
                f"{capitalise(_WHO[who])}: no group has exams beside another, or none is known."
            )
            continue
        yield Table(
            f"Subgroups over time, {_WHO[who]}, in %",
            ("Group", "Figure", "n", "Group's share", "n of others", "Others", "Difference",
             "Alarm since"),
            tuple(_row(row) for row in found["figures"]),
            frozenset({2, 4}),
            f"{found['rule']}. n: first exams of patients. Difference: with the interval that is "
            "valid at every look.",
        )  # fmt: skip


def _row(row: Found) -> tuple[str, ...]:
    difference = {
        "value": row["difference"],
        "low": row["always_low"],
        "high": row["always_high"],
    }
    return (
        f"{row['axis']} {row['group']}",
        str(_NAMES.get(row["figure"], row["figure"])),
        count(row["n"]),
        figure(_percent(row), 1),
        count(row["others"]["n"]),
        figure(_percent(row["others"]), 1),
        figure(_percent(difference), 1),
        str(row["alarm_since"] or "none"),
    )


def _percent(one: Found) -> dict[str, float]:
    return {key: 100.0 * one[key] for key in ("value", "low", "high")}
