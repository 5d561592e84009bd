"""The evidence that every section of an evaluation reads: scored images, settings, other patients.

A section is a function from one `Evidence` to a dict that is ready for JSON. A rule, such as a
threshold or a temperature, is fitted on other patients than those it is judged on. These are the
patients of the split that the settings name. If they name none, the rule is cross-fitted: fitted on
four fifths of the patients and applied to the last fifth, five times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from mammolens.bench.settings import Settings
from mammolens.bench.units import TASKS, ImageResult, Sample, units_of
from mammolens.core import InputKind
from mammolens.data.manifest import Manifest, Split
from mammolens.data.splits import fold_patients
from mammolens.metrics import Interval, Statistics, patient_bootstraps
from mammolens.model import KnownPatients, ModelCard

__all__ = ["FOLDS", "Evidence", "FittedElsewhere"]

FOLDS: Final = 5

Rule = TypeVar("Rule")
_Float = npt.NDArray[np.float64]
_Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class FittedElsewhere(Generic[Rule]):
    """Results of rules for the units of a sample; no rule was fitted on the units it is applied to.

    `values` is (n,), in the order of the sample. `rules` has one rule, or one for each fold.
    `fitted_on` describes the patients that the rules were fitted on.
    """

    values: npt.NDArray[Any]
    rules: tuple[Rule, ...]
    fitted_on: str


@dataclass(frozen=True)
class Evidence:
    """Scored images and what is known about the scores.

    `others` are the scored images of the patients on whom thresholds are fixed, if the settings
    name a split for this. `card` is the model's card, ``None`` if no package made the scores.
    `known` are the patients that the package names as its own, ``None`` if it names none. `tasks`
    are the tasks for which there are scores.
    """

    results: Sequence[ImageResult]
    settings: Settings = field(default_factory=Settings)
    others: Sequence[ImageResult] | None = None
    card: ModelCard | None = None
    tasks: tuple[str, ...] = TASKS
    known: KnownPatients | None = None
    _kept: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def of_lesions(self) -> bool:
        """Whether an image shows a lesion instead of a breast."""
        return self.card is not None and self.card.input_kind is InputKind.LESION

    @property
    def decided_units(self) -> tuple[str, ...]:
        """The units for which decisions are made, the main unit last."""
        return ("image",) if self.of_lesions else ("breast", "patient")

    def of_dataset(self, name: str) -> Evidence:
        """Give the evidence of one data set."""
        others = self.others
        return replace(
            self,
            results=[one for one in self.results if one.record.dataset == name],
            others=None if others is None else [o for o in others if o.record.dataset == name],
            _kept={},
        )

    def sample(self, task: str, unit: str) -> Sample:
        """Give the units of a task that have a label and a score; empty without such scores."""
        return self._sample("results", task, unit)

    def intervals(self, sample: Sample, statistics: Statistics) -> dict[str, Interval | None]:
        """Give intervals over the patients of a sample, all from the same resamples."""
        return self.resampled(statistics, sample.labels, sample.patients)

    def resampled(
        self, statistics: Statistics, labels: npt.ArrayLike, patients: Sequence[str]
    ) -> dict[str, Interval | None]:
        """Give intervals over patients for rows without a `Sample`; `labels` are only counted."""
        draws, seed = self.settings.draws, self.settings.seed
        return patient_bootstraps(statistics, labels, patients, draws=draws, seed=seed)

    def fit_elsewhere(
        self,
        sample: Sample,
        fit: Callable[[_Bool, _Float], Rule],
        apply: Callable[[Rule, _Float], npt.NDArray[Any]],
        other: Sample | None = None,
    ) -> FittedElsewhere[Rule]:
        """Fit rules on other patients and apply them to a sample.

        Parameters
        ----------
        fit
            From labels and scores, both (m,), to a rule.
        apply
            From a rule and scores (k,) to values (k,).
        other
            The units to fit on; ``None`` for cross-fitting.

        Raises
        ------
        InvalidManifest
            If there are too few patients to fit on, or `fit` refuses them.
        """
        if other is not None:
            rule = fit(other.labels, other.scores)
            return FittedElsewhere(apply(rule, sample.scores), (rule,), self._fitted_on(other))
        fold_of = self._folds()
        place = np.array([fold_of[patient] for patient in sample.patients])
        rules: list[Rule] = []
        values: npt.NDArray[Any] | None = None
        for number in range(FOLDS):
            inside = place == number
            rules.append(fit(sample.labels[~inside], sample.scores[~inside]))
            found = apply(rules[-1], sample.scores[inside])
            if values is None:
                values = np.empty(place.size, found.dtype)
            values[inside] = found
        assert values is not None
        return FittedElsewhere(values, tuple(rules), self._fitted_on(None))

    def other_sample(self, task: str, unit: str) -> Sample | None:
        """Give the units to fit on; ``None`` if the settings name no split for this."""
        return None if self.others is None else self._sample("others", task, unit)

    def _sample(self, whose: str, task: str, unit: str) -> Sample:
        key = (whose, task, unit)
        if key not in self._kept:
            units = units_of(getattr(self, whose), task, unit) if task in self.tasks else []
            self._kept[key] = Sample.of(units, task)
        kept: Sample = self._kept[key]
        return kept

    def _folds(self) -> dict[str, int]:
        if "folds" not in self._kept:
            manifest = Manifest.of(one.record for one in self.results)
            folds = fold_patients(manifest, FOLDS, self.settings.seed)
            self._kept["folds"] = {
                record.patient_name: number
                for number, fold in enumerate(folds)
                for record in fold.records
                if record.split is Split.VALIDATION
            }
        kept: dict[str, int] = self._kept["folds"]
        return kept

    def _fitted_on(self, other: Sample | None) -> str:
        if other is None:
            return (
                f"cross-fitted: in turns on four fifths of the patients, applied to the fifth "
                f"({FOLDS} folds, seed {self.settings.seed})"
            )
        split = self.settings.fit_split
        named = f"the {split.value} side" if split else "other patients"
        positives = int(other.labels.sum())
        return f"{named}: {len(other.units)} units, {positives} positive"
