"""Figures against scikit-learn, SciPy, statsmodels, and loops by their definition.

What no other test of this room holds is held here, to 1e-9 unless a fit or a draw stands between:
then the tolerance says so. `test_peers` lists all.
"""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import numpy as np
import pytest
import scipy.ndimage
import scipy.optimize
import scipy.special
import scipy.stats
import sklearn.metrics as reference
from sklearn.calibration import calibration_curve

from mammolens import metrics
from mammolens.metrics.ranked import ranked_single_reading, ranked_statistic


def drawn(seed, n=300, draws=5):
    """Labels, tied scores between 0 and 1, and whole weights (draws, n), the first all ones."""
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.3
    scores = np.round(np.clip(rng.normal(0.4 + 0.2 * labels, 0.2), 0.0, 1.0), 2)
    weights = rng.integers(0, 4, (draws, n)).astype(float)
    weights[0] = 1.0
    return labels, scores, weights


def repeated(row, *columns):
    return [np.repeat(column, row.astype(int), axis=0) for column in columns]


def near(value):
    return pytest.approx(value, abs=1e-9)


def test_a_difference_is_that_of_two_areas():
    labels, first, _ = drawn(1)
    second = np.random.default_rng(2).permutation(first)
    found = metrics.auc_difference(labels, first, second, range(300), draws=50)
    theirs = [reference.roc_auc_score(labels, scores) for scores in (first, second)]
    assert found.value == near(theirs[0] - theirs[1])


def test_areas_within_groups_are_those_of_their_rows():
    labels, scores, _ = drawn(2)
    groups = np.array([*"abc"])[np.arange(300) % 3]
    labels = labels & (groups != "c")
    found = metrics.auc_within(labels, scores, groups)
    assert found == {
        name: (near(reference.roc_auc_score(labels[groups == name], scores[groups == name])), 100)
        for name in "ab"
    }


def test_counts_from_the_top_are_those_of_the_roc_curve():
    labels, scores, weights = drawn(3)
    found = metrics.ranked_counts(labels, scores)(weights)
    for draw, row in enumerate(weights):
        alarms, hits, _ = reference.roc_curve(
            labels, scores, sample_weight=row, drop_intermediate=False
        )
        own = np.unique(np.c_[found.alarms[:, draw], found.caught[:, draw]], axis=0)
        theirs = np.unique(
            np.c_[alarms * row[~labels].sum(), hits * row[labels].sum()].round(6), axis=0
        )
        assert own == near(theirs)


def test_a_gap_is_that_of_two_groups():
    labels, scores, weights = drawn(4)
    member = np.arange(300) % 3 == 0
    found = metrics.gap_statistic(metrics.auc_statistic(labels, scores), member)(weights)
    for gap, row in zip(found, weights, strict=True):
        inside, outside = (
            reference.roc_auc_score(labels[w], scores[w], sample_weight=row[w])
            for w in (member, ~member)
        )
        assert gap == near(inside - outside)


def test_tests_side_by_side_are_near_scipys_exact_ones():
    """Nine rows have 84 groups of three: SciPy goes through them all, we draw 20,000."""
    rng = np.random.default_rng(5)
    columns = {"one": rng.normal(size=9), "other": rng.normal(size=9) + 2.0 * (np.arange(9) < 3)}
    statistics = {
        name: (lambda weights, row=row: weights @ row / weights.sum(axis=1))
        for name, row in columns.items()
    }
    names, patients = [*"aaabbbbbb"], [*"012345678"]
    found = metrics.permutation_tests(statistics, [1] * 9, names, "a", patients, draws=20_000)
    for name, row in columns.items():
        drawn_means = [
            abs(row[list(group)].mean() - np.delete(row, group).mean())
            for group in combinations(range(9), 3)
        ]
        exact = np.mean(np.array(drawn_means) >= abs(found[name].value) - 1e-12)
        spread = math.sqrt(exact * (1 - exact) / found[name].draws)
        assert found[name].p_value == pytest.approx(exact, abs=max(4 * spread, 0.2 * exact))


