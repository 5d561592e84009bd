"""Operating points against an exhaustive search."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammolens import metrics
from mammolens.errors import ConfigError


@st.composite
def cases(draw):
    scores = draw(
        st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=2, max_size=30)
        | st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=2, max_size=30)
    )
    labels = draw(st.lists(st.booleans(), min_size=len(scores) - 2, max_size=len(scores) - 2))
    return np.array([False, True, *labels]), np.array(scores)


def rates(labels, scores, threshold):
    called = scores >= threshold
    return called[labels].mean(), (~called[~labels]).mean()


@given(cases(), st.sampled_from([0.05, 0.5, 0.8, 0.869, 0.95, 0.999]))
def test_no_other_threshold_reaches_the_sensitivity_with_more_specificity(case, target):
    labels, scores = case
    sensitivity, specificity = rates(
        labels, scores, metrics.threshold_at_sensitivity(labels, scores, target)
    )
    assert sensitivity >= target - 1e-9
    for other in scores:
        other_sensitivity, other_specificity = rates(labels, scores, other)
        assert other_sensitivity < target - 1e-9 or other_specificity <= specificity


@given(cases(), st.sampled_from([0.05, 0.5, 0.8, 0.889, 0.9, 0.999]))
def test_no_other_threshold_reaches_the_specificity_with_more_sensitivity(case, target):
    labels, scores = case
    sensitivity, specificity = rates(
        labels, scores, metrics.threshold_at_specificity(labels, scores, target)
    )
    assert specificity >= target - 1e-9
    for other in (*scores, np.inf):
        other_sensitivity, other_specificity = rates(labels, scores, other)
        assert other_specificity < target - 1e-9 or other_sensitivity <= sensitivity


def test_nineteen_of_twenty_are_95_percent():
    labels = np.r_[np.zeros(20), np.ones(20)]
    scores = np.arange(40.0)
    threshold = metrics.threshold_at_sensitivity(labels, scores, 0.95)
    assert threshold == 20.5
    assert metrics.threshold_at_specificity(labels, scores, 0.95) == 18.5


def test_adjacent_floats_are_still_distinguished():
    low = 0.5
    high = np.nextafter(low, 1)
    threshold = metrics.threshold_at_specificity([0, 1], [low, high], 0.9)
    assert low < threshold <= high


@pytest.mark.parametrize("impossible", [0, 1, 95, -0.1])
def test_refuses_impossible_shares(impossible):
    with pytest.raises(ConfigError, match="is not between 0 and 1"):
        metrics.threshold_at_sensitivity([0, 1], [0.1, 0.2], impossible)
    with pytest.raises(ConfigError, match="is not between 0 and 1"):
        metrics.threshold_at_specificity([0, 1], [0.1, 0.2], impossible)
