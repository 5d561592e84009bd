"""Score the grammar of pathology reports on a corpus folder: precision and recall of each field.

``tests/pathology/corpus/FORMAT.md`` defines the folder. Each share has a 95 % interval by Wilson
over reports (a report is right in a field if all its values are right); counts of false and missed
malignancies have the limit of Clopper and Pearson.

Run: python benchmarks/pathology_corpus.py FOLDER [--misses] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import math
import time
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mammolens.pathology import MALIGNANT, Property, SpecimenReading, read_text

LABELS = {"side": Property.LATERALITY} | {
    kind.value: kind for kind in Property if kind is not Property.LATERALITY
}
SIDES = {"L": "left", "R": "right"}
MALIGNANT_WORDS = {one.value for one in MALIGNANT}
MILD_WORDS = {"benign", "high-risk", "unsatisfactory", "not breast"}


@dataclass
class Tally:
    """Counts of one field: single values, and reports."""

    given: int = 0
    given_right: int = 0
    true: int = 0
    found: int = 0
    unsure: int = 0
    precise_reports: list[bool] = field(default_factory=list)
    recalled_reports: list[bool] = field(default_factory=list)


@dataclass
class Score:
    """All counts of a corpus."""

    fields: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    reports: int = 0
    specimens: int = 0
    malignant: int = 0
    not_malignant: int = 0
    false_malignant: list[str] = field(default_factory=list)
    missed_malignant: list[str] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)
    seconds: float = 0.0


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share."""
    if n == 0:
        return 0.0, 1.0
    z, share = 1.959964, hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def upper_limit(hits: int, n: int) -> float:
    """The upper end of the two-sided 95 % interval of Clopper and Pearson, by bisection."""
    if hits >= n:
        return 1.0
    low, high = hits / n, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        below = sum(math.comb(n, k) * middle**k * (1 - middle) ** (n - k) for k in range(hits + 1))
        low, high = (middle, high) if below > 0.025 else (low, middle)
    return high


def pairs(
    labels: list[dict[str, Any]], read: tuple[SpecimenReading, ...]
) -> Iterator[tuple[dict[str, Any] | None, SpecimenReading | None]]:
    """Pair the specimens of a label with those of the program: name, side and tissue, order."""
    left = list(read)

    def take(wanted: Any) -> SpecimenReading | None:
        match = next((one for one in left if wanted(one)), None)
        if match is not None:
            left.remove(match)
        return match

    matched: list[SpecimenReading | None] = [
        take(partial(_is_named, str(label.get("name", "")).upper())) for label in labels
    ]
    for at, label in enumerate(labels):
        if matched[at] is None:
            matched[at] = take(partial(_is_at, label["side"], label.get("tissue", "breast")))
    for at in range(len(labels)):
        if matched[at] is None:
            matched[at] = take(bool)
    yield from zip(labels, matched, strict=True)
    for one in left:
        yield None, one


def _is_named(name: str, one: SpecimenReading) -> bool:
    return name != "" and one.name == name


def _is_at(side: str, tissue: str, one: SpecimenReading) -> bool:
    found = SIDES.get(str(one.value(Property.LATERALITY)), "")
    return one.tissue.value == tissue and found == side


def values_of(label: dict[str, Any] | None, key: str) -> tuple[set[Any], bool]:
    """The true values of a field, and whether it is unsure or not stated."""
    value = None if label is None else label.get(key)
    if value is None or value in ("unsure", "not stated"):
        return set(), value == "unsure"
    return (set(value) if isinstance(value, list) else {value}), False


def read_values(one: SpecimenReading | None, kind: Property) -> tuple[set[Any], bool]:
    """The values that the program gives, and whether it is unsure."""
    stated = None if one is None else one.statements.get(kind)
    if stated is None:
        return set(), False
    if stated.value is None:
        return set(), True
    if isinstance(stated.value, tuple):
        return set(stated.value), False
    value = SIDES.get(str(stated.value)) if kind is Property.LATERALITY else stated.value
    return {value}, False