def test_intervals_are_near_those_of_scipys_bootstrap():
    """One row a patient, 10,000 draws on either side: ends differ by the noise of drawing."""
    labels, scores, _ = drawn(6)
    statistics = metrics.side_by_side({"auc": metrics.auc_statistic(labels, scores)})
    how = {"draws": 10_000, "seed": 1}
    found = metrics.patient_bootstraps(statistics, labels, range(300), **how)["auc"]
    alone = metrics.patient_bootstrap(
        metrics.auc_statistic(labels, scores), labels, range(300), **how
    )
    assert found == alone
    theirs = scipy.stats.bootstrap(
        (labels, scores),
        reference.roc_auc_score,
        paired=True,
        vectorized=False,
        method="percentile",
        n_resamples=2000,
        rng=np.random.default_rng(7),
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.006)


def test_calibration_errors_by_their_definition():
    labels, scores, weights = drawn(8, n=900)
    scores = np.clip(scores + 0.0031, 0.0, 1.0)  # off the edges of bins, which sklearn gives down
    errors = metrics.calibration_error_statistics(labels, scores)(weights)
    shares = metrics.reliability_statistics(labels, scores)(weights)
    for draw, row in enumerate(weights):
        truth, said = repeated(row, labels, scores)
        observed, predicted = calibration_curve(truth, said, n_bins=10)
        counts = np.histogram(said, np.linspace(0, 1, 11))[0]
        filled, counts = np.flatnonzero(counts), counts[counts > 0]
        parts = counts / counts.sum()
        assert errors["ece"][draw] == near(float(parts @ abs(observed - predicted)))
        chance = [o * (1 - o) / max(n - 1, 1) for o, n in zip(observed, counts, strict=True)]
        assert errors["squared_error"][draw] == near(
            float(parts @ ((observed - predicted) ** 2 - chance))
        )
        assert [shares[str(n)][draw] for n in filled] == near(observed)


def test_the_calibration_line_is_a_logistic_regression():
    sm = pytest.importorskip("statsmodels.api", reason="needs statsmodels")
    labels, scores, weights = drawn(9)
    said = np.clip(scores, 0.01, 0.99)
    design = sm.add_constant(np.log(said / (1 - said)))
    theirs = sm.GLM(labels.astype(float), design, family=sm.families.Binomial()).fit(tol=1e-14)
    statistics = metrics.calibration_line_statistics(labels, said)
    line = statistics(np.ones((1, labels.size)))
    assert (line["intercept"][0], line["slope"][0]) == near(tuple(theirs.params))
    found = statistics(weights)
    for draw, row in enumerate(weights):
        rows = repeated(row, labels, said)
        alone = metrics.calibration_line_statistics(*rows)(np.ones((1, len(rows[0]))))
        for name in ("slope", "intercept"):
            assert found[name][draw] == near(alone[name][0])


def test_logistic_fits_are_those_of_statsmodels():
    sm = pytest.importorskip("statsmodels.api", reason="needs statsmodels")
    labels, scores, weights = drawn(19)
    design = np.stack([scores, np.sin(40 * scores), np.ones(300)], axis=1)
    offsets = np.cos(30 * scores)
    found = metrics.fit_logistic(design, labels, weights, offsets=offsets)
    assert found.converged.all()
    for own, row in zip(found.coefficients, weights, strict=True):
        kept = row > 0
        theirs = sm.GLM(
            *(labels[kept].astype(float), design[kept]),
            family=sm.families.Binomial(),
            offset=offsets[kept],
            freq_weights=row[kept],
        ).fit(tol=1e-14)
        assert own == pytest.approx(theirs.params, abs=1e-7)
    middle = np.stack([scores - 0.405, np.ones(300)], axis=1)
    assert not metrics.fit_logistic(middle, scores > 0.405, weights).converged.any()


