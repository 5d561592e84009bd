"""What a site could change, with the expected effect, and which exams it could label next.

Nothing is applied. Every effect of a threshold, a recalibration or another model is measured on
patients that did not take part in the fit: patients are divided into folds, and each fold is judged
by a fit on the others.

Exams to label are chosen half at random, half where readers and AI disagree or missed a cancer. On
the project's data no strategy was better than random (60 labels, 40 repeats: uncertainty −0.010 AUC
on INbreast and −0.008 on MIAS). The random half is therefore also the unbiased sample for an audit,
and every exam keeps the probability with which it was chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mammolens.errors import ConfigError, InvalidManifest
from mammolens.metrics import (
    Interval,
    auc_statistic,
    brier_statistic,
    clustered_shares,
    fit_logistic,
    log_odds,
    patient_bootstraps,
    sigmoid,
    threshold_at_specificity,
)
from mammolens.outcomes.editions import Rule
from mammolens.outcomes.exams import Exam
from mammolens.outcomes.figures import AiRule
from mammolens.outcomes.linking import Case
from mammolens.wording import table_text

__all__ = ["Choice", "choice_table", "choose", "compare_models", "propose"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
FOLDS: Final = 5
FEWEST: Final = 20
"""Fewest exams with cancer, and without, for a proposal: with fewer, the interval of a sensitivity
is wider than ±0.2, and no threshold can be told from another."""
NOTICE: Final = (
    "Proposed, not applied. Research use only, not a medical device. Cancers are looked for mainly"
    " after positive readings, so sensitivity is too high."
)


def propose(
    cases: Sequence[Case], called: Sequence[bool | None], specificity: float, seed: int = 0
) -> dict[str, Any]:
    """Propose a threshold of P(malignant) and a recalibration from a site's own outcomes.

    Parameters
    ----------
    cases
        Exams with known truth. Those without a score of the AI are left out and counted.
    called
        Whether the AI calls each exam today.
    specificity
        The specificity that the threshold shall keep, 0 to 1.

    Returns
    -------
    dict
        JSON: the proposal from all exams, and its effect on exams that were not fitted, with 95 %
        intervals over patients.

    Raises
    ------
    InvalidManifest
        Fewer than `FEWEST` exams with cancer, or without, have a score.
    """
    used = [
        n
        for n, case in enumerate(cases)
        if case.exam.ai is not None and case.exam.ai.score is not None and called[n] is not None
    ]
    truth = np.array([bool(cases[n].cancers) for n in used], bool)
    scores = np.array([_score(cases[n]) for n in used], np.float64)
    now = np.array([bool(called[n]) for n in used], bool)
    patients = _numbers([cases[n].exam.patient_id for n in used])
    _need(truth)
    folds = _folds(patients, truth, seed)
    above, fitted = np.zeros(len(used), bool), np.zeros(len(used))
    for fold in range(FOLDS):
        test, train = folds == fold, folds != fold
        limit = threshold_at_specificity(truth[train], scores[train], specificity)
        above[test] = scores[test] >= limit
        slope, shift = _line(truth[train], scores[train])
        fitted[test] = sigmoid(slope * log_odds(scores[test]) + shift)
    slope, shift = _line(truth, scores)
    return {
        "schema": "mammolens.outcomes.proposals/1",
        "applied": False,
        "notice": NOTICE,
        "exams": len(used),
        "exams_without_score": len(cases) - len(used),
        "cancers": int(truth.sum()),
        "threshold": {
            "proposed": threshold_at_specificity(truth, scores, specificity),
            "specificity_asked": specificity,
            "now": _rates(truth, now, patients),
            "expected": _rates(truth, above, patients),
            "difference": _differences(truth, now, above, patients, seed),
        },
        "recalibration": {
            "log_odds_slope": slope,
            "log_odds_shift": shift,
            "now": _calibration(truth, scores, patients, seed),
            "expected": _calibration(truth, fitted, patients, seed),
        },
    }


def compare_models(
    truth: Bools,
    scores: Mapping[str, Floats],
    called: Mapping[str, Bools],
    patients: Sequence[str],
    seed: int = 0,
) -> dict[str, Any]:
    """Compare two models on the same exams: first minus second, paired over patients.

    Parameters
    ----------
    truth
        (n,), whether a cancer followed.
    scores, called
        For each of the two models P(malignant) (n,) and whether it calls the exam (n,).
    patients
        (n,).

    Raises
    ------
    InvalidManifest
        No exam has a cancer, or every exam has one.
    """
    if not truth.any() or truth.all():
        raise InvalidManifest(
            f"{int(truth.sum())} of {len(truth)} exams have a cancer, so that models cannot be"
            " compared",
            remedy="Wait for more outcomes",
        )
    groups = _numbers(patients)
    first, second = scores
    areas = [auc_statistic(truth, scores[name]) for name in (first, second)]

    def statistics(weights: Floats) -> dict[str, Floats]:
        one, other = (area(weights) for area in areas)
        return {first: one, second: other, "difference": one - other}

    found = patient_bootstraps(statistics, truth, groups, seed=seed)
    return {
        "exams": len(truth),
        "patients": len(set(patients)),
        "cancers": int(truth.sum()),
        "auc": {name: _json(one) for name, one in found.items()},
        "rates": {name: _rates(truth, called[name], groups) for name in (first, second)},
        "rate_differences": _differences(truth, called[second], called[first], groups, seed),
    }


def _score(case: Case) -> float:
    assert case.exam.ai is not None
    return float(case.exam.ai.score or 0.0)


def _numbers(patients: Sequence[str]) -> npt.NDArray[np.intp]:
    known: dict[str, int] = {}
    return np.array([known.setdefault(one, len(known)) for one in patients], np.intp)


def _need(truth: Bools) -> None:
    if min(int(truth.sum()), int((~truth).sum())) < FEWEST:
        raise InvalidManifest(
            f"{int(truth.sum())} of {len(truth)} exams with a score have a cancer; a proposal needs"
            f" {FEWEST} with and {FEWEST} without",
            remedy="Wait for more outcomes, or join the tables of several years",
        )


def _folds(patients: npt.NDArray[np.intp], truth: Bools, seed: int) -> npt.NDArray[np.intp]:
    """Deal patients into folds, those with a cancer first, so that each fold has some."""
    sick = np.unique(patients[truth])
    others = np.setdiff1d(np.unique(patients), sick)
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(sick), rng.permutation(others)])
    fold = np.empty(len(order), np.intp)
    fold[order] = np.arange(len(order)) % FOLDS
    return fold[patients]


def _line(truth: Bools, scores: Floats) -> tuple[float, float]:
    design = np.column_stack([log_odds(scores), np.ones(len(scores))])
    fits = fit_logistic(design, truth, np.ones((1, len(scores))), start=np.array([1.0, 0.0]))
    if not fits.converged[0]:
        raise InvalidManifest(
            "the recalibration cannot be fitted, because scores divide the exams without overlap",
            remedy="Wait for more outcomes",
        )
    slope, shift = fits.coefficients[0]
    return float(slope), float(shift)


def _rates(truth: Bools, called: Bools, patients: npt.NDArray[np.intp]) -> dict[str, Any]:
    hits = [called & truth, ~called & ~truth, called]
    counted = [truth, ~truth, np.ones_like(truth)]
    found = clustered_shares(hits, counted, patients)
    return dict(zip(("sensitivity", "specificity", "recall_rate"), map(_json, found), strict=True))


def _differences(
    truth: Bools, before: Bools, after: Bools, patients: npt.NDArray[np.intp], seed: int
) -> dict[str, Any]:
    change = after.astype(np.float64) - before
    columns = np.column_stack([change * truth, truth, -change * ~truth, ~truth])

    def statistics(weights: Floats) -> dict[str, Floats]:
        sums = weights @ columns
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                "sensitivity": sums[:, 0] / sums[:, 1],
                "specificity": sums[:, 2] / sums[:, 3],
            }

    found = patient_bootstraps(statistics, truth, patients, seed=seed)
    return {name: _json(one) for name, one in found.items()}


def _calibration(
    truth: Bools, scores: Floats, patients: npt.NDArray[np.intp], seed: int
) -> dict[str, Any]:
    brier = brier_statistic(truth, scores)

    def statistics(weights: Floats) -> dict[str, Floats]:
        return {
            "brier": brier(weights),
            "observed_over_expected": (weights @ truth) / (weights @ scores),
        }

    found = patient_bootstraps(statistics, truth, patients, seed=seed)
    return {name: _json(one) for name, one in found.items()}


def _json(one: Interval | None) -> dict[str, Any] | None:
    if one is None:
        return None
    numbers = {"n": one.n, "n_positive": one.n_positive, "n_patients": one.n_groups}
    return {"value": one.value, "low": one.low, "high": one.high, **numbers}


@dataclass(frozen=True)
class Choice:
    """A chosen exam, why, and the probability with which it was chosen by either half."""

    exam: Exam
    why: tuple[str, ...]
    probability: float


def choose(
    exams: Sequence[Exam],
    cases: Sequence[Case],
    rule: Rule,
    is_called: AiRule,
    n: int,
    rng: np.random.Generator,
) -> list[Choice]:
    """Choose at most `n` exams; the two halves are drawn independently and may share exams.

    Parameters
    ----------
    exams
        The exams that can be labelled.
    cases
        Those whose truth is known: a cancer after a negative answer is an interval cancer.
    rule, is_called
        When a reader and the AI call an exam.

    Raises
    ------
    ConfigError
        `n` is below 2 or above the number of exams.
    """
    if not 2 <= n <= len(exams):
        raise ConfigError(
            f"{n} of {len(exams)} exams cannot be chosen",
            keyword="--n",
            remedy=f"Give a number from 2 to {len(exams)}",
        )
    missed = {
        case.exam.study_id
        for case in cases
        if case.cancers and not rule.positive & set(case.exam.birads.values())
    }
    reasons = [_reasons(exam, rule, is_called, missed) for exam in exams]
    aimed = [place for place, words in enumerate(reasons) if words]
    n_random = n - n // 2
    n_aimed = min(n // 2, len(aimed))
    random = {int(one) for one in rng.choice(len(exams), n_random, replace=False)}
    targeted = {int(one) for one in rng.choice(aimed, n_aimed, replace=False)} if aimed else set()
    by_chance = n_random / len(exams)
    by_aim = n_aimed / len(aimed) if aimed else 0.0
    chosen = []
    for place in sorted(random | targeted):
        both = 1 - (1 - by_chance) * (1 - (by_aim if reasons[place] else 0.0))
        why = ("random",) * (place in random) + reasons[place] * (place in targeted)
        chosen.append(Choice(exams[place], why, both))
    return chosen


def choice_table(chosen: Sequence[Choice]) -> str:
    """Write the chosen exams as CSV; the weight is 1 divided by the probability."""
    head = ("study_id", "patient_id", "exam_date", "why", "probability", "weight")
    rows = [
        (
            *(one.exam.study_id, one.exam.patient_id, one.exam.day, "; ".join(one.why)),
            *(f"{one.probability:.6f}", f"{1 / one.probability:.3f}"),
        )
        for one in chosen
    ]
    return table_text([head, *rows])


def _reasons(exam: Exam, rule: Rule, is_called: AiRule, missed: set[str]) -> tuple[str, ...]:
    said = bool(rule.positive & set(exam.birads.values()))
    ai = is_called(exam.ai)
    disagree = ("disagreement",) if ai is not None and ai is not said else ()
    return (*disagree, *(("interval cancer",) if exam.study_id in missed else ()))
