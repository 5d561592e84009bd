"""Score the grammar of pathology reports on a corpus folder: precision and recall of each field.

``tests/pathology/corpus/FORMAT.md`` defines the folder. Each share has the 95 % interval of
`mammolens.metrics.clustered_shares`: a value is a row, and the values of a report are a cluster.

Run: python benchmarks/pathology_corpus.py FOLDER [--misses] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import time
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mammolens.metrics import clustered_shares
from mammolens.pathology import MALIGNANT, Property, SpecimenReading, read_text

LABELS = {"side": Property.LATERALITY} | {
    kind.value: kind for kind in Property if kind is not Property.LATERALITY
}
SIDES = {"L": "left", "R": "right"}
MALIGNANT_WORDS = {one.value for one in MALIGNANT}
MILD_WORDS = {"benign", "high-risk", "unsatisfactory", "not breast"}


@dataclass
class Share:
    """The rows of a share: whether each one is a hit, and the number of its report."""

    hits: list[bool] = field(default_factory=list)
    reports: list[int] = field(default_factory=list)

    def add(self, report: int, hits: int, n: int) -> None:
        """Add `n` rows of a report, of which `hits` are hits."""
        self.hits += [True] * hits + [False] * (n - hits)
        self.reports += [report] * n

    def __str__(self) -> str:
        """The share with its interval; the interval contains the share."""
        if not self.hits:
            return "-"
        (found,) = clustered_shares([self.hits], [[True] * len(self.hits)], self.reports)
        return str(found)


@dataclass
class Tally:
    """The rows of one field: values that the program gave, and values of the label."""

    precision: Share = field(default_factory=Share)
    recall: Share = field(default_factory=Share)
    unsure: int = 0


@dataclass
class Score:
    """All counts of a corpus."""

    fields: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    reports: int = 0
    specimens: int = 0
    missed: Share = field(default_factory=Share)
    false: Share = field(default_factory=Share)
    false_malignant: list[str] = field(default_factory=list)
    missed_malignant: list[str] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)
    seconds: float = 0.0


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
    for truth, one in pairs(label["specimen"], read.specimens):
        score.specimens += truth is not None
        for key, kind in LABELS.items():
            tally = score.fields[key]
            wanted, doubtful = values_of(truth, key)
            given, unsure = read_values(one, kind)
            tally.unsure += unsure
            tally.precision.add(score.reports, len(given & wanted), len(given))
            tally.recall.add(score.reports, len(given & wanted), len(wanted))
            if given != wanted or (key == "outcome" and doubtful and not unsure):
                said = "UNSURE" if unsure else sorted(map(str, given))
                true = "UNSURE" if doubtful else sorted(map(str, wanted))
                where = truth.get("name", "") if truth else "extra"
                score.misses.append(f"{name} [{where}] {key}: said {said}, true {true}")
        _count_malignancy(name, truth, one, score)


def _count_malignancy(
    name: str, truth: dict[str, Any] | None, one: SpecimenReading | None, score: Score
) -> None:
    true = "not breast" if truth is None else truth["outcome"]
    given = None if one is None or one.outcome is None else one.outcome.value
    if true in MALIGNANT_WORDS:
        missed = one is None or given in MILD_WORDS
        score.missed.add(score.reports, missed, 1)
        score.missed_malignant += [name] * missed
    elif true in MILD_WORDS:
        wrong = given in MALIGNANT_WORDS
        score.false.add(score.reports, wrong, 1)
        score.false_malignant += [name] * wrong


def score_folder(folder: Path) -> Score:
    """Score all reports of a folder."""
    score = Score()
    labels = sorted(folder.glob("*.toml"))
    if not labels:
        raise SystemExit(f"{folder}: there is no report (NAME.txt with NAME.toml)")
    for path in labels:
        label = tomllib.loads(path.read_text("utf-8"))
        score_report(path.stem, path.with_suffix(".txt").read_text("utf-8"), label, score)
    return score


def show(score: Score) -> None:
    """Print the table."""
    each = 1000 * score.seconds / max(1, score.reports)
    print(f"{score.reports} reports, {score.specimens} specimens, {each:.2f} ms a report")
    print(f"{'field':16}{'n':>5} {'precision':22} {'recall':22} unsure")
    for key in LABELS:
        tally = score.fields[key]
        true = len(tally.recall.hits)
        print(f"{key:16}{true:5} {tally.precision!s:22} {tally.recall!s:22}{tally.unsure:7}")
    for words, names, share in (
        ("false malignancy", score.false_malignant, score.false),
        ("missed malignancy", score.missed_malignant, score.missed),
    ):
        print(f"{words}: {len(names)} of {len(share.hits)}, {share} {' '.join(names)}")


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
            key: {
                "given": len(t.precision.hits),
                "given_right": sum(t.precision.hits),
                "true": len(t.recall.hits),
                "found": sum(t.recall.hits),
            }
            for key, t in score.fields.items()
        }
        chosen.json.write_text(json.dumps(data, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