def test_the_temperature_is_scipys_minimum():
    """A minimum is flat: where it lies is sure to 1e-6."""
    rng = np.random.default_rng(10)
    logits, truth = 3.0 * rng.normal(size=(200, 3)), rng.integers(0, 3, 200)
    logits[np.arange(200), truth] += 1.0
    allowed = np.eye(3, dtype=bool)[truth]

    def loss(log_temperature):
        tempered = scipy.special.softmax(logits / np.exp(log_temperature), axis=1)
        return reference.log_loss(truth, tempered)

    theirs = scipy.optimize.minimize_scalar(loss, (-1.0, 1.0), tol=1e-12)
    found = metrics.fit_temperature(logits, allowed)
    assert found == pytest.approx(math.exp(theirs.x), rel=1e-6)


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
def test_conformal_thresholds_are_quantiles(coverage):
    """Angelopoulos and Bates 2023, section 1: the ⌈(n + 1)(1 − α)⌉ / n quantile of 1 − p, that is
    the value at which the empirical distribution first reaches it (half a row spares rounding)."""
    labels, scores, _ = drawn(11)
    rule = metrics.fit_conformal(labels, scores, coverage)
    for own, least in (
        (scores[labels], rule.least_positive),
        (1 - scores[~labels], rule.least_negative),
    ):
        level = (math.ceil(round((own.size + 1) * coverage, 9)) - 0.5) / own.size
        assert least == near(1 - np.quantile(1 - own, level, method="inverted_cdf"))


def test_conformal_answers_are_sets():
    labels, scores, _ = drawn(12)
    rule = metrics.fit_conformal(labels, scores, 0.8)
    words = []
    for p in scores:
        possible = {True} if p >= rule.least_positive else set()
        possible |= {False} if 1 - p >= rule.least_negative else set()
        words.append({(True,): "positive", (False,): "negative"}.get(tuple(possible), "unsure"))
    assert metrics.conformal_answers(rule, scores).tolist() == words


def test_work_saved_is_counted_exam_by_exam():
    labels, scores, weights = drawn(15)
    prevalence, wanted = 0.02, 0.9
    found = ranked_statistic(labels, scores, ranked_single_reading(wanted, prevalence))(weights)
    for share, row in zip(found, weights, strict=True):
        truth, said = repeated(row, labels, scores)
        kept = [
            t for t in np.unique(said) if (said[truth] >= t).sum() >= wanted * truth.sum() - 1e-9
        ]
        below = said < max(kept)
        counted = prevalence * below[truth].mean() + (1 - prevalence) * below[~truth].mean()
        assert share == near(counted)


def test_places_on_maps_agree_with_scipy():
    rng = np.random.default_rng(16)
    pointed = set()
    for _ in range(40):
        heat = rng.normal(size=(9, 7))
        lesion = scipy.ndimage.binary_dilation(rng.random((9, 7)) < 0.08, iterations=1)
        if not lesion.any():
            continue
        at = scipy.ndimage.maximum_position(heat)
        assert metrics.points_at_lesion(heat, lesion) == lesion[at]
        pointed.add(bool(lesion[at]))
        inside, outside = scipy.ndimage.sum_labels(np.maximum(heat, 0), lesion, [1, 0])
        assert metrics.energy_in_lesion(heat, lesion) == near(inside / (inside + outside))
    assert pointed == {True, False}


def test_lesions_are_found_as_a_loop_finds_them():
    rng = np.random.default_rng(17)
    images = [
        metrics.MarkedImage(
            tuple(
                -np.inf if rng.random() < 0.3 else round(float(rng.random()), 1)
                for _ in range(rng.integers(0, 3))
            ),
            tuple(np.round(rng.random(rng.integers(0, 4)), 1).tolist()),
        )
        for _ in range(30)
    ]

    def at(shown, level):
        lesions = [score for one in shown for score in one.lesions]
        false = [score for one in shown for score in one.false_marks]
        return sum(s >= level for s in false) / len(shown), np.mean([s >= level for s in lesions])

    curve = metrics.froc(images)
    assert all(after < before for before, after in pairwise(curve.thresholds))
    for alarms, share, level in zip(*curve, strict=True):
        assert (alarms, share) == near(at(images, level))
    weights = rng.integers(0, 3, (5, 30)).astype(float)
    weights[0] = 1.0
    for allowed in (0.0, 0.4, 1.0):
        found = metrics.sensitivity_at_false_marks_statistic(images, allowed)(weights)
        for share, row in zip(found, weights, strict=True):
            shown = [one for one, times in zip(images, row, strict=True) for _ in range(int(times))]
            points = [at(shown, level) for level in (*curve.thresholds, 2.0)]
            best = max(hits for alarms, hits in points if alarms <= allowed + 1e-12)
            assert share == near(best)