def score_report(name: str, text: str, label: dict[str, Any], score: Score) -> None:
    """Add one report to the score."""
    begin = time.perf_counter()
    read = read_text(text)
    score.seconds += time.perf_counter() - begin
    score.reports += 1
    given_right: dict[str, list[bool]] = defaultdict(list)
    found: dict[str, list[bool]] = defaultdict(list)
    for truth, one in pairs(label["specimen"], read.specimens):
        score.specimens += truth is not None
        for key, kind in LABELS.items():
            tally = score.fields[key]
            wanted, doubtful = values_of(truth, key)
            given, unsure = read_values(one, kind)
            tally.unsure += unsure
            tally.given += len(given)
            tally.given_right += len(given & wanted)
            tally.true += len(wanted)
            tally.found += len(given & wanted)
            if given:
                given_right[key].append(given <= wanted)
            if wanted:
                found[key].append(wanted <= given)
            if given != wanted or (key == "outcome" and doubtful and not unsure):
                said = "UNSURE" if unsure else sorted(map(str, given))
                true = "UNSURE" if doubtful else sorted(map(str, wanted))
                where = truth.get("name", "") if truth else "extra"
                score.misses.append(f"{name} [{where}] {key}: said {said}, true {true}")
        _count_malignancy(name, truth, one, score)
    for key, right in given_right.items():
        score.fields[key].precise_reports.append(all(right))
    for key, right in found.items():
        score.fields[key].recalled_reports.append(all(right))


def _count_malignancy(
    name: str, truth: dict[str, Any] | None, one: SpecimenReading | None, score: Score
) -> None:
    true = "not breast" if truth is None else truth["outcome"]
    given = None if one is None or one.outcome is None else one.outcome.value
    if true in MALIGNANT_WORDS:
        score.malignant += 1
        if one is None or given in MILD_WORDS:
            score.missed_malignant.append(name)
    elif true in MILD_WORDS:
        score.not_malignant += 1
        if given in MALIGNANT_WORDS:
            score.false_malignant.append(name)


def score_folder(folder: Path) -> Score:
    """Score all reports of a folder."""
    score = Score()
    for path in sorted(folder.glob("*.toml")):
        label = tomllib.loads(path.read_text("utf-8"))
        score_report(path.stem, path.with_suffix(".txt").read_text("utf-8"), label, score)
    return score


def share(hits: int, n: int, reports: list[bool]) -> str:
    """A share of values, with its interval over reports."""
    if n == 0:
        return f"{'-':>24}"
    low, high = wilson(sum(reports), len(reports))
    return f"{hits / n:6.3f} ({low:.3f}-{high:.3f}) "


def show(score: Score) -> None:
    """Print the table."""
    each = 1000 * score.seconds / max(1, score.reports)
    print(f"{score.reports} reports, {score.specimens} specimens, {each:.2f} ms a report")
    print(f"{'field':16}{'n':>5} precision               recall                  unsure")
    for key in LABELS:
        tally = score.fields[key]
        precision = share(tally.given_right, tally.given, tally.precise_reports)
        recall = share(tally.found, tally.true, tally.recalled_reports)
        print(f"{key:16}{tally.true:5} {precision}{recall}{tally.unsure:6}")
    for words, names, n in (
        ("false malignancy", score.false_malignant, score.not_malignant),
        ("missed malignancy", score.missed_malignant, score.malignant),
    ):
        limit = upper_limit(len(names), n) if n else 1.0
        print(f"{words}: {len(names)} of {n} (upper limit {limit:.4f}) {' '.join(names)}")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--misses", action="store_true", help="print every wrong value")
    parser.add_argument("--json", type=Path, help="write the counts to this file")
    chosen = parser.parse_args()
    score = score_folder(chosen.folder)
    if chosen.misses:
        print("\n".join(score.misses))
    show(score)
    if chosen.json:
        data = {
            key: {"given": t.given, "given_right": t.given_right, "true": t.true, "found": t.found}
            for key, t in score.fields.items()
        }
        chosen.json.write_text(json.dumps(data, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
