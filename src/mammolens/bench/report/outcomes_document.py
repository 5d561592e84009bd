"""The report of a medical audit: ``outcomes.json`` of `mammolens outcomes audit` → document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mammolens.bench.report.charts import ForestRow, forest
from mammolens.bench.report.document import (
    Alarm,
    Block,
    Bullets,
    Document,
    Figure,
    Heading,
    Section,
    Table,
    Text,
    capitalise,
    count,
    figure,
    has_value,
    known_facts,
    scaled,
)
from mammolens.bench.report.fairness_section import build_fairness
from mammolens.bench.report.run_folder import complete

__all__ = ["build_outcomes"]

_NONE: Final = "none"
_DRAWN: Final = {
    "recall_rate": (3.0, 20.0),
    "detection_rate": (2.5, 1000.0),
    "sensitivity": (75.0, 100.0),
    "specificity": (85.0, 100.0),
}
"""The figures drawn by group with their widest acceptable range (PMC4369798), in their units."""
_TABLED: Final = ("recall_rate", "detection_rate", "sensitivity", "specificity", "ppv1")
_MOST_SHOWN: Final = 40

Found = Mapping[str, Any]


def build_outcomes(found: Found) -> Document:
    """Make the report of a medical audit.

    Raises
    ------
    InvalidManifest
        A key is missing from `found`, the content of ``outcomes.json``.
    """
    with complete("the audit lacks", "outcomes.json", "mammolens outcomes audit"):
        counts = found["counts"]
        facts = {
            "Positive screen": found["rule"],
            "Exams": f"{count(counts['exams'])} of {count(counts['patients'])} patients",
            "Outcomes complete until": found["complete_until"],
            "AI calls an exam": found["ai_rule"],
        }
        sections = (
            Section("Figures of the site", "figures", tuple(_site(found))),
            Section("Interval cancers", "interval-cancers", tuple(_interval_cancers(found))),
            Section("AI beside the readers", "ai", tuple(_comparison(found))),
            Section("By group", "groups", tuple(_charts(found)), tuple(_group_tables(found))),
            Section("Subgroups over time", "fairness", build_fairness(found.get("fairness"))),
            Section("Exams left out, and limits", "limits", tuple(_limits(found))),
        )
    return Document("Medical audit of screening mammography", known_facts(facts), sections)


def _site(found: Found) -> Iterator[Block]:
    counts, per = found["counts"], found["per"]
    if not found["complete_until_stated"]:
        yield Alarm(
            f"Nobody stated until when the outcomes are complete. The day of the latest one, "
            f"{found['complete_until']}, is assumed. If outcomes before it are missing, cancers "
            "count as true negatives. State it: --complete-until DAY."
        )
    yield Table(
        "Exams by screen and outcome within a year",
        ("", "Cancer", "No cancer"),
        (
            ("Positive screen", count(counts["true_positives"]), count(counts["false_positives"])),
            ("Negative screen", count(counts["false_negatives"]), count(counts["true_negatives"])),
        ),
        frozenset({1, 2}),
    )
    benchmarks = found["benchmarks"]
    yield Table(
        "Figures of the readers, with 95 % intervals over patients",
        ("Figure", "Exams", "Patients", "Site", "BCSC"),
        tuple(
            (
                f"{words['name']}, {_unit(per[key])}",
                _fraction(found["readers"].get(key)),
                _patients(found["readers"].get(key)),
                _figure(found["readers"].get(key), per[key]),
                f"{benchmarks[key] * per[key]:.1f}",
            )
            for key, words in found["definitions"].items()
        ),
        frozenset({2, 4}),
        f"BCSC: {benchmarks['source']}; means without adjustment for age or first screens. "
        + " ".join(f"{words['name']}: {words['of']}." for words in found["definitions"].values()),
    )
    if found["readers"].get("ppv2") is None:
        yield Text(
            "PPV2 needs the category after the work-up: the column final_birads of the exams."
        )
    yield _criteria(found)


def _criteria(found: Found) -> Table:
    met = found["criteria"]["met"]
    return Table(
        "Acceptable ranges, which combine several figures",
        ("Figures", "Range that is met"),
        tuple((name, _met(words)) for name, words in met.items()),
        note=f"Source: {found['criteria']['source']}. By the figures alone, without intervals.",
    )


def _met(words: str | None) -> str:
    return "not known" if words is None else words or "outside every range"


def _interval_cancers(found: Found) -> Iterator[Block]:
    cancers = found["interval_cancers"]
    if not cancers:
        yield Text("No cancer was found within a year after a negative screen.")
        return
    answered = [one for one in cancers if one["ai_called"] is not None]
    called = sum(one["ai_called"] for one in answered)
    yield Text(
        f"{count(len(cancers))} cancers were found within a year after a negative screen. Open the "
        "earlier exam with the marks of the AI, and decide whether the cancer was visible. "
        + (
            f"Of the {count(len(answered))} earlier exams with an answer of the AI, it called "
            f"{count(called)}."
            if answered
            else "The AI answered none of the earlier exams."
        )
    )
    yield Table(
        "The earlier exams",
        ("Patient", "Exam", "Reader", "BI-RADS", "Cancer", "Days after", "Found", "AI"),
        tuple(
            (
                one["patient_id"],
                one["exam_date"],
                one["reader"] or "not known",
                one["birads"],
                one["cancer_date"],
                count(one["days_after"]),
                _cancer(one),
                _ai_answer(one),
            )
            for one in cancers[:_MOST_SHOWN]
        ),
        frozenset({5}),
        "AI: its category and P(malignant) of the breast with the cancer, else of the exam."
        + (" All are in interval_cancers.csv." if len(cancers) > _MOST_SHOWN else ""),
    )


def _cancer(one: Found) -> str:
    size = "" if one["size_mm"] is None else f", {one['size_mm']:g} mm"
    return f"{one['side'] or 'side not known'}: {one['outcome'].replace('_', ' ')}{size}"


def _ai_answer(one: Found) -> str:
    score = one["ai_score"] if one["ai_score_of_breast"] is None else one["ai_score_of_breast"]
    parts = [one["ai_category"], "" if score is None else f"{score:.3f}"]
    return " ".join(filter(None, parts)) or "no answer"


def _comparison(found: Found) -> Iterator[Block]:
    compared, counts, per = found["comparison"], found["counts"], found["per"]
    if compared is None:
        yield Text(
            "No exam has an answer of the AI: give worklist.csv of mammolens analyze with --ai, or "
            "the columns ai_category and ai_score."
        )
        return
    yield Text(
        f"The AI calls an exam at {found['ai_rule']}. {count(counts['without_ai_answer'])} exams "
        "without its answer, or with a failed analysis, are not compared. A cancer is looked for "
        "mainly after a positive reading: the truth favours the readers where the AI alone called "
        "an exam."
    )
    if counts["read_with_ai"]:
        yield Alarm(
            f"{count(counts['read_with_ai'])} exams were read with the AI in sight, so the two "
            "answers are not independent."
        )
    yield Table(
        "Readers and AI on the same exams",
        ("Figure", "Exams", "Readers", "AI", "AI − readers"),
        tuple(
            (
                f"{found['definitions'][key]['name']}, {_unit(per[key])}",
                _denominator(compared, key),
                _figure(compared["readers"].get(key), per[key]),
                _figure(compared["ai"].get(key), per[key]),
                _figure(difference, per[key]),
            )
            for key, difference in compared["difference"].items()
        ),
        frozenset({1}),
        "The intervals of differences are paired: both figures come from the same resample of "
        "patients.",
    )


def _denominator(compared: Found, key: str) -> str:
    """Give the number of exams of a figure; of PPV1, it differs between readers and AI."""
    sizes = [compared[who][key]["n"] for who in ("readers", "ai") if compared[who].get(key)]
    return " / ".join(count(size) for size in dict.fromkeys(sizes)) or _NONE


def _charts(found: Found) -> Iterator[Block]:
    yield Text(
        "Each square is the figure of one group with its 95 % interval; n is the number of exams "
        "behind it. The dotted line is the mean of the BCSC, and the shaded range is acceptable "
        "together with other figures (see above). Of many groups, some differ by chance."
    )
    for axis, groups in found["groups"].items():
        yield Heading(f"By {axis}", f"by-{axis}")
        if all(one["group"] == "not known" for one in groups):
            yield Text(f"The {axis} of no exam is known.")
            continue
        for key, band in _DRAWN.items():
            if chart := _forest(found, axis, key, band):
                yield chart


def _forest(found: Found, axis: str, key: str, band: tuple[float, float]) -> Figure | None:
    per, name = found["per"][key], found["definitions"][key]["name"]
    groups = [(one["group"], one["readers"].get(key)) for one in found["groups"][axis]]
    rows = [
        ForestRow(group, **scaled(one, per), note=f"n {count(one['n'])}")
        for group, one in [("all", found["readers"].get(key)), *groups]
        if has_value(one)
    ]
    if not rows:
        return None
    benchmark = found["benchmarks"][key] * per
    spoken = "; ".join(f"{row.name}: {row.value:.1f} ({row.note})" for row in rows[:_MOST_SHOWN])
    alt = f"{name} by {axis}, {_unit(per)}, BCSC {benchmark:.1f}: {spoken}."
    return forest(
        f"{name} by {axis}", alt, capitalise(_unit(per)), rows, reference=benchmark, band=band
    )


def _group_tables(found: Found) -> Iterator[Block]:
    per = found["per"]
    names = [f"{found['definitions'][key]['name']}, {_unit(per[key])}" for key in _TABLED]
    for axis, groups in found["groups"].items():
        for who, title in (("readers", "readers"), ("ai", "AI")):
            shown = [one for one in groups if one[who]]
            if not shown:
                continue
            yield Table(
                f"{title} by {axis}",
                (capitalise(axis), "Exams", "Patients", *names),
                tuple(
                    (
                        one["group"],
                        count(one["n"]),
                        count(one["n_patients"]),
                        *(_figure(one[who].get(key), per[key]) for key in _TABLED),
                    )
                    for one in shown
                ),
                frozenset({1, 2}),
            )
        yield Table(
            f"Acceptable ranges by {axis}",
            (capitalise(axis), *found["criteria"]["met"]),
            tuple(
                (one["group"], *(_met(words) for words in one["criteria"]["met"].values()))
                for one in groups
            ),
        )


def _limits(found: Found) -> Iterator[Block]:
    counts = found["counts"]
    left_out = counts["exams_in_table"] - counts["exams"]
    if left_out:
        yield Table(
            f"{count(left_out)} of {count(counts['exams_in_table'])} exams are in no figure",
            ("Reason", "Exams"),
            tuple((capitalise(why), count(n)) for why, n in found["excluded"].items()),
            frozenset({1}),
            "Each exam is listed in excluded_exams.csv. An exam without a known outcome is never "
            "counted as negative.",
        )
    notes = [
        "The unit is the exam: an exam is positive if one breast is, and it has cancer if one "
        "breast has. "
        f"In {count(counts['found_in_other_breast'])} true positives, only the other breast was "
        "positive.",
        f"{count(counts['found_without_size'])} found cancers have no known extent, and are left "
        "out of the share of minimal cancers.",
        f"{count(counts['unlinked_outcomes'])} outcomes belong to no audited exam: "
        "unlinked_outcomes.csv.",
        "A cancer that was treated elsewhere and is in no table counts as no cancer. Sensitivity "
        "is then too high.",
    ]
    yield Bullets(tuple(notes))


def _unit(per: int) -> str:
    return "%" if per == 100 else f"per {per:,}"


def _figure(one: Any, per: int) -> str:
    return figure(scaled(one, per), 1)


def _fraction(one: Any) -> str:
    return f"{count(one['n_positive'])} of {count(one['n'])}" if has_value(one) else _NONE


def _patients(one: Any) -> str:
    return count(one["n_patients"]) if has_value(one) else _NONE
