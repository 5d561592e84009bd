"""Shortcut probes: can the label be predicted from something that is not anatomy?

A network uses every shortcut that a data set offers: a brighter border, a rotation, a size, a
scanner. Each probe is a ridge logistic regression on a few such features. It is cross-validated,
with all images of a patient in one fold. Its area under the ROC curve (AUC) has an interval over
patients.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.data._check_report import CheckFinding, Probe, Severity, finding
from mammolens.data._picture_measures import BORDER, ORIENTATION, Seen
from mammolens.metrics import auc, auc_interval
from mammolens.metrics.probability import out_of_fold, patient_folds

__all__ = ["leak_findings", "probe_labels", "probe_sources"]

Float = npt.NDArray[np.float64]

_ERROR_FROM, _WARNING_FROM = 0.75, 0.60
"""Lower ends of the interval of the AUC from which a probe is an error, and a warning. Chosen by
hand; docs/reference/table-checks.md shows what they find in public data sets."""
_FEWEST_IMAGES, _FEWEST_PATIENTS = 10, 6
"""Images and patients that each class of a task must have."""
_MOST_WORDS = 30
"""Most categories (machines, file forms) that become features."""
_DRAWS = 1000
"""Bootstrap draws of the interval."""


class _Trait(NamedTuple):
    """One trait: its name, the names of its features, and their values, float64 (n, k)."""

    name: str
    names: tuple[str, ...]
    values: Float


def probe_labels(seen: Sequence[Seen]) -> tuple[Probe, ...]:
    """Probe each data set, and all together, for traits that predict malignancy or a tumour.

    A record with an unknown label is left out of the task of that label. A task is not probed
    unless each class has at least 10 images of 6 patients.
    """
    datasets = sorted({record.dataset for record, _ in seen})
    found: list[Probe] = []
    for task in ("malignant", "tumour"):
        for dataset in datasets:
            known = _labelled(seen, task, dataset)
            found += (_probe(known, task, dataset, trait) for trait in _traits_of(known, task))
        if len(datasets) > 1:
            known = _labelled(seen, task, None)
            trait = _categories("data set", [record.dataset for record, _ in known])
            if trait.names and _enough(known, task):
                found.append(_probe(known, task, "all", trait))
    return tuple(found)


def probe_sources(seen: Sequence[Seen]) -> tuple[Probe, ...]:
    """Probe how well border, orientation, size and file form separate each data set from the
    others."""
    datasets = sorted({record.dataset for record, _ in seen})
    found = []
    for dataset in datasets if len(datasets) > 1 else ():
        labels = np.array([record.dataset == dataset for record, _ in seen])
        if min(labels.sum(), (~labels).sum()) >= _FEWEST_IMAGES:
            parts = [trait for trait in _picture_traits(seen) if trait.values.shape[1]]
            names = tuple(name for trait in parts for name in trait.names)
            values = np.hstack([trait.values for trait in parts])
            trait = _Trait("form of pictures", names, values)
            found.append(_measure(seen, labels, "data set", dataset, trait))
    return tuple(found)


def leak_findings(probes: Sequence[Probe]) -> Iterator[CheckFinding]:
    """Yield a finding for each probe whose whole interval is above 0.6."""
    for probe in probes:
        low = probe.auc.low if probe.auc.low is not None else 0.0
        if low < _WARNING_FROM:
            continue
        certain = low >= _ERROR_FROM and probe.trait not in _MILD and probe.task != "data set"
        words = {"trait": probe.trait, "task": probe.task, "telling": probe.telling}
        yield finding(
            "source_recognisable" if probe.task == "data set" else _CODES[probe.trait],
            severity=Severity.ERROR if certain else None,
            dataset=probe.dataset,
            words={**words, "interval": probe.auc},
            auc=probe.auc.value,
            low=low,
            n=probe.auc.n,
        )


_MILD = ("view and side", "data set")
"""Traits that never give an error: a study design may explain them."""
_CODES = {
    "border brightness": "border_tells_label",
    "orientation": "orientation_tells_label",
    "size": "size_tells_label",
    "file form": "file_form_tells_label",
    "inversion": "inversion_tells_label",
    "machine": "machine_tells_label",
    "view and side": "view_tells_label",
    "data set": "source_tells_label",
}


def _labelled(seen: Sequence[Seen], task: str, dataset: str | None) -> list[Seen]:
    return [
        (record, picture)
        for record, picture in seen
        if getattr(record, task) is not None and dataset in (None, record.dataset)
    ]


def _enough(seen: Sequence[Seen], task: str) -> bool:
    for value in (True, False):
        patients = [record.patient for record, _ in seen if getattr(record, task) is value]
        if len(patients) < _FEWEST_IMAGES or len(set(patients)) < _FEWEST_PATIENTS:
            return False
    return True


def _traits_of(seen: Sequence[Seen], task: str) -> Iterator[_Trait]:
    if not _enough(seen, task):
        return
    views = [
        " ".join(part.value if part else "?" for part in (r.laterality, r.view_position))
        for r, _ in seen
    ]
    machines = [r.machine or picture.manufacturer or "" for r, picture in seen]
    others = (
        _categories("inversion", [str(p.inverted) for _, p in seen]),
        _categories("machine", machines),
        _categories("view and side", views),
    )
    yield from (t for t in (*_picture_traits(seen), *others) if t.values.shape[1])


def _picture_traits(seen: Sequence[Seen]) -> tuple[_Trait, ...]:
    """Give the traits of the pictures. Features that do not vary are removed."""
    shapes = np.log([picture.shape_px for _, picture in seen])
    size = np.column_stack([shapes, shapes[:, 0] - shapes[:, 1]])
    density = [np.log(p.file_bytes / (p.shape_px[0] * p.shape_px[1])) for _, p in seen]
    forms = _categories("file form", [p.form for _, p in seen])
    packing = _numbers("file form", ("bytes a pixel",), np.array(density)[:, None])
    return (
        _numbers("border brightness", BORDER, np.stack([p.border for _, p in seen])),
        _numbers("orientation", ORIENTATION, np.stack([p.orientation for _, p in seen])),
        _numbers("size", ("rows", "columns", "rows by columns"), size),
        forms._replace(
            names=packing.names + forms.names, values=np.hstack([packing.values, forms.values])
        ),
    )


def _numbers(name: str, names: Sequence[str], values: npt.ArrayLike) -> _Trait:
    columns = np.asarray(values, np.float64)
    moving = np.flatnonzero(np.ptp(columns, axis=0) > 1e-6)
    return _Trait(name, tuple(names[int(i)] for i in moving), columns[:, moving])


def _categories(name: str, words: Sequence[str]) -> _Trait:
    """Make one column (0 or 1) for each of the most common words; none if all words are equal."""
    common = [word for word, _ in Counter(words).most_common(_MOST_WORDS)]
    kept = tuple(common) if len(common) > 1 else ()
    values = np.array([[word == other for other in kept] for word in words], np.float64)
    return _Trait(name, kept, values.reshape(len(words), len(kept)))


def _probe(seen: Sequence[Seen], task: str, dataset: str, trait: _Trait) -> Probe:
    labels = np.array([getattr(record, task) for record, _ in seen], bool)
    return _measure(seen, labels, task, dataset, trait)


def _measure(
    seen: Sequence[Seen], labels: npt.NDArray[np.bool_], task: str, dataset: str, trait: _Trait
) -> Probe:
    patients = [record.patient_name for record, _ in seen]
    scores = out_of_fold(trait.values, labels, patient_folds(patients))
    single = [abs(auc(labels, column) - 0.5) for column in trait.values.T]
    interval = auc_interval(labels, scores, patients, draws=_DRAWS)
    return Probe(dataset, trait.name, task, trait.names[int(np.argmax(single))], interval)
