"""The classical classifiers: pipelines of scikit-learn, and the settings that are searched.

They are the three of the paper (support vectors with a radial kernel, a decision tree, nearest
neighbours), a random forest and logistic regression. Everything that a pipeline learns about the
features (scale, principal components, selection) is learned in `fit`, from training rows only.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

__all__ = ["CLASSIFIERS", "Classifier"]


@dataclass(frozen=True)
class Classifier:
    """A classifier: `build` makes its pipeline from (rows, features, seed).

    `grid` has the values of the last step's parameters that are tried, the simplest first.
    """

    build: Callable[[int, int, int], Pipeline]
    grid: Mapping[str, Sequence[Any]]

    def settings(self) -> Iterator[dict[str, Any]]:
        """Every combination of the grid."""
        for values in itertools.product(*self.grid.values()):
            yield dict(zip(self.grid, values, strict=True))


def _svm(rows: int, width: int, seed: int) -> Pipeline:
    machine = SVC(kernel="rbf", class_weight="balanced")
    return _reduced(64, rows, width, seed, machine)


def _knn(rows: int, width: int, seed: int) -> Pipeline:
    return _reduced(32, rows, width, seed, KNeighborsClassifier(weights="distance"))


def _logistic(rows: int, width: int, seed: int) -> Pipeline:
    del rows, width, seed
    line = LogisticRegression(class_weight="balanced", max_iter=3000)
    return Pipeline([("scale", StandardScaler()), _last(line)])


def _tree(rows: int, width: int, seed: int) -> Pipeline:
    leaf = max(1, rows // 100)
    tree = DecisionTreeClassifier(min_samples_leaf=leaf, class_weight="balanced", random_state=seed)
    return _selected(width, tree)


def _forest(rows: int, width: int, seed: int) -> Pipeline:
    del rows
    trees = RandomForestClassifier(
        150, class_weight="balanced_subsample", random_state=seed, n_jobs=1
    )
    return _selected(width, trees)


def _reduced(components: int, rows: int, width: int, seed: int, last: Any) -> Pipeline:
    """Standardised, then the leading principal components."""
    kept = min(components, width, rows // 2)
    reduce = PCA(kept, svd_solver="randomized", random_state=seed)
    return Pipeline([("scale", StandardScaler()), ("reduce", reduce), _last(last)])


def _selected(width: int, last: Any) -> Pipeline:
    """The features that differ most between the labels, as in an analysis of variance."""
    select = SelectKBest(_separation, k=min(200, width))
    return Pipeline([("select", select), _last(last)])


def _separation(
    features: npt.NDArray[np.float64], labels: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Squared difference of the two means (d,) over the variance within; 0 of what never varies."""
    parts = features[labels], features[~labels]
    gap = (parts[0].mean(0) - parts[1].mean(0)) ** 2
    within = sum(part.var(0) * len(part) for part in parts) / len(features)
    found: npt.NDArray[np.float64] = np.divide(
        gap, within, out=np.zeros(features.shape[1]), where=within > 1e-12
    )
    return found


def _last(classifier: Any) -> tuple[str, Any]:
    return "classify", classifier


CLASSIFIERS: Final[Mapping[str, Classifier]] = {
    "svm": Classifier(_svm, {"C": (0.1, 1.0, 10.0)}),
    "tree": Classifier(_tree, {"max_depth": (3, 5, 7)}),
    "knn": Classifier(_knn, {"n_neighbors": (151, 75, 25)}),
    "forest": Classifier(_forest, {"min_samples_leaf": (20, 5)}),
    "logistic": Classifier(_logistic, {"C": (1e-4, 1e-3, 1e-2, 1e-1)}),
}
"""Name → classifier: the paper's three, a random forest and logistic regression."""
